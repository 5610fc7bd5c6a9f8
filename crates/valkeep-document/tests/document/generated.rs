//! Generated files are what the types say now.

use crate::{files, golden, manifests, name};
use serde_json::Value;
use valkeep_document::{crd_yaml, json_schema, read};

#[test]
fn the_golden_schema_is_what_the_types_say() {
    let schema = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    golden(&manifests("schema/valkeypersistence.schema.json"), &schema).unwrap();
}

#[test]
fn the_golden_crd_is_what_the_types_say() {
    golden(&manifests("crd/valkeypersistence.yaml"), &crd_yaml()).unwrap();
}

#[test]
fn every_object_of_the_schema_is_closed_and_described() {
    fn look(schema: &Value, path: &str) {
        if let Some(fields) = schema.get("properties").and_then(Value::as_object) {
            assert_eq!(schema["additionalProperties"], false, "{path}");
            for (name, field) in fields {
                let path = format!("{path}.{name}");
                assert!(
                    field.get("description").is_some() || field.get("$ref").is_some(),
                    "{path}"
                );
                look(field, &path);
            }
        }
        for (name, schema) in schema.get("$defs").and_then(Value::as_object).into_iter().flatten() {
            assert!(schema.get("description").is_some(), "{name}");
            look(schema, name);
        }
    }
    let schema = json_schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    look(&schema, "");
}

#[test]
fn the_schema_takes_every_valid_document() {
    let schema = json_schema();
    for folder in ["examples", "valid"] {
        for path in files(folder, &["yaml", "json"]) {
            let bytes = std::fs::read(&path).unwrap();
            let text = str::from_utf8(&bytes).unwrap().trim_start_matches('\u{feff}');
            let as_written: Value = serde_yaml::from_str(text).unwrap();
            assert_eq!(
                errors(&schema, &schema, &as_written, ""),
                Vec::<String>::new(),
                "{}",
                path.display()
            );
            let rendered = serde_json::to_value(read(&name(&path), &bytes).unwrap()).unwrap();
            assert_eq!(
                errors(&schema, &schema, &rendered, ""),
                Vec::<String>::new(),
                "{} rendered",
                path.display()
            );
        }
    }
}

#[test]
fn the_schema_refuses_what_is_unknown_missing_or_of_the_wrong_type() {
    let schema = json_schema();
    for file in ["unknown-fields", "wrong-types", "empty-spec", "access", "enum-values"] {
        let text = std::fs::read_to_string(manifests("invalid").join(file).with_extension("yaml")).unwrap();
        let value: Value = serde_yaml::from_str(&text).unwrap();
        assert!(!errors(&schema, &schema, &value, "").is_empty(), "{file}");
    }
}

#[test]
fn the_crd_is_structural() {
    fn look(schema: &Value, path: &str) {
        let object = schema.as_object().unwrap_or_else(|| panic!("{path} is no schema"));
        for word in [
            "$ref", "$defs", "$schema", "const", "oneOf", "anyOf", "allOf", "not", "nullable",
        ] {
            assert!(!object.contains_key(word), "{path} has {word}");
        }
        assert!(
            object.get("type").is_some_and(Value::is_string),
            "{path} has no type: {schema}"
        );
        assert_ne!(object.get("additionalProperties"), Some(&Value::Bool(false)), "{path}");
        for (name, field) in object
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            look(field, &format!("{path}.{name}"));
        }
        for inner in ["items", "additionalProperties"] {
            if let Some(schema) = object.get(inner) {
                look(schema, &format!("{path}.{inner}"));
            }
        }
    }
    // kubectl reads YAML 1.1, to which a plain Off is a boolean.
    assert!(crd_yaml().contains("- 'Off'\n"));
    let crd: Value = serde_yaml::from_str(&crd_yaml()).unwrap();
    let version = &crd["spec"]["versions"][0];
    look(&version["schema"]["openAPIV3Schema"], "");
    assert_eq!(version["subresources"]["status"], serde_json::json!({}));
}

/// The part of JSON Schema that ours uses, without patterns.
fn errors(schema: &Value, whole: &Value, value: &Value, path: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut error = |what: String| out.push(format!("{path}: {what}"));
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = &whole["$defs"][reference.trim_start_matches("#/$defs/")];
        return errors(target, whole, value, path);
    }
    for word in ["anyOf", "oneOf"] {
        if let Some(cases) = schema.get(word).and_then(Value::as_array)
            && !cases.iter().any(|case| errors(case, whole, value, path).is_empty())
        {
            error(format!("{value} fits no case"));
        }
    }
    if schema.get("const").is_some_and(|constant| constant != value) {
        error(format!("{value} is another constant"));
    }
    if let Some(names) = schema.get("enum").and_then(Value::as_array)
        && !names.contains(value)
    {
        error(format!("{value} is no case"));
    }
    let is = |type_: &str| match type_ {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        _ => panic!("{path}: {type_}"),
    };
    let fits = match schema.get("type") {
        Some(Value::String(type_)) => is(type_),
        Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).any(is),
        _ => true,
    };
    if !fits {
        error(format!("{value} is no {}", schema["type"]));
    }
    let outside = |limit: &str, beyond: fn(f64, f64) -> bool| {
        let limit = schema.get(limit).and_then(Value::as_f64);
        limit
            .zip(value.as_f64())
            .is_some_and(|(limit, value)| beyond(value, limit))
    };
    if outside("minimum", |value, limit| value < limit) || outside("maximum", |value, limit| value > limit) {
        error(format!("{value} is out of range"));
    }
    let length = value.as_array().map_or(0, Vec::len) as u64;
    if value.is_array()
        && (schema
            .get("minItems")
            .and_then(Value::as_u64)
            .is_some_and(|min| length < min)
            || schema
                .get("maxItems")
                .and_then(Value::as_u64)
                .is_some_and(|max| length > max))
    {
        error(format!("{length} items"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        if let Some(items) = schema.get("items") {
            out.extend(errors(items, whole, item, &format!("{path}[{index}]")));
        }
    }
    if let Some(fields) = value.as_object() {
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            if !fields.contains_key(name.as_str().unwrap_or_default()) {
                out.push(format!("{path}: {name} is missing"));
            }
        }
        for (name, field) in fields {
            let path = format!("{path}.{name}");
            match (
                schema.get("properties").and_then(|known| known.get(name)),
                schema.get("additionalProperties"),
            ) {
                (Some(known), _) => out.extend(errors(known, whole, field, &path)),
                (None, Some(Value::Bool(false))) => out.push(format!("{path} is unknown")),
                (None, Some(rest)) => out.extend(errors(rest, whole, field, &path)),
                (None, None) => {}
            }
        }
    }
    out
}
