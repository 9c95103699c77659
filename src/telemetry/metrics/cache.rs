//! What is counted of the cache, and of the Redis behind it.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use crate::domain::{CacheStatus, RedisOperation};

use super::Register;

/// How often the cache helped, and whether Redis is there to.
#[derive(Debug)]
pub struct CacheMetrics {
    /// Answers by what the cache did for them, in the order of [`CacheStatus::ALL`].
    answers: [IntCounter; CacheStatus::ALL.len()],
    /// Plans in memory.
    entries: IntGauge,
    /// Whether Redis answers: 1 or 0, and nothing where none is set. So it has no labels, and is written once it is known.
    redis_up: IntGaugeVec,
    /// Questions that Redis did not answer in time or at all, by what for.
    redis_failures: IntCounterVec,
}

impl CacheMetrics {
    pub(super) fn new(register: &Register<'_>) -> Self {
        let answers = register.counters(
            "planner_cache_answers_total",
            "Answers by what the cache did for them: hit, miss, coalesced, bypass or off.",
            &["use"],
        );
        let redis_failures = register.counters(
            "planner_redis_failures_total",
            "Questions that Redis did not answer, or too late, by what for.",
            &["for"],
        );
        for purpose in RedisOperation::ALL {
            redis_failures.with_label_values(&[purpose.as_str()]);
        }
        Self {
            answers: CacheStatus::ALL.map(|cache| answers.with_label_values(&[cache.as_str()])),
            entries: register.add(IntGauge::new("planner_cache_entries", "Plans in memory.")),
            redis_up: register.add(IntGaugeVec::new(
                Opts::new("planner_redis_up", "Whether Redis answers: 1 or 0; only where one is set."),
                &[],
            )),
            redis_failures,
        }
    }

    /// Counts an answer by what the cache did for it.
    pub fn used(&self, cache: CacheStatus) {
        self.answers[cache as usize].inc();
    }

    /// Shows how many plans are in memory.
    pub fn has(&self, entries: u64) {
        self.entries.set(entries as i64);
    }

    /// Shows whether Redis answers.
    pub fn redis_is_available(&self, is_available: bool) {
        self.redis_up.with_label_values::<&str>(&[]).set(is_available.into());
    }

    /// Counts a question that Redis did not answer.
    pub fn redis_failed(&self, purpose: RedisOperation) {
        self.redis_failures.with_label_values(&[purpose.as_str()]).inc();
    }
}
