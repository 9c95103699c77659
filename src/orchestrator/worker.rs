//! Claims tasks, has them planned, and stores the plans.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, interval, sleep};
use tracing::{info, warn};
use uuid::Uuid;

use crate::client::ClientError;
use crate::lifecycle::Phase;
use crate::resilience::Backoff;
use crate::resilience::breaker::BreakerState;

use super::Orchestrator;
use super::metrics::StoreTask;
use super::store::{Claim, Settlement, StoreError};

/// For how long a task is claimed. When its orchestrator dies, the task waits for so long.
const LEASE: Duration = Duration::from_secs(30);
/// How often the lease of a task in work is renewed.
const RENEWAL: Duration = Duration::from_secs(10);
/// How long to look for tasks again when there were none; those submitted here are seen at once.
const ROUND: Duration = Duration::from_millis(500);
/// How often tasks are looked for whose time is up.
const SWEEP: Duration = Duration::from_secs(1);
/// Tasks claimed at once at most, so that several orchestrators share a burst.
const MOST_CLAIMS: usize = 16;
/// The longest wait before a task is tried again, unless the planner asks for a longer one.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long a finished plan is kept while the database is away. Planning it again costs more than waiting.
const SETTLING_TIME: Duration = Duration::from_secs(60);

/// Works until the service stops, and lets tasks fail whose time is up.
pub(super) async fn run(orchestrator: Arc<Orchestrator>) {
    tokio::join!(claim_tasks(&orchestrator), let_tasks_expire(&orchestrator));
}

async fn claim_tasks(orchestrator: &Arc<Orchestrator>) {
    let worker = Uuid::new_v4();
    loop {
        // What is claimed is worked on, so that a stop comes between two rounds and not within one.
        let claimed = tokio::select! {
            biased;
            () = orchestrator.lifecycle.reached(Phase::Draining) => return,
            place = orchestrator.lifecycle.next_place() => claim_round(orchestrator, worker, place).await,
        };
        if claimed == 0 {
            tokio::select! {
                () = orchestrator.lifecycle.reached(Phase::Draining) => return,
                () = orchestrator.submitted.notified() => {}
                () = sleep(ROUND) => {}
            }
        }
    }
}

/// Claims as many tasks as there are places for, and begins to work on them; how many.
async fn claim_round(orchestrator: &Arc<Orchestrator>, worker: Uuid, first: OwnedSemaphorePermit) -> usize {
    let most = match orchestrator.planner.breaker_state() {
        BreakerState::Closed => MOST_CLAIMS,
        // One probe, and the others would be put off.
        BreakerState::HalfOpen => 1,
        BreakerState::Open => return 0,
    };
    let more = std::iter::from_fn(|| orchestrator.lifecycle.place());
    let places: Vec<OwnedSemaphorePermit> = std::iter::once(first).chain(more).take(most).collect();
    let claimed = orchestrator.store.claim(worker, places.len(), LEASE).await;
    let Some(claims) = orchestrator.noted(StoreTask::Claim, claimed) else { return 0 };
    let claimed = claims.len();
    for (claim, place) in claims.into_iter().zip(places) {
        let orchestrator = orchestrator.clone();
        tokio::spawn(async move {
            work(&orchestrator, &claim).await;
            drop(place);
        });
    }
    claimed
}

/// Has a claimed task planned and writes down how that ended, unless the claim is lost meanwhile.
async fn work(orchestrator: &Orchestrator, claim: &Claim) {
    let _in_progress = orchestrator.metrics.work_begins();
    let end = tokio::select! {
        end = plan(orchestrator, claim) => end,
        () = lose(orchestrator, claim) => {
            warn!(task_id = claim.task_id, "the claim was lost; another orchestrator has the task");
            return;
        }
        // Another orchestrator, or this one after its restart, takes it up.
        () = orchestrator.lifecycle.reached(Phase::Over) => Settlement::Postponed(Duration::ZERO, None),
    };
    settle(orchestrator, claim, end).await;
}

/// Has a task planned; what is left of its time budget is all the time there is.
async fn plan(orchestrator: &Orchestrator, claim: &Claim) -> Settlement {
    let Some(question) = &claim.question else {
        return Settlement::Failed("the task as it is stored cannot be read".into());
    };
    let (goal, constraints, context) = (&question.goal, &question.constraints, &question.context);
    let planner = &orchestrator.planner;
    match planner.create_plan_within(claim.time_left, &claim.task_id, goal, constraints, context).await {
        Ok(plan) => Settlement::Completed(Box::new(plan)),
        Err(refused @ ClientError::Rejected(_)) => Settlement::Failed(refused.to_string()),
        Err(passing) => {
            let wait = passing.retry_after().unwrap_or_default() + wait_before_next(claim.number);
            Settlement::Postponed(wait, Some(passing.to_string()))
        }
    }
}

/// A wait with full jitter that grows with the number of claims that came before.
fn wait_before_next(claims: i32) -> Duration {
    let doublings = u32::try_from(claims - 1).unwrap_or_default().min(5);
    let bound = (Duration::from_secs(1) * 2_u32.pow(doublings)).min(LONGEST_WAIT);
    Backoff::new(bound, bound).next_wait()
}

/// Renews the lease for as long as that can be done; resolves when the claim is lost.
async fn lose(orchestrator: &Orchestrator, claim: &Claim) {
    loop {
        sleep(RENEWAL).await;
        let renewed = orchestrator.store.renew(claim, LEASE).await;
        // Nobody else can claim it either for as long as the database is away.
        if orchestrator.noted(StoreTask::Renew, renewed) == Some(false) {
            return;
        }
    }
}

async fn settle(orchestrator: &Orchestrator, claim: &Claim, mut end: Settlement) {
    let give_up = Instant::now() + SETTLING_TIME;
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    loop {
        let settled = orchestrator.store.settle(claim, &end).await;
        let misfits = matches!(settled, Err(StoreError::Misfit(_)));
        match orchestrator.noted(StoreTask::Settle, settled) {
            Some(true) => return report(orchestrator, claim, &end),
            Some(false) => {
                warn!(task_id = claim.task_id, "the claim was lost; what was made of the task is dropped");
                return;
            }
            None if misfits && matches!(end, Settlement::Completed(_)) => {
                end = Settlement::Failed(
                    "the plan has something in it that the database does not store".into(),
                );
                continue;
            }
            None => {}
        }
        if Instant::now() > give_up {
            warn!(task_id = claim.task_id, "the task's end could not be stored; it will be planned again");
            return;
        }
        sleep(backoff.next_wait()).await;
    }
}

fn report(orchestrator: &Orchestrator, claim: &Claim, end: &Settlement) {
    let (task_id, claims) = (&claim.task_id, claim.number);
    match end {
        Settlement::Completed(plan) => {
            orchestrator.metrics.finished("completed", 1);
            info!(task_id, claims, steps = plan.plan.len(), "task planned");
        }
        Settlement::Failed(reason) => {
            orchestrator.metrics.finished("failed", 1);
            warn!(task_id, claims, reason, "task failed");
        }
        Settlement::Postponed(wait, reason) => {
            orchestrator.metrics.postponed(if reason.is_some() { "planner" } else { "shutdown" });
            info!(task_id, claims, wait_ms = millis(*wait), reason, "task put off");
        }
    }
}

async fn let_tasks_expire(orchestrator: &Orchestrator) {
    let mut sweeps = interval(SWEEP);
    loop {
        tokio::select! {
            () = orchestrator.lifecycle.reached(Phase::Draining) => return,
            _ = sweeps.tick() => {}
        }
        let expired = orchestrator.store.expire().await;
        if let Some(tasks @ 1..) = orchestrator.noted(StoreTask::Expire, expired) {
            orchestrator.metrics.finished("failed", tasks);
            warn!(tasks, "tasks failed as their time budget was used up");
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
