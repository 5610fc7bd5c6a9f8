//! Findings as text and as JSON.

use crate::output::printable;
use serde::Serialize;
use std::fmt::Write;
use valkeep_document::Finding;

/// What `validate --output json` prints. A promise: fields are added, never changed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report<'a> {
    valid: bool,
    documents: usize,
    findings: &'a [Finding],
}

impl<'a> Report<'a> {
    /// Of this many documents.
    pub(crate) fn new(documents: usize, findings: &'a [Finding]) -> Self {
        Self {
            valid: findings.is_empty(),
            documents,
            findings,
        }
    }
}

/// One finding a line, as compilers write them.
pub(crate) fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        // A key or value of the document may stand in the problem.
        let line = finding.to_string();
        writeln!(text, "{}", printable(&line)).expect("writing to a String never fails");
    }
    text
}

/// The last word, for people.
pub(crate) fn summary(documents: usize, findings: &[Finding]) -> String {
    let of = |count: usize, noun: &str| match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    };
    if findings.is_empty() {
        let are = if documents == 1 { "is" } else { "are" };
        format!("{} {are} valid", of(documents, "document"))
    } else {
        let mut files: Vec<&str> = findings.iter().map(|finding| finding.file.as_str()).collect();
        files.dedup();
        format!(
            "{} in {} of {}",
            of(findings.len(), "finding"),
            files.len(),
            of(documents, "document")
        )
    }
}
