//! `status`: a table, everything about one, and for machines.

use crate::sandbox::{DOCUMENT, Sandbox, check};
use valkeep_core::{Condition, ConditionStatus, ConditionType, Timestamp};
use valkeep_document::status::{HoldStatus, Status, ValkeyStatus};

/// A status five minutes and a bit old, so that the text says `5m ago` for the next minute.
pub(crate) fn status(revision: &str, conditions: &[(ConditionType, ConditionStatus)]) -> Status {
    let then = Timestamp::from_second(Timestamp::now().as_second() - 301).expect("in range");
    let mut status = Status {
        observed_generation: 1,
        observed_revision: revision.to_owned(),
        installation: "default".to_owned(),
        phase: "everything is as the document says".to_owned(),
        address: Some("10.0.3.7:6379".to_owned()),
        last_updated: then,
        valkey: Some(ValkeyStatus {
            version: "valkey 8.0.1".to_owned(),
            keys: 1000,
            keys_at_risk: 12,
            last_snapshot_at: Some(then),
            last_snapshot_ok: true,
            keys_loaded_at_start: 900,
            started_at: Some(then),
            used_memory_bytes: 3 * 1024 * 1024,
            ..ValkeyStatus::default()
        }),
        ..Status::new("checkout-cache")
    };
    for (type_, value) in conditions {
        status.set_condition(Condition {
            type_: *type_,
            status: *value,
            reason: "Because".to_owned(),
            message: "this is why".to_owned(),
            last_transition_time: then,
            observed_generation: 1,
        });
    }
    status
}

/// Writes a status beside the documents.
pub(crate) fn put(sandbox: &Sandbox, status: &Status) {
    let text = String::from_utf8(status.to_json()).expect("JSON is UTF-8");
    sandbox.file("docs-status/checkout-cache.json", &text);
}

fn with_status(conditions: &[(ConditionType, ConditionStatus)]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("a.yaml", DOCUMENT).file("docs/.keep", "");
    let revision = sandbox.apply("a.yaml", "file:docs");
    put(&sandbox, &status(&revision, conditions));
    sandbox
}

#[test]
fn an_empty_store_has_an_empty_table() {
    let sandbox = Sandbox::new();
    sandbox.file("docs/.keep", "");
    check(
        &sandbox.run(&["status", "--store", "file:docs"]),
        0,
        "NAME  READY  KEYS  AT RISK  LAST SNAPSHOT  UPDATED  PHASE\n",
        "",
    );
    check(
        &sandbox.run(&["status", "--store", "file:docs", "--output", "json"]),
        0,
        "{\n  \"items\": []\n}\n",
        "",
    );
}

#[test]
fn the_table_has_one_line_a_document() {
    let sandbox = with_status(&[(ConditionType::Ready, ConditionStatus::True)]);
    sandbox.file(
        "docs/fresh.yaml",
        &DOCUMENT.replace("name: checkout-cache", "name: fresh"),
    );
    check(
        &sandbox.run(&["status", "--store", "file:docs"]),
        0,
        "\
NAME            READY    KEYS  AT RISK  LAST SNAPSHOT  UPDATED  PHASE
checkout-cache  True     1000  12       5m ago         5m ago   everything is as the document says
fresh           Unknown  -     -        -              -        no status yet
",
        "",
    );
}

#[test]
fn a_status_of_an_older_version_is_not_taken_for_this_one() {
    let sandbox = with_status(&[(ConditionType::Ready, ConditionStatus::True)]);
    sandbox.file("docs/checkout-cache.yaml", &DOCUMENT.replace("8.0", "8.0.1"));
    let table = sandbox.run(&["status", "--store", "file:docs"]).stdout;
    assert!(table.contains("checkout-cache  Unknown"), "{table}");
    assert!(table.contains("new version not looked at yet"), "{table}");
}

#[test]
fn one_document_is_told_in_full() {
    let sandbox = with_status(&[]);
    let mut full = status(
        "7",
        &[
            (ConditionType::Ready, ConditionStatus::False),
            (ConditionType::Stalled, ConditionStatus::True),
        ],
    );
    full.holds.push(HoldStatus {
        reason: "ImmutableField".to_owned(),
        message: "the path of fsap-1 cannot be changed".to_owned(),
        hint: Some("change it back".to_owned()),
        until: None,
    });
    full.resources.file_system_id = Some("fs-0123456789abcdef0".to_owned());
    full.remember(Timestamp::UNIX_EPOCH, "Created", "made \u{1b}[2J fs-0123456789abcdef0");
    put(&sandbox, &full);
    let output = sandbox.run(&["status", "checkout-cache", "--store", "file:docs"]);
    assert_eq!(output.code, 0, "{output:?}");
    for part in [
        "checkout-cache  docs/checkout-cache.yaml\n",
        "  phase     everything is as the document says\n",
        "has not been looked at yet\n",
        "Ready    False   5m ago  Because  this is why\n",
        "Stalled  True    5m ago  Because  this is why\n",
        "  file system  fs-0123456789abcdef0\n",
        "12 changes since the last snapshot\n",
        "3.0 MiB, no limit\n",
        "  ImmutableField: the path of fsap-1 cannot be changed\n    hint: change it back\n",
        "  1970-01-01T00:00:00Z  Created: made \u{fffd}[2J fs-0123456789abcdef0\n",
    ] {
        assert!(output.stdout.contains(part), "{part:?} in\n{}", output.stdout);
    }
}

#[test]
fn json_and_yaml_are_the_status_as_it_was_written() {
    let sandbox = with_status(&[(ConditionType::Ready, ConditionStatus::True)]);
    let written = sandbox.read("docs-status/checkout-cache.json").expect("was put");
    let written: serde_json::Value = serde_json::from_str(&written).expect("JSON");
    let one = ["status", "checkout-cache", "--store", "file:docs", "--output"];
    let json = sandbox.run(&[&one[..], &["json"]].concat()).stdout;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).expect("JSON"), written);
    let yaml = sandbox.run(&[&one[..], &["yaml"]].concat()).stdout;
    assert_eq!(serde_yaml::from_str::<serde_json::Value>(&yaml).expect("YAML"), written);
}

#[test]
fn a_document_that_is_gone_still_has_its_last_status() {
    let sandbox = with_status(&[]);
    std::fs::remove_file(sandbox.path("docs/checkout-cache.yaml")).expect("is there");
    let output = sandbox.run(&["status", "checkout-cache", "--store", "file:docs"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(
        output.stdout.contains("the document is not in the store any more"),
        "{output:?}"
    );
}

#[test]
fn an_unknown_name_is_an_error() {
    let sandbox = with_status(&[]);
    check(
        &sandbox.run(&["status", "nobody", "--store", "file:docs"]),
        1,
        "",
        "error: there is no document `nobody` in the store\nhint: `valkeep status` lists all\n",
    );
}
