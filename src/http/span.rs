//! A request for a plan in traces: the span `plan`, which the calls to LLMs are below.
//!
//! Its attributes are those of an HTTP server (OpenTelemetry's semantic conventions 1.41.1), of planning as the
//! conventions for generative AI have it (`gen_ai.operation.name`), and ours, `planner.…`, which say what the log says.

use http::HeaderMap;
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use crate::telemetry::traces::{self, Traces};

use super::middleware::Ended;

/// The only route whose work has a span.
const ROUTE: &str = "/plan";

/// The context for the work of a request for a plan, with its span where spans are sent.
pub(super) fn begin(traces: &Traces, headers: &HeaderMap) -> Option<Context> {
    traces.begin(traces::caller(headers), || {
        SpanBuilder::from_name("plan").with_kind(SpanKind::Server).with_attributes([
            KeyValue::new("gen_ai.operation.name", "plan"),
            KeyValue::new("http.request.method", "POST"),
            KeyValue::new("http.route", ROUTE),
            KeyValue::new("url.path", ROUTE),
            KeyValue::new("url.scheme", "http"),
        ])
    })
}

/// Ends the span in `context`, if it is one of ours, with what came of the request.
pub(super) fn end(context: &Context, request: &Ended, outcome: &'static str) {
    let span = context.span();
    if !span.is_recording() {
        return;
    }
    span.set_attribute(KeyValue::new("planner.outcome", outcome));
    if let Some(status) = request.status {
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
    }
    span.set_attribute(KeyValue::new("planner.request_id", request.context.id().to_owned()));
    if let Some(notes) = &request.notes {
        let origin = &notes.origin;
        span.set_attributes([
            KeyValue::new("planner.engine", origin.engine.as_str()),
            KeyValue::new("planner.model", origin.model.to_string()),
            KeyValue::new("planner.cache", notes.cache.as_str()),
            KeyValue::new("planner.attempts", i64::from(origin.tally.attempts)),
        ]);
        let counts = [("planner.repairs", notes.repairs), ("planner.steps", notes.steps)];
        span.set_attributes(
            counts.into_iter().filter_map(|(name, count)| Some(KeyValue::new(name, count? as i64))),
        );
    }
    // What callers do wrong is no error of a server's.
    if request.code.is_some_and(|code| code.status().is_server_error()) {
        span.set_attribute(KeyValue::new("error.type", outcome));
        span.set_status(Status::error(""));
    }
    span.end();
}
