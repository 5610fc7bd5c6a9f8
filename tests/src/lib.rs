//! What the suites share: localaws as the SDK's HTTP client, a seeded world, a Valkey that answers as told, moto.

pub mod in_process;
pub mod keys;
pub mod moto;
pub mod pass;
pub mod program;
pub mod real;
pub mod resp;
pub mod safety;
pub mod scene;
pub mod status;
pub mod story;
pub mod template;
pub mod terraform;
pub mod valkey;
pub mod writers;
