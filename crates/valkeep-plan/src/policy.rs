//! Policies: the two that valkeep writes, and whether two policies mean the same.

use serde_json::{Map, Value, json};
use valkeep_core::Desired;
use valkeep_core::ids::{AccessPointId, FileSystemId};

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

/// The policy with what the running server still needs to mount again after a crash, when it is to move to another access
/// point and has not yet.
pub fn role_policy_while_moving(
    desired: &Desired,
    (file_system_arn, access_point_arn): (&str, &str),
    running: (&FileSystemId, &AccessPointId),
) -> Value {
    let identity = &desired.identity;
    let arn = |kind: &str, id: &str| {
        format!(
            "arn:{}:elasticfilesystem:{}:{}:{kind}/{id}",
            desired.partition, identity.region, identity.account
        )
    };
    let (file_system, access_point) = running;
    let mut policy = role_policy(desired, file_system_arn, access_point_arn);
    let mut before = role_policy(
        desired,
        &arn("file-system", file_system.as_str()),
        &arn("access-point", access_point.as_str()),
    );
    let mut before = before["Statement"][0].take();
    before["Sid"] = json!("ValkeepMountBefore");
    if let Some(statements) = policy["Statement"].as_array_mut() {
        statements.push(before);
    }
    policy
}

/// Whether a policy allows all that `wanted` allows and denies nothing.
pub fn covers(found: &Value, wanted: &Value) -> bool {
    let has = canonical_policy(found);
    let denies = match found.get("Statement") {
        Some(Value::Array(statements)) => statements.iter().any(|one| one["Effect"] != "Allow"),
        Some(one) => one["Effect"] != "Allow",
        None => true,
    };
    !denies && canonical_policy(wanted).iter().all(|statement| has.contains(statement))
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

/// Whether a file-system policy lets a task in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// No statement denies it. Allowed it is by the task role's own policy: within one account one of the two is enough.
    Open,
    /// This statement denies it.
    Denied(String),
    /// This statement may deny it.
    Doubtful(String),
}

/// Judges a policy that others put on a file system by its `Deny` statements, for a task that mounts with TLS and IAM
/// through an access point and a mount target. As far as that can be told: what is not understood is doubtful.
///
/// That a policy allows only what is `AccessedViaMountTarget`, as CDK's default does, or only some roles, is no obstacle.
pub fn entry(policy: &Value, role_arn: Option<&str>, access_point_arn: Option<&str>, account: &str) -> Entry {
    let statements = match policy.get("Statement") {
        Some(Value::Array(statements)) => statements.as_slice(),
        Some(single) => std::slice::from_ref(single),
        None => &[],
    };
    let mut doubtful = None;
    for (index, statement) in statements.iter().enumerate() {
        if statement.get("Effect").and_then(Value::as_str) != Some("Deny") {
            continue;
        }
        let matches = [
            principal_matches(statement, role_arn, account),
            actions_match(statement),
            conditions_match(statement, role_arn, access_point_arn),
        ];
        let sid = statement
            .get("Sid")
            .and_then(Value::as_str)
            .filter(|sid| !sid.is_empty());
        let name = sid.map_or_else(
            || format!("statement {}", index + 1),
            |sid| format!("the statement {sid}"),
        );
        if matches.contains(&Some(false)) {
            continue;
        }
        if matches.contains(&None) {
            doubtful.get_or_insert(name);
        } else {
            return Entry::Denied(name);
        }
    }
    doubtful.map_or(Entry::Open, Entry::Doubtful)
}

/// None is that it cannot be told.
fn principal_matches(statement: &Value, role_arn: Option<&str>, account: &str) -> Option<bool> {
    let (value, negated) = match (statement.get("Principal"), statement.get("NotPrincipal")) {
        (Some(value), _) => (value, false),
        (None, Some(value)) => (value, true),
        (None, None) => return None,
    };
    let canonical = principal(value);
    let named: Vec<&str> = match canonical.get("AWS") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        // Services, federated users and the like: no task role.
        _ => Vec::new(),
    };
    let all = named
        .iter()
        .any(|name| *name == "*" || *name == account || name.ends_with(&format!("::{account}:root")));
    let ours = match role_arn {
        _ if all => Some(true),
        Some(role) if named.contains(&role) => Some(true),
        // A deleted role stands there by its unique id, and so may ours if it was made anew.
        _ if named.iter().any(|name| is_unique_id(name)) => None,
        Some(_) => Some(false),
        None => None,
    };
    ours.map(|ours| ours != negated)
}

/// What stands for a user or role that was deleted: AWS keeps the unique id of the principal, not its name.
pub fn is_unique_id(principal: &str) -> bool {
    ["AROA", "AIDA", "AGPA"]
        .iter()
        .any(|prefix| principal.starts_with(prefix))
        && principal
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b':')
}

fn actions_match(statement: &Value) -> Option<bool> {
    let needed = ["elasticfilesystem:clientmount", "elasticfilesystem:clientwrite"];
    let listed = |value: &Value| -> Vec<String> {
        let set = set(value, str::to_lowercase);
        set.as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    match (statement.get("Action"), statement.get("NotAction")) {
        (Some(actions), _) => {
            let actions = listed(actions);
            Some(
                needed
                    .iter()
                    .any(|need| actions.iter().any(|action| glob(action, need))),
            )
        }
        (None, Some(actions)) => {
            let actions = listed(actions);
            Some(
                needed
                    .iter()
                    .any(|need| !actions.iter().any(|action| glob(action, need))),
            )
        }
        (None, None) => None,
    }
}

/// Every operator and key must match for the statement to apply.
fn conditions_match(statement: &Value, role_arn: Option<&str>, access_point_arn: Option<&str>) -> Option<bool> {
    let Some(conditions) = statement.get("Condition") else {
        return Some(true);
    };
    let conditions = condition(conditions);
    let mut told = Some(true);
    for (operator, keys) in conditions.as_object()? {
        for (key, wanted) in keys.as_object()? {
            let wanted: Vec<&str> = wanted.as_array()?.iter().filter_map(Value::as_str).collect();
            let has = match key.as_str() {
                // The helper always mounts with TLS through a mount target.
                "aws:securetransport" | "elasticfilesystem:accessedviamounttarget" => Some("true"),
                "elasticfilesystem:accesspointarn" => access_point_arn,
                "aws:principalarn" => role_arn,
                _ => None,
            };
            let one = has.and_then(|has| {
                let exactly = || wanted.contains(&has);
                let like = || wanted.iter().any(|pattern| glob(pattern, has));
                match operator.trim_end_matches("ifexists") {
                    "bool" | "stringequals" | "arnequals" => Some(exactly() || operator.starts_with("arn") && like()),
                    "stringnotequals" => Some(!exactly()),
                    "stringlike" | "arnlike" => Some(like()),
                    "stringnotlike" | "arnnotlike" | "arnnotequals" => Some(!like()),
                    "null" => Some(wanted.contains(&"false")),
                    _ => None,
                }
            });
            match one {
                Some(true) => {}
                Some(false) => return Some(false),
                None => told = None,
            }
        }
    }
    told
}

/// `*` and `?` as IAM has them.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    // The classic two pointers with one way back: linear in memory, at most length times length in time.
    let (mut at, mut from) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some('*') => {
                back = Some((at, from));
                at += 1;
            }
            Some(letter) if *letter == '?' || *letter == text[from] => {
                at += 1;
                from += 1;
            }
            _ => match back {
                Some((star, matched)) => {
                    back = Some((star, matched + 1));
                    at = star + 1;
                    from = matched + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
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

    const ROLE: &str = "arn:aws:iam::123456789012:role/task-role";
    const POINT: &str = "arn:aws:elasticfilesystem:eu-west-1:123456789012:access-point/fsap-0123456789abcdef0";

    fn judged(statement: &Value) -> Entry {
        let policy = json!({"Statement": [statement]});
        entry(&policy, Some(ROLE), Some(POINT), "123456789012")
    }

    #[test]
    fn what_denies_others_does_not_keep_the_tasks_out() {
        for open in [
            json!({"Effect": "Allow", "Principal": "*", "Action": ["elasticfilesystem:ClientMount"],
                "Condition": {"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}}}),
            json!({"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}),
            json!({"Effect": "Deny", "Principal": "*", "Action": "elasticfilesystem:ClientRootAccess"}),
            json!({"Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::123456789012:role/other"}, "Action": "*"}),
            json!({"Effect": "Deny", "NotPrincipal": {"AWS": ROLE}, "Action": "*"}),
            json!({"Effect": "Deny", "Principal": "*", "NotAction": "elasticfilesystem:Client*"}),
            json!({"Effect": "Deny", "Principal": "*", "Action": "elasticfilesystem:Client*",
                "Condition": {"StringNotEquals": {"elasticfilesystem:AccessPointArn": [POINT]}}}),
            json!({"Effect": "Deny", "Principal": "*", "Action": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}, "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}),
        ] {
            assert_eq!(judged(&open), Entry::Open, "{open}");
        }
    }

    #[test]
    fn what_denies_the_tasks_is_named() {
        for denied in [
            json!({"Sid": "No", "Effect": "Deny", "Principal": "*", "Action": "*"}),
            json!({"Sid": "No", "Effect": "Deny", "Principal": {"AWS": "123456789012"}, "Action": ["elasticfilesystem:Client*"]}),
            json!({"Sid": "No", "Effect": "Deny", "Principal": {"AWS": ROLE}, "Action": "elasticfilesystem:ClientWrite"}),
            json!({"Sid": "No", "Effect": "Deny", "Principal": "*", "Action": "*",
                "Condition": {"Bool": {"elasticfilesystem:AccessedViaMountTarget": true}}}),
            json!({"Sid": "No", "Effect": "Deny", "Principal": "*", "Action": "*",
                "Condition": {"StringNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/admin-*"}}}),
        ] {
            assert_eq!(
                judged(&denied),
                Entry::Denied("the statement No".to_owned()),
                "{denied}"
            );
        }
    }

    #[test]
    fn what_cannot_be_judged_is_doubtful() {
        for doubtful in [
            json!({"Effect": "Deny", "Principal": "*", "Action": "*", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}),
            json!({"Effect": "Deny", "Principal": {"AWS": "AROA1234567890EXAMPLE"}, "Action": "*"}),
            json!({"Effect": "Deny", "Action": "*"}),
        ] {
            assert_eq!(
                judged(&doubtful),
                Entry::Doubtful("statement 1".to_owned()),
                "{doubtful}"
            );
        }
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
