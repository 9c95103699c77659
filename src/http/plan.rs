//! `POST /plan`, and what `POST /replan` has in common with it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use opentelemetry::trace::FutureExt;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::Instant;
use tracing::{Instrument, Span};

use crate::domain::problem::Problem;
use crate::domain::{FieldError, InvalidRequest, PlanRequest, PlanResponse};
use crate::planner::PlanJob;
use crate::server::lifecycle::Phase;
use crate::server::request::{RequestBody, RequestContext, deadline, peer, prefers_events, wants_no_cache};
use crate::service::PlannerService;
use crate::service::admission::{ValidatedRequest, shutting_down};
use crate::service::auth::{Caller, authorize};
use crate::service::reply::{Include, PlanMetadata, PlanReply};

use super::limit::limit_headers;
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
    State(service): State<Arc<PlannerService>>,
    Extension(context): Extension<RequestContext>,
    request: Request,
) -> impl Future<Output = Result<Response, Problem>> {
    let from_start = |_: &PlannerService, body: &[u8]| PlanRequest::from_json(body).map(PlanJob::from);
    answer(service, context, request, from_start)
}

/// How a body becomes a job.
pub(super) type ReadJob = fn(&PlannerService, &[u8]) -> Result<PlanJob, InvalidRequest>;

/// The answer to a request for a plan, whose body is read by `read`.
pub(super) fn answer(
    service: Arc<PlannerService>,
    context: RequestContext,
    request: Request,
    read: ReadJob,
) -> impl Future<Output = Result<Response, Problem>> {
    let head = Head::read(&service, &context, request);
    async move {
        let head = head?;
        let is_stream = head.is_stream;
        let request = head.read_body(&service, &context, read).await?;
        let (allowance, admitted) = request.admit(&service).await;
        // Logged lines carry the id from here on, also when nobody gave one.
        context.id();
        let mut response = match admitted {
            Err(problem) => problem.into_response(),
            Ok(admitted) if is_stream => {
                let (sender, steps) = unbounded_channel();
                let reply = async move { admitted.plan(Some(&sender)).await };
                let reply = reply.instrument(Span::current()).with_current_context();
                stream::respond(service, context, steps, reply)
            }
            Ok(admitted) => admitted.plan(None).await.into_response(),
        };
        response.headers_mut().extend(allowance.into_iter().flat_map(limit_headers));
        Ok(response)
    }
}

/// What stands in the head of a request for a plan.
struct Head {
    caller: Caller,
    include: Include,
    deadline: Result<Instant, FieldError>,
    no_cache: bool,
    is_stream: bool,
    body: RequestBody,
}

impl Head {
    /// Reads and checks it; what is wrong with the deadline is told with the faults of the body.
    fn read(service: &PlannerService, context: &RequestContext, request: Request) -> Result<Self, Problem> {
        let caller = authorize(request.headers(), peer(&request), &service.auth_tokens)?;
        let include = Include::from_query(request.uri().query().unwrap_or_default())?;
        let (head, body) = request.into_parts();
        Ok(Self {
            caller,
            include,
            deadline: deadline(&head.headers, context.arrived, service.timeout),
            no_cache: wants_no_cache(&head.headers),
            is_stream: prefers_events(&head.headers),
            body: RequestBody::json(&head.headers, body)?,
        })
    }

    /// Reads and checks the body.
    async fn read_body(
        self,
        service: &PlannerService,
        context: &RequestContext,
        read: ReadJob,
    ) -> Result<ValidatedRequest, Problem> {
        let Self { caller, include, deadline, no_cache, body, .. } = self;
        let read_by = *deadline.as_ref().unwrap_or(&(context.arrived + service.timeout));
        let body = read_until_draining(service, body, read_by).await?;
        let job = read(service, &body);
        let request_id = match &job {
            Ok(job) => &job.request.request_id,
            Err(invalid) => &invalid.request_id,
        };
        if let Some(id) = request_id {
            context.propose_id(id);
        }
        match (deadline, job) {
            (Ok(deadline), Ok(job)) => Ok(ValidatedRequest { caller, include, deadline, no_cache, job }),
            (deadline, job) => {
                let mut faults = job.err().map(|invalid| invalid.faults).unwrap_or_default();
                faults.extend(deadline.err());
                Err(Problem::from(faults))
            }
        }
    }
}

/// The bytes of a `body`, which is waited for until the end begins.
pub(super) async fn read_until_draining(
    service: &PlannerService,
    body: RequestBody,
    by: Instant,
) -> Result<Bytes, Problem> {
    tokio::select! {
        // Mostly it is there at once, and nothing need be listened for.
        biased;
        bytes = body.read(by) => bytes,
        () = service.lifecycle.reached(Phase::Draining) => Err(shutting_down()),
    }
}

impl IntoResponse for PlanReply {
    fn into_response(self) -> Response {
        let mut response = match self.result {
            Ok(plan) => ([(CONTENT_TYPE, JSON)], plan).into_response(),
            Err(problem) => problem.into_response(),
        };
        if let Some(metadata) = self.metadata {
            response.headers_mut().extend(plan_headers(&metadata));
            response.extensions_mut().insert(metadata);
        }
        response
    }
}

/// The headers that tell the caller what is known about its plan.
pub(super) fn plan_headers(metadata: &PlanMetadata) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let PlanMetadata { origin, cache, repairs, .. } = metadata;
    let always = [
        (X_PLANNER_ENGINE, HeaderValue::from_static(origin.engine.as_str())),
        (X_PLANNER_CACHE, HeaderValue::from_static(cache.as_str())),
        (X_PLANNER_ATTEMPTS, HeaderValue::from(origin.usage_totals.attempts)),
    ];
    let model = HeaderValue::from_bytes(origin.model.as_bytes()).ok().map(|model| (X_PLANNER_MODEL, model));
    let repairs = repairs.map(|repairs| (X_PLANNER_REPAIRS, HeaderValue::from(repairs)));
    always.into_iter().chain(model).chain(repairs)
}
