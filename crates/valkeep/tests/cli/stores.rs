//! `apply` to a folder, and what is refused before anything is written.

use crate::sandbox::{DOCUMENT, Sandbox, check};

#[test]
fn an_applied_document_lies_in_the_store_as_it_was_given() {
    let sandbox = Sandbox::new();
    let commented = format!("# kept\n{DOCUMENT}");
    sandbox.file("a.yaml", &commented).file("docs/.keep", "");
    let first = sandbox.apply("a.yaml", "file:docs");
    assert_eq!(sandbox.read("docs/checkout-cache.yaml").as_deref(), Some(&*commented));
    let again = sandbox.run(&["apply", "a.yaml", "--store", "file:docs"]);
    check(&again, 0, &format!("checkout-cache unchanged: revision {first}\n"), "");
    sandbox.file("a.yaml", DOCUMENT);
    let changed = sandbox.run(&["apply", "a.yaml", "--store", "file:docs"]);
    assert!(
        changed.stdout.starts_with("checkout-cache changed: revision "),
        "{changed:?}"
    );
    assert_eq!(sandbox.read("docs/checkout-cache.yaml").as_deref(), Some(DOCUMENT));
}

#[test]
fn the_store_may_come_from_the_environment() {
    let sandbox = Sandbox::new().env("VALKEEP_STORE", "file:docs");
    sandbox.file("docs/.keep", "");
    let output = sandbox.run_with(&["apply", "-"], DOCUMENT);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(sandbox.read("docs/checkout-cache.yaml").is_some());
}

#[test]
fn an_invalid_document_is_not_written() {
    let sandbox = Sandbox::new();
    sandbox.file("docs/.keep", "");
    let output = sandbox.run_with(
        &["apply", "-", "--store", "file:docs"],
        &DOCUMENT.replace("8.0", "latest"),
    );
    assert_eq!(output.code, 1, "{output:?}");
    assert_eq!(output.stdout, "");
    assert!(output.stderr.contains("latest"), "{output:?}");
    assert_eq!(sandbox.read("docs/checkout-cache.yaml"), None);
}

#[test]
fn a_second_document_of_the_same_name_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.file("docs/team/cache.yml", DOCUMENT);
    check(
        &sandbox.run_with(&["apply", "-", "--store", "file:docs"], DOCUMENT),
        1,
        "",
        "error: a document of the name `checkout-cache` is in docs/team/cache.yml already, so both would be stalled\n\
         hint: remove it, or give this one another metadata.name; `apply` writes checkout-cache.yaml\n",
    );
    assert_eq!(sandbox.read("docs/checkout-cache.yaml"), None);
}

#[test]
fn another_document_in_the_same_place_is_not_overwritten() {
    let sandbox = Sandbox::new();
    let other = DOCUMENT.replace("name: checkout-cache", "name: other");
    sandbox.file("docs/checkout-cache.yaml", &other);
    let output = sandbox.run_with(&["apply", "-", "--store", "file:docs"], DOCUMENT);
    assert_eq!(output.code, 1, "{output:?}");
    assert_eq!(sandbox.read("docs/checkout-cache.yaml"), Some(other));
}

#[test]
fn a_document_goes_to_one_store() {
    let sandbox = Sandbox::new();
    sandbox.file("one/.keep", "").file("two/.keep", "");
    let output = sandbox.run_with(&["apply", "-", "--store", "file:one", "--store", "file:two"], DOCUMENT);
    assert_eq!(output.code, 64, "{output:?}");
}

#[test]
fn a_store_that_is_not_there_is_an_error() {
    check(
        &Sandbox::new().run(&["status", "--store", "file:docs"]),
        1,
        "",
        "error: docs does not exist\nhint: check --store, or create docs first\n",
    );
}
