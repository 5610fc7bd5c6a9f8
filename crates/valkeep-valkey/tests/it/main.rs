//! The client against servers: scripted ones with every bad manner, and real ones.

mod changes;
mod scripted;
mod server;
