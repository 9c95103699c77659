//! More requests than there are permits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};

use crate::process::{Process, client};
use crate::support::{FakeLlm, Reply, TestApp, good_plan, header, problem};

/// Places for plans, and what the fake LLM takes for one: together 200 plans a second.
const PLACES: usize = 20;
const LLM_TAKES: Duration = Duration::from_millis(100);

#[tokio::test]
async fn requests_are_shed_at_once_and_operators_are_answered() {
    let llm = FakeLlm::start([Reply::Never]).await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_MAX_CONCURRENT_PLANS", "1")]).await;
    let goal = json!({"goal": "g"});
    tokio::select! {
        _ = app.plan(&goal) => panic!("the LLM never answers"),
        () = async {
            llm.called(1).await;
            for _ in 0..20 {
                let began = Instant::now();
                let response = app.plan(&goal).await;
                assert_eq!(header(&response, "retry-after"), "1");
                assert_eq!(problem(response).await.1["code"], "overloaded");
                for path in ["/health", "/ready", "/metrics"] {
                    assert_eq!(app.get(path).await.status(), 200, "{path}");
                }
                // Four answers for which 5 ms each are allowed: a hundredfold.
                assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
            }
        } => {}
    }
}

/// What came of a load.
#[derive(Default)]
struct Outcome {
    plans: usize,
    /// How long each refusal took.
    shed: Vec<Duration>,
    /// How long each answer to an operator took.
    asked: Vec<Duration>,
}

/// Sends `rate` requests a second for `time`, whatever becomes of the earlier ones.
async fn load(url: &str, rate: u32, time: Duration) -> Outcome {
    let client = client();
    let is_over = Arc::new(AtomicBool::new(false));
    let operator = tokio::spawn(operate(client.clone(), url.to_owned(), is_over.clone()));
    let mut requests = JoinSet::new();
    let mut due = interval(Duration::from_secs(1) / rate);
    let began = Instant::now();
    while began.elapsed() < time {
        due.tick().await;
        let request = client.post(format!("{url}/plan")).json(&json!({"goal": "g"}));
        requests.spawn(async move {
            let sent = Instant::now();
            let status = request.send().await.expect("an answer").status().as_u16();
            (status, sent.elapsed())
        });
    }
    let mut outcome = Outcome::default();
    for (status, took) in requests.join_all().await {
        match status {
            200 => outcome.plans += 1,
            503 => outcome.shed.push(took),
            other => panic!("{other}"),
        }
    }
    is_over.store(true, Ordering::SeqCst);
    outcome.asked = operator.await.expect("no panic");
    outcome
}

/// Asks what operators ask, until it is over.
async fn operate(client: reqwest::Client, url: String, is_over: Arc<AtomicBool>) -> Vec<Duration> {
    let mut took = Vec::new();
    while !is_over.load(Ordering::SeqCst) {
        for path in ["/health", "/ready", "/metrics"] {
            let sent = Instant::now();
            assert_eq!(client.get(format!("{url}{path}")).send().await.expect("an answer").status(), 200);
            took.push(sent.elapsed());
        }
        sleep(Duration::from_millis(20)).await;
    }
    took
}

/// The value below which `part` of them are, in milliseconds.
fn quantile(took: &mut [Duration], part: f64) -> f64 {
    took.sort();
    let index = (took.len() as f64 * part) as usize;
    took.get(index.min(took.len().saturating_sub(1))).map_or(0.0, |took| took.as_secs_f64() * 1_000.0)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half a minute on a machine that does little else; run by .ci/run"]
async fn goodput_holds_at_five_times_the_load() {
    let llm = FakeLlm::start([Reply::plan(&good_plan()).after(LLM_TAKES)]).await;
    let places = PLACES.to_string();
    let variables = [
        ("PLANNER_LLM_BASE_URL", llm.base_url.as_str()),
        ("PLANNER_MAX_CONCURRENT_PLANS", &places),
        ("PLANNER_CACHE_TTL_SECONDS", "0"),
    ];
    let process = Process::start(&variables).await;
    let bearable = (PLACES as f64 / LLM_TAKES.as_secs_f64()) as u32;
    let time = Duration::from_secs(5);
    let mut goodput = Vec::new();
    for times in [0.5, 1.0, 2.0, 5.0] {
        let rate = (f64::from(bearable) * times) as u32;
        let mut outcome = load(&process.url, rate, time).await;
        let plans = outcome.plans as f64 / time.as_secs_f64();
        eprintln!(
            "{rate} requests a second: {plans:.0} plans a second, {} shed in {:.1} ms (median, {:.1} ms p99); \
             health, readiness and metrics in {:.1} ms ({:.1} ms p99)",
            outcome.shed.len(),
            quantile(&mut outcome.shed, 0.5),
            quantile(&mut outcome.shed, 0.99),
            quantile(&mut outcome.asked, 0.5),
            quantile(&mut outcome.asked, 0.99),
        );
        goodput.push(plans);
    }
    let peak = goodput.iter().copied().fold(0.0, f64::max);
    let left = goodput[3] / peak;
    eprintln!("goodput at five times the load: {:.0}% of its peak", left * 100.0);
    // 95% on a machine that does little else; a service that collapses keeps next to nothing.
    assert!(left > 0.5, "{goodput:?}");
    process.stop().await;
}
