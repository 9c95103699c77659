//! How often which model is called: tries, waits, breakers and the next model, all inside one deadline.

mod record;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::warn;

use crate::domain::prices::{self, Price, PriceList};
use crate::resilience::breaker::BreakerState;
use crate::resilience::{Backoff, Breaker, RetryBudget};
use crate::telemetry::metrics::{Metrics, ModelMetrics};

use super::{CallError, CallFailure, CallObserver, ChatModel, Completion, LlmError, Prompt, StreamObserver};

use record::CallRecord;

/// With less time left than this, another call is not begun.
const WORTH_A_CALL: Duration = Duration::from_millis(10);
/// The first wait is drawn from zero to this.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// No wait of ours is longer; a server may ask for more.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// How patient the chain is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallPolicy {
    /// Calls of one model for one request that may fail, and answers that it may be asked for, at least 1.
    pub max_attempts: u32,
    /// Failed requests in a row that open a model's breaker.
    pub breaker_threshold: u32,
    /// How long an open breaker leaves a model alone.
    pub breaker_reset: Duration,
    /// A time-out counts as a failure of the model only when it had at least this long.
    pub fair_time: Duration,
}

/// What the calls for one request came to, failed ones included.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct UsageTotals {
    /// Calls made.
    pub attempts: u32,
    /// Prompt tokens of the calls that were answered.
    pub prompt_tokens: u64,
    /// Completion tokens of them.
    pub completion_tokens: u64,
    /// What those of them cost of which that is known, in US dollars.
    known_cost_usd: f64,
    /// Whether there are others.
    has_unknown_cost: bool,
}

impl UsageTotals {
    /// What the answered calls cost, in US dollars; `None` when that of one is not known. Calls that failed or
    /// were given up count as free.
    pub fn cost_usd(&self) -> Option<f64> {
        (!self.has_unknown_cost).then(|| prices::told(self.known_cost_usd))
    }

    /// Adds an answered call. Servers may say anything of its tokens.
    pub(crate) fn add(&mut self, prompt_tokens: u64, completion_tokens: u64, cost_usd: Option<f64>) {
        self.prompt_tokens = self.prompt_tokens.saturating_add(prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(completion_tokens);
        self.known_cost_usd += cost_usd.unwrap_or_default();
        self.has_unknown_cost |= cost_usd.is_none();
    }
}

/// Models in the order in which they are tried.
pub struct FallbackChain {
    rungs: Vec<ModelEntry>,
    policy: CallPolicy,
    budget: RetryBudget,
    metrics: Arc<Metrics>,
}

struct ModelEntry {
    model: Box<dyn ChatModel>,
    breaker: Breaker,
    pace: Pace,
    price: Option<Price>,
    metrics: ModelMetrics,
}

/// How long a model's slower answers take, as seen lately; zero until it has answered.
#[derive(Debug, Default)]
struct Pace(Mutex<Duration>);

/// One request's time with one model, in which it may be asked several things one after the other.
pub struct ModelSession<'a> {
    chain: &'a FallbackChain,
    model_entry: &'a ModelEntry,
    is_first: bool,
    is_last: bool,
    deadline: Instant,
    observer: Option<Arc<dyn StreamObserver>>,
    /// Calls that may still fail.
    tries_left: u32,
    answers: u32,
    /// How long the last answer took.
    took: Duration,
}

/// What follows a failed call.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    TryAfter(Duration),
    GiveUp(LlmError),
}

impl FallbackChain {
    /// A chain of `models`, of which there must be at least one.
    pub fn new(
        models: Vec<Box<dyn ChatModel>>,
        prices: &PriceList,
        policy: CallPolicy,
        metrics: Arc<Metrics>,
    ) -> Self {
        let model_entry = |model: Box<dyn ChatModel>| ModelEntry {
            price: prices.get(model.name()).cloned(),
            metrics: metrics.gen_ai.for_model(model.name(), model.server()),
            model,
            breaker: Breaker::new(policy.breaker_threshold, policy.breaker_reset),
            pace: Pace::default(),
        };
        let rungs = models.into_iter().map(model_entry).collect();
        Self { rungs, policy, budget: RetryBudget::default(), metrics }
    }

    /// The model that is tried first.
    pub fn first_model(&self) -> &Arc<str> {
        self.rungs[0].model.name()
    }

    /// Whether some model would be called now: believed to answer, or due for a probe.
    pub fn is_healthy(&self) -> bool {
        self.rungs.iter().any(|model_entry| model_entry.breaker.would_admit())
    }

    /// Each model and the state of its breaker.
    pub fn breakers(&self) -> impl Iterator<Item = (&str, BreakerState)> {
        self.rungs.iter().map(|model_entry| (&**model_entry.model.name(), model_entry.breaker.state()))
    }

    /// The models in order for one request that ends at `deadline`; each one's time begins when it is taken.
    pub fn sessions(&self, deadline: Instant) -> impl Iterator<Item = ModelSession<'_>> {
        self.rungs.iter().enumerate().map(move |(index, model_entry)| {
            let is_last = index + 1 == self.rungs.len();
            ModelSession {
                chain: self,
                model_entry,
                is_first: index == 0,
                is_last,
                deadline: time_for_model(Instant::now(), deadline, is_last),
                observer: None,
                tries_left: self.policy.max_attempts,
                answers: 0,
                took: Duration::ZERO,
            }
        })
    }
}

impl ModelSession<'_> {
    /// Whose session it is.
    pub fn model(&self) -> &Arc<str> {
        self.model_entry.model.name()
    }

    /// With `observer` hearing every answer while it is written.
    #[must_use]
    pub fn observed_by(self, observer: Option<Arc<dyn StreamObserver>>) -> Self {
        Self { observer, ..self }
    }

    /// Whether this model may be asked something else now: within the limit of calls, and with time for an
    /// answer that takes half as long as the last.
    pub fn may_ask_again(&self) -> bool {
        self.answers < self.chain.policy.max_attempts && self.time_left() > WORTH_A_CALL.max(self.took / 2)
    }

    /// Asks until the model answers or is given up. `usage_totals` counts along, whatever the end.
    ///
    /// # Errors
    /// Why there is no answer, at the deadline at the latest.
    pub async fn ask(
        &mut self,
        prompt: &Prompt,
        usage_totals: &mut UsageTotals,
    ) -> Result<Completion, LlmError> {
        let entry = self
            .model_entry
            .breaker
            .enter()
            .map_err(|wait| LlmError::Unavailable { cause: None, retry_after: Some(wait) })?;
        if self.is_first && self.answers == 0 {
            self.chain.budget.pay_in();
        }
        let began = Instant::now();
        // Whoever may ask at all may call once, however many calls failed before.
        self.tries_left = self.tries_left.max(1);
        match self.call_until_answered(prompt, usage_totals).await {
            Ok(completion) => {
                entry.succeed();
                self.answers += 1;
                self.took = began.elapsed();
                Ok(completion)
            }
            Err((failure, why)) => {
                if !failure.is_transient() {
                    // It answered, if only to refuse.
                    entry.succeed();
                } else if failure != CallFailure::Timeout || began.elapsed() >= self.chain.policy.fair_time {
                    entry.fail();
                }
                Err(why)
            }
        }
    }

    async fn call_until_answered(
        &mut self,
        prompt: &Prompt,
        usage_totals: &mut UsageTotals,
    ) -> Result<Completion, (CallFailure, LlmError)> {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        // A call that takes long stays under way while another is tried beside it.
        let mut calls = FuturesUnordered::new();
        loop {
            let left = self.time_left();
            if left < WORTH_A_CALL {
                return Err((CallFailure::Timeout, LlmError::Deadline));
            }
            let is_only_try = self.tries_left <= 1 || !self.is_last || !calls.is_empty();
            if self.tries_left > 0 {
                usage_totals.attempts += 1;
                let observer =
                    self.observer.clone().map(|observer| CallObserver::new(observer, usage_totals.attempts));
                calls.push(CallRecord::of(&self.chain.metrics, self.model_entry, prompt, observer));
            }
            let patience =
                Instant::now() + time_for_attempt(left, is_only_try, self.model_entry.pace.usual());
            let error = match timeout_at(patience, calls.next()).await {
                Ok(Some(Ok(completion))) => {
                    self.charge(&completion, usage_totals);
                    return Ok(completion);
                }
                Ok(Some(Err(error))) => error,
                Ok(None) | Err(_) => CallFailure::Timeout.into(),
            };
            match self.after(&error, backoff.next_wait()) {
                Next::TryAfter(wait) => {
                    let until = Instant::now() + wait;
                    // A call that takes long may answer meanwhile.
                    if !calls.is_empty()
                        && let Ok(Some(Ok(completion))) = timeout_at(until, calls.next()).await
                    {
                        self.charge(&completion, usage_totals);
                        return Ok(completion);
                    }
                    sleep_until(until).await;
                }
                // The call that takes long may still answer.
                Next::GiveUp(_) if error.failure.is_transient() && !calls.is_empty() => self.tries_left = 0,
                Next::GiveUp(why) => return Err((error.failure, why)),
            }
        }
    }

    /// Counts what an answer took, for the request and for the model.
    fn charge(&self, completion: &Completion, usage_totals: &mut UsageTotals) {
        let (prompt, answer) = (completion.prompt_tokens, completion.completion_tokens);
        let cost = self.model_entry.price.as_ref().and_then(|price| price.of(prompt, answer));
        usage_totals.add(prompt, answer, cost);
        self.chain.metrics.record_llm_usage(self.model(), prompt, answer, cost);
    }

    /// What to do after a failed call, counted and logged.
    fn after(&mut self, error: &CallError, backoff: Duration) -> Next {
        let (failure, metrics) = (error.failure, &self.chain.metrics);
        let mut next = decide(error, self.tries_left.saturating_sub(1), self.time_left(), backoff);
        if let CallFailure::NotTaken(feature) = failure {
            // Asking in another form is not another try at the same thing.
            metrics.record_downgrade(self.model(), feature.as_str());
        } else {
            self.tries_left = self.tries_left.saturating_sub(1);
            if matches!(next, Next::TryAfter(_)) {
                if self.chain.budget.take() {
                    metrics.record_retry(failure.as_str());
                } else {
                    metrics.record_retry_budget_exhausted();
                    next = Next::GiveUp(unavailable(error));
                }
            }
        }
        let retrying = matches!(next, Next::TryAfter(_));
        warn!(model = %self.model(), failure = failure.as_str(), retrying, "LLM call failed");
        next
    }

    fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// Until when a model may try: the last to the deadline; one before it leaves two fifths to those behind.
fn time_for_model(now: Instant, deadline: Instant, is_last: bool) -> Instant {
    if is_last { deadline } else { now + deadline.saturating_duration_since(now).mul_f64(0.6) }
}

/// How long a call is waited for before another is made beside it, so that one silent connection does not
/// eat the time for another try: half as long again as the model usually takes, but between two fifths
/// and three quarters of what is left; where nothing is usual yet, the latter.
fn time_for_attempt(left: Duration, is_only_try: bool, usual: Duration) -> Duration {
    let longest = left.mul_f64(0.75);
    match usual {
        _ if is_only_try => left,
        Duration::ZERO => longest,
        usual => usual.mul_f64(1.5).clamp(left.mul_f64(0.4), longest),
    }
}

impl Pace {
    /// A slower answer counts at once; a slow one is forgotten over some dozens of quicker ones.
    fn answered_in(&self, took: Duration) {
        let mut usual = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *usual = took.max(usual.mul_f64(0.97));
    }

    fn usual(&self) -> Duration {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether to call the same model again after `error`, with `left` until the deadline.
fn decide(error: &CallError, tries_left: u32, left: Duration, backoff: Duration) -> Next {
    let failure = error.failure;
    if matches!(failure, CallFailure::NotTaken(_)) {
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
        return Next::GiveUp(unavailable(error));
    }
    Next::TryAfter(wait)
}

fn unavailable(error: &CallError) -> LlmError {
    LlmError::Unavailable { cause: Some(error.failure), retry_after: error.retry_after }
}

#[cfg(test)]
mod tests;
