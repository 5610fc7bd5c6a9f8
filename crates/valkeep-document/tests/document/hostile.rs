//! Input that means harm: an error that says why, in bounded time.

use std::fmt::Write as _;
use std::time::{Duration, Instant};
use valkeep_document::{read, readable_name};

/// Far above what any of these takes on a busy machine without optimisation (the slowest takes about a second), and still
/// an end: unbounded, they would take minutes or all memory.
const SOON: Duration = Duration::from_secs(10);

fn refused(what: &str, bytes: &[u8], says: &str) {
    let begun = Instant::now();
    let findings = read("hostile.yaml", bytes).unwrap_err();
    let _ = readable_name(bytes);
    let took = begun.elapsed();
    assert!(took < SOON, "{what} took {took:?}");
    assert!(findings.0.len() <= 101, "{what}: {} findings", findings.0.len());
    let text = findings.to_string();
    assert!(text.len() < 64 * 1024, "{what}: {} bytes of findings", text.len());
    assert!(text.contains(says), "{what}: {text}");
}

#[test]
fn an_alias_bomb_does_not_unfold() {
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
    for (letter, before) in ('b'..='i').zip('a'..='h') {
        let many = vec![format!("*{before}"); 9].join(", ");
        writeln!(bomb, "{letter}: &{letter} [{many}]").unwrap();
    }
    refused("alias bomb", bomb.as_bytes(), "anchors and aliases are not read");
    refused(
        "an anchor that holds itself",
        b"a: &a [*a]\n",
        "anchors and aliases are not read",
    );
}

#[test]
fn a_huge_file_is_not_looked_at() {
    refused("100 MB", &vec![b'a'; 100_000_000], "at most 1048576 are read");
    let mut spaces = vec![b' '; 1_000_000];
    spaces.extend(b"x: 1");
    refused("a megabyte of indentation", &spaces, "");
}

#[test]
fn deep_nesting_ends_early() {
    refused("brackets", "[".repeat(200_000).as_bytes(), "");
    refused("braces", "{".repeat(200_000).as_bytes(), "");
    refused(
        "closed brackets",
        format!("{}{}", "[".repeat(200_000), "]".repeat(200_000)).as_bytes(),
        "",
    );
    refused("maps in maps", "a: {".repeat(100_000).as_bytes(), "");
    refused("dashes", "- ".repeat(200_000).as_bytes(), "");
    let mut stairs = String::new();
    for depth in 0..1000 {
        writeln!(stairs, "{}a:", " ".repeat(depth)).unwrap();
    }
    refused("stairs", stairs.as_bytes(), "");
}

#[test]
fn many_values_are_not_kept() {
    refused(
        "a long list",
        format!("a: [{}]", "1,".repeat(400_000)).as_bytes(),
        "more than 20000 values",
    );
    let mut fields = String::new();
    for number in 0..60_000 {
        writeln!(fields, "f{number}: 1").unwrap();
    }
    refused("many fields", fields.as_bytes(), "more than 20000 values");
    let mut fields = String::from("apiVersion: valkeep.dev/v1alpha1\n");
    for number in 0..9_900 {
        writeln!(fields, "f{number}: 1").unwrap();
    }
    refused("many unknown fields", fields.as_bytes(), "is not a known field");
    refused(
        "one field many times",
        "a: 1\n".repeat(9_900).as_bytes(),
        "is given twice",
    );
    refused(
        "many documents",
        "---\n".repeat(200_000).as_bytes(),
        "a second document",
    );
    refused(
        "many comments",
        "#\n".repeat(400_000).as_bytes(),
        "the file has no document",
    );
}

#[test]
fn long_texts_are_not_repeated() {
    let long = "x".repeat(1_000_000);
    refused("a long key", format!("{long}: 1\n").as_bytes(), "");
    refused("a long value", format!("kind: {long}\n").as_bytes(), "");
    refused("a long quoted value", format!("kind: \"{long}\"\n").as_bytes(), "");
    refused(
        "a long list in one",
        format!("metadata: {{labels: {{a: \"{long}\"}}}}\n").as_bytes(),
        "",
    );
    refused("a long tag", format!("kind: !{long} x\n").as_bytes(), "");
    refused("a long anchor", format!("kind: &{long} x\n").as_bytes(), "");
}

#[test]
fn what_is_not_text_is_refused_at_its_place() {
    refused(
        "NUL",
        b"apiVersion: valkeep.dev/v1alpha1\nkind: a\0b\n",
        "hostile.yaml:2:8: there is a control character, byte 0x00",
    );
    refused("bell", b"a: \x07\n", "byte 0x07");
    refused(
        "not UTF-8",
        b"a: \xc3\xa9\xff\n",
        "hostile.yaml:1:5: byte 0xff is not UTF-8",
    );
    refused("UTF-16", b"\xff\xfea\0:\0", "UTF-16");
    refused("UTF-16, the other one", b"\xfe\xff\0a\0:", "UTF-16");
    refused("only a byte-order mark", "\u{feff}".as_bytes(), "no document");
}
