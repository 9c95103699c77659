//! The reference orchestrator: accepts tasks, has the planner arm plan them, stores plans and subtasks.
//!
//! It proves the integration from `POST /submit` to a plan in the database. `api` stores a task before it
//! answers 202; `worker` claims stored tasks, as do the workers of other orchestrators on the same database.

mod api;
pub mod cli;
mod list;
mod metrics;
mod models;
mod openapi;
mod ops;
mod page;
mod settings;
mod store;
mod worker;

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::HeaderValue;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, broadcast};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::client::PlannerClient;
use crate::server;
use crate::server::lifecycle::{Lifecycle, Phase};

pub use list::{TaskList, TaskQuery, TaskSummary};
pub use metrics::Metrics;
pub use models::{Budget, Priority, Submission, Task, TaskStatus};
pub use openapi::router;
pub use settings::{PREFIX, SETTINGS, Settings};
pub use store::{Cancelled, Claim, Database, Store, StoreError, Stored, TaskOutcome};

use metrics::Operation;
use worker::Worker;

/// Maximum number of tasks that are read and stored at the same time: parsed, JSON takes twenty times its bytes.
const MAX_SUBMISSIONS: usize = 16;
/// How often an orchestrator records in the database that it runs.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Cancelled tasks that workers may not know of yet; a worker that falls behind learns of it at its next renewal.
const CANCELLATIONS: usize = 256;
/// How long tasks in progress may take to be released once the grace time is up.
const RELEASE_TIME: Duration = Duration::from_secs(2);

/// What the API and the worker share.
#[derive(Debug)]
pub struct Orchestrator {
    /// Tasks and plans.
    pub store: Store,
    /// The planner arm.
    pub planner: PlannerClient,
    /// Counts everything.
    pub metrics: Arc<Metrics>,
    /// From start to end; its permits are for tasks in progress.
    pub lifecycle: Lifecycle,
    /// Origins of web pages that may submit and cancel, in addition to our own.
    allowed_origins: Vec<HeaderValue>,
    /// Tells the worker that a task was stored.
    submitted: Notify,
    /// Tells those who work on a task that it was cancelled here.
    cancelled: broadcast::Sender<Uuid>,
    /// Permits for tasks that are read and stored now.
    submissions: Semaphore,
    /// Whether the database did its last operation.
    store_is_healthy: AtomicBool,
}

impl Orchestrator {
    /// Connects to the database that `settings` name and brings its tables up to date.
    ///
    /// # Errors
    /// Why that cannot be done, in a sentence.
    pub async fn start(settings: &Settings) -> Result<Arc<Self>, String> {
        let planner = PlannerClient::new(&settings.planner_arm_url, settings.planner_arm.clone())
            .map_err(|error| error.to_string())?;
        let metrics = Metrics::new();
        planner.register(metrics.registry()).map_err(|error| error.to_string())?;
        let allowed_origins =
            settings.allowed_origins.iter().filter_map(|origin| HeaderValue::try_from(origin).ok());
        let orchestrator = Arc::new(Self {
            store: Store::connect(&settings.database).await?,
            planner,
            metrics,
            lifecycle: Lifecycle::new(settings.max_concurrent_tasks),
            allowed_origins: allowed_origins.collect(),
            submitted: Notify::new(),
            cancelled: broadcast::Sender::new(CANCELLATIONS),
            submissions: Semaphore::new(MAX_SUBMISSIONS),
            store_is_healthy: AtomicBool::new(true),
        });
        let extended = orchestrator.store.begin_run(HEARTBEAT_INTERVAL).await;
        if let Ok(tasks @ 1..) = orchestrator.record(Operation::BeginRun, extended) {
            info!(
                tasks,
                "the time without a running orchestrator was added to the time budgets of unfinished tasks"
            );
        }
        Ok(orchestrator)
    }

    /// Counts and logs a failed operation of the database; passes the result on.
    fn record<T>(&self, operation: Operation, result: Result<T, StoreError>) -> Result<T, StoreError> {
        let Err(error) = &result else {
            if !self.store_is_healthy.swap(true, Ordering::Relaxed) {
                info!("the database answers again");
            }
            return result;
        };
        self.metrics.store_failed(operation);
        let (operation, cause) = (operation.as_str(), error.source().map(ToString::to_string));
        // An outage is logged once.
        let is_new = match error {
            StoreError::Unavailable(_) => self.store_is_healthy.swap(false, Ordering::Relaxed),
            StoreError::InvalidData(_) => true,
        };
        if is_new {
            warn!(operation, %error, cause, "the database failed");
        } else {
            debug!(operation, %error, cause, "the database failed");
        }
        result
    }
}

/// Serves on `listener` and works on tasks until `stop` resolves. Plans being made may then finish for up to
/// `grace`; tasks whose plans are not ready by then are released for another orchestrator at once.
///
/// # Errors
/// When the worker panics.
pub async fn run(
    listener: TcpListener,
    orchestrator: Arc<Orchestrator>,
    grace: Duration,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut worker = tokio::spawn(Worker::new(orchestrator.clone()).run());
    let router = router(orchestrator.clone());
    let serving = server::serve(listener, router, &orchestrator.lifecycle, grace, stop);
    let ended = tokio::select! {
        () = serving => Ok(()),
        // Without it tasks would be accepted and never planned.
        panic = panicked(&mut worker) => Err(panic),
    };
    orchestrator.lifecycle.enter(Phase::Aborting);
    if timeout(RELEASE_TIME, orchestrator.lifecycle.idle()).await.is_err() {
        warn!("some tasks could not be released; others can claim them when their leases run out");
    }
    worker.abort();
    orchestrator.store.close().await;
    info!("stopped");
    ended
}

/// Resolves when the worker panics; never when it ends as it should.
async fn panicked(worker: &mut JoinHandle<()>) -> io::Error {
    match worker.await {
        Err(panic) => io::Error::other(panic),
        Ok(()) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_worker_that_panics_is_noticed_and_one_that_ends_is_not() {
        let mut worker = tokio::spawn(async { panic!("a bug") });
        assert!(panicked(&mut worker).await.to_string().contains("panic"));
        let mut worker = tokio::spawn(async {});
        let waited = timeout(Duration::from_millis(50), panicked(&mut worker)).await;
        assert!(waited.is_err(), "{waited:?}");
    }
}
