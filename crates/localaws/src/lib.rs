//! An AWS in one process, for the demo, development and tests.
//!
//! It speaks the real wire protocols of S3, SSM, Secrets Manager, EFS, ECS, EC2, IAM, STS, CloudWatch Logs and Cloud Map
//! for the operations that valkeep uses, so that an unchanged SDK or the `aws` command line can talk to it: over TCP
//! ([`serve`]) or without sockets ([`LocalAws::handle`]) under a paused clock.
//!
//! It has as many regions and accounts as are asked for ([`LocalAws::at`], or a signature for another region, or by a role
//! of another account): each region of an account is a world of its own, IAM is one for all regions of an account, and
//! S3 one for everything. Real tasks run at home only; elsewhere they are simulated.
//!
//! It knows nothing of valkeep, checks no signatures, and must never be linked into the shipped binary.
//!
//! What it does not do, though AWS does: limit rates (throttling is a [`Fault`]), check the caller's own permissions
//! (denial is a [`Fault`]), charge, replicate, back up, encrypt, or copy between zones. A `SecureString` is not
//! encrypted, only withheld. Multipart uploads, object copies, bucket policies and notifications are not known, and
//! an operation that is not known is refused as such, never taken for another.

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test may fail by it"))]

mod block;
mod clock;
mod config;
mod discovery;
mod ec2;
mod ecs;
mod efs;
mod error;
mod fault;
mod iam;
mod ids;
mod logs;
mod places;
mod record;
mod s3;
mod scaling;
mod secrets;
mod server;
mod ssm;
mod state;
mod sts;
mod tasks;
mod wire;
pub mod world;

pub use block::AddressBlock;
pub use config::{Config, Delays, Knobs, Program};
pub use ecs::TaskFate;
pub use error::ApiError;
pub use fault::{Call, Fault, FaultKind, Match};
pub use server::serve;
pub use tasks::TaskRunner;
pub use wire::Service;

use bytes::Bytes;
use jiff::Timestamp;
use places::{Held, Shared};
use serde_json::Value;
use state::State;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use wire::{Reply, Request};

/// The call was carried out, and its answer is lost on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the reply was lost")]
pub struct Lost;

/// An AWS in one process, looked at from one region of one account. Clones are the same AWS.
#[derive(Clone)]
pub struct LocalAws {
    shared: Arc<Shared>,
    inner: Arc<Inner>,
}

/// One region of one account.
struct Inner {
    config: Arc<Config>,
    clock: clock::Clock,
    state: Mutex<State>,
    /// The account's, shared by its regions.
    iam: Arc<Mutex<iam::Iam>>,
}

impl std::fmt::Debug for LocalAws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalAws")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

impl LocalAws {
    /// An empty AWS. Its clock starts now, at the configured epoch.
    pub fn new(config: Config) -> Self {
        let clock = clock::Clock::starting_at(config.epoch);
        let inner = Inner::new(config, clock, Arc::default());
        Self {
            shared: Arc::new(Shared::new(&inner)),
            inner,
        }
    }

    /// Answers one HTTP request.
    ///
    /// # Errors
    /// [`Lost`] when a fault takes the answer away after the call was carried out; a server closes the connection.
    pub async fn handle(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Lost> {
        let request_id = self.next_request_id();
        let (headers, request) = match wire::read(&request) {
            Ok(read) => (request.headers(), read),
            Err(refusal) => return Ok(refusal.into_http(&request_id)),
        };
        let account = self.shared.account_of(&request.access_key);
        record::note(headers, &request);
        let (position, struck, latency) = {
            let mut control = self.control();
            let call = Call {
                at: self.now(),
                service: request.service,
                operation: request.operation.clone(),
                mutating: fault::is_mutating(&request.operation),
                status: 0,
                account: account.clone(),
                region: request.region.clone(),
                access_key: request.access_key.clone(),
                object: match &request.input {
                    wire::Input::S3(call) => Some(call.object()),
                    wire::Input::Members(_) => None,
                },
            };
            let struck = control.strike(&call);
            (control.arrived(call), struck, control.latency)
        };
        if let Some(latency) = latency {
            tokio::time::sleep(latency).await;
        }
        let refusal = match &struck {
            None | Some(FaultKind::LostReply | FaultKind::Silence) => None,
            Some(FaultKind::Delay(wait)) => {
                tokio::time::sleep(*wait).await;
                None
            }
            Some(FaultKind::Timeout) => std::future::pending().await,
            Some(FaultKind::Throttle) => Some(request.service.throttled()),
            Some(FaultKind::AccessDenied) => Some(request.service.denied(&request.operation)),
            Some(FaultKind::ServerError) => Some(request.service.broken()),
            Some(FaultKind::Error { status, code, message }) => {
                Some(ApiError::new(*status, code.clone(), message.clone()))
            }
        };
        let reply = match refusal {
            Some(refusal) => Err(refusal),
            None => self.at(&account, &request.region).perform(&request),
        };
        match struck {
            Some(FaultKind::LostReply) => return Err(Lost),
            Some(FaultKind::Silence) => return std::future::pending().await,
            _ => {}
        }
        let response = wire::render(&request, reply, &request_id);
        self.control().answered(position, response.status().as_u16());
        Ok(response)
    }

    /// Calls an operation directly: no wire, no faults, no entry in the call log. For seeding and for tests' own looks.
    /// The input has the operation's own member names (those of the query protocols too: `{"TagSpecification": [..]}`).
    /// S3 has no such form; see [`LocalAws::put_object`].
    pub fn call(&self, service: Service, operation: &str, input: &Value) -> Result<Value, ApiError> {
        ecs::tick(self);
        match service {
            Service::Ecs => ecs::call(self, operation, input.clone()),
            Service::Sts => sts::call(self, operation, input, ""),
            Service::Iam => iam::call(&mut self.state(), operation, input),
            Service::Ec2 => ec2::call(&mut self.state(), operation, input),
            Service::Efs => efs::call(&mut self.state(), operation, input),
            Service::Logs => logs::call(&mut self.state(), operation, input),
            Service::Ssm => ssm::call(&mut self.state(), operation, input),
            Service::Secrets => secrets::call(&mut self.state(), operation, input),
            Service::Discovery => discovery::call(&mut self.state(), operation, input),
            Service::Scaling => scaling::call(&mut self.state(), operation, input),
            Service::S3 => Err(wire::unknown_operation(operation)),
        }
    }

    /// Puts an object into a bucket, which is made if it is not there.
    pub fn put_object(&self, bucket: &str, key: &str, body: impl Into<Bytes>) {
        let home = self.home();
        let mut state = home.state();
        s3::ensure_bucket(&mut state, bucket);
        s3::put(&mut state, bucket, key, body.into()).expect("the bucket is there");
    }

    /// Deletes an object as somebody does by hand: in a versioned bucket its versions stay.
    pub fn delete_object(&self, bucket: &str, key: &str) {
        s3::delete(&mut self.state(), bucket, key).expect("the bucket is there");
    }

    /// The bytes of an object.
    pub fn object(&self, bucket: &str, key: &str) -> Option<Bytes> {
        s3::content_of(&self.home().state(), bucket, key)
    }

    fn perform(&self, request: &Request) -> Result<Reply, ApiError> {
        let input = match &request.input {
            wire::Input::S3(call) => {
                let home = self.home();
                ecs::tick(&home);
                return s3::call(&mut home.state(), &request.operation, call);
            }
            wire::Input::Members(input) => input,
        };
        if request.service == Service::Sts {
            return sts::call(self, &request.operation, input, &request.access_key).map(Reply::Members);
        }
        self.call(request.service, &request.operation, input)
            .map(Reply::Members)
    }

    /// From now on this goes wrong. The first of several matching faults is the one that shows.
    pub fn inject(&self, fault: Fault) {
        self.control().inject(fault);
    }

    /// Nothing goes wrong any more.
    pub fn clear_faults(&self) {
        self.control().clear_faults();
    }

    /// Every call takes so long.
    pub fn set_latency(&self, latency: Option<Duration>) {
        self.control().latency = latency;
    }

    /// The calls made, oldest first: the last 200,000.
    pub fn calls(&self) -> Vec<Call> {
        self.control().calls()
    }

    /// How many calls [`LocalAws::calls`] would tell.
    pub fn call_count(&self) -> usize {
        self.control().count()
    }

    /// Forgets the calls made.
    pub fn clear_calls(&self) {
        self.control().clear_calls();
    }

    /// The time here.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// What it was started with.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Ends every task and waits until their processes are gone.
    pub async fn shutdown(&self) {
        ecs::shutdown(self).await;
    }

    /// The state at the present time. Never hold it across an await.
    pub(crate) fn state(&self) -> Held<'_> {
        let mut state = self.inner.hold();
        state.tick(self.now());
        state
    }

    fn control(&self) -> MutexGuard<'_, fault::Control> {
        self.shared.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_request_id(&self) -> String {
        let mut control = self.control();
        control.requests += 1;
        // Not from the seeded generator: the number of reads must not change the ids that are made.
        format!("00000000-0000-4000-8000-{:012x}", control.requests)
    }
}
