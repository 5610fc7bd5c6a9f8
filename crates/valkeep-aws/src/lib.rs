//! AWS through its own SDK: the only crate that names it.
//!
//! Looks ([`Aws`] as `valkeep_core::ports::World::observe`), acts (`World::act`) and keeps documents in S3 and SSM
//! ([`Aws::store`]). Decides nothing: which step is next, and whether it is safe, is the planner's business. Must not
//! know YAML, status or the loop.

mod act;
pub mod actions;
mod cache;
mod clients;
mod convert;
mod definition;
mod error;
mod observe;
pub mod policy;
mod raw;
mod service;
mod store;

pub use clients::{Aws, Options};
