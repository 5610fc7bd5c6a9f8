//! The `ValkeyPersistence` document: strict reading with positions, validation, schema, and the status as written.
//!
//! Knows YAML and what may be written. Knows no AWS call, no store, no clock; what a document makes valkeep do is decided
//! elsewhere, from the [`valkeep_core::Desired`] that [`Document::desired`] makes.

mod access;
mod annotate;
mod desired;
mod finding;
mod read;
mod schema;
pub mod status;
mod types;
mod write;

pub use access::{CaFrom, CredentialsFrom, ServerTls};
pub use annotate::annotated;
pub use finding::{Finding, Findings};
pub use read::{LIMIT_BYTES, read, read_settings, readable_name};
pub use schema::{crd_yaml, json_schema};
pub use types::*;
pub use write::render_yaml;
