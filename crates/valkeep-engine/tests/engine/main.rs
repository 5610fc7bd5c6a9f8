//! The engine as a whole, on a paused clock: against a small cloud in memory, with stores that fail and servers that fall
//! silent. Each test tells one story.

mod access;
mod bench;
mod cloud;
mod documents;
mod faults;
mod leadership;
mod lease;
mod modes;
mod servers;
mod status;
mod stopping;
mod store;
