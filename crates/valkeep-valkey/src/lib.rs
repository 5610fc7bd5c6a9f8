//! Talks to Valkey: asks one server for `INFO` and settings, tells it to save or to take a setting.
//!
//! Each call of [`Client`] is one short-lived connection, bounded in time and in length; nothing is kept, repeated or
//! reconnected. A [`Session`] is one connection for a drill that writes keys of its own. This crate must not know AWS,
//! documents or what an answer means for anybody.

mod client;
mod connection;
mod info;
mod session;
mod stream;
mod tls;
mod trouble;

pub use client::Client;
pub use info::{InfoError, parse_info};
pub use session::Session;
