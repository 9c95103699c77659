//! Stopping: `/ready` turns 503 at once, plans in flight finish, nothing new begins.

use std::time::Duration;

use serde_json::json;

use crate::support::{FakeLlm, Reply, TestApp, assert_usually_sound, good_plan, problem};

#[tokio::test]
async fn plans_in_flight_finish_while_new_ones_are_turned_away() {
    let slow = Reply::plan(&good_plan()).after(Duration::from_millis(500));
    let llm = FakeLlm::start([slow]).await;
    let mut app = TestApp::with_llm(&llm, &[]).await;
    let request = app.client.post(app.url("/plan")).json(&json!({"goal": "g"}));
    let in_flight = tokio::spawn(request.send());
    llm.called().await;
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
    assert_usually_sound(&response.json().await.expect("a plan"));
    app.ended().await;
    assert_eq!(llm.calls().len(), 1);
}

#[tokio::test]
async fn plans_that_outlast_the_grace_time_end_with_an_error() {
    let llm = FakeLlm::start([Reply::Never]).await;
    let mut app = TestApp::with_llm(&llm, &[("PLANNER_SHUTDOWN_GRACE_SECONDS", "0.1")]).await;
    let request = app.client.post(app.url("/plan")).json(&json!({"goal": "g"}));
    let in_flight = tokio::spawn(request.send());
    llm.called().await;
    app.begin_stop();
    let (status, document) = problem(in_flight.await.expect("no panic").expect("an answer")).await;
    assert_eq!((status, &document["code"]), (503, &json!("shutting_down")));
    app.ended().await;
}

#[tokio::test]
async fn an_idle_service_stops_at_once() {
    let mut app = TestApp::embedded().await;
    app.begin_stop();
    tokio::time::timeout(Duration::from_secs(5), app.ended())
        .await
        .expect("long before the grace time of 15 s");
}
