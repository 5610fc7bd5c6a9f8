//! Talks to Valkey: asks one server for `INFO` and reads the answer.
//!
//! Speaks RESP over one short-lived connection and knows only what `INFO` says. It must not know AWS, documents or
//! what the answer means for anybody; it never sends a command that changes the server.

mod info;
mod probe;

pub use info::{InfoError, parse_info};
pub use probe::InfoProbe;
