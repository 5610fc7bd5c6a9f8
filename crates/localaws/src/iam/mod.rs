//! IAM: roles, their inline policies, and whether these allow something. Changes count after a while.

mod calls;
pub(crate) mod policy;
mod propagated;

pub(crate) use calls::{add_role, call, trust_of};
use propagated::Propagated;

use crate::state::State;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

/// All that IAM remembers.
#[derive(Debug, Default)]
pub(crate) struct Iam {
    /// By name.
    pub(crate) roles: BTreeMap<String, Role>,
}

/// A role.
#[derive(Debug, Clone)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) path: String,
    /// `AROA...`: what policies that name the role are stored with.
    pub(crate) id: String,
    pub(crate) created_at: Timestamp,
    /// From when services can assume it.
    pub(crate) usable_at: Timestamp,
    pub(crate) trust: Value,
    pub(crate) description: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    /// Inline policies by name: the document as it was put.
    policies: BTreeMap<String, Propagated<String>>,
}

/// The role with this ARN, whether or not services can assume it yet.
pub(crate) fn role<'a>(state: &'a State, arn: &str) -> Option<&'a Role> {
    state.iam.roles.values().find(|role| role.arn == arn)
}

/// Whether services can assume the role by now.
pub(crate) fn is_usable(state: &State, arn: &str) -> bool {
    role(state, arn).is_some_and(|role| role.usable_at <= state.now)
}

/// The role's inline policies that count by now.
pub(crate) fn effective_policies(state: &State, arn: &str) -> Vec<Value> {
    let Some(role) = role(state, arn) else {
        return Vec::new();
    };
    role.policies
        .values()
        .filter_map(|policy| policy.effective(state.now))
        .filter_map(|document| serde_json::from_str(document).ok())
        .collect()
}
