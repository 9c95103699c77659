//! Records of one call: metrics, its span, the log, and its observer.

use tokio::time::Instant;
use tracing::debug;

use crate::llm::span::CallSpan;
use crate::llm::{CallError, CallObserver, Completion, Prompt};
use crate::telemetry::metrics::Metrics;

use super::ModelEntry;

/// Counts a call when it ends, also when it is dropped, and notifies its observer.
pub(super) struct CallRecord<'a> {
    metrics: &'a Metrics,
    model_entry: &'a ModelEntry,
    span: CallSpan,
    began: Instant,
    outcome: &'static str,
    observer: Option<CallObserver>,
}

impl<'a> CallRecord<'a> {
    /// Makes one call, counted and timed however it ends.
    pub(super) async fn call(
        metrics: &'a Metrics,
        model_entry: &'a ModelEntry,
        prompt: &'a Prompt,
        observer: Option<CallObserver>,
    ) -> Result<Completion, CallError> {
        let mut record = Self {
            metrics,
            model_entry,
            span: CallSpan::begin(model_entry.model.name(), model_entry.model.server()),
            began: Instant::now(),
            outcome: "abandoned",
            observer: observer.clone(),
        };
        let result = record.span.around(model_entry.model.call(prompt, observer)).await;
        record.outcome = result.as_ref().map_or_else(|error| error.failure.as_str(), |_| "ok");
        if let Ok(answer) = &result {
            record.answered(answer);
        }
        debug!(model = %model_entry.model.name(), outcome = record.outcome, ms = record.began.elapsed().as_secs_f64() * 1_000.0, "LLM call ended");
        result
    }

    fn answered(&self, answer: &Completion) {
        let took = self.began.elapsed();
        self.model_entry.pace.answered_in(took);
        let (input, output) = (answer.prompt_tokens, answer.completion_tokens);
        self.model_entry.metrics.record_answer(answer.model.as_deref(), took, input, output);
        self.span.answered(answer);
    }
}

impl Drop for CallRecord<'_> {
    fn drop(&mut self) {
        let (took, is_answered) = (self.began.elapsed(), self.outcome == "ok");
        self.metrics.record_llm_call(self.model_entry.model.name(), self.outcome, took);
        if !is_answered {
            self.model_entry.metrics.record_failure(self.outcome, took);
        }
        self.span.end((!is_answered).then_some(self.outcome));
        if let Some(observer) = &self.observer {
            observer.on_end(is_answered);
        }
    }
}
