//! What can go wrong on purpose, and what was called.

use crate::wire::Service;
use jiff::Timestamp;
use std::collections::VecDeque;
use std::time::Duration;

/// Some 30 MB; a thousand documents looked at ten times make 140,000 calls.
const CALLS_KEPT_MAX: usize = 200_000;

/// Something that goes wrong on purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// For which calls.
    pub matches: Match,
    /// What happens to them.
    pub kind: FaultKind,
}

/// Which calls a fault is for. The empty one is for all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Match {
    /// Only this service.
    pub service: Option<Service>,
    /// Only this operation, such as `CreateFileSystem`.
    pub operation: Option<String>,
    /// Only calls of this account.
    pub account: Option<String>,
    /// Only calls to this region.
    pub region: Option<String>,
    /// Not before the nth call that matches; the first is 1.
    pub nth: Option<u64>,
    /// So many times; without it `nth` means once, and neither means for ever.
    pub times: Option<u64>,
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// Too many requests, with the code that this service uses for it.
    Throttle,
    /// Status 500.
    ServerError,
    /// The caller may not.
    AccessDenied,
    /// Never answers and does nothing.
    Timeout,
    /// Does it, and the answer is lost.
    LostReply,
    /// Does it and never answers, so that who asked can be stopped right behind it.
    Silence,
    /// Answers late.
    Delay(Duration),
    /// Any other refusal.
    Error {
        /// HTTP status.
        status: u16,
        /// Error code.
        code: String,
        /// Error message.
        message: String,
    },
}

impl Fault {
    /// `kind` on every call of `operation`.
    pub fn on(operation: &str, kind: FaultKind) -> Self {
        Self {
            matches: Match {
                operation: Some(operation.to_owned()),
                ..Match::default()
            },
            kind,
        }
    }

    /// `kind` on every call of a service.
    pub fn on_service(service: Service, kind: FaultKind) -> Self {
        Self {
            matches: Match {
                service: Some(service),
                ..Match::default()
            },
            kind,
        }
    }

    /// Only calls of this account.
    #[must_use]
    pub fn of_account(mut self, account: &str) -> Self {
        self.matches.account = Some(account.to_owned());
        self
    }

    /// Only calls to this region.
    #[must_use]
    pub fn in_region(mut self, region: &str) -> Self {
        self.matches.region = Some(region.to_owned());
        self
    }

    /// Only the nth matching call.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.matches.nth = Some(nth);
        self
    }

    /// Only so many times.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.matches.times = Some(times);
        self
    }
}

/// One call that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// When it arrived.
    pub at: Timestamp,
    /// Service.
    pub service: Service,
    /// Operation.
    pub operation: String,
    /// Whether it is one that changes something.
    pub mutating: bool,
    /// Status answered; 0 while unanswered and where the answer was lost.
    pub status: u16,
    /// The caller's account.
    pub account: String,
    /// The region that the call was signed for.
    pub region: String,
    /// The caller's access key, which tells one process from another.
    pub access_key: String,
    /// In S3: bucket and key, as in `bucket/docs/a.yaml`.
    pub object: Option<String>,
}

/// Faults in force and the calls made.
#[derive(Debug, Default)]
pub(crate) struct Control {
    faults: Vec<Armed>,
    calls: VecDeque<Call>,
    /// Calls dropped from the front of the log; positions count from the first call ever.
    forgotten: usize,
    pub(crate) latency: Option<Duration>,
    pub(crate) requests: u64,
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    matched: u64,
}

impl Control {
    pub(crate) fn inject(&mut self, fault: Fault) {
        self.faults.push(Armed { fault, matched: 0 });
    }

    pub(crate) fn clear_faults(&mut self) {
        self.faults.clear();
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.iter().cloned().collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.calls.len()
    }

    pub(crate) fn clear_calls(&mut self) {
        self.forgotten += self.calls.len();
        self.calls.clear();
    }

    /// Notes a call and gives its position for [`Control::answered`].
    pub(crate) fn arrived(&mut self, call: Call) -> usize {
        if self.calls.len() == CALLS_KEPT_MAX {
            self.calls.pop_front();
            self.forgotten += 1;
        }
        self.calls.push_back(call);
        self.forgotten + self.calls.len() - 1
    }

    pub(crate) fn answered(&mut self, position: usize, status: u16) {
        // The log may have been cleared while the call was under way.
        if let Some(call) = position
            .checked_sub(self.forgotten)
            .and_then(|index| self.calls.get_mut(index))
        {
            call.status = status;
        }
    }

    /// The first fault in force for this call. Every matching fault counts the call.
    pub(crate) fn strike(&mut self, call: &Call) -> Option<FaultKind> {
        let mut struck = None;
        for armed in &mut self.faults {
            let Match {
                service: wanted,
                operation,
                account,
                region,
                nth,
                times,
            } = &armed.fault.matches;
            let other = |wanted: &Option<String>, have: &String| wanted.as_ref().is_some_and(|wanted| wanted != have);
            if wanted.is_some_and(|wanted| wanted != call.service)
                || other(operation, &call.operation)
                || other(account, &call.account)
                || other(region, &call.region)
            {
                continue;
            }
            armed.matched += 1;
            let first = nth.unwrap_or(1);
            let count = times.or(nth.map(|_| 1)).unwrap_or(u64::MAX);
            let due = armed.matched >= first && armed.matched - first < count;
            if due && struck.is_none() {
                struck = Some(armed.fault.kind.clone());
            }
        }
        struck
    }
}

/// Whether an operation changes something, from its verb.
pub(crate) fn is_mutating(operation: &str) -> bool {
    const READING: [&str; 8] = [
        "Describe",
        "List",
        "Get",
        "Head",
        "Discover",
        "Filter",
        "AssumeRole",
        "Simulate",
    ];
    !READING.iter().any(|verb| operation.starts_with(verb))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strikes(fault: Fault, calls: usize) -> Vec<bool> {
        let mut control = Control::default();
        control.inject(fault);
        let call = Call {
            at: Timestamp::UNIX_EPOCH,
            service: Service::S3,
            operation: "GetObject".to_owned(),
            mutating: false,
            status: 0,
            account: "123456789012".to_owned(),
            region: "eu-west-1".to_owned(),
            access_key: String::new(),
            object: None,
        };
        (0..calls).map(|_| control.strike(&call).is_some()).collect()
    }

    #[test]
    fn a_fault_strikes_always_or_the_nth_time_or_so_many_times() {
        assert_eq!(strikes(Fault::on("GetObject", FaultKind::Throttle), 3), [true; 3]);
        assert_eq!(
            strikes(Fault::on("GetObject", FaultKind::Throttle).nth(2), 3),
            [false, true, false]
        );
        assert_eq!(
            strikes(Fault::on("GetObject", FaultKind::Throttle).times(2), 3),
            [true, true, false]
        );
        assert_eq!(
            strikes(Fault::on("GetObject", FaultKind::Throttle).nth(2).times(2), 4),
            [false, true, true, false]
        );
        assert_eq!(strikes(Fault::on("PutObject", FaultKind::Throttle), 2), [false; 2]);
        let everywhere = Fault::on("GetObject", FaultKind::Throttle);
        assert_eq!(strikes(everywhere.clone().of_account("210987654321"), 1), [false]);
        assert_eq!(strikes(everywhere.in_region("eu-west-1"), 1), [true]);
        assert_eq!(
            strikes(Fault::on_service(Service::Iam, FaultKind::Throttle), 2),
            [false; 2]
        );
    }

    #[test]
    fn reading_and_changing_are_told_apart_by_the_verb() {
        assert!(!is_mutating("DescribeServices") && !is_mutating("ListObjectsV2") && !is_mutating("GetCallerIdentity"));
        assert!(is_mutating("PutObject") && is_mutating("RegisterTaskDefinition") && is_mutating("TagResource"));
    }
}
