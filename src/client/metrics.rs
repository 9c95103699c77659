//! The client's metrics.

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, IntCounterVec, IntGauge};

use crate::domain::PlanResponse;
use crate::resilience::Breaker;
use crate::telemetry::metrics::{LLM_BUCKETS, Register, metric_set};

use super::ClientError;
use super::error::{AttemptError, Outage};

metric_set! {
    /// Requests for plans, and the single calls for them.
    struct RequestMetrics {
        /// Plans requested from the planner arm by outcome: ok, rejected, unavailable, circuit_open or deadline.
        requests: IntCounterVec = counters("planner_client_requests_total", &["outcome"]);
        /// Time from requesting a plan to its arrival or failure, retries included.
        request_duration: Histogram = histogram("planner_client_request_duration_seconds", LLM_BUCKETS);
        /// Single calls to the planner arm by outcome.
        calls: IntCounterVec = counters("planner_client_calls_total", &["outcome"]);
        /// Duration of single calls to the planner arm.
        call_duration: Histogram = histogram("planner_client_call_duration_seconds", LLM_BUCKETS);
        /// Retries of calls to the planner arm, by the failure before.
        retries: IntCounterVec = counters("planner_client_retries_total", &["cause"]);
        /// State of the circuit breaker before the planner arm: 0 closed, 1 half-open, 2 open.
        breaker_state: IntGauge = gauge("planner_client_breaker_state");
    }
}

/// The metrics of one client.
#[derive(Debug)]
pub(super) struct ClientMetrics {
    requests: RequestMetrics,
    breaker: Arc<Breaker>,
}

impl ClientMetrics {
    pub(super) fn new(breaker: Arc<Breaker>) -> Self {
        let registry = prometheus::Registry::new();
        let metrics = Self { requests: RequestMetrics::register(&Register(&registry)), breaker };
        // Counters that exist from the start can be alerted on before the first event.
        for outcome in ["ok", "rejected", "unavailable", "circuit_open", "deadline"] {
            metrics.requests.requests.with_label_values(&[outcome]);
        }
        for outcome in Outage::ALL.map(Outage::as_str).into_iter().chain(["ok", "rejected"]) {
            metrics.requests.calls.with_label_values(&[outcome]);
        }
        metrics
    }

    fn collectors(&self) -> [&dyn Collector; 6] {
        let requests = &self.requests;
        [
            &requests.requests,
            &requests.request_duration,
            &requests.calls,
            &requests.call_duration,
            &requests.retries,
            &requests.breaker_state,
        ]
    }

    pub(super) fn plan_ended(&self, result: &Result<PlanResponse, ClientError>, took: Duration) {
        let outcome = result.as_ref().map_or_else(ClientError::as_str, |_| "ok");
        self.requests.requests.with_label_values(&[outcome]).inc();
        self.requests.request_duration.observe(took.as_secs_f64());
    }

    pub(super) fn called<T>(&self, result: &Result<T, AttemptError>, took: Duration) {
        let outcome = match result {
            Ok(_) => "ok",
            Err(AttemptError::Rejected(_)) => "rejected",
            Err(AttemptError::Transient(error)) => error.outage.as_str(),
        };
        self.requests.calls.with_label_values(&[outcome]).inc();
        self.requests.call_duration.observe(took.as_secs_f64());
    }

    pub(super) fn retried(&self, cause: Outage) {
        self.requests.retries.with_label_values(&[cause.as_str()]).inc();
    }
}

/// A client's metrics as another registry collects them.
pub(super) struct Collected(pub(super) Arc<ClientMetrics>);

impl Collector for Collected {
    fn desc(&self) -> Vec<&Desc> {
        self.0.collectors().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // It changes with time, without anything being counted.
        self.0.requests.breaker_state.set(self.0.breaker.state() as i64);
        self.0.collectors().into_iter().flat_map(Collector::collect).collect()
    }
}
