//! Regions and accounts.

use crate::client::{Client, instant, text};
use localaws::Service;
use serde_json::json;

const OTHER: &str = "210987654321";
const ROLE: &str = "arn:aws:iam::210987654321:role/valkeep";

fn trust(condition: &serde_json::Value) -> String {
    json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::123456789012:root" }, "Action": "sts:AssumeRole",
        "Condition": condition,
    }] })
    .to_string()
}

async fn assume(aws: &Client, more: &str) -> (u16, String) {
    let form = format!("RoleArn={ROLE}&RoleSessionName=s{more}");
    let answer = aws.query("sts", "AssumeRole", &form).await;
    (answer.status, text(&answer.body, "Code").to_owned())
}

#[tokio::test]
async fn each_region_is_a_world_of_its_own() {
    let aws = instant();
    let there = aws.aws.at("123456789012", "us-east-1");
    let made = there
        .call(Service::Efs, "CreateFileSystem", &json!({ "CreationToken": "t" }))
        .unwrap();
    let arn = made["FileSystemArn"].as_str().unwrap();
    assert!(
        arn.starts_with("arn:aws:elasticfilesystem:us-east-1:123456789012:"),
        "{arn}"
    );
    let here = aws.aws.call(Service::Efs, "DescribeFileSystems", &json!({})).unwrap();
    assert_eq!(here["FileSystems"], json!([]));
    let again = aws.aws.at("123456789012", "us-east-1");
    let found = again.call(Service::Efs, "DescribeFileSystems", &json!({})).unwrap();
    assert_eq!(found["FileSystems"][0]["FileSystemId"], made["FileSystemId"]);
}

#[tokio::test]
async fn a_request_goes_to_the_region_that_it_is_signed_for() {
    let aws = instant();
    let authorization = "AWS4-HMAC-SHA256 Credential=AKID/20261123/us-east-1/ecs/aws4_request, Signature=0";
    let request = http::Request::post("/")
        .header("authorization", authorization)
        .header("x-amz-target", "Any.ListClusters")
        .body("{}".into())
        .unwrap();
    let answer = aws.aws.handle(request).await.unwrap();
    assert_eq!(answer.body().as_ref(), br#"{"clusterArns":[]}"#);
    assert_eq!(aws.aws.calls().last().unwrap().region, "us-east-1");
    let home = aws.json("ecs", "ListClusters", json!({})).await;
    assert_eq!(home.body["clusterArns"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn roles_are_one_for_all_regions_of_an_account_and_objects_for_all() {
    let aws = instant();
    let role = json!({ "RoleName": "new", "AssumeRolePolicyDocument": trust(&json!({})) });
    aws.aws
        .at("123456789012", "us-east-1")
        .call(Service::Iam, "CreateRole", &role)
        .unwrap();
    let look = json!({ "RoleName": "new" });
    assert!(aws.aws.call(Service::Iam, "GetRole", &look).is_ok());
    assert!(
        aws.aws
            .at(OTHER, "us-east-1")
            .call(Service::Iam, "GetRole", &look)
            .is_err()
    );
    aws.aws.at(OTHER, "us-east-1").put_object("valkeep-demo", "k", "body");
    assert_eq!(aws.aws.object("valkeep-demo", "k").as_deref(), Some(&b"body"[..]));
}

#[tokio::test]
async fn a_role_is_assumed_by_whom_it_trusts_and_with_the_external_id_that_it_asks_for() {
    let aws = instant();
    let there = aws.aws.at(OTHER, "eu-west-1");
    assert_eq!(
        assume(&aws, "").await,
        (403, "AccessDenied".to_owned()),
        "there is no such role"
    );
    let condition = json!({ "StringEquals": { "sts:ExternalId": "blue" } });
    let role = json!({ "RoleName": "valkeep", "AssumeRolePolicyDocument": trust(&condition) });
    there.call(Service::Iam, "CreateRole", &role).unwrap();
    assert_eq!(assume(&aws, "").await.0, 403);
    assert_eq!(assume(&aws, "&ExternalId=red").await.0, 403);
    assert_eq!(assume(&aws, "&ExternalId=blue").await.0, 200);
    let stranger = trust(&json!({})).replace("123456789012", "999999999999");
    let update = json!({ "RoleName": "valkeep", "PolicyDocument": stranger });
    there.call(Service::Iam, "UpdateAssumeRolePolicy", &update).unwrap();
    assert_eq!(assume(&aws, "&ExternalId=blue").await.0, 403);
}
