//! CloudWatch Logs.

use crate::client::instant;
use serde_json::json;

#[tokio::test]
async fn a_log_group_has_a_retention_only_when_given_one() {
    let aws = instant();
    let name = json!({ "logGroupName": "/ecs/valkey", "tags": { "a": "b" } });
    assert_eq!(aws.json("logs", "CreateLogGroup", name.clone()).await.status, 200);
    assert_eq!(
        aws.json("logs", "CreateLogGroup", name).await.body["__type"],
        "ResourceAlreadyExistsException"
    );
    let prefix = json!({ "logGroupNamePrefix": "/ecs/" });
    let found = aws.json("logs", "DescribeLogGroups", prefix.clone()).await.body;
    assert!(found["logGroups"][0].get("retentionInDays").is_none());
    let odd = json!({ "logGroupName": "/ecs/valkey", "retentionInDays": 31 });
    assert_eq!(
        aws.json("logs", "PutRetentionPolicy", odd).await.body["__type"],
        "InvalidParameterException"
    );
    aws.json(
        "logs",
        "PutRetentionPolicy",
        json!({ "logGroupName": "/ecs/valkey", "retentionInDays": 30 }),
    )
    .await;
    let found = aws.json("logs", "DescribeLogGroups", prefix).await.body;
    assert_eq!(found["logGroups"][0]["retentionInDays"], 30);
    let arn = &found["logGroups"][0]["logGroupArn"];
    let tags = aws
        .json("logs", "ListTagsForResource", json!({ "resourceArn": arn }))
        .await
        .body;
    assert_eq!(tags["tags"], json!({ "a": "b" }));
}

#[tokio::test]
async fn a_missing_group_is_said() {
    let aws = instant();
    let missing = aws
        .json("logs", "DescribeLogStreams", json!({ "logGroupName": "/none" }))
        .await;
    assert_eq!(
        (missing.status, &missing.body["__type"]),
        (400, &json!("ResourceNotFoundException"))
    );
}
