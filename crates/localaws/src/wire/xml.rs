//! Named members written as XML.

use serde_json::Value;

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lists {
    /// `<item>` for each entry: EC2.
    Item,
    /// `<member>` for each entry: IAM and STS.
    Member,
    /// The list's own element again for each entry: S3.
    Flat,
}

/// One element.
pub(crate) fn element(out: &mut String, name: &str, value: &Value, lists: Lists) {
    match (value, lists) {
        (Value::Null, _) => {}
        (Value::Array(entries), Lists::Flat) => entries.iter().for_each(|entry| element(out, name, entry, lists)),
        _ => {
            out.push('<');
            out.push_str(name);
            out.push('>');
            members(out, value, lists);
            out.push_str("</");
            out.push_str(name);
            out.push('>');
        }
    }
}

/// What stands inside an element.
pub(crate) fn members(out: &mut String, value: &Value, lists: Lists) {
    match value {
        Value::Null => {}
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => escape(out, text),
        Value::Array(entries) => {
            let name = if lists == Lists::Member { "member" } else { "item" };
            for entry in entries {
                element(out, name, entry, lists);
            }
        }
        Value::Object(object) => object.iter().for_each(|(name, value)| element(out, name, value, lists)),
    }
}

fn escape(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            // XML 1.0 has no form at all for other control characters.
            other if other.is_control() && !matches!(other, '\n' | '\t') => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(value: &Value, lists: Lists) -> String {
        let mut out = String::new();
        element(&mut out, "A", value, lists);
        out
    }

    #[test]
    fn lists_take_the_dialect_of_their_service() {
        let value = json!({ "B": ["x", "y"] });
        assert_eq!(
            written(&value, Lists::Item),
            "<A><B><item>x</item><item>y</item></B></A>"
        );
        assert_eq!(
            written(&value, Lists::Member),
            "<A><B><member>x</member><member>y</member></B></A>"
        );
        assert_eq!(written(&value, Lists::Flat), "<A><B>x</B><B>y</B></A>");
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(
            written(&json!("<a & \"b\">"), Lists::Flat),
            "<A>&lt;a &amp; &quot;b&quot;&gt;</A>"
        );
    }
}
