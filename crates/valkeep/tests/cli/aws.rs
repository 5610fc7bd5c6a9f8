//! What is said when AWS cannot be asked.

use crate::sandbox::{DOCUMENT, Sandbox};

#[test]
fn a_missing_region_is_told_with_where_to_set_it() {
    let sandbox = Sandbox::new();
    sandbox.file("a.yaml", DOCUMENT).file("docs/.keep", "");
    for args in [
        &["plan", "a.yaml"][..],
        &["status", "--store", "s3://bucket/docs"],
        &["run", "--single-replica", "--store", "file:docs", "--once"],
    ] {
        let output = sandbox.run(args);
        assert_eq!(output.code, 1, "{args:?} {output:?}");
        assert_eq!(output.stdout, "", "{args:?}");
        assert!(output.stderr.contains("AWS_REGION"), "{args:?} {output:?}");
    }
}

#[test]
fn missing_credentials_are_told_with_where_to_put_them() {
    let sandbox = Sandbox::new().env("AWS_REGION", "eu-west-1");
    sandbox.file("a.yaml", DOCUMENT).file("docs/.keep", "");
    for args in [
        &["plan", "a.yaml"][..],
        &["status", "--store", "s3://bucket/docs"],
        &["run", "--single-replica", "--store", "file:docs", "--once"],
    ] {
        let output = sandbox.run(args);
        assert_eq!(output.code, 1, "{args:?} {output:?}");
        assert!(output.stderr.contains("credentials"), "{args:?} {output:?}");
        assert!(output.stderr.contains("hint: "), "{args:?} {output:?}");
    }
}

#[test]
fn a_name_without_a_store_is_told_how_to_give_one() {
    let output = Sandbox::new().run(&["plan", "checkout-cache"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("VALKEEP_STORE"), "{output:?}");
}
