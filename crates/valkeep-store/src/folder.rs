//! A folder as store: for development, tests and pipelines.

/// Placeholder.
pub struct FolderStore;
