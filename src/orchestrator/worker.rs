//! Claims tasks, has them planned, and stores the plans.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::{info, warn};
use uuid::Uuid;

use crate::client::ClientError;
use crate::resilience::Backoff;
use crate::resilience::breaker::BreakerState;
use crate::server::lifecycle::Phase;

use super::Orchestrator;
use super::metrics::Operation;
use super::store::{Claim, Settlement, StoreError};

/// For how long a task is claimed. When its orchestrator dies, the task waits for so long.
const LEASE: Duration = Duration::from_secs(10);
/// How often the lease of a task in work is renewed.
const RENEWAL: Duration = Duration::from_secs(3);
/// How long to look for tasks again when there were none; those submitted here are seen at once.
const ROUND: Duration = Duration::from_millis(500);
/// How often tasks are looked for whose time is up.
const SWEEP: Duration = Duration::from_secs(1);
/// Tasks claimed at once at most, so that several orchestrators share a burst.
const MOST_CLAIMS: usize = 16;
/// The longest wait of ours before a task is tried again.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A planner that asks for a longer wait is asked again after this one all the same.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);
/// How long a plan is kept while the database is away. Making it again costs more than waiting.
const SETTLING_TIME: Duration = Duration::from_secs(600);
/// The longest wait before it is tried to store it again: shorter than a round, so that it is usually stored
/// before another orchestrator claims its task.
const LONGEST_SETTLING_WAIT: Duration = Duration::from_millis(400);

/// Why a task failed whose plan, or whose reason to fail, has a character that the database does not take.
const UNSTORABLE: &str = "the planner arm's answer has something in it that the database does not store";

/// What works on tasks.
pub(super) struct Worker {
    orchestrator: Arc<Orchestrator>,
    /// Under which name it claims.
    id: Uuid,
    /// Tasks whose end the database has not taken yet: their leases may have run out meanwhile.
    unsettled: Mutex<BTreeSet<String>>,
    /// What the planner's last answer was, where it was none.
    trouble: Mutex<Option<String>>,
}

impl Worker {
    pub(super) fn new(orchestrator: Arc<Orchestrator>) -> Arc<Self> {
        Arc::new(Self {
            orchestrator,
            id: Uuid::new_v4(),
            unsettled: Mutex::default(),
            trouble: Mutex::default(),
        })
    }

    /// Works until the service stops, and lets tasks fail whose time is up.
    pub(super) async fn run(self: Arc<Self>) {
        tokio::join!(self.claim_tasks(), self.let_tasks_expire());
    }

    async fn claim_tasks(self: &Arc<Self>) {
        let Orchestrator { lifecycle, submitted, .. } = &*self.orchestrator;
        loop {
            // What is claimed is worked on, so that a stop comes between two rounds and not within one.
            let may_be_more = tokio::select! {
                biased;
                () = lifecycle.reached(Phase::Draining) => return,
                place = lifecycle.next_permit() => self.claim_round(place).await,
            };
            if !may_be_more {
                tokio::select! {
                    () = lifecycle.reached(Phase::Draining) => return,
                    () = submitted.notified() => {}
                    () = sleep(ROUND) => {}
                }
            }
        }
    }

    /// Claims as many tasks as there are places for, and begins to work on them; whether there may be more.
    async fn claim_round(self: &Arc<Self>, first: OwnedSemaphorePermit) -> bool {
        let Orchestrator { planner, store, lifecycle, .. } = &*self.orchestrator;
        if !planner.would_call() {
            return false;
        }
        // One is enough for a probe; the others would be put off.
        let is_probe = planner.breaker_state() != BreakerState::Closed;
        let most = if is_probe { 1 } else { MOST_CLAIMS };
        let more = std::iter::from_fn(|| lifecycle.try_permit());
        let places: Vec<OwnedSemaphorePermit> = std::iter::once(first).chain(more).take(most).collect();
        let unsettled = self.unsettled().clone();
        let claimed = store.claim(self.id, places.len(), LEASE, &unsettled).await;
        let Ok(claims) = self.orchestrator.noted(Operation::Claim, claimed) else { return false };
        let may_be_more = !claims.is_empty() && !is_probe;
        for (claim, place) in claims.into_iter().zip(places) {
            let worker = self.clone();
            tokio::spawn(async move {
                worker.work(&claim).await;
                drop(place);
            });
        }
        if is_probe {
            // Until it is under way, the breaker would let others through.
            sleep(ROUND).await;
        }
        may_be_more
    }

    /// Has a claimed task planned and writes down how that ended, unless the claim is lost meanwhile.
    async fn work(&self, claim: &Claim) {
        let _in_progress = self.orchestrator.metrics.work_begins();
        let end = tokio::select! {
            end = self.plan(claim) => end,
            () = self.lose(claim) => {
                warn!(task_id = claim.task_id, "the claim was lost; another orchestrator has the task");
                return;
            }
            // Another orchestrator, or this one after its restart, takes it up.
            () = self.orchestrator.lifecycle.reached(Phase::Aborting) => Settlement::Postponed(Duration::ZERO, None),
        };
        self.normalize(claim, end).await;
    }

    /// Has a task planned; what is left of its time budget is all the time there is.
    async fn plan(&self, claim: &Claim) -> Settlement {
        let Some(question) = &claim.question else {
            return Settlement::Failed("the task as it is stored cannot be read".into());
        };
        let (goal, constraints, context) = (&question.goal, &question.constraints, &question.context);
        let client = &self.orchestrator.planner;
        match client.create_plan_within(claim.time_left, &claim.task_id, goal, constraints, context).await {
            Ok(plan) => {
                self.set_trouble(None);
                Settlement::Completed(Box::new(plan))
            }
            Err(ClientError::Rejected(why)) if why.is_about_the_request() => {
                Settlement::Failed(ClientError::Rejected(why).to_string())
            }
            Err(passing) => {
                let mut reason = passing.to_string();
                if matches!(passing, ClientError::CircuitOpen { .. }) {
                    // That it is being left alone says less than what came before that.
                    reason = self.trouble().unwrap_or(reason);
                } else {
                    self.set_trouble(Some(reason.clone()));
                }
                // While the breaker is open nothing is claimed anyway.
                let asked_for = passing.retry_after().filter(|_| client.would_call()).unwrap_or_default();
                let asked_for = asked_for.min(LONGEST_RETRY_AFTER);
                Settlement::Postponed(asked_for + wait_before_next(claim.number), Some(reason))
            }
        }
    }

    /// Renews the lease for as long as that can be done; resolves when the claim is lost.
    async fn lose(&self, claim: &Claim) {
        loop {
            sleep(RENEWAL).await;
            let renewed = self.orchestrator.store.renew(claim, LEASE).await;
            // Nobody else can claim it either for as long as the database is away.
            if let Ok(false) = self.orchestrator.noted(Operation::Renew, renewed) {
                return;
            }
        }
    }

    /// Writes down how work on a task ended; waits for a database that is away.
    async fn normalize(&self, claim: &Claim, mut end: Settlement) {
        let give_up = Instant::now() + SETTLING_TIME;
        let mut backoff = Backoff::new(LONGEST_SETTLING_WAIT / 4, LONGEST_SETTLING_WAIT);
        let mut unsettled = None;
        loop {
            let settled = self.orchestrator.store.normalize(claim, &end).await;
            match self.orchestrator.noted(Operation::Settle, settled) {
                Ok(true) => return self.report(claim, &end),
                Ok(false) => {
                    // Or an earlier write arrived after all, whose answer did not.
                    warn!(task_id = claim.task_id, "the claim was over before its end could be stored");
                    return;
                }
                Err(_) if Instant::now() > give_up => {
                    warn!(
                        task_id = claim.task_id,
                        "the task's end could not be stored; it will be planned again"
                    );
                    return;
                }
                Err(StoreError::Misfit(_)) => {
                    end = match end {
                        Settlement::Postponed(wait, _) => Settlement::Postponed(wait, None),
                        _ => Settlement::Failed(UNSTORABLE.into()),
                    }
                }
                Err(StoreError::Unavailable(_)) => {}
            }
            unsettled.get_or_insert_with(|| Unsettled::new(self, &claim.task_id));
            sleep(backoff.next_wait()).await;
        }
    }

    fn report(&self, claim: &Claim, end: &Settlement) {
        let (task_id, claims) = (&claim.task_id, claim.number);
        let metrics = &self.orchestrator.metrics;
        match end {
            Settlement::Completed(plan) => {
                metrics.finished("completed", 1);
                info!(task_id, claims, steps = plan.plan.len(), "task planned");
            }
            Settlement::Failed(reason) => {
                metrics.finished("failed", 1);
                warn!(task_id, claims, reason, "task failed");
            }
            Settlement::Postponed(wait, reason) => {
                metrics.postponed(if reason.is_some() { "planner" } else { "shutdown" });
                info!(task_id, claims, wait_seconds = wait.as_secs_f64(), reason, "task put off");
            }
        }
    }

    async fn let_tasks_expire(&self) {
        let mut sweeps = interval(SWEEP);
        sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.orchestrator.lifecycle.reached(Phase::Draining) => return,
                _ = sweeps.tick() => {}
            }
            let reason = self.trouble().unwrap_or_else(|| "there were too many tasks before it".into());
            let unsettled = self.unsettled().clone();
            let expired = self.orchestrator.store.expire(&reason, &unsettled).await;
            if let Ok(tasks @ 1..) = self.orchestrator.noted(Operation::Expire, expired) {
                self.orchestrator.metrics.finished("failed", tasks);
                warn!(tasks, reason, "tasks failed as their time budget was used up");
            }
        }
    }

    fn unsettled(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

/// Lists a task as unsettled until it is dropped.
struct Unsettled<'a> {
    worker: &'a Worker,
    task_id: &'a str,
}

impl<'a> Unsettled<'a> {
    fn new(worker: &'a Worker, task_id: &'a str) -> Self {
        worker.unsettled().insert(task_id.to_owned());
        Self { worker, task_id }
    }
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        self.worker.unsettled().remove(self.task_id);
    }
}

/// A wait with full jitter that grows with the number of claims that came before.
fn wait_before_next(claims: i32) -> Duration {
    let doublings = u32::try_from(claims - 1).unwrap_or_default().min(5);
    let bound = (Duration::from_secs(1) * 2_u32.pow(doublings)).min(LONGEST_WAIT);
    Backoff::new(bound, bound).next_wait()
}
