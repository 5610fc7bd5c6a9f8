//! The client against servers: scripted ones with every bad manner, and real ones.

mod access;
mod authority;
mod changes;
mod scripted;
mod server;
mod session;
mod versions;
