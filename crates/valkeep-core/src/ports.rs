//! What the loop needs from the outside: the world to change, the server to ask, the time.
//!
//! Plain traits without a runtime; each has a real implementation and one for tests.

use crate::access::{Login, Secret, ServerTarget};
use crate::valkey::{ServerChange, ServerSettings};
use crate::{Desired, Done, Doubt, Failure, Observed, SecretReference, Step, Timestamp, ValkeyInfo};
use std::future::Future;

/// AWS, looked at and changed.
pub trait World: Send + Sync + 'static {
    /// Looks at everything that one document means, except Valkey. Never fails as a whole: each fact carries its doubt.
    fn observe(&self, desired: &Desired) -> impl Future<Output = Observed> + Send;

    /// Does one step, in one attempt as far as the planner is concerned. Idempotent: "it is so already" is success
    /// once the resource is seen to be ours.
    fn act(&self, desired: &Desired, step: &Step) -> impl Future<Output = Result<Done, Failure>> + Send;
}

/// Valkey servers, asked and told. Every call is bounded in time. A bare address is a server without login and TLS.
///
/// Nothing of a call is kept for the next: a password that was rotated is in use with the first call that brings it.
pub trait Servers: Send + Sync + 'static {
    /// `INFO`.
    fn info(&self, target: impl Into<ServerTarget> + Send) -> impl Future<Output = Result<ValkeyInfo, Doubt>> + Send;

    /// `CONFIG GET` of these settings. One that the server does not know is left out.
    fn settings(
        &self,
        target: impl Into<ServerTarget> + Send,
        names: &[&str],
    ) -> impl Future<Output = Result<ServerSettings, Doubt>> + Send;

    /// Makes one change, in one attempt, on the process with this run id and no other: what was decided for one server must
    /// not reach the next one at its address.
    fn change(
        &self,
        target: impl Into<ServerTarget> + Send,
        run_id: &str,
        change: &ServerChange,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Gives the default user and the login's own user this password in place of every other, on the process with this run
    /// id. Connections that are open stay so.
    fn set_password(
        &self,
        target: impl Into<ServerTarget> + Send,
        run_id: &str,
        login: &Login,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Secrets, read where they lie.
pub trait Secrets: Send + Sync + 'static {
    /// What it is now, in the region and account of the document. Never kept: who gets a doubt about a password asks
    /// here again. The doubt never holds any part of it.
    fn secret(
        &self,
        desired: &Desired,
        reference: &SecretReference,
    ) -> impl Future<Output = Result<Secret, Doubt>> + Send;
}

/// The time. Timers use tokio's clock; this is what is written down and compared with what AWS says.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}
