//! `POST /plan`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::header::{HeaderMap, HeaderValue};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::Instant;
use tracing::{Instrument, Span};
use uuid::Uuid;

use crate::app::App;
use crate::lifecycle::Phase;
use crate::models::{PlanRequest, PlanResponse, SubTask, Usage};
use crate::planner::repair::Plan;
use crate::planner::{Origin, estimate};

use super::middleware::PlanNotes;
use super::problem::{ErrorCode, Problem};
use super::request::{Caller, Include, RequestContext, authorize, deadline, json_body, prefers_events};
use super::stream;

/// Breaks a goal down into a sound plan.
///
/// The plan keeps these promises: steps numbered from 1 in order of execution, within the configured
/// limits; arms of the registry; earlier dependencies only; at least one acceptance criterion a step;
/// no two steps with the same action; and, unless switched off, a verifying last step.
///
/// With `Accept: text/event-stream` the response is a stream of server-sent events: `step` (a `SubTask`, as soon
/// as the LLM has written it), then one `plan` (the whole response; it is the authority) or one `error` (the
/// problem document). What is wrong before planning begins is an ordinary problem with its status.
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
        description = "A sound plan; as a stream of events, also one that ends in an error. In a stream the X-Planner headers are comments before the last event.",
        content((PlanResponse = "application/json"), (String = "text/event-stream")),
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
    let is_stream = prefers_events(request.headers());
    let wanted = Wanted::read(&app, &context, request).await?;
    if app.lifecycle.phase() >= Phase::Draining {
        return Err(shutting_down());
    }
    app.limiter.admit(&wanted.caller)?;
    let place = app.lifecycle.place().ok_or_else(|| {
        Problem::new(
            ErrorCode::Overloaded,
            "Too many plans are being made at this moment; try again shortly.",
        )
        .retry_after(App::OVERLOAD_WAIT)
    })?;
    let in_flight = app.metrics.plan_in_flight();
    // Logged lines carry the id from here on, also when nobody gave one.
    context.id();

    if !is_stream {
        let _held = (place, in_flight);
        return Ok(wanted.made_by(&app, None).await.into_response());
    }
    let (sender, steps) = unbounded_channel();
    let planner = app.clone();
    let making = async move {
        let _held = (place, in_flight);
        wanted.made_by(&planner, Some(sender)).await
    };
    Ok(stream::respond(app, context, steps, making.instrument(Span::current())))
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

    /// What comes of it; with `steps` each step is sent there as soon as it is written.
    async fn made_by(&self, app: &App, steps: Option<UnboundedSender<SubTask>>) -> Answer {
        let making = async {
            match steps {
                None => app.planner.generate_plan(&self.request, self.deadline).await,
                Some(steps) => app.planner.stream_plan(&self.request, self.deadline, steps).await,
            }
        };
        tokio::select! {
            (origin, result) = making => Answer::new(origin, result.map_err(Problem::from), self.include),
            () = app.lifecycle.reached(Phase::Over) => shutting_down().into(),
        }
    }
}

fn shutting_down() -> Problem {
    Problem::new(ErrorCode::ShuttingDown, "This replica is stopping; send the request to another.")
        .retry_after(App::OVERLOAD_WAIT)
}

/// What came of a request for a plan.
pub(super) struct Answer {
    /// Who made it, and how.
    pub(super) headers: HeaderMap,
    pub(super) result: Result<PlanResponse, Problem>,
    /// `None` when nobody was asked.
    pub(super) notes: Option<PlanNotes>,
}

impl Answer {
    fn new(origin: Origin, result: Result<Plan, Problem>, include: Include) -> Self {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert("x-planner-engine", HeaderValue::from_static(origin.engine.as_str()));
        if let Ok(model) = HeaderValue::from_bytes(origin.model.as_bytes()) {
            headers.insert("x-planner-model", model);
        }
        headers.insert("x-planner-cache", HeaderValue::from_static("off"));
        headers.insert("x-planner-attempts", HeaderValue::from(origin.tally.attempts));
        let repairs = result.as_ref().map_or(0, |plan| plan.repairs().len());
        if result.is_ok() {
            headers.insert("x-planner-repairs", HeaderValue::from(repairs));
        }
        let result = result.map(|plan| present(plan, &origin, include));
        Self { headers, result, notes: Some(PlanNotes { origin, repairs }) }
    }
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        Self { headers: HeaderMap::new(), result: Err(problem), notes: None }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = match self.result {
            Ok(plan) => Json(plan).into_response(),
            Err(problem) => problem.into_response(),
        };
        response.headers_mut().extend(self.headers);
        if let Some(notes) = self.notes {
            response.extensions_mut().insert(notes);
        }
        response
    }
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
        // Null: no price is known.
        cost_usd: None,
    });
    response.repairs = include.repairs.then_some(repairs);
    response.plan_id = include.id.then(|| format!("plan_{}", Uuid::new_v4().simple()));
    response
}
