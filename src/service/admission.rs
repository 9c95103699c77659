//! From a validated request to a permit to plan: the caller's rate limit, the permits for plans, the shutdown.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use crate::domain::SubTask;
use crate::domain::problem::{ErrorCode, Problem};
use crate::planner::PlanJob;
use crate::server::body::OVERLOAD_WAIT;
use crate::server::lifecycle::Phase;
use crate::telemetry::metrics::InFlight;

use super::PlannerService;
use super::auth::Caller;
use super::rate_limit::RateLimitStatus;
use super::reply::{Include, PlanReply};

/// A valid request for a plan.
pub(crate) struct ValidatedRequest {
    pub(crate) caller: Caller,
    pub(crate) include: Include,
    pub(crate) deadline: Instant,
    /// Whether to skip cached plans.
    pub(crate) no_cache: bool,
    pub(crate) job: PlanJob,
}

/// A request that holds a permit to plan until it is dropped.
pub(crate) struct AdmittedRequest {
    service: Arc<PlannerService>,
    request: ValidatedRequest,
    _permit: (OwnedSemaphorePermit, InFlight),
}

impl ValidatedRequest {
    /// Admits the request if its caller's limit and the number of plans in flight allow it. Also returns where the
    /// caller's rate limit is, if there is one. Every front end starts its plans here.
    pub(crate) async fn admit(
        self,
        service: &Arc<PlannerService>,
    ) -> (Option<RateLimitStatus>, Result<AdmittedRequest, Problem>) {
        if service.lifecycle.phase() >= Phase::Draining {
            return (None, Err(shutting_down()));
        }
        let rate_limit = service.limiter.check(&self.caller).await;
        let admitted = match rate_limit.and_then(RateLimitStatus::refusal) {
            Some(refusal) => Err(refusal),
            None => self.with_permit(service.clone()),
        };
        (rate_limit, admitted)
    }

    fn with_permit(self, service: Arc<PlannerService>) -> Result<AdmittedRequest, Problem> {
        let permit = service.lifecycle.try_permit();
        // Checked while the permit is held: from then on the shutdown waits for it.
        if service.lifecycle.phase() >= Phase::Draining {
            return Err(shutting_down());
        }
        let permit = permit.ok_or_else(|| {
            let detail = "Too many plans are being made at this moment; retry shortly.";
            Problem::new(ErrorCode::Overloaded, detail).retry_after(OVERLOAD_WAIT)
        })?;
        let in_flight = service.metrics.plan_in_flight();
        Ok(AdmittedRequest { service, request: self, _permit: (permit, in_flight) })
    }
}

impl AdmittedRequest {
    /// Plans; each step is also sent to `steps` as soon as it is written.
    pub(crate) async fn plan(&self, steps: Option<&UnboundedSender<SubTask>>) -> PlanReply {
        let ValidatedRequest { include, deadline, no_cache, job, .. } = &self.request;
        tokio::select! {
            outcome = self.service.plan(job, *deadline, steps, *no_cache) => PlanReply::new(outcome, *include),
            () = self.service.lifecycle.reached(Phase::Aborting) => shutting_down().into(),
        }
    }
}

/// The problem for a request that arrives, or is not finished, while the service shuts down.
pub(crate) fn shutting_down() -> Problem {
    Problem::new(ErrorCode::ShuttingDown, "This replica is shutting down; send the request to another.")
        .retry_after(OVERLOAD_WAIT)
}
