//! To JSON and back. Writing cannot fail; reading is lenient, because an older or newer valkeep may have written it.

use super::{Status, whole_seconds};
use crate::types::{API_VERSION, KIND};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    api_version: &'a str,
    kind: &'a str,
    metadata: Metadata<'a>,
    status: &'a Status,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
}

#[derive(Deserialize)]
struct ReadEnvelope {
    metadata: ReadMetadata,
    status: Status,
}

#[derive(Deserialize)]
struct ReadMetadata {
    name: String,
}

impl Status {
    /// The status as it is written, in one line, whole.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&self.envelope()).expect("strings, numbers, times and lists always serialize")
    }

    /// The status as it is written, for people and `--output json`.
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::to_value(self.envelope()).expect("strings, numbers, times and lists always serialize")
    }

    fn envelope(&self) -> Envelope<'_> {
        Envelope {
            api_version: API_VERSION,
            kind: KIND,
            metadata: Metadata { name: &self.name },
            status: self,
        }
    }

    /// Reads a status. Unknown fields and entries that cannot be read (a condition type of a newer version) are left out;
    /// `None` where it is no status at all.
    pub fn from_json(bytes: &[u8]) -> Option<Self> {
        let read: ReadEnvelope = serde_json::from_slice(bytes).ok()?;
        let mut status = read.status;
        status.name = read.metadata.name;
        status.last_updated = whole_seconds(status.last_updated);
        Some(status)
    }
}

/// The entries of a list that can be read.
pub(super) fn each_readable<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Vec<T>, D::Error> {
    let entries = Vec::<serde_json::Value>::deserialize(from)?;
    Ok(entries
        .into_iter()
        .filter_map(|entry| serde_json::from_value(entry).ok())
        .collect())
}
