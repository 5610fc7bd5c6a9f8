//! Walks a positioned tree: takes fields out of maps and typed values out of fields, and reports what does not fit.
//!
//! A value that does not fit is None and has been reported, so a caller goes on and finds everything else, too.

use super::elsewhere::elsewhere;
use super::forms::Form;
use super::nearest::nearest;
use super::report::{Report, Subject, Wrong, all_of, one_of, quote};
use super::tree::{At, Key, Node, Value, join};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// A value, where it stands and what it is called.
pub(super) struct Field<'n> {
    pub(super) path: String,
    /// Where its name stands; for entries of lists and the document itself, where the value stands.
    name_at: At,
    required: bool,
    node: &'n Node,
}

/// A map whose fields are taken out one by one; what is left over is unknown.
pub(super) struct Map<'n> {
    path: String,
    at: At,
    entries: &'n [(Key, Node)],
    known: Vec<&'static str>,
}

impl<'n> Field<'n> {
    /// The whole document.
    pub(super) fn root(node: &'n Node) -> Self {
        Self {
            path: String::new(),
            name_at: node.at,
            required: true,
            node,
        }
    }

    /// Where the value stands.
    pub(super) fn at(&self) -> At {
        self.node.at
    }

    pub(super) fn say(&self, report: &mut Report, problem: impl Into<String>, instead: impl Into<String>) {
        report.say(self.node.at, &self.path, problem, instead);
    }

    pub(super) fn map(&self, report: &mut Report) -> Option<Map<'n>> {
        match &self.node.value {
            Value::Map(entries) => Some(Map {
                path: self.path.clone(),
                at: self.name_at,
                entries,
                known: Vec::new(),
            }),
            _ => self.unfit(report, "a map of fields", None),
        }
    }

    pub(super) fn list(&self, report: &mut Report) -> Option<Vec<Field<'n>>> {
        match &self.node.value {
            Value::List(items) => Some(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, node)| Field {
                        path: format!("{}[{index}]", self.path),
                        name_at: node.at,
                        required: true,
                        node,
                    })
                    .collect(),
            ),
            Value::Text { text, plain } if !(*plain && is_null(text)) => self.unfit(
                report,
                "a list",
                Some(format!("write `[{}]`", text.chars().take(60).collect::<String>())),
            ),
            _ => self.unfit(report, "a list", None),
        }
    }

    pub(super) fn text(&self, report: &mut Report, form: Form) -> Option<String> {
        let Value::Text { text, plain } = &self.node.value else {
            return self.unfit(report, "text", None);
        };
        if *plain && is_null(text) {
            return self.unfit(report, "text", None);
        }
        let fit = if *plain { plain_text(text) } else { Ok(()) };
        match fit.and_then(|()| form(text)) {
            Ok(()) => Some(text.clone()),
            Err(wrong) => self.refuse(report, wrong),
        }
    }

    pub(super) fn boolean(&self, report: &mut Report) -> Option<bool> {
        match &self.node.value {
            Value::Text { text, plain: true } if text == "true" => Some(true),
            Value::Text { text, plain: true } if text == "false" => Some(false),
            Value::Text { text, .. } => {
                let instead = match text.to_ascii_lowercase().as_str() {
                    "true" | "yes" | "on" | "y" | "1" => "write `true`, without quotes",
                    "false" | "no" | "off" | "n" | "0" => "write `false`, without quotes",
                    _ => "write `true` or `false`",
                };
                self.unfit(report, "`true` or `false`", Some(instead.to_owned()))
            }
            _ => self.unfit(report, "`true` or `false`", None),
        }
    }

    /// Whether it is a text of any kind, also one that YAML takes for a number.
    pub(super) fn is_text(&self) -> bool {
        matches!(&self.node.value, Value::Text { .. })
    }

    pub(super) fn is_zero(&self) -> bool {
        matches!(&self.node.value, Value::Text { text, plain: true } if text == "0")
    }

    pub(super) fn whole(&self, report: &mut Report, range: &RangeInclusive<u32>) -> Option<u32> {
        let (first, last) = (range.start(), range.end());
        let Value::Text { text, plain } = &self.node.value else {
            return self.unfit(report, "a whole number", None);
        };
        let digits = text.strip_prefix('-').unwrap_or(text);
        let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let canonical = number && (digits == "0" || !digits.starts_with('0'));
        if !plain {
            let instead =
                canonical.then(|| format!("write {} without quotes", digits.chars().take(20).collect::<String>()));
            return self.unfit(report, "a whole number", instead);
        }
        if number && !canonical {
            return self.refuse(
                report,
                Wrong::new(
                    format!(
                        "{} begins with a zero, which some readers take for an octal number",
                        quote(text)
                    ),
                    "write a decimal number without leading zeros",
                ),
            );
        }
        if !number {
            let instead = looks_numeric(text).then(|| "write it in decimal digits, like 6379".to_owned());
            return self.unfit(report, "a whole number", instead);
        }
        match text.parse::<u32>() {
            Ok(value) if range.contains(&value) => Some(value),
            _ => self.refuse(
                report,
                Wrong::new(
                    format!("{} is out of range", text.chars().take(24).collect::<String>()),
                    format!("write {first} to {last}"),
                ),
            ),
        }
    }

    /// A number that may have a fraction.
    pub(super) fn number(&self, report: &mut Report, range: &RangeInclusive<f64>) -> Option<f64> {
        let Value::Text { text, plain } = &self.node.value else {
            return self.unfit(report, "a number", None);
        };
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let number = match text.split_once('.') {
            Some((whole, fraction)) => digits(whole) && digits(fraction),
            None => digits(text),
        };
        let canonical = number && (!text.starts_with('0') || text == "0" || text.starts_with("0."));
        if !plain || !canonical {
            let instead = (number && !plain).then(|| "write it without quotes".to_owned());
            return self.unfit(report, "a number in decimal digits", instead);
        }
        match text.parse::<f64>() {
            Ok(value) if range.contains(&value) => Some(value),
            _ => self.refuse(
                report,
                Wrong::new(
                    format!("{} is out of range", text.chars().take(24).collect::<String>()),
                    format!("write {} to {}", range.start(), range.end()),
                ),
            ),
        }
    }

    /// One of a few names. `later` are names whose meaning comes with a later version.
    pub(super) fn choice<T: Copy>(&self, report: &mut Report, choices: &[(&str, T)], later: &[&str]) -> Option<T> {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let Value::Text { text, .. } = &self.node.value else {
            return self.unfit(report, &one_of(&names), None);
        };
        if let Some((_, value)) = choices.iter().find(|(name, _)| name == text) {
            return Some(*value);
        }
        if text.is_empty() {
            return self.unfit(report, &one_of(&names), None);
        }
        if later.contains(&text.as_str()) {
            return self.refuse(
                report,
                Wrong::new(
                    format!("{} comes with a later version of valkeep", quote(text)),
                    format!("write {}", one_of(&names)),
                ),
            );
        }
        let instead = match nearest(text, &names) {
            Some(name) if names.len() > 1 => format!("did you mean `{name}`? The values are {}", all_of(&names)),
            _ => format!("write {}", one_of(&names)),
        };
        self.refuse(
            report,
            Wrong::new(format!("{} is not known here", quote(text)), instead),
        )
    }

    /// A map from text to text whose keys are the user's own.
    pub(super) fn texts(
        &self,
        report: &mut Report,
        key_form: Form,
        value_form: Form,
    ) -> Option<BTreeMap<String, String>> {
        let Value::Map(entries) = &self.node.value else {
            return self.unfit(report, "a map from text to text", None);
        };
        let mut texts = BTreeMap::new();
        let mut good = true;
        for (key, node) in entries {
            let field = Field {
                path: join(&self.path, &key.text),
                name_at: key.at,
                required: false,
                node,
            };
            let fit = if key.plain { plain_text(&key.text) } else { Ok(()) };
            if let Err(wrong) = fit.and_then(|()| key_form(&key.text)) {
                report.add(key.at, &field.path, wrong);
                good = false;
            }
            match field.text(report, value_form) {
                Some(value) => {
                    texts.insert(key.text.clone(), value);
                }
                None => good = false,
            }
        }
        good.then_some(texts)
    }

    /// Where a key of this map stands.
    pub(super) fn key_at(&self, name: &str) -> At {
        match &self.node.value {
            Value::Map(entries) => entries
                .iter()
                .find(|(key, _)| key.text == name)
                .map_or(self.at(), |(key, _)| key.at),
            _ => self.at(),
        }
    }

    fn refuse<T>(&self, report: &mut Report, wrong: Wrong) -> Option<T> {
        report.add(self.node.at, &self.path, wrong);
        None
    }

    /// Says what was found and what is wanted.
    fn unfit<T>(&self, report: &mut Report, wanted: &str, instead: Option<String>) -> Option<T> {
        let found = match &self.node.value {
            // Reported where it was refused.
            Value::Refused => return None,
            Value::Map(_) => "a map".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Text { text, plain: true } if is_null(text) => {
                // Kubernetes takes null for absent; here it is more often a value that was forgotten.
                let advice = if self.required {
                    "give a value"
                } else {
                    "give a value, or leave the field out"
                };
                let instead = instead.unwrap_or_else(|| advice.to_owned());
                return self.refuse(report, Wrong::new(format!("is empty, and {wanted} is wanted"), instead));
            }
            Value::Text { text, plain: true } if looks_boolean(text) || looks_numeric(text) => quote(text),
            Value::Text { text, plain: true } => format!("the text {}", quote(text)),
            Value::Text { text, plain: false } => format!("the quoted text {}", quote(text)),
        };
        report.add(
            self.node.at,
            &self.path,
            Wrong {
                problem: format!("is {found}, and {wanted} is wanted"),
                instead,
            },
        );
        None
    }
}

impl<'n> Map<'n> {
    /// A field that may be left out.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Field<'n>> {
        self.known.push(name);
        self.find(name)
    }

    /// Whether a field is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn find(&self, name: &str) -> Option<Field<'n>> {
        self.entries
            .iter()
            .find(|(key, _)| key.text == name)
            .map(|(key, node)| Field {
                path: join(&self.path, name),
                name_at: key.at,
                required: false,
                node,
            })
    }

    /// A field that must be there; `instead` says what to write.
    pub(super) fn require(&mut self, report: &mut Report, name: &'static str, instead: &str) -> Option<Field<'n>> {
        let Some(field) = self.take(name) else {
            report.say(self.at, &join(&self.path, name), "is missing", instead);
            return None;
        };
        Some(Field {
            required: true,
            ..field
        })
    }

    /// Reports what was not taken, with what to do about it: `advice` on names that are often tried here, else the
    /// nearest name, else the place where a field of that name belongs.
    pub(super) fn finish(self, report: &mut Report, advice: &[(&str, &str)]) {
        for (key, _) in self.entries {
            if self.known.contains(&key.text.as_str()) {
                continue;
            }
            if report.is_full() {
                // Advice is dear; what cannot be told needs none.
                report.say(key.at, &self.path, "", "");
                break;
            }
            let advice = advice.iter().find(|(name, _)| *name == key.text);
            let near = || nearest(&key.text, &self.known).map(|name| format!("did you mean `{name}`?"));
            let advice = advice
                .map(|(_, advice)| (*advice).to_owned())
                .or_else(near)
                .or_else(|| {
                    (report.subject == Subject::Document)
                        .then(|| elsewhere(&key.text))
                        .flatten()
                });
            let instead = match advice {
                Some(advice) => advice,
                None => match self.known.as_slice() {
                    [] => "remove it".to_owned(),
                    known => format!("there are {}", all_of(known)),
                },
            };
            report.say(key.at, &join(&self.path, &key.text), "is not a known field", instead);
        }
    }
}

/// Plain text that other readers would not take for text is refused, so that all read the same.
fn plain_text(text: &str) -> Result<(), Wrong> {
    let what = if is_null(text) {
        "nothing"
    } else if looks_boolean(text) {
        "a boolean"
    } else if looks_numeric(text) {
        "a number"
    } else {
        return Ok(());
    };
    Err(Wrong::new(
        format!("{} is {what} to YAML, and text is wanted", quote(text)),
        format!("put it in quotes: \"{}\"", text.chars().take(60).collect::<String>()),
    ))
}

fn is_null(text: &str) -> bool {
    text.is_empty() || text == "~" || text.eq_ignore_ascii_case("null")
}

/// What YAML 1.1 or 1.2 takes for a boolean.
fn looks_boolean(text: &str) -> bool {
    ["true", "false", "yes", "no", "on", "off"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
}

/// What YAML 1.1 or 1.2 takes for a number: decimal, octal, hexadecimal, with fraction or exponent, not
/// finite.
fn looks_numeric(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if [".inf", ".nan"].iter().any(|word| unsigned.eq_ignore_ascii_case(word)) {
        return true;
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = unsigned.strip_prefix(prefix) {
            return !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
        }
    }
    let begins = unsigned.starts_with(|first: char| first.is_ascii_digit())
        || unsigned
            .strip_prefix('.')
            .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
    if !begins {
        return false;
    }
    unsigned.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_some_reader_takes_for_something_else_needs_quotes() {
        for text in ["0755", "0x1f", "1e3", ".5", "-.inf", "8.0", "yes", "Off", "~", "", "+1"] {
            assert!(plain_text(text).is_err(), "{text}");
        }
        for text in [
            "valkey",
            "8.0.1",
            "a1",
            "sg-1",
            "1a",
            "2024-01-01",
            "-",
            "0xyz",
            "key:1",
            "10.0.0.1",
        ] {
            assert!(plain_text(text).is_ok(), "{text}");
        }
    }
}
