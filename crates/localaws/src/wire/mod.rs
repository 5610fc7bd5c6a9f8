//! From HTTP to an operation with its input, and back.
//!
//! Knows the protocols and which service speaks which; knows nothing of what the operations do.

mod input;
mod json;
mod query;
mod rest;
pub(crate) mod xml;

pub(crate) use input::{
    boolean, list, number, required, required_strings, strings, tag_list, tags, text, unknown_operation,
};

use crate::error::ApiError;
use crate::s3;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use std::fmt;

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Security tokens.
    Sts,
    /// Roles and policies.
    Iam,
    /// Networks.
    Ec2,
    /// File systems.
    Efs,
    /// Tasks and services.
    Ecs,
    /// Log groups.
    Logs,
    /// Buckets and objects.
    S3,
    /// Parameters.
    Ssm,
    /// Secrets.
    Secrets,
    /// Cloud Map.
    Discovery,
    /// Application Auto Scaling.
    Scaling,
}

impl Service {
    const ALL: [Self; 11] = [
        Self::Sts,
        Self::Iam,
        Self::Ec2,
        Self::Efs,
        Self::Ecs,
        Self::Logs,
        Self::S3,
        Self::Ssm,
        Self::Secrets,
        Self::Discovery,
        Self::Scaling,
    ];

    /// The name in credential scopes and in IAM actions, such as `elasticfilesystem`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sts => "sts",
            Self::Iam => "iam",
            Self::Ec2 => "ec2",
            Self::Efs => "elasticfilesystem",
            Self::Ecs => "ecs",
            Self::Logs => "logs",
            Self::S3 => "s3",
            Self::Ssm => "ssm",
            Self::Secrets => "secretsmanager",
            Self::Discovery => "servicediscovery",
            Self::Scaling => "application-autoscaling",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.as_str() == name)
    }

    fn protocol(self) -> Protocol {
        match self {
            Self::Sts | Self::Iam => Protocol::Query,
            Self::Ec2 => Protocol::Ec2,
            Self::Efs => Protocol::RestJson,
            Self::S3 => Protocol::S3,
            Self::Ecs | Self::Logs | Self::Ssm | Self::Secrets | Self::Discovery | Self::Scaling => Protocol::Json,
        }
    }

    /// Too many requests, in the words of this service.
    pub(crate) fn throttled(self) -> ApiError {
        match self {
            Self::Ec2 => ApiError::new(503, "RequestLimitExceeded", "Request limit exceeded."),
            Self::S3 => ApiError::new(503, "SlowDown", "Please reduce your request rate."),
            Self::Sts | Self::Iam => ApiError::new(400, "Throttling", "Rate exceeded"),
            Self::Efs => ApiError::new(400, "ThrottlingException", "Rate exceeded"),
            Self::Ecs | Self::Logs | Self::Ssm | Self::Secrets | Self::Discovery | Self::Scaling => {
                ApiError::new(400, "ThrottlingException", "Rate exceeded")
            }
        }
    }

    /// The caller may not, in the words of this service.
    pub(crate) fn denied(self, operation: &str) -> ApiError {
        let words = format!("User is not authorized to perform: {}:{operation}", self.as_str());
        match self {
            Self::Ec2 => ApiError::new(403, "UnauthorizedOperation", words),
            Self::S3 => ApiError::new(403, "AccessDenied", "Access Denied"),
            Self::Sts | Self::Iam => ApiError::new(403, "AccessDenied", words),
            Self::Efs => ApiError::new(403, "AccessDeniedException", words),
            Self::Ecs | Self::Logs | Self::Ssm | Self::Secrets | Self::Discovery | Self::Scaling => {
                ApiError::new(400, "AccessDeniedException", words)
            }
        }
    }

    /// An error of its own, in the words of this service.
    pub(crate) fn broken(self) -> ApiError {
        let (code, words) = match self {
            Self::Ecs => ("ServerException", "Service Unavailable. Please try again later."),
            Self::Ec2 => ("InternalError", "An internal error has occurred"),
            Self::Sts | Self::Iam => (
                "ServiceFailure",
                "The request processing has failed because of an unknown error",
            ),
            Self::S3 => ("InternalError", "We encountered an internal error. Please try again."),
            Self::Efs | Self::Ssm | Self::Discovery | Self::Scaling => {
                ("InternalServerError", "An internal error has occurred")
            }
            Self::Secrets => ("InternalServiceError", "An error occurred on the server side."),
            Self::Logs => (
                "ServiceUnavailableException",
                "The service cannot complete the request.",
            ),
        };
        ApiError::new(500, code, words)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    /// JSON 1.1 with `X-Amz-Target`.
    Json,
    /// REST paths with JSON bodies.
    RestJson,
    /// Forms in, XML with results out.
    Query,
    /// Forms in, EC2's kind of XML out.
    Ec2,
    /// REST paths, XML and bytes.
    S3,
}

/// An operation with its input.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) service: Service,
    pub(crate) operation: String,
    pub(crate) access_key: String,
    /// As signed for. IAM has none of its own, and is signed for one all the same.
    pub(crate) region: String,
    pub(crate) input: Input,
    /// Success status of a REST route.
    status: u16,
}

impl Request {
    /// Whether it names a version of an object.
    pub(crate) fn is_of_a_version(&self) -> bool {
        matches!(&self.input, Input::S3(call) if call.parameter("versionId").is_some())
    }
}

/// The input of an operation.
#[derive(Debug)]
pub(crate) enum Input {
    /// Named members.
    Members(Value),
    /// S3 has paths, headers and bytes.
    S3(s3::Call),
}

/// What an operation answers.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Named members, to be given the form of the protocol.
    Members(Value),
    /// S3's answers have a form of their own.
    S3(s3::Answer),
}

/// A request that could not even be understood.
pub(crate) struct Refusal {
    service: Option<Service>,
    error: ApiError,
}

impl Refusal {
    pub(crate) fn into_http(self, request_id: &str) -> http::Response<Bytes> {
        // Without a known service there is no known protocol either; JSON is the one that people can read.
        error_response(
            self.service.map_or(Protocol::Json, Service::protocol),
            &self.error,
            request_id,
        )
    }
}

/// Understands a request: service, operation, input.
pub(crate) fn read(request: &http::Request<Bytes>) -> Result<Request, Refusal> {
    let Some(scope) = scope(request) else {
        let error = ApiError::new(
            403,
            "MissingAuthenticationToken",
            "Request is missing Authentication Token",
        );
        return Err(Refusal { service: None, error });
    };
    let Some(service) = Service::named(&scope.service) else {
        let error = ApiError::new(
            501,
            "NotImplemented",
            format!("localaws does not know the service {}", scope.service),
        );
        return Err(Refusal { service: None, error });
    };
    let refused = |error| Refusal {
        service: Some(service),
        error,
    };
    let (operation, input, status) = match service.protocol() {
        Protocol::Json => json::read(request).map(|(operation, input)| (operation, Input::Members(input), 200)),
        Protocol::RestJson => {
            rest::read(request).map(|route| (route.operation, Input::Members(route.input), route.status))
        }
        Protocol::Query | Protocol::Ec2 => {
            query::read(request).map(|(operation, input)| (operation, Input::Members(input), 200))
        }
        Protocol::S3 => s3::read(request).map(|(operation, call)| (operation, Input::S3(call), 200)),
    }
    .map_err(refused)?;
    Ok(Request {
        service,
        operation,
        access_key: scope.access_key,
        region: scope.region,
        input,
        status,
    })
}

struct Scope {
    access_key: String,
    region: String,
    service: String,
}

/// `Credential=AKID/20261123/eu-west-1/s3/aws4_request`, from the header or, when presigned, from the query.
fn scope(request: &http::Request<Bytes>) -> Option<Scope> {
    let header = request
        .headers()
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let credential = match header.split_once("Credential=") {
        Some((_, rest)) => rest.split([',', ' ']).next().unwrap_or_default().to_owned(),
        None => form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
            .find(|(name, _)| name == "X-Amz-Credential")?
            .1
            .into_owned(),
    };
    let mut parts = credential.split('/');
    let access_key = parts.next()?.to_owned();
    let region = parts.nth(1)?.to_owned();
    Some(Scope {
        access_key,
        region,
        service: parts.next()?.to_owned(),
    })
}

/// Gives an answer the form of its protocol.
pub(crate) fn render(request: &Request, reply: Result<Reply, ApiError>, request_id: &str) -> http::Response<Bytes> {
    let protocol = request.service.protocol();
    let members = match reply {
        Ok(Reply::Members(members)) => members,
        Ok(Reply::S3(answer)) => return answer.into_http(request_id),
        Err(error) => {
            let mut response = error_response(protocol, &error, request_id);
            if request.operation.starts_with("Head") {
                *response.body_mut() = Bytes::new();
            }
            return response;
        }
    };
    match protocol {
        Protocol::Json => response(200, json::TYPE, members.to_string(), request_id),
        Protocol::RestJson if request.status == 204 || members.is_null() => {
            response(request.status, rest::TYPE, String::new(), request_id)
        }
        Protocol::RestJson => response(request.status, rest::TYPE, members.to_string(), request_id),
        Protocol::Query => {
            let body = query::success(request.service, &request.operation, &members, request_id);
            response(200, query::TYPE, body, request_id)
        }
        Protocol::Ec2 => response(
            200,
            query::EC2_TYPE,
            query::ec2_success(&request.operation, &members, request_id),
            request_id,
        ),
        Protocol::S3 => unreachable!("S3 answers are S3 answers"),
    }
}

fn error_response(protocol: Protocol, error: &ApiError, request_id: &str) -> http::Response<Bytes> {
    match protocol {
        Protocol::Json => response(error.status, json::TYPE, json::error(error), request_id),
        Protocol::RestJson => {
            let mut response = response(error.status, rest::TYPE, rest::error(error), request_id);
            insert(response.headers_mut(), "x-amzn-errortype", &error.code);
            response
        }
        Protocol::Query => response(error.status, query::TYPE, query::error(error, request_id), request_id),
        Protocol::Ec2 => response(
            error.status,
            query::EC2_TYPE,
            query::ec2_error(error, request_id),
            request_id,
        ),
        Protocol::S3 => s3::error(error, request_id),
    }
}

/// A response. An empty body has no type.
pub(crate) fn response(
    status: u16,
    content_type: &str,
    body: impl Into<Bytes>,
    request_id: &str,
) -> http::Response<Bytes> {
    let body = body.into();
    let typed = !body.is_empty();
    let mut response = http::Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if typed {
        insert(response.headers_mut(), CONTENT_TYPE.as_str(), content_type);
    }
    insert(response.headers_mut(), "x-amzn-requestid", request_id);
    response
}

/// Sets a header; what cannot stand in one is left out.
pub(crate) fn insert(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        headers.insert(name, value);
    }
}
