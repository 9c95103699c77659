//! From a validated request to a permit to plan: the caller's rate limit, the permits for plans, the shutdown.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use crate::domain::SubTask;
use crate::domain::arms::choice;
use crate::domain::problem::{ErrorCode, Problem};
use crate::planner::PlanJob;
use crate::server::body::OVERLOAD_WAIT;
use crate::server::lifecycle::Phase;
use crate::telemetry::metrics::InFlight;

use super::PlannerService;
use super::auth::Caller;
use super::rate_limit::RateLimitStatus;
use super::reply::{Include, PlanReply};

const TOO_MANY_PLANS: &str = "Too many plans are being made at the moment; retry shortly.";

/// A valid request for a plan.
pub(crate) struct ValidatedRequest {
    pub(crate) caller: Caller,
    pub(crate) include: Include,
    pub(crate) deadline: Instant,
    /// Whether to skip cached plans.
    pub(crate) no_cache: bool,
    pub(crate) job: PlanJob,
}

/// A request that holds its permits to plan until it is dropped.
pub(crate) struct AdmittedRequest {
    service: Arc<PlannerService>,
    request: ValidatedRequest,
    _permits: (OwnedSemaphorePermit, OwnedSemaphorePermit, InFlight),
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
        let permit = permit.ok_or_else(|| overloaded(TOO_MANY_PLANS))?;
        let bytes = self.job.request.arms.as_deref().map_or(0, choice::text_bytes) as u32;
        let arms_permit = service.arm_bytes.clone().try_acquire_many_owned(bytes).map_err(|_| {
            overloaded("Too many plans with arms of their own are being made at the moment; retry shortly.")
        })?;
        let in_flight = service.metrics.plan_in_flight();
        Ok(AdmittedRequest { service, request: self, _permits: (permit, arms_permit, in_flight) })
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

/// Refuses a request that would not be admitted at this moment, so that its body need not be read.
pub(crate) fn shed(service: &PlannerService) -> Result<(), Problem> {
    match service.lifecycle.phase() {
        phase if phase >= Phase::Draining => Err(shutting_down()),
        _ if !service.lifecycle.has_permits() => Err(overloaded(TOO_MANY_PLANS)),
        _ => Ok(()),
    }
}

fn overloaded(detail: &str) -> Problem {
    Problem::new(ErrorCode::Overloaded, detail).retry_after(OVERLOAD_WAIT)
}

/// The problem for a request that arrives, or is not finished, while the service shuts down.
pub(crate) fn shutting_down() -> Problem {
    Problem::new(ErrorCode::ShuttingDown, "This replica is shutting down; send the request to another.")
        .retry_after(OVERLOAD_WAIT)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::config::Settings;
    use crate::service::MAX_ARM_BYTES;

    fn request(service: &PlannerService, body: &Value) -> ValidatedRequest {
        let job = service.planner.read_request(body.to_string().as_bytes()).expect("a valid request");
        let (caller, include) = (Caller::at(None), Include::default());
        ValidatedRequest { caller, include, deadline: Instant::now(), no_cache: false, job }
    }

    #[tokio::test]
    async fn requests_with_too_many_arms_together_are_shed_and_no_others() {
        let variables = HashMap::from([("PLANNER_ENGINE".to_owned(), "embedded".to_owned())]);
        let settings = Settings::load(&variables).unwrap_or_else(|error| panic!("{error}"));
        let service = PlannerService::from_settings(&settings).expect("a service");
        let permits = service.arm_bytes.try_acquire_many(MAX_ARM_BYTES as u32 - 20).expect("all but some");
        let of_ten_bytes = json!({"goal": "g", "arms": [{"id": "a", "description": "ten bytes"}]});
        let first = request(&service, &of_ten_bytes).admit(&service).await.1;
        let second = request(&service, &of_ten_bytes).admit(&service).await.1;
        assert!(first.is_ok() && second.is_ok());
        let refused = request(&service, &of_ten_bytes).admit(&service).await.1.err().expect("no room");
        assert_eq!((refused.code, refused.retry_after), (ErrorCode::Overloaded, Some(OVERLOAD_WAIT)));
        assert!(request(&service, &json!({"goal": "g"})).admit(&service).await.1.is_ok(), "it has no arms");
        drop(first);
        assert!(request(&service, &of_ten_bytes).admit(&service).await.1.is_ok());
        drop(permits);
    }
}
