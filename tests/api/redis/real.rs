//! Against a real Redis, which `PLANNER_TEST_REDIS_URL` names and whose keys are written.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::with_redis;
use crate::support::{FakeLlm, Reply, good_plan, header, json_of, until};

/// A database of the server, and a goal that nobody has asked it for.
fn real_redis(database: u8) -> (String, String) {
    let url =
        std::env::var("PLANNER_TEST_REDIS_URL").expect("PLANNER_TEST_REDIS_URL must name a Redis server");
    (format!("{}/{database}", url.trim_end_matches('/')), format!("fix-{}", uuid::Uuid::new_v4()))
}

#[tokio::test]
#[ignore = "needs Redis; run by .ci/run"]
async fn replicas_share_plans() {
    let (redis, goal) = real_redis(1);
    let mut repaired = good_plan();
    repaired["plan"][1]["required_arm"] = json!("developer");
    let llm = FakeLlm::start([Reply::plan(&repaired)]).await;
    let (one, two) = (with_redis(&llm, &redis, &[]).await, with_redis(&llm, &redis, &[]).await);
    let body = json!({ "goal": goal });
    let first = one.plan_at("/plan?include=repairs", &body).await;
    assert_eq!(header(&first, "x-planner-cache"), "miss");
    let first = json_of(first).await;
    // The plan is stored after the response was sent.
    let second = until(async || {
        let second = two.plan_at("/plan?include=repairs", &body).await;
        if header(&second, "x-planner-cache") == "hit" { Ok(second) } else { Err(second) }
    })
    .await;
    assert_eq!(json_of(second).await, first, "its repairs among it");
    let other = with_redis(&llm, &redis, &[("PLANNER_MAX_PLAN_STEPS", "6")]).await;
    assert_eq!(
        header(&other.plan(&body).await, "x-planner-cache"),
        "miss",
        "another setting is another prompt"
    );
}

#[tokio::test]
#[ignore = "needs Redis; run by .ci/run"]
async fn an_invalid_plan_in_redis_is_a_miss() {
    let (redis, goal) = real_redis(2);
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let body = json!({ "goal": goal });
    let writer = with_redis(&llm, &redis, &[]).await;
    let client = redis::Client::open(redis.as_str()).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis");
    let keys = async |connection: &mut redis::aio::MultiplexedConnection| -> Vec<String> {
        redis::cmd("KEYS").arg("planner:plan:*").query_async(connection).await.expect("keys")
    };
    let before = keys(&mut connection).await;
    writer.planned(&body).await;
    let key = until(async || {
        let now = keys(&mut connection).await;
        now.into_iter().find(|key| !before.contains(key)).ok_or("no new key")
    })
    .await;
    let ttl: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut connection).await.expect("a time to live");
    assert!((1..=3_600_000).contains(&ttl), "{ttl}");
    let invalid = json!({ "plan": good_plan(), "repairs": [] }).to_string().replace("judge", "nobody");
    for garbage in ["", "{", "[]", &invalid] {
        let set = redis::cmd("SET").arg(&key).arg(garbage).exec_async(&mut connection).await;
        set.expect("Redis");
        let reader = with_redis(&llm, &redis, &[]).await;
        assert_eq!(header(&reader.plan(&body).await, "x-planner-cache"), "miss", "{garbage}");
    }
}

#[tokio::test]
#[ignore = "needs Redis; run by .ci/run"]
async fn replicas_share_the_limit_of_a_caller() {
    let (redis, token) = real_redis(3);
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let settings = [("PLANNER_RATE_LIMIT_PER_MINUTE", "3"), ("PLANNER_AUTH_TOKENS", token.as_str())];
    let replicas = [with_redis(&llm, &redis, &settings).await, with_redis(&llm, &redis, &settings).await];
    let (mut statuses, mut left) = (Vec::new(), Vec::new());
    for number in 0..5 {
        let app = &replicas[number % 2];
        let request =
            app.client.post(app.url("/plan")).bearer_auth(&token).json(&json!({ "goal": "Fix it" }));
        let response = request.send().await.expect("an answer");
        statuses.push(response.status().as_u16());
        left.push(header(&response, "ratelimit")[.."\"plans\";r=0".len()].to_owned());
        if response.status() == 429 {
            let wait: u64 = header(&response, "retry-after").parse().expect("seconds");
            assert!((1..=20).contains(&wait), "{wait}");
        }
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    assert_eq!(left, [2, 1, 0, 0, 0].map(|left| format!("\"plans\";r={left}")));
}

#[tokio::test]
#[ignore = "needs Redis; run by .ci/run"]
async fn replicas_share_the_budget_for_llm_calls() {
    let (redis, _) = real_redis(4);
    let client = redis::Client::open(redis.as_str()).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis");
    let () = redis::cmd("DEL").arg("planner:spend").query_async(&mut connection).await.expect("no spend");
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    // Each plan costs 0.000975 US dollars.
    let settings = [("PLANNER_LLM_BUDGET_USD_PER_DAY", "0.0025"), ("PLANNER_CACHE_TTL_SECONDS", "0")];
    let replicas = [with_redis(&llm, &redis, &settings).await, with_redis(&llm, &redis, &settings).await];
    let spent = async |connection: &mut redis::aio::MultiplexedConnection| -> i64 {
        let mut spent: BTreeMap<String, i64> =
            redis::cmd("HGETALL").arg("planner:spend").query_async(connection).await.expect("spend");
        spent.remove("id");
        spent.values().sum()
    };
    for (place, (status, expected)) in
        [(200, 975_000), (200, 1_950_000), (200, 2_925_000), (503, 2_925_000)].into_iter().enumerate()
    {
        let response = replicas[place % 2].plan(&json!({ "goal": "Fix it" })).await;
        assert_eq!(response.status(), status, "{place}");
        // What a call has cost is recorded after the response was sent.
        until(async || match spent(&mut connection).await {
            spent if spent == expected => Ok(()),
            spent => Err(spent),
        })
        .await;
    }
    for replica in &replicas {
        until(async || {
            let known = replica.metric("planner_llm_spend_usd").await;
            if (0.002_9..0.01).contains(&known) { Ok(()) } else { Err(known) }
        })
        .await;
    }

    // When Redis loses its data, each replica reports again what it has spent.
    let () = redis::cmd("DEL").arg("planner:spend").query_async(&mut connection).await.expect("no spend");
    for replica in replicas.iter().chain(&replicas) {
        replica.plan(&json!({ "goal": "Fix it" })).await;
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(replicas[0].plan(&json!({ "goal": "Fix it" })).await.status(), 503);
    assert!(spent(&mut connection).await >= 3 * 975_000);
}
