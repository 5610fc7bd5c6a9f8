//! S3.

use crate::error::ApiError;
use crate::state::State;
use crate::wire::{self, Reply};
use bytes::Bytes;

/// All that S3 remembers.
#[derive(Debug, Default)]
pub(crate) struct S3 {}

/// The input of an operation.
#[derive(Debug)]
pub(crate) struct Call {}

/// The answer of an operation.
#[derive(Debug)]
pub(crate) struct Answer {}

impl Answer {
    pub(crate) fn into_http(self, request_id: &str) -> http::Response<Bytes> {
        wire::response(200, "application/xml", "", request_id)
    }
}

pub(crate) fn read(_request: &http::Request<Bytes>) -> Result<(String, Call), ApiError> {
    Err(wire::unknown_operation("S3"))
}

pub(crate) fn call(_state: &mut State, operation: &str, _call: &Call) -> Result<Reply, ApiError> {
    Err(wire::unknown_operation(operation))
}

pub(crate) fn error(error: &ApiError, request_id: &str) -> http::Response<Bytes> {
    wire::response(error.status, "application/xml", error.message.clone(), request_id)
}
