//! The query protocols: forms in, XML out. IAM and STS speak one dialect, EC2 another.

use super::{Service, xml};
use crate::error::ApiError;
use bytes::Bytes;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use xml::Lists;

pub(super) const TYPE: &str = "text/xml";
pub(super) const EC2_TYPE: &str = "text/xml;charset=UTF-8";
const EC2_NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";
/// `IpPermissions.1.Groups.1.GroupId` has 5 parts; nothing that is known has more than 8.
const DEPTH_MAX: usize = 12;

/// Operation and input.
pub(super) fn read(request: &http::Request<Bytes>) -> Result<(String, Value), ApiError> {
    let query = request.uri().query().unwrap_or_default().as_bytes();
    let mut root = Node::default();
    let mut operation = None;
    for (name, value) in form_urlencoded::parse(query).chain(form_urlencoded::parse(request.body())) {
        match name.as_ref() {
            "Action" => operation = Some(value.into_owned()),
            "Version" => {}
            name => root.insert(name, value.into_owned())?,
        }
    }
    let operation =
        operation.ok_or_else(|| ApiError::bad("MissingAction", "The request must contain the parameter Action"))?;
    Ok((operation, root.into_value()))
}

/// A form as a tree: `A.1.B=x` lies under `A`, `1`, `B`.
#[derive(Default)]
struct Node {
    text: Option<String>,
    children: BTreeMap<String, Node>,
}

impl Node {
    fn insert(&mut self, name: &str, value: String) -> Result<(), ApiError> {
        if name.split('.').count() > DEPTH_MAX {
            return Err(ApiError::bad(
                "MalformedQueryString",
                format!("{name} is nested too deeply"),
            ));
        }
        let mut node = self;
        for part in name.split('.') {
            node = node.children.entry(part.to_owned()).or_default();
        }
        node.text = Some(value);
        Ok(())
    }

    fn into_value(self) -> Value {
        let Self { text, mut children } = self;
        // IAM writes `Tags.member.1.Key` where EC2 writes `Tags.1.Key`.
        if children.len() == 1
            && let Some(members) = children.remove("member")
        {
            return members.into_value();
        }
        if children.is_empty() {
            return text.map_or_else(|| Value::Object(Map::new()), Value::String);
        }
        let indexes: Option<BTreeMap<u64, String>> = children
            .keys()
            .map(|key| key.parse().ok().map(|index| (index, key.clone())))
            .collect();
        match indexes {
            Some(indexes) => Value::Array(
                indexes
                    .into_values()
                    .filter_map(|key| children.remove(&key))
                    .map(Self::into_value)
                    .collect(),
            ),
            None => Value::Object(
                children
                    .into_iter()
                    .map(|(key, node)| (key, node.into_value()))
                    .collect(),
            ),
        }
    }
}

/// An answer of IAM or STS.
pub(super) fn success(service: Service, operation: &str, members: &Value, request_id: &str) -> String {
    let namespace = match service {
        Service::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
        _ => "https://iam.amazonaws.com/doc/2010-05-08/",
    };
    let mut out = format!("<{operation}Response xmlns=\"{namespace}\">");
    if members.as_object().is_some_and(|members| !members.is_empty()) {
        xml::element(&mut out, &format!("{operation}Result"), members, Lists::Member);
    }
    xml::element(
        &mut out,
        "ResponseMetadata",
        &serde_json::json!({ "RequestId": request_id }),
        Lists::Member,
    );
    close(&mut out, operation);
    out
}

/// An answer of EC2.
pub(super) fn ec2_success(operation: &str, members: &Value, request_id: &str) -> String {
    let mut out = format!("<{operation}Response xmlns=\"{EC2_NAMESPACE}\">");
    xml::element(&mut out, "requestId", &Value::from(request_id), Lists::Item);
    xml::members(&mut out, members, Lists::Item);
    close(&mut out, operation);
    out
}

fn close(out: &mut String, operation: &str) {
    out.push_str("</");
    out.push_str(operation);
    out.push_str("Response>");
}

/// A refusal of IAM or STS.
pub(super) fn error(error: &ApiError, request_id: &str) -> String {
    let ApiError {
        status,
        code,
        message,
        extra: _,
    } = error;
    let kind = if *status < 500 { "Sender" } else { "Receiver" };
    let body = serde_json::json!({
        "Error": { "Type": kind, "Code": code, "Message": message },
        "RequestId": request_id,
    });
    let mut out = String::new();
    xml::element(&mut out, "ErrorResponse", &body, Lists::Member);
    out
}

/// A refusal of EC2.
pub(super) fn ec2_error(error: &ApiError, request_id: &str) -> String {
    let ApiError {
        status: _,
        code,
        message,
        extra: _,
    } = error;
    let body = serde_json::json!({
        "Errors": { "Error": { "Code": code, "Message": message } },
        "RequestID": request_id,
    });
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    xml::element(&mut out, "Response", &body, Lists::Item);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tree(form: &str) -> Value {
        let request = http::Request::new(Bytes::from(format!("Action=X&Version=1&{form}")));
        read(&request).unwrap().1
    }

    #[test]
    fn a_form_becomes_a_tree_with_lists_in_the_order_of_their_numbers() {
        assert_eq!(
            tree("GroupId.10=c&GroupId.1=a&GroupId.2=b"),
            json!({ "GroupId": ["a", "b", "c"] })
        );
        assert_eq!(
            tree("IpPermissions.1.FromPort=2049&IpPermissions.1.Groups.1.GroupId=sg-1"),
            json!({ "IpPermissions": [{ "FromPort": "2049", "Groups": [{ "GroupId": "sg-1" }] }] })
        );
        assert_eq!(
            tree("Tags.member.1.Key=a&Tags.member.1.Value=b"),
            json!({ "Tags": [{ "Key": "a", "Value": "b" }] })
        );
    }
}
