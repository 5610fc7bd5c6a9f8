//! Where else a field belongs that was found in the wrong place.

use crate::schema::json_schema;
use serde_json::Value;

/// The advice to move a field, when exactly one place in a document has a field of this name.
pub(super) fn elsewhere(name: &str) -> Option<String> {
    let schema = json_schema();
    let mut places = Vec::new();
    search(&schema, &schema, "", name, &mut places);
    match places.as_slice() {
        [place] => Some(format!("it belongs to `{place}`")),
        _ => None,
    }
}

/// The types contain each other without cycles, so this ends.
fn search(schema: &Value, whole: &Value, path: &str, name: &str, places: &mut Vec<String>) {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = reference.trim_start_matches("#/$defs/");
        search(&whole["$defs"][target], whole, path, name, places);
    }
    for (field, inner) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        if field == name && !path.is_empty() {
            places.push(path.to_owned());
        }
        let path = if path.is_empty() {
            field.clone()
        } else {
            format!("{path}.{field}")
        };
        search(inner, whole, &path, name, places);
    }
}
