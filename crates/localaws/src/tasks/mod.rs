//! How tasks are run. Placeholder.

/// How tasks are run.
#[derive(Debug, Clone, Default)]
pub struct TaskRunner {}
