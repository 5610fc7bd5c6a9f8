//! Connections to the service's server, by the login and the TLS that the document refers to.

use crate::commands::plan;
use std::net::SocketAddr;
use std::time::Duration;
use valkeep_aws::Aws;
use valkeep_core::access::{ServerAccess, ServerTarget};
use valkeep_core::observed::Task;
use valkeep_core::{Desired, Doubt, Failure, FailureKind, Observed};
use valkeep_engine::Keyring;
use valkeep_valkey::Session;

/// See the module.
pub(super) struct Door<'a> {
    aws: &'a Aws,
    desired: &'a Desired,
    keyring: Keyring,
}

impl<'a> Door<'a> {
    pub(super) fn new(aws: &'a Aws, desired: &'a Desired) -> Self {
        Self {
            aws,
            desired,
            keyring: Keyring::default(),
        }
    }

    /// Everything that the document means, as it is.
    pub(super) async fn observe(&self) -> Observed {
        plan::observe(self.aws, &self.keyring, self.desired).await
    }

    /// The service's tasks, in a few calls.
    pub(super) async fn tasks(&self) -> Result<Vec<Task>, Failure> {
        self.aws.tasks(self.desired).await
    }

    /// A connection. `patience` is for connecting and for each answer.
    pub(super) async fn open(&self, address: SocketAddr, patience: Duration) -> Result<Session, Failure> {
        let access = self.keyring.access(self.aws, self.desired).await.map_err(unread)?;
        match self.knock(address, access, patience).await {
            // It may have been started with what the secret is now.
            Err(failure) if matches!(failure.code.as_str(), "NOAUTH" | "WRONGPASS") => {
                match self.keyring.access_anew(self.aws, self.desired).await {
                    Some(Ok(access)) => self.knock(address, access, patience).await,
                    Some(Err(doubt)) => Err(unread(doubt)),
                    None => Err(failure),
                }
            }
            answer => answer,
        }
    }

    async fn knock(&self, address: SocketAddr, access: ServerAccess, patience: Duration) -> Result<Session, Failure> {
        Session::open(ServerTarget { address, access }, patience).await
    }
}

fn unread(doubt: Doubt) -> Failure {
    Failure {
        call: doubt.call,
        kind: FailureKind::Other,
        code: "SecretUnreadable".to_owned(),
        message: doubt.message,
    }
}
