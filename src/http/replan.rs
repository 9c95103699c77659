//! `POST /replan`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;

use crate::domain::ReplanRequest;
use crate::domain::problem::Problem;
use crate::planner::PlannerArm;
use crate::server::request::RequestContext;
use crate::service::PlannerService;

use super::plan::answer;

/// Replaces the unfinished steps of a plan.
///
/// Steps that are done come back unchanged, with their numbers. The others are replaced by new ones, which get the
/// free numbers in execution order: the plan runs from 1 to n again and is valid as that of `POST /plan`, except for
/// its length. The limit on steps applies to the new steps alone; if more steps were left, as many are allowed.
///
/// With `feedback`, no step needs to have failed: the remaining steps are revised as the feedback asks.
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
    answer(service, context, request, PlannerArm::read_replan)
}
