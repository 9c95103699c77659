//! How often which model is called: tries, waits, breakers and the next model, all inside one deadline.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{debug, warn};

use crate::metrics::Metrics;
use crate::resilience::{Backoff, Breaker};

use super::{CallError, CallFailure, ChatModel, Completion, LlmError, Question};

/// With less time left than this, another call is not begun.
const WORTH_A_CALL: Duration = Duration::from_millis(10);
/// The first wait is drawn from zero to this.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// No wait of ours is longer; a server may ask for more.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// How patient the ladder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallPolicy {
    /// Calls of one model for one request, at least 1.
    pub max_attempts: u32,
    /// Failed requests in a row that open a model's breaker.
    pub breaker_threshold: u32,
    /// How long an open breaker leaves a model alone.
    pub breaker_reset: Duration,
    /// A time-out counts as a failure of the model only when it had at least this long.
    pub fair_time: Duration,
}

/// What the calls for one request came to, failed ones included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls made.
    pub attempts: u32,
    /// Prompt tokens of the calls that were answered.
    pub prompt_tokens: u64,
    /// Completion tokens of them.
    pub completion_tokens: u64,
}

/// An answer and who gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What was said.
    pub completion: Completion,
    /// By which model.
    pub model: Arc<str>,
}

/// Models in the order in which they are tried.
pub struct Ladder {
    rungs: Vec<Rung>,
    policy: CallPolicy,
    metrics: Arc<Metrics>,
}

struct Rung {
    model: Box<dyn ChatModel>,
    breaker: Breaker,
}

/// What follows a failed call.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    TryAfter(Duration),
    GiveUp(LlmError),
}

impl Ladder {
    /// A ladder of `models`, of which there must be at least one.
    pub fn new(models: Vec<Box<dyn ChatModel>>, policy: CallPolicy, metrics: Arc<Metrics>) -> Self {
        let rung =
            |model| Rung { model, breaker: Breaker::new(policy.breaker_threshold, policy.breaker_reset) };
        Self { rungs: models.into_iter().map(rung).collect(), policy, metrics }
    }

    /// The model that is tried first.
    pub fn first_model(&self) -> &Arc<str> {
        self.rungs[0].model.name()
    }

    /// Whether some model would be called now: believed to answer, or due for a probe.
    pub fn is_well(&self) -> bool {
        self.rungs.iter().any(|rung| rung.breaker.would_admit())
    }

    /// Asks the models in order until one answers. `tally` counts along, whatever the end.
    ///
    /// # Errors
    /// Why none did, at `deadline` at the latest. An outage, which passes, is said rather than a refusal.
    pub async fn ask(
        &self,
        question: &Question,
        deadline: Instant,
        tally: &mut Tally,
    ) -> Result<Answer, LlmError> {
        let mut said: Option<LlmError> = None;
        for (index, rung) in self.rungs.iter().enumerate() {
            let is_last = index + 1 == self.rungs.len();
            match self.climb(rung, is_last, question, deadline, tally).await {
                Ok(completion) => return Ok(Answer { completion, model: rung.model.name().clone() }),
                Err(error) => said = Some(worth_saying(said, error)),
            }
        }
        Err(said.unwrap_or(LlmError::Unavailable { cause: None, retry_after: None }))
    }

    /// Calls one model until it answers or is given up.
    async fn climb(
        &self,
        rung: &Rung,
        is_last: bool,
        question: &Question,
        deadline: Instant,
        tally: &mut Tally,
    ) -> Result<Completion, LlmError> {
        let entry = rung
            .breaker
            .enter()
            .map_err(|wait| LlmError::Unavailable { cause: None, retry_after: Some(wait) })?;
        let began = Instant::now();
        let deadline = time_for_model(began, deadline, is_last);
        let time_left = || deadline.saturating_duration_since(Instant::now());
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let mut tries_left = self.policy.max_attempts;
        // A call that takes long stays under way while another is tried beside it.
        let mut calls = FuturesUnordered::new();
        let (failure, why) = loop {
            let left = time_left();
            if left < WORTH_A_CALL {
                break (CallFailure::Timeout, LlmError::Deadline);
            }
            let is_only_try = tries_left <= 1 || !is_last || !calls.is_empty();
            if tries_left > 0 {
                tally.attempts += 1;
                calls.push(self.call(rung, question));
            }
            let patience = Instant::now() + time_for_attempt(left, is_only_try);
            let error = match timeout_at(patience, calls.next()).await {
                Ok(Some(Ok(completion))) => {
                    entry.succeed();
                    tally.prompt_tokens += completion.prompt_tokens;
                    tally.completion_tokens += completion.completion_tokens;
                    return Ok(completion);
                }
                Ok(Some(Err(error))) => error,
                Ok(None) | Err(_) => CallFailure::Timeout.into(),
            };
            // Asking in another form is not another try at the same thing.
            if error.failure != CallFailure::FormatRefused {
                tries_left = tries_left.saturating_sub(1);
            }
            let next = decide(&error, tries_left, time_left(), backoff.next_wait());
            warn!(
                model = %rung.model.name(),
                failure = error.failure.as_str(),
                attempt = tally.attempts,
                retrying = matches!(next, Next::TryAfter(_)),
                "LLM call failed"
            );
            match next {
                Next::TryAfter(wait) => sleep(wait).await,
                // The call that takes long may still answer.
                Next::GiveUp(_) if error.failure.is_transient() && !calls.is_empty() => tries_left = 0,
                Next::GiveUp(why) => break (error.failure, why),
            }
        };
        if !failure.is_transient() {
            // It answered, if only to refuse.
            entry.succeed();
        } else if failure != CallFailure::Timeout || began.elapsed() >= self.policy.fair_time {
            entry.fail();
        }
        Err(why)
    }

    /// One call, counted and timed however it ends.
    async fn call(&self, rung: &Rung, question: &Question) -> Result<Completion, CallError> {
        let mut record = CallRecord {
            metrics: &self.metrics,
            model: rung.model.name(),
            began: Instant::now(),
            outcome: "abandoned",
        };
        let result = rung.model.call(question).await;
        record.outcome = result.as_ref().map_or_else(|error| error.failure.as_str(), |_| "ok");
        debug!(model = %record.model, outcome = record.outcome, ms = record.began.elapsed().as_millis(), "LLM call ended");
        result
    }
}

/// Counts a call when it is over, also when nobody waits for it any more.
struct CallRecord<'a> {
    metrics: &'a Metrics,
    model: &'a str,
    began: Instant,
    outcome: &'static str,
}

impl Drop for CallRecord<'_> {
    fn drop(&mut self) {
        self.metrics.llm_call(self.model, self.outcome, self.began.elapsed());
    }
}

/// Until when a model may try: the last to the deadline; one before it leaves two fifths to those behind.
fn time_for_model(now: Instant, deadline: Instant, is_last: bool) -> Instant {
    if is_last { deadline } else { now + deadline.saturating_duration_since(now).mul_f64(0.6) }
}

/// How long a call is waited for before another is made beside it: three quarters of what is left, so
/// that one silent connection does not eat the time for another try.
fn time_for_attempt(left: Duration, is_only_try: bool) -> Duration {
    if is_only_try { left } else { left.mul_f64(0.75) }
}

/// Whether to call the same model again after `error`, with `left` until the deadline.
fn decide(error: &CallError, tries_left: u32, left: Duration, backoff: Duration) -> Next {
    let failure = error.failure;
    if failure == CallFailure::FormatRefused {
        return Next::TryAfter(Duration::ZERO);
    }
    if !failure.is_transient() {
        return Next::GiveUp(LlmError::Refused(failure));
    }
    let wait = match failure {
        CallFailure::Timeout if left < WORTH_A_CALL => return Next::GiveUp(LlmError::Deadline),
        // It has been waited for long enough.
        CallFailure::Timeout => Duration::ZERO,
        _ => backoff.max(error.retry_after.unwrap_or_default()),
    };
    if tries_left == 0 || wait + WORTH_A_CALL > left {
        return Next::GiveUp(LlmError::Unavailable { cause: Some(failure), retry_after: error.retry_after });
    }
    Next::TryAfter(wait)
}

/// Of two reasons the one that helps the caller more: an outage passes, a refusal does not; of two
/// outages the one that says when. That the time ran out says least.
fn worth_saying(first: Option<LlmError>, second: LlmError) -> LlmError {
    match (first, second) {
        (Some(first @ LlmError::Unavailable { .. }), LlmError::Refused(_) | LlmError::Deadline) => first,
        (
            Some(LlmError::Unavailable { cause: a, retry_after: Some(first) }),
            LlmError::Unavailable { cause: b, retry_after },
        ) => LlmError::Unavailable {
            cause: b.or(a),
            retry_after: Some(retry_after.map_or(first, |second| second.min(first))),
        },
        (_, second) => second,
    }
}

#[cfg(test)]
mod tests;
