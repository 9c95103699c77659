//! How many plans one caller may ask for in a minute.

use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use redis::Script;

use crate::redis::{Purpose, Redis};

use super::problem::{ErrorCode, Problem};
use super::request::Caller;

/// A limit for each caller (GCRA): up to a minute's worth at once, then evenly. With Redis it holds for all
/// replicas together, and for each on its own while Redis is away.
pub struct PlanLimiter(Option<Limit>);

struct Limit {
    per_minute: NonZeroU32,
    own: DefaultKeyedRateLimiter<Caller>,
    redis: Option<Arc<Redis>>,
}

/// The same in Redis: for each caller the time at which its limit would be whole, in microseconds. Gives the
/// time to wait, or 0 and counts.
///
/// Arguments: microseconds for each plan, microseconds that a caller may be ahead.
static SHARED_LIMIT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        local whole = math.max(tonumber(redis.call('GET', KEYS[1])) or 0, now)
        local wait = whole - now - ARGV[2]
        if wait > 0 then return wait end
        whole = whole + ARGV[1]
        redis.call('SET', KEYS[1], string.format('%.0f', whole), 'PX', math.ceil((whole - now) / 1000))
        return 0
        ",
    )
});

impl PlanLimiter {
    /// At most `per_minute` plans; 0: no limit.
    pub fn new(per_minute: u32, redis: Option<Arc<Redis>>) -> Self {
        let limit =
            |per_minute| Limit { per_minute, own: RateLimiter::keyed(Quota::per_minute(per_minute)), redis };
        Self(NonZeroU32::new(per_minute).map(limit))
    }

    /// Counts a plan for `caller`.
    ///
    /// # Errors
    /// When its limit is used up, with the time until the next is free.
    pub(crate) async fn admit(&self, caller: &Caller) -> Result<(), Problem> {
        let Some(limit) = &self.0 else { return Ok(()) };
        let wait = match limit.shared_wait(caller).await {
            Some(wait) => wait,
            None => limit.own_wait(caller),
        };
        if wait.is_zero() {
            return Ok(());
        }
        Err(Problem::new(
            ErrorCode::RateLimited,
            "Your limit of plans a minute is used up; wait as Retry-After says.",
        )
        .retry_after(wait))
    }

    /// Forgets callers whose limit is whole again.
    pub fn forget_idle(&self) {
        if let Some(limit) = &self.0 {
            limit.own.retain_recent();
            limit.own.shrink_to_fit();
        }
    }
}

impl Limit {
    /// How long the caller must wait by what this replica has counted; zero when it need not.
    fn own_wait(&self, caller: &Caller) -> Duration {
        let used_up = self.own.check_key(caller).err();
        used_up.map_or(Duration::ZERO, |used_up| used_up.wait_time_from(DefaultClock::default().now()))
    }

    /// The same by what all replicas have counted; `None` without Redis.
    async fn shared_wait(&self, caller: &Caller) -> Option<Duration> {
        let redis = self.redis.as_ref()?;
        let each = 60_000_000 / u64::from(self.per_minute.get());
        let mut script = SHARED_LIMIT.key(format!("planner:limit:{}:{caller}", self.per_minute));
        script.arg(each).arg(60_000_000 - each);
        let ask = async |mut redis| script.invoke_async::<u64>(&mut redis).await;
        redis.ask(Purpose::RateLimit, ask).await.map(Duration::from_micros)
    }
}
