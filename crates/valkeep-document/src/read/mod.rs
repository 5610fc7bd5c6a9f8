//! Reading: bytes in, a document or all findings out.

use crate::{Document, Finding, Findings};

/// The longest document that is read. 1 MiB is about 500 times the example; longer ones are hostile or mistaken.
pub const LIMIT_BYTES: usize = 1024 * 1024;

/// Reads a document. All findings at once, by position; `file` is only for messages.
pub fn read(file: &str, bytes: &[u8]) -> Result<Document, Findings> {
    serde_yaml::from_slice::<Document>(bytes)
        .map(Document::filled)
        .map_err(|error| {
            Findings(vec![Finding {
                file: file.to_owned(),
                line: error.location().map_or(0, |at| at.line()),
                column: error.location().map_or(0, |at| at.column()),
                path: String::new(),
                problem: error.to_string(),
                instead: None,
            }])
        })
}

/// `metadata.name` of a document that is not valid, if it can be made out.
pub fn readable_name(bytes: &[u8]) -> Option<String> {
    let value: serde_yaml::Value = serde_yaml::from_slice(bytes.get(..LIMIT_BYTES).unwrap_or(bytes)).ok()?;
    value.get("metadata")?.get("name")?.as_str().map(str::to_owned)
}
