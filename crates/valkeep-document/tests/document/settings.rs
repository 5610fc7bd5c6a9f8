//! Settings that must be read, and settings that must fail exactly so.

use crate::{files, golden, manifests, name};
use valkeep_core::limits::{Allowed, Kind, Limits, Pattern};
use valkeep_document::read_settings;

const FILES: &[&str] = &["yaml", "json"];

#[test]
fn the_example_says_what_may_be_touched() {
    let limits = read_settings(
        "example.yaml",
        &std::fs::read(manifests("settings/example.yaml")).unwrap(),
    )
    .unwrap();
    let only = |texts: &[&str]| Allowed::only(texts.iter().map(|text| Pattern::parse(text).unwrap()).collect());
    assert_eq!(
        limits,
        Limits {
            clusters: only(&["trigpointing-cluster"]),
            roles: only(&["trigpointing-ecs-*"]),
            assume_roles: only(&["arn:aws:iam::222222222222:role/valkeep-*"]),
            security_groups: only(&["sg-0cccccccccccccccc"]),
            images: only(&[
                "valkey/valkey:*",
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com/valkey:*"
            ]),
            regions: only(&["eu-west-1"]),
        }
    );
}

#[test]
fn every_valid_file_is_read_and_what_it_leaves_out_is_open() {
    for path in files("settings", FILES) {
        let bytes = std::fs::read(&path).unwrap();
        let limits = read_settings(&name(&path), &bytes).unwrap_or_else(|findings| panic!("{findings}"));
        let theirs: serde_json::Value = serde_yaml::from_slice(&bytes).unwrap();
        for kind in Kind::ALL {
            let ours = limits
                .of(kind)
                .patterns()
                .map(|patterns| serde_json::to_value(patterns).unwrap());
            assert_eq!(
                ours.as_ref(),
                theirs["limits"].get(kind.setting()),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn golden_findings_of_every_invalid_file() {
    for path in files("settings/invalid", FILES) {
        let findings = read_settings(&name(&path), &std::fs::read(&path).unwrap())
            .err()
            .unwrap_or_else(|| panic!("{} is read as valid", path.display()));
        let expected = path.with_file_name(name(&path) + ".findings");
        golden(&expected, &format!("{findings}\n")).unwrap_or_else(|difference| panic!("{difference}"));
    }
}
