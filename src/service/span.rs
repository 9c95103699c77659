//! A request for a plan in traces: the span `plan`, the parent of the calls to LLMs.
//!
//! Its attributes are those of an HTTP server (OpenTelemetry's semantic conventions 1.41.1), of planning as the
//! conventions for generative AI have it (`gen_ai.operation.name`), and ours, `planner.…`, with the values of the log.

use http::StatusCode;
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use crate::telemetry::traces::Traces;

use super::reply::PlanMetadata;
use crate::domain::problem::ErrorCode;

/// The context for a request for a plan at `route`, with its span where spans are sent, as a child of its `caller`'s.
pub(crate) fn begin(traces: &Traces, caller: Option<Context>, route: &'static str) -> Option<Context> {
    traces.begin(caller, || {
        plan().with_attributes([
            KeyValue::new("gen_ai.operation.name", "plan"),
            KeyValue::new("http.request.method", "POST"),
            KeyValue::new("http.route", route),
            KeyValue::new("url.path", route),
            KeyValue::new("url.scheme", "http"),
        ])
    })
}

/// The same for a call of an agent host's `tool`.
pub(crate) fn begin_call(traces: &Traces, caller: Option<Context>, tool: &'static str) -> Option<Context> {
    traces.begin(caller, || {
        plan().with_attributes([
            KeyValue::new("gen_ai.operation.name", "plan"),
            KeyValue::new("mcp.method.name", "tools/call"),
            KeyValue::new("gen_ai.tool.name", tool),
        ])
    })
}

fn plan() -> SpanBuilder {
    SpanBuilder::from_name("plan").with_kind(SpanKind::Server)
}

/// Ends the span in `context`, if it is one of ours, with the outcome of the request; `status` is that of HTTP.
pub(crate) fn end(
    context: &Context,
    outcome: &'static str,
    code: Option<ErrorCode>,
    status: Option<StatusCode>,
    request_id: &str,
    metadata: Option<&PlanMetadata>,
) {
    let span = context.span();
    if !span.is_recording() {
        return;
    }
    span.set_attribute(KeyValue::new("planner.outcome", outcome));
    if let Some(status) = status {
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
    }
    span.set_attribute(KeyValue::new("planner.request_id", request_id.to_owned()));
    if let Some(metadata) = metadata {
        let origin = &metadata.origin;
        span.set_attributes([
            KeyValue::new("planner.engine", origin.engine.as_str()),
            KeyValue::new("planner.model", origin.model.to_string()),
            KeyValue::new("planner.cache", metadata.cache.as_str()),
            KeyValue::new("planner.attempts", i64::from(origin.usage_totals.attempts)),
        ]);
        let counts = [
            ("planner.repairs", metadata.repairs),
            ("planner.warnings", metadata.warnings),
            ("planner.steps", metadata.steps),
        ];
        span.set_attributes(
            counts.into_iter().filter_map(|(name, count)| Some(KeyValue::new(name, count? as i64))),
        );
    }
    // A caller's error is not the server's.
    if code.is_some_and(|code| code.status().is_server_error()) {
        span.set_attribute(KeyValue::new("error.type", outcome));
        span.set_status(Status::error(""));
    }
    span.end();
}
