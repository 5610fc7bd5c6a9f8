//! What AWS answers when it refuses. Each protocol renders it in its own way.

use serde_json::{Map, Value};
use std::borrow::Cow;

/// A refusal, before a protocol has given it its form.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// The code by which SDKs tell errors apart.
    pub code: Cow<'static, str>,
    /// For people.
    pub message: String,
    /// Further members of the error, such as `FileSystemId`.
    pub extra: Box<Map<String, Value>>,
}

impl ApiError {
    /// An error with a status of its own.
    pub fn new(status: u16, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            extra: Box::default(),
        }
    }

    /// The caller's mistake: 400.
    pub fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    /// Not there, 404.
    pub fn missing(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(404, code, message)
    }

    /// In the way of something else, 409.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(409, code, message)
    }

    /// One more member.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(key.to_owned(), value.into());
        self
    }
}
