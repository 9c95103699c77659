//! What replicas share through Redis, and what happens without it.

mod real;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::process::{Process, client};
use crate::support::{FakeLlm, Reply, TestApp, good_plan, header, json_of, until};

const CACHED: (&str, &str) = ("PLANNER_CACHE_TTL_SECONDS", "3600");

/// Answers like a Redis without keys: never to commands while it is silent, and late to a number of others.
struct FakeRedis {
    url: String,
    is_silent: Arc<AtomicBool>,
    late_answers: Arc<AtomicUsize>,
}

impl FakeRedis {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("redis://{}", listener.local_addr().expect("an address"));
        let is_silent = Arc::new(AtomicBool::new(false));
        let late_answers = Arc::new(AtomicUsize::new(0));
        let (silent, late) = (is_silent.clone(), late_answers.clone());
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let (silent, late) = (silent.clone(), late.clone());
                tokio::spawn(async move {
                    let mut bytes = vec![0; 64 * 1024];
                    while let Ok(length @ 1..) = connection.read(&mut bytes).await {
                        let commands = bytes[..length].split(|&byte| byte == b'*').count() - 1;
                        if late.load(Ordering::SeqCst) > 0 {
                            late.fetch_sub(1, Ordering::SeqCst);
                            sleep(Duration::from_millis(40)).await;
                        }
                        if !silent.load(Ordering::SeqCst) {
                            connection
                                .write_all("$-1\r\n".repeat(commands).as_bytes())
                                .await
                                .expect("a reader");
                        }
                    }
                });
            }
        });
        Self { url, is_silent, late_answers }
    }
}

/// Waits until the service has found its Redis.
async fn redis_is_found(url: &str) {
    let client = client();
    until(async || {
        let ready = json_of(client.get(format!("{url}/ready")).send().await.expect("an answer")).await;
        if ready["checks"]["redis"] == json!(true) { Ok(()) } else { Err(ready) }
    })
    .await;
}

async fn with_redis(llm: &FakeLlm, redis: &str, more: &[(&str, &str)]) -> TestApp {
    let mut variables = vec![CACHED, ("PLANNER_REDIS_URL", redis)];
    variables.extend_from_slice(more);
    let app = TestApp::with_llm(llm, &variables).await;
    redis_is_found(&app.url("")).await;
    app
}

#[tokio::test]
async fn an_unavailable_redis_does_not_stop_plans() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let redis = format!("redis://{nobody}");
    let limit = ("PLANNER_RATE_LIMIT_PER_MINUTE", "2");
    let app = TestApp::with_llm(&llm, &[CACHED, ("PLANNER_REDIS_URL", &redis), limit]).await;
    for cache in ["miss", "hit"] {
        assert_eq!(header(&app.plan(&json!({ "goal": "Fix it" })).await, "x-planner-cache"), cache);
    }
    assert_eq!(app.plan(&json!({ "goal": "Fix it" })).await.status(), 429, "each replica counts by itself");
    assert_eq!(json_of(app.get("/ready").await).await["checks"]["redis"], json!(false));
    let up = async |app: &TestApp| {
        let metrics = app.get("/metrics").await.text().await.expect("metrics");
        metrics.lines().find_map(|line| line.strip_prefix("planner_redis_up ").map(str::to_owned))
    };
    assert_eq!(up(&app).await.as_deref(), Some("0"));
    assert_eq!(up(&TestApp::embedded().await).await, None, "where none is set none is away");
}

#[tokio::test]
async fn a_redis_that_stops_answering_is_used_no_more_after_three_timeouts() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let redis = FakeRedis::start().await;
    let variables = [
        ("PLANNER_LLM_BASE_URL", llm.base_url.as_str()),
        ("PLANNER_REDIS_URL", &redis.url),
        ("PLANNER_RATE_LIMIT_PER_MINUTE", "1000"),
    ];
    let process = Process::start(&variables).await;
    redis_is_found(&process.url).await;
    redis.is_silent.store(true, Ordering::SeqCst);
    let client = client();
    let began = Instant::now();
    for number in 0..20 {
        let body = json!({ "goal": format!("Fix {number}") });
        let response = client.post(format!("{}/plan", process.url)).json(&body).send().await;
        assert_eq!(response.expect("an answer").status(), 200);
    }
    // Were each of them to wait for its two questions, it would be most of a second for them alone.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let metrics = client.get(format!("{}/metrics", process.url)).send().await.expect("metrics");
    let metrics = metrics.text().await.expect("a text");
    let failures = |what: &str| {
        let name = format!("planner_redis_failures_total{{for=\"{what}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse::<u32>().ok()).expect("a metric")
    };
    let failures = failures("rate_limit") + failures("read_plan") + failures("keep_plan");
    // A plan may be stored at the same time.
    assert!((3..=4).contains(&failures), "{failures} timeouts");
    let (code, lines) = process.stop().await;
    let about_redis =
        lines.iter().filter(|line| line["message"].as_str().is_some_and(|m| m.contains("Redis")));
    let levels: Vec<&str> = about_redis.filter_map(|line| line["level"].as_str()).collect();
    assert_eq!((code, levels), (Some(0), vec!["INFO", "WARN"]));
}

#[tokio::test]
async fn one_late_answer_does_not_make_redis_unavailable() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let redis = FakeRedis::start().await;
    let app = with_redis(&llm, &redis.url, &[]).await;
    redis.late_answers.store(1, Ordering::SeqCst);
    app.planned(&json!({ "goal": "Fix it" })).await;
    assert_eq!(app.count("planner_redis_failures_total{for=\"read_plan\"}").await, 1);
    assert_eq!(json_of(app.get("/ready").await).await["checks"]["redis"], json!(true));
}
