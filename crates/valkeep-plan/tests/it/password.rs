//! The password script, run for real by every POSIX shell that the machine has, and when a password is set on a server that
//! runs.

use crate::lock::shells;
use crate::world::{checked, converge, converged, desired};
use std::io::Write;
use std::process::{Command, Output, Stdio};
use valkeep_core::access::{AccessSpec, LoginSpec, UserSpec};
use valkeep_core::{Desired, SecretReference, ServerChange, Step};
use valkeep_plan::PASSWORD_SCRIPT;

/// SHA-256 of `it's "hunter2" $HOME\n`, without the line's end.
const PASSWORD: &str = r#"it's "hunter2" $HOME\n"#;

/// Runs the script with a server that tells what it was started with: its words, its environment, its input.
fn start(shell: &[&str], environment: &[(&str, &str)]) -> Output {
    let dir = tempfile::tempdir().expect("a directory");
    let server = dir.path().join("server");
    let mut file = std::fs::File::create(&server).expect("a file");
    file.write_all(
        b"#!/bin/sh\necho \"words: $*\"; env | grep -E 'VALKEEP_(PASSWORD|USER)'; tr '\\0' '\\n' </proc/$$/environ | grep -E 'VALKEEP_(PASSWORD|USER)'; cat\n",
    )
    .expect("written");
    drop(file);
    Command::new("chmod")
        .arg("755")
        .arg(&server)
        .status()
        .expect("chmod runs");
    Command::new(shell[0])
        .args(&shell[1..])
        .args(["-c", PASSWORD_SCRIPT, "valkeep-password"])
        .arg(&server)
        .args(["--save", "", "--port", "6379"])
        .env_remove("VALKEEP_USER")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("the shell starts")
}

fn hash(text: &str) -> String {
    let mut child = Command::new("sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sha256sum runs");
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(text.as_bytes())
        .expect("written");
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&output.stdout)[..64].to_owned()
}

#[test]
fn the_server_reads_a_hash_from_its_input_and_nothing_else_tells_of_the_password() {
    let rights = format!("on #{} ~* &* +@all", hash(PASSWORD));
    for shell in shells() {
        for (user, line) in [
            (None, "\n".to_owned()),
            (Some("default"), "\n".to_owned()),
            (Some("valkeep"), format!("user valkeep {rights}\n")),
        ] {
            let mut environment = vec![("VALKEEP_PASSWORD", PASSWORD)];
            environment.extend(user.map(|user| ("VALKEEP_USER", user)));
            let output = start(&shell, &environment);
            assert_eq!(
                String::from_utf8_lossy(&output.stdout),
                format!("words: - --save  --port 6379\nuser default {rights}\n{line}"),
                "{shell:?} {user:?} {output:?}"
            );
        }
    }
}

#[test]
fn what_is_no_password_and_no_name_starts_no_server() {
    for shell in shells() {
        for environment in [
            vec![("VALKEEP_PASSWORD", "")],
            vec![("VALKEEP_PASSWORD", "hunter2"), ("VALKEEP_USER", "a on nopass")],
            vec![("VALKEEP_PASSWORD", "hunter2"), ("VALKEEP_USER", "a\nuser b")],
        ] {
            let output = start(&shell, &environment);
            assert_eq!(output.status.code(), Some(78), "{shell:?} {environment:?} {output:?}");
            assert!(output.stdout.is_empty() && !String::from_utf8_lossy(&output.stderr).contains("hunter2"));
        }
    }
}

fn with_login(user: Option<UserSpec>) -> Desired {
    let mut desired = desired();
    let password = SecretReference::parse("/cache/password").expect("a reference");
    desired.server.access = AccessSpec {
        login: Some(LoginSpec { user, password }),
        tls: None,
    };
    desired
}

#[test]
fn a_login_comes_by_a_replacement_and_stands_nowhere_but_by_reference() {
    let desired = with_login(Some(UserSpec::Named("valkeep".to_owned())));
    let mut world = converged();
    converge(&desired, &mut world);
    let running = world.running_definition.present().expect("a definition");
    let container = &running.definition.as_ref().expect("of our form").container;
    assert_eq!(container.login(), desired.server.access.login);
    assert_eq!(container.command[0], "valkey-server");
    assert_eq!(container.entry_point[4], "/data");
    assert!(checked(&desired, &world).is_converged());

    let mut off = desired.clone();
    off.persistence = valkeep_core::desired::Persistence::Disabled;
    let created = off.created().expect("created").clone();
    let bare = valkeep_plan::render(&off, &created, "arn:role", None, None).container;
    assert_eq!(
        (bare.entry_point[0].as_str(), bare.command[0].as_str()),
        ("/bin/sh", "valkey-server")
    );
}

#[test]
fn the_owner_of_an_adopted_server_is_told_that_its_password_is_another() {
    let mut desired = with_login(None);
    desired.origin = valkeep_core::desired::Origin::Adopted(valkeep_core::desired::Adopted {
        first_transition: valkeep_core::desired::FirstTransition::Wait,
    });
    let mut world = converged();
    let says = |world: &valkeep_core::Observed| {
        let holds = checked(&desired, world).holds;
        holds.iter().any(|hold| hold.message.contains("another password"))
    };
    assert!(!says(&world));
    world.former_login = true;
    assert!(says(&world));
}

#[test]
fn only_a_server_that_was_started_with_the_secret_is_told_what_it_is_now() {
    let desired = with_login(None);
    let mut world = converged();
    world.former_login = true;
    let told = |desired: &Desired, world: &valkeep_core::Observed| {
        let steps = checked(desired, world).steps;
        steps
            .iter()
            .any(|step| matches!(step, Step::ChangeServer { change, .. } if *change == ServerChange::Password))
    };
    assert!(!told(&desired, &world), "it was started without one, and is replaced");
    world.former_login = false;
    converge(&desired, &mut world);
    assert!(checked(&desired, &world).is_converged());
    world.former_login = true;
    assert!(told(&desired, &world));
    converge(&desired, &mut world);
    assert!(!world.former_login);
}
