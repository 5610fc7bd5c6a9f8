//! A document as YAML again, with every default shown.

use crate::Document;
use serde::Serialize;

/// What YAML 1.1 takes for booleans and YAML 1.2, as `serde_yaml` writes it, for text.
const WORDS: [&str; 6] = ["yes", "no", "on", "off", "y", "n"];

/// The document as YAML, with every default shown; `read` reads it back as the same document.
pub fn render_yaml(document: &Document) -> String {
    to_yaml(document)
}

/// YAML that readers of 1.1 and 1.2 read the same. Without the quotes kubectl would read the value `Off` as `false`.
pub(crate) fn to_yaml(value: &impl Serialize) -> String {
    let plain = serde_yaml::to_string(value)
        .expect("strings, numbers, booleans, lists and maps with text keys always serialize");
    let mut quoted = String::with_capacity(plain.len());
    // Indentation of the line that began a block of text, whose lines are left as they are.
    let mut block: Option<usize> = None;
    for line in plain.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches(' ').len();
        if block.is_some_and(|begun| line.trim().is_empty() || indent > begun) {
            quoted.push_str(line);
            continue;
        }
        let begins = ["|", "|-", "|+", ">", ">-", ">+"];
        let last = line.trim_end().rsplit(' ').next().unwrap_or_default();
        let (before, rest) = split_dashes(line);
        let begun = if rest.starts_with(['|', '>']) {
            before.len() - 1
        } else {
            before.len()
        };
        block = begins.iter().any(|mark| last.starts_with(mark)).then_some(begun);
        quote_words(line, &mut quoted);
    }
    quoted
}

/// One line of block style: indentation, dashes, key, value.
fn quote_words(line: &str, out: &mut String) {
    let body = line.trim_end_matches('\n');
    let (before, rest) = split_dashes(body);
    out.push_str(before);
    let rest = match WORDS.iter().find_map(|word| strip_word(rest, word)) {
        Some((word, "")) => {
            out.extend(["'", word, "'", &line[body.len()..]]);
            return;
        }
        Some((word, after)) if after == ":" || after.starts_with(": ") => {
            out.extend(["'", word, "'"]);
            after
        }
        _ => rest,
    };
    match rest.rsplit_once(": ") {
        Some((key, value)) if WORDS.iter().any(|word| value.eq_ignore_ascii_case(word)) => {
            out.extend([key, ": '", value, "'"]);
        }
        _ => out.push_str(rest),
    }
    out.push_str(&line[body.len()..]);
}

/// Indentation with the dashes of list items, and what comes after it.
fn split_dashes(line: &str) -> (&str, &str) {
    let mut rest = line.trim_start_matches(' ');
    while let Some(item) = rest.strip_prefix("- ") {
        rest = item.trim_start_matches(' ');
    }
    line.split_at(line.len() - rest.len())
}

/// The word as it is written, and what comes after it.
fn strip_word<'t>(text: &'t str, word: &str) -> Option<(&'t str, &'t str)> {
    let (begin, after) = text.split_at_checked(word.len())?;
    begin.eq_ignore_ascii_case(word).then_some((begin, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn words_that_some_reader_takes_for_booleans_are_quoted() {
        let value = json!({
            "preset": "Off", "on": "yes", "list": ["no", "nothing", ["y"]], "text": "a\n  preset: Off\n- no\n", "no": {"n": "N"},
            "a": "x: Off", "b": "- no", "note": "say - no", "offset": 1, "texts": ["x: Off\n  no\n", {"t": "no: a\nb\n", "u": "on"}], "maps": [{"on": "off", "x": true}],
        });
        let text = to_yaml(&value);
        assert_eq!(serde_yaml::from_str::<Value>(&text).ok(), Some(value), "{text}");
        for expected in [
            "preset: 'Off'",
            "'on': 'yes'",
            "- 'no'",
            "- 'y'",
            "'no':\n  'n': 'N'",
            "offset: 1",
            "- 'on': 'off'",
            "\n  u: 'on'",
        ] {
            assert!(text.contains(expected), "{expected} in\n{text}");
        }
    }
}
