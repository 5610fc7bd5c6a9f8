//! AWS through its own SDK: the only crate that names it.
//!
//! Looks ([`Aws`] as `valkeep_core::ports::World::observe`), acts (`World::act`), reads secrets (`Secrets`) and keeps documents in S3 and SSM
//! ([`Aws::store`]) and the lease in S3 ([`Aws::lease`]). A document may be in another region or account; its calls go
//! there, at a rate of their own. Decides nothing: which step is next, and whether it is safe, is the planner's business.
//! Must not know YAML, status or the loop.

mod act;
pub mod actions;
mod cache;
mod clients;
mod convert;
mod credentials;
mod definition;
mod error;
mod fleet;
mod lease;
mod limiter;
mod observe;
mod pacing;
pub mod policy;
mod rates;
mod raw;
mod secrets;
mod service;
mod store;
mod survey;

pub use clients::{Aws, Options};
pub use survey::Survey;
