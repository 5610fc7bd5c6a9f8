//! What a document means.

use crate::manifests;
use valkeep_core::desired::{Persistence, Rollout, StaleDump, Throughput};
use valkeep_core::valkey::MaxmemoryPolicy;
use valkeep_core::{Desired, Scope, Window};
use valkeep_document::{CredentialsFrom, Document, MaintenanceWindow, Preset, SaveRule, read};

fn scope() -> Scope {
    Scope {
        partition: "aws".into(),
        account: "123456789012".into(),
        region: "eu-west-1".into(),
        installation: "default".into(),
        dns_grace_s: 90,
        limits: valkeep_core::Limits::default(),
    }
}

fn document(file: &str) -> Document {
    read(file, &std::fs::read(manifests(file)).unwrap()).unwrap()
}

fn desired(file: &str) -> Desired {
    document(file).desired(&scope(), 7).unwrap()
}

fn save(desired: &Desired) -> String {
    desired.snapshots().unwrap().save.directive()
}

#[test]
fn the_presets_are_those_of_the_runbook() {
    assert_eq!(save(&desired("examples/minimal.yaml")), "900 1 300 10 60 10000");
    assert_eq!(save(&desired("valid/frequent.yaml")), "300 1 60 10 10 10000");
    assert_eq!(save(&desired("valid/infrequent.yaml")), "3600 1 900 10 300 10000");
    assert_eq!(save(&desired("valid/custom-rules.yaml")), "3600 1 1 2147483647");
    let off = desired("valid/off.yaml");
    assert_eq!(save(&off), "");
    assert!(!off.saves());
}

#[test]
fn disabled_persistence_has_no_directory() {
    let desired = desired("valid/disabled.yaml");
    assert_eq!(desired.persistence, Persistence::Disabled);
}

#[test]
fn the_example_means_the_runbook() {
    let desired = desired("examples/trigpointing-valkey.yaml");
    assert_eq!(desired.document, "trigpointing-valkey");
    assert_eq!(desired.generation, 7);
    assert_eq!(desired.identity.cluster, "trigpointing-cluster");
    assert_eq!(desired.access_point.path, "/valkey-data");
    assert_eq!(desired.access_point.permissions, "0755");
    assert_eq!((desired.access_point.uid, desired.access_point.gid), (1000, 1000));
    assert_eq!(desired.file_system.throughput, Throughput::Bursting);
    assert_eq!(desired.file_system.transition_to_ia.as_deref(), Some("AFTER_30_DAYS"));
    assert_eq!(desired.created().unwrap().log_group.name, "/ecs/trigpointing-valkey");
    assert_eq!(desired.server.stop_timeout_s, 120);
    assert_eq!(desired.dns_grace_s, 90);
    assert!(!desired.load_stale_dump);
    let snapshots = desired.snapshots().unwrap();
    assert_eq!(snapshots.mount_path, "/data");
    assert_eq!(snapshots.stale_dump, StaleDump::Load);
    assert_eq!(desired.nfs_clients().len(), 2);
}

#[test]
fn what_is_left_out_is_careful_and_left_to_valkey() {
    let desired = desired("examples/minimal.yaml");
    let careful = Rollout {
        require_snapshot: true,
        live_only: true,
        window: None,
    };
    assert_eq!(desired.rollout, careful);
    assert_eq!(
        (desired.server.maxmemory_bytes, desired.server.maxmemory_policy),
        (None, None)
    );
    assert_eq!(desired.snapshots().unwrap().append_only, None);
    assert_eq!(desired.restart, None);
}

#[test]
fn memory_and_its_policy_are_the_servers() {
    let server = desired("valid/memory.yaml").server;
    assert_eq!(server.maxmemory_bytes, Some(1 << 30));
    assert_eq!(server.maxmemory_policy, Some(MaxmemoryPolicy::AllkeysLfu));
    assert_eq!(server.maxmemory_policy.unwrap().as_str(), "allkeys-lfu");
    // No limit is not the same as nothing said.
    assert_eq!(
        desired("valid/memory-without-limit.yaml").server.maxmemory_bytes,
        Some(0)
    );
}

#[test]
fn a_rollout_may_be_at_once_and_in_a_window_and_asked_for() {
    let desired = desired("valid/rollout.yaml");
    let sunday_night = Rollout {
        require_snapshot: false,
        live_only: false,
        window: Some(Window::parse("0 2 * * SUN", 120, "Europe/London").unwrap()),
    };
    assert_eq!(desired.rollout, sunday_night);
    assert_eq!(
        desired.restart.as_deref(),
        Some("2026-11-26, after the upgrade of the client library")
    );
}

#[test]
fn tags_are_the_users_a_name_and_ours() {
    let example = desired("examples/trigpointing-valkey.yaml");
    assert_eq!(example.tags["service"], "trigpointing");
    assert_eq!(example.tags["Name"], "trigpointing-valkey");
    assert!(example.identity.owns(&example.tags));
    let own_name = desired("valid/tags.yaml");
    assert_eq!(own_name.tags["Name"], "my cache");
    assert!(own_name.tags.len() <= 50);
}

#[test]
fn never_is_the_absence_of_the_lifecycle_rule() {
    assert_eq!(desired("valid/provisioned.yaml").file_system.transition_to_ia, None);
    assert_eq!(
        desired("valid/provisioned.yaml").file_system.throughput,
        Throughput::Provisioned(1.5)
    );
}

#[test]
fn the_annotation_allows_a_stale_dump() {
    assert!(desired("valid/metadata.yaml").load_stale_dump);
}

#[test]
fn a_document_is_where_it_says_and_else_at_home() {
    let elsewhere = Scope {
        region: "us-east-1".into(),
        ..scope()
    };
    let says = document("examples/trigpointing-valkey.yaml")
        .desired(&elsewhere, 1)
        .unwrap();
    assert_eq!(
        (says.place.region.as_str(), says.identity.region.as_str()),
        ("eu-west-1", "eu-west-1")
    );
    let silent = document("examples/minimal.yaml").desired(&elsewhere, 1).unwrap();
    assert_eq!(
        (silent.place.region.as_str(), silent.identity.region.as_str()),
        ("us-east-1", "us-east-1")
    );
    assert_eq!(silent.place.role, None);
    assert_eq!(silent.identity.account, "123456789012");
}

#[test]
fn an_assumed_role_moves_the_document_into_its_account() {
    let document = document("valid/another-account.yaml");
    let desired = document.desired(&scope(), 1).unwrap();
    assert_eq!(desired.identity.account, "210987654321");
    assert_eq!(desired.identity.region, "us-east-1");
    let role = desired.place.role.as_ref().unwrap();
    assert_eq!(role.arn.as_str(), "arn:aws:iam::210987654321:role/teams/valkeep");
    assert_eq!(role.external_id.as_deref(), Some("valkeep/prod-7"));
    let mut at_home = document;
    at_home.spec.assume_role_arn = None;
    at_home.spec.external_id = None;
    let at_home = at_home.desired(&scope(), 1).unwrap();
    assert_ne!(at_home.names, desired.names, "names and owner move with the place");
}

#[test]
fn another_role_in_the_same_account_means_the_same_service() {
    let mut document = document("valid/another-account.yaml");
    let one = document.desired(&scope(), 1).unwrap();
    document.spec.assume_role_arn = Some("arn:aws:iam::210987654321:role/other".into());
    document.spec.external_id = None;
    let other = document.desired(&scope(), 1).unwrap();
    assert_eq!((one.identity, one.names), (other.identity, other.names));
}

#[test]
fn another_partition_is_a_finding_at_its_place() {
    let mut far = document("examples/trigpointing-valkey.yaml");
    far.spec.region = Some("cn-north-1".into());
    let findings = far.desired(&scope(), 1).unwrap_err();
    assert_eq!(findings.0.len(), 1);
    assert_eq!(findings.0[0].path, "spec.region");
    assert_eq!(findings.0[0].file, "examples/trigpointing-valkey.yaml");
    assert!(findings.0[0].line > 1 && findings.0[0].column == 11, "{findings}");

    let mut role = document("valid/another-account.yaml");
    role.spec.assume_role_arn = Some("arn:aws-us-gov:iam::210987654321:role/valkeep".into());
    let findings = role.desired(&scope(), 1).unwrap_err();
    assert_eq!(findings.0[0].path, "spec.assumeRoleArn");
    assert!(findings.0[0].line > 1 && findings.0[0].column > 1, "{findings}");
}

#[test]
fn a_login_is_a_reference_that_ecs_takes_too() {
    use valkeep_core::access::{TlsSpec, UserSpec};
    const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:cache-AbCdEf";
    let secret = desired("valid/access-secret.yaml").server.access.login.unwrap();
    assert_eq!(secret.password.as_str(), format!("{SECRET}:password::"));
    let Some(UserSpec::In(user)) = secret.user else {
        panic!("no user")
    };
    assert_eq!(user.as_str(), format!("{SECRET}:username::"));

    let whole = desired("valid/access-whole-secret.yaml").server.access;
    assert_eq!(whole.tls, None);
    let login = whole.login.unwrap();
    assert_eq!(login.password.as_str(), SECRET);
    assert_eq!(login.user, Some(UserSpec::Named("valkeep".to_owned())));

    let adopted = desired("valid/access-adopted.yaml").server.access;
    assert_eq!(adopted.login.unwrap().password.as_str(), "/cache/password");
    let TlsSpec { ca, server_name } = adopted.tls.unwrap();
    assert_eq!(ca.unwrap().region(), Some("eu-west-1"));
    assert_eq!(server_name.as_deref(), Some("valkey.example.com"));
    assert!(desired("examples/minimal.yaml").server.access.is_open());
}

#[test]
fn a_secret_in_another_region_is_a_finding_at_its_place() {
    let mut document = document("valid/access-secret.yaml");
    document.spec.region = Some("eu-central-1".into());
    let findings = document.desired(&scope(), 1).unwrap_err();
    assert_eq!(findings.0.len(), 1, "{findings}");
    assert_eq!(findings.0[0].path, "spec.valkey.credentialsFrom");
    assert!(findings.0[0].line > 1 && findings.0[0].column == 18, "{findings}");
    assert!(
        findings.to_string().contains("replicate it to eu-central-1"),
        "{findings}"
    );
}

#[test]
fn a_document_made_by_hand_is_checked_for_what_has_no_meaning() {
    let mut document = document("examples/minimal.yaml");
    document.spec.network.subnet_ids = vec!["nonsense".into()];
    document.spec.network.task_security_group_ids.clear();
    document.spec.file_system.provisioned_mibps = Some(1.0);
    document.spec.persistence.snapshots.preset = Preset::Custom;
    document.spec.persistence.append_only.enabled = true;
    document.spec.valkey.maxmemory = Some("much".into());
    document.spec.valkey.credentials_from = Some(CredentialsFrom::default());
    document.spec.rollout.maintenance_window = Some(MaintenanceWindow {
        cron: "0 2 30 2 *".into(),
        duration_minutes: 120,
        timezone: "UTC".into(),
    });
    let findings = document.desired(&scope(), 1).unwrap_err();
    let paths: Vec<&str> = findings.0.iter().map(|finding| finding.path.as_str()).collect();
    assert!(paths.contains(&"spec.network.subnetIds[0]"), "{findings}");
    assert!(paths.contains(&"spec.network.taskSecurityGroupIds"), "{findings}");
    assert!(paths.contains(&"spec.fileSystem.provisionedMibps"), "{findings}");
    assert!(paths.contains(&"spec.persistence.snapshots.rules"), "{findings}");
    assert!(paths.contains(&"spec.valkey.maxmemory"), "{findings}");
    assert!(paths.contains(&"spec.valkey.credentialsFrom"), "{findings}");
    assert!(paths.contains(&"spec.rollout.maintenanceWindow"), "{findings}");

    document.spec.persistence.snapshots.rules = Some(vec![SaveRule { seconds: 1, changes: 1 }]);
    document.spec.persistence.snapshots.preset = Preset::Off;
    let findings = document.desired(&scope(), 1).unwrap_err();
    assert!(findings.to_string().contains("appendOnly.enabled"), "{findings}");
    document.spec.persistence.snapshots.preset = Preset::Custom;
    let findings = document.desired(&scope(), 1).unwrap_err();
    assert!(!findings.to_string().contains("rules"), "{findings}");
}

#[test]
fn deletion_is_asked_for_by_one_annotation_and_the_loss_of_the_data_allowed_by_another() {
    use valkeep_core::desired::Deletion;
    let deletion = |file: &str| desired(file).deletion;
    assert_eq!(deletion("valid/deletion.yaml"), Some(Deletion { without_backup: true }));
    assert_eq!(deletion("valid/deletion-waiver-alone.yaml"), None);
    assert_eq!(deletion("examples/minimal.yaml"), None);
    let mut document = document("examples/minimal.yaml");
    let name = document.metadata.name.clone();
    let annotations = &mut document.metadata.annotations;
    annotations.insert(valkeep_document::DELETE.to_owned(), name);
    // Made by hand and never read, so nobody has looked at the value.
    annotations.insert(valkeep_document::DELETE_WITHOUT_BACKUP.to_owned(), "another".to_owned());
    let asked = document.desired(&scope(), 1).unwrap().deletion;
    assert_eq!(asked, Some(Deletion { without_backup: false }));
}
