//! The error map: what the SDK reports becomes a [`Failure`] that decisions can be made on.
//!
//! One table for all services; where one code means different things in different services, the call decides.

use crate::{credentials, pacing};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::error::Error;
use valkeep_core::failure::{Failure, FailureKind};

/// Longest message that is kept. The longest that helps (a mount failure) has about 1,000 characters.
const MESSAGE_MAX: usize = 1_000;

/// Gives an SDK result its name in IAM's spelling.
pub(crate) trait Named<T> {
    /// The value, or the failure of `call`.
    fn named(self, call: &str) -> Result<T, Failure>;
}

impl<T, E> Named<T> for Result<T, SdkError<E, HttpResponse>>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    fn named(self, call: &str) -> Result<T, Failure> {
        self.map_err(|error| failure(call, &error))
    }
}

/// Maps one SDK error.
pub(crate) fn failure<E>(call: &str, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let made = |kind, code: &str, message: &str| Failure {
        call: call.to_owned(),
        kind,
        code: code.to_owned(),
        message: shortened(message),
    };
    // What was never sent has a reason of our own.
    if let Some(busy) = pacing::too_busy(error) {
        return made(FailureKind::Throttled, "Paced", &busy.to_string());
    }
    if let Some(failure) = credentials::not_assumed(error) {
        return failure.clone();
    }
    match error {
        SdkError::TimeoutError(_) => made(FailureKind::NoAnswer, "Timeout", "no answer in time"),
        SdkError::DispatchFailure(dispatch) if dispatch.is_timeout() => {
            made(FailureKind::NoAnswer, "Timeout", "no answer in time")
        }
        SdkError::DispatchFailure(dispatch) => {
            let text = dispatch
                .as_connector_error()
                .map_or_else(String::new, |error| chain(error));
            if text.contains("credentials") || text.contains("identity") {
                made(FailureKind::AccessDenied, "NoCredentials", &text)
            } else {
                made(FailureKind::NoAnswer, "NoAnswer", &text)
            }
        }
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            let code = service.err().code().unwrap_or_default();
            let message = service.err().message().unwrap_or_default();
            let code = if code.is_empty() {
                format!("Http{status}")
            } else {
                code.to_owned()
            };
            made(kind(call, &code, message, status), &code, message)
        }
        SdkError::ResponseError(response) => {
            let status = response.raw().status().as_u16();
            let kind = if status >= 500 {
                FailureKind::ServerError
            } else {
                FailureKind::Other
            };
            made(kind, &format!("Http{status}"), "the answer could not be read")
        }
        // A request that could not be built: a required field is missing or no region is set.
        other => made(FailureKind::Rejected, "InvalidRequest", &chain(other)),
    }
}

/// The causes of an error, outermost first, each once.
fn chain(error: &dyn Error) -> String {
    let mut parts: Vec<String> = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if parts.last() != Some(&text) {
            parts.push(text);
        }
        cause = error.source();
    }
    parts.join(": ")
}

fn shortened(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MESSAGE_MAX {
        return line;
    }
    line.chars().take(MESSAGE_MAX).chain(['…']).collect()
}

/// The class of a service's own error.
fn kind(call: &str, code: &str, message: &str, status: u16) -> FailureKind {
    if let Some(kind) = by_message(code, message) {
        return kind;
    }
    match code {
        // EFS's rule of one throughput change a day; the same word elsewhere only asks to slow down.
        "TooManyRequests" if call == "elasticfilesystem:UpdateFileSystem" => FailureKind::Cooldown,

        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "AuthFailure"
        | "AuthorizationError"
        | "NotAuthorized"
        | "Forbidden"
        | "UnauthorizedAccess"
        | "OptInRequired"
        | "Blocked"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => FailureKind::AccessDenied,

        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequests"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "BandwidthLimitExceeded"
        | "SlowDown"
        | "PriorRequestNotComplete"
        | "ProvisionedThroughputExceededException"
        | "EC2ThrottledException" => FailureKind::Throttled,

        "IncorrectFileSystemLifeCycleState"
        | "IncorrectMountTargetState"
        | "InsufficientThroughputCapacity"
        | "ConflictException"
        | "ConditionalRequestConflict"
        | "ConcurrentModification"
        | "ConcurrentModificationException"
        | "DependencyTimeout"
        | "DependencyViolation"
        | "EntityTemporarilyUnmodifiable"
        | "FileSystemInUse"
        | "InvalidGroup.InUse"
        | "OperationAborted"
        | "OperationAbortedException"
        | "ServiceNotActiveException"
        | "TooManyUpdates"
        | "UpdateInProgressException"
        | "IpAddressInUse" => FailureKind::NotNow,

        "LimitExceeded" | "LimitExceededException" | "NoFreeAddressesInSubnet" => FailureKind::LimitExceeded,

        "NoSuchEntity" | "NoSuchEntityException" | "NoSuchBucket" | "NoSuchKey" | "NoSuchVersion" | "NotFound" => {
            FailureKind::NotFound
        }
        _ if code.ends_with("LimitExceeded") || code.ends_with("LimitExceededException") => FailureKind::LimitExceeded,
        _ if code.ends_with("NotFound") || code.ends_with("NotFoundException") => FailureKind::NotFound,
        "RequestTimeout" | "RequestTimeoutException" => FailureKind::NoAnswer,
        _ if status >= 500 => FailureKind::ServerError,
        "Http401" | "Http403" => FailureKind::AccessDenied,
        "Http404" => FailureKind::NotFound,
        "Http429" => FailureKind::Throttled,
        _ if code.contains("AlreadyExists") || code.ends_with(".Duplicate") => FailureKind::Other,
        _ if status == 400 => FailureKind::Rejected,
        _ => FailureKind::Other,
    }
}

/// ECS and EFS put several troubles under one code; only their words tell them apart.
fn by_message(code: &str, message: &str) -> Option<FailureKind> {
    let has = |part: &str| message.contains(part);
    match code {
        "ClientException" | "InvalidParameterException" | "InvalidParameterValueException" => {
            if has("not authorized to perform") {
                Some(FailureKind::AccessDenied)
            } else if has("still Draining")
                || has("nable to assume the")
                || has("verify that the ECS service role")
                || has("deployments are active")
            {
                // Draining ends by itself; a role that cannot be assumed yet is usually younger than IAM's propagation.
                Some(FailureKind::NotNow)
            } else if has("TaskDefinition is inactive") || has("Unable to describe task definition") {
                Some(FailureKind::NotFound)
            } else {
                None
            }
        }
        // A role made a moment ago is not a valid principal yet.
        "InvalidPolicyException" if has("invalid Principal") => Some(FailureKind::NotNow),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_class() {
        use FailureKind::{
            AccessDenied, Cooldown, LimitExceeded, NotFound, NotNow, Other, Rejected, ServerError, Throttled,
        };
        let any = "ecs:DescribeServices";
        for (call, code, message, status, expected) in [
            (any, "AccessDeniedException", "", 400, AccessDenied),
            (any, "UnauthorizedOperation", "", 403, AccessDenied),
            (any, "AuthFailure", "", 401, AccessDenied),
            (
                any,
                "ClientException",
                "User: x is not authorized to perform: iam:PassRole",
                400,
                AccessDenied,
            ),
            (any, "ThrottlingException", "Rate exceeded", 400, Throttled),
            (any, "RequestLimitExceeded", "", 503, Throttled),
            (
                "elasticfilesystem:UpdateFileSystem",
                "TooManyRequests",
                "",
                429,
                Cooldown,
            ),
            (
                "elasticfilesystem:CreateAccessPoint",
                "TooManyRequests",
                "",
                429,
                Throttled,
            ),
            (any, "IncorrectFileSystemLifeCycleState", "", 409, NotNow),
            (
                any,
                "InvalidParameterException",
                "Unable to Start a service that is still Draining.",
                400,
                NotNow,
            ),
            (
                any,
                "InvalidParameterException",
                "Creation of service was not idempotent.",
                400,
                Rejected,
            ),
            (
                any,
                "InvalidPolicyException",
                "Policy contains invalid Principal block",
                400,
                NotNow,
            ),
            (
                any,
                "InvalidPolicyException",
                "Policy contains an invalid resource",
                400,
                Rejected,
            ),
            (any, "ClientException", "TaskDefinition is inactive", 400, NotFound),
            (any, "ClusterNotFoundException", "", 400, NotFound),
            (any, "InvalidGroup.NotFound", "", 400, NotFound),
            (any, "InvalidGroup.InUse", "", 400, NotNow),
            (any, "DependencyViolation", "", 400, NotNow),
            (any, "FileSystemInUse", "", 409, NotNow),
            (any, "SubnetNotFound", "", 400, NotFound),
            (any, "NoSuchEntity", "", 404, NotFound),
            (any, "SecurityGroupLimitExceeded", "", 400, LimitExceeded),
            (any, "LimitExceeded", "", 409, LimitExceeded),
            (any, "InternalServerError", "", 500, ServerError),
            (any, "Http500", "", 500, ServerError),
            (any, "Http503", "", 503, ServerError),
            (any, "Http403", "", 403, AccessDenied),
            (any, "MalformedPolicyDocument", "", 400, Rejected),
            (any, "FileSystemAlreadyExists", "", 409, Other),
            (any, "InvalidPermission.Duplicate", "", 400, Other),
        ] {
            assert_eq!(kind(call, code, message, status), expected, "{call} {code} {message}");
        }
    }

    #[test]
    fn messages_are_one_bounded_line() {
        assert_eq!(shortened("a\n  b"), "a b");
        assert_eq!(shortened(&"x".repeat(5_000)).chars().count(), MESSAGE_MAX + 1);
    }
}
