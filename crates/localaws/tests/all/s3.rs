//! Buckets, objects, conditions, listings.

use crate::client::{Client, instant, pass, text, texts};
use bytes::Bytes;
use http::Response;
use localaws::world::BUCKET;

async fn put(aws: &Client, key: &str, body: &str) -> Response<Bytes> {
    aws.s3("PUT", &format!("/{BUCKET}/{key}?x-id=PutObject"), &[], body)
        .await
}

async fn get(aws: &Client, key: &str) -> Response<Bytes> {
    aws.s3("GET", &format!("/{BUCKET}/{key}"), &[], "").await
}

fn header<'a>(response: &'a Response<Bytes>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn body(response: &Response<Bytes>) -> String {
    String::from_utf8_lossy(response.body()).into_owned()
}

#[tokio::test(start_paused = true)]
async fn an_object_comes_back_with_its_etag_version_and_time() {
    let aws = instant();
    pass(65.0).await;
    let made = put(&aws, "docs/a%20b.yaml", "hello").await;
    assert_eq!(made.status(), 200);
    assert_eq!(header(&made, "etag"), "\"5d41402abc4b2a76b9719d911017c592\"");
    let found = get(&aws, "docs/a%20b.yaml").await;
    assert_eq!((found.status().as_u16(), body(&found)), (200, "hello".to_owned()));
    assert_eq!(header(&found, "x-amz-version-id"), header(&made, "x-amz-version-id"));
    assert_eq!(header(&found, "last-modified"), "Mon, 23 Nov 2026 00:01:05 GMT");
    let head = aws.s3("HEAD", &format!("/{BUCKET}/docs/a%20b.yaml"), &[], "").await;
    assert_eq!((header(&head, "content-length"), head.body().len()), ("5", 0));
}

#[tokio::test]
async fn conditions_are_kept_on_write_read_and_delete() {
    let aws = instant();
    let path = format!("/{BUCKET}/k");
    let absent = aws.s3("PUT", &path, &[("if-match", "\"x\"")], "1").await;
    assert_eq!(
        (absent.status().as_u16(), text(&body(&absent), "Code")),
        (404, "NoSuchKey")
    );
    let first = aws.s3("PUT", &path, &[("if-none-match", "*")], "1").await;
    let etag = header(&first, "etag").to_owned();
    let taken = aws.s3("PUT", &path, &[("if-none-match", "*")], "2").await;
    assert_eq!(
        (taken.status().as_u16(), text(&body(&taken), "Code")),
        (412, "PreconditionFailed")
    );
    assert_eq!(aws.s3("PUT", &path, &[("if-match", &etag)], "2").await.status(), 200);
    let stale = aws.s3("PUT", &path, &[("if-match", &etag)], "3").await;
    assert_eq!(
        (stale.status().as_u16(), text(&body(&stale), "Condition")),
        (412, "If-Match")
    );
    let now = header(&get(&aws, "k").await, "etag").to_owned();
    let same = aws.s3("GET", &path, &[("if-none-match", &now)], "").await;
    assert_eq!((same.status().as_u16(), same.body().len()), (304, 0));
    assert_eq!(aws.s3("DELETE", &path, &[("if-match", &etag)], "").await.status(), 412);
    assert_eq!(aws.s3("DELETE", &path, &[("if-match", &now)], "").await.status(), 204);
}

#[tokio::test]
async fn a_versioned_bucket_keeps_what_was_overwritten_or_deleted() {
    let aws = instant();
    let first = header(&put(&aws, "k", "1").await, "x-amz-version-id").to_owned();
    put(&aws, "k", "2").await;
    let gone = aws.s3("DELETE", &format!("/{BUCKET}/k"), &[], "").await;
    assert_eq!(
        (gone.status().as_u16(), header(&gone, "x-amz-delete-marker")),
        (204, "true")
    );
    assert_eq!(text(&body(&get(&aws, "k").await), "Code"), "NoSuchKey");
    let old = aws.s3("GET", &format!("/{BUCKET}/k?versionId={first}"), &[], "").await;
    assert_eq!(body(&old), "1");
    let versions = body(&aws.s3("GET", &format!("/{BUCKET}?versions&prefix=k"), &[], "").await);
    assert_eq!(texts(&versions, "IsLatest"), ["false", "false", "true"], "{versions}");
    assert_eq!(texts(&versions, "Version").len(), 2);
    // Taking the marker away brings the object back.
    let marker = header(&gone, "x-amz-version-id");
    aws.s3("DELETE", &format!("/{BUCKET}/k?versionId={marker}"), &[], "")
        .await;
    assert_eq!(body(&get(&aws, "k").await), "2");
}

#[tokio::test]
async fn versions_are_listed_newest_first_page_by_page() {
    let aws = instant();
    for body in ["1", "2", "3"] {
        put(&aws, "k", body).await;
    }
    put(&aws, "l", "4").await;
    let mut seen = Vec::new();
    let mut markers = String::new();
    loop {
        let page = body(
            &aws.s3("GET", &format!("/{BUCKET}?versions&max-keys=2{markers}"), &[], "")
                .await,
        );
        seen.extend(texts(&page, "VersionId").into_iter().map(str::to_owned));
        if text(&page, "IsTruncated") == "false" {
            break;
        }
        markers = format!(
            "&key-marker={}&version-id-marker={}",
            text(&page, "NextKeyMarker"),
            text(&page, "NextVersionIdMarker")
        );
    }
    let mut bodies = Vec::new();
    for (key, id) in ["k", "k", "k", "l"].iter().zip(&seen) {
        bodies.push(body(
            &aws.s3("GET", &format!("/{BUCKET}/{key}?versionId={id}"), &[], "").await,
        ));
    }
    assert_eq!(bodies, ["3", "2", "1", "4"]);
}

#[tokio::test]
async fn listings_have_prefixes_delimiters_and_pages() {
    let aws = instant();
    for key in [
        "docs-status/a.json",
        "docs/a.yaml",
        "docs/b.yaml",
        "docs/sub/c.yaml",
        "docs/sub/d.yaml",
    ] {
        put(&aws, key, "x").await;
    }
    let all = body(
        &aws.s3("GET", &format!("/{BUCKET}?list-type=2&prefix=docs/"), &[], "")
            .await,
    );
    assert_eq!(
        texts(&all, "Key"),
        ["docs/a.yaml", "docs/b.yaml", "docs/sub/c.yaml", "docs/sub/d.yaml"]
    );
    let folded = body(
        &aws.s3(
            "GET",
            &format!("/{BUCKET}?list-type=2&prefix=docs/&delimiter=/"),
            &[],
            "",
        )
        .await,
    );
    assert_eq!(
        (texts(&folded, "Key").len(), texts(&folded, "CommonPrefixes")),
        (2, vec!["<Prefix>docs/sub/</Prefix>"])
    );
    let first = body(
        &aws.s3("GET", &format!("/{BUCKET}?list-type=2&max-keys=3"), &[], "")
            .await,
    );
    assert_eq!(text(&first, "IsTruncated"), "true");
    let token = text(&first, "NextContinuationToken");
    let second = body(
        &aws.s3(
            "GET",
            &format!("/{BUCKET}?list-type=2&max-keys=3&continuation-token={token}"),
            &[],
            "",
        )
        .await,
    );
    assert_eq!(
        (texts(&second, "Key"), text(&second, "IsTruncated")),
        (vec!["docs/sub/c.yaml", "docs/sub/d.yaml"], "false")
    );
}

#[tokio::test]
async fn keys_can_be_listed_percent_encoded() {
    let aws = instant();
    put(&aws, "a%20b%26c", "x").await;
    let plain = body(&aws.s3("GET", &format!("/{BUCKET}?list-type=2"), &[], "").await);
    assert_eq!(text(&plain, "Key"), "a b&amp;c");
    let encoded = body(
        &aws.s3("GET", &format!("/{BUCKET}?list-type=2&encoding-type=url"), &[], "")
            .await,
    );
    assert_eq!(text(&encoded, "Key"), "a%20b%26c");
}

#[tokio::test]
async fn missing_things_have_their_own_codes() {
    let aws = instant();
    assert_eq!(text(&body(&get(&aws, "none").await), "Code"), "NoSuchKey");
    let bucket = aws.s3("GET", "/nowhere?list-type=2", &[], "").await;
    assert_eq!(
        (bucket.status().as_u16(), text(&body(&bucket), "Code")),
        (404, "NoSuchBucket")
    );
    let head = aws.s3("HEAD", "/nowhere", &[], "").await;
    assert_eq!((head.status().as_u16(), head.body().len()), (404, 0));
    let strange = aws.s3("GET", &format!("/{BUCKET}?acl"), &[], "").await;
    assert_eq!(strange.status(), 501);
}

#[tokio::test]
async fn a_bucket_is_made_once_and_keeps_versions_when_asked() {
    let aws = instant();
    assert_eq!(aws.s3("PUT", "/mine", &[], "").await.status(), 200);
    assert_eq!(
        text(&body(&aws.s3("PUT", "/mine", &[], "").await), "Code"),
        "BucketAlreadyOwnedByYou"
    );
    let unversioned = aws.s3("PUT", "/mine/k", &[], "1").await;
    assert_eq!(header(&unversioned, "x-amz-version-id"), "");
    let configuration = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status></VersioningConfiguration>";
    assert_eq!(
        aws.s3("PUT", "/mine?versioning", &[], configuration).await.status(),
        200
    );
    assert_eq!(
        text(&body(&aws.s3("GET", "/mine?versioning", &[], "").await), "Status"),
        "Enabled"
    );
    let from_before = aws.s3("GET", "/mine/k?versionId=null", &[], "").await;
    assert_eq!(body(&from_before), "1");
    let location = body(&aws.s3("GET", "/mine?location", &[], "").await);
    assert!(location.contains(">eu-west-1</LocationConstraint>"), "{location}");
}

#[tokio::test]
async fn a_bucket_may_stand_in_the_host() {
    let aws = instant();
    put(&aws, "k", "1").await;
    for host in ["valkeep-demo.s3.eu-west-1.amazonaws.com", "valkeep-demo.localhost:4566"] {
        let found = aws.s3("GET", "/k", &[("host", host)], "").await;
        assert_eq!(body(&found), "1", "{host}");
    }
    let path_style = aws
        .s3(
            "GET",
            &format!("/{BUCKET}/k"),
            &[("host", "s3.eu-west-1.amazonaws.com")],
            "",
        )
        .await;
    assert_eq!(body(&path_style), "1");
}

#[tokio::test]
async fn chunked_uploads_are_put_together() {
    let aws = instant();
    let headers = [
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "5"),
    ];
    let chunks = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
    assert_eq!(
        aws.s3("PUT", &format!("/{BUCKET}/k"), &headers, chunks).await.status(),
        200
    );
    assert_eq!(body(&get(&aws, "k").await), "hello");
}

#[tokio::test]
async fn several_objects_are_deleted_at_once_and_a_part_can_be_read() {
    let aws = instant();
    put(&aws, "a", "hello").await;
    put(&aws, "b", "x").await;
    let part = aws
        .s3("GET", &format!("/{BUCKET}/a"), &[("range", "bytes=1-3")], "")
        .await;
    assert_eq!(
        (part.status().as_u16(), body(&part), header(&part, "content-range")),
        (206, "ell".to_owned(), "bytes 1-3/5")
    );
    let delete = "<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object></Delete>";
    let gone = body(&aws.s3("POST", &format!("/{BUCKET}?delete"), &[], delete).await);
    assert_eq!(texts(&gone, "Key"), ["a", "b"]);
    assert_eq!(
        text(
            &body(&aws.s3("GET", &format!("/{BUCKET}?list-type=2"), &[], "").await),
            "KeyCount"
        ),
        "0"
    );
}
