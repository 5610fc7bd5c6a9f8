//! The right to change things, and until when. Knows the clock of this process only; who leads is decided in `elector`.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// For one term. Over once, it is over for good: a later term has a mandate of its own.
#[derive(Debug, Clone)]
pub(crate) enum Mandate {
    /// It is said that no other valkeep works on these documents.
    Alone,
    /// By the lease.
    Leased(Term),
}

/// Of a lease, as its holder sees it.
#[derive(Debug, Clone)]
pub(crate) struct Term {
    /// Nothing may be changed from then on. Each renewal moves it.
    pub(crate) until: watch::Receiver<Instant>,
    /// Cancelled by whoever sees the end first.
    pub(crate) over: CancellationToken,
}

/// There is no right to change anything any more. What was in flight may have taken effect or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended;

impl Term {
    fn remaining(&self) -> Duration {
        if self.over.is_cancelled() {
            return Duration::ZERO;
        }
        let remaining = self.until.borrow().saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            self.over.cancel();
        }
        remaining
    }
}

impl Mandate {
    /// Whether it is over, by the clock and not by a timer: a process that was stopped for a while wakes up with its
    /// timers unfired.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Mandate::Alone => false,
            Mandate::Leased(term) => term.remaining().is_zero(),
        }
    }

    /// Waits until it is over.
    pub(crate) async fn ended(&self) {
        let Mandate::Leased(term) = self else {
            return std::future::pending().await;
        };
        let mut until = term.until.clone();
        loop {
            let at = *until.borrow_and_update();
            if term.remaining().is_zero() {
                return;
            }
            tokio::select! {
                biased;
                () = term.over.cancelled() => return,
                () = sleep_until(at) => {}
                // A sender that is gone renews no more, and then the time above is the end.
                Ok(()) = until.changed() => {}
            }
        }
    }

    /// Does `work` as long as there is a mandate, and not at all if less than `room` of it is left. What is dropped may
    /// have been sent.
    pub(crate) async fn within<T>(&self, room: Duration, work: impl Future<Output = T>) -> Result<T, Ended> {
        if let Mandate::Leased(term) = self
            && term.remaining() <= room
        {
            return Err(Ended);
        }
        let (mut work, mut ended) = (pin!(work), pin!(self.ended()));
        poll_fn(|context| {
            // Before each step of the work, not only when a timer fires.
            if self.is_over() || ended.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(Ended));
            }
            work.as_mut().poll(context).map(Ok)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    const SECOND: Duration = Duration::from_secs(1);

    fn leased(seconds: u32) -> (Mandate, watch::Sender<Instant>) {
        let (renew, until) = watch::channel(Instant::now() + SECOND * seconds);
        let over = CancellationToken::new();
        (Mandate::Leased(Term { until, over }), renew)
    }

    #[tokio::test(start_paused = true)]
    async fn work_is_cut_off_when_the_mandate_ends() {
        let (mandate, _renew) = leased(10);
        let begin = Instant::now();
        assert_eq!(mandate.within(SECOND, sleep(60 * SECOND)).await, Err(Ended));
        assert_eq!(begin.elapsed(), 10 * SECOND);
        assert_eq!(mandate.within(SECOND, async {}).await, Err(Ended));
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_gives_work_more_time() {
        let (mandate, renew) = leased(10);
        let work = mandate.within(SECOND, sleep(14 * SECOND));
        let renewing = async {
            sleep(5 * SECOND).await;
            renew.send_replace(Instant::now() + 10 * SECOND);
        };
        assert_eq!(tokio::join!(work, renewing).0, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_starts_that_has_no_room() {
        let (mandate, _renew) = leased(3);
        sleep(SECOND).await;
        let mut begun = false;
        let work = async { begun = true };
        assert_eq!(mandate.within(2 * SECOND, work).await, Err(Ended));
        assert!(!begun && !mandate.is_over());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_over_does_not_come_back_with_a_renewal() {
        let (mandate, renew) = leased(1);
        mandate.ended().await;
        renew.send_replace(Instant::now() + 10 * SECOND);
        assert!(mandate.is_over());
        mandate.ended().await;
    }

    /// A process that was stopped in the middle of its work: the clock went on, no timer has fired.
    #[tokio::test(start_paused = true)]
    async fn work_that_wakes_up_late_takes_no_further_step() {
        let (mandate, _renew) = leased(5);
        let steps = std::cell::Cell::new(0);
        let work = poll_fn(|context| {
            steps.set(steps.get() + 1);
            if steps.get() == 1 {
                context.waker().wake_by_ref();
                return Poll::<()>::Pending;
            }
            Poll::Ready(())
        });
        let mut work = pin!(mandate.within(SECOND, work));
        let first = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
        assert!(first.is_pending());
        tokio::time::advance(20 * SECOND).await;
        assert_eq!(work.await, Err(Ended));
        assert_eq!(steps.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_alone_is_never_cut_off() {
        let work = Mandate::Alone.within(SECOND, sleep(3600 * SECOND));
        assert_eq!(work.await, Ok(()));
        assert!(!Mandate::Alone.is_over());
    }
}
