//! Collects findings, in bounds.

use super::tree::At;
use crate::{Finding, Findings};

/// The most findings that are told. A document with more is not a document.
const FINDINGS_MAX: usize = 100;
/// The most characters of a user's text that are quoted.
const QUOTE_MAX: usize = 60;

/// Everything that was found wrong so far.
pub(super) struct Report {
    file: String,
    pub(super) subject: Subject,
    findings: Vec<Finding>,
    more: bool,
}

/// What is read: advice differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// A document.
    Document,
    /// An operator's settings.
    Settings,
}

impl Subject {
    /// Where somebody begins who has written something else altogether.
    pub(super) fn example(self) -> &'static str {
        match self {
            Subject::Document => "start from `manifests/examples/minimal.yaml`",
            Subject::Settings => "start from `manifests/settings/example.yaml`",
        }
    }

    /// What to write in place of an alias. Schedules and patterns often begin with a star.
    pub(super) fn instead_of_alias(self) -> &'static str {
        match self {
            Subject::Document => "write the value out, and put text that begins with a star in quotes",
            Subject::Settings => "put a pattern that begins with `*` in quotes",
        }
    }
}

/// What is wrong with a value, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) problem: String,
    pub(super) instead: Option<String>,
}

impl Wrong {
    pub(super) fn new(problem: impl Into<String>, instead: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            instead: Some(instead.into()),
        }
    }
}

impl Report {
    pub(super) fn new(file: &str, subject: Subject) -> Self {
        Self {
            file: file.to_owned(),
            subject,
            findings: Vec::new(),
            more: false,
        }
    }

    pub(super) fn add(&mut self, at: At, path: &str, wrong: Wrong) {
        if self.is_full() {
            self.more = true;
            return;
        }
        self.findings.push(Finding {
            file: self.file.clone(),
            line: at.line,
            column: at.column,
            path: path.to_owned(),
            problem: wrong.problem,
            instead: wrong.instead,
        });
    }

    /// Shorthand for the usual case.
    pub(super) fn say(&mut self, at: At, path: &str, problem: impl Into<String>, instead: impl Into<String>) {
        self.add(at, path, Wrong::new(problem, instead));
    }

    /// Whether another finding would only be counted.
    pub(super) fn is_full(&self) -> bool {
        self.findings.len() >= FINDINGS_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// By position; findings at one place stay in the order in which they were found.
    pub(super) fn into_findings(mut self) -> Findings {
        self.findings.sort_by_key(|finding| (finding.line, finding.column));
        if self.more {
            self.findings.push(Finding {
                file: self.file,
                line: 0,
                column: 0,
                path: String::new(),
                problem: format!("there is more wrong than these {FINDINGS_MAX} findings"),
                instead: Some(self.subject.example().to_owned()),
            });
        }
        Findings(self.findings)
    }
}

/// A user's text in backquotes, on one line and not too long.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::from("`");
    for (index, character) in text.chars().enumerate() {
        if index == QUOTE_MAX {
            out.push('…');
            break;
        }
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out.push('`');
    out
}

/// `a`, `b` or `c`
pub(super) fn one_of(names: &[&str]) -> String {
    listed(names, "or")
}

/// `a`, `b` and `c`
pub(super) fn all_of(names: &[&str]) -> String {
    listed(names, "and")
}

fn listed(names: &[&str], word: &str) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} {word} {last}", rest.join(", ")),
    }
}
