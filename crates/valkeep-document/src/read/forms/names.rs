//! What Kubernetes' conventions take.

use super::super::report::{Wrong, quote};
use super::check;

pub(in crate::read) fn dns_label(text: &str) -> Result<(), Wrong> {
    let good = (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    check(
        good,
        || format!("{} is not a DNS label", quote(text)),
        "use at most 63 lower-case letters, digits and inner hyphens, like `trigpointing-valkey`",
    )
}

/// Keys of labels and annotations, as Kubernetes has them: an optional DNS prefix and a name.
pub(in crate::read) fn label_key(text: &str) -> Result<(), Wrong> {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let dns = |part: &str| dns_label(part).is_ok();
    let good = label_word(name)
        && !name.is_empty()
        && prefix.is_none_or(|prefix| prefix.len() <= 253 && prefix.split('.').all(dns));
    check(
        good,
        || format!("{} is not a key that Kubernetes' tools would take", quote(text)),
        "use at most 63 letters, digits and inner `-_.`, like `team` or `example.com/team`",
    )
}

pub(in crate::read) fn label_value(text: &str) -> Result<(), Wrong> {
    check(
        label_word(text),
        || format!("{} is not a label value", quote(text)),
        "use at most 63 letters, digits and inner `-_.`, or an annotation",
    )
}

fn label_word(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let outer = |text: Option<char>| text.is_none_or(|letter| letter.is_ascii_alphanumeric());
    text.len() <= 63 && text.bytes().all(inner) && outer(text.chars().next()) && outer(text.chars().last())
}

#[expect(clippy::unnecessary_wraps, reason = "it has the signature of a form")]
pub(in crate::read) fn any_text(_: &str) -> Result<(), Wrong> {
    Ok(())
}

/// The value of the annotation that asks for a restart: it comes back in messages.
pub(in crate::read) fn restart(text: &str) -> Result<(), Wrong> {
    const MAX: usize = 256;
    check(
        text.chars().count() <= MAX && !text.chars().any(char::is_control),
        || "has a control character, a line break, or more than 256 characters".to_owned(),
        "write a short text that was not there before, like the time",
    )
}
