//! `POST /replan`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;

use crate::app::App;
use crate::models::{FieldError, InvalidRequest, ReplanRequest};
use crate::planner::replan::Past;

use super::plan::{Question, answer};
use super::problem::Problem;
use super::request::RequestContext;

/// Plans anew what is left of a plan.
///
/// Steps that are done come back word for word, with their numbers. The others are replaced by new ones, which
/// get the numbers that are free, in order of execution: the whole plan runs from 1 to n again, and keeps the
/// promises of `POST /plan` but one. The new steps alone may be as many as a plan may have, or as were left, if
/// these are more; the whole plan may be longer.
///
/// Streams, extras, headers and errors are those of `POST /plan`. The events `step` bring the new steps alone.
/// Nothing is kept for later, so `X-Planner-Cache` is always `off`.
#[utoipa::path(
    post,
    path = "/replan",
    tag = "planning",
    operation_id = "replan",
    request_body(content = ReplanRequest, content_type = "application/json"),
    security((), ("bearer" = [])),
)]
pub(super) fn replan(
    State(app): State<Arc<App>>,
    Extension(context): Extension<RequestContext>,
    request: Request,
) -> impl Future<Output = Result<Response, Problem>> {
    answer(app, context, request, read)
}

fn read(app: &App, body: &[u8]) -> Result<Question, InvalidRequest> {
    let ReplanRequest { request, plan, progress } =
        ReplanRequest::from_json(body, |id| app.planner.has_arm(id))?;
    let past = Past::new(plan, progress);
    if !past.fits(app.planner.rules(), app.planner.registry()) {
        let message =
            "has no room within 100 steps for what is left and its verification; plan that with POST /plan";
        let faults = vec![FieldError::new("plan", message)];
        return Err(InvalidRequest { faults, request_id: request.request_id });
    }
    Ok(Question { request, past: Some(Arc::new(past)) })
}
