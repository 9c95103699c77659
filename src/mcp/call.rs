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

use crate::app::App;
use crate::http::problem::{ErrorCode, Problem, internal};
use crate::http::{self as web, Admitted, Caller, Include, PlanNotes, Question, Reply, Wanted};
use crate::models::{PlanRequest, SubTask};
use crate::telemetry::traces;

use super::tools::{CREATE_PLAN, VALIDATE_PLAN};

/// How long a client may take for the steps that it has not been told of when the plan is there.
const LAST_STEPS: Duration = Duration::from_secs(1);

/// What is said of a plan beside it.
const EXTRAS: Include = Include { schedule: true, usage: true, repairs: true, id: false };

/// Who calls a tool, and by when there must be an answer.
#[derive(Clone)]
pub(super) struct Visit {
    pub(super) caller: Caller,
    pub(super) deadline: Instant,
    /// Id and arrival of the request that brought the call.
    pub(super) context: web::RequestContext,
    /// The trace that it belongs to.
    pub(super) trace: Option<Context>,
}

/// A call of a tool. Counts and logs it when it is over, also when its caller goes away before.
pub(super) struct Call {
    app: Arc<App>,
    tool: &'static str,
    visit: Visit,
    span: Span,
    trace: Option<Context>,
    /// What came of it, once that is known.
    ended: Option<(Option<ErrorCode>, Option<PlanNotes>)>,
}

impl Call {
    /// A call that came over HTTP as its transport noted, or else on standard input just now.
    pub(super) fn new(app: Arc<App>, tool: &'static str, context: &RequestContext<RoleServer>) -> Self {
        let parts = context.extensions.get::<::http::request::Parts>();
        let (visit, span) = if let Some(visit) = parts.and_then(|parts| parts.extensions.get::<Visit>()) {
            (visit.clone(), Span::current())
        } else {
            let context = web::RequestContext::new(&::http::HeaderMap::new());
            let deadline = context.arrived + app.timeout;
            let visit = Visit { caller: Caller::Address(None), deadline, context, trace: None };
            (visit, info_span!("request", request_id = Empty, trace_id = Empty))
        };
        let caller = visit.trace.clone();
        let trace =
            if tool == CREATE_PLAN { web::span::begin_call(&app.traces, caller, tool) } else { caller };
        traces::name(&span, trace.as_ref());
        Self { app, tool, visit, span, trace, ended: None }
    }

    /// The result, unless the client takes its call back: then the work on it ends.
    pub(super) async fn answer(
        mut self,
        arguments: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let (span, trace) = (self.span.clone(), self.trace.clone().unwrap_or_default());
        async move {
            // Logged lines carry the id from here on.
            self.visit.context.id();
            let taken_back = context.ct.clone();
            let work = AssertUnwindSafe(self.reply(arguments, &context)).catch_unwind();
            let reply = tokio::select! {
                // What was done is said, also to who goes at the same moment.
                biased;
                reply = work => reply,
                () = taken_back.cancelled() => {
                    return Err(ErrorData::internal_error("The call was taken back.", None));
                }
            };
            let reply = reply.unwrap_or_else(|_| {
                self.app.metrics.panic_caught();
                Reply::from(internal())
            });
            Ok(self.finish(reply).into())
        }
        .instrument(span)
        .with_context(trace)
        .await
    }

    async fn reply(&self, arguments: JsonObject, context: &RequestContext<RoleServer>) -> Reply {
        if self.tool == VALIDATE_PLAN {
            return Reply { result: self.validate_plan(arguments).await, notes: None };
        }
        match self.admitted(arguments).await {
            Ok(admitted) => match context.meta.get_progress_token() {
                Some(token) => answer_telling(admitted, &context.peer, token).await,
                None => admitted.answer(None).await,
            },
            Err(problem) => problem.into(),
        }
    }

    /// The plan that is wanted, with a place for it.
    async fn admitted(&self, arguments: JsonObject) -> Result<Admitted, Problem> {
        let request = PlanRequest::from_json(&json(&arguments)).map_err(|invalid| invalid.faults)?;
        let Visit { caller, deadline, .. } = self.visit.clone();
        let question = Question { request, past: None };
        Wanted { caller, include: EXTRAS, deadline, anew: false, question }.admitted(&self.app).await.1
    }

    async fn validate_plan(&self, arguments: JsonObject) -> Result<Bytes, Problem> {
        let written = String::from_utf8_lossy(&json(&arguments)).into_owned();
        Ok(json(&self.app.validate(written).await?))
    }

    /// The reply as a result: as an object, and as the same text for clients that know no objects.
    fn finish(&mut self, reply: Reply) -> CallToolResult {
        let Reply { result, notes } = reply;
        self.ended = Some((result.as_ref().err().map(|problem| problem.code), notes));
        match result {
            Ok(plan) => said(&plan, CallToolResult::success),
            Err(problem) => said(&json(&problem.document(self.visit.context.id())), CallToolResult::error),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let took = self.visit.context.arrived.elapsed();
        let code = self.ended.as_ref().and_then(|(code, _)| *code);
        let notes = self.ended.as_ref().and_then(|(_, notes)| notes.as_ref());
        let outcome = web::outcome(self.ended.is_some(), code);
        if self.tool == CREATE_PLAN {
            self.app.plan_ended(outcome, notes, took);
            if let Some(trace) = &self.trace {
                web::span::end(trace, outcome, code, None, self.visit.context.id(), notes);
            }
        }
        let _entered = self.span.enter();
        info!(
            tool = self.tool,
            ms = took.as_micros() as f64 / 1_000.0,
            outcome,
            engine = notes.map(|notes| notes.origin.engine.as_str()),
            model = notes.map(|notes| &*notes.origin.model),
            cache = notes.map(|notes| notes.cache.as_str()),
            attempts = notes.map(|notes| notes.origin.tally.attempts),
            repairs = notes.map(|notes| notes.repairs.unwrap_or_default()),
            "tool call"
        );
    }
}

/// The answer, with a notification for each step as soon as it is written.
async fn answer_telling(admitted: Admitted, peer: &Peer<RoleServer>, token: ProgressToken) -> Reply {
    let (sender, steps) = unbounded_channel();
    let mut telling = pin!(tell(peer, token, steps));
    let mut answer = pin!(async move { admitted.answer(Some(&sender)).await });
    let reply = tokio::select! {
        reply = &mut answer => reply,
        // The client hears nothing any more; whether it wants its answer still is for the transport to say.
        () = &mut telling => return answer.await,
    };
    let _ = timeout(LAST_STEPS, telling).await;
    reply
}

/// Tells of `steps` as they come, as far as the client hears it. Steps may be shown again from the first; the
/// count of what was shown only grows, as the protocol wants it.
async fn tell(peer: &Peer<RoleServer>, token: ProgressToken, mut steps: UnboundedReceiver<SubTask>) {
    let mut told = 0.0;
    while let Some(step) = steps.recv().await {
        told += 1.0;
        let message = format!("Step {} ({}): {}", step.step, step.required_arm, step.action);
        let progress = ProgressNotificationParam::new(token.clone(), told).with_message(message);
        if peer.notify_progress(progress).await.is_err() {
            return;
        }
    }
}

fn said(json: &Bytes, result: fn(Vec<ContentBlock>) -> CallToolResult) -> CallToolResult {
    let mut result = result(vec![ContentBlock::text(String::from_utf8_lossy(json))]);
    result.structured_content = serde_json::from_slice(json).ok();
    result
}

fn json(value: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(value).expect("texts and numbers serialise").into()
}
