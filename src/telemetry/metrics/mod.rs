//! Every metric of the service: names, help texts, labels and buckets.
//!
//! Labels come from closed sets (routes, methods, outcomes, configured models), never from a request.

mod cache;
mod gen_ai;
mod register;

use std::sync::Arc;
use std::time::Duration;

use prometheus::{
    CounterVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry,
};

use crate::domain::RepairCode;
use crate::domain::problem::ErrorCode;

pub use cache::CacheMetrics;
pub use gen_ai::{GenAiMetrics, ModelMetrics};
pub(crate) use gen_ai::{OPERATION, PROVIDER};
pub(crate) use register::{HttpMetrics, Register, render};

/// Buckets for what an LLM does, 10 ms to 60 s, in seconds.
pub(crate) const LLM_BUCKETS: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 20.0, 30.0, 60.0];
/// Buckets for what is our own work or an LLM's, 50 µs to 60 s, in seconds.
pub(crate) const ALL_BUCKETS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0,
];
/// Buckets for the number of steps, which the settings limit to 50.
const STEP_BUCKETS: &[f64] = &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 30.0, 50.0];

/// All metrics, with the registry that they are written from.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Plan requests by outcome: `ok` or the code of the error.
    plan_requests: IntCounterVec,
    /// From a plan request's arrival to its end, in seconds, by outcome.
    plan_duration: HistogramVec,
    /// Plans being made now.
    plans_in_flight: IntGauge,
    /// Plans that may be made at once.
    plans_in_flight_limit: IntGauge,
    /// Steps of each finished plan.
    plan_steps: Histogram,
    /// Things changed in what LLMs said, by code.
    repairs: IntCounterVec,
    /// Calls to LLMs by model and outcome.
    llm_calls: IntCounterVec,
    /// Tokens of the calls that were answered, by model and kind: prompt or completion.
    llm_tokens: IntCounterVec,
    /// What those cost whose price and tokens are known, in US dollars, by model.
    llm_cost: CounterVec,
    /// Calls made again after a failure, by its cause.
    llm_retries: IntCounterVec,
    /// Calls that were not made again because too many had been.
    llm_retry_budget_exhausted: IntCounter,
    /// Calls repeated in another form because the server did not take a part of them, by model and part.
    llm_downgrades: IntCounterVec,
    /// Circuit breaker of each model: 0 closed, 1 half-open, 2 open.
    llm_breaker_state: IntGaugeVec,
    /// Plans that did not come from the configured model, by what they came from.
    fallbacks: IntCounterVec,
    /// Answers of LLMs by how a plan was read in them: strict, tolerant, failed.
    parses: IntCounterVec,
    /// Times an LLM was asked again, by what was wrong with its answer; one answer may have several faults.
    reasks: IntCounterVec,
    /// How long calls to LLMs took, in seconds, by model.
    llm_call_duration: HistogramVec,
    /// Calls to LLMs, under the names of OpenTelemetry.
    pub gen_ai: GenAiMetrics,
    /// The cache, and the Redis behind it.
    pub cache: CacheMetrics,
    /// HTTP requests.
    http: HttpMetrics,
    /// Panics caught in handlers.
    panics: IntCounter,
}

impl Metrics {
    /// Registers every metric, and this process's own (memory, processor time, file descriptors).
    pub fn new() -> Arc<Self> {
        let registry = Registry::new();
        let register = Register(&registry);
        let metrics = Self {
            plan_requests: register.counters(
                "planner_plan_requests_total",
                "Plan requests by outcome: ok, or the code of the error.",
                &["outcome"],
            ),
            plan_duration: register.histograms(
                "planner_plan_duration_seconds",
                "Time from a plan request's arrival to its end, by outcome (ok or error).",
                &["outcome"],
                ALL_BUCKETS,
            ),
            plans_in_flight: register.add(IntGauge::new("planner_plans_in_flight", "Plans being made now.")),
            plans_in_flight_limit: register.add(IntGauge::new(
                "planner_plans_in_flight_limit",
                "Plans that may be made at once; more are refused.",
            )),
            plan_steps: register.add(Histogram::with_opts(
                HistogramOpts::new("planner_plan_steps", "Steps of each finished plan.")
                    .buckets(STEP_BUCKETS.to_vec()),
            )),
            repairs: register.counters(
                "planner_repairs_total",
                "Things changed in what LLMs said, by code.",
                &["code"],
            ),
            llm_calls: register.counters(
                "planner_llm_calls_total",
                "Calls to LLMs by model and outcome.",
                &["model", "outcome"],
            ),
            llm_tokens: register.counters(
                "planner_llm_tokens_total",
                "Tokens of answered calls to LLMs, as the servers counted them, by model and kind (prompt or completion).",
                &["model", "kind"],
            ),
            llm_cost: register.add(CounterVec::new(
                Opts::new(
                    "planner_llm_cost_usd_total",
                    "What answered calls to LLMs cost in US dollars, by model; only models with a known price.",
                ),
                &["model"],
            )),
            llm_retries: register.counters(
                "planner_llm_retries_total",
                "Calls to LLMs made again after a failure, by its cause.",
                &["cause"],
            ),
            llm_retry_budget_exhausted: register.add(IntCounter::new(
                "planner_llm_retry_budget_exhausted_total",
                "Calls to LLMs that were not made again because too many had been.",
            )),
            llm_downgrades: register.counters(
                "planner_llm_downgrades_total",
                "Calls repeated in another form because the LLM server did not take a part of them, by model and part.",
                &["model", "part"],
            ),
            llm_breaker_state: register.add(IntGaugeVec::new(
                Opts::new(
                    "planner_llm_breaker_state",
                    "Circuit breaker of each model: 0 closed, 1 half-open, 2 open.",
                ),
                &["model"],
            )),
            fallbacks: register.counters(
                "planner_fallbacks_total",
                "Plans that did not come from the configured model, by what they came from (a model or embedded).",
                &["to"],
            ),
            parses: register.counters(
                "planner_parses_total",
                "Answers of LLMs by how a plan was read in them: strict, tolerant or failed.",
                &["outcome"],
            ),
            reasks: register.counters(
                "planner_reasks_total",
                "Times an LLM was asked again, by what was wrong with its answer (one answer may have several faults).",
                &["reason"],
            ),
            llm_call_duration: register.histograms(
                "planner_llm_call_duration_seconds",
                "Duration of calls to LLMs by model.",
                &["model"],
                LLM_BUCKETS,
            ),
            gen_ai: GenAiMetrics::new(&register),
            cache: CacheMetrics::new(&register),
            http: HttpMetrics::new(&register, "planner"),
            panics: register
                .add(IntCounter::new("planner_panics_total", "Panics caught in request handlers.")),
            registry: registry.clone(),
        };
        register.process("planner");
        metrics.begin_at_zero();
        Arc::new(metrics)
    }

    /// Shows counters before there is anything to count: only what was there before an event can be alerted on.
    fn begin_at_zero(&self) {
        for code in RepairCode::ALL {
            self.repairs.with_label_values(&[code.as_str()]);
        }
        for outcome in ["ok", "client_closed"] {
            self.plan_requests.with_label_values(&[outcome]);
        }
        for code in ErrorCode::ALL.into_iter().filter(|code| code.status().is_server_error()) {
            self.plan_requests.with_label_values(&[code.as_str()]);
        }
    }

    /// Counts a plan request that is over. `outcome` is `ok` or an error's code.
    pub fn plan_ended(&self, outcome: &'static str, took: Duration) {
        self.plan_requests.with_label_values(&[outcome]).inc();
        let kind = if outcome == "ok" { "ok" } else { "error" };
        self.plan_duration.with_label_values(&[kind]).observe(took.as_secs_f64());
    }

    /// Counts a finished plan's steps and repairs.
    pub fn plan_made(&self, steps: usize, repairs: impl IntoIterator<Item = RepairCode>) {
        self.plan_steps.observe(steps as f64);
        for code in repairs {
            self.repairs.with_label_values(&[code.as_str()]).inc();
        }
    }

    /// Shows how many plans may be made at once.
    pub fn plans_are_limited_to(&self, most: u32) {
        self.plans_in_flight_limit.set(most.into());
    }

    /// Counts a plan as in flight until the guard is dropped.
    pub fn plan_in_flight(self: &Arc<Self>) -> InFlight {
        self.plans_in_flight.inc();
        InFlight(self.clone())
    }

    /// Counts one call to an LLM.
    pub fn llm_call(&self, model: &str, outcome: &'static str, took: Duration) {
        self.llm_calls.with_label_values(&[model, outcome]).inc();
        self.llm_call_duration.with_label_values(&[model]).observe(took.as_secs_f64());
    }

    /// Counts what an answered call took; `cost_usd` is `None` when it is not known.
    pub fn llm_answered(
        &self,
        model: &str,
        prompt_tokens: u64,
        completion_tokens: u64,
        cost_usd: Option<f64>,
    ) {
        self.llm_tokens.with_label_values(&[model, "prompt"]).inc_by(prompt_tokens);
        self.llm_tokens.with_label_values(&[model, "completion"]).inc_by(completion_tokens);
        if let Some(usd) = cost_usd {
            self.llm_cost.with_label_values(&[model]).inc_by(usd);
        }
    }

    /// Counts a call that is made again.
    pub fn retried(&self, cause: &'static str) {
        self.llm_retries.with_label_values(&[cause]).inc();
    }

    /// Counts a call that is not made again for want of budget.
    pub fn retry_budget_exhausted(&self) {
        self.llm_retry_budget_exhausted.inc();
    }

    /// Counts a call that is repeated in another form, without `part`.
    pub fn downgraded(&self, model: &str, part: &'static str) {
        self.llm_downgrades.with_label_values(&[model, part]).inc();
    }

    /// Shows the state of a model's breaker: 0 closed, 1 half-open, 2 open.
    pub fn breaker_is(&self, model: &str, state: i64) {
        self.llm_breaker_state.with_label_values(&[model]).set(state);
    }

    /// Shows that plans may come from `to` rather than from the configured model, though none has yet.
    pub fn may_fall_back_to(&self, to: &str) {
        self.fallbacks.with_label_values(&[to]);
    }

    /// Counts a plan that came from `to` rather than from the configured model.
    pub fn fell_back(&self, to: &str) {
        self.fallbacks.with_label_values(&[to]).inc();
    }

    /// Counts an answer by how it was read.
    pub fn parsed(&self, outcome: &'static str) {
        self.parses.with_label_values(&[outcome]).inc();
    }

    /// Counts an LLM being asked again, once for each of the reasons.
    pub fn reasked(&self, reasons: &[&'static str]) {
        for reason in reasons {
            self.reasks.with_label_values(&[reason]).inc();
        }
    }

    /// Counts one HTTP request.
    pub fn http_request(&self, route: &str, method: &'static str, status: http::StatusCode, took: Duration) {
        self.http.count(route, method, status, took);
    }

    /// Counts a panic in a handler.
    pub fn panic_caught(&self) {
        self.panics.inc();
    }

    /// All metrics in Prometheus's text format.
    pub fn render(&self) -> String {
        render(&self.registry)
    }
}

/// A plan being made.
#[must_use]
#[derive(Debug)]
pub struct InFlight(Arc<Metrics>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.plans_in_flight.dec();
    }
}
