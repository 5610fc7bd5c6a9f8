//! Reading: bytes in, a document or all findings out.
//!
//! Bytes become a tree that knows positions (`tree`), the tree is walked against the document's shape (`shape`, by the
//! means of `walk` and the rules of `forms` and `flags`), and the walk makes the document itself: what was not checked
//! cannot get in. Time and memory are bounded by the file's length, the tree's depth and size, and the number of findings.

mod elsewhere;
mod flags;
mod forms;
mod nearest;
mod report;
mod settings;
mod shape;
mod tree;
mod walk;

use crate::{Document, Findings};
use report::{Report, Subject};
use tree::{At, Node};
use valkeep_core::Limits;

/// The longest document that is read. 1 MiB is about 500 times the example; longer ones are hostile or mistaken.
pub const LIMIT_BYTES: usize = 1024 * 1024;
/// As much of an invalid document as is looked at for its name.
const NAME_BYTES: usize = 64 * 1024;

/// Reads a document. All findings at once, by position; `file` is only for messages.
pub fn read(file: &str, bytes: &[u8]) -> Result<Document, Findings> {
    read_as(Report::new(file, Subject::Document), bytes, |root, report| {
        shape::document(file, root, report)
    })
}

/// Reads an operator's settings. All findings at once, by position; `file` is only for messages.
pub fn read_settings(file: &str, bytes: &[u8]) -> Result<Limits, Findings> {
    read_as(Report::new(file, Subject::Settings), bytes, settings::settings)
}

fn read_as<T>(
    mut report: Report,
    bytes: &[u8],
    shape: impl FnOnce(&Node, &mut Report) -> Option<T>,
) -> Result<T, Findings> {
    if bytes.len() > LIMIT_BYTES {
        let problem = format!("the file has {} bytes, at most {LIMIT_BYTES} are read", bytes.len());
        let instead = report.subject.example();
        report.say(At::START, "", problem, instead);
        return Err(report.into_findings());
    }
    let root = tree::parse(bytes, &mut report);
    let value = root.and_then(|root| shape(&root, &mut report));
    if let (Some(value), true) = (value, report.is_empty()) {
        return Ok(value);
    }
    if report.is_empty() {
        report.add(At::START, "", shape::bug());
    }
    Err(report.into_findings())
}

/// `metadata.name` of a document that may not be valid, for its status: None where it cannot be made out or is no valid
/// name. Looks at the first 64 KiB and at nothing behind the name.
pub fn readable_name(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.get(..NAME_BYTES).unwrap_or(bytes);
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let text = match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => str::from_utf8(&bytes[..error.valid_up_to()]).ok()?,
    };
    tree::name(text).filter(|name| forms::dns_label(name).is_ok())
}
