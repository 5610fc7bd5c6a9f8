//! What only the whole can show. One binary; every file of this folder must be wired in here, which
//! `architecture::every_test_file_is_compiled` checks.

mod access;
mod adoption;
mod architecture;
mod conformance;
mod deletions;
mod deploy;
mod faults;
mod fence;
mod hibernation;
mod leadership;
mod limits;
mod moto;
mod one_writer;
mod places;
mod rare_calls;
mod restarts;
mod safety;
mod secrets;
mod seed;
mod stores;
mod stories;
mod taken;
mod taken_back;
mod tls;
mod verify;
