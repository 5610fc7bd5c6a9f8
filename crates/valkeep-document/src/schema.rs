//! The schemas that are generated from the types: JSON Schema for editors, and a CRD-shaped manifest.

use crate::Document;
use crate::status::Status;
use crate::types::{Metadata, Spec};
use crate::write::to_yaml;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// JSON Schema (2020-12) of a document. Editors take it by a comment at the top of the document:
/// `# yaml-language-server: $schema=...`.
pub fn json_schema() -> Value {
    let generated = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Document>();
    let Value::Object(generated) = tidy(&Value::from(generated)) else {
        unreachable!("the schema of a struct is an object");
    };
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), generated["$schema"].clone());
    schema.insert("title".to_owned(), json!("ValkeyPersistence"));
    schema.extend(generated.into_iter().filter(|(key, _)| key != "title"));
    Value::Object(schema)
}

/// A manifest in the form of a Kubernetes CustomResourceDefinition. valkeep needs no Kubernetes; tools that know the form
/// can show and check documents by it.
pub fn crd_yaml() -> String {
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "valkeypersistences.valkeep.dev"},
        "spec": {
            "group": "valkeep.dev",
            "names": {
                "kind": "ValkeyPersistence",
                "listKind": "ValkeyPersistenceList",
                "plural": "valkeypersistences",
                "singular": "valkeypersistence",
                "shortNames": ["vkp"],
            },
            "scope": "Cluster",
            "versions": [{
                "name": "v1alpha1",
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "additionalPrinterColumns": [
                    {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
                    {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
                    {"name": "Keys", "type": "integer", "jsonPath": ".status.valkey.keys"},
                    {"name": "At risk", "type": "integer", "jsonPath": ".status.valkey.keysAtRisk"},
                    {"name": "Address", "type": "string", "jsonPath": ".status.address", "priority": 1},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "description": "A Valkey service on Amazon ECS whose data survives its tasks, on Amazon EFS.",
                    "required": ["metadata", "spec"],
                    "properties": {
                        "apiVersion": {"type": "string"},
                        "kind": {"type": "string"},
                        "metadata": metadata(),
                        "spec": structural(&openapi::<Spec>()),
                        "status": status(),
                    },
                }},
            }],
        },
    });
    to_yaml(&crd)
}

fn openapi<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let schema: Schema = settings.into_generator().into_root_schema_for::<T>();
    tidy(&Value::from(schema))
}

/// Takes the source's line ends out of descriptions, as whoever shows them wraps them anew, and null out of what may be
/// left out, as a field is there with a value or not there.
fn tidy(schema: &Value) -> Value {
    match schema {
        Value::Object(object) => Value::Object(
            object
                .iter()
                .filter(|(key, _)| *key != "nullable")
                .map(|(key, value)| match (key.as_str(), value) {
                    ("description", Value::String(text)) => {
                        let paragraphs: Vec<String> = text.split("\n\n").map(|text| text.replace('\n', " ")).collect();
                        (key.clone(), Value::String(paragraphs.join("\n\n")))
                    }
                    ("type", Value::Array(types)) => {
                        let mut types = types.iter().filter(|type_| *type_ != "null");
                        (key.clone(), types.next().cloned().unwrap_or_default())
                    }
                    (_, value) => (key.clone(), tidy(value)),
                })
                .collect(),
        ),
        Value::Array(entries) => Value::Array(entries.iter().map(tidy).collect()),
        other => other.clone(),
    }
}

/// A CRD may restrict only the name of its metadata.
fn metadata() -> Value {
    let whole = structural(&openapi::<Metadata>());
    json!({"type": "object", "properties": {"name": whole["properties"]["name"]}})
}

fn status() -> Value {
    let mut status = structural(&openapi::<Status>());
    let conditions = &mut status["properties"]["conditions"];
    conditions["x-kubernetes-list-type"] = json!("map");
    conditions["x-kubernetes-list-map-keys"] = json!(["type"]);
    // A writer may leave anything out; readers take it as not known.
    if let Some(status) = status.as_object_mut() {
        status.remove("required");
    }
    status
}

/// Makes a schema structural as Kubernetes demands it: no `additionalProperties: false`, no `$schema`, and enumerations
/// as `enum` with the descriptions put together.
fn structural(schema: &Value) -> Value {
    match schema {
        Value::Object(object) => structural_object(object),
        Value::Array(entries) => Value::Array(entries.iter().map(structural).collect()),
        other => other.clone(),
    }
}

fn structural_object(object: &Map<String, Value>) -> Value {
    let mut out = Map::new();
    for (key, value) in object {
        match key.as_str() {
            "$schema" | "title" | "uniqueItems" => {}
            "additionalProperties" if *value == Value::Bool(false) => {}
            "const" => {
                out.insert("enum".to_owned(), json!([value]));
            }
            "oneOf" if value.as_array().is_some_and(|cases| cases.iter().all(is_case)) => {}
            // The keys of these are names of fields, not words of the schema.
            "properties" => {
                let fields = value.as_object().into_iter().flatten();
                let fields = fields.map(|(name, field)| (name.clone(), structural(field))).collect();
                out.insert(key.clone(), Value::Object(fields));
            }
            "default" | "enum" | "required" => {
                out.insert(key.clone(), value.clone());
            }
            _ => {
                out.insert(key.clone(), structural(value));
            }
        }
    }
    // Last, as it adds to the description.
    if let Some(cases) = object.get("oneOf").and_then(Value::as_array)
        && cases.iter().all(is_case)
    {
        enumeration(&mut out, cases);
    }
    Value::Object(out)
}

/// One variant of an enumeration without data.
fn is_case(case: &Value) -> bool {
    case.get("const").is_some() || case.get("enum").is_some()
}

fn enumeration(out: &mut Map<String, Value>, cases: &[Value]) {
    let mut values = Vec::new();
    let mut text = out
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    for case in cases {
        let names = match (case.get("const"), case.get("enum").and_then(Value::as_array)) {
            (Some(name), _) => vec![name.clone()],
            (None, Some(names)) => names.clone(),
            (None, None) => Vec::new(),
        };
        if let (Some(what), Some(Value::String(name))) =
            (case.get("description").and_then(Value::as_str), names.first())
        {
            let what = what.trim_end_matches('.');
            write!(text, "\n{name}: {what}.").expect("writing to a string cannot fail");
        }
        values.extend(names);
    }
    out.insert("type".to_owned(), json!("string"));
    out.insert("enum".to_owned(), Value::Array(values));
    if !text.is_empty() {
        out.insert("description".to_owned(), json!(text.trim_start()));
    }
}
