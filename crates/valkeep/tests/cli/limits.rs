//! Settings and flags that limit documents, and the policy that is made from them.

use crate::sandbox::Sandbox;
use serde_json::Value;

const HERE: &[&str] = &[
    "iam-policy",
    "--account",
    "123456789012",
    "--region",
    "eu-west-1",
    "--store",
    "s3://bucket/docs/",
];

fn policy(sandbox: &Sandbox, more: &[&str]) -> (Value, String) {
    let output = sandbox.run(&[HERE, more].concat());
    assert_eq!(output.code, 0, "{output:?}");
    (serde_json::from_str(&output.stdout).expect("JSON"), output.stderr)
}

/// The resources on which roles may be handed to tasks.
fn passed(policy: &Value) -> Vec<String> {
    let statements = policy["Statement"].as_array().expect("statements");
    let found: Vec<&Value> = statements
        .iter()
        .filter(|one| {
            one["Action"]
                .as_array()
                .is_some_and(|all| all.contains(&"iam:PassRole".into()))
        })
        .collect();
    let [statement] = found[..] else { panic!("{found:?}") };
    match &statement["Resource"] {
        Value::Array(all) => all.iter().map(|one| one.as_str().expect("text").to_owned()).collect(),
        one => vec![one.as_str().expect("text").to_owned()],
    }
}

#[test]
fn the_policy_of_no_settings_is_printed_without_asking_aws_and_says_what_is_open() {
    let (policy, talk) = policy(&Sandbox::new(), &[]);
    assert_eq!(passed(&policy), ["arn:aws:iam::123456789012:role/*"]);
    assert!(
        talk.contains("permits every: cluster, role, assumed role, security group, image, region"),
        "{talk}"
    );
}

#[test]
fn a_flag_stands_in_place_of_what_the_file_says_of_its_kind_and_of_nothing_else() {
    let sandbox = Sandbox::new();
    sandbox.file("settings.yaml", "limits: {roles: [from-file], clusters: [kept]}");
    let (policy, talk) = policy(&sandbox, &["--settings", "settings.yaml", "--allow-role", "a-*,b"]);
    assert_eq!(
        passed(&policy),
        [
            "arn:aws:iam::123456789012:role/a-*",
            "arn:aws:iam::123456789012:role/*/a-*",
            "arn:aws:iam::123456789012:role/b",
            "arn:aws:iam::123456789012:role/*/b",
        ]
    );
    let text = policy.to_string();
    assert!(
        text.contains(":service/kept/*") && !text.contains("from-file"),
        "{text}"
    );
    assert!(
        talk.contains("permits every: assumed role, security group, image, region"),
        "{talk}"
    );
}

#[test]
fn settings_come_from_the_environment_too() {
    let sandbox = Sandbox::new()
        .env("VALKEEP_SETTINGS", "settings.yaml")
        .env("VALKEEP_ALLOW_IMAGE", "valkey/*");
    sandbox.file("settings.yaml", "limits: {roles: [cache-*]}");
    let (policy, talk) = policy(&sandbox, &[]);
    assert_eq!(passed(&policy)[0], "arn:aws:iam::123456789012:role/cache-*");
    assert!(
        talk.contains("permits every: cluster, assumed role, security group, region"),
        "{talk}"
    );
}

#[test]
fn wrong_settings_end_every_command_that_reads_them_with_all_findings() {
    let sandbox = Sandbox::new();
    sandbox
        .file("settings.yaml", "limits:\n  role: [a]\n  images: []\n")
        .file("docs/.keep", "")
        .file("a.yaml", crate::sandbox::DOCUMENT);
    for args in [
        &["plan", "a.yaml", "--settings", "settings.yaml"][..],
        &[
            "run",
            "--store",
            "file:docs",
            "--single-replica",
            "--once",
            "--settings",
            "settings.yaml",
        ],
        &[
            "iam-policy",
            "--store",
            "s3://bucket/docs/",
            "--settings",
            "settings.yaml",
        ],
    ] {
        let output = sandbox.run(args);
        assert_eq!(output.code, 1, "{args:?} {output:?}");
        assert!(
            output
                .stderr
                .contains("settings.yaml:2:3: limits.role: is not a known field; did you mean `roles`?"),
            "{output:?}"
        );
        assert!(
            output.stderr.contains("settings.yaml:3:11: limits.images: is empty"),
            "{output:?}"
        );
    }
    let output = sandbox.run(&["plan", "a.yaml", "--settings", "nowhere.yaml"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("cannot read nowhere.yaml"), "{output:?}");
}

#[test]
fn roles_to_take_on_are_permitted_by_their_arns() {
    let role = "arn:aws:iam::222222222222:role/valkeep-*";
    let (limited, talk) = policy(&Sandbox::new(), &["--allow-assume-role", role]);
    let text = limited.to_string();
    assert!(text.contains(role) && !text.contains("iam::*:role/*"), "{text}");
    assert!(!talk.contains("assumed role"), "{talk}");
    let sandbox = Sandbox::new();
    sandbox.file("settings.yaml", "limits: {assumeRoles: []}");
    let (none, _) = policy(&sandbox, &["--settings", "settings.yaml"]);
    assert!(!none.to_string().contains("sts:AssumeRole"), "{none}");
    let output = Sandbox::new().run(&[HERE, &["--allow-assume-role", "valkeep-*"]].concat());
    assert_eq!(output.code, 64, "{output:?}");
    assert!(output.stderr.contains("`valkeep-*` fits no role's ARN"), "{output:?}");
}

#[test]
fn a_lease_outside_of_the_status_is_in_the_policy() {
    let (policy, _) = policy(&Sandbox::new(), &["--lease", "s3://leases/valkeep"]);
    let text = policy.to_string();
    assert!(text.contains("arn:aws:s3:::leases/valkeep"), "{text}");
    let output = Sandbox::new().run(&[HERE, &["--lease", "s3://bucket/docs/lease"]].concat());
    assert_eq!(output.code, 64, "{output:?}");
    assert!(output.stderr.contains("would lie among the documents"), "{output:?}");
}

#[test]
fn a_flag_that_is_no_pattern_is_wrong_usage() {
    let output = Sandbox::new().run(&[HERE, &["--allow-role", "a?"]].concat());
    assert_eq!(output.code, 64, "{output:?}");
    assert!(output.stderr.contains("`a?` is no pattern"), "{output:?}");
}
