//! What AWS takes.

use super::super::report::{Wrong, quote};
use super::check;
use valkeep_core::RoleArn;
use valkeep_core::ids::{AccessPointId, FileSystemId, IdError, SecurityGroupId, SubnetId, VpcId};

pub(in crate::read) fn region(text: &str) -> Result<(), Wrong> {
    let parts: Vec<&str> = text.split('-').collect();
    let good = match parts.as_slice() {
        [continent, middle @ .., number] => {
            continent.len() == 2
                && !middle.is_empty()
                && middle.iter().all(|part| !part.is_empty())
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
                && number.len() == 1
                && number.bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    };
    check(
        good,
        || format!("{} is not an AWS region", quote(text)),
        "write it like `eu-west-1`, without a zone letter",
    )
}

/// Clusters, services and containers of ECS.
pub(in crate::read) fn ecs_name(text: &str) -> Result<(), Wrong> {
    name_not_arn(text)?;
    check(
        (1..=255).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
        || format!("{} is not a name that ECS takes", quote(text)),
        "use at most 255 letters, digits, hyphens and underscores",
    )
}

/// IAM roles.
pub(in crate::read) fn role_name(text: &str) -> Result<(), Wrong> {
    name_not_arn(text)?;
    check(
        (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte)),
        || format!("{} is not a role name", quote(text)),
        "use at most 64 letters, digits and `_+=,.@-`, without a path",
    )
}

fn name_not_arn(text: &str) -> Result<(), Wrong> {
    if !text.starts_with("arn:") {
        return Ok(());
    }
    let name = text.rsplit(['/', ':']).next().unwrap_or_default();
    Err(Wrong::new(
        "is an ARN, and a name is wanted",
        format!("write {}", quote(name)),
    ))
}

pub(in crate::read) fn file_system_id(text: &str) -> Result<(), Wrong> {
    id(FileSystemId::parse(text))
}

pub(in crate::read) fn access_point_id(text: &str) -> Result<(), Wrong> {
    id(AccessPointId::parse(text))
}

pub(in crate::read) fn vpc_id(text: &str) -> Result<(), Wrong> {
    id(VpcId::parse(text))
}

pub(in crate::read) fn subnet_id(text: &str) -> Result<(), Wrong> {
    id(SubnetId::parse(text))
}

pub(in crate::read) fn security_group_id(text: &str) -> Result<(), Wrong> {
    id(SecurityGroupId::parse(text))
}

fn id<T>(parsed: Result<T, IdError>) -> Result<(), Wrong> {
    match parsed {
        Ok(_) => Ok(()),
        Err(error) => Err(Wrong::new(
            format!("{} is not an id of the right form", quote(&error.text)),
            format!("write {}", error.form),
        )),
    }
}

/// `name:tag`, a digest may follow.
pub(in crate::read) fn image(text: &str) -> Result<(), Wrong> {
    let (tagged, digest) = match text.split_once('@') {
        Some((tagged, digest)) => (tagged, Some(digest)),
        None => (text, None),
    };
    if let Some(digest) = digest {
        let hex = digest.strip_prefix("sha256:").unwrap_or_default();
        let good = hex.len() == 64
            && hex
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        check(
            good,
            || format!("{} is not a digest", quote(digest)),
            "write `sha256:` and 64 hexadecimal digits, or the tag alone",
        )?;
    }
    // A colon before the last slash is the port of a registry.
    let last = tagged.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match tagged[last..].find(':') {
        Some(colon) => (&tagged[..last + colon], Some(&tagged[last + colon + 1..])),
        None => (tagged, None),
    };
    let good = !name.is_empty()
        && text.len() <= 255
        && name.split('/').all(|part| !part.is_empty())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-/:".contains(&byte))
        && !name[last.min(name.len())..]
            .bytes()
            .any(|byte| byte.is_ascii_uppercase());
    check(
        good,
        || format!("{} is not an image", quote(text)),
        "write it like `valkey/valkey:8.0` or `123456789012.dkr.ecr.eu-west-1.amazonaws.com/valkey:8.0`",
    )?;
    match (tag, digest) {
        (None, None) => Err(Wrong::new(
            "the image has no tag, which means `latest`, and what that is changes under the document",
            format!(
                "write a version, like `{}:8.0`",
                name.chars().take(60).collect::<String>()
            ),
        )),
        (None, Some(_)) => Err(Wrong::new(
            "a digest alone does not tell the version, and valkeep must know it: an older server must never be started \
             on files that a newer one wrote",
            "write the tag before the digest, like `valkey/valkey:8.0@sha256:...`",
        )),
        (Some("latest"), _) => Err(Wrong::new(
            "what `latest` is changes under the document",
            format!(
                "write a version, like `{}:8.0`",
                name.chars().take(60).collect::<String>()
            ),
        )),
        (Some(tag), _) => check(
            (1..=128).contains(&tag.len())
                && tag
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
                && !tag.starts_with(['.', '-']),
            || format!("{} is not an image tag", quote(tag)),
            "write a version, like `8.0`",
        ),
    }
}

pub(in crate::read) fn role_arn(text: &str) -> Result<(), Wrong> {
    let good = arn(text).is_some_and(|arn| {
        arn.service == "iam"
            && arn.region.is_empty()
            && arn.resource.strip_prefix("role/").is_some_and(|role| !role.is_empty())
    });
    check(
        good,
        || format!("{} is not the ARN of a role", quote(text)),
        "write it like `arn:aws:iam::123456789012:role/my-execution-role`",
    )
}

/// The role that valkeep assumes. A session of a role is a frequent slip: it is what `aws sts get-caller-identity` shows.
pub(in crate::read) fn assumed_role_arn(text: &str) -> Result<(), Wrong> {
    if let Some(session) = arn(text).filter(|arn| arn.service == "sts")
        && let Some(role) = session.resource.strip_prefix("assumed-role/")
    {
        let name = role.split('/').next().unwrap_or_default();
        return Err(Wrong::new(
            format!("{} is a session of a role, and the role is wanted", quote(text)),
            format!("write the role's own ARN, which ends in `:role/{name}` unless it has a path"),
        ));
    }
    check(
        RoleArn::parse(text).is_ok(),
        || format!("{} is not the ARN of a role", quote(text)),
        "write it like `arn:aws:iam::123456789012:role/valkeep`",
    )
}

/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
pub(in crate::read) fn external_id(text: &str) -> Result<(), Wrong> {
    check(
        (2..=1224).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte)),
        || format!("{} is not an external id", quote(text)),
        "use 2 to 1224 letters, digits and `_+=,.@:/-`",
    )
}

pub(in crate::read) fn registry_arn(text: &str) -> Result<(), Wrong> {
    let good = arn(text).is_some_and(|arn| {
        arn.service == "servicediscovery"
            && !arn.region.is_empty()
            && arn
                .resource
                .strip_prefix("service/srv-")
                .is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    });
    check(
        good,
        || format!("{} is not the ARN of a Cloud Map service", quote(text)),
        "write it like `arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-0123456789abcdef`",
    )
}

/// Key id, key ARN, alias or alias ARN.
pub(in crate::read) fn kms_key(text: &str) -> Result<(), Wrong> {
    let key_id = |id: &str| match id.strip_prefix("mrk-") {
        Some(hex) => hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => {
            id.len() == 36
                && id.split('-').map(str::len).eq([8, 4, 4, 4, 12])
                && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
        }
    };
    let alias = |alias: &str| {
        (1..=250).contains(&alias.len())
            && alias
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte))
    };
    let local = |key: &str| match (key.strip_prefix("alias/"), key.strip_prefix("key/")) {
        (Some(name), _) => alias(name),
        (None, Some(id)) => key_id(id),
        (None, None) => false,
    };
    let good = key_id(text)
        || text.strip_prefix("alias/").is_some_and(alias)
        || arn(text).is_some_and(|arn| arn.service == "kms" && !arn.region.is_empty() && local(arn.resource));
    check(
        good,
        || format!("{} is not a KMS key", quote(text)),
        "write a key id, `alias/` and a name, or the ARN of either",
    )
}

struct Arn<'a> {
    service: &'a str,
    region: &'a str,
    resource: &'a str,
}

/// `arn:partition:service:region:account:resource`, with an account.
fn arn(text: &str) -> Option<Arn<'_>> {
    let mut parts = text.splitn(6, ':');
    let (head, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    let good = head == "arn"
        && (partition == "aws" || partition.starts_with("aws-"))
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    good.then_some(Arn {
        service,
        region,
        resource,
    })
}

pub(in crate::read) fn log_group(text: &str) -> Result<(), Wrong> {
    if text.starts_with("aws/") {
        return Err(Wrong::new(
            "`aws/` is reserved by CloudWatch Logs",
            "write another name, like `/ecs/my-valkey`",
        ));
    }
    check(
        (1..=512).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-/#".contains(&byte)),
        || format!("{} is not a log group name", quote(text)),
        "use at most 512 letters, digits and `._-/#`, like `/ecs/my-valkey`",
    )
}

pub(in crate::read) fn tag_key(text: &str) -> Result<(), Wrong> {
    if text.to_ascii_lowercase().starts_with("aws:") {
        return Err(Wrong::new(
            "keys that begin with `aws:` are AWS's own",
            "take another key",
        ));
    }
    if text.starts_with(valkeep_core::identity::TAG_PREFIX) {
        return Err(Wrong::new(
            "keys that begin with `valkeep.dev/` are valkeep's own",
            "take another key",
        ));
    }
    check(
        (1..=128).contains(&text.chars().count()) && text.chars().all(tag_letter),
        || format!("{} is not a tag key", quote(text)),
        "use 1 to 128 letters, digits, spaces and `_.:/=+-@`",
    )
}

pub(in crate::read) fn tag_value(text: &str) -> Result<(), Wrong> {
    check(
        text.chars().count() <= 256 && text.chars().all(tag_letter),
        || format!("{} is not a tag value", quote(text)),
        "use at most 256 letters, digits, spaces and `_.:/=+-@`",
    )
}

fn tag_letter(letter: char) -> bool {
    letter.is_alphanumeric() || " _.:/=+-@".contains(letter)
}

/// Memory in MiB that Fargate takes with these CPU units: first, last and the step between; none for units that it does
/// not have. <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html>
fn fargate_memory(cpu: u32) -> Option<(u32, u32, u32)> {
    Some(match cpu {
        256 => (512, 2048, 512),
        512 => (1024, 4096, 1024),
        1024 => (2048, 8192, 1024),
        2048 => (4096, 16384, 1024),
        4096 => (8192, 30720, 1024),
        8192 => (16384, 61440, 4096),
        16384 => (32768, 122_880, 8192),
        _ => return None,
    })
}

/// Whether Fargate takes the pair.
pub(in crate::read) fn fargate_pair(cpu: u32, memory_mib: u32) -> Result<(), Wrong> {
    let Some((first, last, step)) = fargate_memory(cpu) else {
        return Err(Wrong::new(
            format!("Fargate has no tasks of {cpu} CPU units"),
            "write 256, 512, 1024, 2048, 4096, 8192 or 16384",
        ));
    };
    // 256 CPU units have no task of 1.5 GB.
    let good = (first..=last).contains(&memory_mib)
        && (memory_mib - first).is_multiple_of(step)
        && (cpu, memory_mib) != (256, 1536);
    let instead = if cpu == 256 {
        "write 512, 1024 or 2048".to_owned()
    } else {
        format!("write {first} to {last} in steps of {step}")
    };
    check(
        good,
        || format!("Fargate has no tasks of {cpu} CPU units with {memory_mib} MiB"),
        &instead,
    )
}
