//! A value that is read back at once but counts only after a while.

use jiff::Timestamp;

/// Changes with the time from which each counts, oldest first. The last is what reads back.
#[derive(Debug, Clone)]
pub(crate) struct Propagated<T> {
    changes: Vec<(Timestamp, Option<T>)>,
}

impl<T> Default for Propagated<T> {
    fn default() -> Self {
        Self { changes: Vec::new() }
    }
}

impl<T> Propagated<T> {
    /// A new value, or none, which counts from `at`.
    pub(super) fn set(&mut self, now: Timestamp, at: Timestamp, value: Option<T>) {
        self.changes.push((at, value));
        // Of those that count already only the newest matters, so the list stays as short as the changes under way.
        if let Some(counting) = self.changes.iter().rposition(|(from, _)| *from <= now) {
            self.changes.drain(..counting);
        }
    }

    /// What reads back.
    pub(super) fn current(&self) -> Option<&T> {
        self.changes.last().and_then(|(_, value)| value.as_ref())
    }

    /// What counts now.
    pub(super) fn effective(&self, now: Timestamp) -> Option<&T> {
        self.changes
            .iter()
            .rev()
            .find(|(from, _)| *from <= now)
            .and_then(|(_, value)| value.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_reads_back_at_once_and_counts_later() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut value = Propagated::default();
        value.set(at(0), at(10), Some("a"));
        assert_eq!(
            (value.current(), value.effective(at(9)), value.effective(at(10))),
            (Some(&"a"), None, Some(&"a"))
        );
        value.set(at(20), at(30), None);
        assert_eq!(
            (value.current(), value.effective(at(29)), value.effective(at(30))),
            (None, Some(&"a"), None)
        );
    }
}
