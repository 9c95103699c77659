//! This process's own figures for `/capabilities`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Until this many plans were requested, [`TrackRecord`] has the usual figures of this arm.
const MIN_PLANS: u64 = 20;
/// The usual figures.
const USUAL: TrackRecord = TrackRecord { average_latency_ms: 1_500, success_rate: 0.92 };

/// Counts plans.
#[derive(Debug, Default)]
pub(super) struct PlanCount {
    succeeded: AtomicU64,
    failed: AtomicU64,
    /// Time that the successful ones took, in microseconds.
    micros: AtomicU64,
}

/// What an orchestrator may expect of this arm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackRecord {
    /// Mean time to a plan, in milliseconds.
    pub average_latency_ms: u64,
    /// Share of requests that got a plan.
    pub success_rate: f64,
}

impl PlanCount {
    /// Records that a plan was made, or could not be.
    pub(super) fn record(&self, succeeded: bool, took: Duration) {
        if succeeded {
            self.succeeded.fetch_add(1, Ordering::Relaxed);
            self.micros.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
        } else {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The figures of this process once there are enough of them.
    pub(super) fn track_record(&self) -> TrackRecord {
        let succeeded = self.succeeded.load(Ordering::Relaxed);
        let failed = self.failed.load(Ordering::Relaxed);
        if succeeded + failed < MIN_PLANS {
            return USUAL;
        }
        let micros = self.micros.load(Ordering::Relaxed);
        let rate = succeeded as f64 / (succeeded + failed) as f64;
        TrackRecord {
            average_latency_ms: micros
                .checked_div(succeeded)
                .map_or(USUAL.average_latency_ms, |mean| mean / 1_000),
            success_rate: (rate * 10_000.0).round() / 10_000.0,
        }
    }
}
