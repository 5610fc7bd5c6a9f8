//! Where a document's resources are, and as whom valkeep works there.
//!
//! Documents, status and lease stay at home ([`crate::Scope`]); only what a document means can be elsewhere.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A region, and the role that valkeep takes on there; none is valkeep's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Like `eu-west-1`.
    pub region: String,
    /// Its account is the one that everything is made in.
    pub role: Option<AssumedRole>,
}

/// A role that is assumed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AssumedRole {
    /// Which.
    pub arn: RoleArn,
    /// What its trust policy may ask for (`sts:ExternalId`). Not a secret.
    pub external_id: Option<String>,
}

/// `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoleArn(String);

/// A text that is not the ARN of a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not the ARN of a role")]
pub struct RoleArnError {
    /// What was given.
    pub text: String,
}

impl RoleArn {
    /// Reads an ARN.
    pub fn parse(text: &str) -> Result<Self, RoleArnError> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let good = match parts.as_slice() {
            ["arn", partition, "iam", "", account, resource] => {
                (*partition == "aws" || partition.starts_with("aws-"))
                    && account.len() == 12
                    && account.bytes().all(|byte| byte.is_ascii_digit())
                    && resource
                        .strip_prefix("role/")
                        .and_then(|role| role.rsplit('/').next())
                        .is_some_and(|name| (1..=64).contains(&name.len()))
                    && resource.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':')
                    // IAM takes paths of 512 and names of 64 characters.
                    && text.len() <= 700
            }
            _ => false,
        };
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(RoleArnError { text: text.to_owned() })
        }
    }

    /// As AWS writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub fn partition(&self) -> &str {
        self.part(1)
    }

    /// Twelve digits.
    pub fn account(&self) -> &str {
        self.part(4)
    }

    fn part(&self, index: usize) -> &str {
        self.0.split(':').nth(index).expect("a parsed ARN has six parts")
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RoleArn {
    type Error = RoleArnError;

    fn try_from(text: String) -> Result<Self, RoleArnError> {
        Self::parse(&text)
    }
}

impl From<RoleArn> for String {
    fn from(arn: RoleArn) -> Self {
        arn.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_tells_its_partition_and_account() {
        let arn = RoleArn::parse("arn:aws-cn:iam::123456789012:role/teams/blue/valkeep").expect("good");
        assert_eq!((arn.partition(), arn.account()), ("aws-cn", "123456789012"));
    }

    #[test]
    fn what_is_not_a_role_is_refused() {
        for text in [
            "valkeep",
            "arn:aws:iam::123456789012:user/valkeep",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/path/",
            "arn:aws:iam::12345678901:role/valkeep",
            "arn:aws:iam:eu-west-1:123456789012:role/valkeep",
            "arn:aws:sts::123456789012:assumed-role/valkeep/session",
            "arn:aws:iam::123456789012:role/a b",
        ] {
            assert!(RoleArn::parse(text).is_err(), "{text}");
        }
    }
}
