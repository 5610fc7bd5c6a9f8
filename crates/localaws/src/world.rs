//! Seeded worlds: what a team has before valkeep comes.

use crate::LocalAws;

/// Placeholder.
pub fn trigpointing(_aws: &LocalAws) {}
