//! Stories: scripts in `tests/stories/*.story`, each with the transcript that it must give (`*.out`). They are found by lying
//! in the folder. `UPDATE_GOLDEN=1` writes the transcripts anew, to be reviewed like code.
//!
//! Every story ends at rest: planning once more must bring no step.

use valkeep_tests::story;

#[test]
fn every_story_is_told_as_its_transcript_golden() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("stories");
    let mut wrong = Vec::new();
    let mut told = 0;
    for entry in std::fs::read_dir(&folder).expect("the folder exists") {
        let script = entry.expect("readable").path();
        if script.extension().is_none_or(|ending| ending != "story") {
            continue;
        }
        told += 1;
        let transcript = script.with_extension("out");
        let text = std::fs::read_to_string(&script).expect("a story is text");
        let now = story::tell(&text).unwrap_or_else(|error| panic!("{}: {error:#}", script.display()));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&transcript, &now).expect("the folder can be written");
        }
        let expected = std::fs::read_to_string(&transcript).unwrap_or_default();
        if now != expected {
            wrong.push(format!("--- {}\n{}", transcript.display(), difference(&expected, &now)));
        }
    }
    assert!(told >= 10, "{told} stories");
    assert!(
        wrong.is_empty(),
        "UPDATE_GOLDEN=1 cargo test --workspace -- golden\n{}",
        wrong.join("\n")
    );
}

/// The first line that differs, with what comes before it.
fn difference(expected: &str, now: &str) -> String {
    let at = expected
        .lines()
        .zip(now.lines())
        .take_while(|(one, two)| one == two)
        .count();
    let before: Vec<&str> = now.lines().skip(at.saturating_sub(3)).take(at.min(3)).collect();
    format!(
        "{}\n- {}\n+ {}",
        before.join("\n"),
        expected.lines().nth(at).unwrap_or("(the end)"),
        now.lines().nth(at).unwrap_or("(the end)")
    )
}
