//! Metrics of the cache and of the Redis behind it.

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec};

use crate::domain::{CacheStatus, RedisOperation};

use super::metric_set;

metric_set! {
    /// How often the cache answered, and whether Redis is available.
    pub struct CacheMetrics {
        /// Answers by what the cache did: hit, miss, coalesced, bypass or off.
        answers: IntCounterVec = counters("planner_cache_answers_total", &["use"]);
        /// Plans in the memory cache.
        entries: IntGauge = gauge("planner_cache_entries");
        /// Whether Redis answers: 1 or 0; absent if no Redis is configured.
        redis_up: IntGaugeVec = gauges("planner_redis_up", &[]);
        /// Redis commands that failed or took too long, by purpose.
        redis_failures: IntCounterVec = counters("planner_redis_failures_total", &["for"]);
    }
}

impl CacheMetrics {
    pub(super) fn initialize_counters(&self) {
        for status in CacheStatus::ALL {
            self.answers.with_label_values(&[status.as_str()]);
        }
        for purpose in RedisOperation::ALL {
            self.redis_failures.with_label_values(&[purpose.as_str()]);
        }
    }

    /// Counts an answer by what the cache did for it.
    pub fn record_status(&self, status: CacheStatus) {
        self.answers.with_label_values(&[status.as_str()]).inc();
    }

    /// Sets the number of plans in memory.
    pub fn set_entries(&self, entries: u64) {
        self.entries.set(entries as i64);
    }

    /// Sets whether Redis answers. The metric is absent before the first call.
    pub fn set_redis_up(&self, is_available: bool) {
        self.redis_up.with_label_values::<&str>(&[]).set(is_available.into());
    }

    /// Counts a command that Redis did not answer in time.
    pub fn record_redis_failure(&self, purpose: RedisOperation) {
        self.redis_failures.with_label_values(&[purpose.as_str()]).inc();
    }
}
