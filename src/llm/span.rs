//! Calls to LLMs in traces: one span for each, as OpenTelemetry's semantic conventions for generative AI have them
//! (version 1.41.1, `span.gen_ai.inference.client`). Nothing that is asked or answered is in them.

use opentelemetry::trace::{FutureExt, SpanBuilder, SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue, StringValue, Value};

use crate::domain::ServerAddress;
use crate::telemetry::metrics::{OPERATION, PROVIDER};
use crate::telemetry::traces;

use super::Completion;

/// The span of one call; empty where none are sent.
pub(super) struct CallSpan(Option<Context>);

impl CallSpan {
    /// Begins with a call of `model`, in the trace of the request whose work this is.
    pub(super) fn begin(model: &str, server: Option<&ServerAddress>) -> Self {
        Self(traces::child(|| {
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

    /// Does `call` within this span.
    pub(super) async fn around<F: Future>(&self, call: F) -> F::Output {
        match &self.0 {
            Some(context) => call.with_context(context.clone()).await,
            None => call.await,
        }
    }

    /// Notes what an answer says of itself. Tokens of 0 were not counted.
    pub(super) fn answered(&self, answer: &Completion) {
        let Some(context) = &self.0 else { return };
        let word = |name, word: &Option<String>| Some(KeyValue::new(name, word.clone()?));
        let count = |name, tokens: u64| (tokens > 0).then(|| KeyValue::new(name, tokens as i64));
        let finish = answer.finish.map(|word| Value::Array(vec![StringValue::from(word)].into()));
        let known = [
            word("gen_ai.response.id", &answer.id),
            word("gen_ai.response.model", &answer.model),
            finish.map(|words| KeyValue::new("gen_ai.response.finish_reasons", words)),
            count("gen_ai.usage.input_tokens", answer.prompt_tokens),
            count("gen_ai.usage.output_tokens", answer.completion_tokens),
        ];
        context.span().set_attributes(known.into_iter().flatten());
    }

    /// Ends it; `error` is one of a few words where there is one.
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

/// What a call asks for beside its messages.
pub(super) struct Asked {
    pub(super) temperature: Option<f64>,
    pub(super) most_tokens: u32,
    /// Whether the answer must be JSON.
    pub(super) is_json: bool,
    pub(super) is_stream: bool,
}

impl Asked {
    /// Notes it in the span of the call that is being made.
    pub(super) fn note(&self) {
        traces::note(|| {
            let known = [
                self.temperature.map(|value| KeyValue::new("gen_ai.request.temperature", value)),
                Some(KeyValue::new("gen_ai.request.max_tokens", i64::from(self.most_tokens))),
                self.is_json.then(|| KeyValue::new("gen_ai.output.type", "json")),
                self.is_stream.then(|| KeyValue::new("gen_ai.request.stream", true)),
            ];
            known.into_iter().flatten()
        });
    }
}
