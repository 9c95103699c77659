//! The worker: claims tasks, has them planned, and stores the plans.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::{info, warn};
use uuid::Uuid;

use crate::client::ClientError;
use crate::resilience::Backoff;
use crate::resilience::breaker::BreakerState;
use crate::server::lifecycle::Phase;

use super::metrics::Operation;
use super::store::{Claim, StoreError, TaskOutcome};
use super::{HEARTBEAT_INTERVAL, Orchestrator};

/// How long a claim on a task lasts, which is how long the task waits if its orchestrator dies.
const LEASE: Duration = Duration::from_secs(10);
/// How often the lease of a task in progress is renewed.
const RENEWAL: Duration = Duration::from_secs(3);
/// How often the database is asked for tasks; those submitted here are seen at once.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Tasks claimed at once at most, so that several orchestrators share a burst.
const MAX_CLAIMS: usize = 16;
/// The longest wait before a task is retried.
const MAX_RETRY_WAIT: Duration = Duration::from_secs(30);
/// A longer wait that the planner asks for is cut to this one.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);
/// How long a plan is kept while the database is unavailable: planning again costs more than waiting.
const STORING_TIME: Duration = Duration::from_secs(600);
/// The longest wait before storing is retried: shorter than the poll interval, so that the plan is usually stored
/// before another orchestrator claims its task.
const MAX_STORING_WAIT: Duration = Duration::from_millis(400);

/// Why a task failed whose plan, or whose reason to fail, has a character that the database refuses.
const UNSTORABLE: &str = "the planner arm's response contains a character that the database cannot store";

/// Works on tasks.
pub(super) struct Worker {
    orchestrator: Arc<Orchestrator>,
    /// The name under which it claims.
    id: Uuid,
    /// Tasks whose outcome is not stored yet: their leases may have run out meanwhile.
    unstored: Mutex<BTreeSet<String>>,
    /// Why the planner's last call failed, if it did.
    last_error: Mutex<Option<String>>,
}

impl Worker {
    pub(super) fn new(orchestrator: Arc<Orchestrator>) -> Arc<Self> {
        Arc::new(Self {
            orchestrator,
            id: Uuid::new_v4(),
            unstored: Mutex::default(),
            last_error: Mutex::default(),
        })
    }

    /// Works until the service stops, and marks tasks as failed whose time is up.
    pub(super) async fn run(self: Arc<Self>) {
        tokio::join!(self.claim_tasks(), self.expire_tasks());
    }

    async fn claim_tasks(self: &Arc<Self>) {
        let Orchestrator { lifecycle, submitted, .. } = &*self.orchestrator;
        loop {
            // What is claimed is worked on, so that a stop comes between two rounds and not within one.
            let may_be_more = tokio::select! {
                biased;
                () = lifecycle.reached(Phase::Draining) => return,
                permit = lifecycle.next_permit() => self.claim_batch(permit).await,
            };
            if !may_be_more {
                tokio::select! {
                    () = lifecycle.reached(Phase::Draining) => return,
                    () = submitted.notified() => {}
                    () = sleep(POLL_INTERVAL) => {}
                }
            }
        }
    }

    /// Claims as many tasks as there are permits for, and starts to work on them; returns whether there may be more.
    async fn claim_batch(self: &Arc<Self>, first: OwnedSemaphorePermit) -> bool {
        let Orchestrator { planner, store, lifecycle, .. } = &*self.orchestrator;
        if !planner.would_call() {
            return false;
        }
        // One is enough for a probe; the others would be postponed.
        let is_probe = planner.breaker_state() != BreakerState::Closed;
        let limit = if is_probe { 1 } else { MAX_CLAIMS };
        let more = std::iter::from_fn(|| lifecycle.try_permit());
        let permits: Vec<OwnedSemaphorePermit> = std::iter::once(first).chain(more).take(limit).collect();
        let unstored = self.unstored().clone();
        let claimed = store.claim(self.id, permits.len(), LEASE, &unstored).await;
        let Ok(claims) = self.orchestrator.record(Operation::Claim, claimed) else { return false };
        let may_be_more = !claims.is_empty() && !is_probe;
        for (claim, permit) in claims.into_iter().zip(permits) {
            let worker = self.clone();
            tokio::spawn(async move {
                worker.work(&claim).await;
                drop(permit);
            });
        }
        if is_probe {
            // Until it is in flight, the breaker would let others through.
            sleep(POLL_INTERVAL).await;
        }
        may_be_more
    }

    /// Has a claimed task planned and stores how that ended, unless the claim is lost meanwhile.
    async fn work(&self, claim: &Claim) {
        let _in_progress = self.orchestrator.metrics.work_begins();
        let cancellations = self.orchestrator.cancelled.subscribe();
        // What is dropped here disconnects from the planner, which then cancels its call of the LLM.
        let outcome = tokio::select! {
            outcome = self.plan(claim) => outcome,
            () = self.renew_until_lost(claim) => {
                let task_id = &claim.task_id;
                warn!(task_id, "the claim was lost: the task was cancelled, or another orchestrator has it");
                return;
            }
            () = is_cancelled(claim, cancellations) => {
                info!(task_id = claim.task_id, "planning abandoned because the task was cancelled");
                return;
            }
            // Another orchestrator, or this one after its restart, claims it.
            () = self.orchestrator.lifecycle.reached(Phase::Aborting) => TaskOutcome::Postponed(Duration::ZERO, None),
        };
        self.finish(claim, outcome).await;
    }

    /// Has a task planned within the rest of its time budget.
    async fn plan(&self, claim: &Claim) -> TaskOutcome {
        let Some(request) = &claim.request else {
            return TaskOutcome::Failed("the stored task cannot be read".into());
        };
        let client = &self.orchestrator.planner;
        match client.plan_within(claim.time_left, &claim.task_id, request).await {
            Ok(plan) => {
                self.set_last_error(None);
                TaskOutcome::Completed(Box::new(plan))
            }
            Err(ClientError::Rejected(why)) if why.is_about_the_request() => {
                TaskOutcome::Failed(ClientError::Rejected(why).to_string())
            }
            Err(transient) => {
                let mut reason = transient.to_string();
                if matches!(transient, ClientError::CircuitOpen { .. }) {
                    // The open breaker says less than the failure before it.
                    reason = self.last_error().unwrap_or(reason);
                } else {
                    self.set_last_error(Some(reason.clone()));
                }
                // While the breaker is open nothing is claimed anyway.
                let asked_for = transient.retry_after().filter(|_| client.would_call()).unwrap_or_default();
                let asked_for = asked_for.min(MAX_RETRY_AFTER);
                TaskOutcome::Postponed(asked_for + wait_before_next(claim.number), Some(reason))
            }
        }
    }

    /// Renews the lease; resolves when the claim is lost.
    async fn renew_until_lost(&self, claim: &Claim) {
        loop {
            sleep(RENEWAL).await;
            let renewed = self.orchestrator.store.renew(claim, LEASE).await;
            // While the database is unavailable no other orchestrator can claim it either.
            if let Ok(false) = self.orchestrator.record(Operation::Renew, renewed) {
                return;
            }
        }
    }

    /// Stores how work on a task ended; waits for a database that is unavailable.
    async fn finish(&self, claim: &Claim, mut outcome: TaskOutcome) {
        let give_up = Instant::now() + STORING_TIME;
        let mut backoff = Backoff::new(MAX_STORING_WAIT / 4, MAX_STORING_WAIT);
        let mut unstored = None;
        loop {
            let stored = self.orchestrator.store.finish(claim, &outcome).await;
            match self.orchestrator.record(Operation::Finish, stored) {
                Ok(true) => return self.report(claim, &outcome),
                Ok(false) => {
                    // Or an earlier write succeeded, whose response was lost.
                    warn!(task_id = claim.task_id, "the claim was lost before its outcome could be stored");
                    return;
                }
                Err(_) if Instant::now() > give_up => {
                    warn!(
                        task_id = claim.task_id,
                        "the task's outcome could not be stored; it will be planned again"
                    );
                    return;
                }
                Err(StoreError::InvalidData(_)) => {
                    outcome = match outcome {
                        TaskOutcome::Postponed(wait, _) => TaskOutcome::Postponed(wait, None),
                        _ => TaskOutcome::Failed(UNSTORABLE.into()),
                    }
                }
                Err(StoreError::Unavailable(_)) => {}
            }
            unstored.get_or_insert_with(|| Unstored::new(self, &claim.task_id));
            sleep(backoff.next_wait()).await;
        }
    }

    fn report(&self, claim: &Claim, outcome: &TaskOutcome) {
        let (task_id, claims) = (&claim.task_id, claim.number);
        let metrics = &self.orchestrator.metrics;
        match outcome {
            TaskOutcome::Completed(plan) => {
                metrics.finished("completed", 1);
                info!(task_id, claims, steps = plan.plan.len(), "task planned");
            }
            TaskOutcome::Failed(reason) => {
                metrics.finished("failed", 1);
                warn!(task_id, claims, reason, "task failed");
            }
            TaskOutcome::Postponed(wait, reason) => {
                metrics.postponed(if reason.is_some() { "planner" } else { "shutdown" });
                info!(task_id, claims, wait_seconds = wait.as_secs_f64(), reason, "task postponed");
            }
        }
    }

    /// Marks tasks as failed whose time is up, and records that this orchestrator runs, at regular intervals.
    async fn expire_tasks(&self) {
        let mut ticks = interval(HEARTBEAT_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.orchestrator.lifecycle.reached(Phase::Draining) => return,
                _ = ticks.tick() => {}
            }
            let recorded = self.orchestrator.store.record_heartbeat().await;
            let _ = self.orchestrator.record(Operation::Heartbeat, recorded);
            let reason = self.last_error().unwrap_or_else(|| "too many tasks were queued before it".into());
            let unstored = self.unstored().clone();
            let expired = self.orchestrator.store.expire(&reason, &unstored).await;
            if let Ok(tasks @ 1..) = self.orchestrator.record(Operation::Expire, expired) {
                self.orchestrator.metrics.finished("failed", tasks);
                warn!(tasks, reason, "tasks failed because their time budget was used up");
            }
        }
    }

    fn unstored(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.unstored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_last_error(&self, error: Option<String>) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }
}

/// Lists a task as unstored until it is dropped.
struct Unstored<'a> {
    worker: &'a Worker,
    task_id: &'a str,
}

impl<'a> Unstored<'a> {
    fn new(worker: &'a Worker, task_id: &'a str) -> Self {
        worker.unstored().insert(task_id.to_owned());
        Self { worker, task_id }
    }
}

impl Drop for Unstored<'_> {
    fn drop(&mut self) {
        self.worker.unstored().remove(self.task_id);
    }
}

/// Resolves when the task of `claim` is cancelled by this orchestrator. Renewals notice when another one does.
async fn is_cancelled(claim: &Claim, mut cancellations: broadcast::Receiver<Uuid>) {
    loop {
        match cancellations.recv().await {
            Ok(id) if claim.task_id == id.to_string() => return,
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}

/// A wait with full jitter that grows with the number of claims that came before.
fn wait_before_next(claims: i32) -> Duration {
    let doublings = u32::try_from(claims - 1).unwrap_or_default().min(5);
    let bound = (Duration::from_secs(1) * 2_u32.pow(doublings)).min(MAX_RETRY_WAIT);
    Backoff::new(bound, bound).next_wait()
}
