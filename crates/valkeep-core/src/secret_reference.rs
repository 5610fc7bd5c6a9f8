//! Where a secret lies. The reference may be shown and written down; the secret may not.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A reference as the `valueFrom` of a task definition's `secrets` spells it: the name or ARN of an SSM parameter, or the
/// ARN of a secret in Secrets Manager, which may go on with a JSON key, a stage and a version
/// (`arn:aws:secretsmanager:eu-west-1:123456789012:secret:cache-AbCdEf:password::`).
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html>
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretReference(String);

/// A reference taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretPlace<'a> {
    /// An SSM parameter, by name or ARN.
    Parameter(&'a str),
    /// A secret in Secrets Manager.
    Manager {
        /// Its ARN.
        arn: &'a str,
        /// Which value of the JSON object it holds; none is the whole text.
        key: Option<&'a str>,
        /// `AWSCURRENT` where none is named.
        stage: Option<&'a str>,
        /// A version, by id.
        version: Option<&'a str>,
    },
}

/// A text that refers to no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither the name or ARN of an SSM parameter nor the ARN of a secret in Secrets Manager")]
pub struct SecretReferenceError(String);

/// `arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME`.
const ARN_PARTS: usize = 7;

impl SecretReference {
    /// Takes a text that is one.
    pub fn parse(text: &str) -> Result<Self, SecretReferenceError> {
        match take_apart(text) {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(SecretReferenceError(text.chars().take(200).collect())),
        }
    }

    /// One value of the JSON object that a secret in Secrets Manager holds; without a key its whole text. `arn` is that of a
    /// secret alone.
    pub fn managed(arn: &str, key: Option<&str>) -> Result<Self, SecretReferenceError> {
        match key {
            Some(key) => Self::parse(&format!("{arn}:{key}::")),
            None => Self::parse(arn),
        }
    }

    /// The region that it lies in, where it says one.
    pub fn region(&self) -> Option<&str> {
        self.0.strip_prefix("arn:")?.split(':').nth(2)
    }

    /// The version before the current one; none of a parameter, and none where a version is named.
    #[must_use]
    pub fn previous(&self) -> Option<Self> {
        match self.place() {
            SecretPlace::Manager {
                arn,
                key,
                stage: None,
                version: None,
            } => Self::parse(&format!("{arn}:{}:AWSPREVIOUS:", key.unwrap_or_default())).ok(),
            SecretPlace::Manager { .. } | SecretPlace::Parameter(_) => None,
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where it leads.
    pub fn place(&self) -> SecretPlace<'_> {
        take_apart(&self.0).expect("parse takes nothing else")
    }
}

impl fmt::Display for SecretReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for SecretReference {
    type Error = SecretReferenceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<SecretReference> for String {
    fn from(reference: SecretReference) -> Self {
        reference.0
    }
}

fn take_apart(text: &str) -> Option<SecretPlace<'_>> {
    if !text.starts_with("arn:") {
        let named = !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
        return named.then_some(SecretPlace::Parameter(text));
    }
    let parts: Vec<&str> = text.split(':').collect();
    if parts.iter().take(ARN_PARTS - 1).any(|part| part.is_empty()) {
        return None;
    }
    match (parts.get(2).copied()?, parts.get(5).copied()?) {
        ("ssm", resource) if parts.len() == ARN_PARTS - 1 => {
            let name = resource.strip_prefix("parameter/")?;
            (!name.is_empty()).then_some(SecretPlace::Parameter(text))
        }
        ("secretsmanager", "secret") => {
            let name = parts.get(ARN_PARTS - 1).filter(|name| !name.is_empty())?;
            let arn = &text[..parts[..ARN_PARTS - 1].join(":").len() + 1 + name.len()];
            let part = |at: usize| parts.get(at).copied().filter(|part| !part.is_empty());
            (parts.len() <= ARN_PARTS + 3).then(|| SecretPlace::Manager {
                arn,
                key: part(ARN_PARTS),
                stage: part(ARN_PARTS + 1),
                version: part(ARN_PARTS + 2),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:cache/prod-AbCdEf";

    fn place(text: &str) -> SecretPlace<'_> {
        take_apart(text).unwrap_or_else(|| panic!("{text} is a reference"))
    }

    #[test]
    fn parameters_are_referred_to_by_name_or_arn() {
        for text in [
            "cache-password",
            "/cache/prod/password",
            "arn:aws-cn:ssm:cn-north-1:123456789012:parameter/cache/password",
        ] {
            assert_eq!(place(text), SecretPlace::Parameter(text));
        }
    }

    #[test]
    fn a_secret_may_go_on_with_key_stage_and_version() {
        let manager = |key, stage, version| SecretPlace::Manager {
            arn: SECRET,
            key,
            stage,
            version,
        };
        for (rest, expected) in [
            ("", manager(None, None, None)),
            (":password::", manager(Some("password"), None, None)),
            ("::AWSPREVIOUS:", manager(None, Some("AWSPREVIOUS"), None)),
            (":password::9d4cb84b", manager(Some("password"), None, Some("9d4cb84b"))),
        ] {
            assert_eq!(place(&format!("{SECRET}{rest}")), expected, "{rest}");
        }
    }

    #[test]
    fn what_refers_to_nothing_is_no_reference() {
        for text in [
            "",
            "two words",
            "arn:aws:s3:::bucket",
            "arn:aws:ssm:eu-west-1:123456789012:document/x",
            "arn:aws:ssm:eu-west-1:123456789012:parameter/",
            "arn:aws:ssm::123456789012:parameter/x",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret",
            &format!("{SECRET}:a:b:c:d"),
        ] {
            let error = SecretReference::parse(text).expect_err(text);
            assert!(error.to_string().contains(text));
            assert!(serde_json::from_value::<SecretReference>(text.into()).is_err());
        }
    }

    #[test]
    fn a_reference_reads_as_it_was_written() {
        let reference = SecretReference::parse(SECRET).expect("it is one");
        assert_eq!(serde_json::to_value(&reference).expect("text"), SECRET);
        assert_eq!(reference.to_string(), SECRET);
        assert!(matches!(reference.place(), SecretPlace::Manager { arn: SECRET, .. }));
        assert_eq!(reference.region(), Some("eu-west-1"));
        assert_eq!(SecretReference::parse("/a/b").expect("it is one").region(), None);
    }

    #[test]
    fn the_version_before_is_that_of_the_same_key() {
        let previous = |text: String| {
            let reference = SecretReference::parse(&text).expect("it is one");
            reference.previous().map(|before| before.to_string())
        };
        assert_eq!(previous(SECRET.to_owned()), Some(format!("{SECRET}::AWSPREVIOUS:")));
        assert_eq!(
            previous(format!("{SECRET}:password::")),
            Some(format!("{SECRET}:password:AWSPREVIOUS:"))
        );
        assert_eq!(previous(format!("{SECRET}::AWSPENDING:")), None);
        assert_eq!(previous("/cache/password".to_owned()), None);
    }
}
