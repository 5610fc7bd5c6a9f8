//! The normal form of a task definition: what ECS fills in is taken out, what it shuffles is sorted.
//!
//! Which lists keep their order was probed by others: `dependsOn`, `mountPoints`, `systemControls`, `extraHosts` and
//! DNS lists do; `environment`, `secrets`, `portMappings`, `volumesFrom` and `links` do not.

use serde_json::{Map, Value, json};

/// Whether the keys below a member of this name are somebody's own words, like labels.
pub(super) fn is_free(member: &str) -> bool {
    matches!(member, "dockerLabels" | "labels" | "options" | "driverOpts")
}

/// The normal form of a registration.
pub(super) fn definition(registration: &Value) -> Value {
    let Value::Object(members) = registration else {
        return registration.clone();
    };
    let mut members = members.clone();
    let awsvpc = members.get("networkMode").is_some_and(|mode| mode == "awsvpc");
    size(&mut members, "cpu", "vcpu");
    size(&mut members, "memory", "gb");
    default(&mut members, "enableFaultInjection", &json!(false));
    sort(&mut members, "requiresCompatibilities");
    if let Some(platform) = object(&mut members, "runtimePlatform") {
        default(platform, "cpuArchitecture", &json!("X86_64"));
        default(platform, "operatingSystemFamily", &json!("LINUX"));
    }
    for found in objects(&mut members, "containerDefinitions") {
        container(found, awsvpc);
    }
    for found in objects(&mut members, "volumes") {
        volume(found);
    }
    compact(&Value::Object(members)).unwrap_or_else(|| json!({}))
}

fn container(members: &mut Map<String, Value>, awsvpc: bool) {
    default(members, "cpu", &json!(0));
    default(members, "essential", &json!(true));
    default(members, "versionConsistency", &json!("enabled"));
    for member in ["environment", "secrets", "links", "volumesFrom"] {
        sort(members, member);
    }
    for port in objects(members, "portMappings") {
        default(port, "protocol", &json!("tcp"));
        default(port, "hostPort", &json!(0));
        if awsvpc && port.get("hostPort") == port.get("containerPort") {
            port.remove("hostPort");
        }
    }
    sort(members, "portMappings");
    for mount in objects(members, "mountPoints") {
        default(mount, "readOnly", &json!(false));
    }
    for from in objects(members, "volumesFrom") {
        default(from, "readOnly", &json!(false));
    }
    if let Some(check) = object(members, "healthCheck") {
        default(check, "interval", &json!(30));
        default(check, "timeout", &json!(5));
        default(check, "retries", &json!(3));
        default(check, "startPeriod", &json!(0));
    }
    if let Some(policy) = object(members, "restartPolicy") {
        default(policy, "enabled", &json!(false));
    }
    if let Some(linux) = object(members, "linuxParameters") {
        default(linux, "initProcessEnabled", &json!(false));
        if let Some(capabilities) = object(linux, "capabilities") {
            sort(capabilities, "add");
            sort(capabilities, "drop");
        }
    }
    for off in [
        "disableNetworking",
        "privileged",
        "readonlyRootFilesystem",
        "interactive",
        "pseudoTerminal",
    ] {
        default(members, off, &json!(false));
    }
}

fn volume(members: &mut Map<String, Value>) {
    default(members, "configuredAtLaunch", &json!(false));
    if let Some(efs) = object(members, "efsVolumeConfiguration") {
        // Behind an access point `/` is what AWS answers and, for some callers, what it refuses.
        default(efs, "rootDirectory", &json!("/"));
        default(efs, "transitEncryption", &json!("DISABLED"));
        default(efs, "transitEncryptionPort", &json!(0));
        if let Some(authorization) = object(efs, "authorizationConfig") {
            default(authorization, "iam", &json!("DISABLED"));
        }
    }
}

fn object<'a>(members: &'a mut Map<String, Value>, member: &str) -> Option<&'a mut Map<String, Value>> {
    members.get_mut(member).and_then(Value::as_object_mut)
}

fn objects<'a>(members: &'a mut Map<String, Value>, member: &str) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    members
        .get_mut(member)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
}

/// Takes out a member that says what its absence says.
fn default(members: &mut Map<String, Value>, member: &str, value: &Value) {
    if members.get(member) == Some(value) {
        members.remove(member);
    }
}

/// Sorts a set by what its elements say.
fn sort(members: &mut Map<String, Value>, member: &str) {
    if let Some(Value::Array(items)) = members.get_mut(member) {
        // Sorted keys, or one element with two orders of keys would be two.
        items.sort_by_cached_key(|item| compact(item).map(|item| item.to_string()));
    }
}

/// `256` for `.25 vCPU`, `512` for `0.5 GB`, as ECS answers.
fn size(members: &mut Map<String, Value>, member: &str, unit: &str) {
    let Some(text) = members.get(member) else { return };
    let text = text.as_str().map_or_else(|| text.to_string(), ToOwned::to_owned);
    if let Some(amount) = crate::units::scaled(&text, unit) {
        members.insert(member.to_owned(), json!(amount.to_string()));
    }
}

/// Without nulls, empty lists and empty objects, keys sorted. An empty text is a value: only what holds nothing goes.
fn compact(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Array(items) if items.is_empty() => None,
        // An element is never taken out: lists of two and of three elements differ.
        Value::Array(items) => Some(Value::Array(
            items.iter().map(|item| compact(item).unwrap_or(Value::Null)).collect(),
        )),
        Value::Object(members) => {
            let mut kept: Vec<(String, Value)> = members
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), compact(value)?)))
                .collect();
            if kept.is_empty() {
                return None;
            }
            kept.sort_by(|one, other| one.0.cmp(&other.0));
            Some(Value::Object(kept.into_iter().collect()))
        }
        other => Some(other.clone()),
    }
}
