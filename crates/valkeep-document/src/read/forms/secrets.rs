//! References to secrets, and who is meant by them.

use super::super::report::{Wrong, quote};
use super::check;
use valkeep_core::SecretReference;
use valkeep_core::secret_reference::SecretPlace;

/// A secret of Secrets Manager, alone.
pub(in crate::read) fn secret_arn(text: &str) -> Result<(), Wrong> {
    let parsed = SecretReference::parse(text);
    match parsed.as_ref().map(SecretReference::place) {
        Ok(SecretPlace::Manager {
            key: None,
            stage: None,
            version: None,
            ..
        }) if !text.ends_with(':') => Ok(()),
        Ok(SecretPlace::Manager { arn, .. }) => Err(Wrong::new(
            "goes on behind the secret's name",
            format!("write {}; a key has a field of its own", quote(arn)),
        )),
        // Not shown: it may be the secret itself.
        Ok(SecretPlace::Parameter(_)) | Err(_) => Err(Wrong::new(
            "is not the ARN of a secret",
            "write it like `arn:aws:secretsmanager:eu-west-1:123456789012:secret:cache-AbCdEf`",
        )),
    }
}

/// A parameter of SSM, by name or ARN.
pub(in crate::read) fn parameter(text: &str) -> Result<(), Wrong> {
    let parsed = SecretReference::parse(text);
    check(
        matches!(
            parsed.as_ref().map(SecretReference::place),
            Ok(SecretPlace::Parameter(_))
        ),
        || "is neither the name nor the ARN of a parameter".to_owned(),
        "write it like `/cache/password`",
    )
}

/// A key of a JSON object. ECS takes no colon in it.
pub(in crate::read) fn secret_key(text: &str) -> Result<(), Wrong> {
    check(
        (1..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'),
        || format!("{} is not a key that ECS can name", quote(text)),
        "use at most 256 visible ASCII letters without a colon, like `password`",
    )
}

pub(in crate::read) fn acl_user(text: &str) -> Result<(), Wrong> {
    check(
        (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_.@-".contains(&byte)),
        || format!("{} is not a user's name", quote(text)),
        "use at most 64 letters, digits and `_.@-`",
    )
}

pub(in crate::read) fn host_name(text: &str) -> Result<(), Wrong> {
    check(
        (1..=253).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)),
        || format!("{} is not a host's name", quote(text)),
        "write the name that the server's certificate is for, like `valkey.example.com`",
    )
}
