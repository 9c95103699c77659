//! How many plans one caller may ask for in a minute.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock, QuantaInstant};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::{DefaultKeyedStateStore, ShrinkableKeyedStateStore};
use governor::{Quota, RateLimiter};
use redis::Script;

use crate::domain::RedisOperation;
use crate::domain::problem::{ErrorCode, Problem};

use super::auth::Caller;
use super::redis::Redis;

/// A limit for each caller (GCRA): up to a minute's worth at once, then evenly. With Redis it holds for all
/// replicas together, and for each replica alone while Redis is unavailable.
pub(crate) struct PlanLimiter(Option<Limit>);

struct Limit {
    per_minute: NonZeroU32,
    /// What this replica has granted. Counted with Redis too, so that a caller gets no fresh minute when Redis
    /// becomes unavailable or available again.
    local: RateLimiter<(Caller, Counting), Counts, DefaultClock, StateInformationMiddleware>,
    redis: Option<Arc<Redis>>,
}

/// The state of a caller's limit after one more request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateLimitStatus {
    pub(crate) per_minute: NonZeroU32,
    /// Plans that may follow at once.
    pub(crate) remaining: u32,
    /// How long to wait for the next plan, when this one is refused.
    pub(crate) wait: Option<Duration>,
}

/// The same in Redis: for each caller the time at which its limit is whole again (GCRA's theoretical arrival time),
/// in microseconds. Returns the time to wait, or 0 and counts; and how many plans may follow at once.
///
/// Arguments: microseconds for each plan, microseconds that a caller may be ahead.
static SHARED_LIMIT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        local whole = math.max(tonumber(redis.call('GET', KEYS[1])) or 0, now)
        local wait = whole - now - ARGV[2]
        if wait > 0 then return {wait, 0} end
        whole = whole + ARGV[1]
        redis.call('SET', KEYS[1], string.format('%.0f', whole), 'PX', math.ceil((whole - now) / 1000))
        return {0, math.floor((now + ARGV[2] + ARGV[1] - whole) / ARGV[1])}
        ",
    )
});

impl PlanLimiter {
    /// At most `per_minute` plans; 0: no limit.
    pub(crate) fn new(per_minute: u32, redis: Option<Arc<Redis>>) -> Self {
        let limit = |per_minute| Limit {
            per_minute,
            local: RateLimiter::new(
                Quota::per_minute(per_minute),
                Counts::default(),
                DefaultClock::default(),
            ),
            redis,
        };
        Self(NonZeroU32::new(per_minute).map(limit))
    }

    /// Counts a plan for `caller`, unless its limit is used up; `None` where there is no limit.
    pub(crate) async fn check(&self, caller: &Caller) -> Option<RateLimitStatus> {
        let limit = self.0.as_ref()?;
        let Some(shared) = limit.check_shared(caller).await else {
            return Some(limit.local_status(caller, Counting::Yes));
        };
        if shared.wait.is_some() {
            return Some(shared);
        }
        // All replicas together have granted at least what this one has: the stricter of the two is right.
        let local = limit.local_status(caller, Counting::Yes);
        Some(RateLimitStatus { remaining: shared.remaining.min(local.remaining), ..local })
    }

    /// The state of the limit of a caller who has used it up by plans of this replica; counts nothing.
    pub(crate) fn used_up(&self, caller: &Caller) -> Option<RateLimitStatus> {
        Some(self.0.as_ref()?.local_status(caller, Counting::No)).filter(|status| status.wait.is_some())
    }

    /// Forgets callers with a fully restored limit.
    pub(crate) fn forget_idle(&self) {
        if let Some(limit) = &self.0 {
            limit.local.retain_recent();
            limit.local.shrink_to_fit();
        }
    }
}

impl Limit {
    /// Checks against what this replica has counted.
    fn local_status(&self, caller: &Caller, counting: Counting) -> RateLimitStatus {
        let per_minute = self.per_minute;
        match self.local.check_key(&(caller.clone(), counting)) {
            Ok(state) => {
                RateLimitStatus { per_minute, remaining: state.remaining_burst_capacity(), wait: None }
            }
            Err(used_up) => {
                let now: QuantaInstant = DefaultClock::default().now();
                RateLimitStatus { per_minute, remaining: 0, wait: Some(used_up.wait_time_from(now)) }
            }
        }
    }

    /// Checks against what all replicas have counted; `None` without Redis.
    async fn check_shared(&self, caller: &Caller) -> Option<RateLimitStatus> {
        let redis = self.redis.as_ref()?;
        let per_minute = self.per_minute;
        let each = 60_000_000 / u64::from(per_minute.get());
        let mut script = SHARED_LIMIT.key(format!("planner:limit:{per_minute}:{caller}"));
        script.arg(each).arg(60_000_000 - each);
        let ask = async |mut redis| script.invoke_async::<(u64, u32)>(&mut redis).await;
        let (wait, remaining) = redis.query(RedisOperation::RateLimit, ask).await?;
        let wait = (wait > 0).then(|| Duration::from_micros(wait));
        Some(RateLimitStatus { per_minute, remaining, wait })
    }
}

/// Whether a question about a caller's limit counts as a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Counting {
    Yes,
    No,
}

/// What callers have used of their limits. The limiter only asks with counting; here a question may leave the count as
/// it is.
#[derive(Default)]
struct Counts(DefaultKeyedStateStore<Caller>);

impl StateStore for Counts {
    type Key = (Caller, Counting);

    fn measure_and_replace<T, F, E>(&self, (caller, counting): &Self::Key, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        if *counting == Counting::Yes {
            return self.0.measure_and_replace(caller, decide);
        }
        // An error leaves the count as it is.
        let look = |count| Err::<(Infallible, Nanos), _>(decide(count).map(|(decision, _)| decision));
        match self.0.measure_and_replace(caller, look) {
            Ok(never) => match never {},
            Err(decision) => decision,
        }
    }
}

impl ShrinkableKeyedStateStore<(Caller, Counting)> for Counts {
    fn retain_recent(&self, drop_below: Nanos) {
        self.0.retain_recent(drop_below);
    }

    fn shrink_to_fit(&self) {
        self.0.shrink_to_fit();
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl RateLimitStatus {
    /// The problem for a plan that is refused.
    pub(crate) fn refusal(self) -> Option<Problem> {
        let wait = self.wait?;
        let detail = "You have used up your limit of plans per minute; retry after the number of seconds in Retry-After.";
        Some(Problem::new(ErrorCode::RateLimited, detail).retry_after(wait))
    }
}
