//! `verify`: what it does not begin. What it does is in `tests/all/verify.rs`.

use crate::sandbox::{DOCUMENT, Output, Sandbox};
use crate::statuses::{put, status};
use valkeep_core::ConditionStatus::{False, True};
use valkeep_core::ConditionType::{Ready, Stalled};

const VERIFY: [&str; 5] = ["verify", "checkout-cache", "--yes", "--store", "file:docs"];

/// Refused at once, before AWS is asked for anything: there is none here.
fn refused(document: &str, ready: bool) -> Output {
    let sandbox = Sandbox::new();
    sandbox.file("a.yaml", document).file("docs/.keep", "");
    let revision = sandbox.apply("a.yaml", "file:docs");
    let conditions = if ready {
        [(Ready, True), (Stalled, False)]
    } else {
        [(Ready, False), (Stalled, True)]
    };
    put(&sandbox, &status(&revision, &conditions));
    let output = sandbox.run(&VERIFY);
    assert_eq!((output.code, &*output.stdout), (1, ""), "{output:?}");
    assert_eq!(sandbox.read("docs/checkout-cache.yaml").as_deref(), Some(document));
    output
}

fn with(more: &str) -> String {
    format!("{DOCUMENT}{more}")
}

#[test]
fn a_document_that_promises_to_keep_nothing_is_not_verified() {
    let deletion = "metadata:\n  annotations: {valkeep.dev/delete: checkout-cache}\n";
    for (document, why) in [
        (with("  mode: Observe\n"), "spec.mode is not Enforce"),
        (with("  mode: Paused\n"), "spec.mode is not Enforce"),
        (
            with("  persistence: {enabled: false}\n"),
            "spec.persistence.enabled is false",
        ),
        (
            with("  persistence: {snapshots: {preset: 'Off'}}\n"),
            "the drill's keys among it",
        ),
        (DOCUMENT.replace("metadata:\n", deletion), "asks for its deletion"),
    ] {
        let output = refused(&document, true);
        assert!(output.stderr.contains(why), "{document}\n{output:?}");
        assert!(
            output.stderr.contains("`checkout-cache` cannot be verified"),
            "{output:?}"
        );
    }
}

#[test]
fn a_document_that_is_not_ready_is_not_verified() {
    let output = refused(DOCUMENT, false);
    assert!(
        output
            .stderr
            .contains("`checkout-cache` is not Ready: stalled: this is why"),
        "{output:?}"
    );
}

#[test]
fn a_document_that_nobody_looks_at_is_not_verified() {
    let sandbox = Sandbox::new();
    sandbox.file("docs/checkout-cache.yaml", DOCUMENT);
    let output = sandbox.run(&VERIFY);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(
        output
            .stderr
            .contains("no status yet; does `valkeep run` look at this store?"),
        "{output:?}"
    );
    let output = sandbox.run(&["verify", "nobody", "--yes", "--store", "file:docs"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("there is no document `nobody`"), "{output:?}");
}

#[test]
fn a_drill_has_a_key_at_least() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&[&VERIFY[..], &["--keys", "0"]].concat());
    assert_eq!(output.code, 64, "{output:?}");
}
