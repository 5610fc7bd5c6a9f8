//! Each step in words: what it is about, and every value from and to.

use super::diff::{by_name, fields, value};
use super::{Field, StepView, Verb};
use serde_json::{Value, json};
use valkeep_core::desired::Throughput;
use valkeep_core::observed::ObservedDefinition;
use valkeep_core::{ServerChange, Step, Tags};

/// A step; `running` is the task definition that the service runs, which a new one replaces.
pub(super) fn view(step: &Step, running: Option<&ObservedDefinition>) -> StepView {
    let Words { change, name, fields } = words(step, running);
    StepView {
        change,
        resource: noun(step),
        name,
        action: step.action(),
        fields,
    }
}

/// What is created or removed: a part of something is not the thing itself.
fn noun(step: &Step) -> String {
    match step {
        Step::AuthorizeIngress { .. } | Step::RevokeIngress { .. } => "security-group rule".to_owned(),
        Step::PutFileSystemPolicy { .. } | Step::DeleteFileSystemPolicy { .. } => "file-system policy".to_owned(),
        other => other.resource().to_string(),
    }
}

struct Words {
    change: Verb,
    name: String,
    fields: Vec<Field>,
}

fn words(step: &Step, running: Option<&ObservedDefinition>) -> Words {
    match step {
        Step::CreateSecurityGroup {
            name,
            description: _,
            vpc,
            tags,
        } => create(name, vec![set("vpc", vpc.as_str()), tag_list(tags)]),
        Step::AuthorizeIngress {
            group,
            source,
            description: _,
        } => create(group.as_str(), vec![set("ingress", &format!("tcp 2049 from {source}"))]),
        Step::RevokeIngress {
            group,
            source,
            description: _,
        } => Words {
            change: Verb::Remove,
            name: group.to_string(),
            fields: vec![field("ingress", value(&format!("tcp 2049 from {source}")), Value::Null)],
        },
        Step::CreateFileSystem {
            token,
            encrypted,
            kms_key,
            performance,
            throughput,
            backups,
            tags,
        } => {
            let mut fields = vec![set("encrypted", encrypted)];
            if let Some(key) = kms_key {
                fields.push(set("kmsKey", key));
            }
            fields.push(set("performanceMode", performance.as_str()));
            fields.push(field("throughput", Value::Null, throughput_text(*throughput)));
            fields.push(set("automaticBackups", backups));
            fields.push(tag_list(tags));
            create(token, fields)
        }
        Step::UpdateThroughput {
            id,
            from,
            to,
            changed_at: _,
        } => update(
            id.as_str(),
            vec![field("throughput", throughput_text(*from), throughput_text(*to))],
        ),
        Step::PutLifecycle { id, from, to } => {
            let never = |policy: &Option<String>| value(policy.as_deref().unwrap_or("Never"));
            update(id.as_str(), vec![field("transitionToIA", never(from), never(to))])
        }
        Step::PutBackups { id, from, to } => {
            update(id.as_str(), vec![field("automaticBackups", value(from), value(to))])
        }
        Step::PutFileSystemPolicy { id, from, to } => policy(id.as_str(), from.as_ref(), to),
        Step::DeleteFileSystemPolicy { id, from } => Words {
            change: Verb::Remove,
            name: id.to_string(),
            fields: vec![field("policy", from.clone(), Value::Null)],
        },
        Step::CreateMountTarget {
            file_system,
            subnet,
            zone_id,
            groups,
        } => create(
            zone_id,
            vec![
                set("fileSystem", file_system),
                set("subnet", subnet),
                set("securityGroups", groups),
            ],
        ),
        Step::SetMountTargetGroups { id, from, to } => {
            update(id.as_str(), vec![field("securityGroups", value(from), value(to))])
        }
        Step::CreateAccessPoint {
            token: _,
            file_system,
            path,
            uid,
            gid,
            permissions,
            tags,
        } => create(
            path,
            vec![
                set("fileSystem", file_system),
                set("owner", &format!("{uid}:{gid}")),
                set("permissions", permissions),
                tag_list(tags),
            ],
        ),
        Step::PutRolePolicy {
            role,
            policy: name,
            from,
            to,
        } => policy(&format!("{role}/{name}"), from.as_ref(), to),
        Step::CreateLogGroup {
            name,
            retention_days,
            tags,
        } => create(name, vec![set("retentionDays", retention_days), tag_list(tags)]),
        Step::PutRetention { name, from, to } => update(name, vec![field("retentionDays", value(from), value(to))]),
        Step::RegisterTaskDefinition { definition, tags: _ } => Words {
            change: if running.is_some() { Verb::Change } else { Verb::Create },
            name: definition.family.clone(),
            fields: fields(running.and_then(|running| running.definition.as_ref()), definition),
        },
        Step::RegisterRevision {
            from: _,
            definition,
            tags: _,
        } => Words {
            change: Verb::Change,
            name: definition.text("family").unwrap_or_default().to_owned(),
            fields: fields(
                running
                    .and_then(|running| running.raw.as_ref())
                    .map(|raw| by_name(&raw.normal()))
                    .as_ref(),
                &by_name(&definition.normal()),
            ),
        },
        Step::CreateService {
            cluster,
            name,
            token: _,
            task_definition,
            launch_type,
            container,
            port,
            settings,
            tags,
        } => {
            let mut all = vec![
                set("taskDefinition", task_definition),
                set("launchType", launch_type),
                set("container", &format!("{container}:{port}")),
                set("desiredCount", &0),
            ];
            all.extend(fields(None::<&Value>, settings));
            all.retain(|field| !field.to.is_null());
            all.push(tag_list(tags));
            create(&format!("{cluster}/{name}"), all)
        }
        Step::UpdateService {
            cluster,
            name,
            from,
            to,
            from_definition,
            to_definition,
            force,
            container: _,
            port: _,
        } => {
            let mut all = fields(Some(from), to);
            if from_definition != to_definition {
                all.push(field("taskDefinition", value(from_definition), value(to_definition)));
            }
            if *force {
                all.push(set("forceNewDeployment", force));
            }
            update(&format!("{cluster}/{name}"), all)
        }
        Step::StartService { cluster, name, arn: _ } => update(
            &format!("{cluster}/{name}"),
            vec![field("desiredCount", value(&0), value(&1))],
        ),
        Step::SetDesired {
            cluster,
            name,
            from,
            to,
        } => update(
            &format!("{cluster}/{name}"),
            vec![field("desiredCount", value(from), value(to))],
        ),
        Step::ClearStarting { arn } => update(arn, vec![removed_tag(valkeep_core::identity::TAG_STARTING)]),
        Step::Tag {
            resource: _,
            id,
            set: tags,
            remove,
        } => {
            let mut all: Vec<Field> = tags
                .iter()
                .map(|(key, text)| set(&format!("tags.{key}"), text))
                .collect();
            all.extend(remove.iter().map(|key| removed_tag(key)));
            update(id, all)
        }
        Step::StopService {
            cluster,
            name,
            arn: _,
            from,
        } => update(
            &format!("{cluster}/{name}"),
            vec![field("desiredCount", value(from), value(&0))],
        ),
        Step::DeleteService {
            cluster,
            name,
            arn: _,
            owner: _,
        } => removed(&format!("{cluster}/{name}"), Vec::new()),
        Step::DeleteAccessPoint {
            id,
            file_system,
            path,
            owner: _,
        } => removed(id.as_str(), vec![gone("fileSystem", file_system), gone("path", path)]),
        Step::DeleteMountTarget {
            id,
            file_system,
            zone_id,
            owner: _,
        } => removed(
            id.as_str(),
            vec![gone("fileSystem", file_system), gone("zone", zone_id)],
        ),
        Step::DeleteFileSystem { id, owner: _ } => removed(
            id.as_str(),
            vec![gone("data", "everything on it, without a final backup")],
        ),
        Step::DeleteRolePolicy { role, policy, from } => {
            removed(&format!("{role}/{policy}"), vec![gone("policy", from)])
        }
        Step::DeleteSecurityGroup { id, name, owner: _ } => removed(id.as_str(), vec![gone("name", name)]),
        Step::DeregisterTaskDefinition { arn, owner: _ } => removed(arn.rsplit('/').next().unwrap_or(arn), Vec::new()),
        Step::ChangeServer {
            address,
            run_id: _,
            change,
        } => {
            let (path, from, to) = match change {
                ServerChange::Save => ("snapshot", Value::Null, json!("of now")),
                ServerChange::Password => ("password", Value::Null, json!("what the secret is now")),
                ServerChange::Set { name, from, to } => (name.as_str(), json!(from), json!(to)),
            };
            update(&address.to_string(), vec![field(path, from, to)])
        }
    }
}

fn removed(name: &str, fields: Vec<Field>) -> Words {
    Words {
        change: Verb::Remove,
        name: name.to_owned(),
        fields,
    }
}

fn gone(path: &str, from: &(impl serde::Serialize + ?Sized)) -> Field {
    field(path, value(from), Value::Null)
}

fn create(name: &str, fields: Vec<Field>) -> Words {
    Words {
        change: Verb::Create,
        name: name.to_owned(),
        fields,
    }
}

fn update(name: &str, fields: Vec<Field>) -> Words {
    Words {
        change: Verb::Change,
        name: name.to_owned(),
        fields,
    }
}

fn policy(name: &str, from: Option<&Value>, to: &Value) -> Words {
    Words {
        change: if from.is_some() { Verb::Change } else { Verb::Create },
        name: name.to_owned(),
        fields: fields(from, to),
    }
}

fn field(path: &str, from: Value, to: Value) -> Field {
    Field {
        path: path.to_owned(),
        from,
        to,
    }
}

fn set(path: &str, to: &(impl serde::Serialize + ?Sized)) -> Field {
    field(path, Value::Null, value(to))
}

fn removed_tag(key: &str) -> Field {
    field(&format!("tags.{key}"), value("set"), Value::Null)
}

/// Tags as one value: they are the same on everything, and not what a reader looks for.
fn tag_list(tags: &Tags) -> Field {
    let keys: Vec<String> = tags.iter().map(|(key, text)| format!("{key}={text}")).collect();
    set("tags", &keys)
}

fn throughput_text(throughput: Throughput) -> Value {
    value(&match throughput.mibps() {
        Some(mibps) => format!("{} at {mibps} MiB/s", throughput.mode()),
        None => throughput.mode().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use valkeep_core::ids::{FileSystemId, SecurityGroupId};

    #[test]
    fn a_change_says_from_and_to() {
        let id = FileSystemId::parse("fs-0123456789abcdef0").expect("good");
        let view = view(
            &Step::UpdateThroughput {
                id,
                from: Throughput::Bursting,
                to: Throughput::Provisioned(8.0),
                changed_at: None,
            },
            None,
        );
        assert_eq!(view.change, Verb::Change);
        assert_eq!(
            view.fields,
            [field("throughput", value("bursting"), value("provisioned at 8 MiB/s"))]
        );
    }

    #[test]
    fn what_is_revoked_is_removed() {
        let group = SecurityGroupId::parse("sg-0123456789abcdef0").expect("good");
        let view = view(
            &Step::RevokeIngress {
                group: group.clone(),
                source: group,
                description: "valkeep".into(),
            },
            None,
        );
        assert_eq!(view.change, Verb::Remove);
        assert_eq!(view.resource, "security-group rule");
    }
}
