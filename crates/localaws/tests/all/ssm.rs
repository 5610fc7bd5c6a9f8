//! Parameter Store.

use crate::client::{Answer, Client, client, instant};
use localaws::{Config, Delays, Knobs};
use serde_json::{Value, json};

async fn put(aws: &Client, name: &str, value: &str) -> Answer<Value> {
    aws.json(
        "ssm",
        "PutParameter",
        json!({ "Name": name, "Value": value, "Type": "String", "Overwrite": true }),
    )
    .await
}

#[tokio::test]
async fn each_put_is_a_version_even_of_the_same_value() {
    let aws = instant();
    for version in 1..=3 {
        assert_eq!(put(&aws, "/docs/a", "x").await.body["Version"], version);
    }
    let create = json!({ "Name": "/docs/a", "Value": "x", "Type": "String" });
    assert_eq!(
        aws.json("ssm", "PutParameter", create).await.body["__type"],
        "ParameterAlreadyExists"
    );
    let first = aws
        .json("ssm", "GetParameter", json!({ "Name": "/docs/a:1" }))
        .await
        .body;
    assert_eq!(
        (&first["Parameter"]["Version"], &first["Parameter"]["Selector"]),
        (&json!(1), &json!(":1"))
    );
    let ninth = aws.json("ssm", "GetParameter", json!({ "Name": "/docs/a:9" })).await;
    assert_eq!(
        (ninth.status, &ninth.body["__type"]),
        (400, &json!("ParameterVersionNotFound"))
    );
    let history = aws
        .json("ssm", "GetParameterHistory", json!({ "Name": "/docs/a" }))
        .await
        .body;
    assert_eq!(history["Parameters"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_standard_parameter_holds_4096_bytes_and_no_references() {
    let aws = instant();
    assert_eq!(put(&aws, "/a", &"x".repeat(4096)).await.status, 200);
    assert_eq!(
        put(&aws, "/a", &"x".repeat(4097)).await.body["__type"],
        "ValidationException"
    );
    assert_eq!(
        put(&aws, "/a", "{{ssm:/b}}").await.body["__type"],
        "ValidationException"
    );
    let advanced = json!({ "Name": "/a", "Value": "x".repeat(8192), "Tier": "Advanced", "Overwrite": true });
    assert_eq!(aws.json("ssm", "PutParameter", advanced).await.body["Tier"], "Advanced");
}

#[tokio::test]
async fn a_path_is_listed_ten_at_a_time() {
    let aws = instant();
    for number in 0..12 {
        put(&aws, &format!("/docs/{number:02}"), "x").await;
    }
    put(&aws, "/docs/deep/er", "x").await;
    put(&aws, "/docs-status/a", "x").await;
    let first = aws
        .json("ssm", "GetParametersByPath", json!({ "Path": "/docs/" }))
        .await
        .body;
    assert_eq!(first["Parameters"].as_array().unwrap().len(), 10);
    let next = json!({ "Path": "/docs/", "NextToken": first["NextToken"] });
    let second = aws.json("ssm", "GetParametersByPath", next).await.body;
    assert_eq!(second["Parameters"].as_array().unwrap().len(), 2);
    assert!(second.get("NextToken").is_none());
    let many = aws
        .json(
            "ssm",
            "GetParametersByPath",
            json!({ "Path": "/docs/", "MaxResults": 11 }),
        )
        .await;
    assert_eq!(many.body["__type"], "ValidationException");
}

#[tokio::test]
async fn pages_may_be_short_or_empty_and_still_not_the_last() {
    let knobs = Knobs {
        short_pages: true,
        ..Knobs::default()
    };
    let aws = client(Config {
        delays: Delays::zero(),
        knobs,
        ..Config::default()
    });
    for number in 0..12 {
        put(&aws, &format!("/docs/{number:02}"), "x").await;
    }
    let (mut names, mut empty, mut token) = (Vec::new(), 0, Value::Null);
    loop {
        let page = aws
            .json(
                "ssm",
                "GetParametersByPath",
                json!({ "Path": "/docs", "NextToken": token }),
            )
            .await
            .body;
        let found = page["Parameters"].as_array().unwrap();
        empty += usize::from(found.is_empty());
        names.extend(
            found
                .iter()
                .map(|parameter| parameter["Name"].as_str().unwrap().to_owned()),
        );
        token = page["NextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert!(empty > 0);
    assert_eq!(
        names,
        (0..12).map(|number| format!("/docs/{number:02}")).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let aws = instant();
    put(&aws, "/a", "x").await;
    let missing = aws.json("ssm", "GetParameter", json!({ "Name": "/b" })).await;
    assert_eq!(
        (missing.status, &missing.body["__type"]),
        (400, &json!("ParameterNotFound"))
    );
    let some = aws
        .json("ssm", "GetParameters", json!({ "Names": ["/a", "/b"] }))
        .await
        .body;
    assert_eq!(
        (&some["Parameters"][0]["Name"], &some["InvalidParameters"]),
        (&json!("/a"), &json!(["/b"]))
    );
    assert_eq!(
        aws.json("ssm", "DeleteParameter", json!({ "Name": "/a" })).await.status,
        200
    );
    assert_eq!(
        aws.json("ssm", "DeleteParameter", json!({ "Name": "/a" })).await.body["__type"],
        "ParameterNotFound"
    );
}
