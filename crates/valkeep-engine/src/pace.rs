//! When documents at rest are looked at again: spread over time, so that a large fleet does not ask one account for more
//! than is polite.
//!
//! Pure bookkeeping of times. It knows accounts and nothing of what a look costs; [`crate::Settings::idle_spacing`] does.

use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// The next free time of each account.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    next: HashMap<String, Instant>,
}

impl Pace {
    /// The first free time that is not before `earliest`, taken. Times that were taken and not used (the document changed
    /// meanwhile) stay empty; that only slows.
    pub(crate) fn take(&mut self, account: &str, earliest: Instant, spacing: Duration) -> Instant {
        let at = self.next.get(account).map_or(earliest, |next| earliest.max(*next));
        self.next.insert(account.to_owned(), at + spacing);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACING: Duration = Duration::from_secs(3);

    #[test]
    fn few_documents_are_looked_at_when_they_ask_for_it() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for minute in 1..=10 {
            let at = now + Duration::from_secs(60 * minute);
            assert_eq!(pace.take("a", at, SPACING), at);
        }
    }

    #[test]
    fn many_are_spread_and_one_account_does_not_delay_another() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let earliest = now + Duration::from_mins(10);
        for n in 0..1_000 {
            assert_eq!(pace.take("a", earliest, SPACING), earliest + SPACING * n);
        }
        assert_eq!(pace.take("b", earliest, SPACING), earliest);
    }
}
