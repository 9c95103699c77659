//! Everything that goes wrong on the way to an LLM and back, at the level of bytes.

pub mod kinds;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::process::{Process, client};
use crate::support::fake_llm::{Act, FakeLlm, Setup, Transport, completion, drip, over_each_transport, send};
use crate::support::{TestApp, good_plan, header, json_of, problem, until};
use kinds::{good, lasting, passing, passing_late, says, silent};

/// What no caller and no log may see: it is in the goal, in the key and in everything upstream says.
const CANARY: &str = "canary";

fn goal() -> Value {
    json!({"goal": "Ship the canary-goal"})
}

async fn app(llm: &FakeLlm, more: &[(&str, &str)]) -> TestApp {
    TestApp::with_llm(llm, &[&[("PLANNER_OPENAI_API_KEY", "sk-canary")], more].concat()).await
}

/// Of a plan that must not have come: status, code, `Retry-After` and the document without a canary.
async fn refused(response: reqwest::Response) -> (u16, String, Option<u64>, Value) {
    let wait = header(&response, "retry-after").parse().ok();
    let (status, document) = problem(response).await;
    assert!(!document.to_string().contains(CANARY), "{document}");
    assert_eq!(document["retry_after_seconds"].as_u64(), wait, "{document}");
    (status, document["code"].as_str().expect("a code").to_owned(), wait, document)
}

/// One service and one server for many faults: each goal has a fault of its own.
struct Stage {
    llm: FakeLlm,
    app: TestApp,
}

impl Stage {
    /// `cast` says for a goal's fault, the number of its call and the model what is done.
    async fn new(
        transport: Transport,
        faults: &[(&'static str, Vec<Act>)],
        more: &[(&str, &str)],
        cast: impl Fn(&[Act], usize, &str) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        let faults: Vec<_> = faults.iter().map(|(_, fault)| fault.clone()).collect();
        let calls = Mutex::new(vec![0; faults.len()]);
        let setup = Setup { keeps_alive: false, ..transport.into() };
        let llm = FakeLlm::new(setup, move |_, body| {
            let number = number_in(body);
            let call = &mut calls.lock().expect("no panic")[number];
            *call += 1;
            cast(&faults[number], *call, body["model"].as_str().expect("a model"))
        });
        let more = [more, &[("PLANNER_LLM_BREAKER_THRESHOLD", "100")]].concat();
        let app = app(&llm, &more).await;
        Self { llm, app }
    }

    async fn plan(&self, number: usize) -> reqwest::Response {
        self.app.plan(&json!({ "goal": format!("Ship the canary-goal number {number}!") })).await
    }

    /// The models that were called for a goal.
    fn models(&self, number: usize) -> Vec<String> {
        let calls = self.llm.calls();
        let calls = calls.iter().filter(|call| number_in(&call.body) == number);
        calls.map(|call| call.model().to_owned()).collect()
    }
}

/// The number of the goal that a call is for.
fn number_in(body: &Value) -> usize {
    let prompt = body["messages"][1]["content"].as_str().expect("a prompt");
    let (_, number) = prompt.split_once("number ").expect("a number");
    number.split_once('!').expect("its end").0.parse().expect("digits")
}

/// Those that can be met over `transport`.
fn met_over(transport: Transport, faults: Vec<(&'static str, Vec<Act>)>) -> Vec<(&'static str, Vec<Act>)> {
    faults.into_iter().filter(|(_, fault)| transport.carries(fault)).collect()
}

/// Plays all faults at once.
async fn each<F: Future<Output = ()>>(
    faults: &[(&'static str, Vec<Act>)],
    check: impl Fn(usize, &'static str) -> F,
) {
    let checks = faults.iter().enumerate().map(|(number, (what, _))| check(number, what));
    futures_util::future::join_all(checks).await;
}

over_each_transport!(
    a_transient_fault_is_retried,
    a_transient_fault_that_lasts_is_an_outage,
    a_permanent_fault_is_not_retried,
    the_next_model_answers_after_any_fault,
    the_embedded_planner_answers_when_every_model_fails,
    retry_after_that_fits_is_honoured,
    a_retry_after_date_that_fits_is_honoured,
    retry_after_that_does_not_fit_is_passed_on_at_once,
    retry_after_is_passed_on_after_the_last_attempt,
    an_outage_opens_the_breaker_and_one_probe_closes_it,
    a_server_that_fails_every_other_call_costs_no_plan,
    an_idle_connection_that_was_closed_costs_no_request,
    a_call_without_end_stops_at_the_deadline,
    a_call_that_another_overtakes_is_cancelled,
    a_slow_answer_within_the_deadline_is_used,
    a_disconnect_cancels_the_call,
    a_disconnect_between_two_calls_prevents_the_second,
);

async fn a_transient_fault_is_retried(transport: Transport) {
    let faults = met_over(transport, passing());
    let cast = |fault: &[Act], call, _: &str| if call == 1 { fault.to_vec() } else { good() };
    let stage = Stage::new(transport, &faults, &[], cast).await;
    each(&faults, async |number, what| {
        let response = stage.plan(number).await;
        assert_eq!(response.status(), 200, "{what}");
        assert_eq!(header(&response, "x-planner-attempts"), "2", "{what}");
        assert_eq!(stage.models(number).len(), 2, "{what}");
    })
    .await;
}

async fn a_transient_fault_that_lasts_is_an_outage(transport: Transport) {
    let faults = met_over(transport, passing());
    let more = [("PLANNER_LLM_MAX_ATTEMPTS", "2")];
    let stage = Stage::new(transport, &faults, &more, |fault, _, _| fault.to_vec()).await;
    each(&faults, async |number, what| {
        let (status, code, ..) = refused(stage.plan(number).await).await;
        assert_eq!((status, code.as_str()), (503, "llm_unavailable"), "{what}");
        assert_eq!(stage.models(number).len(), 2, "{what}");
    })
    .await;
}

async fn a_permanent_fault_is_not_retried(transport: Transport) {
    let faults = met_over(transport, lasting());
    let stage = Stage::new(transport, &faults, &[], |fault, _, _| fault.to_vec()).await;
    each(&faults, async |number, what| {
        let (status, code, _, document) = refused(stage.plan(number).await).await;
        assert_eq!((status, code.as_str()), (500, "llm_failed"), "{what}: {document}");
        assert_eq!(stage.models(number).len(), 1, "{what}");
    })
    .await;
}

#[tokio::test]
async fn a_closed_port_is_an_outage() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    drop(listener);
    let more = [("PLANNER_LLM_BASE_URL", url.as_str()), ("PLANNER_LLM_MAX_ATTEMPTS", "2")];
    let app = TestApp::start(&more).await;
    let response = app.plan(&goal()).await;
    assert_eq!(header(&response, "x-planner-attempts"), "2");
    let (status, document) = problem(response).await;
    assert_eq!((status, &document["code"]), (503, &json!("llm_unavailable")));
    assert!(!document.to_string().contains("127.0.0.1"), "{document}");
}

const TWO_MODELS: [(&str, &str); 4] = [
    ("PLANNER_LLM_MODEL", "first"),
    ("PLANNER_LLM_FALLBACK_MODELS", "second"),
    ("PLANNER_LLM_MAX_ATTEMPTS", "1"),
    ("PLANNER_TIMEOUT_SECONDS", "10"),
];

async fn the_next_model_answers_after_any_fault(transport: Transport) {
    let faults = met_over(transport, [passing(), lasting(), silent(), vec![passing_late()]].concat());
    let cast = |fault: &[Act], _, model: &str| if model == "second" { good() } else { fault.to_vec() };
    let stage = Stage::new(transport, &faults, &TWO_MODELS, cast).await;
    each(&faults, async |number, what| {
        let response = stage.plan(number).await;
        let named = ["x-planner-engine", "x-planner-model"].map(|name| header(&response, name));
        assert_eq!((response.status().as_u16(), named), (200, ["openai", "second"]), "{what}");
        assert_eq!(stage.models(number), ["first", "second"], "{what}");
    })
    .await;
}

async fn the_embedded_planner_answers_when_every_model_fails(transport: Transport) {
    let faults = met_over(transport, [passing(), lasting(), silent(), vec![passing_late()]].concat());
    let more = [&TWO_MODELS[..], &[("PLANNER_FALLBACK_ENGINE", "embedded")]].concat();
    let stage = Stage::new(transport, &faults, &more, |fault, _, _| fault.to_vec()).await;
    each(&faults, async |number, what| {
        let response = stage.plan(number).await;
        let named = ["x-planner-engine", "x-planner-model", "x-planner-attempts"];
        let named = named.map(|name| header(&response, name));
        assert_eq!((response.status().as_u16(), named), (200, ["embedded", "embedded", "2"]), "{what}");
        assert_eq!(stage.models(number), ["first", "second"], "{what}");
    })
    .await;
}

async fn retry_after_that_fits_is_honoured(transport: Transport) {
    let limited =
        |head: &str, message: &str| send(429, head, json!({"error": {"message": message}}).to_string());
    let faults = [
        ("milliseconds", limited("retry-after-ms: 300\r\n", "")),
        ("a fraction", limited("Retry-After: 0.3\r\n", "")),
        ("a sentence", limited("", "Please try again in 300ms.")),
        ("no time", limited("Retry-After: 0\r\n", "")),
        ("a date that is past", limited("Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "")),
    ];
    let cast = |fault: &[Act], call, _: &str| if call == 1 { fault.to_vec() } else { good() };
    let stage = Stage::new(transport, &faults, &[], cast).await;
    each(&faults, async |number, what| {
        assert_eq!(stage.plan(number).await.status(), 200, "{what}");
        let calls = stage.llm.calls();
        let calls: Vec<_> = calls.iter().filter(|call| number_in(&call.body) == number).collect();
        assert_eq!(calls.len(), 2, "{what}");
        let least = Duration::from_millis(if number < 3 { 300 } else { 0 });
        assert!(calls[1].at - calls[0].at >= least, "{what}: {:?}", calls[1].at - calls[0].at);
    })
    .await;
}

async fn a_retry_after_date_that_fits_is_honoured(transport: Transport) {
    let date = Arc::new(Mutex::new(None));
    let told = date.clone();
    let llm = FakeLlm::new(transport, move |call, _| {
        if call > 0 {
            return good();
        }
        // Dates are whole seconds: this one is up to a second ahead.
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(1));
        *told.lock().expect("no panic") = httpdate::parse_http_date(&soon).ok();
        send(429, &format!("Retry-After: {soon}\r\n"), "{}")
    });
    assert_eq!(app(&llm, &[]).await.plan(&goal()).await.status(), 200);
    let calls = llm.calls();
    assert_eq!(calls.len(), 2);
    assert!(Some(calls[1].clock) >= *date.lock().expect("no panic"), "{:?}", calls[1].clock);
}

async fn retry_after_that_does_not_fit_is_passed_on_at_once(transport: Transport) {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(38));
    for (head, message) in [
        ("Retry-After: 37\r\n".to_owned(), ""),
        ("retry-after-ms: 36500\r\n".to_owned(), ""),
        (format!("Retry-After: {date}\r\n"), ""),
        (String::new(), "Please try again in 36.5s."),
    ] {
        for status in [429, 503] {
            let llm = FakeLlm::over(
                transport,
                [send(status, &head, json!({"error": {"message": message}}).to_string())],
            )
            .await;
            let app = app(&llm, &[]).await;
            let began = Instant::now();
            let (got, code, wait, _) = refused(app.plan(&goal()).await).await;
            assert!(began.elapsed() < Duration::from_secs(2), "{head}: {:?}", began.elapsed());
            assert_eq!((got, code.as_str()), (503, "llm_unavailable"), "{head}");
            assert!(wait.is_some_and(|wait| (30..=38).contains(&wait)), "{head}: {wait:?}");
            assert_eq!(llm.calls().len(), 1, "{head}");
        }
    }
}

async fn retry_after_is_passed_on_after_the_last_attempt(transport: Transport) {
    let llm = FakeLlm::over(transport, [send(503, "Retry-After: 2\r\n", "{}")]).await;
    let app = app(&llm, &[("PLANNER_LLM_MAX_ATTEMPTS", "1")]).await;
    let (status, _, wait, _) = refused(app.plan(&goal()).await).await;
    assert_eq!((status, wait, llm.calls().len()), (503, Some(2), 1));
}

async fn an_outage_opens_the_breaker_and_one_probe_closes_it(transport: Transport) {
    let go_on = Arc::new(Notify::new());
    let probe = [vec![Act::Until(go_on.clone())], good()].concat();
    let llm =
        FakeLlm::over(transport, [says(503, "server_error"), says(503, "server_error"), probe, good()]).await;
    let more = [
        ("PLANNER_LLM_MAX_ATTEMPTS", "1"),
        ("PLANNER_LLM_BREAKER_THRESHOLD", "2"),
        ("PLANNER_LLM_BREAKER_RESET_SECONDS", "1"),
    ];
    let app = app(&llm, &more).await;
    for (calls, wait) in [(1, None), (2, None), (2, Some(1)), (2, Some(1))] {
        let (status, code, told, _) = refused(app.plan(&goal()).await).await;
        assert_eq!((status, code.as_str()), (503, "llm_unavailable"));
        assert_eq!((llm.calls().len(), told), (calls, wait), "an open breaker makes no call and says when");
    }
    until(async || {
        let ready = json_of(app.get("/ready").await).await;
        if ready["checks"]["llm"] == json!(true) { Ok(()) } else { Err(ready) }
    })
    .await;
    let goal = goal();
    let mut together: FuturesUnordered<_> = (0..8).map(|_| app.plan(&goal)).collect();
    for _ in 0..7 {
        let (status, _, wait, _) = refused(together.next().await.expect("an answer")).await;
        assert_eq!((status, wait), (503, Some(1)), "the probe is under way");
    }
    go_on.notify_one();
    assert_eq!(together.next().await.expect("an answer").status(), 200);
    assert_eq!(llm.calls().len(), 3, "one probe");
    app.planned(&goal).await;
}

async fn a_server_that_fails_every_other_call_costs_no_plan(transport: Transport) {
    let seen = Mutex::new(HashSet::new());
    let llm = FakeLlm::new(transport, move |_, body| {
        let goal = body["messages"][1]["content"].as_str().expect("a goal").to_owned();
        if seen.lock().expect("no panic").insert(goal) { says(500, "server_error") } else { good() }
    });
    let app = app(&llm, &[]).await;
    let requests = (0..20).map(|number| json!({"goal": format!("Ship number {number}")}));
    let plans = requests.map(async |request| app.plan(&request).await.status().as_u16());
    assert_eq!(futures_util::future::join_all(plans).await, [200; 20]);
    assert_eq!(llm.calls().len(), 40);
}

async fn an_idle_connection_that_was_closed_costs_no_request(transport: Transport) {
    let llm = FakeLlm::over(transport, [[good(), vec![Act::Close]].concat()]).await;
    let app = app(&llm, &[("PLANNER_LLM_MAX_ATTEMPTS", "2")]).await;
    for _ in 0..5 {
        app.planned(&goal()).await;
    }
    assert_eq!(llm.calls().len(), 5);
}

/// Asks where no answer comes within `deadline`: how late the 504 was.
async fn lateness(transport: Transport, what: &str, fault: Vec<Act>, deadline: Duration) -> Duration {
    let llm = FakeLlm::over(transport, [fault]).await;
    let seconds = deadline.as_secs_f64().to_string();
    let app = app(&llm, &[("PLANNER_TIMEOUT_SECONDS", &seconds)]).await;
    let began = Instant::now();
    let (status, code, ..) = refused(app.plan(&goal()).await).await;
    let took = began.elapsed();
    assert_eq!((status, code.as_str()), (504, "deadline_exceeded"), "{what}");
    // Another call is not begun in the last moments, in which the request may end.
    assert!(took + Duration::from_millis(20) >= deadline, "{what}: {took:?} is too early");
    // Neither the call nor the hedged one continues without the caller.
    for call in 0..llm.calls().len() {
        llm.left(call).await;
    }
    took.saturating_sub(deadline)
}

async fn a_call_without_end_stops_at_the_deadline(transport: Transport) {
    let mut latest = Duration::ZERO;
    for (what, fault) in silent() {
        let late = lateness(transport, what, fault, Duration::from_millis(200)).await;
        eprintln!("{what}: {late:?} after the deadline");
        latest = latest.max(late);
    }
    // 100 ms are promised; a busy machine may add to it.
    assert!(latest < Duration::from_millis(500), "{latest:?}");
}

async fn a_call_that_another_overtakes_is_cancelled(transport: Transport) {
    let llm = FakeLlm::over(transport, [vec![Act::Silence], good()]).await;
    let app = app(&llm, &[("PLANNER_TIMEOUT_SECONDS", "0.8")]).await;
    app.planned(&goal()).await;
    llm.left(0).await;
    assert_eq!(llm.calls().len(), 2);
}

async fn a_slow_answer_within_the_deadline_is_used(transport: Transport) {
    let whole = completion(&good_plan().to_string()).to_string();
    let acts = drip(&whole, whole.len() / 10, Duration::from_millis(50));
    let llm = FakeLlm::over(transport, [acts]).await;
    let response = app(&llm, &[("PLANNER_TIMEOUT_SECONDS", "5")]).await.plan(&goal()).await;
    assert_eq!((response.status().as_u16(), header(&response, "x-planner-attempts")), (200, "1"));
}

/// A connection on which a plan has been asked for.
async fn caller(app: &TestApp) -> TcpStream {
    calls(app.address, "", goal().to_string().as_bytes()).await
}

/// A connection on which `body` has been sent to `/plan`, with further `headers`.
pub async fn calls(address: SocketAddr, headers: &str, body: &[u8]) -> TcpStream {
    let mut caller = TcpStream::connect(address).await.expect("a connection");
    let head = "POST /plan HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let head = format!("{head}{headers}content-length: {}\r\n\r\n", body.len());
    caller.write_all(&[head.as_bytes(), body].concat()).await.expect("sent");
    caller
}

async fn a_disconnect_cancels_the_call(transport: Transport) {
    for (what, fault) in silent() {
        let llm = FakeLlm::over(transport, [fault]).await;
        let app = app(&llm, &[]).await;
        let caller = caller(&app).await;
        llm.called(1).await;
        let hung_up = Instant::now();
        drop(caller);
        let took = llm.left(0).await.saturating_duration_since(hung_up);
        eprintln!("{what}: cancelled {took:?} after the caller hung up");
        // 100 ms are promised; a busy machine may add to it.
        assert!(took < Duration::from_secs(1), "{what}: {took:?}");
        assert_eq!(llm.calls().len(), 1, "{what}");
    }
}

async fn a_disconnect_between_two_calls_prevents_the_second(transport: Transport) {
    let llm = FakeLlm::over(transport, [send(429, "retry-after-ms: 300\r\n", "{}"), good()]).await;
    let app = app(&llm, &[]).await;
    let caller = caller(&app).await;
    let refused = r#"planner_llm_calls_total{model="gpt-3.5-turbo",outcome="rate_limited"}"#;
    until(async || if app.count(refused).await == 0 { Err("no call") } else { Ok(()) }).await;
    drop(caller);
    // Longer than the wait before the second call.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(llm.calls().len(), 1);
}

#[tokio::test]
async fn no_fault_puts_an_answer_into_the_log() {
    let faults = [passing(), lasting()].concat();
    let script: Vec<_> = faults.iter().map(|(_, fault)| fault.clone()).collect();
    let llm = FakeLlm::over(Setup { keeps_alive: false, ..Transport::Http.into() }, script).await;
    let variables = [
        ("PLANNER_LLM_BASE_URL", llm.base_url.as_str()),
        ("PLANNER_OPENAI_API_KEY", "sk-canary"),
        ("PLANNER_LLM_MAX_ATTEMPTS", "1"),
        ("PLANNER_LLM_BREAKER_THRESHOLD", "100"),
        ("PLANNER_LOG_LEVEL", "debug"),
    ];
    let process = Process::start(&variables).await;
    let client = client();
    for (what, _) in &faults {
        let request = client.post(format!("{}/plan", process.url)).json(&goal());
        let response = request.send().await.expect("an answer");
        assert!(!format!("{:?}", response.headers()).contains(CANARY), "{what}");
        assert!(!response.text().await.expect("a body").contains(CANARY), "{what}");
    }
    assert_eq!(llm.calls().len(), faults.len());
    let (_, lines) = process.stop().await;
    assert!(lines.len() > 2 * faults.len(), "{lines:?}");
    for line in lines {
        assert!(!line.to_string().contains(CANARY), "{line}");
    }
}
