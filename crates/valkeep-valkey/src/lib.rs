//! Talks to Valkey: asks one server for `INFO` and settings, tells it to save or to take a setting.
//!
//! Each call is one short-lived connection, bounded in time and in length; nothing is kept, repeated or reconnected. It
//! must not know AWS, documents or what an answer means for anybody.

mod client;
mod connection;
mod info;
mod stream;
mod tls;
mod trouble;

pub use client::Client;
pub use info::{InfoError, parse_info};
