//! An adopted server that speaks nothing but TLS, with a real Valkey and certificates of an authority that only the document
//! names.

use anyhow::{Context, Result, ensure};
use localaws::{Service, world};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use valkeep_core::RawDefinition;
use valkeep_tests::real::{self, Real};
use valkeep_tests::terraform::{adopting, definition};

const NAME: &str = "cache";
const SERVER_NAME: &str = "cache.internal";
const CA: &str = "/cache/ca";
/// Reached only by a failure.
const PATIENCE: Duration = Duration::from_mins(1);

fn openssl(dir: &Path, arguments: &str) -> Result<()> {
    let output = Command::new("openssl")
        .current_dir(dir)
        .args(arguments.split(' '))
        .output()
        .context("openssl is installed")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// An authority, as a file and as text.
fn authority(dir: &Path, stem: &str) -> Result<String> {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(
        dir,
        &format!("req -x509 {key} -days 30 -subj /CN={stem} -keyout {stem}.key -out {stem}.pem"),
    )?;
    Ok(std::fs::read_to_string(dir.join(format!("{stem}.pem")))?)
}

/// A certificate for the server's name, signed by the authority.
fn certificate(dir: &Path, authority: &str) -> Result<()> {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let names = format!("-subj /CN={SERVER_NAME} -addext subjectAltName=DNS:{SERVER_NAME}");
    let signed = format!("-CA {authority}.pem -CAkey {authority}.key -addext basicConstraints=CA:FALSE");
    openssl(
        dir,
        &format!("req -x509 {key} -days 30 {names} {signed} -keyout server.key -out server.pem"),
    )
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().context("a text")?.to_owned())
}

async fn until(what: &str, mut is: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        ensure!(Instant::now() < deadline, "{what} did not come");
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// A file system of the owner's with a directory for certificates, mounted in both zones; its id, and the access point's.
async fn shared(real: &Real) -> Result<(String, String)> {
    let efs = |operation: &str, input: Value| real.scene.look(Service::Efs, operation, &input);
    let id = text(&efs("CreateFileSystem", json!({ "CreationToken": "shared" }))["FileSystemId"])?;
    let rule = json!({ "IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049,
        "UserIdGroupPairs": [{ "GroupId": world::TASK_GROUP }] });
    let ingress = json!({ "GroupId": world::TASK_GROUP, "IpPermissions": [rule] });
    real.scene.look(Service::Ec2, "AuthorizeSecurityGroupIngress", &ingress);
    let state =
        || efs("DescribeFileSystems", json!({ "FileSystemId": id }))["FileSystems"][0]["LifeCycleState"].clone();
    until("the file system", || state() == "available").await?;
    for (subnet, _) in world::SUBNETS {
        let input = json!({ "FileSystemId": id, "SubnetId": subnet, "SecurityGroups": [world::TASK_GROUP] });
        efs("CreateMountTarget", input);
    }
    let directory = json!({ "FileSystemId": id, "ClientToken": "shared",
        "PosixUser": { "Uid": 1000, "Gid": 1000 },
        "RootDirectory": { "Path": "/certificates",
            "CreationInfo": { "OwnerUid": 1000, "OwnerGid": 1000, "Permissions": "0755" } } });
    let point = text(&efs("CreateAccessPoint", directory)["AccessPointId"])?;
    let targets = || efs("DescribeMountTargets", json!({ "FileSystemId": id }))["MountTargets"].clone();
    until("the mount targets", || {
        let targets = targets();
        let mut states = targets.as_array().into_iter().flatten();
        states.all(|target| target["LifeCycleState"] == "available")
    })
    .await?;
    let policy = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "elasticfilesystem:Client*", "Resource": "*" }] });
    let input = json!({ "RoleName": world::TASK_ROLE, "PolicyName": "shared", "PolicyDocument": policy.to_string() });
    real.scene.look(Service::Iam, "PutRolePolicy", &input);
    Ok((id, point))
}

/// The corpus's definition with a volume of its owner's, whose server listens with TLS only.
fn with_tls(file_system: &str, access_point: &str) -> Result<RawDefinition> {
    let mut whole = definition("efs-beside").registered.registration();
    whole["containerDefinitions"][0]["user"] = json!("1000:1000");
    whole["containerDefinitions"][0]["command"] = json!([
        "valkey-server",
        "--port",
        "0",
        "--tls-port",
        "6379",
        "--tls-auth-clients",
        "no",
        "--tls-cert-file",
        "/shared/server.pem",
        "--tls-key-file",
        "/shared/server.key",
    ]);
    let efs = &mut whole["volumes"][0]["efsVolumeConfiguration"];
    efs["fileSystemId"] = json!(file_system);
    efs["authorizationConfig"]["accessPointId"] = json!(access_point);
    RawDefinition::new(whole).context("an object")
}

fn reason(real: &Real, type_: &str) -> Option<String> {
    let condition = real.scene.condition(NAME, type_)?;
    Some(format!(
        "{}: {}",
        condition["reason"].as_str()?,
        condition["message"].as_str()?
    ))
}

#[tokio::test]
async fn a_server_with_nothing_but_tls_is_looked_after_and_one_with_another_certificate_is_not_believed() -> Result<()>
{
    let real = Real::start().await?;
    let home = tempfile::tempdir()?;
    let ca = authority(home.path(), "ca")?;
    let other = authority(home.path(), "other")?;
    certificate(home.path(), "ca")?;
    let (file_system, access_point) = shared(&real).await?;
    let certificates = real.directory("/certificates")?;
    std::fs::create_dir_all(&certificates)?;
    for file in ["server.pem", "server.key"] {
        std::fs::copy(home.path().join(file), certificates.join(file))?;
    }
    // Written by whoever runs the tests, and read by the task's own user.
    std::fs::set_permissions(certificates.join("server.key"), std::fs::Permissions::from_mode(0o644))?;
    let put_ca = |pem: &str| {
        let input = json!({ "Name": CA, "Value": pem, "Type": "String", "Overwrite": true });
        real.scene.look(Service::Ssm, "PutParameter", &input);
    };
    put_ca(&other);
    real.scene
        .terraformed(NAME, &with_tls(&file_system, &access_point)?)
        .await;
    let document = |look: &str| {
        let tls = format!(
            "  valkey: {{tls: {{enabled: true, caFrom: {{ssmParameter: {CA}}}, serverName: {SERVER_NAME}}}}}\n"
        );
        let look = format!("metadata:\n  annotations:\n    valkeep.dev/look-now: \"{look}\"\n");
        (adopting(NAME, "AcceptLoss") + &tls).replacen("metadata:\n", &look, 1)
    };
    real.scene.put("cache.yaml", &document("first"));
    let controller = real.quiet_controller()?;

    // The authority in the document is another one: what answers is not believed, and that is said.
    until("the doubt", || {
        reason(&real, "PersistenceHealthy").is_some_and(|why| why.contains("has not signed it"))
    })
    .await?;
    put_ca(&ca);
    real.scene.put("cache.yaml", &document("healed"));
    let ready = until("Ready", || real.scene.is_ready(NAME)).await;
    ready.with_context(|| format!("{:#?}\n{}", real.scene.status(NAME), real.log()))?;
    let tasks = real::running(&real.scene.aws, NAME)?;
    let task = tasks.first().context("a task runs")?;
    ensure!(
        reason(&real, "PersistenceHealthy").is_some_and(|why| why.starts_with("Saving: ")),
        "{:?}",
        reason(&real, "PersistenceHealthy")
    );
    ensure!(
        real.scene
            .described(&task.definition)
            .container("valkey")
            .is_some_and(|server| server["command"]
                .as_array()
                .is_some_and(|words| words.contains(&json!("--tls-port")))),
        "the owner's flags stay"
    );

    // The drill speaks TLS, too.
    let text = real.quiet(0, &["verify", NAME, "--yes", "--keys", "7"]).await?;
    ensure!(text.contains("everything that was written came back"), "{text}");
    controller.stop().await?;
    real.stop().await;
    Ok(())
}
