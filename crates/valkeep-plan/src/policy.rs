//! Policies: the two that valkeep writes, and whether two policies mean the same.

use serde_json::{Map, Value, json};
use valkeep_core::Desired;

/// The inline policy of the task role: mount and write, through this access point of this file system only.
pub fn role_policy(desired: &Desired, file_system_arn: &str, access_point_arn: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "ValkeepMount",
            "Effect": "Allow",
            "Action": client_actions(desired),
            "Resource": file_system_arn,
            "Condition": {"StringEquals": {"elasticfilesystem:AccessPointArn": access_point_arn}},
        }],
    })
}

/// The file-system policy: nothing in clear text, nobody but the task role, only through the access point.
pub fn file_system_policy(desired: &Desired, role_arn: &str, file_system_arn: &str, access_point_arn: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "ValkeepTlsOnly",
                "Effect": "Deny",
                "Principal": {"AWS": "*"},
                "Action": "*",
                "Resource": file_system_arn,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
            {
                "Sid": "ValkeepTaskRole",
                "Effect": "Allow",
                "Principal": {"AWS": role_arn},
                "Action": client_actions(desired),
                "Resource": file_system_arn,
                "Condition": {
                    "StringEquals": {"elasticfilesystem:AccessPointArn": access_point_arn},
                    "Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"},
                },
            },
        ],
    })
}

/// Whether two policies mean the same: a single value is a list of one, lists are sets, `Sid`, `Id` and the order of
/// keys and statements say nothing, action names have no case. A missing `Version` is the old language, which differs
/// only for policy variables; valkeep's have none, so it is left out of the comparison, too.
pub fn same(one: &Value, other: &Value) -> bool {
    canonical_policy(one) == canonical_policy(other)
}

fn client_actions(desired: &Desired) -> Vec<&'static str> {
    let mut actions = vec!["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"];
    if desired.task_role.root_access {
        actions.push("elasticfilesystem:ClientRootAccess");
    }
    actions
}

fn canonical_policy(policy: &Value) -> Vec<String> {
    let statements = match policy.get("Statement") {
        Some(Value::Array(statements)) => statements.clone(),
        Some(statement) => vec![statement.clone()],
        // Not a policy at all: equal only to what is written the same.
        None => return vec![policy.to_string()],
    };
    let mut texts: Vec<String> = statements
        .iter()
        .map(|statement| canonical_statement(statement).to_string())
        .collect();
    texts.sort();
    texts.dedup();
    texts
}

fn canonical_statement(statement: &Value) -> Value {
    let Value::Object(fields) = statement else {
        return statement.clone();
    };
    let mut sorted: Vec<(String, Value)> = fields
        .iter()
        .filter(|(key, _)| key.as_str() != "Sid")
        .map(|(key, value)| {
            let value = match key.as_str() {
                "Action" | "NotAction" => set(value, str::to_lowercase),
                "Resource" | "NotResource" => set(value, str::to_owned),
                "Principal" | "NotPrincipal" => principal(value),
                "Condition" => condition(value),
                _ => value.clone(),
            };
            (key.clone(), value)
        })
        .collect();
    sorted.sort_by(|one, other| one.0.cmp(&other.0));
    Value::Object(sorted.into_iter().collect())
}

fn principal(value: &Value) -> Value {
    match value {
        // `"*"` and `{"AWS": "*"}` are the same principal.
        Value::String(text) => json!({"AWS": [text]}),
        Value::Object(fields) => sorted_object(fields, str::to_owned, |value| set(value, str::to_owned)),
        other => other.clone(),
    }
}

fn condition(value: &Value) -> Value {
    match value {
        Value::Object(operators) => sorted_object(operators, str::to_lowercase, |keys| match keys {
            Value::Object(keys) => sorted_object(keys, str::to_lowercase, |values| set(values, str::to_owned)),
            other => other.clone(),
        }),
        other => other.clone(),
    }
}

fn sorted_object(fields: &Map<String, Value>, key: fn(&str) -> String, value: impl Fn(&Value) -> Value) -> Value {
    let mut sorted: Vec<(String, Value)> = fields.iter().map(|(name, field)| (key(name), value(field))).collect();
    sorted.sort_by(|one, other| one.0.cmp(&other.0));
    Value::Object(sorted.into_iter().collect())
}

/// A scalar or a list as a sorted list of strings without repetition; `true` and `"true"` are one value in IAM.
fn set(value: &Value, word: fn(&str) -> String) -> Value {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        single => std::slice::from_ref(single),
    };
    let mut texts: Vec<String> = items
        .iter()
        .map(|item| match item {
            Value::String(text) => word(text),
            other => other.to_string(),
        })
        .collect();
    texts.sort();
    texts.dedup();
    json!(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewritten_policies_mean_the_same() {
        let ours = json!({"Version": "2012-10-17", "Statement": [{"Sid": "A", "Effect": "Allow",
            "Action": ["e:b", "e:a"], "Resource": "r", "Principal": {"AWS": "*"},
            "Condition": {"Bool": {"k": "true"}, "StringEquals": {"x": ["2", "1"]}}}]});
        let theirs = json!({"Statement": {"Resource": ["r"], "Action": ["E:A", "e:b", "e:b"], "Principal": "*",
            "Condition": {"StringEquals": {"X": ["1", "2"]}, "Bool": {"k": [true]}}, "Effect": "Allow"}, "Id": "x"});
        assert!(same(&ours, &theirs));
    }

    #[test]
    fn another_effect_action_resource_or_condition_is_another_policy() {
        let ours = json!({"Statement": [{"Effect": "Allow", "Action": "a", "Resource": "r", "Condition": {"Bool": {"k": "true"}}}]});
        for other in [
            json!({"Statement": [{"Effect": "Deny", "Action": "a", "Resource": "r", "Condition": {"Bool": {"k": "true"}}}]}),
            json!({"Statement": [{"Effect": "Allow", "Action": ["a", "b"], "Resource": "r", "Condition": {"Bool": {"k": "true"}}}]}),
            json!({"Statement": [{"Effect": "Allow", "Action": "a", "Resource": "R", "Condition": {"Bool": {"k": "true"}}}]}),
            json!({"Statement": [{"Effect": "Allow", "Action": "a", "Resource": "r", "Condition": {"Bool": {"k": "false"}}}]}),
            json!({"Statement": [{"Effect": "Allow", "Action": "a", "Resource": "r"}]}),
            json!({"Statement": []}),
            json!("nonsense"),
        ] {
            assert!(!same(&ours, &other), "{other}");
        }
    }
}
