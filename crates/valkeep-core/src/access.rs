//! How a server is reached and as whom: address, login, TLS.
//!
//! What is secret can be used and not shown: it has no `Display`, cannot be serialized, and its `Debug` is `***`.

use crate::SecretReference;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use zeroize::Zeroizing;

/// A text that is for one eye only. It is overwritten in memory when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, for whoever sends it. It belongs in no message, log or status.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Who valkeep is to a server.
#[derive(Debug, Clone)]
pub struct Login {
    /// An ACL user; none is the default user, whose password `requirepass` is.
    pub user: Option<String>,
    /// Its password.
    pub password: Secret,
}

/// How a server proves who it is.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Certificates of the authorities that may have signed the server's, as PEM; none are those that the system trusts.
    pub ca_pem: Option<String>,
    /// The name that its certificate must be for; none is its IP address.
    pub server_name: Option<String>,
}

/// What it takes to be let in. The default is neither login nor TLS.
#[derive(Debug, Clone, Default)]
pub struct ServerAccess {
    /// The password, where the server has one.
    pub login: Option<Login>,
    /// TLS, where the server speaks it.
    pub tls: Option<Tls>,
}

/// One server.
#[derive(Debug, Clone)]
pub struct ServerTarget {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it takes to be let in.
    pub access: ServerAccess,
}

impl From<SocketAddr> for ServerTarget {
    fn from(address: SocketAddr) -> Self {
        Self {
            address,
            access: ServerAccess::default(),
        }
    }
}

/// What it takes to be let in, as a document says it: by reference, so it may be shown and written down.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessSpec {
    /// The login, where the server asks for one.
    pub login: Option<LoginSpec>,
    /// TLS, where the server speaks it.
    pub tls: Option<TlsSpec>,
}

/// Who valkeep is to a server, by reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginSpec {
    /// An ACL user; none is the default user.
    pub user: Option<UserSpec>,
    /// Where its password lies.
    pub password: SecretReference,
}

/// The name of an ACL user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserSpec {
    /// This one.
    Named(String),
    /// It lies beside the password.
    In(SecretReference),
}

/// How a server proves who it is, by reference.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsSpec {
    /// Where the authorities' certificates lie, as PEM; none are those that the system trusts.
    pub ca: Option<SecretReference>,
    /// The name that the server's certificate must be for; none is its IP address.
    pub server_name: Option<String>,
}

impl AccessSpec {
    /// Whether the document names neither login nor TLS.
    pub fn is_open(&self) -> bool {
        self.login.is_none() && self.tls.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown_by_what_holds_it() {
        let target = ServerTarget {
            address: "127.0.0.1:6379".parse().expect("an address"),
            access: ServerAccess {
                login: Some(Login {
                    user: Some("valkeep".to_owned()),
                    password: Secret::new("hunter2".to_owned()),
                }),
                tls: None,
            },
        };
        let shown = format!("{target:?} {target:#?}");
        assert!(shown.contains("***") && shown.contains("valkeep"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
