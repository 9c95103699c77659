//! Every metric of the orchestrator.

use std::sync::Arc;

use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Registry};

use crate::telemetry::metrics::{ALL_BUCKETS, HttpMetrics, Register};

/// All metrics, with the registry that they are written from.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Tasks accepted.
    submitted: IntCounter,
    /// Tasks that ended here, by status.
    finished: IntCounterVec,
    /// Tasks postponed, by reason.
    postponed: IntCounterVec,
    /// Tasks being planned now.
    in_progress: IntGauge,
    /// Tasks of all orchestrators that wait for a plan; NaN when the database does not answer.
    waiting: Gauge,
    /// From being claimed to the end of the work on it, in seconds.
    work_duration: Histogram,
    /// Failed database operations by name.
    store_failures: IntCounterVec,
    /// HTTP requests.
    pub(super) http: HttpMetrics,
}

/// An operation of the database.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operation {
    /// Store a task.
    Insert,
    /// Look one up.
    Find,
    /// Claim tasks.
    Claim,
    /// Renew a lease.
    Renew,
    /// Store how work ended.
    Finish,
    /// Mark tasks as failed whose time is up.
    Expire,
    /// Give tasks some time after a start.
    Extend,
}

impl Operation {
    /// As it stands in metrics and logs.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Find => "find",
            Self::Claim => "claim",
            Self::Renew => "renew",
            Self::Finish => "finish",
            Self::Expire => "expire",
            Self::Extend => "extend",
        }
    }
}

impl Metrics {
    /// Registers every metric, and this process's own.
    pub fn new() -> Arc<Self> {
        let registry = Registry::new();
        let register = Register(&registry);
        register.process("orchestrator");
        let metrics = Self {
            submitted: register
                .add(IntCounter::new("orchestrator_tasks_submitted_total", "Tasks accepted and stored.")),
            finished: register.counters(
                "orchestrator_tasks_finished_total",
                "Tasks that this process brought to their end, by status: completed or failed.",
                &["status"],
            ),
            postponed: register.counters(
                "orchestrator_tasks_postponed_total",
                "Tasks postponed to a later retry, by reason.",
                &["reason"],
            ),
            in_progress: register.add(IntGauge::new(
                "orchestrator_tasks_in_progress",
                "Tasks being planned by this process now.",
            )),
            waiting: register.add(Gauge::new(
                "orchestrator_tasks_waiting",
                "Tasks in the shared database that wait for a plan; NaN when the database does not answer.",
            )),
            work_duration: register.add(Histogram::with_opts(
                HistogramOpts::new(
                    "orchestrator_task_work_duration_seconds",
                    "Time from claiming a task to the end of the work on it.",
                )
                .buckets(ALL_BUCKETS.to_vec()),
            )),
            store_failures: register.counters(
                "orchestrator_store_failures_total",
                "Failed database operations by name.",
                &["operation"],
            ),
            http: HttpMetrics::new(&register, "orchestrator"),
            registry: registry.clone(),
        };
        for status in ["completed", "failed"] {
            metrics.finished.with_label_values(&[status]);
        }
        Arc::new(metrics)
    }

    /// The registry, for the metrics of others.
    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(super) fn submitted(&self) {
        self.submitted.inc();
    }

    pub(super) fn finished(&self, status: &'static str, tasks: u64) {
        self.finished.with_label_values(&[status]).inc_by(tasks);
    }

    pub(super) fn postponed(&self, reason: &'static str) {
        self.postponed.with_label_values(&[reason]).inc();
    }

    /// Counts a task as in progress until the guard is dropped.
    pub(super) fn work_begins(self: &Arc<Self>) -> InProgress {
        self.in_progress.inc();
        InProgress(self.clone(), tokio::time::Instant::now())
    }

    pub(super) fn waiting(&self, tasks: Option<i64>) {
        self.waiting.set(tasks.map_or(f64::NAN, |tasks| tasks as f64));
    }

    pub(super) fn store_failed(&self, operation: Operation) {
        self.store_failures.with_label_values(&[operation.as_str()]).inc();
    }

    /// All metrics in Prometheus's text format.
    pub fn render(&self) -> String {
        crate::telemetry::metrics::render(&self.registry)
    }
}

/// A task being planned.
#[must_use]
#[derive(Debug)]
pub(super) struct InProgress(Arc<Metrics>, tokio::time::Instant);

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.in_progress.dec();
        self.0.work_duration.observe(self.1.elapsed().as_secs_f64());
    }
}
