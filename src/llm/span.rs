//! Calls to LLMs in traces: one span for each, after OpenTelemetry's semantic conventions for generative AI
//! (version 1.41.1, `span.gen_ai.inference.client`). Spans hold no text of prompts or answers.

use opentelemetry::trace::{FutureExt, SpanBuilder, SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue, StringValue, Value};

use crate::domain::ServerAddress;
use crate::telemetry::metrics::{OPERATION, PROVIDER};
use crate::telemetry::traces;

use super::Completion;

/// The span of one call; empty if traces are off.
pub(super) struct CallSpan(Option<Context>);

impl CallSpan {
    /// Begins the span of a call of `model`, in the trace of the current request.
    pub(super) fn begin(model: &str, server: Option<&ServerAddress>) -> Self {
        Self(traces::child_span(|| {
            let mut attributes = vec![
                KeyValue::new("gen_ai.operation.name", OPERATION),
                KeyValue::new("gen_ai.provider.name", PROVIDER),
                KeyValue::new("gen_ai.request.model", model.to_owned()),
            ];
            if let Some(ServerAddress { host, port }) = server {
                attributes.push(KeyValue::new("server.address", host.clone()));
                attributes.push(KeyValue::new("server.port", i64::from(*port)));
            }
            SpanBuilder::from_name(format!("{OPERATION} {model}"))
                .with_kind(SpanKind::Client)
                .with_attributes(attributes)
        }))
    }

    /// Runs `call` within this span.
    pub(super) async fn around<F: Future>(&self, call: F) -> F::Output {
        match &self.0 {
            Some(context) => call.with_context(context.clone()).await,
            None => call.await,
        }
    }

    /// Records an answer's own fields. Tokens of 0 were not counted.
    pub(super) fn answered(&self, answer: &Completion) {
        let Some(context) = &self.0 else { return };
        let text = |name, text: &Option<String>| Some(KeyValue::new(name, text.clone()?));
        let count = |name, tokens: u64| (tokens > 0).then(|| KeyValue::new(name, tokens as i64));
        let finish = answer.finish.map(|reason| Value::Array(vec![StringValue::from(reason)].into()));
        let known = [
            text("gen_ai.response.id", &answer.id),
            text("gen_ai.response.model", &answer.model),
            finish.map(|reasons| KeyValue::new("gen_ai.response.finish_reasons", reasons)),
            count("gen_ai.usage.input_tokens", answer.prompt_tokens),
            count("gen_ai.usage.output_tokens", answer.completion_tokens),
        ];
        context.span().set_attributes(known.into_iter().flatten());
    }

    /// Ends the span; `error` is the label of a failure.
    pub(super) fn end(&self, error: Option<&'static str>) {
        let Some(context) = &self.0 else { return };
        let span = context.span();
        if let Some(error) = error {
            span.set_attribute(KeyValue::new("error.type", error));
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// The parameters of a call.
pub(super) struct CallParameters {
    pub(super) temperature: Option<f64>,
    pub(super) max_tokens: u32,
    /// Whether the answer must be JSON.
    pub(super) is_json: bool,
    pub(super) is_stream: bool,
}

impl CallParameters {
    /// Records them in the span of the current call.
    pub(super) fn record(&self) {
        traces::set_attributes(|| {
            let known = [
                self.temperature.map(|value| KeyValue::new("gen_ai.request.temperature", value)),
                Some(KeyValue::new("gen_ai.request.max_tokens", i64::from(self.max_tokens))),
                self.is_json.then(|| KeyValue::new("gen_ai.output.type", "json")),
                self.is_stream.then(|| KeyValue::new("gen_ai.request.stream", true)),
            ];
            known.into_iter().flatten()
        });
    }
}
