//! From start to end of the service: starting, serving, leaving, draining, over.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

/// Where the service is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Not yet listening.
    Starting,
    /// Plans are made.
    Serving,
    /// Plans are made still, and load balancers are told to send none.
    Leaving,
    /// Plans in flight finish; no new ones.
    Draining,
    /// The grace time is up: plans still in flight end with an error.
    Over,
}

/// The phase, and how many plans may be in flight.
#[derive(Debug)]
pub struct Lifecycle {
    phase: watch::Sender<Phase>,
    permits: Arc<Semaphore>,
    max_plans: u32,
}

impl Lifecycle {
    /// A service that is starting and will have `max_plans` in flight at most.
    pub fn new(max_plans: u32) -> Self {
        Self {
            phase: watch::Sender::new(Phase::Starting),
            permits: Arc::new(Semaphore::new(max_plans as usize)),
            max_plans,
        }
    }

    /// The phase now.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Enters a later phase; there is no way back.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let later = phase > *now;
            if later {
                *now = phase;
            }
            later
        });
    }

    /// Stays in [`Phase::Leaving`] for `notice`, or until a later phase is entered.
    pub async fn leave(&self, notice: Duration) {
        self.enter(Phase::Leaving);
        let _ = timeout(notice, self.reached(Phase::Draining)).await;
    }

    /// A permit for one plan, until it is dropped; `None` when all are taken.
    pub fn try_permit(&self) -> Option<OwnedSemaphorePermit> {
        self.permits.clone().try_acquire_owned().ok()
    }

    /// Waits for a permit for one plan.
    pub async fn next_permit(&self) -> OwnedSemaphorePermit {
        self.permits.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Resolves when no plan is in flight.
    pub async fn idle(&self) {
        // All permits can be acquired only when nobody holds one.
        let _ = self.permits.acquire_many(self.max_plans).await;
    }

    /// Resolves when `phase` or a later one has been entered.
    pub async fn reached(&self, phase: Phase) {
        let _ = self.phase.subscribe().wait_for(|now| *now >= phase).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn idle_waits_for_the_last_plan() {
        let lifecycle = Lifecycle::new(2);
        let (one, two) =
            (lifecycle.try_permit().expect("a permit"), lifecycle.try_permit().expect("a permit"));
        assert!(lifecycle.try_permit().is_none());
        drop(one);
        let mut idle = Box::pin(lifecycle.idle());
        assert!(futures_ready(&mut idle).await.is_none());
        drop(two);
        idle.await;
        assert!(lifecycle.try_permit().is_some());
    }

    #[tokio::test]
    async fn phases_only_go_forward() {
        let lifecycle = Lifecycle::new(1);
        lifecycle.enter(Phase::Draining);
        lifecycle.enter(Phase::Serving);
        assert_eq!(lifecycle.phase(), Phase::Draining);
        lifecycle.enter(Phase::Over);
        lifecycle.reached(Phase::Over).await;
    }

    #[tokio::test(start_paused = true)]
    async fn leaving_takes_as_long_as_was_said_unless_there_is_hurry() {
        let began = tokio::time::Instant::now();
        let (patient, hurried) = (Lifecycle::new(1), Lifecycle::new(1));
        patient.leave(Duration::from_secs(5)).await;
        assert_eq!((patient.phase(), began.elapsed()), (Phase::Leaving, Duration::from_secs(5)));
        hurried.enter(Phase::Over);
        hurried.leave(Duration::from_secs(5)).await;
        assert_eq!((hurried.phase(), began.elapsed()), (Phase::Over, Duration::from_secs(5)));
    }

    async fn futures_ready<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        tokio::select! { biased; output = future => Some(output), () = std::future::ready(()) => None }
    }
}
