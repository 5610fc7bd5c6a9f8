//! `Filter.N.Name` and `Filter.N.Value.M`, with EC2's `*` and `?`.

use crate::error::ApiError;
use crate::iam::policy::glob;
use crate::wire::{list, strings, text};
use serde_json::Value;
use std::collections::BTreeMap;

/// All of them must accept; one value of each is enough.
pub(super) struct Filters(Vec<(String, Vec<String>)>);

impl Filters {
    pub(super) fn read(input: &Value) -> Self {
        let filters = list(input, "Filter").iter().filter_map(|filter| {
            let values = if filter.get("Value").is_some() {
                "Value"
            } else {
                "Values"
            };
            Some((text(filter, "Name")?.to_owned(), strings(filter, values)))
        });
        Self(filters.collect())
    }

    /// `attribute` gives what a resource has under a filter's name; none where the filter is not known, which
    /// accepts nothing.
    pub(super) fn accept(
        &self,
        tags: &BTreeMap<String, String>,
        attribute: impl Fn(&str) -> Option<Vec<String>>,
    ) -> bool {
        self.0.iter().all(|(name, wanted)| {
            let have = match name.split_once(':') {
                Some(("tag", key)) => tags.get(key).cloned().into_iter().collect(),
                _ if name == "tag-key" => tags.keys().cloned().collect(),
                _ => attribute(name).unwrap_or_default(),
            };
            have.iter()
                .any(|value| wanted.iter().any(|pattern| glob(pattern, value)))
        })
    }
}

/// Those with the wanted ids, or all when none is wanted.
pub(super) fn chosen<'a, T>(
    all: &'a BTreeMap<String, T>,
    ids: &[String],
    unknown: impl Fn(&str) -> ApiError,
) -> Result<Vec<&'a T>, ApiError> {
    if ids.is_empty() {
        return Ok(all.values().collect());
    }
    ids.iter().map(|id| all.get(id).ok_or_else(|| unknown(id))).collect()
}
