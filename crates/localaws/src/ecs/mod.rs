//! ECS. Placeholder: knows no operation yet.

use crate::{ApiError, LocalAws, wire};
use serde_json::Value;

/// All that ECS remembers.
#[derive(Debug, Default)]
pub(crate) struct EcsState {}

/// Answers one operation. Locks the state itself.
pub(crate) fn call(_aws: &LocalAws, operation: &str, _input: Value) -> Result<Value, ApiError> {
    Err(wire::unknown_operation(operation))
}

/// Lets everything happen whose time has come. Called without the lock before every request.
pub(crate) fn tick(_aws: &LocalAws) {}

/// Ends every task and waits until their processes are gone.
#[expect(clippy::unused_async, reason = "placeholder")]
pub(crate) async fn shutdown(_aws: &LocalAws) {}
