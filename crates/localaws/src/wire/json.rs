//! JSON 1.1: the operation in a header, members in the body.

use crate::error::ApiError;
use bytes::Bytes;
use serde_json::{Map, Value};

pub(super) const TYPE: &str = "application/x-amz-json-1.1";

/// Operation and input.
pub(super) fn read(request: &http::Request<Bytes>) -> Result<(String, Value), ApiError> {
    let target = request
        .headers()
        .get("x-amz-target")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let Some((_, operation)) = target.rsplit_once('.') else {
        return Err(ApiError::bad(
            "UnknownOperationException",
            "there is no X-Amz-Target header with an operation",
        ));
    };
    Ok((operation.to_owned(), body(request.body())?))
}

/// A body of members; none is an empty object.
pub(super) fn body(bytes: &Bytes) -> Result<Value, ApiError> {
    if bytes.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(members)) => Ok(Value::Object(members)),
        Ok(_) => Err(ApiError::bad("SerializationException", "the body is not an object")),
        Err(error) => Err(ApiError::bad("SerializationException", error.to_string())),
    }
}

pub(super) fn error(error: &ApiError) -> String {
    let ApiError {
        status: _,
        code,
        message,
        extra,
    } = error;
    let mut members = Map::new();
    members.insert("__type".to_owned(), Value::from(code.as_ref()));
    members.insert("message".to_owned(), Value::from(message.as_str()));
    members.extend((**extra).clone());
    Value::Object(members).to_string()
}
