//! Exit codes, help, streams.

use crate::sandbox::{DOCUMENT, Sandbox, check};
use std::process::Stdio;

#[test]
fn a_wrong_command_line_ends_with_64() {
    let sandbox = Sandbox::new();
    for args in [
        &[][..],
        &["frobnicate"],
        &["validate"],
        &["plan"],
        &["wait", "a", "--for", "Readiness", "--store", "file:docs"],
        &["status", "--store", "http://docs"],
        &["status", "--poll", "1s", "--store", "file:docs"],
        &["run", "--single-replica", "--store", "file:docs", "--poll", "0s"],
        &["run", "--single-replica", "--store", "file:docs", "--timeout", "1m"],
        &[
            "run",
            "--single-replica",
            "--store",
            "file:docs",
            "--installation",
            "Blue Moon",
        ],
        &["status", "--log", "valkeep=loud"],
        &["status"],
        &["run"],
        &["run", "--store", "file:docs"],
        &["run", "--store", "file:docs", "--lease", "file:lease"],
        &["run", "--store", "file:docs", "--lease", "s3://bucket/prefix/"],
        &[
            "run",
            "--store",
            "file:docs",
            "--lease",
            "s3://bucket/key",
            "--single-replica",
        ],
        &["run", "--store", "s3://bucket/docs/", "--lease", "s3://bucket/docs/key"],
        &["wait", "a"],
    ] {
        let output = sandbox.run(args);
        assert_eq!(output.code, 64, "{args:?} {output:?}");
        assert_eq!(output.stdout, "", "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn help_and_version_end_well_on_stdout() {
    let sandbox = Sandbox::new();
    for args in [
        &["--help"][..],
        &["-h"],
        &["help"],
        &["help", "plan"],
        &["run", "--help"],
        &["--version"],
    ] {
        let output = sandbox.run(args);
        assert_eq!(output.code, 0, "{args:?}");
        assert!(!output.stdout.is_empty(), "{args:?}");
        assert_eq!(output.stderr, "", "{args:?}");
    }
    assert!(
        sandbox
            .run(&["--help"])
            .stdout
            .contains("64  the command line is wrong")
    );
}

#[test]
fn an_unknown_store_is_told_with_what_to_write() {
    let output = Sandbox::new().run(&["status", "--store", "http://docs"]);
    assert!(
        output
            .stderr
            .contains("write s3://bucket/prefix/, ssm:/path/ or file:DIR"),
        "{output:?}"
    );
}

#[test]
fn a_missing_store_is_told_with_both_ways_to_give_one() {
    check(
        &Sandbox::new().run(&["status"]),
        64,
        "",
        "error: no store was given\n\
         hint: give --store s3://bucket/prefix/, ssm:/path/ or file:DIR, or set VALKEEP_STORE\n",
    );
}

#[test]
fn stores_without_a_place_for_a_lease_say_both_ways_to_go_on() {
    check(
        &Sandbox::new().run(&["run", "--store", "file:docs"]),
        64,
        "",
        "error: replicas share a lease in S3, and no status of these stores lies there\n\
         hint: give --lease s3://bucket/key, the same to every replica\n\
         hint: or give --single-replica, if no other valkeep runs on these stores\n",
    );
}

#[test]
fn the_schemas_are_json_and_yaml() {
    let sandbox = Sandbox::new();
    let schema = sandbox.run(&["schema"]);
    let schema: serde_json::Value = serde_json::from_str(&schema.stdout).expect("JSON");
    assert!(schema["properties"]["spec"].is_object(), "{schema}");
    let crd = sandbox.run(&["schema", "--crd"]);
    let crd: serde_json::Value = serde_yaml::from_str(&crd.stdout).expect("YAML");
    assert_eq!(crd["kind"], "CustomResourceDefinition");
}

#[test]
fn every_shell_has_completions() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = sandbox.run(&["completions", shell]);
        assert_eq!(output.code, 0, "{shell}");
        assert!(output.stdout.contains("valkeep"), "{shell}");
    }
}

#[test]
fn a_reader_that_goes_is_no_error() {
    let sandbox = Sandbox::new();
    let mut child = sandbox
        .command(&["schema"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary is built");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn nothing_is_coloured_where_there_is_no_terminal() {
    let sandbox = Sandbox::new();
    sandbox.file("docs/checkout-cache.yaml", DOCUMENT);
    let output = sandbox.run(&["status", "--store", "file:docs"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(!output.stdout.contains('\u{1b}'), "{output:?}");
}
