//! Plans in Redis, for all replicas that ask the same model under the same setting.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use redis::AsyncCommands as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::RedisOperation;
use crate::domain::{PlanResponse, Repair};
use crate::planner::PlannerArm;
use crate::planner::serialized::SerializedPlan;
use crate::service::redis::Redis;

use super::Key;

/// The second level of the cache.
pub(super) struct RedisPlans {
    redis: Arc<Redis>,
    ttl: Duration,
}

/// A plan as Redis holds it.
#[derive(Serialize)]
struct Kept<'a> {
    plan: &'a RawValue,
    repairs: &'a [Repair],
}

/// The same, read by whoever finds it.
#[derive(Deserialize)]
struct Found {
    plan: PlanResponse,
    repairs: Vec<Repair>,
}

impl RedisPlans {
    /// Plans in `redis`, which forgets them after `ttl`.
    pub(super) fn new(redis: Arc<Redis>, ttl: Duration) -> Self {
        Self { redis, ttl }
    }

    /// The plan that some replica made. What keeps our promises no longer is as if it were not there.
    pub(super) async fn get(&self, planner: &PlannerArm, key: Key) -> Option<SerializedPlan> {
        let name = key.in_redis();
        let found: Option<Vec<u8>> =
            self.redis.ask(RedisOperation::ReadPlan, async |mut redis| redis.get(name).await).await?;
        let Found { plan, repairs } = serde_json::from_slice(&found?).ok()?;
        Some(SerializedPlan::new(planner.check_again(plan, repairs)?))
    }

    /// Keeps `plan` for the others, without waiting.
    pub(super) fn put(&self, key: Key, plan: &SerializedPlan) {
        if !self.redis.is_available() {
            return;
        }
        let (redis, ttl) = (self.redis.clone(), self.ttl.as_millis() as u64);
        let raw = serde_json::from_slice(plan.json()).expect("it was written by us");
        let kept = serde_json::to_vec(&Kept { plan: raw, repairs: plan.repairs() });
        let kept = kept.expect("texts and numbers serialise");
        tokio::spawn(async move {
            let name = key.in_redis();
            redis
                .ask(RedisOperation::KeepPlan, async |mut redis| {
                    redis.pset_ex::<_, _, ()>(name, kept, ttl).await
                })
                .await
        });
    }
}

impl Key {
    /// As it stands in Redis; the number changes when what is kept changes its form.
    fn in_redis(self) -> String {
        let mut name = String::from("planner:plan:1:");
        for byte in self.0 {
            let _ = write!(name, "{byte:02x}");
        }
        name
    }
}
