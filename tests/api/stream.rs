//! Plans as server-sent events: each step once it is written, then the plan or one error, never silence.

pub mod events;

use std::sync::Arc;
use std::time::Duration;

use planner_arm::domain::PlanResponse;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::corpus::corpus;
use crate::process::{Process, client};
use crate::support::fake_llm::{Act, Transport, completion, over_each_transport, send_json};
use crate::support::{FakeLlm, Reply, TestApp, assert_valid_by_default, good_plan, header, problem, step};
use events::{Events, cut, ends, event, first_step_then, head, rest_of_stream, says, stream, stream_of};

fn goal() -> Value {
    json!({"goal": "Ship it"})
}

fn numbers(steps: &[Value]) -> Vec<u64> {
    steps.iter().map(|step| step["step"].as_u64().expect("a number")).collect()
}

async fn app(llm: &FakeLlm, more: &[(&str, &str)]) -> TestApp {
    TestApp::with_llm(llm, &[&[("PLANNER_LLM_BREAKER_THRESHOLD", "100")], more].concat()).await
}

over_each_transport!(
    each_step_is_sent_before_the_next_is_written,
    a_fault_in_a_stream_is_retried,
    a_stream_that_stalls_is_overtaken_by_another_call,
    a_failed_plan_is_one_error_event_with_its_reason,
    a_disconnect_cancels_the_call_and_frees_its_permit,
    comments_keep_an_idle_connection_alive,
    a_server_that_ignores_the_stream_is_understood,
    a_server_that_refuses_streams_is_asked_without_from_then_on,
    pieces_may_be_split_anywhere,
    a_stream_that_outlasts_the_grace_time_ends_with_an_error,
    streaming_changes_no_plan,
);

async fn each_step_is_sent_before_the_next_is_written(transport: Transport) {
    let go_on = Arc::new(Notify::new());
    let mut acts = vec![head()];
    for piece in cut(&good_plan()) {
        acts.extend([Act::Body(says(&piece)), Act::Until(go_on.clone())]);
    }
    acts.extend([Act::Body(ends("stop")), Act::End]);
    let llm = FakeLlm::over(transport, [acts, send_json(200, &completion(&good_plan().to_string()))]).await;
    let app = app(&llm, &[]).await;
    let path = "/plan?include=usage,schedule,repairs,id";
    let mut events = Events::of(&app, path, &json!({"goal": "Ship it", "request_id": "of-the-body"})).await;
    assert_eq!(events.id(), "of-the-body");
    for step in good_plan()["plan"].as_array().expect("steps") {
        assert_eq!(events.next().await, Some(("step".into(), step.clone())));
        assert_eq!(app.count("planner_plans_in_flight").await, 1);
        go_on.notify_one();
    }
    go_on.notify_one();
    let (steps, name, mut plan) = events.rest().await;
    assert_eq!((steps.len(), name.as_str()), (0, "plan"));
    let usage =
        json!({"model": "gpt-3.5-turbo", "attempts": 1, "prompt_tokens": 420, "completion_tokens": 510});
    for (name, value) in usage.as_object().expect("an object") {
        assert_eq!(&plan["usage"][name], value);
    }
    // As without a stream, but for what is new each time.
    let response = app.plan_at(path, &goal()).await;
    for name in ["engine", "model", "cache", "attempts", "repairs"].map(|name| format!("x-planner-{name}")) {
        assert_eq!(events.comment(&name), Some(header(&response, &name)), "{name}");
    }
    let mut whole: Value = response.json().await.expect("JSON");
    for plan in [&mut plan, &mut whole] {
        assert!(plan["plan_id"].take().as_str().is_some_and(|id| id.starts_with("plan_")));
    }
    assert_eq!(plan, whole);

    let bodies: Vec<Value> = llm.calls().into_iter().map(|call| call.body).collect();
    assert_eq!(
        (&bodies[0]["stream"], &bodies[0]["stream_options"]),
        (&json!(true), &json!({"include_usage": true}))
    );
    assert!(bodies[1].get("stream").is_none() && bodies[1].get("stream_options").is_none());
    assert_eq!(app.count(r#"planner_plan_requests_total{outcome="ok"}"#).await, 2);
    assert_eq!(app.count("planner_plans_in_flight").await, 0);
}

async fn a_fault_in_a_stream_is_retried(transport: Transport) {
    let rest = cut(&good_plan())[1..].concat();
    let mut twice = good_plan();
    twice["plan"][3]["action"] = twice["plan"][1]["action"].clone();
    for (what, fault, shown) in [
        ("closed", first_step_then([Act::Close]), 1),
        ("reset", first_step_then([Act::Reset]), 1),
        ("over too early", first_step_then([Act::End]), 1),
        (
            "an error",
            first_step_then([Act::Body(event(&json!({"error": {"message": "overloaded"}}))), Act::Silence]),
            1,
        ),
        ("at the token limit", first_step_then(rest_of_stream(&rest, "length")), 5),
        ("no plan", first_step_then(rest_of_stream("", "stop")), 1),
        ("unsound", stream_of(&twice), 5),
        ("nothing of it", stream(vec![says("I cannot."), ends("stop")]), 0),
    ] {
        let llm = FakeLlm::over(transport, [fault, stream_of(&good_plan())]).await;
        let app = app(&llm, &[]).await;
        let mut events = Events::plan(&app).await;
        let (steps, name, plan) = events.rest().await;
        assert_eq!((name.as_str(), &plan["plan"]), ("plan", &good_plan()["plan"]), "{what}");
        assert_eq!(numbers(&steps), (1..=shown).chain(1..=5).collect::<Vec<u64>>(), "{what}");
        assert_eq!(steps[steps.len() - 5..], *good_plan()["plan"].as_array().expect("steps"), "{what}");
        assert_eq!((events.comment("x-planner-attempts"), llm.calls().len()), (Some("2"), 2), "{what}");
    }
}

async fn a_stream_that_stalls_is_overtaken_by_another_call(transport: Transport) {
    let llm = FakeLlm::over(transport, [first_step_then([Act::Silence]), stream_of(&good_plan())]).await;
    let app = app(&llm, &[("PLANNER_TIMEOUT_SECONDS", "2")]).await;
    let (steps, name, plan) = Events::plan(&app).await.rest().await;
    assert_eq!((name.as_str(), &plan["plan"]), ("plan", &good_plan()["plan"]));
    assert_eq!(numbers(&steps), [1, 1, 2, 3, 4, 5]);
    llm.left(0).await;
}

async fn a_failed_plan_is_one_error_event_with_its_reason(transport: Transport) {
    let down = send_json(503, &json!({"error": {"message": "down"}}));
    for (acts, seconds, code, detail) in [
        (down, "10", "llm_unavailable", "The LLM server failed"),
        (send_json(401, &json!({})), "10", "llm_failed", "refused the key"),
        (stream(vec![says("No."), ends("stop")]), "10", "plan_invalid", "not with a plan"),
        (first_step_then(rest_of_stream("", "content_filter")), "10", "llm_failed", "refused to answer"),
        (first_step_then([Act::Silence]), "0.4", "deadline_exceeded", "ran out"),
    ] {
        let llm = FakeLlm::over(transport, [acts]).await;
        let app = app(&llm, &[("PLANNER_TIMEOUT_SECONDS", seconds), ("PLANNER_LLM_MAX_ATTEMPTS", "1")]).await;
        let mut events = Events::plan(&app).await;
        let (_, name, document) = events.rest().await;
        assert_eq!((name.as_str(), &document["code"]), ("error", &json!(code)));
        assert_eq!(document["request_id"], json!(events.id()), "{document}");
        assert!(document["detail"].as_str().expect("a sentence").contains(detail), "{document}");
        assert_eq!(document["type"], json!(format!("urn:octollm:problem:{code}")));
        assert_eq!(events.comment("x-planner-engine"), Some("openai"));
        assert_eq!(app.count(&format!(r#"planner_plan_requests_total{{outcome="{code}"}}"#)).await, 1);
        let by_status = r#"planner_http_requests_total{method="POST",route="/plan",status="200"}"#;
        assert_eq!(app.count(by_status).await, 1);
    }
}

async fn a_disconnect_cancels_the_call_and_frees_its_permit(transport: Transport) {
    let llm = FakeLlm::over(transport, [first_step_then([Act::Silence])]).await;
    let app = app(&llm, &[("PLANNER_MAX_CONCURRENT_PLANS", "1"), ("PLANNER_TIMEOUT_SECONDS", "60")]).await;
    let mut events = Events::plan(&app).await;
    assert_eq!(events.next().await.expect("a step").0, "step");
    // The place is taken for as long as the stream lasts, and what does not begin is an ordinary problem.
    let request = app.client.post(app.url("/plan")).header("accept", "text/event-stream").json(&goal());
    let (status, document) = problem(request.send().await.expect("an answer")).await;
    assert_eq!((status, &document["code"]), (503, &json!("overloaded")));

    drop(events);
    llm.left(0).await;
    while app.count(r#"planner_plan_requests_total{outcome="client_closed"}"#).await == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(app.count("planner_plans_in_flight").await, 0);
    let by_status = r#"planner_http_requests_total{method="POST",route="/plan",status="499"}"#;
    assert_eq!(app.count(by_status).await, 1);
    assert_eq!(llm.calls().len(), 1);
}

async fn comments_keep_an_idle_connection_alive(transport: Transport) {
    let go_on = Arc::new(Notify::new());
    let rest = rest_of_stream(&cut(&good_plan())[1..].concat(), "stop");
    let llm =
        FakeLlm::over(transport, [first_step_then([vec![Act::Until(go_on.clone())], rest.into()].concat())])
            .await;
    let app = app(&llm, &[]).await;
    let mut events = Events::plan(&app).await;
    events.next().await.expect("a step");
    while !events.text.starts_with(':') {
        assert!(events.more().await);
    }
    go_on.notify_one();
    assert_eq!(events.rest().await.1, "plan");
}

#[tokio::test]
async fn the_embedded_planner_streams_too() {
    let app = TestApp::embedded().await;
    let whole: PlanResponse = app.planned(&goal()).await;
    let mut events = Events::plan(&app).await;
    let (steps, name, plan) = events.rest().await;
    assert_eq!((name, plan), ("plan".to_owned(), json!(whole)));
    assert_eq!(json!(steps), json!(whole.plan));
    assert_eq!(
        (events.comment("x-planner-engine"), events.comment("x-planner-model")),
        (Some("embedded"), Some("embedded"))
    );

    // In place of an LLM that was cut off.
    let llm = FakeLlm::start([first_step_then([Act::Close])]).await;
    let more = [("PLANNER_FALLBACK_ENGINE", "embedded"), ("PLANNER_LLM_MAX_ATTEMPTS", "1")];
    let app = self::app(&llm, &more).await;
    let mut events = Events::plan(&app).await;
    let (steps, _, plan) = events.rest().await;
    assert_eq!((&json!(steps[1..]), plan), (&json!(whole.plan), json!(whole)));
    assert_eq!(events.comment("x-planner-engine"), Some("embedded"));
}

#[tokio::test]
async fn a_request_refused_before_planning_is_an_ordinary_problem() {
    let app = TestApp::start(&[
        ("PLANNER_ENGINE", "embedded"),
        ("PLANNER_AUTH_TOKENS", "secret"),
        ("PLANNER_RATE_LIMIT_PER_MINUTE", "1"),
    ])
    .await;
    let post = |path: &str, token: &str, content_type: &str, body: &str| {
        let request = app.client.post(app.url(path)).header("accept", "text/event-stream").bearer_auth(token);
        request.header("content-type", content_type.to_owned()).body(body.to_owned()).send()
    };
    let good = goal().to_string();
    let json = "application/json";
    for (path, token, content_type, body, status) in [
        ("/plan", "wrong", json, good.as_str(), 401),
        ("/plan?include=all", "secret", json, &good, 400),
        ("/plan", "secret", "text/plain", &good, 415),
        ("/plan", "secret", json, "{}", 422),
        ("/plan", "secret", json, &good, 200),
        ("/plan", "secret", json, &good, 429),
    ] {
        let response = post(path, token, content_type, body).await.expect("an answer");
        if status == 200 {
            assert_eq!(header(&response, "content-type"), "text/event-stream");
        } else {
            assert_eq!(problem(response).await.0, status, "{path} {content_type} {body}");
        }
    }
}

#[tokio::test]
async fn json_is_the_default() {
    let app = TestApp::embedded().await;
    for accept in ["*/*", "application/json", "text/event-stream;q=0.5, application/json"] {
        let request = app.client.post(app.url("/plan")).header("accept", accept).json(&goal());
        let response = request.send().await.expect("an answer");
        assert_eq!(header(&response, "content-type"), "application/json", "{accept}");
    }
}

async fn a_server_that_ignores_the_stream_is_understood(transport: Transport) {
    let llm = FakeLlm::over(transport, [Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[]).await;
    let (steps, name, plan) = Events::plan(&app).await.rest().await;
    assert_eq!((name.as_str(), &plan["plan"]), ("plan", &json!(steps)));
    assert_eq!((&plan["plan"], &llm.bodies()[0]["stream"]), (&good_plan()["plan"], &json!(true)));
}

async fn a_server_that_refuses_streams_is_asked_without_from_then_on(transport: Transport) {
    let refuses =
        |what: &str| send_json(400, &json!({"error": {"message": format!("Unsupported parameter: {what}")}}));
    let whole = send_json(200, &completion(&good_plan().to_string()));
    let llm = FakeLlm::over(transport, [refuses("stream_options"), refuses("stream"), whole]).await;
    let app = app(&llm, &[]).await;
    for calls in [3, 4] {
        let (steps, name, plan) = Events::plan(&app).await.rest().await;
        assert_eq!((name.as_str(), &plan["plan"], steps.len()), ("plan", &good_plan()["plan"], 5));
        assert_eq!(llm.calls().len(), calls);
    }
    let asked = |call: usize| {
        let body = &llm.calls()[call].body;
        (body["stream"].clone(), body["stream_options"].is_object(), body["response_format"]["type"].clone())
    };
    let schema = json!("json_schema");
    assert_eq!(asked(0), (json!(true), true, schema.clone()));
    assert_eq!(asked(1), (json!(true), false, schema.clone()));
    assert_eq!(asked(3), (json!(null), false, schema));
}

async fn pieces_may_be_split_anywhere(transport: Transport) {
    let mut plan = good_plan();
    plan["plan"][0] = step(1, "retriever", "Prüfe „alles“ 日本語 \u{1f600} ｛", &[], 1, 20);
    let bytes: Vec<u8> = cut(&plan).iter().flat_map(|piece| says(piece)).collect();
    let bytes = [&bytes, &ends("stop")[..]].concat();
    let acts = vec![head(), Act::Drip(bytes, 3, Duration::ZERO), Act::End];
    let llm = FakeLlm::over(transport, [acts]).await;
    let (steps, _, made) = Events::plan(&app(&llm, &[]).await).await.rest().await;
    assert_eq!((&made["plan"], &json!(steps)), (&plan["plan"], &plan["plan"]));
}

async fn a_stream_that_outlasts_the_grace_time_ends_with_an_error(transport: Transport) {
    let llm = FakeLlm::over(transport, [first_step_then([Act::Silence])]).await;
    let mut app = app(&llm, &[("PLANNER_SHUTDOWN_GRACE_SECONDS", "0.1")]).await;
    let mut events = Events::plan(&app).await;
    events.next().await.expect("a step");
    app.begin_stop();
    let (_, name, document) = events.rest().await;
    assert_eq!((name.as_str(), &document["code"]), ("error", &json!("shutting_down")));
    app.ended().await;
}

/// `text` as a stream of pieces that end anywhere, in parts that end anywhere.
fn split(text: &str, finish: &str, seed: usize) -> Vec<Act> {
    let chars: Vec<char> = text.chars().collect();
    let mut events = String::new();
    let (mut at, mut turn) = (0, seed);
    while at < chars.len() {
        turn = turn * 31 % 1_009 + 1;
        let end = (at + 1 + turn % 29).min(chars.len());
        let piece: String = chars[at..end].iter().collect();
        let chunk = json!({"choices": [{"index": 0, "delta": {"content": piece}}]});
        events.extend([format!("data: {chunk}\n\n")]);
        at = end;
    }
    let end = json!({"choices": [{"delta": {}, "finish_reason": finish}]});
    events.extend([format!("data: {end}\n\n"), "data: [DONE]\n\n".into()]);
    stream(events.as_bytes().chunks(40 + seed % 60).map(<[u8]>::to_vec).collect())
}

async fn streaming_changes_no_plan(transport: Transport) {
    let answers = corpus();
    let number = |body: &Value| -> usize {
        let asked =
            body["messages"].as_array().and_then(|all| all.last()).expect("a message")["content"].to_string();
        let (_, number) = asked.split_once("goal number ").expect("a goal");
        number[..number.find('.').expect("its end")].parse().expect("a number")
    };
    let texts: Vec<_> = answers.iter().map(|a| (a.text.clone(), a.finish.clone())).collect();
    let llm = FakeLlm::new(transport, move |_, body| {
        let number = number(body);
        let again = body["messages"].to_string().contains("last answer could not be used");
        let (text, finish) = if again { (good_plan().to_string(), None) } else { texts[number].clone() };
        let finish = finish.as_deref().unwrap_or("stop");
        if body["stream"] == json!(true) {
            return split(&text, finish, number);
        }
        send_json(200, &json!({"choices": [{"message": {"content": text}, "finish_reason": finish}]}))
    });
    let app = app(&llm, &[]).await;
    for (number, answer) in answers.iter().enumerate() {
        let (name, goal) = (&answer.name, json!({ "goal": format!("goal number {number}.") }));
        let path = "/plan?include=repairs,schedule";
        let response = app.plan_at(path, &goal).await;
        let (status, attempts) = (response.status(), header(&response, "x-planner-attempts").to_owned());
        let mut whole: Value = response.json().await.expect("JSON");
        let mut events = Events::of(&app, path, &goal).await;
        let (steps, kind, mut streamed) = events.rest().await;
        assert_eq!(events.comment("x-planner-attempts"), Some(attempts.as_str()), "{name}");
        if status != 200 {
            for document in [&mut whole, &mut streamed] {
                document["request_id"].take();
            }
        }
        assert_eq!(
            (kind.as_str(), &streamed),
            (if status == 200 { "plan" } else { "error" }, &whole),
            "{name}"
        );
        if status == 200 {
            let made = whole["plan"].as_array().expect("steps");
            let last = &steps[steps.len() - made.len()..];
            assert_eq!(numbers(last), (1..=made.len() as u64).collect::<Vec<_>>(), "{name}");
            // What was shown of a draft, or before something next to the steps was read, is not shown again.
            let corrected = [
                "a draft, then a better one",
                "phases that depend on phases",
                "dependencies in a map of steps beside them",
            ];
            if whole["repairs"] == json!([]) && !corrected.contains(&name.as_str()) {
                assert_eq!(last, made, "{name}");
            }
            assert_valid_by_default(&serde_json::from_value(whole).expect("a plan"));
        }
    }
}

#[tokio::test]
async fn a_stream_is_logged_when_it_ends() {
    let llm = FakeLlm::start([stream_of(&good_plan()), first_step_then([Act::Silence])]).await;
    let process =
        Process::start(&[("PLANNER_LLM_BASE_URL", &llm.base_url), ("PLANNER_CACHE_TTL_SECONDS", "0")]).await;
    let client = client();
    for id in ["stays", "leaves"] {
        let request = client.post(format!("{}/plan", process.url)).header("accept", "text/event-stream");
        let mut response = request.header("x-request-id", id).json(&goal()).send().await.expect("an answer");
        response.chunk().await.expect("a body").expect("an event");
        if id == "stays" {
            response.text().await.expect("the rest");
        }
    }
    llm.left(1).await;
    let (_, lines) = process.stop().await;
    let line = |id: &str| {
        let of_id = |line: &&Value| line["message"] == json!("request") && line["request_id"] == json!(id);
        let lines: Vec<&Value> = lines.iter().filter(of_id).collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        (lines[0]["status"].clone(), lines[0]["outcome"].clone(), lines[0]["attempts"].clone())
    };
    assert_eq!(line("stays"), (json!(200), json!("ok"), json!(1)));
    assert_eq!(line("leaves"), (json!(499), json!("client_closed"), json!(null)));
}
