//! Decides. Never looks, never touches.
//!
//! `plan` is a pure function of what a document means, what was observed and the time; `critic` checks its answer
//! with code of its own; `fold` and `forecast` follow a plan through; `assess` says it in conditions. No runtime, no
//! SDK, no clock and no randomness: none of them stands in this crate's manifest.

mod access_point;
mod adoption;
mod append_only;
pub mod assess;
mod compatibility;
mod critic;
mod data_safety;
mod deletion;
mod describe;
mod draft;
mod file_system;
mod fold;
mod forecast;
mod foreign_groups;
mod hibernation;
mod limits;
mod log_group;
mod meaning;
mod mount_targets;
mod network;
pub mod overlay;
mod password;
mod pending;
mod plan;
pub mod policy;
mod render;
mod replacement;
mod role;
mod rollout;
mod saving;
mod server;
mod service;
mod storage;
mod task_definition;
mod tasks;

pub use append_only::append_fsync;
pub use assess::{Assessment, Context, Explanation, PreviousServer, assess, explain_task, hold_for};
pub use critic::{Objection, Rule, critic};
pub use describe::{StepText, describe_step};
pub use fold::{fold, imagine};
pub use forecast::{Forecast, forecast};
pub use limits::is_permitted;
pub use password::PASSWORD_SCRIPT;
pub use plan::plan;
pub use render::{LOCK_SCRIPT, render, service_settings};
pub use task_definition::wanted_definition;
