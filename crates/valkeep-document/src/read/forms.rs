//! The forms of single values: what AWS, Valkey and Kubernetes' conventions take, and why not where they do not.

use super::report::{Wrong, quote};
use valkeep_core::ids::{IdError, SecurityGroupId, SubnetId, VpcId};

/// A rule on one text.
pub(super) type Form = fn(&str) -> Result<(), Wrong>;

/// Days that CloudWatch Logs takes as retention.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html>
pub(super) const RETENTION_DAYS: [u32; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

pub(super) fn dns_label(text: &str) -> Result<(), Wrong> {
    let good = (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    check(
        good,
        || format!("{} is not a DNS label", quote(text)),
        "use at most 63 lower-case letters, digits and inner hyphens, like `trigpointing-valkey`",
    )
}

pub(super) fn region(text: &str) -> Result<(), Wrong> {
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
pub(super) fn ecs_name(text: &str) -> Result<(), Wrong> {
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
pub(super) fn role_name(text: &str) -> Result<(), Wrong> {
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

pub(super) fn vpc_id(text: &str) -> Result<(), Wrong> {
    id(VpcId::parse(text))
}

pub(super) fn subnet_id(text: &str) -> Result<(), Wrong> {
    id(SubnetId::parse(text))
}

pub(super) fn security_group_id(text: &str) -> Result<(), Wrong> {
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
pub(super) fn image(text: &str) -> Result<(), Wrong> {
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

pub(super) fn role_arn(text: &str) -> Result<(), Wrong> {
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

pub(super) fn registry_arn(text: &str) -> Result<(), Wrong> {
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
pub(super) fn kms_key(text: &str) -> Result<(), Wrong> {
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

pub(super) fn log_group(text: &str) -> Result<(), Wrong> {
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

/// The access point's directory.
/// <https://docs.aws.amazon.com/efs/latest/ug/API_RootDirectory.html>
pub(super) fn access_point_path(text: &str) -> Result<(), Wrong> {
    absolute(text)?;
    let levels: Vec<&str> = text[1..].split('/').collect();
    let problem = if text == "/" {
        "`/` is the whole file system; a service gets a directory of its own".to_owned()
    } else if text.len() > 100 {
        format!("has {} characters, and EFS takes at most 100", text.len())
    } else if levels.len() > 4 {
        format!("has {} levels, and EFS takes at most 4", levels.len())
    } else if let Some(bad) = levels.iter().find(|level| level.is_empty() || level.starts_with('.')) {
        format!("has the level {}, and a level must be a plain name", quote(bad))
    } else if let Some(bad) = text
        .chars()
        .find(|letter| "$#<>;`|&?{}^*\n'\" \\".contains(*letter) || letter.is_control())
    {
        format!("has the character {}", quote(&bad.to_string()))
    } else {
        return Ok(());
    };
    Err(Wrong::new(problem, "write a directory like `/valkey-data`"))
}

/// Where the directory is mounted in the container.
pub(super) fn mount_path(text: &str) -> Result<(), Wrong> {
    /// Mounting over these takes away what the container runs on.
    const SYSTEM: [&str; 13] = [
        "bin", "boot", "dev", "etc", "lib", "lib64", "proc", "root", "run", "sbin", "sys", "tmp", "usr",
    ];
    absolute(text)?;
    let levels: Vec<&str> = text[1..].split('/').collect();
    let problem = if text == "/" {
        "`/` is the container's own root".to_owned()
    } else if text.len() > 255 {
        format!("has {} characters, at most 255 are taken", text.len())
    } else if SYSTEM.contains(&levels[0]) {
        format!("{} belongs to the container's system", quote(&text[..=levels[0].len()]))
    } else if let Some(bad) = levels.iter().find(|level| level.is_empty() || level.starts_with('.')) {
        format!("has the level {}, and a level must be a plain name", quote(bad))
    } else if !text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte))
    {
        format!("{} has characters other than letters, digits and `._-`", quote(text))
    } else {
        return Ok(());
    };
    Err(Wrong::new(problem, "write a directory like `/data`"))
}

fn absolute(text: &str) -> Result<(), Wrong> {
    check(
        text.starts_with('/'),
        || format!("{} is not an absolute path", quote(text)),
        "begin with a slash",
    )
}

/// Octal digits that let Valkey's own user read, write and enter.
pub(super) fn permissions(text: &str) -> Result<(), Wrong> {
    check(
        (3..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte)),
        || format!("{} are not octal permissions", quote(text)),
        "write 3 or 4 digits from 0 to 7 in quotes, like \"0755\"",
    )?;
    check(
        text.as_bytes()[text.len() - 3] == b'7',
        || {
            "with these permissions the owner, as whom Valkey runs, could not read, write and enter the directory"
                .to_owned()
        },
        "let the owner's digit be 7, like \"0755\"",
    )
}

/// The RDB file.
pub(super) fn rdb_filename(text: &str) -> Result<(), Wrong> {
    let problem = if text.is_empty() {
        "is empty".to_owned()
    } else if text.contains(['/', '\\']) {
        "has a slash: Valkey takes a file name here, and the directory is `fileSystem.mountPath`".to_owned()
    } else if text.len() > 200 {
        // 255 is the file system's limit; a dump that is set aside gets a longer name.
        format!("has {} characters, at most 200 are taken", text.len())
    } else if text.starts_with('.') || text.starts_with('-') {
        "begins with a dot or a hyphen".to_owned()
    } else if text.starts_with("valkeep") {
        "names that begin with `valkeep` are valkeep's own, like its lock file".to_owned()
    } else if text.starts_with("temp-") {
        "names that begin with `temp-` are what Valkey calls a snapshot that is not finished".to_owned()
    } else if text == "appendonlydir" || text == "nodes.conf" {
        format!("{} is a name that Valkey uses itself", quote(text))
    } else if !text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    {
        format!("{} has characters other than letters, digits and `._-`", quote(text))
    } else {
        return Ok(());
    };
    Err(Wrong::new(problem, "write a name like `dump.rdb`"))
}

/// Keys of labels and annotations, as Kubernetes has them: an optional DNS prefix and a name.
pub(super) fn label_key(text: &str) -> Result<(), Wrong> {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let dns = |part: &str| dns_label(part).is_ok();
    let good = label_word(name)
        && !name.is_empty()
        && prefix.is_none_or(|prefix| prefix.len() <= 253 && prefix.split('.').all(dns));
    check(
        good,
        || format!("{} is not a key that Kubernetes' tools would take", quote(text)),
        "use at most 63 letters, digits and inner `-_.`, like `team` or `example.com/team`",
    )
}

pub(super) fn label_value(text: &str) -> Result<(), Wrong> {
    check(
        label_word(text),
        || format!("{} is not a label value", quote(text)),
        "use at most 63 letters, digits and inner `-_.`, or an annotation",
    )
}

fn label_word(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let outer = |text: Option<char>| text.is_none_or(|letter| letter.is_ascii_alphanumeric());
    text.len() <= 63 && text.bytes().all(inner) && outer(text.chars().next()) && outer(text.chars().last())
}

pub(super) fn any_text(_: &str) -> Result<(), Wrong> {
    Ok(())
}

pub(super) fn tag_key(text: &str) -> Result<(), Wrong> {
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

pub(super) fn tag_value(text: &str) -> Result<(), Wrong> {
    check(
        text.chars().count() <= 256 && text.chars().all(tag_letter),
        || format!("{} is not a tag value", quote(text)),
        "use at most 256 letters, digits, spaces and `_.:/=+-@`",
    )
}

fn tag_letter(letter: char) -> bool {
    letter.is_alphanumeric() || " _.:/=+-@".contains(letter)
}

fn check(good: bool, problem: impl FnOnce() -> String, instead: &str) -> Result<(), Wrong> {
    if good {
        Ok(())
    } else {
        Err(Wrong::new(problem(), instead))
    }
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
pub(super) fn fargate_pair(cpu: u32, memory_mib: u32) -> Result<(), Wrong> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn good(form: Form, text: &str) {
        assert_eq!(form(text), Ok(()), "{text}");
    }

    fn bad(form: Form, text: &str) {
        assert!(form(text).is_err(), "{text}");
    }

    #[test]
    fn an_image_needs_a_tag_that_says_a_version() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        good(image, "valkey/valkey:8.0");
        good(image, "valkey:8.1.3-alpine");
        good(image, "registry.example.com:5000/team/valkey:8.0");
        good(image, &format!("valkey/valkey:8.0@{digest}"));
        bad(image, "valkey/valkey");
        bad(image, "registry.example.com:5000/valkey");
        bad(image, "valkey/valkey:latest");
        bad(image, &format!("valkey/valkey:latest@{digest}"));
        bad(image, &format!("valkey/valkey@{digest}"));
        bad(image, "valkey/valkey:8.0@sha256:12");
        bad(image, "Valkey:8.0");
        bad(image, ":8.0");
        bad(image, "");
        bad(image, "valkey:8 0");
        bad(image, "a//b:1");
    }

    #[test]
    fn regions_keys_and_arns_have_their_forms() {
        good(region, "eu-west-1");
        good(region, "us-gov-west-1");
        bad(region, "eu-west-1a");
        bad(region, "Ireland");
        good(kms_key, "alias/my-key");
        good(kms_key, "1234abcd-12ab-34cd-56ef-1234567890ab");
        good(
            kms_key,
            "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        );
        bad(kms_key, "my-key");
        bad(kms_key, "arn:aws:iam::123456789012:role/x");
        good(role_arn, "arn:aws-cn:iam::123456789012:role/path/name");
        bad(role_arn, "arn:aws:iam::123:role/name");
        good(
            registry_arn,
            "arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-abc",
        );
        bad(
            registry_arn,
            "arn:aws:servicediscovery:eu-west-1:123456789012:namespace/ns-abc",
        );
    }

    #[test]
    fn fargate_takes_certain_pairs() {
        assert_eq!(fargate_pair(256, 512), Ok(()));
        assert_eq!(fargate_pair(16384, 122_880), Ok(()));
        assert!(fargate_pair(256, 1536).is_err());
        assert!(fargate_pair(300, 512).is_err());
        assert!(fargate_pair(8192, 17000).is_err());
    }

    #[test]
    fn a_directory_is_absolute_and_our_own() {
        good(access_point_path, "/a/b/c/d");
        for text in ["/", "a", "/a/b/c/d/e", "/a/../b", "/a//b", "/a b", ""] {
            bad(access_point_path, text);
        }
        good(mount_path, "/var/lib/valkey");
        for text in ["/", "/etc/valkey", "/proc", "/a/..", "data"] {
            bad(mount_path, text);
        }
    }
}
