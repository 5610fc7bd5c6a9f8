//! EFS: REST paths with JSON bodies.

use super::json;
use crate::error::ApiError;
use bytes::Bytes;
use http::Method;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

pub(super) const TYPE: &str = "application/json";
const VERSION: &str = "2015-02-01";

/// What a path means.
pub(super) struct Route {
    pub(super) operation: String,
    pub(super) input: Value,
    pub(super) status: u16,
}

/// Operation, status of its success, and the member that the path carries.
type Entry = (&'static str, u16, &'static str);

/// Operation and input: members of the body, of the path and of the query together.
pub(super) fn read(request: &http::Request<Bytes>) -> Result<Route, ApiError> {
    let path = request.uri().path();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let unknown = || {
        ApiError::new(
            501,
            "NotImplemented",
            format!("localaws does not know {} {path}", request.method()),
        )
    };
    let [VERSION, rest @ ..] = parts.as_slice() else {
        return Err(unknown());
    };
    let ((operation, status, member), id) = route(request.method(), rest).ok_or_else(unknown)?;
    let mut input = match json::body(request.body())? {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (name, value) in form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
        if name == "tagKeys" {
            let keys = input.entry("TagKeys").or_insert_with(|| Value::Array(Vec::new()));
            if let Some(keys) = keys.as_array_mut() {
                keys.push(Value::from(value.as_ref()));
            }
        } else {
            input.insert(name.into_owned(), Value::from(value.as_ref()));
        }
    }
    if !member.is_empty() {
        // An ARN in the path is percent-encoded; ids are not changed by this.
        let id = percent_decode_str(&id).decode_utf8_lossy().into_owned();
        input.insert(member.to_owned(), Value::from(id));
    }
    Ok(Route {
        operation: operation.to_owned(),
        input: Value::Object(input),
        status,
    })
}

fn route(method: &Method, path: &[&str]) -> Option<(Entry, String)> {
    let entry = match (method.as_str(), path) {
        ("POST", ["file-systems"]) => ("CreateFileSystem", 201, ""),
        ("GET", ["file-systems"]) => ("DescribeFileSystems", 200, ""),
        ("PUT", ["file-systems", _]) => ("UpdateFileSystem", 202, "FileSystemId"),
        ("DELETE", ["file-systems", _]) => ("DeleteFileSystem", 204, "FileSystemId"),
        ("GET", ["file-systems", _, "lifecycle-configuration"]) => {
            ("DescribeLifecycleConfiguration", 200, "FileSystemId")
        }
        ("PUT", ["file-systems", _, "lifecycle-configuration"]) => ("PutLifecycleConfiguration", 200, "FileSystemId"),
        ("GET", ["file-systems", _, "backup-policy"]) => ("DescribeBackupPolicy", 200, "FileSystemId"),
        ("PUT", ["file-systems", _, "backup-policy"]) => ("PutBackupPolicy", 200, "FileSystemId"),
        ("GET", ["file-systems", _, "policy"]) => ("DescribeFileSystemPolicy", 200, "FileSystemId"),
        ("PUT", ["file-systems", _, "policy"]) => ("PutFileSystemPolicy", 200, "FileSystemId"),
        ("DELETE", ["file-systems", _, "policy"]) => ("DeleteFileSystemPolicy", 200, "FileSystemId"),
        ("PUT", ["file-systems", _, "protection"]) => ("UpdateFileSystemProtection", 200, "FileSystemId"),
        ("POST", ["mount-targets"]) => ("CreateMountTarget", 200, ""),
        ("GET", ["mount-targets"]) => ("DescribeMountTargets", 200, ""),
        ("DELETE", ["mount-targets", _]) => ("DeleteMountTarget", 204, "MountTargetId"),
        ("GET", ["mount-targets", _, "security-groups"]) => ("DescribeMountTargetSecurityGroups", 200, "MountTargetId"),
        ("PUT", ["mount-targets", _, "security-groups"]) => ("ModifyMountTargetSecurityGroups", 204, "MountTargetId"),
        ("POST", ["access-points"]) => ("CreateAccessPoint", 200, ""),
        ("GET", ["access-points"]) => ("DescribeAccessPoints", 200, ""),
        ("DELETE", ["access-points", _]) => ("DeleteAccessPoint", 204, "AccessPointId"),
        ("GET", ["resource-tags", _]) => ("ListTagsForResource", 200, "ResourceId"),
        ("POST", ["resource-tags", _]) => ("TagResource", 200, "ResourceId"),
        ("DELETE", ["resource-tags", _]) => ("UntagResource", 200, "ResourceId"),
        _ => return None,
    };
    Some((entry, path.get(1).copied().unwrap_or_default().to_owned()))
}

pub(super) fn error(error: &ApiError) -> String {
    let ApiError {
        status: _,
        code,
        message,
        extra,
    } = error;
    let mut members = Map::new();
    members.insert("ErrorCode".to_owned(), Value::from(code.as_ref()));
    members.insert("Message".to_owned(), Value::from(message.as_str()));
    members.extend((**extra).clone());
    Value::Object(members).to_string()
}
