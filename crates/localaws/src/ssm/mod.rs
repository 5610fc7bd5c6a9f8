//! SSM Parameter Store.

use crate::error::ApiError;
use crate::state::State;
use crate::wire::unknown_operation;
use serde_json::Value;

/// All that Parameter Store remembers.
#[derive(Debug, Default)]
pub(crate) struct Ssm {}

/// Answers one operation.
pub(crate) fn call(_state: &mut State, operation: &str, _input: &Value) -> Result<Value, ApiError> {
    Err(unknown_operation(operation))
}
