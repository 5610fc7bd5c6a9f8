//! `validate` and `render`.

use crate::sandbox::{DOCUMENT, Sandbox, check};

#[test]
fn a_valid_document_has_no_findings() {
    let sandbox = Sandbox::new();
    sandbox.file("a.yaml", DOCUMENT);
    check(&sandbox.run(&["validate", "a.yaml"]), 0, "", "1 document is valid\n");
    check(
        &sandbox.run_with(&["validate", "-"], DOCUMENT),
        0,
        "",
        "1 document is valid\n",
    );
}

#[test]
fn all_findings_of_all_files_are_told_at_once() {
    let sandbox = Sandbox::new();
    let bad = DOCUMENT
        .replace("region: eu-west-1", "regoin: eu-west-1")
        .replace("8.0", "latest");
    sandbox
        .file("docs/good.yaml", DOCUMENT)
        .file("docs/more/bad.yml", &bad)
        .file("docs/.hidden/bad.yml", &bad)
        .file("docs/README.md", "not a document");
    let output = sandbox.run(&["validate", "docs"]);
    assert_eq!(output.code, 1, "{output:?}");
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert!(lines.len() >= 2, "{lines:#?}");
    assert!(
        lines.iter().all(|line| line.starts_with("docs/more/bad.yml:")),
        "{lines:#?}"
    );
    assert!(lines.iter().any(|line| line.contains("regoin")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("latest")), "{lines:#?}");
    let json = sandbox.run(&["validate", "docs", "--output", "json"]);
    assert_eq!(json.code, 1);
    assert_eq!(json.stderr, "");
    let report: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(report["valid"], false);
    assert_eq!(report["documents"], 2);
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(lines.len()));
    assert_eq!(report["findings"][0]["file"], "docs/more/bad.yml");
}

#[test]
fn a_missing_file_and_an_empty_folder_are_errors() {
    let sandbox = Sandbox::new();
    check(
        &sandbox.run(&["validate", "nowhere.yaml"]),
        1,
        "",
        "error: cannot read nowhere.yaml\n  caused by: No such file or directory (os error 2)\n",
    );
    sandbox.file("empty/README.md", "");
    check(
        &sandbox.run(&["validate", "empty"]),
        1,
        "",
        "error: empty holds no documents\nhint: documents end in .yaml, .yml, .json\n",
    );
}

#[test]
fn a_huge_file_is_a_finding_and_not_read() {
    let sandbox = Sandbox::new();
    let file = std::fs::File::create(sandbox.path("huge.yaml")).expect("can be made");
    file.set_len(100 * 1024 * 1024 * 1024).expect("a hole takes no room");
    let output = sandbox.run(&["validate", "huge.yaml"]);
    assert_eq!(output.code, 1);
    assert!(
        output.stdout.starts_with("huge.yaml: the file is longer than"),
        "{output:?}"
    );
}

#[test]
fn what_is_rendered_reads_back_the_same() {
    let sandbox = Sandbox::new();
    sandbox.file("a.yaml", DOCUMENT);
    let once = sandbox.run(&["render", "a.yaml"]);
    assert_eq!(once.code, 0, "{once:?}");
    assert!(once.stdout.contains("path: /valkey-data"), "{once:?}");
    let twice = sandbox.run_with(&["render", "-"], &once.stdout);
    assert_eq!(twice.stdout, once.stdout);
    let json = sandbox.run(&["render", "a.yaml", "--output", "json"]);
    let from_json = sandbox.run_with(&["render", "-"], &json.stdout);
    assert_eq!(from_json.stdout, once.stdout);
}

#[test]
fn an_invalid_document_is_not_rendered() {
    let sandbox = Sandbox::new();
    let output = sandbox.run_with(&["render", "-"], &DOCUMENT.replace("spec:", "spce:"));
    assert_eq!(output.code, 1);
    assert_eq!(output.stdout, "");
    assert!(
        output.stderr.starts_with("error: the document is not valid\n<stdin>:"),
        "{output:?}"
    );
}
