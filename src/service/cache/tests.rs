use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::Instant;

use super::*;
use crate::domain::PlanRules;
use crate::domain::arms::{Arm, ArmRegistry};
use crate::domain::prices::PriceList;
use crate::llm::fallback::CallPolicy;
use crate::llm::{
    BoxFuture, CallError, CallFailure, CallObserver, ChatModel, Completion, FallbackChain, Prompt,
};
use crate::planner::Engine;
use crate::telemetry::metrics::Metrics;

const PLAN: &str = r#"{"plan":[
    {"step":1,"action":"Look it up","required_arm":"retriever","acceptance_criteria":["found"],"depends_on":[],"estimated_cost_tier":1,"estimated_duration_seconds":20},
    {"step":2,"action":"Write it","required_arm":"coder","acceptance_criteria":["written"],"depends_on":[1],"estimated_cost_tier":3,"estimated_duration_seconds":60},
    {"step":3,"action":"Check it","required_arm":"judge","acceptance_criteria":["checked"],"depends_on":[2],"estimated_cost_tier":2,"estimated_duration_seconds":30}],
    "rationale":"r","confidence":0.9}"#;

/// An LLM that answers when it is allowed to.
struct Gate {
    name: Arc<str>,
    calls: AtomicUsize,
    may_answer: Semaphore,
    is_broken: bool,
}

struct GatedModel(Arc<Gate>);

impl ChatModel for GatedModel {
    fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    fn call<'a>(
        &'a self,
        _: &'a Prompt,
        _: Option<CallObserver>,
    ) -> BoxFuture<'a, Result<Completion, CallError>> {
        Box::pin(async {
            self.0.calls.fetch_add(1, Ordering::SeqCst);
            self.0.may_answer.acquire().await.expect("an open gate").forget();
            if self.0.is_broken {
                return Err(CallFailure::BadKey.into());
            }
            Ok(Completion { content: PLAN.into(), ..Completion::default() })
        })
    }
}

struct Fixture {
    gate: Arc<Gate>,
    planner: PlannerArm,
    cache: PlanCache,
}

impl Fixture {
    fn new(is_broken: bool, has_fallback: bool) -> Arc<Self> {
        let gate = Arc::new(Gate {
            name: "gated".into(),
            calls: AtomicUsize::new(0),
            may_answer: Semaphore::new(0),
            is_broken,
        });
        let (registry, rules) = (Arc::new(ArmRegistry::default()), PlanRules::default());
        let metrics = Metrics::new();
        let policy = CallPolicy {
            max_attempts: 1,
            breaker_threshold: 100,
            breaker_reset: Duration::from_secs(30),
            request_time: Duration::from_secs(60),
        };
        let chain = FallbackChain::new(
            vec![Box::new(GatedModel(gate.clone()))],
            &PriceList::default(),
            policy,
            metrics.clone(),
        );
        let planner =
            PlannerArm::new(registry, rules, Engine::Llm { chain, fallback: has_fallback }, metrics);
        let cache = PlanCache::new(&planner.cache_scope(), 100, Duration::from_secs(60), None);
        Arc::new(Self { gate, planner, cache })
    }

    async fn ask(&self, goal: &str, seconds: u64, no_cache: bool) -> PlanOutcome {
        let request = PlanRequest { goal: goal.into(), ..PlanRequest::default() };
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let call = PlanCall { planner: &self.planner, job: &request.into(), deadline, steps: None };
        self.cache.answer(call, no_cache).await
    }

    /// Asks in the background and gives the question time to get as far as it can.
    async fn begin(self: &Arc<Self>, seconds: u64) -> JoinHandle<PlanOutcome> {
        let fixture = self.clone();
        let asked = tokio::spawn(async move { fixture.ask("goal", seconds, false).await });
        for _ in 0..10 {
            yield_now().await;
        }
        asked
    }

    fn allow_answers(&self, calls: usize) {
        self.gate.may_answer.add_permits(calls);
    }

    fn calls(&self) -> usize {
        self.gate.calls.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_second_identical_request_is_answered_from_the_cache() {
    let fixture = Fixture::new(false, false);
    fixture.allow_answers(5);
    let first = fixture.ask("goal", 10, false).await;
    let second = fixture.ask("goal", 10, false).await;
    assert_eq!((first.cache, second.cache), (CacheStatus::Miss, CacheStatus::Hit));
    assert_eq!(first.plan.expect("a plan").json(), second.plan.expect("a plan").json());
    assert_eq!((first.origin.usage_totals.attempts, second.origin.usage_totals.attempts), (1, 0));
    assert_eq!((first.origin.model, first.origin.engine), (second.origin.model, second.origin.engine));
    assert_eq!(fixture.ask("another goal", 10, false).await.cache, CacheStatus::Miss);
    assert_eq!(fixture.calls(), 2);
}

#[tokio::test]
async fn a_full_cache_keeps_the_most_recently_used_plans() {
    let fixture = Fixture::new(false, false);
    fixture.allow_answers(300);
    for number in 0..=150 {
        fixture.ask(&format!("goal {number}"), 10, false).await;
        fixture.cache.memory.run_pending_tasks();
    }
    for (number, cache) in
        [(150, CacheStatus::Hit), (51, CacheStatus::Hit), (50, CacheStatus::Miss), (0, CacheStatus::Miss)]
    {
        assert_eq!(fixture.ask(&format!("goal {number}"), 10, false).await.cache, cache, "{number}");
    }
}

#[tokio::test]
async fn no_cache_makes_a_new_plan_and_caches_it() {
    let fixture = Fixture::new(false, false);
    fixture.allow_answers(5);
    assert_eq!(fixture.ask("goal", 10, true).await.cache, CacheStatus::Bypass);
    assert_eq!(fixture.ask("goal", 10, true).await.cache, CacheStatus::Bypass);
    assert_eq!(fixture.ask("goal", 10, false).await.cache, CacheStatus::Hit);
    assert_eq!(fixture.calls(), 2);
}

#[tokio::test]
async fn a_hundred_identical_requests_at_once_make_one_call() {
    let fixture = Fixture::new(false, false);
    let mut asked = Vec::new();
    for _ in 0..100 {
        asked.push(fixture.begin(10).await);
    }
    fixture.allow_answers(1);
    let answers: Vec<PlanOutcome> =
        join_all(asked).await.into_iter().map(|answer| answer.expect("no panic")).collect();
    let count = |cache: CacheStatus| answers.iter().filter(|answer| answer.cache == cache).count();
    assert_eq!((count(CacheStatus::Miss), count(CacheStatus::Coalesced)), (1, 99));
    assert!(answers.iter().all(|answer| answer.plan.is_ok()));
    assert_eq!(answers.iter().map(|answer| answer.origin.usage_totals.attempts).sum::<u32>(), 1);
    assert_eq!(fixture.calls(), 1);
}

#[tokio::test]
async fn a_cancelled_leader_is_replaced_by_a_follower() {
    let fixture = Fixture::new(false, false);
    let leader = fixture.begin(10).await;
    let (one, two) = (fixture.begin(10).await, fixture.begin(10).await);
    assert_eq!(fixture.calls(), 1);
    leader.abort();
    assert!(leader.await.is_err());
    fixture.allow_answers(1);
    let mut uses = [one.await.expect("an answer"), two.await.expect("an answer")].map(|answer| {
        assert!(answer.plan.is_ok());
        answer.cache
    });
    uses.sort_by_key(|cache| cache.as_str());
    assert_eq!((uses, fixture.calls()), ([CacheStatus::Coalesced, CacheStatus::Miss], 2));
}

#[tokio::test(start_paused = true)]
async fn a_leaders_short_deadline_does_not_end_its_followers() {
    let fixture = Fixture::new(false, false);
    let (leader, follower) = (fixture.begin(1).await, fixture.begin(10).await);
    assert!(leader.await.expect("an answer").plan.is_err());
    while fixture.calls() < 2 {
        yield_now().await;
    }
    fixture.allow_answers(1);
    let answer = follower.await.expect("an answer");
    assert!(answer.plan.is_ok());
    assert_eq!(answer.cache, CacheStatus::Miss);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_plan_at_a_short_deadline_is_not_shared_with_followers_that_have_more_time() {
    let fixture = Fixture::new(false, true);
    let (leader, follower) = (fixture.begin(1).await, fixture.begin(10).await);
    let leader = leader.await.expect("an answer");
    assert_eq!((leader.plan.is_ok(), &*leader.origin.model), (true, "embedded"));
    while fixture.calls() < 2 {
        yield_now().await;
    }
    fixture.allow_answers(1);
    let follower = follower.await.expect("an answer");
    assert_eq!((follower.cache, &*follower.origin.model), (CacheStatus::Miss, "gated"));
    assert!(follower.plan.is_ok());
}

#[tokio::test]
async fn a_refusal_by_the_llm_is_shared_whatever_the_time() {
    let fixture = Fixture::new(true, false);
    let (leader, follower) = (fixture.begin(1).await, fixture.begin(10).await);
    fixture.allow_answers(2);
    assert!(leader.await.expect("an answer").plan.is_err());
    assert_eq!(follower.await.expect("an answer").cache, CacheStatus::Coalesced);
    assert_eq!(fixture.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_follower_ends_at_its_own_deadline() {
    let fixture = Fixture::new(false, false);
    let (leader, follower) = (fixture.begin(10).await, fixture.begin(1).await);
    assert!(follower.await.expect("an answer").plan.is_err());
    fixture.allow_answers(1);
    assert!(leader.await.expect("an answer").plan.is_ok());
}

#[tokio::test]
async fn errors_and_fallback_plans_are_shared_and_not_cached() {
    for has_fallback in [false, true] {
        let fixture = Fixture::new(true, has_fallback);
        let (leader, follower) = (fixture.begin(10).await, fixture.begin(10).await);
        fixture.allow_answers(2);
        let (leader, follower) = (leader.await.expect("an answer"), follower.await.expect("an answer"));
        assert_eq!((leader.cache, follower.cache), (CacheStatus::Miss, CacheStatus::Coalesced));
        assert_eq!((leader.plan.is_ok(), follower.plan.is_ok()), (has_fallback, has_fallback));
        assert_eq!(leader.origin.engine, follower.origin.engine);
        assert_eq!(fixture.ask("goal", 10, false).await.cache, CacheStatus::Miss);
        assert_eq!(fixture.calls(), 2);
    }
}

#[tokio::test]
async fn keys_depend_on_values_and_not_on_how_they_are_written() {
    let fixture = Fixture::new(false, false);
    let arms = fixture.planner.arms_version();
    let key = |body: &str| {
        fixture.cache.key(&PlanRequest::from_json(body.as_bytes()).expect("a request").into(), &arms)
    };
    let one = key(r#"{"goal":"g","constraints":["a","b"],"context":{"x":1,"y":{"p":[1],"q":2}}}"#);
    for same in [
        r#"{"context":{"y":{"q":2,"p":[1]},"x":1},"goal":"g","constraints":["a","b"]}"#,
        r#"{ "goal": "\u0067", "constraints": ["a","b"], "context": {"x":1,"y":{"p":[1],"q":2}}, "request_id": "r", "more": 1 }"#,
    ] {
        assert_eq!(key(same), one, "{same}");
    }
    for other in [
        r#"{"goal":"G","constraints":["a","b"],"context":{"x":1,"y":{"p":[1],"q":2}}}"#,
        r#"{"goal":"g","constraints":["b","a"],"context":{"x":1,"y":{"p":[1],"q":2}}}"#,
        r#"{"goal":"g","constraints":["a","b"],"context":{"x":1,"y":{"p":[1],"q":3}}}"#,
        r#"{"goal":"g","constraints":["a","b"]}"#,
    ] {
        assert_ne!(key(other), one, "{other}");
    }
    let other = PlanCache::new("another setting", 100, Duration::from_secs(60), None);
    let default = PlanJob::from(PlanRequest::default());
    let asking = PlanJob { asks_questions: true, ..default.clone() };
    assert_ne!(fixture.cache.key(&asking, &arms), fixture.cache.key(&default, &arms));
    assert_ne!(other.key(&default, &arms), fixture.cache.key(&default, &arms));
}

/// OctoLLM's arms, and one more.
fn more_arms() -> ArmRegistry {
    let own = ArmRegistry::default();
    let arms = own.arms().iter().cloned().chain([Arm::of_source("baker", "Bakes").expect("an arm")]);
    ArmRegistry::new(arms.collect(), true).expect("a registry")
}

#[tokio::test]
async fn other_arms_are_another_question_and_the_former_ones_the_former() {
    let fixture = Fixture::new(false, false);
    fixture.allow_answers(2);
    assert_eq!(fixture.ask("goal", 10, false).await.cache, CacheStatus::Miss);
    fixture.planner.replace_arms(more_arms());
    assert_eq!(fixture.ask("goal", 10, false).await.cache, CacheStatus::Miss);
    fixture.planner.replace_arms(ArmRegistry::default());
    assert_eq!(fixture.ask("goal", 10, false).await.cache, CacheStatus::Hit);
}

#[tokio::test]
async fn a_plan_that_was_being_made_while_the_arms_changed_is_not_cached() {
    let fixture = Fixture::new(false, false);
    let making = fixture.begin(10).await;
    fixture.planner.replace_arms(more_arms());
    fixture.planner.replace_arms(ArmRegistry::default());
    fixture.allow_answers(2);
    assert!(making.await.expect("an answer").plan.is_ok());
    assert_eq!(fixture.ask("goal", 10, false).await.cache, CacheStatus::Miss);
}
