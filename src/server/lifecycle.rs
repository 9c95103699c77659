//! The phases of a service from its start to its end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

/// The phase of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Not yet listening.
    Starting,
    /// Requests are accepted.
    Serving,
    /// Requests are still accepted, but `/ready` tells load balancers to send no more.
    LameDuck,
    /// Requests in flight finish; new ones are refused.
    Draining,
    /// The grace period is over: requests still in flight end with an error.
    Aborting,
}

/// The phase of a service, and the permits for plans in flight.
#[derive(Debug)]
pub struct Lifecycle {
    phase: watch::Sender<Phase>,
    permits: Arc<Semaphore>,
    max_plans: u32,
}

impl Lifecycle {
    /// A service that is starting, with at most `max_plans` in flight.
    pub fn new(max_plans: u32) -> Self {
        Self {
            phase: watch::Sender::new(Phase::Starting),
            permits: Arc::new(Semaphore::new(max_plans as usize)),
            max_plans,
        }
    }

    /// The current phase.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Enters a later phase; an earlier one is ignored.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let later = phase > *now;
            if later {
                *now = phase;
            }
            later
        });
    }

    /// Stays in [`Phase::LameDuck`] for `delay`, or until a later phase is entered.
    pub async fn announce_shutdown(&self, delay: Duration) {
        self.enter(Phase::LameDuck);
        let _ = timeout(delay, self.reached(Phase::Draining)).await;
    }

    /// A permit for one plan, until it is dropped; `None` when all are taken.
    pub fn try_permit(&self) -> Option<OwnedSemaphorePermit> {
        self.permits.clone().try_acquire_owned().ok()
    }

    /// Whether a plan that begins now would get a permit.
    pub fn has_permits(&self) -> bool {
        self.permits.available_permits() > 0
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
        lifecycle.enter(Phase::Aborting);
        lifecycle.reached(Phase::Aborting).await;
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_is_announced_for_the_whole_delay_unless_a_later_phase_begins() {
        let began = tokio::time::Instant::now();
        let (patient, hurried) = (Lifecycle::new(1), Lifecycle::new(1));
        patient.announce_shutdown(Duration::from_secs(5)).await;
        assert_eq!((patient.phase(), began.elapsed()), (Phase::LameDuck, Duration::from_secs(5)));
        hurried.enter(Phase::Aborting);
        hurried.announce_shutdown(Duration::from_secs(5)).await;
        assert_eq!((hurried.phase(), began.elapsed()), (Phase::Aborting, Duration::from_secs(5)));
    }

    async fn futures_ready<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        tokio::select! { biased; output = future => Some(output), () = std::future::ready(()) => None }
    }
}
