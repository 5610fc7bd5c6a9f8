//! What the loop needs from the outside: the world to change, the server to ask, the time.
//!
//! Plain traits without a runtime; each has a real implementation and one for tests.

use crate::{Desired, Done, Doubt, Failure, Observed, Step, Timestamp, ValkeyInfo};
use std::future::Future;
use std::net::SocketAddr;

/// AWS, looked at and changed.
pub trait World: Send + Sync + 'static {
    /// Looks at everything that one document means, except Valkey. Never fails as a whole: each fact carries its doubt.
    fn observe(&self, desired: &Desired) -> impl Future<Output = Observed> + Send;

    /// Does one step, in one attempt as far as the planner is concerned. Idempotent: "it is so already" is success
    /// once the resource is seen to be ours.
    fn act(&self, desired: &Desired, step: &Step) -> impl Future<Output = Result<Done, Failure>> + Send;
}

/// A Valkey server, asked.
pub trait Probe: Send + Sync + 'static {
    /// `INFO`, bounded in time.
    fn info(&self, address: SocketAddr) -> impl Future<Output = Result<ValkeyInfo, Doubt>> + Send;
}

/// The time. Timers use tokio's clock; this is what is written down and compared with what AWS says.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}
