//! `POST /plan`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::header::{HeaderMap, HeaderValue};
use tokio::time::Instant;
use uuid::Uuid;

use crate::app::App;
use crate::lifecycle::Phase;
use crate::models::{PlanRequest, PlanResponse, Usage};
use crate::planner::repair::Plan;
use crate::planner::{Origin, estimate};

use super::middleware::PlanNotes;
use super::problem::{ErrorCode, Problem};
use super::request::{Caller, Include, RequestContext, authorize, deadline, json_body};

/// Breaks a goal down into a sound plan.
///
/// The plan keeps these promises: steps numbered from 1 in order of execution, within the configured
/// limits; arms of the registry; earlier dependencies only; at least one acceptance criterion a step;
/// no two steps with the same action; and, unless switched off, a verifying last step.
#[utoipa::path(
    post,
    path = "/plan",
    tag = "planning",
    operation_id = "create_plan",
    request_body(content = PlanRequest, content_type = "application/json"),
    params(
        ("include" = Option<String>, Query, description = "Comma list of extras: schedule, usage, repairs, id", example = "schedule,repairs"),
        ("X-Request-ID" = Option<String>, Header, description = "The caller's name for this request, at most 128 characters"),
        ("X-Request-Timeout-Ms" = Option<u64>, Header, description = "Lowers the deadline, in milliseconds above 0"),
    ),
    responses((
        status = 200,
        description = "A sound plan",
        body = PlanResponse,
        headers(
            ("X-Planner-Engine" = String, description = "Who made the plan: openai or embedded"),
            ("X-Planner-Model" = String, description = "The model that made it"),
            ("X-Planner-Cache" = String, description = "Whether it came from a cache; off without one"),
            ("X-Planner-Attempts" = u32, description = "Calls made to LLMs"),
            ("X-Planner-Repairs" = u32, description = "Things changed in what the LLM said"),
        ),
    )),
    security((), ("bearer" = [])),
)]
pub(super) async fn create_plan(
    State(app): State<Arc<App>>,
    Extension(context): Extension<RequestContext>,
    request: Request,
) -> Result<Response, Problem> {
    let Wanted { caller, include, deadline, request } = Wanted::read(&app, &context, request).await?;
    if app.lifecycle.phase() >= Phase::Draining {
        return Err(shutting_down());
    }
    app.limiter.admit(&caller)?;
    let _place = app.lifecycle.place().ok_or_else(|| {
        Problem::new(
            ErrorCode::Overloaded,
            "Too many plans are being made at this moment; try again shortly.",
        )
        .retry_after(App::OVERLOAD_WAIT)
    })?;
    let _in_flight = app.metrics.plan_in_flight();
    // Logged lines carry the id from here on, also when nobody gave one.
    context.id();

    let (origin, result) = tokio::select! {
        made = app.planner.generate_plan(&request, deadline) => made,
        () = app.lifecycle.reached(Phase::Over) => return Err(shutting_down()),
    };
    Ok(respond(origin, result.map_err(Problem::from), include))
}

/// What a caller wants, once it is known to be in order.
struct Wanted {
    caller: Caller,
    include: Include,
    deadline: Instant,
    request: PlanRequest,
}

impl Wanted {
    /// Reads and checks a request, the body last, and all faults of headers and body together.
    async fn read(app: &App, context: &RequestContext, request: Request) -> Result<Self, Problem> {
        let caller = authorize(&request, &app.auth_tokens)?;
        let include = Include::from_query(request.uri().query().unwrap_or_default())?;
        let deadline = deadline(request.headers(), context.arrived, app.timeout);
        let read_by = deadline.as_ref().map_or(context.arrived + app.timeout, |deadline| *deadline);
        let request = PlanRequest::from_json(&json_body(request, read_by).await?);
        let request_id = match &request {
            Ok(request) => &request.request_id,
            Err(invalid) => &invalid.request_id,
        };
        if let Some(id) = request_id {
            context.propose_id(id);
        }
        match (deadline, request) {
            (Ok(deadline), Ok(request)) => Ok(Self { caller, include, deadline, request }),
            (deadline, request) => {
                let mut faults = request.err().map(|invalid| invalid.faults).unwrap_or_default();
                faults.extend(deadline.err());
                Err(Problem::from(faults))
            }
        }
    }
}

fn shutting_down() -> Problem {
    Problem::new(ErrorCode::ShuttingDown, "This replica is stopping; send the request to another.")
        .retry_after(App::OVERLOAD_WAIT)
}

fn respond(origin: Origin, result: Result<Plan, Problem>, include: Include) -> Response {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert("x-planner-engine", HeaderValue::from_static(origin.engine.as_str()));
    if let Ok(model) = HeaderValue::from_bytes(origin.model.as_bytes()) {
        headers.insert("x-planner-model", model);
    }
    headers.insert("x-planner-cache", HeaderValue::from_static("off"));
    headers.insert("x-planner-attempts", HeaderValue::from(origin.tally.attempts));
    let (repairs, mut response) = match result {
        Ok(plan) => {
            let repairs = plan.repairs().len();
            headers.insert("x-planner-repairs", HeaderValue::from(repairs));
            (repairs, Json(present(plan, &origin, include)).into_response())
        }
        Err(problem) => (0, problem.into_response()),
    };
    response.headers_mut().extend(headers);
    response.extensions_mut().insert(PlanNotes { origin, repairs });
    response
}

/// A plan in its wire form, with the extras that were asked for.
fn present(plan: Plan, origin: &Origin, include: Include) -> PlanResponse {
    let (mut response, repairs) = plan.into_response();
    response.schedule = include.schedule.then(|| estimate::schedule(&response.plan));
    response.usage = include.usage.then(|| Usage {
        model: origin.model.to_string(),
        attempts: origin.tally.attempts,
        prompt_tokens: origin.tally.prompt_tokens,
        completion_tokens: origin.tally.completion_tokens,
        cost_usd: origin.tally.cost_usd(),
    });
    response.repairs = include.repairs.then_some(repairs);
    response.plan_id = include.id.then(|| format!("plan_{}", Uuid::new_v4().simple()));
    response
}
