//! Ids as AWS gives them: newtypes, because mixing them up is an outage.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An id that is not of the form AWS uses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {form}")]
pub struct IdError {
    /// What was given.
    pub text: String,
    /// What it should look like, for people: `a subnet id like subnet-0a1b2c3d4e5f67890`.
    pub form: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $prefix:literal, $form:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Reads an id; the prefix must fit and 8 to 40 hexadecimal digits must follow.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                let digits = text.strip_prefix($prefix).unwrap_or("");
                let good = (8..=40).contains(&digits.len())
                    && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
                if good { Ok(Self(text.to_owned())) } else { Err(IdError { text: text.to_owned(), form: $form }) }
            }

            /// Stands for an id that AWS will choose when `call` has run; only forecasts hold such ids.
            pub fn known_after(call: &str) -> Self {
                Self(format!("(known after {call})"))
            }

            /// Whether AWS has given this id already.
            pub fn is_known(&self) -> bool {
                !self.0.starts_with('(')
            }

            /// The id as AWS writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// A virtual private cloud.
    VpcId, "vpc-", "a VPC id like vpc-0a1b2c3d4e5f67890";
    /// A subnet of a VPC.
    SubnetId, "subnet-", "a subnet id like subnet-0a1b2c3d4e5f67890";
    /// A security group.
    SecurityGroupId, "sg-", "a security group id like sg-0a1b2c3d4e5f67890";
    /// An elastic network interface.
    NetworkInterfaceId, "eni-", "a network interface id like eni-0a1b2c3d4e5f67890";
    /// An EFS file system.
    FileSystemId, "fs-", "a file system id like fs-0a1b2c3d4e5f67890";
    /// An EFS mount target.
    MountTargetId, "fsmt-", "a mount target id like fsmt-0a1b2c3d4e5f67890";
    /// An EFS access point.
    AccessPointId, "fsap-", "an access point id like fsap-0a1b2c3d4e5f67890";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_another_kind_is_refused() {
        assert!(SubnetId::parse("subnet-0aaaaaaaaaaaaaaa1").is_ok());
        assert!(SubnetId::parse("sg-0aaaaaaaaaaaaaaa1").is_err());
        assert!(SubnetId::parse("subnet-").is_err());
        assert!(SubnetId::parse("subnet-0AAAAAAAA").is_err());
    }

    #[test]
    fn a_forecast_id_is_not_known() {
        assert!(!FileSystemId::known_after("CreateFileSystem").is_known());
    }
}
