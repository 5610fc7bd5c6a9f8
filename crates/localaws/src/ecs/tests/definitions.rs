//! Task definitions.

use super::World;
use serde_json::{Value, json};

#[tokio::test(start_paused = true)]
async fn defaults_are_filled_in_and_unknown_members_come_back() {
    let world = World::new().await;
    let mut input = world.definition();
    input["cpu"] = json!(".25 vCPU");
    input["memory"] = json!("0.5 GB");
    input["somethingNew"] = json!({ "a": 1 });
    input["containerDefinitions"][0]["healthCheck"] = json!({ "command": ["CMD-SHELL", "true"] });
    let answer = world.call("RegisterTaskDefinition", input);
    let found = &answer["taskDefinition"];
    let container = &found["containerDefinitions"][0];
    assert_eq!(
        (&found["cpu"], &found["memory"], &found["revision"]),
        (&json!("256"), &json!("512"), &json!(1))
    );
    assert_eq!(
        (&found["status"], &found["somethingNew"]["a"]),
        (&json!("ACTIVE"), &json!(1))
    );
    assert_eq!(
        (&container["essential"], &container["environment"]),
        (&json!(true), &json!([]))
    );
    assert_eq!(
        container["portMappings"],
        json!([{ "containerPort": 6379, "protocol": "tcp", "hostPort": 6379 }])
    );
    assert_eq!(container["healthCheck"]["interval"], 30);
    assert_eq!(found["volumes"][0]["efsVolumeConfiguration"]["rootDirectory"], "/");
}

#[tokio::test(start_paused = true)]
async fn the_environment_comes_back_in_another_order() {
    let world = World::new().await;
    let variables: Vec<Value> = (0..20)
        .map(|n| json!({ "name": format!("V{n:02}"), "value": "x" }))
        .collect();
    let mut input = world.definition();
    input["containerDefinitions"][0]["environment"] = json!(variables);
    let answer = world.call("RegisterTaskDefinition", input);
    let mut found = answer["taskDefinition"]["containerDefinitions"][0]["environment"]
        .as_array()
        .unwrap()
        .clone();
    assert_ne!(found, variables);
    found.sort_by_key(|variable| variable["name"].as_str().unwrap().to_owned());
    assert_eq!(found, variables);
}

#[tokio::test(start_paused = true)]
async fn revisions_are_found_by_family_revision_and_arn_and_tags_only_when_asked_for() {
    let world = World::new().await;
    let mut input = world.definition();
    input["tags"] = json!([{ "key": "hash", "value": "1" }]);
    let first = world.register(input);
    let second = world.register(world.definition());
    let describe = |name: &str, include: Value| {
        world.call(
            "DescribeTaskDefinition",
            json!({ "taskDefinition": name, "include": include }),
        )
    };
    let arn = |answer: Value| {
        answer["taskDefinition"]["taskDefinitionArn"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(arn(describe("valkey", json!([]))), second);
    assert_eq!(arn(describe("valkey:1", json!([]))), first);
    assert_eq!(
        describe(&first, json!(["TAGS"]))["tags"],
        json!([{ "key": "hash", "value": "1" }])
    );
    assert_eq!(describe(&first, json!([])).get("tags"), None);
    let missing = world.refused("DescribeTaskDefinition", json!({ "taskDefinition": "other" }));
    assert_eq!(missing, "ClientException: Unable to describe task definition.");
}

#[tokio::test(start_paused = true)]
async fn the_newest_active_revisions_are_listed_in_pages_of_the_exact_family() {
    let world = World::new().await;
    for _ in 0..3 {
        world.register(world.definition());
    }
    let mut other = world.definition();
    other["family"] = json!("valkey-2");
    world.register(other);
    world.call("DeregisterTaskDefinition", json!({ "taskDefinition": "valkey:2" }));
    let list = |token: Value| {
        let input = json!({ "familyPrefix": "valkey", "sort": "DESC", "maxResults": 1, "nextToken": token });
        world.call("ListTaskDefinitions", input)
    };
    let first = list(Value::Null);
    assert!(first["taskDefinitionArns"][0].as_str().unwrap().ends_with("valkey:3"));
    let second = list(first["nextToken"].clone());
    assert!(second["taskDefinitionArns"][0].as_str().unwrap().ends_with("valkey:1"));
    assert_eq!(second.get("nextToken"), None);
}

#[tokio::test(start_paused = true)]
async fn what_fargate_and_efs_do_not_have_is_refused() {
    let world = World::new().await;
    let refused = |path: &str, value: Value| {
        let mut input = world.definition();
        *input.pointer_mut(path).unwrap() = value;
        world.refused("RegisterTaskDefinition", input)
    };
    let efs = "/volumes/0/efsVolumeConfiguration";
    let memory = refused("/memory", json!("4096"));
    assert!(
        memory.contains("No Fargate configuration exists for given values: 256 CPU, 4096 memory."),
        "{memory}"
    );
    assert!(refused("/containerDefinitions/0/stopTimeout", json!(121)).contains("120"));
    assert!(refused("/containerDefinitions/0/mountPoints/0/sourceVolume", json!("x")).contains("Unknown volume 'x'."));
    assert!(refused(&format!("{efs}/transitEncryption"), json!("DISABLED")).contains("requires TransitEncryption"));
    let mut input = world.definition();
    input["volumes"][0]["efsVolumeConfiguration"]["rootDirectory"] = json!("/x");
    assert_eq!(
        world.refused("RegisterTaskDefinition", input),
        "ClientException: When using an EFS access point, the root directory must either be set to \"/\" or be omitted"
    );
}
