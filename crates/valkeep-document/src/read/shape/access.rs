//! `spec.valkey.credentialsFrom` and `spec.valkey.tls`: what it takes to be let in, by reference only.

use super::super::forms;
use super::super::report::Report;
use super::super::tree::{At, join};
use super::super::walk::{Field, Map};
use super::optional;
use super::service::Task;
use crate::access::{CaFrom, CredentialsFrom, ServerTls};
use crate::types::LaunchType;

/// What to do with a password that stands in a document.
pub(super) const NO_PASSWORD: &str = "remove it: put it into Secrets Manager or into a SecureString parameter, and name that in `valkey.credentialsFrom`";

/// The references of a document, and where each stands.
pub(super) type References = Vec<(String, At)>;

pub(super) fn credentials(
    field: &Field<'_>,
    task: &Task,
    references: &mut References,
    report: &mut Report,
) -> Option<CredentialsFrom> {
    if field.is_text() {
        // Not shown: it may be the password.
        field.say(
            report,
            "is a text, and a map with `secretArn` or `ssmParameter` is wanted",
            NO_PASSWORD,
        );
        return None;
    }
    let mut map = field.map(report)?;
    let (secret_arn, ssm_parameter) = place(&mut map, field, references, report)?;
    let of_a_secret = secret_arn.is_some();
    let mut key = |name| {
        optional(map.take(name), |field| {
            let key = field.text(report, forms::secret_key)?;
            if !of_a_secret {
                field.say(
                    report,
                    "is for a secret in Secrets Manager; a parameter is the password and nothing else",
                    "remove it, or name a `secretArn`",
                );
                return None;
            }
            Some(key)
        })
    };
    let username_key = key("usernameKey");
    let password_key = key("passwordKey");
    let has_key = username_key.as_ref().is_none_or(Option::is_some);
    let username = optional(map.take("username"), |field| {
        let name = field.text(report, forms::acl_user)?;
        if has_key {
            field.say(
                report,
                "says the user a second time",
                "keep one of `username` and `usernameKey`",
            );
            return None;
        }
        Some(name)
    });
    if let (Some(Some(_)), Some(None)) = (&username_key, &password_key) {
        report.say(
            field.at(),
            &join(&field.path, "passwordKey"),
            "is missing; a secret that holds a user's name is a JSON object",
            "write the key of the password, like `password`",
        );
    }
    map.finish(report, &[("password", NO_PASSWORD)]);
    if task.created && task.launch_type == Some(LaunchType::Ec2) && !task.has_execution_role {
        field.say(
            report,
            "needs `service.create.executionRoleArn`: ECS reads the password as that role when it starts a task",
            "write the ARN of a role that may read it",
        );
        return None;
    }
    Some(CredentialsFrom {
        secret_arn,
        username_key: username_key?,
        password_key: password_key?,
        ssm_parameter,
        username: username?,
    })
}

pub(super) fn tls(
    field: &Field<'_>,
    task: &Task,
    references: &mut References,
    report: &mut Report,
) -> Option<ServerTls> {
    let mut map = field.map(report)?;
    let enabled = map
        .require(report, "enabled", "write `true` or `false`")
        .and_then(|field| {
            let enabled = field.boolean(report)?;
            if enabled && task.created {
                field.say(
                    report,
                    "is for services that exist, which have their certificates already; valkeep gives none to a service \
                     that it makes",
                    "write `false`, or remove `service.create`",
                );
                return None;
            }
            Some(enabled)
        });
    let ca_from = optional(map.take("caFrom"), |field| {
        let mut map = field.map(report)?;
        let (secret_arn, ssm_parameter) = place(&mut map, &field, references, report)?;
        map.finish(report, &[]);
        Some(CaFrom {
            secret_arn,
            ssm_parameter,
        })
    });
    let server_name = optional(map.take("serverName"), |field| field.text(report, forms::host_name));
    map.finish(
        report,
        &[("insecure", "remove it: a certificate that nobody checks proves nothing")],
    );
    Some(ServerTls {
        enabled: enabled?,
        ca_from: ca_from?,
        server_name: server_name?,
    })
}

/// Exactly one of the two places where a secret may lie.
fn place(
    map: &mut Map<'_>,
    whole: &Field<'_>,
    references: &mut References,
    report: &mut Report,
) -> Option<(Option<String>, Option<String>)> {
    let (secret, parameter) = (map.take("secretArn"), map.take("ssmParameter"));
    match (&secret, &parameter) {
        (Some(field), None) | (None, Some(field)) => references.push((whole.path.clone(), field.at())),
        (None, None) | (Some(_), Some(_)) => {
            let problem = match secret {
                Some(_) => "names both a secret and a parameter",
                None => "names neither a secret nor a parameter",
            };
            whole.say(report, problem, "write either `secretArn` or `ssmParameter`");
            return None;
        }
    }
    let secret = optional(secret, |field| field.text(report, forms::secret_arn))?;
    let parameter = optional(parameter, |field| field.text(report, forms::parameter))?;
    Some((secret, parameter))
}
