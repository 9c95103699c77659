//! What LLM calls of the last 24 hours cost, against a limit that all replicas share through Redis.
//!
//! Time is counted in periods of five minutes, so that an amount counts for 24 hours and up to five minutes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::Script;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use crate::domain::RedisOperation;
use crate::llm::BoxFuture;
use crate::llm::spend::{Reservation, SpendLimit};
use crate::telemetry::metrics::Metrics;

use super::redis::Redis;

/// Seconds of one period.
const PERIOD: u64 = 300;
/// Periods for which an amount counts in addition to the one that it was spent in.
const PERIODS: u64 = 24 * 60 * 60 / PERIOD;
/// Where Redis keeps the amounts: a hash from periods to billionths of a US dollar, and a number of its own, by which it
/// is seen that Redis has lost the amounts.
const KEY: &str = "planner:spend";

/// Counts what this replica has to report, then reserves an amount unless the limit is used up. Returns what is spent,
/// the seconds until something is left (0: it was reserved), the current period, and the number of the hash.
///
/// Arguments: seconds of a period, periods, limit, amount (0: only report), a number for a new hash, and pairs of period
/// and amount to report.
static SHARED_SPEND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local now = tonumber(redis.call('TIME')[1])
        local seconds, periods, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
        local period = math.floor(now / seconds)
        redis.call('HSETNX', KEYS[1], 'id', ARGV[5])
        local id = redis.call('HGET', KEYS[1], 'id')
        for i = 6, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
        local all, spent, in_order = redis.call('HGETALL', KEYS[1]), 0, {}
        for i = 1, #all, 2 do
            local of, amount = tonumber(all[i]), tonumber(all[i + 1])
            if not of then
                -- The number of the hash.
            elseif of + periods < period then
                redis.call('HDEL', KEYS[1], all[i])
            else
                spent = spent + amount
                table.insert(in_order, {of, amount})
            end
        end
        if tonumber(ARGV[4]) > 0 and spent >= limit then
            table.sort(in_order, function(a, b) return a[1] < b[1] end)
            local left = spent
            for _, entry in ipairs(in_order) do
                left = left - entry[2]
                if left < limit then return {spent, (entry[1] + periods + 1) * seconds - now, period, id} end
            end
        end
        redis.call('HINCRBY', KEYS[1], period, ARGV[4])
        redis.call('EXPIRE', KEYS[1], seconds * (periods + 2))
        return {spent + tonumber(ARGV[4]), 0, period, id}
        ",
    )
});

/// The limit and what counts against it.
pub(crate) struct Spend(Arc<State>);

struct State {
    limit: u64,
    ledger: Mutex<Ledger>,
    clock: WallClock,
    redis: Option<Arc<Redis>>,
    /// Whether the limit was used up when a call was last requested.
    is_used_up: AtomicBool,
    metrics: Arc<Metrics>,
}

/// What this replica knows, in billionths of a US dollar by period.
#[derive(Debug, Default)]
struct Ledger {
    /// Of its own calls. Counted with Redis too, so that there is no fresh budget when Redis becomes unavailable.
    own: BTreeMap<u64, i64>,
    /// What Redis does not know yet of these.
    unreported: BTreeMap<u64, i64>,
    /// The last known sum of all other replicas, and when it was.
    others: (u64, i64),
    /// The number of the hash that Redis had last.
    hash: Option<u64>,
}

/// The time of day, from a clock that tests can stop.
struct WallClock {
    at_start: Duration,
    start: Instant,
}

impl WallClock {
    fn new() -> Self {
        let at_start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { at_start, start: Instant::now() }
    }

    /// Seconds since 1970.
    fn now(&self) -> u64 {
        (self.at_start + self.start.elapsed()).as_secs()
    }
}

impl Ledger {
    fn add(&mut self, period: u64, amount: i64, is_reported: bool) {
        *self.own.entry(period).or_default() += amount;
        if !is_reported {
            *self.unreported.entry(period).or_default() += amount;
        }
    }

    /// Has everything reported again, apart from what was just `sent`, if Redis has another hash than the last time: it
    /// was restarted without its data.
    fn check_hash(&mut self, hash: u64, sent: &BTreeMap<u64, i64>) {
        if self.hash.replace(hash).is_some_and(|last| last != hash) {
            let amount_left =
                |(period, amount): (&u64, &i64)| (*period, amount - sent.get(period).unwrap_or(&0));
            self.unreported = self.own.iter().map(amount_left).collect();
        }
    }

    fn forget_before(&mut self, period: u64) {
        let first = period.saturating_sub(PERIODS);
        self.own = self.own.split_off(&first);
        if self.others.0 < first {
            self.others = (period, 0);
        }
    }

    fn spent(&self) -> i64 {
        self.own.values().sum::<i64>() + self.others.1
    }

    /// Seconds until less than `limit` counts.
    fn wait(&self, limit: i64, now: u64) -> u64 {
        let mut left = self.spent();
        let mut amounts: Vec<(u64, i64)> =
            self.own.iter().map(|(period, amount)| (*period, *amount)).collect();
        amounts.push(self.others);
        amounts.sort_unstable();
        for (period, amount) in amounts {
            left -= amount;
            if left < limit {
                return ((period + PERIODS + 1) * PERIOD).saturating_sub(now);
            }
        }
        PERIOD
    }
}

impl Spend {
    /// Calls may cost `usd` in 24 hours, those of all replicas together where there is a Redis.
    pub(crate) fn new(usd: f64, redis: Option<Arc<Redis>>, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(State {
            limit: (usd * 1e9).round() as u64,
            ledger: Mutex::default(),
            clock: WallClock::new(),
            redis,
            is_used_up: AtomicBool::new(false),
            metrics,
        }))
    }

    /// Updates the gauges of what is spent and of the limit.
    pub(crate) fn update_gauges(&self) {
        let period = self.0.clock.now() / PERIOD;
        let mut ledger = self.0.ledger();
        ledger.forget_before(period);
        self.0.metrics.set_llm_spend(ledger.spent() as f64 / 1e9, self.0.limit as f64 / 1e9);
    }
}

impl State {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn reserve(&self, amount: u64) -> Result<Reservation, Duration> {
        let reserved = match self.reserve_shared(amount).await {
            Some(reserved) => reserved,
            None => self.reserve_local(amount),
        };
        self.log_changes(reserved.as_ref().err());
        reserved
    }

    /// Against what all replicas have spent; `None` without Redis.
    async fn reserve_shared(&self, amount: u64) -> Option<Result<Reservation, Duration>> {
        let redis = self.redis.as_ref()?;
        let unreported = std::mem::take(&mut self.ledger().unreported);
        let mut script = SHARED_SPEND.key(KEY);
        let new_hash = Uuid::new_v4().as_u64_pair().0 >> 1;
        script.arg(PERIOD).arg(PERIODS).arg(self.limit).arg(amount).arg(new_hash);
        for (period, amount) in &unreported {
            script.arg(*period).arg(*amount);
        }
        let ask = async |mut redis| script.invoke_async::<(i64, u64, u64, u64)>(&mut redis).await;
        let answer = redis.query(RedisOperation::Spend, ask).await;
        let mut ledger = self.ledger();
        let Some((spent, wait, period, hash)) = answer else {
            for (period, amount) in unreported {
                *ledger.unreported.entry(period).or_default() += amount;
            }
            return None;
        };
        ledger.forget_before(period);
        ledger.check_hash(hash, &unreported);
        let is_reserved = wait == 0;
        if is_reserved && amount > 0 {
            ledger.add(period, amount as i64, true);
        }
        let reported = ledger.own.values().sum::<i64>() - ledger.unreported.values().sum::<i64>();
        ledger.others = (period, spent - reported);
        Some(if is_reserved {
            Ok(Reservation { nano_usd: amount, period })
        } else {
            Err(Duration::from_secs(wait))
        })
    }

    /// Against what this replica has spent, and the others when Redis was last available.
    fn reserve_local(&self, amount: u64) -> Result<Reservation, Duration> {
        let now = self.clock.now();
        let (period, limit) = (now / PERIOD, self.limit as i64);
        let mut ledger = self.ledger();
        ledger.forget_before(period);
        if amount > 0 && ledger.spent() >= limit {
            return Err(Duration::from_secs(ledger.wait(limit, now)));
        }
        ledger.add(period, amount as i64, self.redis.is_none());
        Ok(Reservation { nano_usd: amount, period })
    }

    /// One line when the limit is used up, and one when something is left again.
    fn log_changes(&self, refused: Option<&Duration>) {
        let was_used_up = self.is_used_up.swap(refused.is_some(), Ordering::Relaxed);
        if refused.is_some() {
            self.metrics.record_spend_refusal();
        }
        let limit_usd = self.limit as f64 / 1e9;
        match refused {
            Some(wait) if !was_used_up => warn!(
                limit_usd,
                retry_after_seconds = wait.as_secs(),
                "the budget for LLM calls is used up; no LLM is called until some of it is free again"
            ),
            None if was_used_up => info!(limit_usd, "LLM calls are within the budget again"),
            _ => {}
        }
    }
}

impl SpendLimit for Spend {
    fn reserve(&self, nano_usd: u64) -> BoxFuture<'_, Result<Reservation, Duration>> {
        // Calls without a cost need no check.
        if nano_usd == 0 {
            return Box::pin(std::future::ready(Ok(Reservation { nano_usd, period: 0 })));
        }
        Box::pin(self.0.reserve(nano_usd))
    }

    fn settle(&self, Reservation { nano_usd: reserved, period }: Reservation, nano_usd: u64) {
        let difference = nano_usd as i64 - reserved as i64;
        if difference == 0 {
            return;
        }
        let state = &self.0;
        state.ledger().add(period, difference, state.redis.is_none());
        // The other replicas should know soon; if this fails, the next call reports it.
        if state.redis.is_some()
            && let Ok(runtime) = Handle::try_current()
        {
            let state = state.clone();
            runtime.spawn(async move { state.reserve_shared(0).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOLLAR: u64 = 1_000_000_000;

    fn spend(usd: f64) -> Spend {
        Spend::new(usd, None, Metrics::new())
    }

    async fn advance(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_refused_once_the_limit_is_used_up_until_enough_has_slid_out() {
        let spend = spend(3.0);
        spend.reserve(DOLLAR).await.expect("nothing is spent");
        advance(12 * 60 * 60).await;
        spend.reserve(DOLLAR).await.expect("one of three is spent");
        spend.reserve(2 * DOLLAR).await.expect("something is left, so that one more call is made");
        let wait = spend.reserve(1).await.expect_err("four of three are spent");
        let twelve_hours = 12 * 60 * 60;
        // The dollar of twelve hours ago does not suffice.
        assert!((2 * twelve_hours..=2 * twelve_hours + PERIOD).contains(&wait.as_secs()), "{wait:?}");
        advance(twelve_hours + PERIOD).await;
        spend.reserve(1).await.expect_err("three of three are spent still");
        advance(twelve_hours).await;
        spend.reserve(1).await.expect("all has slid out");
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_ends_when_something_is_left() {
        let spend = spend(1.0);
        spend.reserve(DOLLAR).await.expect("nothing is spent");
        let wait = spend.reserve(1).await.expect_err("all is spent");
        advance(wait.as_secs() - 1).await;
        spend.reserve(1).await.expect_err("a second early");
        advance(1).await;
        spend.reserve(1).await.expect("the wait is over");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_call_cost_counts_instead_of_what_was_reserved() {
        let spend = spend(1.0);
        let reservation = spend.reserve(5 * DOLLAR).await.expect("nothing is spent");
        spend.reserve(1).await.expect_err("a call in flight counts with all that it may cost");
        spend.settle(reservation, DOLLAR / 2);
        spend.reserve(1).await.expect("half is left");
        let reservation = spend.reserve(1).await.expect("half is left");
        spend.settle(reservation, DOLLAR / 2);
        spend.reserve(1).await.expect_err("all is spent");
    }

    #[tokio::test(start_paused = true)]
    async fn free_calls_are_made_even_when_nothing_is_left() {
        let spend = spend(1.0);
        spend.reserve(DOLLAR).await.expect("nothing is spent");
        spend.reserve(0).await.expect("it costs nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_had_spent_counts_while_redis_is_unavailable_for_a_day() {
        let spend = spend(1.0);
        let period = spend.0.clock.now() / PERIOD;
        spend.0.ledger().others = (period, DOLLAR as i64);
        spend.reserve(1).await.expect_err("others have spent all");
        advance(24 * 60 * 60 + PERIOD).await;
        spend.reserve(1).await.expect("a day has passed");
    }

    #[test]
    fn what_redis_has_lost_is_reported_again() {
        let mut ledger = Ledger::default();
        ledger.add(1, 5, true);
        ledger.check_hash(7, &BTreeMap::new());
        ledger.check_hash(7, &BTreeMap::new());
        assert_eq!(ledger.unreported, BTreeMap::new(), "it is the same hash");
        // Another amount of the first period is sent to the new hash before it is seen to be new.
        ledger.add(1, 3, true);
        ledger.add(2, 2, true);
        ledger.check_hash(8, &BTreeMap::from([(1, 3)]));
        assert_eq!(ledger.unreported, BTreeMap::from([(1, 5), (2, 2)]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_gauges_show_the_sum_and_the_limit() {
        let spend = spend(2.0);
        spend.reserve(DOLLAR).await.expect("nothing is spent");
        spend.update_gauges();
        let rendered = spend.0.metrics.render();
        assert!(rendered.contains("\nplanner_llm_spend_usd 1\n"), "{rendered}");
        assert!(rendered.contains("\nplanner_llm_spend_limit_usd 2\n"), "{rendered}");
        spend.reserve(DOLLAR).await.expect("half is left");
        spend.reserve(1).await.expect_err("nothing is left");
        assert!(spend.0.metrics.render().contains("\nplanner_llm_spend_refusals_total 1\n"));
    }
}
