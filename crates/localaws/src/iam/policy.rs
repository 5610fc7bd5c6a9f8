//! Whether policy documents allow something.

use serde_json::Value;
use std::collections::BTreeMap;

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Question<'a> {
    /// ARN of who asks; none is an anonymous client.
    pub(crate) principal: Option<&'a str>,
    /// `elasticfilesystem:ClientMount`.
    pub(crate) action: &'a str,
    /// ARN.
    pub(crate) resource: &'a str,
    /// Condition keys, in lower case, and their values.
    pub(crate) context: BTreeMap<String, String>,
}

/// What one document says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// Nothing about it.
    Silent,
    /// It may.
    Allowed,
    /// It must not, whatever others say.
    Denied,
}

/// What an identity policy says: it has no principals, its owner is the one who asks.
pub(crate) fn identity_verdict(document: &Value, question: &Question<'_>) -> Verdict {
    verdict(document, question, |_| true)
}

/// What a resource policy says, whose statements name principals.
pub(crate) fn resource_verdict(document: &Value, question: &Question<'_>) -> Verdict {
    verdict(document, question, |statement| {
        principal_matches(statement, question.principal)
    })
}

fn verdict(document: &Value, question: &Question<'_>, concerns: impl Fn(&Value) -> bool) -> Verdict {
    let statements = match document.get("Statement") {
        Some(Value::Array(statements)) => statements.as_slice(),
        Some(single) => std::slice::from_ref(single),
        None => &[],
    };
    statements
        .iter()
        .filter(|statement| {
            concerns(statement)
                && named(statement, "Action", "NotAction", |pattern| {
                    glob(&pattern.to_ascii_lowercase(), &question.action.to_ascii_lowercase())
                })
                && named(statement, "Resource", "NotResource", |pattern| {
                    glob(pattern, question.resource)
                })
                && conditions_hold(statement, &question.context)
        })
        .map(|statement| match statement.get("Effect").and_then(Value::as_str) {
            Some("Deny") => Verdict::Denied,
            Some("Allow") => Verdict::Allowed,
            _ => Verdict::Silent,
        })
        .max()
        .unwrap_or(Verdict::Silent)
}

/// `Action` or its opposite `NotAction`. A statement without either (a resource policy may omit `Resource`) is for all.
fn named(statement: &Value, member: &str, opposite: &str, matches: impl Fn(&str) -> bool) -> bool {
    match (statement.get(member), statement.get(opposite)) {
        (Some(patterns), _) => one_or_many(patterns).iter().any(|pattern| matches(pattern)),
        (None, Some(patterns)) => !one_or_many(patterns).iter().any(|pattern| matches(pattern)),
        (None, None) => true,
    }
}

fn principal_matches(statement: &Value, principal: Option<&str>) -> bool {
    let names = match statement.get("Principal") {
        Some(Value::String(everyone)) => return everyone == "*",
        Some(Value::Object(kinds)) => kinds.get("AWS").map(one_or_many).unwrap_or_default(),
        _ => return false,
    };
    names.iter().any(|name| {
        *name == "*"
            || principal.is_some_and(|principal| {
                // An account means everyone in it.
                let account = principal.split(':').nth(4).unwrap_or_default();
                *name == principal || *name == account || *name == format!("arn:aws:iam::{account}:root")
            })
    })
}

fn conditions_hold(statement: &Value, context: &BTreeMap<String, String>) -> bool {
    let Some(operators) = statement.get("Condition").and_then(Value::as_object) else {
        return true;
    };
    operators.iter().all(|(operator, keys)| {
        let Some(keys) = keys.as_object() else { return false };
        keys.iter().all(|(key, wanted)| {
            let wanted = one_or_many(wanted);
            condition_holds(
                operator,
                &wanted,
                context.get(&key.to_ascii_lowercase()).map(String::as_str),
            )
        })
    })
}

/// An operator that is not known holds for nothing.
fn condition_holds(operator: &str, wanted: &[String], have: Option<&str>) -> bool {
    let (operator, if_exists) = match operator.strip_suffix("IfExists") {
        Some(operator) => (operator, true),
        None => (operator, false),
    };
    if operator == "Null" {
        let absent = if have.is_none() { "true" } else { "false" };
        return wanted.iter().any(|wanted| wanted == absent);
    }
    let Some(have) = have else {
        return if_exists || operator.contains("Not");
    };
    match operator {
        "StringEquals" | "ArnEquals" if !wanted.iter().any(|wanted| wanted.contains(['*', '?'])) => {
            wanted.iter().any(|wanted| wanted == have)
        }
        "StringEquals" => wanted.iter().any(|wanted| wanted == have),
        "StringEqualsIgnoreCase" | "Bool" => wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(have)),
        "StringLike" | "ArnLike" | "ArnEquals" => wanted.iter().any(|wanted| glob(wanted, have)),
        "StringNotEquals" => wanted.iter().all(|wanted| wanted != have),
        "StringNotLike" | "ArnNotLike" | "ArnNotEquals" => wanted.iter().all(|wanted| !glob(wanted, have)),
        _ => false,
    }
}

fn one_or_many(value: &Value) -> Vec<String> {
    let word = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match value {
        Value::Array(values) => values.iter().filter_map(word).collect(),
        single => word(single).into_iter().collect(),
    }
}

/// `*` is any run of characters, `?` any one.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut seen) = (0, 0);
    // Where to go on after a star that took one character more.
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(b'?') => (at, seen) = (at + 1, seen + 1),
            Some(letter) if *letter == text[seen] => (at, seen) = (at + 1, seen + 1),
            _ => match star {
                Some((place, taken)) => {
                    star = Some((place, taken + 1));
                    (at, seen) = (place + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ROLE: &str = "arn:aws:iam::123456789012:role/task";
    const FS: &str = "arn:aws:elasticfilesystem:eu-west-1:123456789012:file-system/fs-1";
    const KEY: &str = "elasticfilesystem:AccessPointArn";

    fn question(context: &[(&str, &str)]) -> Question<'static> {
        let context = context
            .iter()
            .map(|(k, v)| (k.to_ascii_lowercase(), (*v).to_owned()))
            .collect();
        Question {
            principal: Some(ROLE),
            action: "elasticfilesystem:ClientMount",
            resource: FS,
            context,
        }
    }

    #[test]
    fn an_identity_policy_allows_by_action_resource_and_condition() {
        let document = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
            "Resource": FS, "Condition": { "StringEquals": { KEY: "ap-1" } },
        }] });
        assert_eq!(
            identity_verdict(&document, &question(&[(KEY, "ap-1")])),
            Verdict::Allowed
        );
        assert_eq!(
            identity_verdict(&document, &question(&[(KEY, "ap-2")])),
            Verdict::Silent
        );
        assert_eq!(identity_verdict(&document, &question(&[])), Verdict::Silent);
    }

    #[test]
    fn a_denial_wins_and_principals_count_in_resource_policies() {
        let document = json!({ "Statement": [
            { "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::123456789012:root" }, "Action": "*" },
            { "Effect": "Deny", "Principal": "*", "Action": "*", "Condition": { "Bool": { "aws:SecureTransport": "false" } } },
        ] });
        assert_eq!(
            resource_verdict(&document, &question(&[("aws:SecureTransport", "true")])),
            Verdict::Allowed
        );
        assert_eq!(
            resource_verdict(&document, &question(&[("aws:SecureTransport", "false")])),
            Verdict::Denied
        );
        let anonymous = Question {
            principal: None,
            ..question(&[("aws:SecureTransport", "true")])
        };
        assert_eq!(resource_verdict(&document, &anonymous), Verdict::Silent);
    }

    #[test]
    fn stars_and_question_marks() {
        assert!(glob("*", "") && glob("a*c", "abbc") && glob("a?c", "abc") && glob("*b*", "abc"));
        assert!(!glob("a*c", "abd") && !glob("a?c", "ac") && !glob("", "a"));
    }
}
