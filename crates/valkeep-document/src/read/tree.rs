//! YAML as a tree that knows where everything stands. Knows nothing of documents.
//!
//! What makes one text mean different things to different readers, or little text mean much, is refused: anchors and
//! aliases, merge keys, tags, directives, duplicate keys, keys that are not text, and a second document.

use super::report::{Report, Wrong, quote};
use granit_parser::{Event, Marker, Parser, ScalarStyle, Span};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

/// The most levels. A document has 5.
const DEPTH_MAX: usize = 16;
/// The most nodes. The example has about 120; a thousand labels and tags are 4,000.
const NODES_MAX: usize = 20_000;

/// A place in the file, from 1, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl At {
    pub(super) const START: At = At { line: 1, column: 1 };
}

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) value: Value,
}

/// A value. Text keeps whether it was plain, because only plain text can be a number or a boolean.
#[derive(Debug)]
pub(super) enum Value {
    Map(Vec<(Key, Node)>),
    List(Vec<Node>),
    Text {
        text: String,
        plain: bool,
    },
    /// Something that was reported already; nothing more is to be said about it.
    Refused,
}

/// A key of a map.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) at: At,
    pub(super) text: String,
    pub(super) plain: bool,
}

/// Reads the tree, reporting what is refused. None where there is no tree to go on with.
pub(super) fn parse(bytes: &[u8], report: &mut Report) -> Option<Node> {
    let text = text(bytes, report)?;
    let mut tree = Tree {
        report,
        stack: Vec::new(),
        nodes: 0,
        root: None,
    };
    for event in Parser::new_from_str_with_options(text, options()) {
        match event {
            Ok((event, span)) => {
                if !tree.take(event, &span) {
                    return None;
                }
            }
            Err(error) => {
                let at = at(error.marker());
                let path = tree.path();
                let line = text.lines().nth(at.line.saturating_sub(1)).unwrap_or_default();
                let instead = line
                    .contains('\t')
                    .then(|| "indent with spaces: this line has a tab".to_owned());
                let problem = format!("is not YAML: {}", error.info());
                tree.report.add(at, &path, Wrong { problem, instead });
                return None;
            }
        }
    }
    let root = tree.root.take();
    if root.is_none() && report.is_empty() {
        let instead = report.subject.example();
        report.say(At::START, "", "the file has no document", instead);
    }
    root
}

/// `metadata.name` as far as the text can be read; what comes after it may be broken.
pub(super) fn name(text: &str) -> Option<String> {
    let mut stack: Vec<Option<String>> = Vec::new();
    for event in Parser::new_from_str_with_options(text, options()) {
        let (event, _) = event.ok()?;
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                if stack.len() >= DEPTH_MAX {
                    return None;
                }
                let list = matches!(event, Event::SequenceStart(..));
                // A list stands in the stack as a map whose key is never one of ours.
                stack.push(list.then(String::new));
            }
            Event::MappingEnd | Event::SequenceEnd => {
                stack.pop();
                end_value(&mut stack);
            }
            Event::Scalar(text, ..) => {
                let path: Vec<Option<&str>> = stack.iter().map(Option::as_deref).collect();
                if path == [Some("metadata"), Some("name")] {
                    return Some(text.into_owned());
                }
                match stack.last_mut() {
                    Some(key @ None) => *key = Some(text.into_owned()),
                    Some(Some(_)) => end_value(&mut stack),
                    None => return None,
                }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => end_value(&mut stack),
            Event::DocumentEnd => return None,
            _ => {}
        }
    }
    None
}

/// A value of the innermost map ended: the next text is a key again.
fn end_value(stack: &mut [Option<String>]) {
    if let Some(key) = stack.last_mut()
        && key.as_deref() != Some("")
    {
        *key = None;
    }
}

fn options() -> granit_parser::Options {
    granit_parser::options! {
        disallow_directives: true,
        emit_unresolved_aliases: true,
        emit_comments: false,
        flow_nesting_limit: DEPTH_MAX + 1,
        block_nesting_limit: DEPTH_MAX + 1,
    }
}

/// UTF-8 without control characters, without a byte-order mark.
fn text<'a>(bytes: &'a [u8], report: &mut Report) -> Option<&'a str> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        report.say(At::START, "", "the file is UTF-16", "save it as UTF-8");
        return None;
    }
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let control = |byte: &u8| (*byte < b' ' && !b"\t\n\r".contains(byte)) || *byte == 0x7f;
    if let Some(offset) = bytes.iter().position(control) {
        let problem = format!("there is a control character, byte {:#04x}", bytes[offset]);
        report.say(place(bytes, offset), "", problem, "remove it");
        return None;
    }
    match str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let offset = error.valid_up_to();
            let problem = format!("byte {:#04x} is not UTF-8", bytes[offset]);
            report.say(place(bytes, offset), "", problem, "save the file as UTF-8");
            None
        }
    }
}

/// Where a byte stands.
fn place(bytes: &[u8], offset: usize) -> At {
    let before = &bytes[..offset];
    let start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    At {
        line: before.split(|byte| *byte == b'\n').count(),
        column: String::from_utf8_lossy(&before[start..]).chars().count() + 1,
    }
}

fn at(marker: &Marker) -> At {
    At {
        line: marker.line().max(1),
        column: marker.col() + 1,
    }
}

struct Tree<'r> {
    report: &'r mut Report,
    stack: Vec<Open>,
    nodes: usize,
    root: Option<Node>,
}

/// A map or list that has not ended.
enum Open {
    Map {
        at: At,
        entries: Vec<(Key, Node)>,
        seen: HashMap<String, At>,
        key: Pending,
    },
    List {
        at: At,
        items: Vec<Node>,
    },
}

/// The key whose value comes next.
enum Pending {
    None,
    Key(Key),
    /// A key that was reported; its value goes.
    Refused,
}

impl Tree<'_> {
    /// Takes one event; false when reading must end.
    fn take(&mut self, event: Event<'_>, span: &Span) -> bool {
        let start = at(&span.start);
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                self.report.say(
                    start,
                    "",
                    "a second document begins here, and a file holds one",
                    "put it into a file of its own",
                );
                return false;
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_anchor(anchor, start);
                self.refuse_tag(tag.map(Cow::into_owned).map(|tag| tag.to_string()), span);
                return self.count(start) && self.scalar(&text, style, start);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_anchor(anchor, start);
                self.refuse_tag(tag.map(Cow::into_owned).map(|tag| tag.to_string()), span);
                self.stack.push(Open::List {
                    at: start,
                    items: Vec::new(),
                });
                return self.count(start);
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_anchor(anchor, start);
                self.refuse_tag(tag.map(Cow::into_owned).map(|tag| tag.to_string()), span);
                self.stack.push(Open::Map {
                    at: start,
                    entries: Vec::new(),
                    seen: HashMap::new(),
                    key: Pending::None,
                });
                return self.count(start);
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let node = match self.stack.pop() {
                    Some(Open::Map { at, entries, .. }) => Node {
                        at,
                        value: Value::Map(entries),
                    },
                    Some(Open::List { at, items }) => Node {
                        at,
                        value: Value::List(items),
                    },
                    None => return true,
                };
                self.attach(node);
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let path = self.path();
                self.report.say(
                    start,
                    &path,
                    "is an alias; anchors and aliases are not read",
                    self.report.subject.instead_of_alias(),
                );
                self.attach(Node {
                    at: start,
                    value: Value::Refused,
                });
                return self.count(start);
            }
            _ => {}
        }
        true
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, start: At) -> bool {
        let plain = style == ScalarStyle::Plain;
        let Some(Open::Map {
            seen,
            key: key @ Pending::None,
            ..
        }) = self.stack.last_mut()
        else {
            self.attach(Node {
                at: start,
                value: Value::Text {
                    text: text.to_owned(),
                    plain,
                },
            });
            return true;
        };
        let first = seen.get(text).copied();
        if plain && text == "<<" {
            *key = Pending::Refused;
            let path = self.path();
            self.report.say(
                start,
                &path,
                "`<<` is a merge key, and these are not read",
                "write the fields out",
            );
        } else if let Some(first) = first {
            *key = Pending::Refused;
            let path = join(&self.path(), text);
            self.report.say(
                start,
                &path,
                format!("is given twice, first in line {}", first.line),
                "keep one of the two",
            );
        } else {
            seen.insert(text.to_owned(), start);
            *key = Pending::Key(Key {
                at: start,
                text: text.to_owned(),
                plain,
            });
        }
        true
    }

    /// Puts a finished value where it belongs.
    fn attach(&mut self, node: Node) {
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match std::mem::replace(key, Pending::None) {
                Pending::Key(known) => entries.push((known, node)),
                Pending::Refused => {}
                Pending::None => {
                    *key = Pending::Refused;
                    if !matches!(node.value, Value::Refused) {
                        let path = self.path();
                        self.report
                            .say(node.at, &path, "a key must be text", "write a name before the colon");
                    }
                }
            },
        }
    }

    fn count(&mut self, start: At) -> bool {
        self.nodes += 1;
        let example = self.report.subject.example();
        if self.nodes > NODES_MAX {
            self.report
                .say(start, "", format!("the file has more than {NODES_MAX} values"), example);
        } else if self.stack.len() > DEPTH_MAX {
            self.report.say(
                start,
                "",
                format!("there are more than {DEPTH_MAX} levels"),
                "a document has 5",
            );
        } else {
            return true;
        }
        false
    }

    fn refuse_anchor(&mut self, anchor: usize, start: At) {
        if anchor != 0 {
            let path = self.path();
            self.report.say(
                start,
                &path,
                "has an anchor; anchors and aliases are not read",
                "write the value out where it is needed",
            );
        }
    }

    fn refuse_tag(&mut self, tag: Option<String>, span: &Span) {
        if let Some(tag) = tag {
            let path = self.path();
            let start = span.tag_start().map_or_else(|| at(&span.start), |marker| at(&marker));
            let problem = format!("has the tag {}; tags are not read", quote(&tag));
            self.report.say(start, &path, problem, "remove the tag");
        }
    }

    /// The path of the value that comes next.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.stack {
            match open {
                Open::Map {
                    key: Pending::Key(key), ..
                } => path = join(&path, &key.text),
                Open::Map { .. } => {}
                Open::List { items, .. } => {
                    write!(path, "[{}]", items.len()).expect("writing to a string cannot fail");
                }
            }
        }
        path
    }
}

/// The path of a field: `spec.cluster`, or `metadata.labels["a.b/c"]` where the name is not a plain word.
pub(super) fn join(path: &str, name: &str) -> String {
    let word = !name.is_empty()
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter));
    match (path, word) {
        ("", true) => name.to_owned(),
        (_, true) => format!("{path}.{name}"),
        (_, false) => {
            let name = quote(name);
            format!("{path}[\"{}\"]", name.trim_matches('`'))
        }
    }
}
