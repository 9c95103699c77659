//! The chain with scripted models, under paused time.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde_json::value::RawValue;

use tokio::time::sleep;

use super::*;
use crate::llm::{BoxFuture, Feature, Message, ResponseSchema, Role};

/// What a scripted model does with one call.
#[derive(Clone)]
enum Act {
    Answer(&'static str),
    AnswerAfter(Duration, &'static str),
    Fail(CallFailure),
    FailFor(CallFailure, Duration),
    Hang,
}

struct Scripted {
    name: Arc<str>,
    acts: Arc<Mutex<VecDeque<Act>>>,
}

impl ChatModel for Scripted {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn call<'a>(
        &'a self,
        _: &'a Prompt,
        observer: Option<CallObserver>,
    ) -> BoxFuture<'a, Result<Completion, CallError>> {
        let act = self.acts.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let answer = move |text: &str| {
            if let Some(observer) = &observer {
                observer.on_delta(text);
            }
            Ok(Completion { content: text.into(), prompt_tokens: 10, ..Completion::default() })
        };
        Box::pin(async move {
            match act.expect("another act in the script") {
                Act::Answer(text) => answer(text),
                Act::AnswerAfter(wait, text) => {
                    sleep(wait).await;
                    answer(text)
                }
                Act::Fail(failure) => Err(failure.into()),
                Act::FailFor(failure, wait) => {
                    Err(CallError { retry_after: Some(wait), ..CallError::from(failure) })
                }
                Act::Hang => std::future::pending().await,
            }
        })
    }
}

fn chain(scripts: &[&[Act]]) -> FallbackChain {
    let model = |(index, acts): (usize, &&[Act])| {
        let acts = Arc::new(Mutex::new(acts.iter().cloned().collect()));
        Box::new(Scripted { name: format!("model-{index}").into(), acts }) as Box<dyn ChatModel>
    };
    let policy = CallPolicy {
        max_attempts: 3,
        breaker_threshold: 2,
        breaker_reset: Duration::from_secs(30),
        request_time: Duration::from_secs(10),
    };
    FallbackChain::new(
        scripts.iter().enumerate().map(model).collect(),
        &PriceList::default(),
        policy,
        Metrics::new(),
    )
}

fn prompt() -> Prompt {
    let schema: Arc<RawValue> = RawValue::from_string("{}".into()).expect("JSON").into();
    Prompt {
        messages: vec![Message::new(Role::User, "u")],
        schema: ResponseSchema { name: "plan", tight: schema.clone(), plain: schema },
        min_temperature: 0.0,
    }
}

fn limited_for(wait: Duration) -> LlmError {
    let cause = CallError { retry_after: Some(wait), ..CallError::from(CallFailure::RateLimited) };
    LlmError::Unavailable { cause: Some(cause), retry_after: Some(wait) }
}

type Named = Result<(String, String), LlmError>;

/// Asks one model after the other: the answer's text and model, or the error.
async fn ask_by(chain: &FallbackChain, deadline: Instant, usage_totals: &mut UsageTotals) -> Named {
    let mut failed: Option<LlmError> = None;
    for mut session in chain.sessions(deadline) {
        match session.ask(&prompt(), usage_totals).await {
            Ok(completion) => return Ok((completion.content, session.model().to_string())),
            Err(error) => failed = Some(failed.map_or(error.clone(), |first| first.or_better(error))),
        }
    }
    Err(failed.expect("a model"))
}

/// Asks with 10 s to the deadline, and counts the calls.
async fn ask(chain: &FallbackChain) -> (Named, u32) {
    let mut usage_totals = UsageTotals::default();
    let result = ask_by(chain, Instant::now() + Duration::from_secs(10), &mut usage_totals).await;
    (result, usage_totals.attempts)
}

#[expect(clippy::unnecessary_wraps, reason = "stands beside results in comparisons")]
fn answered(text: &str, model: &str) -> Named {
    Ok((text.into(), model.into()))
}

#[tokio::test(start_paused = true)]
async fn transient_failures_are_retried_within_the_limit() {
    for failure in [
        CallFailure::Connection,
        CallFailure::RateLimited,
        CallFailure::ServerError,
        CallFailure::BrokenStream,
    ] {
        let recovers = chain(&[&[Act::Fail(failure), Act::Fail(failure), Act::Answer("plan")]]);
        assert_eq!(ask(&recovers).await, (answered("plan", "model-0"), 3), "{failure:?}");
        let stays = chain(&[&[Act::Fail(failure), Act::Fail(failure), Act::Fail(failure)]]);
        let error = LlmError::Unavailable { cause: Some(failure.into()), retry_after: None };
        assert_eq!(ask(&stays).await, (Err(error), 3), "{failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn final_failures_are_not_retried() {
    for failure in [
        CallFailure::BadKey,
        CallFailure::NoAccess,
        CallFailure::Forbidden,
        CallFailure::Region,
        CallFailure::UnknownModel,
        CallFailure::NotFound,
        CallFailure::Redirect,
        CallFailure::ContextTooLong,
        CallFailure::MaxTokensTooLarge,
        CallFailure::ContentFilter,
        CallFailure::QuotaExhausted,
        CallFailure::InvalidParameter,
        CallFailure::BadRequest,
    ] {
        let chain = chain(&[&[Act::Fail(failure)]]);
        assert_eq!(ask(&chain).await, (Err(LlmError::Refused(failure.into())), 1), "{failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unsupported_feature_costs_no_attempt() {
    let refused = Act::Fail(CallFailure::Unsupported(Feature::JsonSchema));
    let down = Act::Fail(CallFailure::ServerError);
    let chain = chain(&[&[refused.clone(), refused, down.clone(), down, Act::Answer("plan")]]);
    assert_eq!(ask(&chain).await, (answered("plan", "model-0"), 5));
}

#[tokio::test(start_paused = true)]
async fn the_next_model_answers_for_one_that_fails() {
    let refuses = chain(&[&[Act::Fail(CallFailure::UnknownModel)], &[Act::Answer("plan")]]);
    assert_eq!(ask(&refuses).await, (answered("plan", "model-1"), 2));
    let down = Act::Fail(CallFailure::ServerError);
    let fails = chain(&[&[down.clone(), down.clone(), down], &[Act::Answer("plan")]]);
    assert_eq!(ask(&fails).await, (answered("plan", "model-1"), 4));
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_leaves_time_for_a_retry_and_ends_at_the_deadline() {
    let once = chain(&[&[Act::Hang, Act::Answer("plan")]]);
    assert_eq!(ask(&once).await, (answered("plan", "model-0"), 2));
    let silent = chain(&[&[Act::Hang, Act::Hang, Act::Hang]]);
    let began = Instant::now();
    let (result, _) = ask(&silent).await;
    assert_eq!(result, Err(LlmError::Deadline));
    let took = began.elapsed();
    assert!(took <= Duration::from_millis(10_100) && took > Duration::from_secs(9), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_stays_in_flight_while_another_is_made() {
    let slow = Act::AnswerAfter(Duration::from_secs(9), "slow");
    let beside = chain(&[&[slow.clone(), Act::Hang]]);
    assert_eq!(ask(&beside).await, (answered("slow", "model-0"), 2));
    let down = Act::Fail(CallFailure::ServerError);
    let alone = chain(&[&[slow.clone(), down.clone(), down]]);
    assert_eq!(
        ask(&alone).await,
        (answered("slow", "model-0"), 3),
        "it may still answer when the others have failed"
    );
    let limited = Act::FailFor(CallFailure::RateLimited, Duration::from_secs(2));
    let waiting = chain(&[&[Act::AnswerAfter(Duration::from_millis(7_700), "slow"), limited, Act::Hang]]);
    let began = Instant::now();
    assert_eq!(ask(&waiting).await, (answered("slow", "model-0"), 2), "also while a retry is not yet due");
    assert_eq!(began.elapsed(), Duration::from_millis(7_700));
    let quicker = chain(&[&[slow, Act::Answer("quick")]]);
    assert_eq!(ask(&quicker).await, (answered("quick", "model-0"), 2));
}

#[tokio::test(start_paused = true)]
async fn a_quick_model_is_hedged_sooner() {
    let second = Duration::from_secs(1);
    for (usual, hedge_delay) in
        [(second, 4), (3 * second, 4), (4 * second, 6), (6 * second, 7), (9 * second, 7)]
    {
        let chain = chain(&[&[Act::AnswerAfter(usual, "first"), Act::Hang, Act::Answer("plan")]]);
        if usual == 9 * second {
            // Known from a caller who waits for longer.
            let patient = Instant::now() + Duration::from_secs(60);
            ask_by(&chain, patient, &mut UsageTotals::default()).await.expect("an answer");
        } else {
            ask(&chain).await.0.expect("an answer");
        }
        let began = Instant::now();
        assert_eq!(ask(&chain).await, (answered("plan", "model-0"), 2));
        assert_eq!(began.elapsed().as_secs(), hedge_delay, "{usual:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_model_leaves_time_for_the_next() {
    let next = chain(&[&[Act::Hang], &[Act::AnswerAfter(Duration::from_secs(3), "plan")]]);
    assert_eq!(ask(&next).await, (answered("plan", "model-1"), 2));
    let silent = chain(&[&[Act::Hang], &[Act::Hang, Act::Hang]]);
    let began = Instant::now();
    let (result, _) = ask(&silent).await;
    assert_eq!(result, Err(LlmError::Deadline));
    assert!(began.elapsed() <= Duration::from_millis(10_100));
}

#[tokio::test(start_paused = true)]
async fn a_silent_model_opens_its_breaker() {
    let chain = chain(&[&[Act::Hang, Act::Hang, Act::Hang, Act::Hang]]);
    ask(&chain).await.0.expect_err("silent");
    assert!(chain.is_healthy());
    ask(&chain).await.0.expect_err("silent");
    assert!(!chain.is_healthy());
    tokio::time::advance(Duration::from_secs(31)).await;
    assert!(chain.is_healthy(), "due for a probe");
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured_when_it_fits() {
    let limited = |seconds| Act::FailFor(CallFailure::RateLimited, Duration::from_secs(seconds));
    let fits = chain(&[&[limited(3), Act::Answer("plan")]]);
    let began = Instant::now();
    assert_eq!(ask(&fits).await, (answered("plan", "model-0"), 2));
    assert!(began.elapsed() >= Duration::from_secs(3));

    let too_long = chain(&[&[limited(60)]]);
    let began = Instant::now();
    let error = limited_for(Duration::from_secs(60));
    assert_eq!(ask(&too_long).await, (Err(error), 1));
    assert!(began.elapsed() < Duration::from_millis(100), "not worth waiting for");
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_lets_one_probe_through_after_its_reset() {
    let down = Act::Fail(CallFailure::ServerError);
    let mut script = vec![down; 6];
    script.push(Act::Answer("plan"));
    let chain = chain(&[&script]);
    assert!(chain.is_healthy());
    ask(&chain).await.0.expect_err("down");
    ask(&chain).await.0.expect_err("down");
    assert!(!chain.is_healthy(), "two requests failed in a row");

    let (result, calls) = ask(&chain).await;
    assert!(matches!(result, Err(LlmError::Unavailable { cause: None, retry_after: Some(_) })), "{result:?}");
    assert_eq!(calls, 0, "nothing was sent");

    tokio::time::advance(Duration::from_secs(31)).await;
    assert_eq!(ask(&chain).await, (answered("plan", "model-0"), 1));
    assert!(chain.is_healthy());
}

#[tokio::test(start_paused = true)]
async fn short_deadlines_do_not_open_the_breaker() {
    // The service grants 10 s; three of these are longer than a quarter of that.
    for millis in [12, 1_000, 3_000, 5_000, 8_900] {
        let chain = chain(&[&vec![Act::Hang; 20]]);
        for _ in 0..5 {
            let deadline = Instant::now() + Duration::from_millis(millis);
            let error = ask_by(&chain, deadline, &mut UsageTotals::default()).await.expect_err("no time");
            assert_eq!(error, LlmError::Deadline, "{millis}");
        }
        assert!(chain.is_healthy(), "{millis}");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_fail_together_count_as_one_failure() {
    let chain = chain(&[&vec![Act::Hang; 60]]);
    let together = || futures_util::future::join_all((0..10).map(|_| ask(&chain)));
    together().await;
    assert!(chain.is_healthy(), "the threshold is two");
    together().await;
    assert!(!chain.is_healthy());
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_reported_rather_than_a_refusal() {
    let down = Act::FailFor(CallFailure::RateLimited, Duration::from_secs(99));
    let outage = limited_for(Duration::from_secs(99));
    for scripts in [
        [[down.clone()], [Act::Fail(CallFailure::UnknownModel)]],
        [[Act::Fail(CallFailure::UnknownModel)], [down.clone()]],
    ] {
        let chain = chain(&[&scripts[0], &scripts[1]]);
        assert_eq!(ask(&chain).await.0, Err(outage.clone()));
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_of_all_answers_are_counted() {
    let chain =
        chain(&[&[Act::Fail(CallFailure::Malformed), Act::AnswerAfter(Duration::from_secs(1), "plan")]]);
    let mut usage_totals = UsageTotals::default();
    let deadline = Instant::now() + Duration::from_secs(10);
    ask_by(&chain, deadline, &mut usage_totals).await.expect("an answer");
    assert_eq!(
        (usage_totals.attempts, usage_totals.prompt_tokens, usage_totals.completion_tokens),
        (2, 10, 0)
    );
    assert_eq!(usage_totals.cost_usd(), None, "it was answered, and the model has no price");
}

/// Records what it receives.
#[derive(Default)]
struct Recorder(Mutex<Vec<(u32, String)>>);

impl StreamObserver for Recorder {
    fn on_delta(&self, call: u32, delta: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((call, delta.into()));
    }

    fn on_end(&self, call: u32, is_answered: bool) {
        let end = if is_answered { "(answered)" } else { "(nothing)" };
        self.on_delta(call, end);
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_receives_each_call_and_its_end() {
    let slow = Act::AnswerAfter(Duration::from_secs(9), "slow");
    let chain =
        chain(&[&[Act::Fail(CallFailure::ServerError), slow, Act::Answer("quick"), Act::Answer("more")]]);
    let recorder = Arc::new(Recorder::default());
    let session = chain.sessions(Instant::now() + Duration::from_secs(10)).next().expect("a model");
    let mut session = session.observed_by(Some(recorder.clone()));
    let mut usage_totals = UsageTotals::default();
    for _ in 0..2 {
        session.ask(&prompt(), &mut usage_totals).await.expect("an answer");
    }
    let received = recorder.0.lock().unwrap_or_else(PoisonError::into_inner);
    let received: Vec<_> = received.iter().map(|(call, text)| (*call, text.as_str())).collect();
    assert_eq!(
        received,
        [(1, "(nothing)"), (3, "quick"), (3, "(answered)"), (2, "(nothing)"), (4, "more"), (4, "(answered)")]
    );
}

#[tokio::test(start_paused = true)]
async fn a_model_may_be_asked_again_within_its_calls_and_its_time() {
    let quick = chain(&[&[Act::Answer("one"), Act::Answer("two"), Act::Answer("three")]]);
    let mut session = quick.sessions(Instant::now() + Duration::from_secs(10)).next().expect("a model");
    let mut usage_totals = UsageTotals::default();
    for _ in 0..2 {
        session.ask(&prompt(), &mut usage_totals).await.expect("an answer");
        assert!(session.may_ask_again());
    }
    session.ask(&prompt(), &mut usage_totals).await.expect("an answer");
    assert!(!session.may_ask_again(), "three calls are the limit");

    let slow = chain(&[&[Act::AnswerAfter(Duration::from_secs(7), "one")]]);
    let mut session = slow.sessions(Instant::now() + Duration::from_secs(10)).next().expect("a model");
    session.ask(&prompt(), &mut usage_totals).await.expect("an answer");
    assert!(!session.may_ask_again(), "3 s are left, and the answer took 7");
}

#[tokio::test(start_paused = true)]
async fn an_outage_does_not_multiply_the_calls() {
    let down = vec![Act::Fail(CallFailure::ServerError); 1_000];
    let policy = CallPolicy {
        max_attempts: 3,
        breaker_threshold: 1_000,
        breaker_reset: Duration::from_secs(30),
        request_time: Duration::from_secs(10),
    };
    let chain = FallbackChain { policy, ..chain(&[&down]) };
    let chain = FallbackChain {
        models: chain
            .models
            .into_iter()
            .map(|model_entry| ModelEntry {
                breaker: Breaker::new(1_000, Duration::from_secs(30)),
                ..model_entry
            })
            .collect(),
        ..chain
    };
    let mut usage_totals = UsageTotals::default();
    let requests = (0..200).map(|_| async {
        let mut usage_totals = UsageTotals::default();
        ask_by(&chain, Instant::now() + Duration::from_secs(10), &mut usage_totals).await.expect_err("down");
        usage_totals.attempts
    });
    for attempts in futures_util::future::join_all(requests).await {
        usage_totals.attempts += attempts;
    }
    // 200 first tries, a fifth of that, the floor of 20, and one for each second that passes.
    assert!((260..=275).contains(&usage_totals.attempts), "{}", usage_totals.attempts);
}
