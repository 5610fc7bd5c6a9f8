//! What is wrong with a document, where, and what to write instead.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One thing that is wrong. Reads `file:line:column: path: problem; instead`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// As it was given to `read`.
    pub file: String,
    /// From 1; 0 when the finding is about the whole document.
    pub line: usize,
    /// In characters, from 1; 0 when the finding is about the whole document.
    pub column: usize,
    /// Like `spec.fileSystem.accessPoint.uid`; empty for the document as a whole.
    pub path: String,
    /// What is wrong, without a period.
    pub problem: String,
    /// What to write instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            path,
            problem,
            instead,
        } = self;
        f.write_str(file)?;
        if *line > 0 {
            write!(f, ":{line}:{column}")?;
        }
        f.write_str(": ")?;
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        f.write_str(problem)?;
        if let Some(instead) = instead {
            write!(f, "; {instead}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong with one document, by position. One line each when displayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Findings(pub Vec<Finding>);

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}
