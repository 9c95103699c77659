//! Plans that were made before: in memory, and in a Redis that replicas share. Identical questions that
//! come at once are asked once.

mod flights;
mod shared;

use std::sync::Arc;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use sha2::{Digest, Sha256};
use tokio::time::timeout_at;

use crate::llm::LlmError;
use crate::llm::ladder::Tally;
use crate::models::PlanRequest;
use crate::planner::error::PlanError;
use crate::planner::repair::Plan;
use crate::planner::written::WrittenPlan;
use crate::planner::{Order, Origin, PlannerArm};
use crate::redis::Redis;

use flights::{Flights, Seat};
use shared::SharedPlans;

/// Bytes of plans for which one entry is counted, so that long plans cost more of them.
const BYTES_OF_ENTRY: usize = 8 * 1024;

/// What the cache did for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheUse {
    /// The plan had been made before.
    Hit,
    /// It was made now.
    Miss,
    /// Somebody else was having it made.
    Coalesced,
    /// The caller wanted a new one.
    Bypass,
    /// There is no cache.
    Off,
}

impl CacheUse {
    /// Each of them, for metrics.
    pub const ALL: [Self; 5] = [Self::Hit, Self::Miss, Self::Coalesced, Self::Bypass, Self::Off];

    /// As it stands in headers, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Coalesced => "coalesced",
            Self::Bypass => "bypass",
            Self::Off => "off",
        }
    }
}

/// The answer to a request.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Who made the plan, or failed to, and the calls that were made for this request.
    pub origin: Origin,
    /// What the cache did for it.
    pub cache: CacheUse,
    /// The plan.
    pub plan: Result<Arc<WrittenPlan>, PlanError>,
}

impl Answer {
    /// What the planner has just made.
    pub fn made(cache: CacheUse, (origin, plan): (Origin, Result<Plan, PlanError>)) -> Self {
        Self { origin, cache, plan: plan.map(|plan| Arc::new(WrittenPlan::new(plan))) }
    }

    /// A plan that had been made before.
    fn kept(planner: &PlannerArm, plan: Arc<WrittenPlan>) -> Self {
        Self { origin: planner.origin(), cache: CacheUse::Hit, plan: Ok(plan) }
    }

    /// Nobody had an answer in time.
    fn late(planner: &PlannerArm) -> Self {
        let plan = Err(PlanError::Llm(LlmError::Deadline));
        Self { origin: planner.origin(), cache: CacheUse::Coalesced, plan }
    }

    /// The same for somebody who made no calls for it.
    fn shared(&self, cache: CacheUse) -> Self {
        let origin = Origin { tally: Tally::default(), ..self.origin.clone() };
        Self { origin, cache, plan: self.plan.clone() }
    }

    /// Whether somebody with more time may fare better.
    fn ran_out_of_time(&self) -> bool {
        matches!(self.plan, Err(PlanError::Llm(LlmError::Deadline)))
    }
}

/// Names a question: SHA-256 of all that its answer depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key([u8; 32]);

/// Plans that were made before, and those that are being made.
pub struct PlanCache {
    /// All but the request that a plan depends on, hashed.
    setting: Sha256,
    memory: moka::sync::Cache<Key, Arc<WrittenPlan>>,
    shared: Option<SharedPlans>,
    flights: Flights<Answer>,
}

impl PlanCache {
    /// A cache of at most `entries` plans, of which a long one counts as several (one for each 8 KiB), that
    /// are used for `ttl`; where there is no room for all, of those that were last asked for.
    ///
    /// `setting` names all that plans depend on beside the request: registry, limits, model, prompts.
    pub fn new(setting: &str, entries: u64, ttl: Duration, redis: Option<Arc<Redis>>) -> Self {
        let weigh = |_: &Key, plan: &Arc<WrittenPlan>| (plan.json().len() / BYTES_OF_ENTRY + 1) as u32;
        let memory = moka::sync::Cache::builder()
            .max_capacity(entries)
            .weigher(weigh)
            .time_to_live(ttl)
            // What was just asked is what is asked again; by frequency a full cache would take no new plan.
            .eviction_policy(EvictionPolicy::lru());
        Self {
            setting: Sha256::new().chain_update(setting).chain_update([0]),
            memory: memory.build(),
            shared: redis.map(|redis| SharedPlans::new(redis, ttl)),
            flights: Flights::default(),
        }
    }

    /// Plans in memory, about.
    pub fn entries(&self) -> u64 {
        self.memory.entry_count()
    }

    /// The answer to an order: from memory, from Redis, from somebody who is asking the same, or from `planner`.
    /// With `anew` it is made in any case, and takes the place of an earlier one.
    ///
    /// Failures and answers of a fallback are not kept. Whoever asks the same meanwhile shares them, unless
    /// only the time of the one who was first ran out.
    pub async fn answer(&self, planner: &PlannerArm, order: Order<'_>, anew: bool) -> Answer {
        let key = self.key(order.request);
        if anew {
            return self.make(planner, order, key, CacheUse::Bypass).await;
        }
        let answer = self.find(planner, order, key).await;
        if let (Some(steps), Ok(plan), CacheUse::Hit | CacheUse::Coalesced) =
            (order.steps, &answer.plan, answer.cache)
        {
            // Nobody may be looking any more.
            let _ = plan.response().plan.into_iter().try_for_each(|step| steps.send(step));
        }
        answer
    }

    async fn find(&self, planner: &PlannerArm, order: Order<'_>, key: Key) -> Answer {
        loop {
            if let Some(plan) = self.memory.get(&key) {
                return Answer::kept(planner, plan);
            }
            match self.flights.board(key) {
                Seat::Leader(flight) => {
                    let answer = match self.found_by_others(planner, key).await {
                        Some(plan) => Answer::kept(planner, plan),
                        None => self.make(planner, order, key, CacheUse::Miss).await,
                    };
                    flight.land(answer.clone());
                    return answer;
                }
                Seat::Follower(leader) => match timeout_at(order.deadline, leader.landed()).await {
                    Ok(Some(answer)) if !answer.ran_out_of_time() => {
                        return answer.shared(CacheUse::Coalesced);
                    }
                    Ok(_) => {}
                    Err(_) => return Answer::late(planner),
                },
            }
        }
    }

    /// A plan that another replica made.
    async fn found_by_others(&self, planner: &PlannerArm, key: Key) -> Option<Arc<WrittenPlan>> {
        let plan = Arc::new(self.shared.as_ref()?.get(planner, key).await?);
        self.memory.insert(key, plan.clone());
        Some(plan)
    }

    async fn make(&self, planner: &PlannerArm, order: Order<'_>, key: Key, cache: CacheUse) -> Answer {
        let answer = Answer::made(cache, planner.plan(order).await);
        self.keep(planner, key, &answer);
        answer
    }

    /// Keeps a plan of the configured model.
    fn keep(&self, planner: &PlannerArm, key: Key, answer: &Answer) {
        let Ok(plan) = &answer.plan else { return };
        if answer.origin.model != planner.model() {
            return;
        }
        self.memory.insert(key, plan.clone());
        if let Some(shared) = &self.shared {
            shared.put(key, plan);
        }
    }

    /// The name of `request`: its fields in one order, and objects of its context sorted by key.
    fn key(&self, request: &PlanRequest) -> Key {
        let asked = (&request.goal, &request.constraints, &request.context);
        let asked = serde_json::to_vec(&asked).expect("texts and JSON values serialise");
        Key(self.setting.clone().chain_update(asked).finalize().into())
    }
}

#[cfg(test)]
mod tests;
