//! Secrets are read where they lie, through the real SDK.

use anyhow::Result;
use localaws::{Delays, Fault, FaultKind, Service};
use serde_json::json;
use valkeep_core::access::Secret;
use valkeep_core::ports::Secrets;
use valkeep_core::{Desired, Doubt, DoubtKind, SecretReference};
use valkeep_tests::scene::{Scene, example};

const NAME: &str = "trigpointing-valkey";

fn desired(scene: &Scene) -> Result<Desired> {
    let document = valkeep_document::read(NAME, example("trigpointing-valkey.yaml").as_bytes())?;
    Ok(document.desired(&scene.scope(), 1)?)
}

async fn read(scene: &Scene, reference: &str) -> Result<Result<Secret, Doubt>> {
    let reference = SecretReference::parse(reference)?;
    Ok(scene.client().secret(&desired(scene)?, &reference).await)
}

async fn text(scene: &Scene, reference: &str) -> Result<String> {
    match read(scene, reference).await? {
        Ok(secret) => Ok(secret.expose().to_owned()),
        Err(doubt) => anyhow::bail!("{doubt:?}"),
    }
}

fn put_parameter(scene: &Scene, value: &str) {
    let input = json!({"Name": "/cache/password", "Value": value, "Type": "SecureString", "Overwrite": true});
    scene.look(Service::Ssm, "PutParameter", &input);
}

fn make_secret(scene: &Scene, name: &str, member: &str, value: &str) -> String {
    let made = scene.look(Service::Secrets, "CreateSecret", &json!({"Name": name, member: value}));
    made["ARN"].as_str().expect("an ARN").to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_secure_parameter_is_read_by_name_and_arn_and_anew_each_time() -> Result<()> {
    let scene = Scene::new(Delays::default());
    let arn = "arn:aws:ssm:eu-west-1:123456789012:parameter/cache/password";
    put_parameter(&scene, "old");
    assert_eq!(text(&scene, "/cache/password").await?, "old");
    put_parameter(&scene, "new");
    assert_eq!(text(&scene, "/cache/password").await?, "new");
    assert_eq!(text(&scene, arn).await?, "new");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_managed_secret_is_read_whole_or_by_key_and_by_stage() -> Result<()> {
    let scene = Scene::new(Delays::default());
    let arn = make_secret(
        &scene,
        "cache",
        "SecretString",
        r#"{"user":"valkeep","password":"old"}"#,
    );
    let rotated = json!({"SecretId": arn, "SecretString": r#"{"user":"valkeep","password":"new"}"#});
    scene.look(Service::Secrets, "PutSecretValue", &rotated);
    assert_eq!(text(&scene, &arn).await?, r#"{"user":"valkeep","password":"new"}"#);
    assert_eq!(text(&scene, &format!("{arn}:password::")).await?, "new");
    assert_eq!(text(&scene, &format!("{arn}:password:AWSPREVIOUS:")).await?, "old");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_no_password_is_told_without_being_shown() -> Result<()> {
    let scene = Scene::new(Delays::default());
    let plain = make_secret(&scene, "plain", "SecretString", "hunter2");
    let number = make_secret(&scene, "number", "SecretString", r#"{"password":4711}"#);
    let binary = make_secret(&scene, "binary", "SecretBinary", "aHVudGVyMg==");
    for (reference, words) in [
        (format!("{plain}:password::"), "no JSON object"),
        (format!("{number}:password::"), "is no text"),
        (format!("{number}:pass::"), "there is no `pass` in it"),
        (binary, "it is binary"),
        (plain.replace("plain", "plane"), "ResourceNotFoundException"),
        ("/cache/password".to_owned(), "ParameterNotFound"),
    ] {
        let doubt = read(&scene, &reference).await?.expect_err("it cannot be used");
        assert_eq!(doubt.kind, DoubtKind::Other, "{doubt:?}");
        assert!(
            doubt.message.contains(words) && doubt.message.contains(&reference),
            "{doubt:?}"
        );
        assert!(
            !doubt.message.contains("hunter2") && !doubt.message.contains("4711"),
            "{doubt:?}"
        );
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_not_given_to_valkeep_is_denied() -> Result<()> {
    let scene = Scene::new(Delays::default());
    let arn = make_secret(&scene, "cache", "SecretString", "hunter2");
    scene.aws.inject(Fault::on("GetSecretValue", FaultKind::AccessDenied));
    let doubt = read(&scene, &arn).await?.expect_err("it is denied");
    assert_eq!(
        (doubt.kind, doubt.call.as_str()),
        (DoubtKind::AccessDenied, "secretsmanager:GetSecretValue")
    );
    Ok(())
}
