//! What users report of task definitions, desired counts and one-task deployments, and which fixture or test answers it.
//!
//! Every line of the first three sections has an answer: a definition of the corpus, which names the report and goes
//! through registering, laying over and back; a test; or the reason why there is nothing to test.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// What answers a report.
enum Answer {
    /// A definition of `tests/definitions`, which names the report.
    Definition(&'static str),
    /// A test: file and name.
    Test(&'static str, &'static str),
    /// A story of `tests/stories`.
    Story(&'static str),
    /// It cannot happen here, for this reason.
    CannotHappen(&'static str),
}
use Answer::{CannotHappen, Definition, Story, Test};

const ADOPTION: &str = "crates/valkeep-plan/tests/it/adoption.rs";
const TRANSITION: &str = "crates/valkeep-plan/tests/it/transition.rs";
const DRIFT: &str = "crates/valkeep-plan/tests/it/drift.rs";
const REFUSALS: &str = "crates/valkeep-plan/tests/it/refusals.rs";
const LOCK: &str = "crates/valkeep-plan/tests/it/lock.rs";
const SDK: &str = "tests/all/adoption.rs";

/// Line of the list, reports, answer.
const TRAPS: &[(u8, &[&str], Answer)] = &[
    // Task-definition churn and diff noise
    (1, &["hashicorp/terraform#17737"], Definition("nothing-written")),
    (2, &["hashicorp/terraform#23780"], Definition("nothing-written")),
    (3, &["terraform-provider-aws#10387"], Definition("nothing-written")),
    (4, &["terraform-provider-aws#23726"], Definition("nothing-written")),
    (5, &["terraform-provider-aws#14052"], Definition("environment-order")),
    (6, &["terraform-provider-aws#5205"], Definition("tuned")),
    (7, &["terraform-provider-aws#19549"], Definition("efs-beside")),
    (8, &["terraform-provider-aws#18010"], Definition("efs-beside")),
    (9, &["terraform-provider-aws#26793"], Definition("efs-beside")),
    (10, &["CircleCI-Public/aws-ecs-orb#105"], Definition("efs-beside")),
    (
        11,
        &["terraform-aws-modules/terraform-aws-ecs#103"],
        Definition("empty-platform"),
    ),
    (12, &["braintrust terraform module#335"], Definition("empty-platform")),
    (13, &["aws/aws-cli#1332"], Definition("nothing-written")),
    (14, &["fabfuel/ecs-deploy#136"], Definition("keys-to-come")),
    (15, &["provider-upjet-aws#1061"], Definition("tuned")),
    (
        16,
        &["provider-upjet-aws#1115"],
        Test(
            SDK,
            "a_hundred_services_rest_and_follow_a_foreign_deploy_with_one_registration_and_one_update_each",
        ),
    ),
    (
        17,
        &["provider-upjet-aws#825", "#585", "#1519"],
        Test(
            SDK,
            "a_hundred_services_rest_and_follow_a_foreign_deploy_with_one_registration_and_one_update_each",
        ),
    ),
    (
        18,
        &["crossplane-contrib/provider-aws#1841"],
        Test(
            SDK,
            "a_hundred_services_rest_and_follow_a_foreign_deploy_with_one_registration_and_one_update_each",
        ),
    ),
    (
        19,
        &["aws-controllers-k8s/community#2361"],
        CannotHappen("a document holds no references that are resolved elsewhere"),
    ),
    (
        20,
        &["aws-controllers-k8s/community#2365"],
        Test(DRIFT, "a_changed_document_is_rolled_out_in_one_call"),
    ),
    (21, &["cloudformation-coverage-roadmap#1283"], Definition("efs-beside")),
    (
        22,
        &["cloudformation-coverage-roadmap#1259"],
        Test(
            "crates/valkeep-aws/src/service.rs",
            "settings_read_back_as_they_were_sent",
        ),
    ),
    (
        23,
        &["cloudformation-coverage-roadmap#1455"],
        Definition("stop-timeout"),
    ),
    (23, &["cloudformation-coverage-roadmap#1467"], Definition("arm")),
    (
        23,
        &[
            "cloudformation-coverage-roadmap#2153",
            "cloudformation-coverage-roadmap#2234",
        ],
        Definition("placement"),
    ),
    (
        24,
        &["cloudformation-coverage-roadmap#1056"],
        Test(ADOPTION, "a_deploy_without_persistence_is_the_new_base"),
    ),
    (
        25,
        &["cloudformation-coverage-roadmap#1222"],
        Test("crates/valkeep-aws/src/convert.rs", "tags_of_aws_itself_are_left_out"),
    ),
    (26, &["pipe-cd/pipecd#5336"], Definition("environment-order")),
    (
        27,
        &["pipe-cd/pipecd#5032"],
        Test(
            "crates/valkeep-engine/tests/engine/documents.rs",
            "an_invalid_change_leaves_the_last_good_version_in_force",
        ),
    ),
    (28, &["go-to-k/cdk-real-drift#653"], Definition("keys-to-come")),
    // desiredCount, autoscaling and two writers
    (
        29,
        &["terraform-provider-aws#335", "#752", "hashicorp/terraform#10308"],
        Test(SDK, "a_scaled_service_is_left_alone_until_it_is_not"),
    ),
    (
        30,
        &["terraform-aws-ecs#346"],
        Test(TRANSITION, "a_users_own_desired_0_is_never_undone"),
    ),
    (
        31,
        &["terraform-provider-aws#632", "#20121", "hashicorp/terraform#13005"],
        Test(
            ADOPTION,
            "a_deploy_from_a_copy_of_ours_is_taken_as_it_is_and_its_base_is_the_copys",
        ),
    ),
    // One-task services, EFS locks, deployments
    (
        32,
        &["copilot-cli#3153", "#3427"],
        Test(REFUSALS, "two_tasks_are_never_allowed"),
    ),
    (
        33,
        &["copilot-cli#5083"],
        Test(LOCK, "the_server_takes_over_the_process_and_keeps_the_lock"),
    ),
    (
        34,
        &["runatlantis/terraform-aws-atlantis#383"],
        Test(LOCK, "the_server_takes_over_the_process_and_keeps_the_lock"),
    ),
    (
        35,
        &["serverless-jenkins-on-fargate#38"],
        CannotHappen("a gap at each replacement is what 0/100 means; SEMANTICS says so"),
    ),
    (36, &["copilot-cli#2958"], Story("hand-made-changes")),
    (
        37,
        &["aws/containers-roadmap#127", "#1008", "#1751"],
        CannotHappen("a wish for ECS; valkeep is one answer to it"),
    ),
    (
        38,
        &["aws/containers-roadmap#325"],
        Test(
            REFUSALS,
            "a_service_starts_only_when_nothing_of_it_runs_and_every_zone_can_mount",
        ),
    ),
    (
        39,
        &["terraform-provider-aws#19519", "#20858"],
        Test(DRIFT, "a_broken_deployment_is_tried_again_with_growing_delay"),
    ),
    (
        40,
        &["aws-actions/amazon-ecs-deploy-task-definition#191", "#494"],
        Test(
            "crates/valkeep-plan/tests/it/conditions.rs",
            "a_converged_world_is_ready",
        ),
    ),
    (
        41,
        &["copilot-cli#1879"],
        Test(
            "crates/localaws/src/ecs/tests/rollouts.rs",
            "three_failed_starts_trip_the_circuit_breaker",
        ),
    ),
    (
        42,
        &["copilot-cli#2608", "#5296"],
        Test(DRIFT, "a_broken_deployment_is_tried_again_with_growing_delay"),
    ),
    (
        43,
        &["kayac/ecspresso#929"],
        Test(DRIFT, "a_changed_document_is_rolled_out_in_one_call"),
    ),
    (
        44,
        &["kayac/ecspresso#671"],
        CannotHappen("only its title was ever seen"),
    ),
    (
        45,
        &["terraform-provider-aws#43238"],
        Test(TRANSITION, "a_running_server_is_taken_over_in_the_strict_order"),
    ),
    (
        46,
        &["aws/containers-roadmap#2393", "#2394", "#2402"],
        Test(ADOPTION, "a_deploy_without_persistence_is_the_new_base"),
    ),
];

#[test]
fn every_line_has_an_answer_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    for (line, reports, answer) in TRAPS {
        match answer {
            Definition(name) => {
                let file: Value = serde_json::from_str(&read(&format!("tests/definitions/{name}.json"))).expect("JSON");
                let answers = file["answers"].as_array().expect("a list");
                for report in *reports {
                    assert!(
                        answers.iter().any(|one| one == report),
                        "line {line}: {name} does not name {report}"
                    );
                }
            }
            Test(file, name) => assert!(
                read(file).contains(name),
                "line {line}: {name} is not in {file} any more"
            ),
            Story(name) => assert!(!read(&format!("tests/stories/{name}.story")).is_empty()),
            CannotHappen(reason) => assert!(reason.len() > 20, "line {line}"),
        }
    }
    let lines: BTreeSet<u8> = TRAPS.iter().map(|(line, ..)| *line).collect();
    assert_eq!(lines, (1..=46).collect());
}
