//! The loop: documents come from stores, each is kept true by passes, and its status says how it stands.
//!
//! One engine polls its stores ([`valkeep_store::DocumentStore`]), runs at most one pass of a document at a time, asks
//! its Valkey between passes and writes its status. It knows the world only through [`valkeep_core::ports`], decides
//! nothing that `valkeep_plan` decides, and keeps no state: it may be killed at any moment. Of several that share a lease
//! only the one that holds it does any of this.

mod election;
mod elector;
mod engine;
mod figures;
mod keeper;
mod keyring;
mod lanes;
mod mandate;
mod memory;
mod pace;
mod pass;
mod queue;
mod report;
mod servers;
mod settings;
mod snapshot;
mod source;
mod status_file;
mod table;

pub use elector::Candidate;
pub use engine::{Engine, Finished, Report};
pub use keyring::Keyring;
pub use queue::{Drained, QueueStats};
pub use servers::{act_on, ask_server};
pub use settings::{DOCUMENTS_MAX, LeaseTiming, Settings};
pub use snapshot::{DocumentKey, DocumentState, Leadership, LeaseState, Snapshot, Standing, StoreState, StoreTrouble};
pub use tokio_util::sync::CancellationToken;
