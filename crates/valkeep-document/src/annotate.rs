//! Gives a document's text one annotation: one line more or one line changed. Comments, order and everything else stay.
//!
//! Works on lines, as people write documents, and trusts none of it: the text counts only if it reads as the same document
//! with that annotation. What is written otherwise (JSON, annotations in braces) is left to its owner.

use crate::{Document, read};

/// The text with the annotation, `None` where that takes more than one line. The value must need no escape in double quotes.
pub fn annotated(body: &[u8], name: &str, value: &str) -> Option<Vec<u8>> {
    let mut wanted: Document = read("before", body).ok()?;
    wanted.metadata.annotations.insert(name.to_owned(), value.to_owned());
    let text = edited(str::from_utf8(body).ok()?, name, value)?.into_bytes();
    (read("after", &text).ok()? == wanted).then_some(text)
}

fn edited(text: &str, name: &str, value: &str) -> Option<String> {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let metadata = lines.iter().position(|line| opens(line, 0, "metadata"))?;
    let end = if lines[metadata].ends_with("\r\n") {
        "\r\n"
    } else {
        "\n"
    };
    let (from, to) = children(&lines, metadata)?;
    let indent = indent(&lines[from]);
    let entry = |indent: usize| format!("{:indent$}{name}: \"{value}\"", "");
    let Some(annotations) = (from..to).find(|at| opens(&lines[*at], indent, "annotations")) else {
        let new = format!("{:indent$}annotations:{end}{}{end}", "", entry(indent + 2));
        lines.insert(metadata + 1, new);
        return Some(lines.concat());
    };
    let (first, last) = children(&lines, annotations)?;
    let indent = self::indent(&lines[first]);
    match (first..last).find(|at| self::indent(&lines[*at]) == indent && after_key(&lines[*at], name).is_some()) {
        Some(at) => {
            let comment = comment(after_key(&lines[at], name)?.trim_end()).map(|comment| format!(" {comment}"));
            lines[at] = format!("{}{}{end}", entry(indent), comment.unwrap_or_default());
        }
        None => lines.insert(annotations + 1, entry(indent) + end),
    }
    Some(lines.concat())
}

/// Whether the line is this key at this depth, with what belongs to it on the lines after.
fn opens(line: &str, depth: usize, key: &str) -> bool {
    let rest = after_key(line, key).filter(|_| indent(line) == depth);
    rest.is_some_and(|rest| rest.trim().is_empty() || rest.trim_start().starts_with('#'))
}

/// The lines that are deeper than this one, from the first that says something on.
fn children(lines: &[String], parent: usize) -> Option<(usize, usize)> {
    let says = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let depth = indent(&lines[parent]);
    let inner = lines.iter().enumerate().skip(parent + 1).filter(|(_, line)| says(line));
    let end = inner.clone().find(|(_, line)| indent(line) <= depth);
    let end = end.map_or(lines.len(), |(at, _)| at);
    let first = inner.map(|(at, _)| at).next()?;
    (first < end).then_some((first, end))
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// What comes behind the key and its colon.
fn after_key<'l>(line: &'l str, key: &str) -> Option<&'l str> {
    let line = line.trim_start_matches(' ');
    let bare = line.strip_prefix(key);
    let quoted = || {
        ['"', '\'']
            .into_iter()
            .find_map(|quote| line.strip_prefix(quote)?.strip_prefix(key)?.strip_prefix(quote))
    };
    bare.or_else(quoted)?.strip_prefix(':')
}

/// The comment behind a value on one line.
fn comment(value: &str) -> Option<&str> {
    let value = value.trim_start();
    let after = match value.chars().next()? {
        quote @ ('"' | '\'') => value[1..].find(quote)? + 2,
        _ => 0,
    };
    let at = value[after..].find(" #")? + after;
    Some(value[at..].trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = "spec:
  cluster: production # of the shop
  service: {name: checkout-valkey}
  taskRole: {name: checkout-task-role}
  network:
    vpcId: vpc-0a1b2c3d4e5f67890
    subnetIds: [subnet-0aaaaaaaaaaaaaaa1]
    taskSecurityGroupIds: [sg-0cccccccccccccccc]
";

    fn document(metadata: &str) -> String {
        format!("# Ours.\napiVersion: valkeep.dev/v1alpha1\nkind: ValkeyPersistence\n{metadata}{REST}")
    }

    fn check(before: &str, after: &str) {
        let text = annotated(document(before).as_bytes(), "valkeep.dev/restart", "now 2");
        let text = text.map(|text| String::from_utf8(text).expect("UTF-8"));
        assert_eq!(text, Some(document(after)), "{before}");
    }

    #[test]
    fn the_first_annotation_comes_with_its_key() {
        check(
            "metadata: # who\n  # the name\n  name: checkout-cache\n",
            "metadata: # who\n  annotations:\n    valkeep.dev/restart: \"now 2\"\n  # the name\n  name: checkout-cache\n",
        );
    }

    #[test]
    fn one_more_is_one_line_more() {
        check(
            "metadata:\n    name: checkout-cache\n\n    annotations:\n       # of the team\n       team: shop\n",
            "metadata:\n    name: checkout-cache\n\n    annotations:\n       valkeep.dev/restart: \"now 2\"\n       # of the team\n       team: shop\n",
        );
    }

    #[test]
    fn another_value_is_one_line_changed() {
        for (old, kept) in [
            ("valkeep.dev/restart: now 1", ""),
            ("'valkeep.dev/restart': 'now # 1' # why", " # why"),
            ("\"valkeep.dev/restart\": \"now 1\"   # why", " # why"),
        ] {
            check(
                &format!("metadata:\n  annotations:\n    team: shop\n    {old}\n    z: z\n  name: checkout-cache\n"),
                &format!(
                    "metadata:\n  annotations:\n    team: shop\n    valkeep.dev/restart: \"now 2\"{kept}\n    z: z\n  name: checkout-cache\n"
                ),
            );
        }
    }

    #[test]
    fn line_ends_stay_as_they_are() {
        let before = document("metadata:\n  name: checkout-cache\n").replace('\n', "\r\n");
        let after = annotated(before.as_bytes(), "valkeep.dev/restart", "now 2").expect("one line");
        let expected =
            document("metadata:\n  annotations:\n    valkeep.dev/restart: \"now 2\"\n  name: checkout-cache\n");
        assert_eq!(String::from_utf8(after).expect("UTF-8"), expected.replace('\n', "\r\n"));
    }

    #[test]
    fn what_is_written_another_way_is_left_alone() {
        for metadata in [
            "metadata: {name: checkout-cache}\n",
            "metadata:\n  name: checkout-cache\n  annotations: {team: shop}\n",
            "metadata:\n  name: checkout-cache\n  annotations:\n    valkeep.dev/restart: >-\n      now\n      1\n",
            "metadata:\n  name: Not Valid\n",
        ] {
            assert_eq!(
                annotated(document(metadata).as_bytes(), "valkeep.dev/restart", "now 2"),
                None,
                "{metadata}"
            );
        }
    }
}
