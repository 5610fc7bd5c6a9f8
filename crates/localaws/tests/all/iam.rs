//! Roles, inline policies, and who is calling.

use crate::client::{instant, text, texts};
use localaws::world::TASK_ROLE;

const POLICY: &str = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "elasticfilesystem:ClientMount", "Resource": "*"}]}"#;

fn put(role: &str, document: &str) -> String {
    let document: String = form_urlencoded::byte_serialize(document.as_bytes()).collect();
    format!("RoleName={role}&PolicyName=valkeep&PolicyDocument={document}")
}

#[tokio::test]
async fn an_inline_policy_reads_back_percent_encoded_as_it_was_put() {
    let aws = instant();
    let missing = aws
        .query(
            "iam",
            "GetRolePolicy",
            &format!("RoleName={TASK_ROLE}&PolicyName=valkeep"),
        )
        .await;
    assert_eq!((missing.status, text(&missing.body, "Code")), (404, "NoSuchEntity"));
    assert_eq!(
        aws.query("iam", "PutRolePolicy", &put(TASK_ROLE, POLICY)).await.status,
        200
    );
    let found = aws
        .query(
            "iam",
            "GetRolePolicy",
            &format!("RoleName={TASK_ROLE}&PolicyName=valkeep"),
        )
        .await
        .body;
    let encoded = text(&found, "PolicyDocument");
    assert!(encoded.starts_with("%7B%22Version%22%3A%20"), "{encoded}");
    assert_eq!(
        percent_encoding::percent_decode_str(encoded).decode_utf8_lossy(),
        POLICY
    );
    let listed = aws
        .query("iam", "ListRolePolicies", &format!("RoleName={TASK_ROLE}"))
        .await
        .body;
    assert_eq!(texts(&listed, "member"), ["valkeep"]);
}

#[tokio::test]
async fn what_is_no_policy_is_refused() {
    let aws = instant();
    for document in ["{", "[]", r#"{"Version": "2012-10-17"}"#] {
        let refused = aws.query("iam", "PutRolePolicy", &put(TASK_ROLE, document)).await;
        assert_eq!(
            (refused.status, text(&refused.body, "Code")),
            (400, "MalformedPolicyDocument"),
            "{document}"
        );
    }
    let large = format!(
        r#"{{"Version": "2012-10-17", "Statement": [{{"Sid": "{}"}}]}}"#,
        "x".repeat(10_240)
    );
    let refused = aws.query("iam", "PutRolePolicy", &put(TASK_ROLE, &large)).await;
    assert_eq!((refused.status, text(&refused.body, "Code")), (409, "LimitExceeded"));
    let nobody = aws.query("iam", "PutRolePolicy", &put("nobody", POLICY)).await;
    assert_eq!((nobody.status, text(&nobody.body, "Code")), (404, "NoSuchEntity"));
}

#[tokio::test]
async fn a_role_goes_only_after_its_policies() {
    let aws = instant();
    let trust: String = form_urlencoded::byte_serialize(POLICY.as_bytes()).collect();
    let create =
        format!("RoleName=new&Path=/team/&AssumeRolePolicyDocument={trust}&Tags.member.1.Key=a&Tags.member.1.Value=b");
    let made = aws.query("iam", "CreateRole", &create).await.body;
    assert_eq!(text(&made, "Arn"), "arn:aws:iam::123456789012:role/team/new");
    let again = aws.query("iam", "CreateRole", &create).await;
    assert_eq!((again.status, text(&again.body, "Code")), (409, "EntityAlreadyExists"));
    aws.query("iam", "PutRolePolicy", &put("new", POLICY)).await;
    let refused = aws.query("iam", "DeleteRole", "RoleName=new").await;
    assert_eq!((refused.status, text(&refused.body, "Code")), (409, "DeleteConflict"));
    assert_eq!(
        aws.query("iam", "DeleteRolePolicy", "RoleName=new&PolicyName=valkeep")
            .await
            .status,
        200
    );
    assert_eq!(aws.query("iam", "DeleteRole", "RoleName=new").await.status, 200);
    assert_eq!(aws.query("iam", "GetRole", "RoleName=new").await.status, 404);
}

#[tokio::test]
async fn the_caller_is_of_the_account_that_was_assumed() {
    let aws = instant();
    let me = aws.query("sts", "GetCallerIdentity", "").await.body;
    assert_eq!(text(&me, "Account"), "123456789012");
    let assume = "RoleArn=arn:aws:iam::210987654321:role/other&RoleSessionName=s";
    let session = aws.query("sts", "AssumeRole", assume).await.body;
    let key = text(&session, "AccessKeyId");
    let authorization = format!("AWS4-HMAC-SHA256 Credential={key}/20261123/eu-west-1/sts/aws4_request, Signature=0");
    let request = http::Request::post("/")
        .header("authorization", authorization)
        .body("Action=GetCallerIdentity".into())
        .unwrap();
    let other = aws.aws.handle(request).await.unwrap();
    assert_eq!(text(&String::from_utf8_lossy(other.body()), "Account"), "210987654321");
    assert_eq!(aws.aws.calls().last().unwrap().account, "210987654321");
}
