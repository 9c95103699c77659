//! `POST /replan`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;

use crate::domain::problem::Problem;
use crate::domain::{FieldError, InvalidRequest, ReplanRequest};
use crate::planner::PlanJob;
use crate::planner::replan::PlanProgress;
use crate::server::request::RequestContext;
use crate::service::PlannerService;

use super::plan::answer;

/// Replaces the unfinished steps of a plan.
///
/// Steps that are done come back unchanged, with their numbers. The others are replaced by new ones, which get the
/// free numbers in execution order: the plan runs from 1 to n again and is valid as that of `POST /plan`, except for
/// its length. The limit on steps applies to the new steps alone, or to as many as were left if these are more.
///
/// Streams, extras, headers and errors are those of `POST /plan`. The events `step` carry new steps only.
/// Nothing is cached, so `X-Planner-Cache` is always `off`.
#[utoipa::path(
    post,
    path = "/replan",
    tag = "planning",
    operation_id = "replan",
    request_body(content = ReplanRequest, content_type = "application/json"),
    security((), ("bearer" = [])),
)]
pub(super) fn replan(
    State(service): State<Arc<PlannerService>>,
    Extension(context): Extension<RequestContext>,
    request: Request,
) -> impl Future<Output = Result<Response, Problem>> {
    answer(service, context, request, read)
}

fn read(service: &PlannerService, body: &[u8]) -> Result<PlanJob, InvalidRequest> {
    let registry = service.planner.registry();
    let ReplanRequest { request, plan, progress } = ReplanRequest::from_json(body, registry)?;
    let progress = PlanProgress::new(plan, progress);
    let chosen = request.arms.as_ref().map(|choices| registry.chosen(choices));
    if !progress.fits(service.planner.rules(), chosen.as_ref().unwrap_or(registry)) {
        let message =
            "has no room within 100 steps for what is left and its verification; plan that with POST /plan";
        let faults = vec![FieldError::new("plan", message)];
        return Err(InvalidRequest { faults, request_id: request.request_id });
    }
    Ok(PlanJob { request, progress: Some(Arc::new(progress)) })
}
