//! The local AWS, asked over its wire protocols with requests made by hand.

#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

mod client;
mod discovery;
mod ec2;
mod efs;
mod faults;
mod iam;
mod logs;
mod places;
mod s3;
mod server;
mod ssm;
