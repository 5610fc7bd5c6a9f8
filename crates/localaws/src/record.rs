//! Notes which IAM actions were asked for, and by which application, when the environment says where.
//!
//! `LOCALAWS_RECORD=DIR` makes an empty file `DIR/APP/SERVICE:ACTION` for every call whose `User-Agent` names an
//! application (the SDKs' `app_id`). Many processes may note into one folder: making a file twice is making it once.

use crate::wire::{Request, Service};
use http::HeaderMap;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};

static FOLDER: LazyLock<Option<PathBuf>> = LazyLock::new(|| std::env::var_os("LOCALAWS_RECORD").map(PathBuf::from));
static NOTED: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);

/// Notes a call. A folder that cannot be written is a broken set-up, which must not look like calls never made.
pub(crate) fn note(headers: &HeaderMap, request: &Request) {
    let Some(folder) = &*FOLDER else { return };
    let Some(app) = application(headers) else { return };
    let folder = folder.join(app);
    let file = folder.join(action(request));
    let mut noted = NOTED.lock().unwrap_or_else(PoisonError::into_inner);
    if !noted.get_or_insert_default().insert(file.clone()) {
        return;
    }
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(&file, ""))
        .unwrap_or_else(|error| panic!("LOCALAWS_RECORD: {}: {error}", file.display()));
}

/// `app/NAME` of the SDKs' user agent.
fn application(headers: &HeaderMap) -> Option<String> {
    ["user-agent", "x-amz-user-agent"]
        .into_iter()
        .filter_map(|name| headers.get(name)?.to_str().ok())
        .flat_map(str::split_ascii_whitespace)
        .find_map(|word| word.strip_prefix("app/"))
        .filter(|name| {
            name.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        })
        .map(ToOwned::to_owned)
}

/// What IAM calls an operation. S3's differ from its operations' names:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>
fn action(request: &Request) -> String {
    let operation = request.operation.as_str();
    let name = match request.service {
        Service::S3 => match operation {
            "ListBuckets" => "ListAllMyBuckets",
            "ListObjects" | "ListObjectsV2" | "HeadBucket" => "ListBucket",
            "ListObjectVersions" => "ListBucketVersions",
            "GetObject" | "HeadObject" if request.is_of_a_version() => "GetObjectVersion",
            "HeadObject" => "GetObject",
            "DeleteObject" if request.is_of_a_version() => "DeleteObjectVersion",
            "DeleteObjects" => "DeleteObject",
            other => other,
        },
        Service::Sts
        | Service::Iam
        | Service::Ec2
        | Service::Efs
        | Service::Ecs
        | Service::Logs
        | Service::Ssm
        | Service::Secrets
        | Service::Discovery
        | Service::Scaling => operation,
    };
    format!("{}:{name}", request.service.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn read(method: &str, uri: &str) -> Request {
        let request = http::Request::builder()
            .method(method)
            .uri(uri)
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKID/20261123/eu-west-1/s3/aws4_request",
            )
            .body(Bytes::new())
            .unwrap();
        crate::wire::read(&request).unwrap_or_else(|_| panic!("{method} {uri}"))
    }

    #[test]
    fn actions_are_spelled_as_iam_spells_them() {
        for (method, uri, wanted) in [
            ("GET", "/bucket?list-type=2", "s3:ListBucket"),
            ("GET", "/bucket?versions", "s3:ListBucketVersions"),
            ("GET", "/bucket/key?x-id=GetObject", "s3:GetObject"),
            ("HEAD", "/bucket/key", "s3:GetObject"),
            ("GET", "/bucket/key?versionId=v1", "s3:GetObjectVersion"),
            ("PUT", "/bucket/key", "s3:PutObject"),
            ("DELETE", "/bucket/key", "s3:DeleteObject"),
        ] {
            assert_eq!(action(&read(method, uri)), wanted, "{method} {uri}");
        }
    }

    #[test]
    fn an_application_is_known_by_the_user_agent() {
        let with = |agent: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("user-agent", agent.parse().unwrap());
            application(&headers)
        };
        assert_eq!(
            with("aws-sdk-rust/1.3 os/linux lang/rust/1.9 app/valkeep"),
            Some("valkeep".to_owned())
        );
        assert_eq!(with("Boto3/1.4 md/Botocore#1.4 ua/2.1 os/linux"), None);
        assert_eq!(with("x app/../../etc"), None);
    }
}
