//! Metrics of arm sources.

use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec};

use super::metric_set;

metric_set! {
    /// Whether the configured arm sources can be read, and what they have.
    pub struct ArmSourceMetrics {
        /// Whether the last refresh of an arm source succeeded: 1 or 0.
        up: IntGaugeVec = gauges("planner_arm_source_up", &["source"]);
        /// Arms of an arm source that are offered to plans.
        arms: IntGaugeVec = gauges("planner_arm_source_arms", &["source"]);
        /// Seconds since an arm source was last read; absent until then.
        age: GaugeVec = float_gauges("planner_arm_source_age_seconds", &["source"]);
        /// Refreshes of an arm source that failed.
        failures: IntCounterVec = counters("planner_arm_source_refresh_failures_total", &["source"]);
    }
}

/// Where a source is at the moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArmSourceGauges {
    /// Whether the last refresh succeeded.
    pub is_up: bool,
    /// How many of its arms are offered.
    pub arms: usize,
    /// Seconds since it was last read.
    pub age_seconds: Option<f64>,
}

impl ArmSourceMetrics {
    /// Sets the gauges of `source`, and makes its counter exist.
    pub fn set(&self, source: &str, gauges: ArmSourceGauges) {
        self.up.with_label_values(&[source]).set(gauges.is_up.into());
        self.arms.with_label_values(&[source]).set(gauges.arms as i64);
        if let Some(age) = gauges.age_seconds {
            self.age.with_label_values(&[source]).set(age);
        }
        self.failures.with_label_values(&[source]);
    }

    /// Counts a refresh of `source` that failed.
    pub fn record_failure(&self, source: &str) {
        self.failures.with_label_values(&[source]).inc();
    }
}
