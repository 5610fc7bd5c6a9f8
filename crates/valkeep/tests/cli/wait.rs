//! `wait`: for the right version, and not longer than it makes sense.

use crate::sandbox::{DOCUMENT, Output, Sandbox};
use crate::statuses::{put, status};
use std::time::{Duration, Instant};
use valkeep_core::ConditionStatus::{False, True};
use valkeep_core::ConditionType::{Deleted, Ready, Reconciling, Stalled};

fn applied() -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    sandbox.file("a.yaml", DOCUMENT).file("docs/.keep", "");
    let revision = sandbox.apply("a.yaml", "file:docs");
    (sandbox, revision)
}

fn wait(sandbox: &Sandbox, more: &[&str]) -> Output {
    let args = ["wait", "checkout-cache", "--store", "file:docs", "--poll", "20ms"];
    sandbox.run(&[&args[..], more].concat())
}

#[test]
fn ready_is_the_answer_once_this_version_is() {
    let (sandbox, revision) = applied();
    put(&sandbox, &status(&revision, &[(Ready, True), (Reconciling, False)]));
    let output = wait(&sandbox, &[]);
    assert_eq!(
        (output.code, &*output.stdout),
        (0, "checkout-cache: Ready=True\n"),
        "{output:?}"
    );
    let output = wait(
        &sandbox,
        &[
            "--for=condition=Ready",
            "--for=Reconciling=False",
            "--revision",
            &revision,
        ],
    );
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(output.stdout, "checkout-cache: Ready=True and Reconciling=False\n");
}

#[test]
fn a_ready_from_before_the_change_is_no_answer() {
    let (sandbox, _) = applied();
    put(&sandbox, &status("older", &[(Ready, True)]));
    let output = wait(&sandbox, &["--timeout", "100ms"]);
    assert_eq!(output.code, 3, "{output:?}");
    assert!(
        output.stderr.contains("this version has not been looked at yet"),
        "{output:?}"
    );
    let output = wait(&sandbox, &["--revision", "older"]);
    assert_eq!(output.code, 0, "{output:?}");
}

#[test]
fn a_later_version_counts_too() {
    let (sandbox, _) = applied();
    let mut later = status("later", &[(Ready, True)]);
    later.observed_generation = i64::MAX;
    put(&sandbox, &later);
    assert_eq!(wait(&sandbox, &[]).code, 0);
}

#[test]
fn a_stalled_document_is_not_waited_for_unless_asked() {
    let (sandbox, revision) = applied();
    put(&sandbox, &status(&revision, &[(Ready, False), (Stalled, True)]));
    let begun = Instant::now();
    let output = wait(&sandbox, &["--timeout", "1h"]);
    assert!(begun.elapsed() < Duration::from_mins(1));
    assert_eq!(output.code, 3, "{output:?}");
    assert!(output.stderr.contains("stalled: this is why"), "{output:?}");
    let output = wait(&sandbox, &["--timeout", "100ms", "--through-stalls"]);
    assert_eq!(output.code, 3, "{output:?}");
    assert!(output.stderr.contains("not Ready=True within"), "{output:?}");
    assert_eq!(wait(&sandbox, &["--for=Stalled"]).code, 0);
}

#[test]
fn progress_is_told_on_stderr_while_waiting() {
    let (sandbox, revision) = applied();
    put(&sandbox, &status(&revision, &[(Ready, False)]));
    let output = wait(&sandbox, &["--timeout", "100ms"]);
    assert_eq!((output.code, &*output.stdout), (3, ""), "{output:?}");
    let said = output.stderr.matches("everything is as the document says").count();
    assert_eq!(said, 1, "{output:?}");
}

#[test]
fn an_unknown_document_is_an_error_at_once() {
    let (sandbox, _) = applied();
    let output = sandbox.run(&["wait", "nobody", "--store", "file:docs"]);
    assert_eq!(output.code, 1, "{output:?}");
}

#[test]
fn apply_waits_for_what_it_wrote() {
    let (sandbox, revision) = applied();
    put(&sandbox, &status(&revision, &[(Ready, True)]));
    let args = ["apply", "a.yaml", "--store", "file:docs", "--wait", "--poll", "20ms"];
    let same = sandbox.run(&args);
    assert_eq!(same.code, 0, "{same:?}");
    sandbox.file("a.yaml", &DOCUMENT.replace("8.0", "8.0.1"));
    let changed = sandbox.run(&[&args[..], &["--timeout", "100ms"]].concat());
    assert_eq!(changed.code, 3, "{changed:?}");
}

#[test]
fn a_deletion_is_waited_for_by_its_own_condition() {
    let (sandbox, _) = applied();
    let document = DOCUMENT.replace(
        "metadata:\n",
        "metadata:\n  annotations: {valkeep.dev/delete: checkout-cache}\n",
    );
    assert_ne!(document, DOCUMENT);
    sandbox.file("a.yaml", &document);
    let revision = sandbox.apply("a.yaml", "file:docs");
    put(&sandbox, &status(&revision, &[(Ready, False), (Deleted, True)]));
    let output = wait(&sandbox, &["--for=Deleted"]);
    assert_eq!(
        (output.code, &*output.stdout),
        (0, "checkout-cache: Deleted=True\n"),
        "{output:?}"
    );
    let apply = ["apply", "a.yaml", "--store", "file:docs", "--wait", "--poll", "20ms"];
    let output = sandbox.run(&apply);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stdout.ends_with("checkout-cache: Deleted=True\n"), "{output:?}");

    put(
        &sandbox,
        &status(&revision, &[(Ready, False), (Stalled, True), (Deleted, False)]),
    );
    let output = wait(&sandbox, &["--for=Deleted", "--timeout", "1h"]);
    assert_eq!(output.code, 3, "{output:?}");
    assert!(output.stderr.contains("stalled: this is why"), "{output:?}");
}
