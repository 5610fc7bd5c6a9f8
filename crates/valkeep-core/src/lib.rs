//! The words of valkeep: what a document asks for, what was observed, what to do about it.
//!
//! This crate knows no async runtime, no clock, no randomness and no AWS SDK, and cannot: none of them
//! stands in its manifest. Every other crate speaks in these types.

pub mod access;
pub mod condition;
pub mod desired;
pub mod fact;
pub mod failure;
pub mod identity;
pub mod ids;
pub mod limits;
pub mod observed;
pub mod place;
pub mod plan;
pub mod ports;
pub mod raw_definition;
pub mod secret_reference;
pub mod step;
pub mod task_definition;
pub mod units;
pub mod valkey;
pub mod versions;
pub mod window;

pub use condition::{Condition, ConditionStatus, ConditionType};
pub use desired::Desired;
pub use fact::{Doubt, DoubtKind, Fact};
pub use failure::{Failure, FailureKind, StepFailure};
pub use identity::{Identity, Names, Scope};
pub use limits::Limits;
pub use observed::Observed;
pub use place::{AssumedRole, Place, RoleArn};
pub use plan::{Hold, HoldKind, HoldReason, Plan, Resource};
pub use raw_definition::RawDefinition;
pub use secret_reference::SecretReference;
pub use step::{Done, Step};
pub use task_definition::TaskDefinition;
pub use valkey::{ServerChange, ServerSettings, ValkeyInfo};
pub use window::{Window, WindowState};

/// A point in time. Decisions take it as an argument; nothing in this crate reads a clock.
pub type Timestamp = jiff::Timestamp;

/// Tags as AWS stores them: key to value.
pub type Tags = std::collections::BTreeMap<String, String>;
