//! Every metric of the orchestrator.

use std::sync::Arc;

use prometheus::{Gauge, Histogram, IntCounter, IntCounterVec, IntGauge, Registry};

use crate::telemetry::metrics::{ALL_BUCKETS, HttpMetrics, Register, metric_set};

metric_set! {
    /// Metrics of tasks.
    struct TaskMetrics {
        /// Tasks accepted and stored.
        submitted: IntCounter = counter("orchestrator_tasks_submitted_total");
        /// Tasks that this process finished, by status: completed, failed or cancelled.
        finished: IntCounterVec = counters("orchestrator_tasks_finished_total", &["status"]);
        /// Tasks postponed to a later attempt, by reason.
        postponed: IntCounterVec = counters("orchestrator_tasks_postponed_total", &["reason"]);
        /// Tasks that this process is planning now.
        in_progress: IntGauge = gauge("orchestrator_tasks_in_progress");
        /// Tasks in the shared database that wait for a plan; NaN when the database does not answer.
        waiting: Gauge = float_gauge("orchestrator_tasks_waiting");
        /// Time from claiming a task to the end of the work on it.
        work_duration: Histogram = histogram("orchestrator_task_work_duration_seconds", ALL_BUCKETS);
        /// Failed database operations, by operation.
        store_failures: IntCounterVec = counters("orchestrator_store_failures_total", &["operation"]);
    }
}

/// All metrics, with the registry that they are written from.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    tasks: TaskMetrics,
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
    /// List some.
    List,
    /// Cancel one.
    Cancel,
    /// Claim tasks.
    Claim,
    /// Renew a lease.
    Renew,
    /// Store how work ended.
    Finish,
    /// Mark tasks as failed whose time is up.
    Expire,
    /// Record that this orchestrator runs.
    Heartbeat,
    /// Record that it starts, and give tasks the time for which none ran.
    BeginRun,
}

impl Operation {
    /// The name in metrics and logs.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Find => "find",
            Self::List => "list",
            Self::Cancel => "cancel",
            Self::Claim => "claim",
            Self::Renew => "renew",
            Self::Finish => "finish",
            Self::Expire => "expire",
            Self::Heartbeat => "heartbeat",
            Self::BeginRun => "begin_run",
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
            tasks: TaskMetrics::register(&register),
            http: HttpMetrics::register(&register, "orchestrator"),
            registry: registry.clone(),
        };
        for status in ["completed", "failed", "cancelled"] {
            metrics.tasks.finished.with_label_values(&[status]);
        }
        Arc::new(metrics)
    }

    /// The registry, for the metrics of others.
    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(super) fn submitted(&self) {
        self.tasks.submitted.inc();
    }

    pub(super) fn finished(&self, status: &'static str, tasks: u64) {
        self.tasks.finished.with_label_values(&[status]).inc_by(tasks);
    }

    pub(super) fn postponed(&self, reason: &'static str) {
        self.tasks.postponed.with_label_values(&[reason]).inc();
    }

    /// Counts a task as in progress until the guard is dropped.
    pub(super) fn work_begins(self: &Arc<Self>) -> InProgress {
        self.tasks.in_progress.inc();
        InProgress(self.clone(), tokio::time::Instant::now())
    }

    pub(super) fn waiting(&self, tasks: Option<i64>) {
        self.tasks.waiting.set(tasks.map_or(f64::NAN, |tasks| tasks as f64));
    }

    pub(super) fn store_failed(&self, operation: Operation) {
        self.tasks.store_failures.with_label_values(&[operation.as_str()]).inc();
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
        self.0.tasks.in_progress.dec();
        self.0.tasks.work_duration.observe(self.1.elapsed().as_secs_f64());
    }
}
