//! Stopping: `/ready` answers 503 at once, plans in flight finish, nothing new begins.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::process::{Process, client};
use crate::support::{FakeLlm, Reply, TestApp, assert_valid_by_default, good_plan, header, problem};

#[tokio::test]
async fn plans_in_flight_finish_while_new_ones_are_refused() {
    let slow = Reply::plan(&good_plan()).after(Duration::from_millis(500));
    let llm = FakeLlm::start([slow]).await;
    let mut app = TestApp::with_llm(&llm, &[]).await;
    let request = app.client.post(app.url("/plan")).json(&json!({"goal": "g"}));
    let in_flight = tokio::spawn(request.send());
    llm.called(1).await;
    app.begin_stop();
    while app.get("/ready").await.status() != 503 {
        tokio::task::yield_now().await;
    }
    assert_eq!(app.get("/health").await.status(), 200);
    let turned_away = app.plan(&json!({"goal": "g"})).await;
    assert!(turned_away.headers().contains_key("retry-after"));
    let (status, document) = problem(turned_away).await;
    assert_eq!((status, &document["code"]), (503, &json!("shutting_down")));

    let response = in_flight.await.expect("no panic").expect("an answer");
    assert_eq!(response.status(), 200);
    assert_valid_by_default(&response.json().await.expect("a plan"));
    app.ended().await;
    assert_eq!(llm.calls().len(), 1);
}

#[tokio::test]
async fn plans_that_outlast_the_grace_time_end_with_an_error() {
    let llm = FakeLlm::start([Reply::Never]).await;
    let mut app = TestApp::with_llm(&llm, &[("PLANNER_SHUTDOWN_GRACE_SECONDS", "0.1")]).await;
    let request = app.client.post(app.url("/plan")).json(&json!({"goal": "g"}));
    let in_flight = tokio::spawn(request.send());
    llm.called(1).await;
    app.begin_stop();
    let (status, document) = problem(in_flight.await.expect("no panic").expect("an answer")).await;
    assert_eq!((status, &document["code"]), (503, &json!("shutting_down")));
    app.ended().await;
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_body() {
    for path in ["/plan", "/replan", "/validate"] {
        let mut app = TestApp::embedded().await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\
             expect: 100-continue\r\n\r\n"
        );
        let mut caller = TcpStream::connect(app.address).await.expect("a connection");
        caller.write_all(head.as_bytes()).await.expect("a reader");
        // The body is being waited for.
        let mut go_on = [0; 25];
        caller.read_exact(&mut go_on).await.expect("a word");
        assert!(go_on.starts_with(b"HTTP/1.1 100 "), "{path} {go_on:?}");
        app.begin_stop();
        let mut answer = String::new();
        caller.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("shutting_down"), "{path} {answer}");
        app.ended().await;
    }
}

#[tokio::test]
async fn an_idle_service_stops_at_once() {
    let mut app = TestApp::embedded().await;
    app.begin_stop();
    tokio::time::timeout(Duration::from_secs(5), app.ended())
        .await
        .expect("long before the grace time of 15 s");
}

/// Asks for plans one after the other on a connection that is kept open, and tries nothing again, until the
/// replica is out of rotation: how many plans it got.
async fn ask(url: String, is_out: Arc<AtomicBool>) -> usize {
    let client = client();
    let mut plans = 0;
    while !is_out.load(Ordering::SeqCst) {
        let request = client.post(format!("{url}/plan")).json(&json!({"goal": "g"}));
        let response = request.send().await.expect("no request is dropped");
        assert_eq!(response.status(), 200);
        assert_valid_by_default(&response.json().await.expect("a whole plan"));
        plans += 1;
    }
    plans
}

#[tokio::test]
async fn a_signal_under_load_drops_no_request() {
    stop_under_load(2).await;
}

#[tokio::test]
#[ignore = "takes half a minute; run by .ci/run"]
async fn twenty_signals_under_load_drop_no_request() {
    stop_under_load(20).await;
}

/// Stops the service so often, each time with a moment for the load balancer.
async fn stop_under_load(times: usize) {
    let llm = FakeLlm::start([Reply::plan(&good_plan()).after(Duration::from_millis(30))]).await;
    let mut plans = 0;
    for _ in 0..times {
        let variables = [
            ("PLANNER_LLM_BASE_URL", llm.base_url.as_str()),
            ("PLANNER_CACHE_TTL_SECONDS", "0"),
            ("PLANNER_SHUTDOWN_DELAY_SECONDS", "600"),
        ];
        let process = Process::start(&variables).await;
        let is_out = Arc::new(AtomicBool::new(false));
        let callers: JoinSet<usize> = (0..8).map(|_| ask(process.url.clone(), is_out.clone())).collect();
        llm.called(llm.number_of_calls() + 25).await;
        process.terminate().await;
        // What a load balancer does.
        while client().get(format!("{}/ready", process.url)).send().await.expect("an answer").status() == 200
        {
            sleep(Duration::from_millis(5)).await;
        }
        let late = client().post(format!("{}/plan", process.url)).json(&json!({"goal": "g"}));
        let late = late.send().await.expect("an answer");
        assert_eq!((late.status().as_u16(), header(&late, "connection")), (200, "close"));
        is_out.store(true, Ordering::SeqCst);
        plans += callers.join_all().await.into_iter().sum::<usize>();
        // The second signal, behind which the rest of the moment is not waited for.
        assert_eq!(process.stop().await.0, Some(0));
    }
    eprintln!("{times} signals under load: {plans} plans, none dropped");
    assert!(plans > 8 * times, "{plans}");
}
