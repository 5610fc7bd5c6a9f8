//! From and to of structured values, leaf by leaf, and short enough to read.

use super::Field;
use serde::Serialize;
use serde_json::Value;

/// The leaves in which two values differ. Objects are walked, lists are leaves: an order may mean something.
pub(super) fn fields(from: Option<&impl Serialize>, to: &impl Serialize) -> Vec<Field> {
    let from = from.map_or(Value::Null, value);
    let mut fields = Vec::new();
    walk(String::new(), from, value(to), &mut fields);
    fields
}

/// Lists whose elements have names, as objects by name: one added container or variable is then one difference.
pub(super) fn by_name(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), by_name(value)))
            .collect(),
        Value::Array(items) if !items.is_empty() && items.iter().all(|item| item["name"].is_string()) => items
            .iter()
            .map(|item| {
                let mut item = by_name(item);
                let name = item
                    .as_object_mut()
                    .and_then(|members| members.shift_remove("name"))
                    .and_then(|name| name.as_str().map(ToOwned::to_owned))
                    .unwrap_or_default();
                (name, item)
            })
            .collect(),
        other => other.clone(),
    }
}

/// A value as JSON.
pub(super) fn value(value: &(impl Serialize + ?Sized)) -> Value {
    serde_json::to_value(value).expect("our own types have text keys and finite numbers")
}

fn walk(path: String, from: Value, to: Value, fields: &mut Vec<Field>) {
    if from == to {
        return;
    }
    match (from, to) {
        (Value::Object(mut from), Value::Object(to)) => {
            for (key, to) in to {
                let from = from.remove(&key).unwrap_or(Value::Null);
                walk(join(&path, &key), from, to, fields);
            }
            for (key, from) in from {
                walk(join(&path, &key), from, Value::Null, fields);
            }
        }
        (Value::Null, Value::Object(to)) => {
            for (key, to) in to {
                walk(join(&path, &key), Value::Null, to, fields);
            }
        }
        (from, to) => fields.push(Field { path, from, to }),
    }
}

fn join(path: &str, key: &str) -> String {
    let key = camel(key);
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// `memory_mib` as documents and AWS spell it, `memoryMib`. Names of others (`AWS_REGION`) stay.
fn camel(key: &str) -> String {
    let mut name = String::new();
    let mut letters = key.chars().peekable();
    while let Some(letter) = letters.next() {
        match letters.peek().copied() {
            Some(next) if letter == '_' && next.is_ascii_lowercase() && !name.is_empty() => {
                name.push(next.to_ascii_uppercase());
                letters.next();
            }
            _ => name.push(letter),
        }
    }
    name
}

/// Longer texts are cut; the JSON has them whole.
const TEXT_MAX: usize = 72;
/// How much is shown around the place where two long texts differ.
const AROUND: usize = 24;

/// One value, short.
pub(super) fn short(value: &Value) -> String {
    let text = plain(value);
    if text.chars().count() <= TEXT_MAX {
        return text;
    }
    let cut: String = text.chars().take(TEXT_MAX - 1).collect();
    format!("{cut}\u{2026}")
}

/// Two values, short, cut to where they differ if they are long.
pub(super) fn short_pair(from: &Value, to: &Value) -> (String, String) {
    let (from, to) = (plain(from), plain(to));
    if from.chars().count() <= TEXT_MAX && to.chars().count() <= TEXT_MAX {
        return (from, to);
    }
    let (a, b): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let same_start = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let room = a.len().min(b.len()) - same_start;
    let same_end = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take(room)
        .take_while(|(a, b)| a == b)
        .count();
    (window(&a, same_start, same_end), window(&b, same_start, same_end))
}

fn window(text: &[char], same_start: usize, same_end: usize) -> String {
    let start = same_start.saturating_sub(AROUND);
    let end = (text.len() - same_end + AROUND)
        .min(text.len())
        .min(start + 3 * TEXT_MAX);
    let mut cut = String::new();
    if start > 0 {
        cut.push('\u{2026}');
    }
    cut.extend(&text[start..end]);
    if end < text.len() {
        cut.push('\u{2026}');
    }
    cut
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        // A script's lines would break the plan's own.
        Value::String(text) => text.replace('\n', "\\n"),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(plain).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_leaves_that_differ_are_named() {
        let from = json!({"cpu_units": 256, "container": {"image": "valkey:8.0", "port": 6379}, "gone": true});
        let to = json!({"cpu_units": 512, "container": {"image": "valkey:8.1", "port": 6379, "A_B": "c"}, "new": [1]});
        let field = |path: &str, from, to| Field {
            path: path.to_owned(),
            from,
            to,
        };
        assert_eq!(
            fields(Some(&from), &to),
            [
                field("cpuUnits", json!(256), json!(512)),
                field("container.image", json!("valkey:8.0"), json!("valkey:8.1")),
                field("container.A_B", Value::Null, json!("c")),
                field("new", Value::Null, json!([1])),
                field("gone", json!(true), Value::Null),
            ]
        );
    }

    #[test]
    fn long_texts_are_cut_to_where_they_differ() {
        let script = |save: &str| json!([format!("{} --save '{save}' {}", "x".repeat(200), "y".repeat(200))]);
        let (from, to) = short_pair(&script("900 1"), &script("300 10"));
        assert!(from.contains("'900 1'") && to.contains("'300 10'"), "{from} {to}");
        assert!(from.chars().count() < 80, "{from}");
    }

    #[test]
    fn the_same_text_twice_over_does_not_overlap() {
        let long = "a".repeat(100);
        let (from, to) = short_pair(&json!(long), &json!(format!("{long}{long}")));
        assert!(!from.is_empty() && !to.is_empty());
    }
}
