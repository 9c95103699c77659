//! Caching: plans in memory, and in a Redis that replicas share. Identical requests that arrive at once are
//! answered by one call.

mod redis_store;
mod single_flight;

use std::sync::Arc;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, timeout_at};

use crate::config::Settings;
use crate::domain::playbooks::PlaybookUse;
use crate::domain::{CacheStatus, PlanRequest, SubTask};
use crate::llm::LlmError;
use crate::llm::fallback::UsageTotals;
use crate::planner::error::PlanError;
use crate::planner::serialized::SerializedPlan;
use crate::planner::{ArmsVersion, Origin, PlanJob, PlannerArm};
use crate::service::redis::Redis;

use redis_store::RedisPlans;
use single_flight::{Participant, SingleFlight};

/// A plan counts as one entry for each started block of this many bytes, so that long plans take more room.
const BYTES_OF_ENTRY: usize = 8 * 1024;
/// How much longer than the leader a follower must have for another attempt to be worthwhile.
const USEFUL_TIME: Duration = Duration::from_millis(100);

/// The answer to a request.
#[derive(Debug, Clone)]
pub(crate) struct PlanOutcome {
    /// Who made the plan, or failed to, and the calls that were made for this request.
    pub origin: Origin,
    /// What the cache did for it.
    pub cache: CacheStatus,
    /// The plan.
    pub plan: Result<Arc<SerializedPlan>, PlanError>,
}

impl PlanOutcome {
    /// A cached plan.
    fn cached(planner: &PlannerArm, plan: Arc<SerializedPlan>) -> Self {
        let is_compiled = plan.playbooks().is_some_and(PlaybookUse::is_compiled);
        let origin = if is_compiled { Origin::embedded() } else { planner.origin() };
        Self { origin, cache: CacheStatus::Hit, plan: Ok(plan) }
    }

    /// The leader had no answer in time.
    fn late(planner: &PlannerArm) -> Self {
        let plan = Err(PlanError::Llm(LlmError::Deadline));
        Self { origin: planner.origin(), cache: CacheStatus::Coalesced, plan }
    }

    /// The same for a request that made no calls for it.
    fn shared(&self, cache: CacheStatus) -> Self {
        let origin = Origin { usage_totals: UsageTotals::default(), ..self.origin.clone() };
        Self { origin, cache, plan: self.plan.clone() }
    }

    /// Whether more time could have led to a better outcome: to a plan instead of an error, or to the configured
    /// model's instead of a fallback's. A refusal by the LLM does not depend on time.
    fn depends_on_time(&self, planner: &PlannerArm) -> bool {
        match &self.plan {
            Ok(plan) => !self.is_as_configured(plan, planner),
            Err(error) => !matches!(error, PlanError::Llm(LlmError::Refused(_))),
        }
    }

    /// Whether `plan` is what the settings ask for: made by the configured model, or from a playbook in its place.
    fn is_as_configured(&self, plan: &SerializedPlan, planner: &PlannerArm) -> bool {
        self.origin.model == planner.model() || plan.playbooks().is_some_and(PlaybookUse::is_compiled)
    }
}

/// A request for a plan, and the planner that it is for.
#[derive(Clone, Copy)]
pub(crate) struct PlanCall<'a> {
    pub(crate) planner: &'a PlannerArm,
    pub(crate) job: &'a PlanJob,
    pub(crate) deadline: Instant,
    /// Where each step is also sent.
    pub(crate) steps: Option<&'a UnboundedSender<SubTask>>,
}

impl PlanCall<'_> {
    /// What the planner produces now.
    pub(crate) async fn make(&self, cache: CacheStatus) -> PlanOutcome {
        let Self { planner, job, deadline, steps } = self;
        let (origin, plan) = planner.generate_plan(job, *deadline, *steps).await;
        PlanOutcome { origin, cache, plan: plan.map(|plan| Arc::new(SerializedPlan::new(plan))) }
    }
}

/// What a leader hands to its followers.
#[derive(Debug, Clone)]
struct LeaderOutcome {
    outcome: PlanOutcome,
    /// When the leader's own time was up.
    deadline: Instant,
}

/// Identifies a request: SHA-256 of everything that its plan depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key([u8; 32]);

/// A request to an installation, and its arms when the request arrived, which its key depends on.
#[derive(Debug, Clone, Copy)]
struct Identity {
    key: Key,
    arms: ArmsVersion,
}

/// Cached plans, and those that are being made.
pub(crate) struct PlanCache {
    /// All but the request that a plan depends on, hashed.
    scope: Sha256,
    memory: moka::sync::Cache<Key, Arc<SerializedPlan>>,
    redis: Option<RedisPlans>,
    single_flight: SingleFlight<LeaderOutcome>,
}

impl PlanCache {
    /// A cache of at most `entries` plans, of which a long one counts as several (one for each 8 KiB), that
    /// are used for `ttl`; when it is full, those that were requested last are kept.
    ///
    /// `scope` names all that plans depend on except the request and the arms: limits, model.
    pub(crate) fn new(scope: &str, entries: u64, ttl: Duration, redis: Option<Arc<Redis>>) -> Self {
        let weigh = |_: &Key, plan: &Arc<SerializedPlan>| (plan.json().len() / BYTES_OF_ENTRY + 1) as u32;
        let memory = moka::sync::Cache::builder()
            .max_capacity(entries)
            .weigher(weigh)
            .time_to_live(ttl)
            // What was just asked is what is asked again; by frequency a full cache would take no new plan.
            .eviction_policy(EvictionPolicy::lru());
        Self {
            scope: Sha256::new().chain_update(scope).chain_update([0]),
            memory: memory.build(),
            redis: redis.map(|redis| RedisPlans::new(redis, ttl)),
            single_flight: SingleFlight::default(),
        }
    }

    /// The cache that `settings` ask for, for the plans of `planner`; `None` when they turn it off.
    pub(super) fn from_settings(
        settings: &Settings,
        planner: &PlannerArm,
        redis: Option<Arc<Redis>>,
    ) -> Option<Self> {
        if settings.cache_ttl.is_zero() || settings.cache_max_entries == 0 {
            return None;
        }
        let scope = format!(
            "{} {} {} {} {}",
            env!("CARGO_PKG_VERSION"),
            settings.llm_base_url,
            settings.planning_temperature,
            settings.max_tokens,
            planner.cache_scope()
        );
        Some(Self::new(&scope, settings.cache_max_entries, settings.cache_ttl, redis))
    }

    /// About how many plans are in memory.
    pub(crate) fn entries(&self) -> u64 {
        self.memory.entry_count()
    }

    /// The answer to `call`: from memory, from Redis, from an identical request that is being answered, or from its
    /// planner. With `no_cache` it comes from the planner and replaces a cached one.
    ///
    /// Errors and fallback plans are not cached. Identical requests that wait share them, unless they have more
    /// time than the one that was answered and time may help.
    pub(crate) async fn answer(&self, call: PlanCall<'_>, no_cache: bool) -> PlanOutcome {
        let arms = call.planner.arms_version();
        let identity = Identity { key: self.key(call.job, &arms), arms };
        if no_cache {
            return self.make(call, identity, CacheStatus::Bypass).await;
        }
        let answer = self.find(call, identity).await;
        if let (Some(steps), Ok(plan), CacheStatus::Hit | CacheStatus::Coalesced) =
            (call.steps, &answer.plan, answer.cache)
        {
            // The receiver may be gone.
            let _ = plan.response().plan.into_iter().try_for_each(|step| steps.send(step));
        }
        answer
    }

    async fn find(&self, call: PlanCall<'_>, identity: Identity) -> PlanOutcome {
        let PlanCall { planner, job, deadline, .. } = call;
        let key = identity.key;
        loop {
            if let Some(plan) = self.memory.get(&key) {
                return PlanOutcome::cached(planner, plan);
            }
            match self.single_flight.join(key) {
                Participant::Leader(leader) => {
                    let outcome = match self.shared_plan(planner, &job.request, key).await {
                        Some(plan) => PlanOutcome::cached(planner, plan),
                        None => self.make(call, identity, CacheStatus::Miss).await,
                    };
                    leader.complete(LeaderOutcome { outcome: outcome.clone(), deadline });
                    return outcome;
                }
                Participant::Follower(follower) => match timeout_at(deadline, follower.answer()).await {
                    Ok(Some(LeaderOutcome { outcome, deadline: leaders })) => {
                        let has_more_time = deadline.saturating_duration_since(leaders) > USEFUL_TIME;
                        if !(has_more_time && outcome.depends_on_time(planner)) {
                            return outcome.shared(CacheStatus::Coalesced);
                        }
                    }
                    // The leader was cancelled.
                    Ok(None) => {}
                    Err(_) => return PlanOutcome::late(planner),
                },
            }
        }
    }

    /// A plan that another replica made.
    async fn shared_plan(
        &self,
        planner: &PlannerArm,
        request: &PlanRequest,
        key: Key,
    ) -> Option<Arc<SerializedPlan>> {
        let plan = Arc::new(self.redis.as_ref()?.get(planner, request, key).await?);
        self.memory.insert(key, plan.clone());
        Some(plan)
    }

    /// Makes the plan, and stores it.
    async fn make(&self, call: PlanCall<'_>, identity: Identity, cache: CacheStatus) -> PlanOutcome {
        let planner = call.planner;
        let answer = call.make(cache).await;
        // A plan for other arms than those of the key cannot be shared.
        if planner.arms_version() == identity.arms {
            self.store(planner, identity.key, &answer);
        }
        answer
    }

    /// Caches a plan, unless it is a fallback's.
    fn store(&self, planner: &PlannerArm, key: Key, answer: &PlanOutcome) {
        let Ok(plan) = &answer.plan else { return };
        if !answer.is_as_configured(plan, planner) {
            return;
        }
        self.memory.insert(key, plan.clone());
        if let Some(redis) = &self.redis {
            redis.put(key, plan);
        }
    }

    /// The key of `job` to an installation with these arms: its fields in one order, and objects of its context sorted by key.
    fn key(&self, job: &PlanJob, arms: &ArmsVersion) -> Key {
        let PlanJob { request, asks_questions, .. } = job;
        let asked = (&request.goal, &request.constraints, &request.context);
        let asked = serde_json::to_vec(&asked).expect("strings and JSON values serialise");
        let mut hash = self.scope.clone().chain_update(arms.fingerprint).chain_update(asked);
        if let Some(budget) = &request.budget {
            hash.update(serde_json::to_vec(budget).expect("numbers serialise"));
            hash.update([0]);
        }
        if let Some(arms) = &request.arms {
            hash.update(serde_json::to_vec(arms).expect("strings and numbers serialise"));
        }
        if *asks_questions {
            hash.update("questions");
        }
        if let Some(playbook) = &request.playbook {
            hash.update(b"\0playbook ");
            hash.update(playbook);
        }
        Key(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests;
