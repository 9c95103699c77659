//! Which models are called how often: retries, hedging, breakers and the next model, all inside one deadline.

mod decision;
mod record;
#[cfg(test)]
mod tests;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until, timeout_at};
use tower::retry::budget::{Budget, TpsBudget};
use tracing::warn;

use crate::domain::prices::{Price, PriceList};
use crate::domain::problem::Upstream;
use crate::resilience::breaker::{BreakerState, Permit};
use crate::resilience::{Backoff, Breaker};
use crate::telemetry::metrics::{Metrics, ModelMetrics};

use super::spend::{Reservation, SpendLimit, Spending};
use super::{
    BoxFuture, CallError, CallFailure, CallObserver, ChatModel, Completion, LlmError, Prompt, StreamObserver,
};

use decision::{FollowUp, ModelPace, decide, hedge_after, is_short, model_deadline, unavailable, was_fair};
use record::CallRecord;
pub use usage::UsageTotals;

/// With less time left than this, no further call is started.
const MIN_CALL_TIME: Duration = Duration::from_millis(10);
/// The first wait is drawn from zero to this.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// Longest wait of our own; a server may ask for more.
const MAX_WAIT: Duration = Duration::from_secs(4);
/// The retry budget: this many retries a second for services with little traffic, and one for five first calls, each
/// counted over a window. So an outage does not multiply the calls.
const BUDGET_WINDOW: Duration = Duration::from_secs(20);
const BUDGET_PER_SECOND: u32 = 1;
const BUDGET_SHARE: f32 = 0.2;

/// Limits of calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallPolicy {
    /// The most calls of one model for one request that may fail, and the most answers asked for; at least 1.
    pub max_attempts: u32,
    /// Failed requests in a row that open a model's breaker.
    pub breaker_threshold: u32,
    /// How long a breaker stays open until one probe.
    pub breaker_reset: Duration,
    /// The time that the service grants a request. Time-outs of a request with less are not the model's failure.
    pub request_time: Duration,
}

/// Models in the order in which they are tried.
pub struct FallbackChain {
    models: Vec<ModelEntry>,
    policy: CallPolicy,
    budget: TpsBudget,
    spending: Option<Box<Spending>>,
    metrics: Arc<Metrics>,
}

struct ModelEntry {
    model: Box<dyn ChatModel>,
    breaker: Breaker,
    pace: ModelPace,
    price: Option<Price>,
    metrics: ModelMetrics,
}

/// One request's time with one model, which may be asked several prompts one after the other.
pub struct ModelSession<'a> {
    chain: &'a FallbackChain,
    model_entry: &'a ModelEntry,
    is_first: bool,
    is_last: bool,
    /// Whether the caller's deadline is shorter than the service's own.
    is_short: bool,
    deadline: Instant,
    observer: Option<Arc<dyn StreamObserver>>,
    /// How many more calls may fail.
    attempts_left: u32,
    answers: u32,
    /// How long the last answer took.
    took: Duration,
}

impl FallbackChain {
    /// A chain of `models`, which must not be empty.
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
            pace: ModelPace::default(),
        };
        let models = models.into_iter().map(model_entry).collect();
        let budget = TpsBudget::new(BUDGET_WINDOW, BUDGET_PER_SECOND, BUDGET_SHARE);
        Self { models, policy, budget, spending: None, metrics }
    }

    /// The same chain, whose calls are counted against `limit`. Calls of models without a price count at that of
    /// `highest_price`; answers have `max_tokens` at most.
    #[must_use]
    pub fn with_spend_limit(self, limit: Arc<dyn SpendLimit>, highest_price: Price, max_tokens: u32) -> Self {
        Self { spending: Some(Box::new(Spending { limit, highest_price, max_tokens })), ..self }
    }

    /// The model that is tried first.
    pub fn first_model(&self) -> &Arc<str> {
        self.models[0].model.name()
    }

    /// Whether some model would be called now, if only as a probe.
    pub fn is_healthy(&self) -> bool {
        self.models.iter().any(|model_entry| model_entry.breaker.would_admit())
    }

    /// Each model and the state of its breaker.
    pub fn breakers(&self) -> impl Iterator<Item = (&str, BreakerState)> {
        self.models.iter().map(|model_entry| (&**model_entry.model.name(), model_entry.breaker.state()))
    }

    /// The models in order for one request that ends at `deadline`; each one's time starts when it is taken.
    pub fn sessions(&self, deadline: Instant) -> impl Iterator<Item = ModelSession<'_>> {
        let is_short = is_short(deadline.saturating_duration_since(Instant::now()), self.policy.request_time);
        self.models.iter().enumerate().map(move |(index, model_entry)| {
            let is_last = index + 1 == self.models.len();
            ModelSession {
                chain: self,
                model_entry,
                is_first: index == 0,
                is_last,
                is_short,
                deadline: model_deadline(Instant::now(), deadline, is_last),
                observer: None,
                attempts_left: self.policy.max_attempts,
                answers: 0,
                took: Duration::ZERO,
            }
        })
    }
}

/// The calls in flight: mostly one, and more while a slow one is hedged.
type Calls<'a> = FuturesUnordered<BoxFuture<'a, Result<Completion, CallError>>>;

/// The failure of the last call, if there was one, and why there is no answer.
type NoAnswer = (Option<CallFailure>, LlmError);

impl<'a> ModelSession<'a> {
    /// The model's name.
    pub fn model(&self) -> &'a Arc<str> {
        self.model_entry.model.name()
    }

    /// With `observer` receiving every answer as it arrives.
    #[must_use]
    pub fn observed_by(self, observer: Option<Arc<dyn StreamObserver>>) -> Self {
        Self { observer, ..self }
    }

    /// Whether this model may be asked another prompt now: within the limit of answers, and with time for an answer
    /// that takes half as long as the last.
    pub fn may_ask_again(&self) -> bool {
        self.answers < self.chain.policy.max_attempts && self.time_left() > MIN_CALL_TIME.max(self.took / 2)
    }

    /// Asks until the model answers or has failed. All calls are added to `usage_totals`.
    ///
    /// # Errors
    /// Why there is no answer, at the deadline at the latest.
    pub async fn ask<'p>(
        &mut self,
        prompt: &'p Prompt,
        usage_totals: &mut UsageTotals,
    ) -> Result<Completion, LlmError>
    where
        'a: 'p,
    {
        let permit = self
            .model_entry
            .breaker
            .acquire()
            .map_err(|wait| LlmError::Unavailable { cause: None, retry_after: Some(wait) })?;
        if self.is_first && self.answers == 0 {
            self.chain.budget.deposit();
        }
        // A model that may be asked at all may be called once, no matter how many calls failed before.
        self.attempts_left = self.attempts_left.max(1);
        let began = Instant::now();
        let result = self.call_within_deadline(prompt, usage_totals).await;
        self.took = began.elapsed();
        self.report(permit, &result);
        if result.is_ok() {
            self.answers += 1;
        }
        result.map_err(|(_, why)| why)
    }

    /// Tells the breaker how the calls ended.
    fn report(&self, permit: Permit<'_>, result: &Result<Completion, NoAnswer>) {
        match result.as_ref().map_err(|(failure, _)| *failure) {
            Ok(_) => permit.succeed(),
            // No call was made. The permit is dropped, which decides nothing.
            Err(None) => {}
            // The server answered, if only to refuse.
            Err(Some(failure)) if !failure.is_transient() => permit.succeed(),
            // A caller's short deadline is not the model's failure. The permit is dropped, which decides nothing.
            Err(Some(CallFailure::Timeout))
                if self.is_short || !was_fair(self.took, self.chain.policy.request_time) => {}
            Err(Some(_)) => permit.fail(),
        }
    }

    /// The deadline.
    async fn call_within_deadline<'p>(
        &mut self,
        prompt: &'p Prompt,
        usage_totals: &mut UsageTotals,
    ) -> Result<Completion, NoAnswer>
    where
        'a: 'p,
    {
        let (deadline, model) = (self.deadline, self.model());
        let result = timeout_at(deadline, self.call_with_retries(prompt, usage_totals)).await;
        result.unwrap_or_else(|_| {
            warn!(model = %model, failure = CallFailure::Timeout.as_str(), retrying = false, "LLM call failed");
            Err((Some(CallFailure::Timeout), LlmError::Deadline))
        })
    }

    /// Retries: calls until one is answered or [`decide`] gives up. Calls that are slow stay in flight.
    async fn call_with_retries<'p>(
        &mut self,
        prompt: &'p Prompt,
        usage_totals: &mut UsageTotals,
    ) -> Result<Completion, NoAnswer>
    where
        'a: 'p,
    {
        let mut backoff = Backoff::new(FIRST_WAIT, MAX_WAIT);
        let mut calls = Calls::new();
        loop {
            if self.time_left() < MIN_CALL_TIME {
                return Err((Some(CallFailure::Timeout), LlmError::Deadline));
            }
            let may_hedge = self.attempts_left > 1 && self.is_last && calls.is_empty();
            let reservation = match self.reserve(prompt).await {
                Ok(reservation) => reservation,
                // Calls in flight are counted already.
                Err(refused) => {
                    let completion = self.last_answer(&mut calls, refused).await?;
                    return Ok(self.charge(completion, usage_totals));
                }
            };
            calls.push(self.call(prompt, usage_totals, reservation));
            let error = match self.answer_or_hedge(&mut calls, may_hedge).await {
                Ok(completion) => return Ok(self.charge(completion, usage_totals)),
                Err(error) => error,
            };
            let answered = match self.follow_up(&error, backoff.next_wait()) {
                FollowUp::RetryAfter(wait) => answer_within(&mut calls, wait).await,
                FollowUp::GiveUp(why) if error.failure.is_transient() => {
                    Some(self.last_answer(&mut calls, (Some(error.failure), why)).await?)
                }
                FollowUp::GiveUp(why) => return Err((Some(error.failure), why)),
            };
            if let Some(completion) = answered {
                return Ok(self.charge(completion, usage_totals));
            }
        }
    }

    /// Reserves what a call may cost, where that is limited.
    async fn reserve(&self, prompt: &Prompt) -> Result<Option<Reservation>, NoAnswer> {
        let Some(spending) = &self.chain.spending else { return Ok(None) };
        let reserved = spending.reserve(self.model_entry.price.as_ref(), prompt).await;
        reserved.map(Some).map_err(|retry_after| (None, LlmError::BudgetExhausted { retry_after }))
    }

    /// Starts a call. Its reservation stays counted if the call is abandoned.
    fn call<'p>(
        &self,
        prompt: &'p Prompt,
        usage_totals: &mut UsageTotals,
        reservation: Option<Reservation>,
    ) -> BoxFuture<'p, Result<Completion, CallError>>
    where
        'a: 'p,
    {
        usage_totals.attempts += 1;
        let number = usage_totals.attempts;
        let observer = self.observer.clone().map(|observer| CallObserver::new(observer, number));
        let (chain, model_entry) = (self.chain, self.model_entry);
        Box::pin(async move {
            let result = CallRecord::call(&chain.metrics, model_entry, prompt, observer).await;
            if let Some((spending, reservation)) = chain.spending.as_ref().zip(reservation) {
                spending.settle(reservation, model_entry.price.as_ref(), &result);
            }
            result
        })
    }

    /// Hedging: the next result of `calls`, or a timeout after which another call is made in parallel, so
    /// that one silent connection does not use up the time for a retry.
    async fn answer_or_hedge(&self, calls: &mut Calls<'_>, may_hedge: bool) -> Result<Completion, CallError> {
        let result = if may_hedge {
            let hedge_delay = hedge_after(self.time_left(), self.model_entry.pace.usual());
            timeout_at(Instant::now() + hedge_delay, calls.next()).await.ok().flatten()
        } else {
            calls.next().await
        };
        result.unwrap_or_else(|| Err(CallFailure::Timeout.into()))
    }

    /// The answer of a call that is still in flight after the last retry has failed.
    async fn last_answer(&mut self, calls: &mut Calls<'_>, failed: NoAnswer) -> Result<Completion, NoAnswer> {
        let mut last = failed;
        while let Some(result) = calls.next().await {
            match result {
                Ok(completion) => return Ok(completion),
                Err(error) if error.failure.is_transient() => {
                    last = (Some(error.failure), unavailable(&error));
                }
                Err(error) => return Err((Some(error.failure), LlmError::Refused(error))),
            }
        }
        Err(last)
    }

    /// Adds an answer's tokens and cost to the request's and the model's.
    fn charge(&self, completion: Completion, usage_totals: &mut UsageTotals) -> Completion {
        let (prompt, answer) = (completion.prompt_tokens, completion.completion_tokens);
        let cost = self.model_entry.price.as_ref().and_then(|price| price.of(prompt, answer));
        usage_totals.add(prompt, answer, cost);
        self.chain.metrics.record_llm_usage(self.model(), prompt, answer, cost);
        completion
    }

    /// What follows a failed call: decided, counted and logged.
    fn follow_up(&mut self, error: &CallError, backoff: Duration) -> FollowUp {
        let (failure, metrics) = (error.failure, &self.chain.metrics);
        let next = if let CallFailure::Unsupported(feature) = failure {
            metrics.record_downgrade(self.model(), feature.as_str());
            FollowUp::RetryAfter(Duration::ZERO)
        } else {
            self.attempts_left = self.attempts_left.saturating_sub(1);
            self.within_budget(error, decide(error, self.attempts_left, self.time_left(), backoff))
        };
        let retrying = matches!(next, FollowUp::RetryAfter(_));
        let upstream = error.upstream.as_ref().map(|upstream| &upstream.answer);
        let upstream_status = upstream.map(|upstream| upstream.status);
        let upstream_code = upstream.and_then(|upstream| upstream.code.as_deref());
        let upstream_message = upstream.and_then(Upstream::message);
        warn!(
            model = %self.model(), failure = failure.as_str(), retrying, upstream_status, upstream_code,
            upstream_message, "LLM call failed"
        );
        next
    }

    /// `next`, unless it is a retry and the budget for those is used up.
    fn within_budget(&self, error: &CallError, next: FollowUp) -> FollowUp {
        let metrics = &self.chain.metrics;
        match next {
            FollowUp::RetryAfter(_) if self.chain.budget.withdraw() => {
                metrics.record_retry(error.failure.as_str());
            }
            FollowUp::RetryAfter(_) => {
                metrics.record_retry_budget_exhausted();
                return FollowUp::GiveUp(unavailable(error));
            }
            FollowUp::GiveUp(_) => {}
        }
        next
    }

    fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// Waits until a retry is due, unless a call that is in flight answers before.
async fn answer_within(calls: &mut Calls<'_>, wait: Duration) -> Option<Completion> {
    let until = Instant::now() + wait;
    if !calls.is_empty()
        && let Ok(Some(Ok(completion))) = timeout_at(until, calls.next()).await
    {
        return Some(completion);
    }
    sleep_until(until).await;
    None
}
