//! Passwords by reference, with the shipped program and real servers: used, rotated, refused, and to be seen nowhere.

use anyhow::{Context, Result, ensure};
use localaws::Service;
use nix::unistd::getpid;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use valkeep_tests::real::{self, Real, Task};
use valkeep_tests::scene::example;
use valkeep_tests::terraform::adopting;

const NAME: &str = "trigpointing-valkey";
const PARAMETER: &str = "/cache/password";
/// As nothing else here is called, and with everything in it that shells and configurations trip over.
const OLD: &str = r#"Zq-old'"$HOME\x41 #p"#;
const NEW: &str = "Zq-new-password";
/// Which its owner lets everybody see.
const THEIRS: &str = "their-password";
const TRACE: &str = "Zq-";
/// Reached only by a failure.
const PATIENCE: Duration = Duration::from_mins(2);

fn put_password(real: &Real, value: &str) {
    let input = json!({ "Name": PARAMETER, "Value": value, "Type": "SecureString", "Overwrite": true });
    real.scene.look(Service::Ssm, "PutParameter", &input);
}

/// The document with `spec.valkey`, looked at anew for each `look`.
fn document(valkey: &str, look: &str) -> String {
    example("trigpointing-valkey.yaml")
        .replace("  valkey: {}\n", &format!("  valkey: {valkey}\n"))
        .replacen(
            "metadata:\n",
            &format!("metadata:\n  annotations:\n    valkeep.dev/look-now: \"{look}\"\n"),
            1,
        )
}

fn reason(real: &Real, name: &str, type_: &str) -> Option<String> {
    Some(real.scene.condition(name, type_)?["reason"].as_str()?.to_owned())
}

async fn until(what: &str, real: &Real, name: &str, mut is: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        ensure!(
            Instant::now() < deadline,
            "{what} did not come: {:#?}",
            real.scene.status(name)
        );
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn until_ready(real: &Real, name: &str) -> Result<Task> {
    until("Ready", real, name, || real.scene.is_ready(name)).await?;
    let running = real::running(&real.scene.aws, name)?;
    running.first().cloned().context("a task runs")
}

/// What a client with this password, and a user if one is named, hears.
fn ping(task: &Task, user: Option<&str>, password: &str) -> Result<String> {
    let address = task.address.parse()?;
    let mut client = valkeep_tests::resp::Client::connect(address, Duration::from_secs(5))?;
    let words: Vec<&str> = ["AUTH"].into_iter().chain(user).chain([password]).collect();
    client.ask(&words)?;
    Ok(format!("{:?}", client.ask(&["PING"])?))
}

/// Every place of this machine's processes that started below us where the password shows: command lines, and the
/// environment of servers.
fn traces() -> Vec<String> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for dir in entries.map(|entry| entry.path()) {
        let is_process = dir
            .file_name()
            .is_some_and(|name| name.to_string_lossy().parse::<i32>().is_ok());
        let own = dir == *format!("/proc/{}", getpid());
        if !is_process || own {
            continue;
        }
        let shows = |file: &str| {
            let bytes = std::fs::read(dir.join(file)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).contains(TRACE)
        };
        let program = std::fs::read_to_string(dir.join("comm")).unwrap_or_default();
        if shows("cmdline") || (program.starts_with("valkey-server") && shows("environ")) {
            found.push(format!("{} {}", dir.display(), program.trim()));
        }
    }
    found
}

/// Nothing that valkeep wrote, said or registered shows the password.
async fn is_nowhere(real: &Real, task: &Task) -> Result<()> {
    assert_eq!(traces(), Vec::<String>::new());
    let definition = real.scene.described(&task.definition);
    let plan = real.quiet(0, &["plan", NAME]).await;
    let shown = [
        ("definition", format!("{definition:?}")),
        ("status", format!("{:?}", real.scene.status(NAME))),
        ("log", real.log()),
        ("plan", plan?),
    ];
    for (what, text) in shown {
        assert!(!text.is_empty() && !text.contains(TRACE), "{what}: {text}");
    }
    Ok(())
}

#[tokio::test]
async fn a_service_of_our_own_gets_its_password_by_reference_and_follows_it() -> Result<()> {
    let real = Real::start().await?;
    let valkey = "{credentialsFrom: {ssmParameter: /cache/password, username: valkeep}}";
    put_password(&real, OLD);
    real.scene.put("cache.yaml", &document(valkey, "first"));
    let controller = real.quiet_controller()?;
    let task = until_ready(&real, NAME).await?;
    for user in [None, Some("valkeep")] {
        assert!(ping(&task, user, OLD)?.contains("PONG"));
        assert!(ping(&task, user, NEW)?.contains("NOAUTH"));
    }
    is_nowhere(&real, &task).await?;

    // Rotated: the server is told, and the task stays.
    put_password(&real, NEW);
    real.scene.put("cache.yaml", &document(valkey, "rotated"));
    until("the new password", &real, NAME, || {
        ping(&task, None, NEW).is_ok_and(|answer| answer.contains("PONG"))
    })
    .await?;
    assert!(ping(&task, Some("valkeep"), NEW)?.contains("PONG"));
    assert!(ping(&task, None, OLD)?.contains("NOAUTH"));
    assert_eq!(until_ready(&real, NAME).await?, task);
    is_nowhere(&real, &task).await?;

    // Somebody else rotates the server: said, and nothing on AWS waits for it.
    let mut client = valkeep_tests::resp::Client::connect(task.address.parse()?, Duration::from_secs(5))?;
    client.ask(&["AUTH", NEW])?;
    for user in ["default", "valkeep"] {
        client.ask(&["ACL", "SETUSER", user, "resetpass", ">Zq-theirs"])?;
    }
    until("the refusal", &real, NAME, || {
        reason(&real, NAME, "PersistenceHealthy").as_deref() == Some("LoginRefused")
    })
    .await?;
    real.clear_calls();
    let group = document(valkey, "refused").replace("retentionDays: 30", "retentionDays: 7");
    real.scene.put("cache.yaml", &group);
    until("the retention", &real, NAME, || real.count("PutRetentionPolicy") > 0).await?;
    assert_eq!(reason(&real, NAME, "Ready").as_deref(), Some("LoginRefused"));

    // What it was started with comes back with the next task.
    put_password(&real, "Zq-theirs");
    real.scene.put("cache.yaml", &document(valkey, "healed"));
    until("Ready", &real, NAME, || real.scene.is_ready(NAME)).await?;
    is_nowhere(&real, &task).await?;
    let text = real.quiet(0, &["verify", NAME, "--yes", "--keys", "7"]).await?;
    ensure!(text.contains("everything that was written came back"), "{text}");
    let task = until_ready(&real, NAME).await?;
    assert!(ping(&task, Some("valkeep"), "Zq-theirs")?.contains("PONG"));
    is_nowhere(&real, &task).await?;
    controller.stop().await?;
    real.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_task_whose_secret_cannot_be_read_says_so_and_heals() -> Result<()> {
    let real = Real::start().await?;
    let valkey = "{credentialsFrom: {ssmParameter: /cache/password}}";
    real.scene.put("cache.yaml", &document(valkey, "first"));
    let controller = real.quiet_controller()?;
    until("ECS's refusal", &real, NAME, || {
        real.scene
            .status(NAME)
            .is_some_and(|status| status.to_string().contains("could not read the server's password"))
    })
    .await?;
    put_password(&real, NEW);
    // ECS has given up by now; valkeep would ask for another try in a while.
    real.force_new_deployment(NAME);
    let task = until_ready(&real, NAME).await?;
    assert!(ping(&task, None, NEW)?.contains("PONG"));
    controller.stop().await?;
    real.stop().await;
    Ok(())
}

/// A service that Terraform made with a password in its own way.
#[tokio::test]
async fn an_adopted_service_is_asked_with_its_password_and_never_given_another() -> Result<()> {
    let real = Real::start().await?;
    put_password(&real, THEIRS);
    let seed = valkeep_tests::terraform::definition("seed").registered;
    let mut value = serde_json::to_value(&seed)?;
    let container = &mut value["containerDefinitions"][0];
    container["secrets"] = json!([{ "name": "PASSWORD", "valueFrom": PARAMETER }]);
    let command = container["command"].as_array_mut().context("a command")?;
    command.extend([json!("--requirepass"), json!(THEIRS)]);
    let definition = valkeep_core::RawDefinition::new(value).context("an object")?;
    real.scene.terraformed("cache", &definition).await;
    let valkey = "  valkey: {credentialsFrom: {ssmParameter: /cache/password}}\n";
    real.scene
        .put("cache.yaml", &(adopting("cache", "AcceptLoss") + valkey));
    let controller = real.quiet_controller()?;
    let task = until_ready(&real, "cache").await?;
    assert!(ping(&task, None, THEIRS)?.contains("PONG"));

    put_password(&real, "another");
    let anew = adopting("cache", "AcceptLoss") + valkey;
    real.scene.put(
        "cache.yaml",
        &anew.replacen(
            "metadata:\n",
            "metadata:\n  annotations: {valkeep.dev/look-now: now}\n",
            1,
        ),
    );
    until("a look", &real, "cache", || {
        real.scene
            .status("cache")
            .is_some_and(|status| status["status"]["lookNow"] == "now")
    })
    .await?;
    assert!(
        ping(&task, None, THEIRS)?.contains("PONG"),
        "it is its owner's to change"
    );
    controller.stop().await?;
    real.stop().await;
    Ok(())
}
