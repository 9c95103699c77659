//! A circuit breaker: after repeated failure a service is left alone for a while, then probed once.
//!
//! Closed: calls go through. Open: they do not, until the reset time is up. Half-open: one probe is
//! under way; its success closes the breaker, its failure opens it again.
//! Source: M. Nygard, *Release It!*, 2nd ed., "Circuit Breaker".

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What callers are told to wait for while a probe decides.
const PROBE_WAIT: Duration = Duration::from_secs(1);

/// A circuit breaker.
#[derive(Debug)]
pub struct Breaker {
    threshold: u32,
    first_reset: Duration,
    max_reset: Duration,
    /// For how long it opens next; locked after `state`.
    next_reset: Mutex<Duration>,
    state: Mutex<State>,
}

/// In which of its states a breaker is, as seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls go through.
    Closed = 0,
    /// One probe is under way or due.
    HalfOpen = 1,
    /// Calls do not go through.
    Open = 2,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen,
}

/// Leave to make one call; say how it ended with [`succeed`](Self::succeed) or [`fail`](Self::fail).
/// Dropped without a word (the caller went away) it decides nothing, and another call may probe.
#[must_use]
#[derive(Debug)]
pub struct Entry<'a> {
    breaker: &'a Breaker,
    probe: bool,
    decided: bool,
}

impl Breaker {
    /// Opens after `threshold` failures in a row, for `reset`.
    pub fn new(threshold: u32, reset: Duration) -> Self {
        Self::growing(threshold, reset, reset)
    }

    /// Opens after `threshold` failures in a row, for `first_reset`; each failed probe doubles that, up to
    /// `max_reset`.
    pub fn growing(threshold: u32, first_reset: Duration, max_reset: Duration) -> Self {
        let state = Mutex::new(State::Closed { failures: 0 });
        Self { threshold, first_reset, max_reset, next_reset: Mutex::new(first_reset), state }
    }

    /// Asks leave for a call.
    ///
    /// # Errors
    /// How long to wait before asking again.
    pub fn enter(&self) -> Result<Entry<'_>, Duration> {
        let mut state = self.lock();
        let probe = match *state {
            State::Closed { .. } => false,
            State::HalfOpen => return Err(PROBE_WAIT.min(self.first_reset)),
            State::Open { until } => {
                let left = until.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    return Err(left);
                }
                *state = State::HalfOpen;
                true
            }
        };
        Ok(Entry { breaker: self, probe, decided: false })
    }

    /// Whether [`enter`](Self::enter) would give leave now.
    ///
    /// True also for an open breaker whose time is up: were it not, a service that gets calls only while
    /// this says so would never be probed.
    pub fn would_admit(&self) -> bool {
        match *self.lock() {
            State::Closed { .. } => true,
            State::Open { until } => until <= Instant::now(),
            State::HalfOpen => false,
        }
    }

    /// The state it is in now.
    pub fn state(&self) -> BreakerState {
        match *self.lock() {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { until } if until > Instant::now() => BreakerState::Open,
            State::Open { .. } | State::HalfOpen => BreakerState::HalfOpen,
        }
    }

    fn open(&self) -> State {
        let mut next_reset = self.next_reset.lock().unwrap_or_else(PoisonError::into_inner);
        let reset = *next_reset;
        *next_reset = reset.saturating_mul(2).min(self.max_reset);
        State::Open { until: Instant::now() + reset }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every write is one assignment, so that a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry<'_> {
    /// The service answered.
    pub fn succeed(mut self) {
        self.decided = true;
        let mut state = self.breaker.lock();
        // A call from before the breaker opened says nothing about now.
        if self.probe || matches!(*state, State::Closed { .. }) {
            *state = State::Closed { failures: 0 };
        }
        if self.probe {
            *self.breaker.next_reset.lock().unwrap_or_else(PoisonError::into_inner) =
                self.breaker.first_reset;
        }
    }

    /// The service failed.
    pub fn fail(mut self) {
        self.decided = true;
        let mut state = self.breaker.lock();
        *state = match *state {
            State::Closed { failures } if failures + 1 < self.breaker.threshold => {
                State::Closed { failures: failures + 1 }
            }
            State::Closed { .. } => self.breaker.open(),
            State::HalfOpen if self.probe => self.breaker.open(),
            other => other,
        };
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if self.probe && !self.decided {
            *self.breaker.lock() = State::Open { until: Instant::now() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESET: Duration = Duration::from_secs(30);

    fn fail(breaker: &Breaker, times: u32) {
        for _ in 0..times {
            breaker.enter().expect("closed").fail();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn opens_only_after_failures_in_a_row() {
        let breaker = Breaker::new(3, RESET);
        fail(&breaker, 2);
        breaker.enter().expect("closed").succeed();
        fail(&breaker, 2);
        assert!(breaker.would_admit());
        fail(&breaker, 1);
        assert!(!breaker.would_admit());
        assert_eq!(breaker.enter().err(), Some(RESET));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(breaker.enter().err(), Some(Duration::from_secs(20)));
    }

    #[tokio::test(start_paused = true)]
    async fn lets_one_probe_through_whose_end_decides() {
        let breaker = Breaker::new(1, RESET);
        fail(&breaker, 1);
        tokio::time::advance(RESET).await;
        let probe = breaker.enter().expect("a probe");
        assert_eq!(breaker.enter().err(), Some(PROBE_WAIT), "only one probe at a time");
        probe.fail();
        assert_eq!(breaker.enter().err(), Some(RESET), "open again for the whole time");
        tokio::time::advance(RESET).await;
        assert!(breaker.would_admit(), "or nobody would send the probe");
        breaker.enter().expect("a probe").succeed();
        assert!(breaker.would_admit());
    }

    #[tokio::test(start_paused = true)]
    async fn the_reset_grows_with_each_failed_probe_and_starts_again_after_a_success() {
        let seconds = Duration::from_secs;
        let breaker = Breaker::growing(1, seconds(5), seconds(30));
        for reset in [5, 10, 20, 30, 30] {
            fail(&breaker, 1);
            assert_eq!(breaker.enter().err(), Some(seconds(reset)));
            tokio::time::advance(seconds(reset)).await;
        }
        breaker.enter().expect("a probe").succeed();
        fail(&breaker, 1);
        assert_eq!(breaker.enter().err(), Some(seconds(5)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_abandoned_probe_makes_room_for_the_next() {
        let breaker = Breaker::new(1, RESET);
        fail(&breaker, 1);
        tokio::time::advance(RESET).await;
        drop(breaker.enter().expect("a probe"));
        assert!(breaker.enter().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn late_results_from_before_it_opened_change_nothing() {
        let breaker = Breaker::new(1, RESET);
        let (early, other) = (breaker.enter().expect("closed"), breaker.enter().expect("closed"));
        fail(&breaker, 1);
        early.succeed();
        assert!(!breaker.would_admit());
        tokio::time::advance(Duration::from_secs(20)).await;
        other.fail();
        assert_eq!(breaker.enter().err(), Some(Duration::from_secs(10)), "not opened anew");
    }
}
