//! How many plans one caller may ask for in a minute.

use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::problem::{ErrorCode, Problem};
use super::request::Caller;

/// A limit for each caller (GCRA): up to a minute's worth at once, then evenly.
#[derive(Debug)]
pub struct PlanLimiter(Option<DefaultKeyedRateLimiter<Caller>>);

impl PlanLimiter {
    /// At most `per_minute` plans; 0: no limit.
    pub fn new(per_minute: u32) -> Self {
        Self(NonZeroU32::new(per_minute).map(|limit| RateLimiter::keyed(Quota::per_minute(limit))))
    }

    /// Counts a plan for `caller`.
    ///
    /// # Errors
    /// When its limit is used up, with the time until the next is free.
    pub(crate) fn admit(&self, caller: &Caller) -> Result<(), Problem> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        limiter.check_key(caller).map_err(|used_up| {
            let wait = used_up.wait_time_from(DefaultClock::default().now());
            Problem::new(
                ErrorCode::RateLimited,
                "Your limit of plans a minute is used up; wait as Retry-After says.",
            )
            .retry_after(wait)
        })
    }

    /// Forgets callers whose limit is whole again.
    pub fn forget_idle(&self) {
        if let Some(limiter) = &self.0 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}
