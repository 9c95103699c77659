//! The reference orchestrator: takes tasks in, has the planner arm plan them, stores plans and subtasks.
//!
//! It proves the integration from `POST /submit` to a plan in the database. `api` stores a task before it
//! answers 202; `worker` claims stored tasks, as do the workers of other orchestrators on the same database.

mod api;
pub mod cli;
mod metrics;
mod models;
mod settings;
mod store;
mod worker;

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use crate::client::PlannerClient;
use crate::lifecycle::{Lifecycle, Phase};
use crate::server;

pub use api::router;
pub use metrics::{Metrics, StoreTask};
pub use models::{Budget, Priority, Submission, Task, TaskStatus};
pub use settings::{PREFIX, Settings};
pub use store::{Claim, Database, Settlement, Store, StoreError};

/// How long tasks in work may take to be put off once the grace time is up.
const PUTTING_OFF: Duration = Duration::from_secs(2);

/// What the API and the worker share.
#[derive(Debug)]
pub struct Orchestrator {
    /// Tasks and plans.
    pub store: Store,
    /// The planner arm.
    pub planner: PlannerClient,
    /// Counts everything.
    pub metrics: Arc<Metrics>,
    /// From start to end; its places are for tasks in work.
    pub lifecycle: Lifecycle,
    /// Tells the worker that a task was stored.
    submitted: Notify,
    /// Whether the database did what it was last asked to, so that an outage is logged once.
    store_is_well: AtomicBool,
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
        Ok(Arc::new(Self {
            store: Store::connect(&settings.database).await?,
            planner,
            metrics,
            lifecycle: Lifecycle::new(settings.max_concurrent_tasks),
            submitted: Notify::new(),
            store_is_well: AtomicBool::new(true),
        }))
    }

    /// What the database gave; what it did not do is counted and logged.
    fn noted<T>(&self, task: StoreTask, result: Result<T, StoreError>) -> Option<T> {
        match result {
            Ok(value) => {
                if !self.store_is_well.swap(true, Ordering::Relaxed) {
                    info!("the database answers again");
                }
                Some(value)
            }
            Err(error) => {
                self.metrics.store_failed(task);
                let cause = error.source().map(ToString::to_string);
                let is_new = self.store_is_well.swap(false, Ordering::Relaxed);
                if is_new || matches!(error, StoreError::Misfit(_)) {
                    warn!(?task, %error, cause, "the database failed");
                } else {
                    debug!(?task, %error, cause, "the database failed");
                }
                None
            }
        }
    }
}

/// Serves on `listener` and works on tasks until `stop` resolves. Plans being made may then finish for up to
/// `grace`; tasks whose plans are not ready by then are there for another orchestrator at once.
///
/// # Errors
/// When the listener fails.
pub async fn run(
    listener: TcpListener,
    orchestrator: Arc<Orchestrator>,
    grace: Duration,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let worker = tokio::spawn(worker::run(orchestrator.clone()));
    let router = router(orchestrator.clone());
    let ended = server::serve(listener, router, &orchestrator.lifecycle, grace, stop).await;
    orchestrator.lifecycle.enter(Phase::Over);
    if timeout(PUTTING_OFF, orchestrator.lifecycle.idle()).await.is_err() {
        warn!("some tasks could not be put off; they are there again when their leases run out");
    }
    worker.abort();
    orchestrator.store.close().await;
    ended
}
