//! A retry budget: in an outage retries must not multiply the traffic.
//!
//! Every first try pays a fifth of a retry in, every retry takes one out. A small floor fills up with time,
//! so that a service with little traffic can retry too.
//! Source: M. Eriksen, "Your Server as a Function", 2013 (Finagle's retry budgets).

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// What a first try pays in, in retries.
const PER_FIRST_TRY: f64 = 0.2;
/// Retries that are there without any first try; used up, they come back at one a second.
const FLOOR: f64 = 20.0;
/// More is not saved up.
const MOST: f64 = 100.0;

/// How many retries may be made now.
#[derive(Debug)]
pub struct RetryBudget(Mutex<State>);

#[derive(Debug, Clone, Copy)]
struct State {
    retries: f64,
    since: Instant,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self(Mutex::new(State { retries: FLOOR, since: Instant::now() }))
    }
}

impl RetryBudget {
    /// A first try was made.
    pub fn pay_in(&self) {
        let mut state = self.now();
        state.retries = (state.retries + PER_FIRST_TRY).min(MOST);
    }

    /// Takes a retry out; false when there is none left.
    pub fn take(&self) -> bool {
        let mut state = self.now();
        // A fifth five times is a little less than one.
        let enough = state.retries > 1.0 - 1e-9;
        if enough {
            state.retries -= 1.0;
        }
        enough
    }

    /// The state with the floor filled up at one retry a second.
    fn now(&self) -> MutexGuard<'_, State> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if state.retries < FLOOR {
            let seconds = now.duration_since(state.since).as_secs_f64();
            state.retries = (state.retries + seconds).min(FLOOR);
        }
        state.since = now;
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn taken(budget: &RetryBudget) -> u32 {
        (0..1_000).map(|_| u32::from(budget.take())).sum()
    }

    #[tokio::test(start_paused = true)]
    async fn one_retry_for_five_first_tries_beyond_the_floor() {
        let budget = RetryBudget::default();
        assert_eq!(taken(&budget), 20);
        for _ in 0..50 {
            budget.pay_in();
        }
        assert_eq!(taken(&budget), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn the_floor_fills_up_with_time_and_no_further() {
        let budget = RetryBudget::default();
        taken(&budget);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(taken(&budget), 3);
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert_eq!(taken(&budget), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn good_times_are_saved_up_within_bounds() {
        let budget = RetryBudget::default();
        for _ in 0..10_000 {
            budget.pay_in();
        }
        assert_eq!(taken(&budget), 100);
    }
}
