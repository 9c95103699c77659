//! One call of a tool, from its arguments to its result.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use opentelemetry::Context;
use opentelemetry::trace::FutureExt as _;
use rmcp::model::{
    CallToolResponse, CallToolResult, ContentBlock, JsonObject, ProgressNotificationParam, ProgressToken,
};
use rmcp::service::{Peer, RequestContext};
use rmcp::{ErrorData, RoleServer};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, timeout};
use tracing::field::Empty;
use tracing::{Instrument, Span, info, info_span};

use crate::domain::SubTask;
use crate::domain::problem::{ErrorCode, Problem};
use crate::domain::validate::take_request;
use crate::planner::{PlannerArm, ReadJob};
use crate::server::request;
use crate::service::PlannerService;
use crate::service::admission::{AdmittedRequest, ValidatedRequest};
use crate::service::auth::Caller;
use crate::service::reply::{Include, PlanMetadata, PlanReply, outcome};
use crate::service::span;
use crate::telemetry::traces;

use super::tools::PlannerTool;

/// How long a client may take to receive the remaining progress notifications once the plan is complete.
const LAST_PROGRESS_TIMEOUT: Duration = Duration::from_secs(1);

/// The extras of every plan.
const EXTRAS: Include =
    Include { schedule: true, usage: true, repairs: true, id: false, warnings: true, questions: false };

/// Who calls a tool, and by when it must be answered.
#[derive(Clone)]
pub(super) struct CallContext {
    pub(super) caller: Caller,
    pub(super) deadline: Instant,
    /// Id and arrival of the request that brought the call.
    pub(super) context: request::RequestContext,
    /// The trace that it belongs to.
    pub(super) trace: Option<Context>,
    /// Whether the client can be notified while the call is in progress.
    pub(super) accepts_events: bool,
}

/// A call of a tool. It is counted and logged when dropped: once answered, or when the client cancels it.
pub(super) struct ToolCall {
    service: Arc<PlannerService>,
    tool: PlannerTool,
    call_context: CallContext,
    span: Span,
    trace: Option<Context>,
    /// The error code and the metadata, once it is answered.
    answered: Option<(Option<ErrorCode>, Option<PlanMetadata>)>,
}

impl ToolCall {
    /// A call that came over HTTP, with the context that its transport added, or else on standard input.
    pub(super) fn new(
        service: Arc<PlannerService>,
        tool: PlannerTool,
        context: &RequestContext<RoleServer>,
    ) -> Self {
        let parts = context.extensions.get::<::http::request::Parts>();
        let (call_context, span) =
            if let Some(call_context) = parts.and_then(|parts| parts.extensions.get::<CallContext>()) {
                (call_context.clone(), Span::current())
            } else {
                let context = request::RequestContext::new(&::http::HeaderMap::new());
                let deadline = context.arrived + service.timeout;
                let call_context = CallContext {
                    caller: Caller::Address(None),
                    deadline,
                    context,
                    trace: None,
                    accepts_events: true,
                };
                (call_context, info_span!("request", request_id = Empty, trace_id = Empty))
            };
        let caller = call_context.trace.clone();
        let trace =
            if tool.plans() { span::begin_call(&service.traces, caller, tool.name()) } else { caller };
        traces::record_id(&span, trace.as_ref());
        Self { service, tool, call_context, span, trace, answered: None }
    }

    /// The result. When the client cancels the call, the work on it ends.
    pub(super) async fn answer(
        mut self,
        arguments: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let (span, trace) = (self.span.clone(), self.trace.clone().unwrap_or_default());
        async move {
            // Log lines carry the id from here on.
            self.call_context.context.id();
            let cancelled = context.ct.clone();
            let work = AssertUnwindSafe(self.reply(arguments, &context)).catch_unwind();
            let reply = tokio::select! {
                // A finished call is answered, even if it is cancelled at the same moment.
                biased;
                reply = work => reply,
                () = cancelled.cancelled() => {
                    return Err(ErrorData::internal_error("The call was cancelled.", None));
                }
            };
            let reply = reply.unwrap_or_else(|_| {
                self.service.metrics.record_panic();
                PlanReply::from(Problem::internal())
            });
            Ok(self.finish(reply).into())
        }
        .instrument(span)
        .with_context(trace)
        .await
    }

    async fn reply(&self, arguments: JsonObject, context: &RequestContext<RoleServer>) -> PlanReply {
        let read = match self.tool {
            PlannerTool::ValidatePlan => {
                return PlanReply { result: self.validate_plan(arguments).await, metadata: None };
            }
            PlannerTool::ListArms => {
                return PlanReply { result: Ok(json(&*self.service.arms())), metadata: None };
            }
            PlannerTool::CreatePlan => PlannerArm::read_request,
            PlannerTool::Replan => PlannerArm::read_replan,
        };
        match self.admitted(arguments, read).await {
            Ok(admitted) => match self.progress_token(context) {
                Some(token) => plan_with_progress(admitted, &context.peer, token).await,
                None => admitted.plan(None).await,
            },
            Err(problem) => problem.into(),
        }
    }

    /// The token for progress notifications, if the client asks for them and can receive them.
    fn progress_token(&self, context: &RequestContext<RoleServer>) -> Option<ProgressToken> {
        context.meta.get_progress_token().filter(|_| self.call_context.accepts_events)
    }

    /// The request for a plan in `arguments`, once it is admitted.
    async fn admitted(&self, arguments: JsonObject, read: ReadJob) -> Result<AdmittedRequest, Problem> {
        let job = read(&self.service.planner, &json(&arguments)).map_err(|invalid| invalid.faults)?;
        let CallContext { caller, deadline, .. } = self.call_context.clone();
        let request = ValidatedRequest { caller, include: EXTRAS, deadline, no_cache: false, job };
        request.admit(&self.service).await.1
    }

    async fn validate_plan(&self, arguments: JsonObject) -> Result<Bytes, Problem> {
        let mut arguments = arguments;
        let request = take_request(&mut arguments, &self.service.planner.registry())?;
        let proposal = String::from_utf8_lossy(&json(&arguments)).into_owned();
        Ok(json(&self.service.validate(proposal, request).await?))
    }

    /// The reply as a result: structured, and as the same JSON in text for clients without structured results.
    fn finish(&mut self, reply: PlanReply) -> CallToolResult {
        let PlanReply { result, metadata } = reply;
        self.answered = Some((result.as_ref().err().map(|problem| problem.code), metadata));
        match result {
            Ok(plan) => tool_result(&plan, CallToolResult::success),
            Err(problem) => {
                tool_result(&json(&problem.document(self.call_context.context.id())), CallToolResult::error)
            }
        }
    }
}

impl Drop for ToolCall {
    fn drop(&mut self) {
        let took = self.call_context.context.arrived.elapsed();
        let code = self.answered.as_ref().and_then(|(code, _)| *code);
        let metadata = self.answered.as_ref().and_then(|(_, metadata)| metadata.as_ref());
        let outcome = outcome(self.answered.is_some(), code);
        if self.tool.plans() {
            self.service.plan_ended(outcome, metadata, took);
            if let Some(trace) = &self.trace {
                span::end(trace, outcome, code, None, self.call_context.context.id(), metadata);
            }
        }
        let _entered = self.span.enter();
        info!(
            tool = self.tool.name(),
            ms = took.as_micros() as f64 / 1_000.0,
            outcome,
            engine = metadata.map(|metadata| metadata.origin.engine.as_str()),
            model = metadata.map(|metadata| &*metadata.origin.model),
            cache = metadata.map(|metadata| metadata.cache.as_str()),
            attempts = metadata.map(|metadata| metadata.origin.usage_totals.attempts),
            repairs = metadata.map(|metadata| metadata.repairs.unwrap_or_default()),
            warnings = metadata.map(|metadata| metadata.warnings.unwrap_or_default()),
            "tool call"
        );
    }
}

/// Plans, and notifies the client of each step as soon as it is written.
async fn plan_with_progress(
    admitted: AdmittedRequest,
    peer: &Peer<RoleServer>,
    token: ProgressToken,
) -> PlanReply {
    let (sender, steps) = unbounded_channel();
    let mut progress = pin!(notify_of_steps(peer, token, steps));
    let mut answer = pin!(async move { admitted.plan(Some(&sender)).await });
    let reply = tokio::select! {
        reply = &mut answer => reply,
        // The client receives no more notifications; the transport cancels the call if it has disconnected.
        () = &mut progress => return answer.await,
    };
    let _ = timeout(LAST_PROGRESS_TIMEOUT, progress).await;
    reply
}

/// Notifies the client of `steps` as they arrive, until it can no longer be reached. Steps may be sent again from the
/// first; the progress value only grows, as the protocol demands.
async fn notify_of_steps(
    peer: &Peer<RoleServer>,
    token: ProgressToken,
    mut steps: UnboundedReceiver<SubTask>,
) {
    let mut sent = 0.0;
    while let Some(step) = steps.recv().await {
        sent += 1.0;
        let message = format!("Step {} ({}): {}", step.step, step.required_arm, step.action);
        let progress = ProgressNotificationParam::new(token.clone(), sent).with_message(message);
        if peer.notify_progress(progress).await.is_err() {
            return;
        }
    }
}

fn tool_result(json: &Bytes, result: fn(Vec<ContentBlock>) -> CallToolResult) -> CallToolResult {
    let mut result = result(vec![ContentBlock::text(String::from_utf8_lossy(json))]);
    result.structured_content = serde_json::from_slice(json).ok();
    result
}

fn json(value: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(value).expect("strings and numbers serialise").into()
}
