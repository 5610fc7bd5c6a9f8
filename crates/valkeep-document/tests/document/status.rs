//! The status as written.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::Value;
use valkeep_core::{Condition, ConditionStatus, ConditionType, Timestamp};
use valkeep_document::Finding;
use valkeep_document::status::{
    Event, HISTORY_MAX, HoldStatus, MountTargetStatus, Resources, StaleDumpStatus, Status, ValkeyStatus,
};

/// SSM's limit for a standard parameter.
const SSM_BYTES: usize = 4096;

const TYPES: [ConditionType; 14] = [
    ConditionType::Ready,
    ConditionType::Reconciling,
    ConditionType::Stalled,
    ConditionType::DocumentValid,
    ConditionType::NetworkReady,
    ConditionType::FileSystemReady,
    ConditionType::MountTargetsReady,
    ConditionType::AccessPointReady,
    ConditionType::PermissionsReady,
    ConditionType::TaskDefinitionReady,
    ConditionType::ServiceStable,
    ConditionType::PersistenceHealthy,
    ConditionType::WarmStart,
    ConditionType::DriftDetected,
];

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn condition(type_: ConditionType, status: ConditionStatus, second: i64) -> Condition {
    Condition {
        type_,
        status,
        reason: "Converged".into(),
        message: String::new(),
        last_transition_time: at(second),
        observed_generation: 1,
    }
}

#[test]
fn a_status_has_kubernetes_form() {
    let mut status = Status::new("cache");
    status.observed_generation = 3;
    status.set_condition(condition(ConditionType::Ready, ConditionStatus::True, 5));
    status.last_updated = at(6);
    let value: Value = serde_json::from_slice(&status.to_json()).unwrap();
    assert_eq!(value["apiVersion"], "valkeep.dev/v1alpha1");
    assert_eq!(value["kind"], "ValkeyPersistence");
    assert_eq!(value["metadata"]["name"], "cache");
    assert_eq!(value["status"]["observedGeneration"], 3);
    assert_eq!(value["status"]["conditions"][0]["type"], "Ready");
    assert_eq!(
        value["status"]["conditions"][0]["lastTransitionTime"],
        "1970-01-01T00:00:05Z"
    );
    assert_eq!(value["status"]["lastUpdated"], "1970-01-01T00:00:06Z");
    assert_eq!(value, status.to_value());
}

#[test]
fn the_time_of_a_transition_moves_only_on_a_transition() {
    let mut status = Status::new("cache");
    status.set_condition(condition(ConditionType::Ready, ConditionStatus::False, 10));
    status.set_condition(Condition {
        reason: "Other".into(),
        ..condition(ConditionType::Ready, ConditionStatus::False, 20)
    });
    let ready = status.condition(ConditionType::Ready).unwrap();
    assert_eq!((ready.last_transition_time, ready.reason.as_str()), (at(10), "Other"));
    status.set_condition(condition(ConditionType::Ready, ConditionStatus::True, 30));
    assert_eq!(
        status.condition(ConditionType::Ready).unwrap().last_transition_time,
        at(30)
    );
    assert!(status.is(ConditionType::Ready));
}

#[test]
fn conditions_that_are_not_given_any_more_go() {
    let mut status = Status::new("cache");
    status.set_condition(condition(ConditionType::Ready, ConditionStatus::True, 10));
    status.set_condition(condition(ConditionType::WarmStart, ConditionStatus::True, 10));
    status.set_conditions([condition(ConditionType::Ready, ConditionStatus::True, 20)]);
    assert_eq!(status.conditions.len(), 1);
    assert_eq!(status.conditions[0].last_transition_time, at(10));
}

#[test]
fn times_are_written_in_whole_seconds() {
    let mut status = Status::new("cache");
    status.set_condition(Condition {
        last_transition_time: Timestamp::new(10, 999).unwrap(),
        ..condition(ConditionType::Ready, ConditionStatus::True, 0)
    });
    status.remember(Timestamp::new(11, 5).unwrap(), "Created", "");
    assert_eq!(Status::from_json(&status.to_json()).unwrap(), status);
    assert_eq!(status.history[0].at, at(11));
}

#[test]
fn conditions_stand_in_a_fixed_order() {
    let mut status = Status::new("cache");
    for type_ in TYPES.into_iter().rev() {
        status.set_condition(condition(type_, ConditionStatus::True, 1));
    }
    let types: Vec<ConditionType> = status.conditions.iter().map(|condition| condition.type_).collect();
    assert_eq!(types, TYPES);
}

#[test]
fn history_is_bounded() {
    let mut status = Status::new("cache");
    for number in 0..50 {
        status.remember(at(number), "Event", number.to_string());
    }
    assert_eq!(status.history.len(), HISTORY_MAX);
    assert_eq!(status.history.last().unwrap().message, "49");
}

#[test]
fn a_status_of_another_version_is_read_as_far_as_it_goes() {
    let text = br#"{"metadata":{"name":"cache","uid":"x"},"status":{"phase":"fine","new":1,"conditions":[
        {"type":"FutureReady","status":"True","reason":"R","message":"","lastTransitionTime":"2026-01-01T00:00:00Z","observedGeneration":1},
        {"type":"Ready","status":"True","reason":"R","message":"","lastTransitionTime":"2026-01-01T00:00:00Z","observedGeneration":1}
    ]}}"#;
    let status = Status::from_json(text).unwrap();
    assert_eq!(status.name, "cache");
    assert_eq!(status.phase, "fine");
    assert_eq!(status.conditions.len(), 1);
    for text in [&b""[..], b"{}", b"[]", b"\xff", b"{\"status\":{}}", b"null"] {
        assert_eq!(Status::from_json(text), None);
    }
}

#[test]
fn only_what_a_reader_could_notice_is_a_difference() {
    let mut one = Status::new("cache");
    one.valkey = Some(ValkeyStatus {
        used_memory_bytes: 1_000_000,
        keys: 5,
        ..ValkeyStatus::default()
    });
    one.stale_dump = Some(StaleDumpStatus {
        snapshots_ended_at: at(1),
        age_seconds: 10,
    });
    let mut two = one.clone();
    two.last_updated = at(100);
    two.stale_dump.as_mut().unwrap().age_seconds = 40;
    two.valkey.as_mut().unwrap().used_memory_bytes += 1000;
    assert!(!one.noticeable_difference(&two));
    two.valkey.as_mut().unwrap().keys = 6;
    assert!(one.noticeable_difference(&two));
    two.valkey.as_mut().unwrap().keys = 5;
    two.valkey.as_mut().unwrap().used_memory_bytes += 100_000;
    assert!(one.noticeable_difference(&two));
}

#[test]
fn shortening_takes_the_history_first_and_says_so() {
    let mut status = Status::new("cache");
    status.holds.push(HoldStatus {
        hint: Some("do".into()),
        ..HoldStatus::default()
    });
    for number in 0..20 {
        status.remember(at(number), "Event", "m".repeat(300));
    }
    let short: Value = serde_json::from_slice(&status.clone().shorten(SSM_BYTES)).unwrap();
    let history = short["status"]["history"].as_array().unwrap();
    assert!(!history.is_empty() && history.len() < 20);
    assert_eq!(history.last().unwrap()["at"], "1970-01-01T00:00:19Z");
    assert_eq!(short["status"]["holds"][0]["hint"], "do");
    assert_eq!(short["status"]["shortened"], true);
    assert_eq!(status.clone().shorten(1_000_000), status.to_json());
}

#[test]
fn shortening_leaves_the_reason_why_something_is_wrong() {
    let mut status = Status::new("cache");
    status.phase = "The document is not valid; its last good revision stays in force".into();
    let long = "cache.yaml:16:3: spec.network.subnetIds: is missing; write the subnets' ids as a list; ".repeat(4);
    for type_ in TYPES {
        let is_wrong = matches!(type_, ConditionType::Ready | ConditionType::DocumentValid);
        let of_trouble = matches!(
            type_,
            ConditionType::Reconciling | ConditionType::Stalled | ConditionType::DriftDetected
        );
        let value = if is_wrong || of_trouble {
            ConditionStatus::False
        } else {
            ConditionStatus::True
        };
        status.set_condition(Condition {
            message: long.clone(),
            ..condition(type_, value, 1)
        });
    }
    let body = status.clone().shorten(3000);
    let short = Status::from_json(&body).unwrap();
    assert!(body.len() <= 3000 && short.shortened);
    assert_eq!(short.phase, status.phase);
    // Said once.
    let message = &short.condition(ConditionType::Ready).unwrap().message;
    assert!(
        message.starts_with("cache.yaml:16:3: spec.network.subnetIds: is missing"),
        "{message}"
    );
}

#[test]
fn the_conditions_of_the_schema_are_those_that_are_written() {
    let mut status = Status::new("cache");
    status.set_condition(condition(ConditionType::Ready, ConditionStatus::Unknown, 1));
    let crd: Value = serde_yaml::from_str(&valkeep_document::crd_yaml()).unwrap();
    let fields = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]["conditions"]
        ["items"]["properties"];
    let in_schema: Vec<&String> = fields.as_object().unwrap().keys().collect();
    let value = status.to_value();
    let written: Vec<&String> = value["status"]["conditions"][0].as_object().unwrap().keys().collect();
    assert_eq!(in_schema, written);
}

fn text(most: usize) -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9 /:-]{0,40}".boxed(),
        prop::collection::vec(any::<char>(), 0..most)
            .prop_map(String::from_iter)
            .boxed(),
    ]
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0_i64..4_000_000_000).prop_map(at)
}

fn resources(id: &'static str, arn: &'static str, zones: std::ops::Range<usize>) -> impl Strategy<Value = Resources> {
    let target =
        (id, id, prop::option::of("[0-9.]{7,15}")).prop_map(|(zone, id, ip)| MountTargetStatus { zone, id, ip });
    let optional = |form: &'static str| prop::option::of(form);
    (
        [optional(id), optional(id), optional(id)],
        [
            optional(arn),
            optional(arn),
            optional(arn),
            optional(arn),
            optional(arn),
            optional(arn),
            optional(arn),
        ],
        prop::collection::vec(target, zones),
    )
        .prop_map(|(ids, arns, mount_targets)| {
            let [security_group_id, file_system_id, access_point_id] = ids;
            let [
                file_system_arn,
                access_point_arn,
                role_policy_name,
                log_group,
                task_definition_arn,
                service_arn,
                task_arn,
            ] = arns;
            Resources {
                security_group_id,
                file_system_id,
                file_system_arn,
                mount_targets,
                access_point_id,
                access_point_arn,
                role_policy_name,
                log_group,
                task_definition_arn,
                service_arn,
                task_arn,
            }
        })
}

fn arbitrary(reason: &'static str, resources: impl Strategy<Value = Resources>) -> impl Strategy<Value = Status> {
    let condition =
        (reason, text(800), time(), any::<i64>()).prop_map(|(reason, message, time, generation)| Condition {
            type_: ConditionType::Ready,
            status: ConditionStatus::False,
            reason,
            message,
            last_transition_time: time,
            observed_generation: generation,
        });
    let conditions = prop::collection::vec(condition, TYPES.len());
    let hold = (
        text(40),
        text(400),
        prop::option::of(text(300)),
        prop::option::of(time()),
    )
        .prop_map(|(reason, message, hint, until)| HoldStatus {
            reason,
            message,
            hint,
            until,
        });
    let finding = (text(60), text(300), prop::option::of(text(200))).prop_map(|(path, problem, instead)| Finding {
        file: "x.yaml".into(),
        line: 1,
        column: 1,
        path,
        problem,
        instead,
    });
    let event = (time(), text(200)).prop_map(|(at, message)| Event {
        at,
        event: "Event".into(),
        message,
    });
    let valkey = (text(30), any::<u64>()).prop_map(|(version, keys)| ValkeyStatus {
        version,
        keys,
        keys_at_risk: keys,
        used_memory_bytes: keys,
        maxmemory_bytes: keys,
        ..ValkeyStatus::default()
    });
    (
        (
            "[a-z0-9-]{1,63}",
            "[a-zA-Z0-9_.-]{1,64}",
            text(2000),
            resources,
            conditions,
        ),
        prop::collection::vec(hold, 0..8),
        prop::collection::vec(finding, 0..20),
        prop::collection::vec(event, 0..HISTORY_MAX),
        prop::option::of(valkey),
        prop::option::of(time()),
    )
        .prop_map(
            |((name, revision, phase, resources, conditions), holds, findings, history, valkey, stale)| Status {
                name,
                observed_revision: revision,
                installation: "default".into(),
                phase,
                resources,
                conditions: TYPES
                    .into_iter()
                    .zip(conditions)
                    .map(|(type_, condition)| Condition { type_, ..condition })
                    .collect(),
                holds,
                findings,
                history,
                valkey,
                stale_dump: stale.map(|snapshots_ended_at| StaleDumpStatus {
                    snapshots_ended_at,
                    age_seconds: 1,
                }),
                ..Status::default()
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        // The same cases each time; another seed and more cases find more, now and then.
        rng_seed: RngSeed::Fixed(20_261_123),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_shortened_status_fits_whatever_is_in_it(
        status in arbitrary("[A-Za-z]{0,300}", resources("[a-z0-9-]{0,200}", "[a-zA-Z0-9:/_-]{0,600}", 0..20))
    ) {
        let body = status.clone().shorten(SSM_BYTES);
        prop_assert!(body.len() <= SSM_BYTES, "{} bytes", body.len());
        let read = Status::from_json(&body).unwrap();
        prop_assert_eq!(&read.name, &status.name);
        for type_ in [ConditionType::Ready, ConditionType::Reconciling, ConditionType::Stalled] {
            let (before, after) = (status.condition(type_).unwrap(), read.condition(type_).unwrap());
            prop_assert_eq!(before.status, after.status);
            prop_assert_eq!(before.observed_generation, after.observed_generation);
        }
    }

    #[test]
    fn ids_and_conditions_stay_where_they_are_as_long_as_aws_makes_them(
        status in arbitrary("[A-Za-z]{1,20}", resources("[a-z0-9-]{20,25}", "[a-zA-Z0-9:/_-]{60,110}", 1..4))
    ) {
        let body = status.clone().shorten(SSM_BYTES);
        prop_assert!(body.len() <= SSM_BYTES, "{} bytes", body.len());
        let read = Status::from_json(&body).unwrap();
        prop_assert_eq!(&read.resources, &status.resources);
        let plain = |status: &Status| -> Vec<_> {
            status.conditions.iter().map(|c| (c.type_, c.status, c.reason.clone())).collect()
        };
        prop_assert_eq!(plain(&read), plain(&status));
    }

    #[test]
    fn a_status_reads_back_as_it_was_written(
        status in arbitrary("[A-Za-z]{1,20}", resources("[a-z0-9-]{20,25}", "[a-zA-Z0-9:/_-]{60,110}", 1..4))
    ) {
        prop_assert_eq!(Status::from_json(&status.to_json()).unwrap(), status);
    }
}
