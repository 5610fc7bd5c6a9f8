//! Reading the members of an input, whichever protocol it came by: query protocols have only strings.

use crate::error::ApiError;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// No such operation here.
pub(crate) fn unknown_operation(operation: &str) -> ApiError {
    ApiError::new(501, "NotImplemented", format!("localaws does not know {operation}"))
}

/// A string; empty ones count as absent.
pub(crate) fn text<'a>(input: &'a Value, member: &str) -> Option<&'a str> {
    input
        .get(member)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

/// A string that must be there.
pub(crate) fn required<'a>(input: &'a Value, member: &str) -> Result<&'a str, ApiError> {
    text(input, member).ok_or_else(|| {
        let words = format!(
            "1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must not be null"
        );
        ApiError::bad("ValidationException", words)
    })
}

/// A whole number, also as a string.
pub(crate) fn number(input: &Value, member: &str) -> Option<i64> {
    let value = input.get(member)?;
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// A yes or no, also as a string.
pub(crate) fn boolean(input: &Value, member: &str) -> Option<bool> {
    let value = input.get(member)?;
    value.as_bool().or_else(|| value.as_str()?.parse().ok())
}

/// A list; absent is empty.
pub(crate) fn list<'a>(input: &'a Value, member: &str) -> &'a [Value] {
    input.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A list of strings; a single string counts as a list of one.
pub(crate) fn strings(input: &Value, member: &str) -> Vec<String> {
    match input.get(member) {
        Some(Value::String(single)) => vec![single.clone()],
        _ => list(input, member)
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
    }
}

/// A list of strings that must not be empty.
pub(crate) fn required_strings(input: &Value, member: &str) -> Result<Vec<String>, ApiError> {
    let strings = strings(input, member);
    if strings.is_empty() {
        Err(required(input, member)
            .err()
            .unwrap_or_else(|| unknown_operation(member)))
    } else {
        Ok(strings)
    }
}

/// Tags from a list of `{Key, Value}` or `{key, value}`, or from a map.
pub(crate) fn tags(input: &Value, member: &str) -> BTreeMap<String, String> {
    match input.get(member) {
        Some(Value::Object(map)) => map
            .iter()
            .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect(),
        _ => list(input, member)
            .iter()
            .filter_map(|tag| {
                let key = text(tag, "Key").or(text(tag, "key"))?;
                let value = text(tag, "Value").or(text(tag, "value")).unwrap_or_default();
                Some((key.to_owned(), value.to_owned()))
            })
            .collect(),
    }
}

/// Tags as a list of `{Key, Value}` with these member names.
pub(crate) fn tag_list(tags: &BTreeMap<String, String>, key: &str, value: &str) -> Value {
    tags.iter().map(|(k, v)| json!({ key: k, value: v })).collect()
}
