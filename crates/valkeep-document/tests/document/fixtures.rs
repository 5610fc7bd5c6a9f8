//! Documents that must be read, and documents that must fail exactly so.

use crate::{files, golden, manifests, name};
use valkeep_document::{Document, read, readable_name, render_yaml};

const DOCUMENTS: &[&str] = &["yaml", "yml", "json"];

fn valid() -> Vec<std::path::PathBuf> {
    [files("examples", DOCUMENTS), files("valid", DOCUMENTS)].concat()
}

/// `cluster.yaml` has its expected findings in `cluster.yaml.findings`.
fn findings_of(document: &std::path::Path) -> std::path::PathBuf {
    document.with_file_name(name(document) + ".findings")
}

#[test]
fn every_valid_document_is_read() {
    for path in valid() {
        if let Err(findings) = read(&name(&path), &std::fs::read(&path).unwrap()) {
            panic!("{findings}");
        }
    }
}

#[test]
fn other_readers_read_every_valid_document_the_same() {
    for path in valid() {
        let bytes = std::fs::read(&path).unwrap();
        let ours = read(&name(&path), &bytes).unwrap();
        let text = str::from_utf8(&bytes).unwrap().trim_start_matches('\u{feff}');
        let theirs: Document = serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(ours, theirs.filled(), "{}, serde_yaml", path.display());
        let theirs: Document =
            serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(ours, theirs.filled(), "{}, serde_saphyr", path.display());
    }
}

#[test]
fn every_rendered_document_reads_back_the_same() {
    for path in valid() {
        let document = read(&name(&path), &std::fs::read(&path).unwrap()).unwrap();
        let rendered = render_yaml(&document);
        let again = read(&name(&path), rendered.as_bytes()).unwrap_or_else(|findings| panic!("{findings}\n{rendered}"));
        assert_eq!(document, again, "{rendered}");
        let theirs: Document = serde_yaml::from_str(&rendered).unwrap();
        assert_eq!(document, theirs, "{rendered}");
    }
}

#[test]
fn the_example_says_only_defaults_below_network() {
    let read = |file: &str| read(file, &std::fs::read(manifests("examples").join(file)).unwrap()).unwrap();
    let mut example = read("trigpointing-valkey.yaml");
    let mut minimal = read("minimal.yaml");
    // What the example says above `network`, and its tags.
    minimal.metadata = example.metadata.clone();
    minimal.spec.region.clone_from(&example.spec.region);
    minimal.spec.network.clone_from(&example.spec.network);
    example.spec.tags.clear();
    assert_eq!(example, minimal);
}

#[test]
fn a_rendered_golden_document_shows_every_default() {
    let minimal = std::fs::read(manifests("examples/minimal.yaml")).unwrap();
    let rendered = render_yaml(&read("minimal.yaml", &minimal).unwrap());
    golden(&manifests("examples/minimal.rendered.txt"), &rendered).unwrap();
}

#[test]
fn every_invalid_document_fails_exactly_as_its_golden_findings() {
    let mut stale = Vec::new();
    for path in files("invalid", DOCUMENTS) {
        let findings = read(&name(&path), &std::fs::read(&path).unwrap())
            .err()
            .unwrap_or_else(|| panic!("{} is read as valid", path.display()));
        assert!(!findings.0.is_empty(), "{}", path.display());
        if let Err(difference) = golden(&findings_of(&path), &format!("{findings}\n")) {
            stale.push(difference);
        }
    }
    assert!(stale.is_empty(), "{}", stale.join("\n\n"));
    for path in files("invalid", &["findings"]) {
        assert!(
            path.with_extension("").exists(),
            "{} has no document any more",
            path.display()
        );
    }
}

#[test]
fn every_finding_has_a_position_and_says_what_to_write() {
    for path in files("invalid", DOCUMENTS) {
        for finding in read(&name(&path), &std::fs::read(&path).unwrap()).unwrap_err().0 {
            let summary = finding.problem.starts_with("there is more wrong");
            assert!(finding.line > 0 && finding.column > 0 || summary, "{finding}");
            assert!(
                !finding.problem.ends_with('.') && !finding.problem.contains('\n'),
                "{finding}"
            );
            let syntax = finding.problem.starts_with("is not YAML");
            assert!(
                finding.instead.is_some() || syntax || finding.problem.contains("is wanted"),
                "{finding}"
            );
        }
    }
}

#[test]
fn an_invalid_document_still_has_its_name() {
    let at = |file: &str| readable_name(&std::fs::read(manifests("invalid").join(file)).unwrap());
    assert_eq!(at("not-yaml.yaml").as_deref(), Some("trigpointing-valkey"));
    assert_eq!(at("unknown-fields.yaml").as_deref(), Some("trigpointing-valkey"));
    assert_eq!(at("two-documents.yaml").as_deref(), Some("trigpointing-valkey"));
    assert_eq!(at("latin-1.yaml").as_deref(), Some("trigpointing-valkey"));
    assert_eq!(at("json.json").as_deref(), Some("x"));
    assert_eq!(at("names.yaml"), None);
    assert_eq!(at("empty-parts.yaml"), None);
    assert_eq!(at("empty.yaml"), None);
}
