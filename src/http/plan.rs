//! `POST /plan`, and what `POST /replan` has in common with it.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{AppendHeaders, IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use opentelemetry::trace::FutureExt;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::Instant;
use tracing::{Instrument, Span};

use crate::domain::problem::Problem;
use crate::domain::{FieldError, PlanRequest, PlanResponse};
use crate::planner::{PlanJob, PlannerArm, ReadJob};
use crate::server::body::{read_body, require_json};
use crate::server::lifecycle::Phase;
use crate::server::request::{RequestContext, deadline, prefers_events, wants_no_cache};
use crate::service::PlannerService;
use crate::service::admission::{ValidatedRequest, shed, shutting_down};
use crate::service::auth::Caller;
use crate::service::reply::{Include, PlanMetadata, PlanReply};

use super::limit::limit_headers;
use super::stream;

/// Who made the plan: `openai` or `embedded`.
const X_PLANNER_ENGINE: HeaderName = HeaderName::from_static("x-planner-engine");
/// The model that made the plan.
const X_PLANNER_MODEL: HeaderName = HeaderName::from_static("x-planner-model");
/// What the cache did for it.
const X_PLANNER_CACHE: HeaderName = HeaderName::from_static("x-planner-cache");
/// Number of LLM calls for it.
const X_PLANNER_ATTEMPTS: HeaderName = HeaderName::from_static("x-planner-attempts");
/// Number of repairs to the LLM's answer.
const X_PLANNER_REPAIRS: HeaderName = HeaderName::from_static("x-planner-repairs");

/// Number of warnings about the plan.
const X_PLANNER_WARNINGS: HeaderName = HeaderName::from_static("x-planner-warnings");
/// The playbook that it follows, or several with commas between them.
const X_PLANNER_PLAYBOOK: HeaderName = HeaderName::from_static("x-planner-playbook");

/// The headers that describe a plan.
pub(crate) const PLAN_HEADERS: [HeaderName; 7] = [
    X_PLANNER_ENGINE,
    X_PLANNER_MODEL,
    X_PLANNER_CACHE,
    X_PLANNER_ATTEMPTS,
    X_PLANNER_REPAIRS,
    X_PLANNER_WARNINGS,
    X_PLANNER_PLAYBOOK,
];

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Creates a plan for a goal.
///
/// Every plan is valid: its steps are numbered from 1 in execution order and their number is within the configured
/// limits; each step is assigned to an arm of the registry, depends on earlier steps only and has at least one
/// acceptance criterion; no two steps have the same action; and, unless switched off, the last step verifies the
/// result and waits for all others.
///
/// With `Accept: text/event-stream` the response is a stream of server-sent events: `step` (a `SubTask`, as soon
/// as the LLM has written it), then one `plan` (the final response, which takes precedence over the steps) or one
/// `error` (the problem document). Errors before planning starts are ordinary problems with their status.
#[utoipa::path(
    post,
    path = "/plan",
    tag = "planning",
    operation_id = "create_plan",
    request_body(content = PlanRequest, content_type = "application/json"),
    params(
        ("include" = Option<String>, Query, nullable = false, pattern = r"^(\s*(schedule|usage|repairs|id|warnings|questions)?\s*(,|$))*$", description = "Comma-separated list of extras: schedule, usage, repairs, id, warnings, questions", example = "schedule,repairs"),
        ("X-Request-ID" = Option<String>, Header, nullable = false, description = "The caller's id for this request, at most 128 characters"),
        ("X-Request-Timeout-Ms" = Option<u64>, Header, nullable = false, minimum = 1, format = "milliseconds", description = "Shortens the deadline: a number of milliseconds above 0"),
        ("Cache-Control" = Option<String>, Header, nullable = false, description = "`no-cache` asks for a new plan instead of a cached one"),
    ),
    responses((
        status = 200,
        description = "A valid plan. A stream of events has this status too when it ends in an error, and carries the X-Planner headers as comments before its last event.",
        content((PlanResponse = "application/json"), (String = "text/event-stream")),
        headers(
            ("X-Planner-Engine" = String, description = "The engine that made the plan: openai or embedded"),
            ("X-Planner-Model" = String, description = "The model that made the plan"),
            ("X-Planner-Cache" = String, description = "How the cache was used: hit, miss, coalesced, bypass or off"),
            ("X-Planner-Attempts" = u32, description = "Number of LLM calls"),
            ("X-Planner-Repairs" = u32, description = "Number of repairs to the LLM's answer"),
            ("X-Planner-Warnings" = u32, description = "Number of warnings about the plan"),
            ("X-Planner-Playbook" = String, description = "The playbooks that guided the plan, separated by commas; absent if there are none"),
            ("RateLimit" = String, description = "What is left of the caller's rate limit, if one is configured"),
            ("RateLimit-Policy" = String, description = "The caller's rate limit, if one is configured"),
        ),
    )),
    security((), ("bearer" = [])),
)]
pub(super) fn create_plan(
    State(service): State<Arc<PlannerService>>,
    Extension(context): Extension<RequestContext>,
    request: Request,
) -> impl Future<Output = Result<Response, Problem>> {
    answer(service, context, request, PlannerArm::read_request)
}

/// The answer to a request for a plan, whose body is read by `read`.
pub(super) fn answer(
    service: Arc<PlannerService>,
    context: RequestContext,
    request: Request,
    read: ReadJob,
) -> impl Future<Output = Result<Response, Problem>> {
    let options = RequestOptions::read(&service, &context, &request);
    let body = request.into_body();
    async move {
        let options = options?;
        shed(&service)?;
        if let Some(limit) = service.limiter.used_up(&options.caller)
            && let Some(refusal) = limit.refusal()
        {
            return Ok((AppendHeaders(limit_headers(limit)), refusal).into_response());
        }
        let is_stream = options.is_stream;
        let request = options.with_body(&service, &context, body, read).await?;
        let (rate_limit, admitted) = request.admit(&service).await;
        // Log lines carry the id from here on, also when the caller gave none.
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
        response.headers_mut().extend(rate_limit.into_iter().flat_map(limit_headers));
        Ok(response)
    }
}

/// What the headers and the query of a request for a plan ask for.
struct RequestOptions {
    caller: Caller,
    include: Include,
    deadline: Result<Instant, FieldError>,
    no_cache: bool,
    is_stream: bool,
}

impl RequestOptions {
    /// Reads and checks them. A fault of the deadline is reported together with those of the body.
    fn read(service: &PlannerService, context: &RequestContext, request: &Request) -> Result<Self, Problem> {
        let caller = service.authorize(request)?;
        let include = Include::from_query(request.uri().query().unwrap_or_default())?;
        let headers = request.headers();
        require_json(headers)?;
        Ok(Self {
            caller,
            include,
            deadline: deadline(headers, context.arrived, service.timeout),
            no_cache: wants_no_cache(headers),
            is_stream: prefers_events(headers),
        })
    }

    /// The whole request, with its `body` read and checked.
    async fn with_body(
        self,
        service: &PlannerService,
        context: &RequestContext,
        body: Body,
        read: ReadJob,
    ) -> Result<ValidatedRequest, Problem> {
        let Self { caller, include, deadline, no_cache, .. } = self;
        let read_by = *deadline.as_ref().unwrap_or(&(context.arrived + service.timeout));
        let body = read_until_draining(service, body, read_by).await?;
        let job = read(&service.planner, &body);
        let request_id = match &job {
            Ok(job) => &job.request.request_id,
            Err(invalid) => &invalid.request_id,
        };
        if let Some(id) = request_id {
            context.propose_id(id);
        }
        match (deadline, job) {
            (Ok(deadline), Ok(job)) => {
                let job = PlanJob { asks_questions: include.questions, ..job };
                Ok(ValidatedRequest { caller, include, deadline, no_cache, job })
            }
            (deadline, job) => {
                let mut faults = job.err().map(|invalid| invalid.faults).unwrap_or_default();
                faults.extend(deadline.err());
                Err(Problem::from(faults))
            }
        }
    }
}

/// The bytes of a `body`, if they arrive by `deadline` and before the service drains.
pub(super) async fn read_until_draining(
    service: &PlannerService,
    body: Body,
    deadline: Instant,
) -> Result<Bytes, Problem> {
    tokio::select! {
        // Usually the body is there already, and the shutdown need not be watched.
        biased;
        bytes = read_body(body, deadline) => bytes,
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

/// The headers that describe the plan of `metadata`.
pub(super) fn plan_headers(metadata: &PlanMetadata) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let PlanMetadata { origin, cache, repairs, warnings, playbooks, .. } = metadata;
    let always = [
        (X_PLANNER_ENGINE, HeaderValue::from_static(origin.engine.as_str())),
        (X_PLANNER_CACHE, HeaderValue::from_static(cache.as_str())),
        (X_PLANNER_ATTEMPTS, HeaderValue::from(origin.usage_totals.attempts)),
    ];
    let model = HeaderValue::from_bytes(origin.model.as_bytes()).ok().map(|model| (X_PLANNER_MODEL, model));
    let repairs = repairs.map(|repairs| (X_PLANNER_REPAIRS, HeaderValue::from(repairs)));
    let warnings = warnings.map(|warnings| (X_PLANNER_WARNINGS, HeaderValue::from(warnings)));
    let playbooks = playbooks.as_ref().and_then(|playbooks| {
        HeaderValue::try_from(playbooks.to_string()).ok().map(|names| (X_PLANNER_PLAYBOOK, names))
    });
    always.into_iter().chain(model).chain(repairs).chain(warnings).chain(playbooks)
}
