//! `POST /plan`, and what `POST /replan` has in common with it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use opentelemetry::trace::FutureExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::Instant;
use tracing::{Instrument, Span};
use uuid::Uuid;

use crate::app::App;
use crate::cache::Answer;
use crate::lifecycle::Phase;
use crate::metrics::InFlight;
use crate::models::{FieldError, InvalidRequest, PlanRequest, PlanResponse, SubTask, Usage};
use crate::planner::replan::Past;
use crate::planner::written::WrittenPlan;
use crate::planner::{Order, Origin, estimate};

use super::limit::Allowance;
use super::middleware::PlanNotes;
use super::problem::{ErrorCode, Problem};
use super::request::{
    Caller, Include, RequestContext, Unread, authorize, deadline, prefers_events, wants_no_cache,
};
use super::stream;

/// Who made the plan: `openai` or `embedded`.
const X_PLANNER_ENGINE: HeaderName = HeaderName::from_static("x-planner-engine");
/// The model that made it.
const X_PLANNER_MODEL: HeaderName = HeaderName::from_static("x-planner-model");
/// What the cache did for it.
const X_PLANNER_CACHE: HeaderName = HeaderName::from_static("x-planner-cache");
/// Calls made to LLMs for it.
const X_PLANNER_ATTEMPTS: HeaderName = HeaderName::from_static("x-planner-attempts");
/// Things changed in what the LLM said.
const X_PLANNER_REPAIRS: HeaderName = HeaderName::from_static("x-planner-repairs");

/// Everything that is said about a plan beside it.
pub(crate) const PLAN_HEADERS: [HeaderName; 5] =
    [X_PLANNER_ENGINE, X_PLANNER_MODEL, X_PLANNER_CACHE, X_PLANNER_ATTEMPTS, X_PLANNER_REPAIRS];

const JSON: HeaderValue = HeaderValue::from_static("application/json");

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
        ("include" = Option<String>, Query, nullable = false, pattern = r"^(\s*(schedule|usage|repairs|id)?\s*(,|$))*$", description = "Comma list of extras: schedule, usage, repairs, id", example = "schedule,repairs"),
        ("X-Request-ID" = Option<String>, Header, nullable = false, description = "The caller's name for this request, at most 128 characters"),
        ("X-Request-Timeout-Ms" = Option<u64>, Header, nullable = false, minimum = 1, format = "milliseconds", description = "Lowers the deadline, in milliseconds above 0"),
        ("Cache-Control" = Option<String>, Header, nullable = false, description = "With no-cache the plan is made anew"),
    ),
    responses((
        status = 200,
        description = "A sound plan; as a stream of events, also one that ends in an error. In a stream the X-Planner headers are comments before the last event.",
        content((PlanResponse = "application/json"), (String = "text/event-stream")),
        headers(
            ("X-Planner-Engine" = String, description = "Who made the plan: openai or embedded"),
            ("X-Planner-Model" = String, description = "The model that made it"),
            ("X-Planner-Cache" = String, description = "What the cache did: hit, miss, coalesced, bypass or off"),
            ("X-Planner-Attempts" = u32, description = "Calls made to LLMs"),
            ("X-Planner-Repairs" = u32, description = "Things changed in what the LLM said"),
            ("RateLimit" = String, description = "Plans that the caller's limit leaves, where there is one"),
            ("RateLimit-Policy" = String, description = "The limit itself, where there is one"),
        ),
    )),
    security((), ("bearer" = [])),
)]
pub(super) fn create_plan(
    State(app): State<Arc<App>>,
    Extension(context): Extension<RequestContext>,
    request: Request,
) -> impl Future<Output = Result<Response, Problem>> {
    let from_start =
        |_: &App, body: &[u8]| PlanRequest::from_json(body).map(|request| Question { request, past: None });
    answer(app, context, request, from_start)
}

/// What is to be planned.
pub(crate) struct Question {
    pub(crate) request: PlanRequest,
    /// The plan of which the rest is wanted.
    pub(crate) past: Option<Arc<Past>>,
}

/// How a body becomes a question.
pub(super) type ReadQuestion = fn(&App, &[u8]) -> Result<Question, InvalidRequest>;

/// The answer to a request for a plan, whose body is read by `read`.
pub(super) fn answer(
    app: Arc<App>,
    context: RequestContext,
    request: Request,
    read: ReadQuestion,
) -> impl Future<Output = Result<Response, Problem>> {
    let head = Head::read(&app, &context, request);
    async move {
        let head = head?;
        let is_stream = head.is_stream;
        let wanted = head.wanted(&app, &context, read).await?;
        let (allowance, admitted) = wanted.admitted(&app).await;
        // Logged lines carry the id from here on, also when nobody gave one.
        context.id();
        let mut response = match admitted {
            Err(problem) => problem.into_response(),
            Ok(admitted) if is_stream => {
                let (sender, steps) = unbounded_channel();
                let answer = async move { admitted.answer(Some(&sender)).await };
                let answer = answer.instrument(Span::current()).with_current_context();
                stream::respond(app, context, steps, answer)
            }
            // By reference: moved, it would be kept twice for as long as the plan takes.
            Ok(ref admitted) => admitted.answer(None).await.into_response(),
        };
        response.headers_mut().extend(allowance.into_iter().flat_map(Allowance::headers));
        Ok(response)
    }
}

/// What stands in the head of a request for a plan.
struct Head {
    caller: Caller,
    include: Include,
    deadline: Result<Instant, FieldError>,
    anew: bool,
    is_stream: bool,
    body: Unread,
}

impl Head {
    /// Reads and checks it; what is wrong with the deadline is told with the faults of the body.
    fn read(app: &App, context: &RequestContext, request: Request) -> Result<Self, Problem> {
        let caller = authorize(&request, &app.auth_tokens)?;
        let include = Include::from_query(request.uri().query().unwrap_or_default())?;
        let (head, body) = request.into_parts();
        Ok(Self {
            caller,
            include,
            deadline: deadline(&head.headers, context.arrived, app.timeout),
            anew: wants_no_cache(&head.headers),
            is_stream: prefers_events(&head.headers),
            body: Unread::json(&head.headers, body)?,
        })
    }

    /// Reads and checks the body.
    async fn wanted(
        self,
        app: &App,
        context: &RequestContext,
        read: ReadQuestion,
    ) -> Result<Wanted, Problem> {
        let Self { caller, include, deadline, anew, body, .. } = self;
        let read_by = *deadline.as_ref().unwrap_or(&(context.arrived + app.timeout));
        let body = read_until_draining(app, body, read_by).await?;
        let question = read(app, &body);
        let request_id = match &question {
            Ok(question) => &question.request.request_id,
            Err(invalid) => &invalid.request_id,
        };
        if let Some(id) = request_id {
            context.propose_id(id);
        }
        match (deadline, question) {
            (Ok(deadline), Ok(question)) => Ok(Wanted { caller, include, deadline, anew, question }),
            (deadline, question) => {
                let mut faults = question.err().map(|invalid| invalid.faults).unwrap_or_default();
                faults.extend(deadline.err());
                Err(Problem::from(faults))
            }
        }
    }
}

/// What a caller wants, once it is known to be in order.
pub(crate) struct Wanted {
    pub(crate) caller: Caller,
    pub(crate) include: Include,
    pub(crate) deadline: Instant,
    /// Whether an earlier plan will not do.
    pub(crate) anew: bool,
    pub(crate) question: Question,
}

impl Wanted {
    /// It with a place, if its caller may have one and there is one left; and what the caller's limit
    /// says, where that was asked. Whatever way a request comes, its plan begins here.
    pub(crate) async fn admitted(self, app: &Arc<App>) -> (Option<Allowance>, Result<Admitted, Problem>) {
        if app.lifecycle.phase() >= Phase::Draining {
            return (None, Err(shutting_down()));
        }
        let allowance = app.limiter.admit(&self.caller).await;
        let admitted = match allowance.and_then(Allowance::refusal) {
            Some(refusal) => Err(refusal),
            None => self.placed(app.clone()),
        };
        (allowance, admitted)
    }

    fn placed(self, app: Arc<App>) -> Result<Admitted, Problem> {
        let place = app.lifecycle.place();
        // Asked once the place is taken: from then on the end waits for it.
        if app.lifecycle.phase() >= Phase::Draining {
            return Err(shutting_down());
        }
        let place = place.ok_or_else(|| {
            Problem::new(
                ErrorCode::Overloaded,
                "Too many plans are being made at this moment; try again shortly.",
            )
            .retry_after(App::OVERLOAD_WAIT)
        })?;
        let in_flight = app.metrics.plan_in_flight();
        Ok(Admitted { app, wanted: self, _held: (place, in_flight) })
    }
}

/// What a caller wants and has a place for, until it is dropped.
pub(crate) struct Admitted {
    app: Arc<App>,
    wanted: Wanted,
    _held: (OwnedSemaphorePermit, InFlight),
}

impl Admitted {
    /// What comes of it; each step is sent to `steps` as soon as it is written.
    pub(crate) async fn answer(&self, steps: Option<&UnboundedSender<SubTask>>) -> Reply {
        let Wanted { include, deadline, anew, question: Question { request, past }, .. } = &self.wanted;
        let order = Order { request, past: past.as_ref(), deadline: *deadline, steps };
        tokio::select! {
            answer = self.app.answer(order, *anew) => Reply::new(answer, *include),
            () = self.app.lifecycle.reached(Phase::Over) => shutting_down().into(),
        }
    }
}

/// The bytes of a `body`, which is waited for until the end begins.
pub(super) async fn read_until_draining(app: &App, body: Unread, by: Instant) -> Result<Bytes, Problem> {
    tokio::select! {
        // Mostly it is there at once, and nothing need be listened for.
        biased;
        bytes = body.read(by) => bytes,
        () = app.lifecycle.reached(Phase::Draining) => Err(shutting_down()),
    }
}

fn shutting_down() -> Problem {
    Problem::new(ErrorCode::ShuttingDown, "This replica is stopping; send the request to another.")
        .retry_after(App::OVERLOAD_WAIT)
}

/// What is sent in answer to a request for a plan.
pub(crate) struct Reply {
    /// A [`PlanResponse`] as JSON, or why there is none.
    pub(crate) result: Result<Bytes, Problem>,
    /// `None` when nobody was asked.
    pub(crate) notes: Option<PlanNotes>,
}

impl Reply {
    fn new(Answer { origin, cache, plan }: Answer, include: Include) -> Self {
        let (repairs, steps) = plan.as_ref().map(|plan| (plan.repairs().len(), plan.steps())).ok().unzip();
        let result = plan.map(|plan| present(&plan, &origin, include)).map_err(Problem::from);
        Self { result, notes: Some(PlanNotes { origin, cache, repairs, steps }) }
    }
}

impl From<Problem> for Reply {
    fn from(problem: Problem) -> Self {
        Self { result: Err(problem), notes: None }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = match self.result {
            Ok(plan) => ([(CONTENT_TYPE, JSON)], plan).into_response(),
            Err(problem) => problem.into_response(),
        };
        if let Some(notes) = self.notes {
            response.headers_mut().extend(notes.headers());
            response.extensions_mut().insert(notes);
        }
        response
    }
}

impl PlanNotes {
    /// The headers that say the same to the caller.
    pub(super) fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let model = HeaderValue::from_bytes(self.origin.model.as_bytes()).ok();
        let always = [
            (X_PLANNER_ENGINE, HeaderValue::from_static(self.origin.engine.as_str())),
            (X_PLANNER_CACHE, HeaderValue::from_static(self.cache.as_str())),
            (X_PLANNER_ATTEMPTS, HeaderValue::from(self.origin.tally.attempts)),
        ];
        let model = model.map(|model| (X_PLANNER_MODEL, model));
        let repairs = self.repairs.map(|repairs| (X_PLANNER_REPAIRS, HeaderValue::from(repairs)));
        always.into_iter().chain(model).chain(repairs)
    }
}

/// A plan in its wire form, with the extras that were asked for.
fn present(plan: &WrittenPlan, origin: &Origin, include: Include) -> Bytes {
    if include == Include::default() {
        return plan.json().clone();
    }
    let mut response = plan.response();
    response.schedule = include.schedule.then(|| estimate::schedule(&response.plan));
    response.usage = include.usage.then(|| Usage {
        model: origin.model.to_string(),
        attempts: origin.tally.attempts,
        prompt_tokens: origin.tally.prompt_tokens,
        completion_tokens: origin.tally.completion_tokens,
        cost_usd: origin.tally.cost_usd(),
    });
    response.repairs = include.repairs.then(|| plan.repairs().to_vec());
    response.plan_id = include.id.then(|| format!("plan_{}", Uuid::new_v4().simple()));
    serde_json::to_vec(&response).expect("texts and numbers serialise").into()
}
