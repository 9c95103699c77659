//! A circuit breaker: after repeated failure a service gets no calls for a while, and then one probe.
//!
//! Closed: calls are allowed. Open: they are not, until the reset time has passed. Half-open: one probe is in flight;
//! its success closes the breaker, its failure opens it again.
//! Source: M. Nygard, *Release It!*, 2nd ed., "Circuit Breaker".
//!
//! Calls that are in flight together and fail together count as one failure, not as several in a row. No crate is known
//! to do that.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The wait that callers are given while a probe is in flight.
const PROBE_WAIT: Duration = Duration::from_secs(1);

/// A circuit breaker.
#[derive(Debug)]
pub struct Breaker {
    threshold: u32,
    first_reset: Duration,
    max_reset: Duration,
    inner: Mutex<Inner>,
}

/// The state of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls are allowed.
    Closed = 0,
    /// One probe is in flight or due.
    HalfOpen = 1,
    /// Calls are not allowed.
    Open = 2,
}

#[derive(Debug)]
struct Inner {
    state: State,
    /// Failures counted since the start. A call that began before the last of them is not counted.
    failures_counted: u64,
    /// How long the breaker stays open the next time.
    next_reset: Duration,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen,
}

/// Permission for one call. Report the result with [`succeed`](Self::succeed) or [`fail`](Self::fail).
/// A permit that is dropped (the caller went away) decides nothing, and another call may probe.
#[must_use]
#[derive(Debug)]
pub struct Permit<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
    is_reported: bool,
    /// Failures counted when the call began.
    failures_before: u64,
}

impl Breaker {
    /// Opens after `threshold` failures in a row, for `reset`.
    pub fn new(threshold: u32, reset: Duration) -> Self {
        Self::growing(threshold, reset, reset)
    }

    /// Opens after `threshold` failures in a row, for `first_reset`; each failed probe doubles that, up to
    /// `max_reset`.
    pub fn growing(threshold: u32, first_reset: Duration, max_reset: Duration) -> Self {
        let state = State::Closed { failures: 0 };
        let inner = Inner { state, failures_counted: 0, next_reset: first_reset };
        Self { threshold, first_reset, max_reset, inner: Mutex::new(inner) }
    }

    /// Asks for permission to call.
    ///
    /// # Errors
    /// How long to wait before asking again.
    pub fn acquire(&self) -> Result<Permit<'_>, Duration> {
        let mut inner = self.lock();
        let is_probe = match inner.state {
            State::Closed { .. } => false,
            State::HalfOpen => return Err(PROBE_WAIT.min(self.first_reset)),
            State::Open { until } => {
                let left = until.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    return Err(left);
                }
                inner.state = State::HalfOpen;
                true
            }
        };
        let failures_before = inner.failures_counted;
        Ok(Permit { breaker: self, is_probe, is_reported: false, failures_before })
    }

    /// Whether [`acquire`](Self::acquire) would succeed now.
    ///
    /// True also for an open breaker whose reset time has passed: otherwise a service that is called only while this
    /// is true would never be probed.
    pub fn would_admit(&self) -> bool {
        match self.lock().state {
            State::Closed { .. } => true,
            State::Open { until } => until <= Instant::now(),
            State::HalfOpen => false,
        }
    }

    /// The current state.
    pub fn state(&self) -> BreakerState {
        match self.lock().state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { until } if until > Instant::now() => BreakerState::Open,
            State::Open { .. } | State::HalfOpen => BreakerState::HalfOpen,
        }
    }

    fn open(&self, inner: &mut Inner) {
        inner.state = State::Open { until: Instant::now() + inner.next_reset };
        inner.next_reset = inner.next_reset.saturating_mul(2).min(self.max_reset);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing can panic between the writes, so that a poisoned lock has a whole state.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// The service answered.
    pub fn succeed(mut self) {
        self.is_reported = true;
        let mut inner = self.breaker.lock();
        // A call from before the breaker opened does not close it.
        if self.is_probe || matches!(inner.state, State::Closed { .. }) {
            inner.state = State::Closed { failures: 0 };
        }
        if self.is_probe {
            inner.next_reset = self.breaker.first_reset;
        }
    }

    /// The service failed.
    pub fn fail(mut self) {
        self.is_reported = true;
        let mut inner = self.breaker.lock();
        // In flight when another failure was counted: the same event.
        if self.failures_before < inner.failures_counted {
            return;
        }
        inner.failures_counted += 1;
        match inner.state {
            State::Closed { failures } if failures + 1 < self.breaker.threshold => {
                inner.state = State::Closed { failures: failures + 1 };
            }
            State::Closed { .. } => self.breaker.open(&mut inner),
            State::HalfOpen if self.is_probe => self.breaker.open(&mut inner),
            State::HalfOpen | State::Open { .. } => {}
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.is_probe && !self.is_reported {
            self.breaker.lock().state = State::Open { until: Instant::now() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESET: Duration = Duration::from_secs(30);

    fn fail(breaker: &Breaker, times: u32) {
        for _ in 0..times {
            breaker.acquire().expect("closed").fail();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn opens_only_after_failures_in_a_row() {
        let breaker = Breaker::new(3, RESET);
        fail(&breaker, 2);
        breaker.acquire().expect("closed").succeed();
        fail(&breaker, 2);
        assert!(breaker.would_admit());
        fail(&breaker, 1);
        assert!(!breaker.would_admit());
        assert_eq!(breaker.acquire().err(), Some(RESET));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(breaker.acquire().err(), Some(Duration::from_secs(20)));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_fail_together_count_as_one_failure() {
        let breaker = Breaker::new(3, RESET);
        for round in 1..=3 {
            let together: Vec<_> = (0..20).map(|_| breaker.acquire().expect("closed")).collect();
            for permit in together {
                tokio::time::advance(Duration::from_millis(100)).await;
                permit.fail();
            }
            assert_eq!(breaker.state() == BreakerState::Open, round == 3, "round {round}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_between_failures_of_calls_in_flight_resets_the_count() {
        let breaker = Breaker::new(2, RESET);
        let (first, second) = (breaker.acquire().expect("closed"), breaker.acquire().expect("closed"));
        let third = breaker.acquire().expect("closed");
        first.fail();
        second.succeed();
        third.fail();
        fail(&breaker, 1);
        assert_eq!(breaker.state(), BreakerState::Closed);
        fail(&breaker, 1);
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn the_result_of_one_probe_decides() {
        let breaker = Breaker::new(1, RESET);
        fail(&breaker, 1);
        tokio::time::advance(RESET).await;
        let probe = breaker.acquire().expect("a probe");
        assert_eq!(breaker.acquire().err(), Some(PROBE_WAIT), "only one probe at a time");
        probe.fail();
        assert_eq!(breaker.acquire().err(), Some(RESET), "open again for the whole time");
        tokio::time::advance(RESET).await;
        assert!(breaker.would_admit(), "or nobody would send the probe");
        breaker.acquire().expect("a probe").succeed();
        assert!(breaker.would_admit());
    }

    #[tokio::test(start_paused = true)]
    async fn the_reset_grows_with_each_failed_probe_and_starts_again_after_a_success() {
        let seconds = Duration::from_secs;
        let breaker = Breaker::growing(1, seconds(5), seconds(30));
        for reset in [5, 10, 20, 30, 30] {
            fail(&breaker, 1);
            assert_eq!(breaker.acquire().err(), Some(seconds(reset)));
            tokio::time::advance(seconds(reset)).await;
        }
        breaker.acquire().expect("a probe").succeed();
        fail(&breaker, 1);
        assert_eq!(breaker.acquire().err(), Some(seconds(5)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_abandoned_probe_makes_room_for_the_next() {
        let breaker = Breaker::new(1, RESET);
        fail(&breaker, 1);
        tokio::time::advance(RESET).await;
        drop(breaker.acquire().expect("a probe"));
        assert!(breaker.acquire().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn late_results_from_before_it_opened_change_nothing() {
        let breaker = Breaker::new(1, RESET);
        let (early, other) = (breaker.acquire().expect("closed"), breaker.acquire().expect("closed"));
        fail(&breaker, 1);
        early.succeed();
        assert!(!breaker.would_admit());
        tokio::time::advance(Duration::from_secs(20)).await;
        other.fail();
        assert_eq!(breaker.acquire().err(), Some(Duration::from_secs(10)), "not opened again");
    }
}
