//! Plans in Redis, for all replicas that ask the same model with the same settings.

use std::sync::Arc;
use std::time::Duration;

use redis::AsyncCommands as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::playbooks::PlaybookUse;
use crate::domain::{PlanRequest, PlanResponse, RedisOperation, Repair, Warning};
use crate::planner::PlannerArm;
use crate::planner::normalize::PlanDetails;
use crate::planner::serialized::SerializedPlan;
use crate::service::redis::Redis;
use crate::text::hex;

use super::Key;

/// The second level of the cache.
pub(super) struct RedisPlans {
    redis: Arc<Redis>,
    ttl: Duration,
}

/// A plan as it is written to Redis.
#[derive(Serialize)]
struct StoredPlan<'a> {
    plan: &'a RawValue,
    repairs: &'a [Repair],
    warnings: &'a [Warning],
    open_questions: &'a [String],
    playbooks: Option<&'a PlaybookUse>,
}

/// The same as it is read.
#[derive(Deserialize)]
struct LoadedPlan {
    plan: PlanResponse,
    repairs: Vec<Repair>,
    warnings: Vec<Warning>,
    open_questions: Vec<String>,
    playbooks: Option<PlaybookUse>,
}

impl RedisPlans {
    /// Plans in `redis`, which expire after `ttl`.
    pub(super) fn new(redis: Arc<Redis>, ttl: Duration) -> Self {
        Self { redis, ttl }
    }

    /// The plan that some replica made, if it is still valid here.
    pub(super) async fn get(
        &self,
        planner: &PlannerArm,
        request: &PlanRequest,
        key: Key,
    ) -> Option<SerializedPlan> {
        let name = key.in_redis();
        let stored: Option<Vec<u8>> =
            self.redis.query(RedisOperation::ReadPlan, async |mut redis| redis.get(name).await).await?;
        let LoadedPlan { plan, repairs, warnings, open_questions, playbooks } =
            serde_json::from_slice(&stored?).ok()?;
        let details = PlanDetails { repairs, warnings, open_questions, playbooks };
        Some(SerializedPlan::new(planner.revalidate(request, plan, details).await?))
    }

    /// Stores `plan` for all replicas, without waiting.
    pub(super) fn put(&self, key: Key, plan: &SerializedPlan) {
        if !self.redis.is_available() {
            return;
        }
        let (redis, ttl) = (self.redis.clone(), self.ttl.as_millis() as u64);
        let raw = serde_json::from_slice(plan.json()).expect("it was written by us");
        let stored = StoredPlan {
            plan: raw,
            repairs: plan.repairs(),
            warnings: plan.warnings(),
            open_questions: &plan.details().open_questions,
            playbooks: plan.playbooks(),
        };
        let stored = serde_json::to_vec(&stored);
        let stored = stored.expect("strings and numbers serialise");
        tokio::spawn(async move {
            let name = key.in_redis();
            redis
                .query(RedisOperation::KeepPlan, async |mut redis| {
                    redis.pset_ex::<_, _, ()>(name, stored, ttl).await
                })
                .await
        });
    }
}

impl Key {
    /// The key in Redis; its number changes with the stored format.
    fn in_redis(self) -> String {
        format!("planner:plan:3:{}", hex(&self.0))
    }
}
