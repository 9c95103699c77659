//! Every metric of the service: names, help texts, labels and buckets.
//!
//! Labels come from closed sets (routes, methods, outcomes, configured models), never from a request.

mod arm_sources;
mod cache;
mod gen_ai;
mod http;
mod register;

use std::sync::Arc;
use std::time::Duration;

use prometheus::{
    CounterVec, Gauge, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
};

use crate::domain::problem::ErrorCode;
use crate::domain::{FindingCode, FindingOutcome, RepairCode};

pub use arm_sources::{ArmSourceGauges, ArmSourceMetrics};
pub use cache::CacheMetrics;
pub use gen_ai::{GenAiMetrics, ModelMetrics};
pub(crate) use gen_ai::{OPERATION, PROVIDER};
pub(crate) use http::HttpMetrics;
pub(crate) use register::{Register, metric_set, render};

/// Buckets for the duration of LLM calls, 10 ms to 60 s, in seconds.
pub(crate) const LLM_BUCKETS: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 20.0, 30.0, 60.0];
/// Buckets for the duration of work that may or may not wait for an LLM, 50 µs to 60 s, in seconds.
pub(crate) const ALL_BUCKETS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0,
];
/// Buckets for the number of steps, which the settings limit to 50.
const STEP_BUCKETS: &[f64] = &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 30.0, 50.0];

metric_set! {
    /// Metrics of plans and of the LLM calls for them.
    struct PlanMetrics {
        /// Plan requests by outcome: ok, client_closed, or the code of the error.
        requests: IntCounterVec = counters("planner_plan_requests_total", &["outcome"]);
        /// Time from the arrival of a plan request to its end, by outcome (ok or error).
        duration: HistogramVec = histograms("planner_plan_duration_seconds", &["outcome"], ALL_BUCKETS);
        /// Plan requests in progress.
        in_flight: IntGauge = gauge("planner_plans_in_flight");
        /// Plan requests that may be in progress at once; further ones are refused.
        in_flight_limit: IntGauge = gauge("planner_plans_in_flight_limit");
        /// Number of steps of each finished plan.
        steps: Histogram = histogram("planner_plan_steps", STEP_BUCKETS);
        /// Repairs of what LLMs answered, by code.
        repairs: IntCounterVec = counters("planner_repairs_total", &["code"]);
        /// Plans that did not come from the configured model, by their source (a model or embedded).
        fallbacks: IntCounterVec = counters("planner_fallbacks_total", &["to"]);
        /// Answers of LLMs by how they were parsed: strict, tolerant or failed.
        parses: IntCounterVec = counters("planner_parses_total", &["outcome"]);
        /// Times an LLM was asked again, by what was wrong with its answer; one answer may have several faults.
        reasks: IntCounterVec = counters("planner_reasks_total", &["reason"]);
        /// What critics found in plans, by code and outcome: asked_again (the LLM was asked about it) or warned (it is a warning about a finished plan).
        findings: IntCounterVec = counters("planner_findings_total", &["code", "outcome"]);
        /// LLM calls by model and outcome.
        llm_calls: IntCounterVec = counters("planner_llm_calls_total", &["model", "outcome"]);
        /// Duration of LLM calls by model.
        llm_call_duration: HistogramVec =
            histograms("planner_llm_call_duration_seconds", &["model"], LLM_BUCKETS);
        /// Tokens of answered LLM calls as the servers counted them, by model and kind (prompt or completion).
        llm_tokens: IntCounterVec = counters("planner_llm_tokens_total", &["model", "kind"]);
        /// Cost of answered LLM calls in US dollars, by model; only models with a known price.
        llm_cost: CounterVec = float_counters("planner_llm_cost_usd_total", &["model"]);
        /// Retries of LLM calls, by the failure before.
        llm_retries: IntCounterVec = counters("planner_llm_retries_total", &["cause"]);
        /// LLM calls that were not retried because the retry budget was used up.
        llm_retry_budget_exhausted: IntCounter = counter("planner_llm_retry_budget_exhausted_total");
        /// What LLM calls of the last 24 hours cost in US dollars, as it counts against the budget; 0 without a budget.
        llm_spend: Gauge = float_gauge("planner_llm_spend_usd");
        /// What LLM calls may cost in 24 hours, in US dollars; 0 without a budget.
        llm_spend_limit: Gauge = float_gauge("planner_llm_spend_limit_usd");
        /// LLM calls that were not made because the budget was used up.
        llm_spend_refusals: IntCounter = counter("planner_llm_spend_refusals_total");
        /// LLM calls repeated without a feature that the server refused, by model and feature.
        llm_downgrades: IntCounterVec = counters("planner_llm_downgrades_total", &["model", "part"]);
        /// State of each model's circuit breaker: 0 closed, 1 half-open, 2 open.
        llm_breaker_state: IntGaugeVec = gauges("planner_llm_breaker_state", &["model"]);
        /// Panics caught in request handlers.
        panics: IntCounter = counter("planner_panics_total");
    }
}

/// All metrics of the service, with their registry.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    plans: PlanMetrics,
    /// LLM calls under the names of OpenTelemetry.
    pub gen_ai: GenAiMetrics,
    /// The cache and the Redis behind it.
    pub cache: CacheMetrics,
    /// The sources of arms.
    pub arm_sources: ArmSourceMetrics,
    http: HttpMetrics,
}

impl Metrics {
    /// Registers every metric, and those of this process (memory, processor time, file descriptors).
    pub fn new() -> Arc<Self> {
        let registry = Registry::new();
        let register = Register(&registry);
        register.process("planner");
        let metrics = Self {
            plans: PlanMetrics::register(&register),
            gen_ai: GenAiMetrics::register(&register),
            cache: CacheMetrics::register(&register),
            arm_sources: ArmSourceMetrics::register(&register),
            http: HttpMetrics::register(&register, "planner"),
            registry: registry.clone(),
        };
        metrics.initialize_counters();
        Arc::new(metrics)
    }

    /// Exposes counters as 0 before the first event: an alert on an increase misses the event that creates its counter.
    fn initialize_counters(&self) {
        for code in RepairCode::ALL {
            self.plans.repairs.with_label_values(&[code.as_str()]);
        }
        for code in FindingCode::all() {
            for outcome in FindingOutcome::ALL {
                self.plans.findings.with_label_values(&[code.as_str(), outcome.as_str()]);
            }
        }
        for outcome in ["ok", "client_closed"] {
            self.plans.requests.with_label_values(&[outcome]);
        }
        for code in ErrorCode::ALL.into_iter().filter(|code| code.status().is_server_error()) {
            self.plans.requests.with_label_values(&[code.as_str()]);
        }
        self.cache.initialize_counters();
    }

    /// Counts a finished plan request. `outcome` is `ok`, `client_closed` or an error's code.
    pub fn record_plan_request(&self, outcome: &'static str, took: Duration) {
        self.plans.requests.with_label_values(&[outcome]).inc();
        let kind = if outcome == "ok" { "ok" } else { "error" };
        self.plans.duration.with_label_values(&[kind]).observe(took.as_secs_f64());
    }

    /// Counts the steps and repairs of a finished plan.
    pub fn record_plan(&self, steps: usize, repairs: impl IntoIterator<Item = RepairCode>) {
        self.plans.steps.observe(steps as f64);
        for code in repairs {
            self.plans.repairs.with_label_values(&[code.as_str()]).inc();
        }
    }

    /// Sets how many plan requests may be in progress at once.
    pub fn set_plan_limit(&self, limit: u32) {
        self.plans.in_flight_limit.set(limit.into());
    }

    /// Counts a plan request as in progress until the guard is dropped.
    pub fn plan_in_flight(self: &Arc<Self>) -> InFlight {
        self.plans.in_flight.inc();
        InFlight(self.clone())
    }

    /// Counts one LLM call.
    pub fn record_llm_call(&self, model: &str, outcome: &'static str, took: Duration) {
        self.plans.llm_calls.with_label_values(&[model, outcome]).inc();
        self.plans.llm_call_duration.with_label_values(&[model]).observe(took.as_secs_f64());
    }

    /// Counts the tokens and the cost of an answered call; `cost_usd` is `None` when the price is unknown.
    pub fn record_llm_usage(
        &self,
        model: &str,
        prompt_tokens: u64,
        completion_tokens: u64,
        cost_usd: Option<f64>,
    ) {
        self.plans.llm_tokens.with_label_values(&[model, "prompt"]).inc_by(prompt_tokens);
        self.plans.llm_tokens.with_label_values(&[model, "completion"]).inc_by(completion_tokens);
        if let Some(usd) = cost_usd {
            self.plans.llm_cost.with_label_values(&[model]).inc_by(usd);
        }
    }

    /// Counts a retry of an LLM call.
    pub fn record_retry(&self, cause: &'static str) {
        self.plans.llm_retries.with_label_values(&[cause]).inc();
    }

    /// Counts a call that is not retried because the retry budget is used up.
    pub fn record_retry_budget_exhausted(&self) {
        self.plans.llm_retry_budget_exhausted.inc();
    }

    /// Counts a call that is repeated without `feature`, which the server refused.
    pub fn record_downgrade(&self, model: &str, feature: &'static str) {
        self.plans.llm_downgrades.with_label_values(&[model, feature]).inc();
    }

    /// Sets what LLM calls of the last 24 hours cost, and what they may cost, in US dollars.
    pub fn set_llm_spend(&self, usd: f64, limit_usd: f64) {
        self.plans.llm_spend.set(usd);
        self.plans.llm_spend_limit.set(limit_usd);
    }

    /// Counts a call that is not made because the budget is used up.
    pub fn record_spend_refusal(&self) {
        self.plans.llm_spend_refusals.inc();
    }

    /// Sets the state of a model's circuit breaker: 0 closed, 1 half-open, 2 open.
    pub fn set_breaker_state(&self, model: &str, state: i64) {
        self.plans.llm_breaker_state.with_label_values(&[model]).set(state);
    }

    /// Exposes `source` as a possible fallback, with a count of 0.
    pub fn register_fallback(&self, source: &str) {
        self.plans.fallbacks.with_label_values(&[source]);
    }

    /// Counts a plan that came from `source` rather than from the configured model.
    pub fn record_fallback(&self, source: &str) {
        self.plans.fallbacks.with_label_values(&[source]).inc();
    }

    /// Counts an answer of an LLM by how it was parsed.
    pub fn record_parse(&self, outcome: &'static str) {
        self.plans.parses.with_label_values(&[outcome]).inc();
    }

    /// Counts that an LLM is asked again, once for each reason.
    pub fn record_reask(&self, reasons: &[&'static str]) {
        for reason in reasons {
            self.plans.reasks.with_label_values(&[reason]).inc();
        }
    }

    /// Counts what a critic found.
    pub fn record_finding(&self, code: FindingCode, outcome: FindingOutcome) {
        self.plans.findings.with_label_values(&[code.as_str(), outcome.as_str()]).inc();
    }

    /// Counts one HTTP request.
    pub fn record_http_request(
        &self,
        route: &str,
        method: &'static str,
        status: ::http::StatusCode,
        took: Duration,
    ) {
        self.http.record(route, method, status, took);
    }

    /// Counts a panic in a handler.
    pub fn record_panic(&self) {
        self.plans.panics.inc();
    }

    /// All metrics in Prometheus's text format.
    pub fn render(&self) -> String {
        render(&self.registry)
    }
}

/// Counts a plan request as in progress until it is dropped.
#[must_use]
#[derive(Debug)]
pub struct InFlight(Arc<Metrics>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.plans.in_flight.dec();
    }
}
