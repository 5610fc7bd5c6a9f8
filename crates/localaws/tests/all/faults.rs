//! What goes wrong on purpose, and the log of calls.

use crate::client::{Client, instant, request, text};
use bytes::Bytes;
use localaws::world::{BUCKET, TASK_ROLE};
use localaws::{Fault, FaultKind, Lost, Service};
use serde_json::{Value, json};
use std::time::Duration;

async fn codes(aws: &Client) -> Vec<(u16, String)> {
    let ssm = aws.json("ssm", "GetParameter", json!({ "Name": "/a" })).await;
    let efs = aws.efs("GET", "file-systems", Value::Null).await;
    let ec2 = aws.query("ec2", "DescribeVpcs", "").await;
    let iam = aws.query("iam", "GetRole", &format!("RoleName={TASK_ROLE}")).await;
    let s3 = aws.s3("GET", &format!("/{BUCKET}?list-type=2"), &[], "").await;
    let s3_body = String::from_utf8_lossy(s3.body()).into_owned();
    vec![
        (ssm.status, ssm.body["__type"].as_str().unwrap().to_owned()),
        (efs.status, efs.body["ErrorCode"].as_str().unwrap().to_owned()),
        (ec2.status, text(&ec2.body, "Code").to_owned()),
        (iam.status, text(&iam.body, "Code").to_owned()),
        (s3.status().as_u16(), text(&s3_body, "Code").to_owned()),
    ]
}

fn owned(codes: [(u16, &str); 5]) -> Vec<(u16, String)> {
    codes.map(|(status, code)| (status, code.to_owned())).to_vec()
}

#[tokio::test]
async fn throttling_and_denial_have_the_words_of_each_service() {
    let aws = instant();
    aws.aws.inject(Fault {
        matches: localaws::Match::default(),
        kind: FaultKind::Throttle,
    });
    let throttled = [
        (400, "ThrottlingException"),
        (400, "ThrottlingException"),
        (503, "RequestLimitExceeded"),
        (400, "Throttling"),
        (503, "SlowDown"),
    ];
    assert_eq!(codes(&aws).await, owned(throttled));
    aws.aws.clear_faults();
    aws.aws.inject(Fault {
        matches: localaws::Match::default(),
        kind: FaultKind::AccessDenied,
    });
    let denied = [
        (400, "AccessDeniedException"),
        (403, "AccessDeniedException"),
        (403, "UnauthorizedOperation"),
        (403, "AccessDenied"),
        (403, "AccessDenied"),
    ];
    assert_eq!(codes(&aws).await, owned(denied));
}

#[tokio::test]
async fn a_lost_reply_was_carried_out() {
    let aws = instant();
    aws.aws.inject(Fault::on("PutObject", FaultKind::LostReply).nth(1));
    let put = || {
        request(
            "s3",
            "PUT",
            &format!("/{BUCKET}/k"),
            &[("if-none-match", "*")],
            Bytes::from_static(b"1"),
        )
    };
    assert_eq!(aws.aws.handle(put()).await.unwrap_err(), Lost);
    assert_eq!(
        aws.aws.handle(put()).await.unwrap().status(),
        412,
        "the first one did it"
    );
    assert_eq!(aws.aws.object(BUCKET, "k").unwrap(), "1");
    let calls = aws.aws.calls();
    assert_eq!(calls.iter().map(|call| call.status).collect::<Vec<_>>(), [0, 412]);
    assert!(calls.iter().all(|call| call.mutating && call.service == Service::S3));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_times_out_never_answers_and_does_nothing() {
    let aws = instant();
    aws.aws.inject(Fault::on("PutObject", FaultKind::Timeout).times(1));
    let put = || request("s3", "PUT", &format!("/{BUCKET}/k"), &[], Bytes::from_static(b"1"));
    assert!(
        tokio::time::timeout(Duration::from_hours(1), aws.aws.handle(put()))
            .await
            .is_err()
    );
    assert_eq!(aws.aws.object(BUCKET, "k"), None);
    assert_eq!(aws.aws.handle(put()).await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn answers_can_be_late_on_the_clock_of_the_caller() {
    let aws = instant();
    aws.aws
        .inject(Fault::on("GetRole", FaultKind::Delay(Duration::from_secs(5))));
    aws.aws.set_latency(Some(Duration::from_millis(50)));
    let began = tokio::time::Instant::now();
    aws.query("iam", "GetRole", &format!("RoleName={TASK_ROLE}")).await;
    assert_eq!(began.elapsed(), Duration::from_millis(5050));
}

#[tokio::test]
async fn what_is_not_known_is_said_so() {
    let aws = instant();
    let operation = aws.json("ssm", "SendCommand", json!({})).await;
    assert_eq!(
        (operation.status, operation.body["message"].as_str().unwrap()),
        (501, "localaws does not know SendCommand")
    );
    let service = aws.send("dynamodb", "POST", "/", &[], "{}").await;
    assert_eq!(service.status(), 501);
    let unsigned = aws.aws.handle(http::Request::new(Bytes::new())).await.unwrap();
    assert_eq!(unsigned.status(), 403);
}

#[tokio::test]
async fn the_same_seed_makes_the_same_ids_however_much_is_read() {
    let mut made = Vec::new();
    for reads in [0, 5] {
        let aws = instant();
        for _ in 0..reads {
            aws.efs("GET", "file-systems", Value::Null).await;
        }
        made.push(
            aws.efs("POST", "file-systems", json!({ "CreationToken": "t" }))
                .await
                .body["FileSystemId"]
                .clone(),
        );
    }
    assert_eq!(made[0], made[1]);
}
