//! A server that cannot be asked any more, or may not write any more: its password is another one, it hangs, EFS is read-only.

use super::*;
use nix::sys::signal::Signal;
use valkeep_tests::resp::{Answer, Client};

const PARAMETER: &str = "/cache/password";
const BOUND: Duration = Duration::from_secs(5);

fn put_password(real: &Real, value: &str) {
    let input = json!({ "Name": PARAMETER, "Value": value, "Type": "SecureString", "Overwrite": true });
    real.scene.look(Service::Ssm, "PutParameter", &input);
}

/// A connection that was let in with this password.
fn let_in(task: &Task, password: &str) -> Result<Client> {
    let mut client = Client::connect(task.address.parse()?, BOUND)?;
    let answer = client.ask(&["AUTH", password])?;
    ensure!(answer == Answer::Text("OK".to_owned()), "{answer:?}");
    Ok(client)
}

/// Somebody gives the server another password while its replacement waits for a disk with room: a server that cannot be asked
/// is not stopped, and the right password is all that is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_changes_in_the_middle_holds_the_replacement_until_it_is_known() -> Result<()> {
    let login = "valkey: {credentialsFrom: {ssmParameter: /cache/password}}\n";
    let prepare = |real: &Real| put_password(real, "first-password");
    let ground = Ground::prepared(&[("valkey: {}\n", login)], prepare).await?;
    let mut client = let_in(&ground.first, "first-password")?;
    for n in 0..KEYS {
        let answer = client.ask(&["SET", &format!("key:{n}"), &format!("value-{n}")])?;
        ensure!(answer == Answer::Text("OK".to_owned()), "{answer:?}");
    }
    limit_files(&ground.first, Some(1024))?;
    ground.put(&[LARGER]);
    ground.until_said("Stalled", "SnapshotFailed", &["(hint: "]).await?;

    client.ask(&["ACL", "SETUSER", "default", "resetpass", ">second-password"])?;
    let said = [
        "it cannot be asked",
        "(hint: let spec.valkey.credentialsFrom name the server's password",
    ];
    ground.until_said("Stalled", "ServerUnreachable", &said).await?;
    ground
        .until_said("PersistenceHealthy", "LoginRefused", &["(hint: "])
        .await?;
    limit_files(&ground.first, None)?;
    ground.everything_else_goes_on().await?;
    ground.stays()?;

    put_password(&ground.real, "second-password");
    let second = ground.replaced().await?;
    let mut client = let_in(&second, "second-password")?;
    for n in 0..KEYS {
        let answer = client.ask(&["GET", &format!("key:{n}")])?;
        ensure!(answer == Answer::Text(format!("value-{n}")), "key:{n}: {answer:?}");
    }
    ground.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_reached_stays_and_everything_else_goes_on() -> Result<()> {
    let ground = Ground::start(&[]).await?;
    ground.write("before")?;
    // Connections come about, and nobody answers. A health check of ECS is patient for longer than this takes.
    signal(&ground.first, SERVER, Signal::SIGSTOP)?;
    ground.put(&[LARGER]);
    let said = [
        "it cannot be asked",
        "(hint: let valkeep reach TCP 6379",
        "requireSnapshot: false",
    ];
    ground.until_said("Stalled", "ServerUnreachable", &said).await?;
    ground
        .until_said(
            "PersistenceHealthy",
            "Unreachable",
            &["(hint: if no connection comes about"],
        )
        .await?;
    ground.everything_else_goes_on().await?;
    ground.stays()?;

    signal(&ground.first, SERVER, Signal::SIGCONT)?;
    let second = ground.replaced().await?;
    has_all(&second, &["before"])?;
    ground.end().await
}

/// A task that mounts again finds that it may only read. The dump stays as it is, and the next start has all.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_system_that_is_read_only_is_told_and_comes_back_warm() -> Result<()> {
    let ground = Ground::start(&[]).await?;
    ground.write("before")?;
    let aws = &ground.real.scene;
    let found = aws.look(Service::Efs, "DescribeFileSystems", &json!({}));
    let id = &found["FileSystems"][0]["FileSystemId"];
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Principal": { "AWS": "*" }, "Action": "elasticfilesystem:ClientMount" },
        { "Effect": "Deny", "Principal": { "AWS": "*" }, "Action": "elasticfilesystem:ClientWrite" },
    ] });
    let policy = json!({ "FileSystemId": id, "Policy": policy.to_string() });
    aws.look(Service::Efs, "PutFileSystemPolicy", &policy);
    ground.real.stop_task(&ground.first);
    let said = [
        "the data directory cannot be written",
        "ClientWrite is missing",
        "(hint: check uid, gid",
    ];
    ground.until_said("ServiceStable", "TaskFailing", &said).await?;
    assert_eq!(
        last_exit(&ground.real),
        Some(74),
        "it has not begun to serve an empty directory"
    );

    aws.look(Service::Efs, "DeleteFileSystemPolicy", &json!({ "FileSystemId": id }));
    let second = ground.replaced().await?;
    has_all(&second, &["before"])?;
    ground
        .until_said("WarmStart", "Warm", &["200 keys were loaded"])
        .await?;
    ground.end().await
}
