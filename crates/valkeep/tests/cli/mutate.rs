//! `valkeep mutate`: a pipeline's definition in, one with persistence out.

use crate::sandbox::{Output, Sandbox};
use serde_json::{Value, json};

const ADOPTING: &str = include_str!("../../../../manifests/examples/adopt-existing-service.yaml");
const IDS: [&str; 4] = [
    "--file-system",
    "fs-0123456789abcdef0",
    "--access-point",
    "fsap-0123456789abcdef0",
];

fn mutate(sandbox: &Sandbox, definition: &Value) -> Output {
    sandbox.file("taskdef.json", &definition.to_string());
    let args = ["mutate", "taskdef.json", "--document", "cache.yaml"];
    sandbox.run(&args.iter().chain(&IDS).copied().collect::<Vec<_>>())
}

fn definition() -> Value {
    json!({
        "family": "checkout", "networkMode": "awsvpc", "cpu": "256", "memory": "512",
        "taskRoleArn": "arn:aws:iam::123456789012:role/checkout-task-role",
        "containerDefinitions": [{ "name": "valkey", "image": "valkey/valkey:8.0", "command": ["--maxmemory", "100mb"] }],
        "somethingNew": { "kept": true },
    })
}

#[test]
fn persistence_is_laid_over_and_everything_else_stays() {
    let sandbox = Sandbox::new();
    sandbox.file("cache.yaml", ADOPTING);
    let output = mutate(&sandbox, &definition());
    assert_eq!(output.code, 0, "{output:?}");
    let mutated: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(mutated["somethingNew"], json!({ "kept": true }));
    assert_eq!(mutated["family"], "checkout");
    let efs = &mutated["volumes"][0]["efsVolumeConfiguration"];
    assert_eq!(efs["fileSystemId"], "fs-0123456789abcdef0");
    let command = mutated["containerDefinitions"][0]["command"].to_string();
    for word in [
        "\"--maxmemory\",\"100mb\"",
        "\"--dir\",\"/data\"",
        "\"300 1 60 10 10 10000\"",
    ] {
        assert!(command.contains(word), "{command}");
    }

    // What was mutated may come again, by itself or as AWS describes it.
    for again in [
        mutated.clone(),
        json!({ "taskDefinition": mutated.clone(), "tags": [] }),
    ] {
        let output = mutate(&sandbox, &again);
        assert_eq!(output.code, 0, "{output:?}");
        assert_eq!(serde_json::from_str::<Value>(&output.stdout).expect("JSON"), mutated);
    }
}

#[test]
fn what_is_not_understood_is_refused_with_what_to_do() {
    let sandbox = Sandbox::new();
    sandbox.file("cache.yaml", ADOPTING);
    for (pointer, value, words) in [
        (
            "/containerDefinitions/0/image",
            json!("company/cache:1"),
            "entry point of the image",
        ),
        (
            "/taskRoleArn",
            json!("arn:aws:iam::123456789012:role/other"),
            "spec.taskRole.name to other",
        ),
        ("/networkMode", json!("bridge"), "awsvpc"),
        (
            "/containerDefinitions/0/name",
            json!("cache"),
            "spec.service.container to cache",
        ),
    ] {
        let mut other = definition();
        *other.pointer_mut(pointer).expect("is there") = value;
        let output = mutate(&sandbox, &other);
        assert_eq!(output.code, 1, "{output:?}");
        assert_eq!(output.stdout, "");
        assert!(
            output.stderr.contains(words) && output.stderr.contains("hint: "),
            "{output:?}"
        );
    }
    let output = mutate(&sandbox, &json!({ "a": 1 }));
    assert!(output.stderr.contains("is no task definition"), "{output:?}");
}
