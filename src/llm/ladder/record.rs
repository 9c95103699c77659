//! What is told of one call: metrics, its span, the log, and whoever hears it.

use tokio::time::Instant;
use tracing::debug;

use crate::llm::span::CallSpan;
use crate::llm::{CallError, Completion, Ear, Question};
use crate::metrics::Metrics;

use super::Rung;

/// Counts a call when it is over, also when nobody waits for it any more, and tells who hears it.
pub(super) struct CallRecord<'a> {
    metrics: &'a Metrics,
    rung: &'a Rung,
    span: CallSpan,
    began: Instant,
    outcome: &'static str,
    ear: Option<Ear>,
}

impl<'a> CallRecord<'a> {
    /// One call, counted and timed however it ends.
    pub(super) async fn of(
        metrics: &'a Metrics,
        rung: &'a Rung,
        question: &'a Question,
        ear: Option<Ear>,
    ) -> Result<Completion, CallError> {
        let mut record = Self {
            metrics,
            rung,
            span: CallSpan::begin(rung.model.name(), rung.model.server()),
            began: Instant::now(),
            outcome: "abandoned",
            ear: ear.clone(),
        };
        let result = record.span.around(rung.model.call(question, ear)).await;
        record.outcome = result.as_ref().map_or_else(|error| error.failure.as_str(), |_| "ok");
        if let Ok(answer) = &result {
            record.answered(answer);
        }
        debug!(model = %rung.model.name(), outcome = record.outcome, ms = record.began.elapsed().as_secs_f64() * 1_000.0, "LLM call ended");
        result
    }

    fn answered(&self, answer: &Completion) {
        let took = self.began.elapsed();
        self.rung.pace.answered_in(took);
        let (input, output) = (answer.prompt_tokens, answer.completion_tokens);
        self.rung.metrics.answered(answer.model.as_deref(), took, input, output);
        self.span.answered(answer);
    }
}

impl Drop for CallRecord<'_> {
    fn drop(&mut self) {
        let (took, is_answered) = (self.began.elapsed(), self.outcome == "ok");
        self.metrics.llm_call(self.rung.model.name(), self.outcome, took);
        if !is_answered {
            self.rung.metrics.failed(self.outcome, took);
        }
        self.span.end((!is_answered).then_some(self.outcome));
        if let Some(ear) = &self.ear {
            ear.call_ends(is_answered);
        }
    }
}
