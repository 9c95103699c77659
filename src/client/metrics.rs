//! The client's metrics.

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts};

use crate::domain::PlanResponse;
use crate::resilience::Breaker;
use crate::telemetry::metrics::{LLM_BUCKETS, Register};

use super::ClientError;
use super::error::{AttemptError, Outage};

/// The metrics of one client.
#[derive(Debug)]
pub(super) struct ClientMetrics {
    /// Plans asked for by outcome.
    requests: IntCounterVec,
    /// From asking for a plan to its arrival or failure, in seconds.
    request_duration: Histogram,
    /// Single calls by outcome.
    calls: IntCounterVec,
    /// How long single calls took, in seconds.
    call_duration: Histogram,
    /// Retried calls, by how the call before failed.
    retries: IntCounterVec,
    breaker_state: IntGauge,
    breaker: Arc<Breaker>,
}

impl ClientMetrics {
    pub(super) fn new(breaker: Arc<Breaker>) -> Self {
        let registry = prometheus::Registry::new();
        let register = Register(&registry);
        let seconds = |name: &str, help: &str| {
            let opts = HistogramOpts::new(name, help).buckets(LLM_BUCKETS.to_vec());
            register.add(Histogram::with_opts(opts))
        };
        let metrics = Self {
            requests: register.counters(
                "planner_client_requests_total",
                "Plans asked of the planner arm by outcome: ok, rejected, unavailable, circuit_open or deadline.",
                &["outcome"],
            ),
            request_duration: seconds(
                "planner_client_request_duration_seconds",
                "Time from asking the planner arm for a plan to its arrival or failure, retries included.",
            ),
            calls: register.counters(
                "planner_client_calls_total",
                "Single calls to the planner arm by outcome.",
                &["outcome"],
            ),
            call_duration: seconds(
                "planner_client_call_duration_seconds",
                "Duration of single calls to the planner arm.",
            ),
            retries: register.counters(
                "planner_client_retries_total",
                "Retried calls to the planner arm, by how the call before failed.",
                &["cause"],
            ),
            breaker_state: register.add(IntGauge::with_opts(Opts::new(
                "planner_client_breaker_state",
                "Circuit breaker before the planner arm: 0 closed, 1 half-open, 2 open.",
            ))),
            breaker,
        };
        // Counters that exist from the start can be alerted on before the first event.
        for outcome in ["ok", "rejected", "unavailable", "circuit_open", "deadline"] {
            metrics.requests.with_label_values(&[outcome]);
        }
        for outcome in Outage::ALL.map(Outage::as_str).into_iter().chain(["ok", "rejected"]) {
            metrics.calls.with_label_values(&[outcome]);
        }
        metrics
    }

    fn collectors(&self) -> [&dyn Collector; 6] {
        [
            &self.requests,
            &self.request_duration,
            &self.calls,
            &self.call_duration,
            &self.retries,
            &self.breaker_state,
        ]
    }

    pub(super) fn plan_ended(&self, result: &Result<PlanResponse, ClientError>, took: Duration) {
        let outcome = result.as_ref().map_or_else(ClientError::as_str, |_| "ok");
        self.requests.with_label_values(&[outcome]).inc();
        self.request_duration.observe(took.as_secs_f64());
    }

    pub(super) fn called(&self, result: &Result<PlanResponse, AttemptError>, took: Duration) {
        let outcome = match result {
            Ok(_) => "ok",
            Err(AttemptError::Rejected(_)) => "rejected",
            Err(AttemptError::Transient(error)) => error.outage.as_str(),
        };
        self.calls.with_label_values(&[outcome]).inc();
        self.call_duration.observe(took.as_secs_f64());
    }

    pub(super) fn retried(&self, cause: Outage) {
        self.retries.with_label_values(&[cause.as_str()]).inc();
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
        self.0.breaker_state.set(self.0.breaker.state() as i64);
        self.0.collectors().into_iter().flat_map(Collector::collect).collect()
    }
}
