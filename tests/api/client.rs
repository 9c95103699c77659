//! The planner's client: what it sends, how it reads responses, when it retries and when it stops.

mod calls;

use std::time::{Duration, Instant};

use planner_arm::client::{ClientError, ClientOptions, Outage, PlannerClient, SetupError};
use planner_arm::domain::PlanResponse;
use planner_arm::resilience::breaker::BreakerState;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::support::{
    FakeLlm, Reply, TestApp, assert_valid_by_default, metric_in, planner_answer, planner_problem, until,
};

fn good() -> Reply {
    Reply::Body("application/json", planner_answer().to_string())
}

fn options() -> ClientOptions {
    ClientOptions { timeout: Duration::from_secs(5), ..ClientOptions::default() }
}

fn client(planner: &FakeLlm, options: ClientOptions) -> PlannerClient {
    PlannerClient::new(&planner.origin, options).expect("a client")
}

async fn ask(client: &PlannerClient) -> Result<PlanResponse, ClientError> {
    client.create_plan("task-1", "Ship it", &[], &Map::new()).await
}

/// The value of a metric of a client.
fn metric(client: &PlannerClient, name_and_labels: &str) -> u64 {
    let registry = prometheus::Registry::new();
    client.register(&registry).expect("its first registry");
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).expect("metrics");
    metric_in(&text, name_and_labels) as u64
}

#[tokio::test]
async fn a_real_planner_answers_with_plan_health_and_readiness() {
    let app = TestApp::embedded().await;
    let client = PlannerClient::new(&app.url("/"), options()).expect("a client");
    let context = Map::from_iter([("repository".to_owned(), json!("https://example.com/repo"))]);
    let constraints = ["Use Python only".to_owned()];
    let plan = client.create_plan("task-1", "Debug the login and add tests", &constraints, &context).await;
    assert_valid_by_default(&plan.expect("a plan"));
    assert_eq!(client.health().await.expect("health").model, "embedded");
    assert!(client.ready().await.expect("readiness").ready);
    assert_eq!(metric(&client, "planner_client_requests_total{outcome=\"ok\"}"), 1);
    assert_eq!(metric(&client, "planner_client_calls_total{outcome=\"ok\"}"), 1);
}

#[tokio::test]
async fn the_call_carries_goal_id_token_and_the_time_that_is_left() {
    let planner = FakeLlm::start([good()]).await;
    let client = client(&planner, ClientOptions { token: Some("secret".into()), ..options() });
    let context = Map::from_iter([("k".to_owned(), json!([1, "x"]))]);
    let plan = client
        .create_plan_within(
            Duration::from_secs(2),
            "task-7",
            "Ship it",
            &["No downtime".to_owned()],
            &context,
        )
        .await
        .expect("a plan");
    assert_eq!(serde_json::to_value(plan).expect("JSON"), planner_answer());
    let call = json!({ "goal": "Ship it", "constraints": ["No downtime"], "context": { "k": [1, "x"] } });
    assert_eq!(planner.bodies(), [call]);
    assert_eq!(planner.first_header("x-request-id").as_deref(), Some("task-7"));
    assert_eq!(planner.first_header("authorization").as_deref(), Some("Bearer secret"));
    let left: u64 = planner.first_header("x-request-timeout-ms").expect("a limit").parse().expect("a number");
    assert!((1..=1_900).contains(&left), "a little less than 2 s: {left}");
}

#[tokio::test]
async fn without_a_deadline_the_call_timeout_applies() {
    let planner = FakeLlm::start([good()]).await;
    ask(&client(&planner, options())).await.expect("a plan");
    assert_eq!(planner.first_header("x-request-timeout-ms").as_deref(), Some("4900"));
    assert_eq!(planner.first_header("authorization"), None);
}

#[tokio::test]
async fn transient_failures_are_retried() {
    let no_plan = Reply::Body("application/json", json!({ "hello": "world" }).to_string());
    let jumbled = Reply::Body("application/json", {
        let mut answer = planner_answer();
        answer["plan"][0]["step"] = json!(2);
        answer.to_string()
    });
    for (reply, cause) in [
        (Reply::status(429), "rate_limited"),
        (Reply::status(502), "bad_gateway"),
        (Reply::status(503), "unavailable"),
        (planner_problem(503, "overloaded", "Too many plans in flight."), "overloaded"),
        (planner_problem(503, "shutting_down", "The service is shutting down."), "shutting_down"),
        (Reply::status(504), "gateway_timeout"),
        (Reply::status(500), "failed"),
        (Reply::status(507), "failed"),
        (planner_problem(500, "internal_error", "A fault of ours."), "failed"),
        (Reply::Body("text/html", "<html>".into()), "malformed"),
        (no_plan, "malformed"),
        (jumbled, "malformed"),
        (Reply::status(204), "malformed"),
    ] {
        let planner = FakeLlm::start([reply, good()]).await;
        let client = client(&planner, options());
        ask(&client).await.unwrap_or_else(|error| panic!("{cause}: {error}"));
        assert_eq!(planner.calls().len(), 2, "{cause}");
        assert_eq!(
            metric(&client, &format!("planner_client_retries_total{{cause=\"{cause}\"}}")),
            1,
            "{cause}"
        );
    }
}

#[tokio::test]
async fn a_permanent_refusal_is_not_retried() {
    for (status, code) in
        [(400, "unknown_include"), (401, "unauthorized"), (404, "not_found"), (422, "invalid_request")]
            .into_iter()
            .chain([(500, "llm_failed"), (500, "plan_invalid")])
    {
        let planner = FakeLlm::start([planner_problem(status, code, "That is why."), good()]).await;
        let client = client(&planner, options());
        let Err(ClientError::Rejected(why)) = ask(&client).await else { panic!("{code} is a refusal") };
        assert_eq!((why.status, why.code.as_str(), why.detail.as_str()), (status, code, "That is why."));
        assert_eq!(planner.calls().len(), 1, "{code}");
        assert_eq!(client.breaker_state(), BreakerState::Closed, "{code}");
    }
}

#[tokio::test]
async fn a_refusal_carries_every_fault_or_its_status() {
    let app = TestApp::embedded().await;
    let real = PlannerClient::new(&app.url(""), options()).expect("a client");
    let error = real.create_plan("t", " ", &[String::new()], &Map::new()).await.expect_err("two faults");
    let ClientError::Rejected(why) = &error else { panic!("{error}") };
    let fields: Vec<&str> = why.errors.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["constraints[0]", "goal"]);

    let planner =
        FakeLlm::start([Reply::Status(301, vec![("location", "/elsewhere".into())], Value::Null)]).await;
    let error = ask(&client(&planner, options())).await.expect_err("a redirect");
    assert_eq!(
        error.to_string(),
        "the planner arm refused the request (status_301): it gave no reason; check that the URL is that of a planner arm"
    );
}

#[tokio::test]
async fn a_short_retry_after_is_honoured_and_a_long_one_returned() {
    let asking = |wait: &str| Reply::Status(503, vec![("retry-after", wait.to_owned())], json!({}));
    let planner = FakeLlm::start([asking("1"), good()]).await;
    let began = Instant::now();
    ask(&client(&planner, options())).await.expect("a plan");
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());

    let planner = FakeLlm::start([asking("120"), good()]).await;
    let error = ask(&client(&planner, options())).await.expect_err("too long a wait");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(120)));
    assert_eq!(planner.calls().len(), 1);

    let planner = FakeLlm::start([asking("1"), good()]).await;
    let client = client(&planner, options());
    let error = client
        .create_plan_within(Duration::from_millis(800), "t", "Ship it", &[], &Map::new())
        .await
        .expect_err("longer than there is time");
    assert_eq!(error, ClientError::Deadline { cause: Some(Outage::Unavailable) });
    assert!(error.to_string().ends_with("the planner arm is unavailable"), "{error}");
}

#[tokio::test]
async fn retries_are_bounded_and_the_last_error_is_returned() {
    let planner = FakeLlm::start([planner_problem(503, "llm_unavailable", "The LLM is down.")]).await;
    let client = client(&planner, ClientOptions { max_retries: 1, ..options() });
    let error = ask(&client).await.expect_err("an outage");
    assert_eq!(planner.calls().len(), 2);
    assert_eq!(error.to_string(), "the planner arm is unavailable: The LLM is down");
    assert_eq!(metric(&client, "planner_client_requests_total{outcome=\"unavailable\"}"), 1);
    assert_eq!(metric(&client, "planner_client_calls_total{outcome=\"unavailable\"}"), 2);
}

#[tokio::test]
async fn the_breaker_opens_lets_one_probe_through_and_closes() {
    let planner = FakeLlm::start(vec![Reply::status(503); 5].into_iter().chain([good()])).await;
    let reset = Duration::from_secs(1);
    let client = client(&planner, ClientOptions { max_retries: 1, breaker_reset: reset, ..options() });
    assert!(matches!(ask(&client).await, Err(ClientError::Unavailable { .. })));
    assert!(matches!(ask(&client).await, Err(ClientError::Unavailable { .. })));
    // The fifth failure opens it in the midst of a request, which then says what the planner's trouble is.
    let error = ask(&client).await.expect_err("an outage");
    assert!(matches!(error, ClientError::Unavailable { outage: Outage::Unavailable, .. }), "{error}");
    assert!(error.retry_after().is_some_and(|wait| wait <= reset), "{error:?}");
    assert_eq!(planner.calls().len(), 5);
    assert_eq!(
        (client.breaker_state(), metric(&client, "planner_client_breaker_state")),
        (BreakerState::Open, 2)
    );

    let began = Instant::now();
    let error = ask(&client).await.expect_err("the breaker is open");
    assert!(matches!(error, ClientError::CircuitOpen { retry_after } if retry_after <= reset), "{error}");
    assert_eq!(planner.calls().len(), 5, "no call was made");
    assert!(began.elapsed() < reset, "it fails at once");

    until(async || match client.breaker_state() {
        BreakerState::Open => Err(BreakerState::Open),
        _ => Ok(()),
    })
    .await;
    ask(&client).await.expect("the probe succeeds");
    assert_eq!((client.breaker_state(), planner.calls().len()), (BreakerState::Closed, 6));
    assert_eq!(metric(&client, "planner_client_requests_total{outcome=\"circuit_open\"}"), 1);
}

#[tokio::test]
async fn a_rate_limit_does_not_open_the_breaker() {
    let planner = FakeLlm::start([Reply::status(429)]).await;
    let client = client(&planner, ClientOptions { max_retries: 0, breaker_threshold: 1, ..options() });
    for _ in 0..3 {
        assert!(matches!(
            ask(&client).await,
            Err(ClientError::Unavailable { outage: Outage::RateLimited, .. })
        ));
    }
    assert_eq!(client.breaker_state(), BreakerState::Closed);
}

#[tokio::test]
async fn a_planner_that_is_overloaded_or_shuts_down_opens_no_breaker() {
    for code in ["overloaded", "shutting_down"] {
        let planner = FakeLlm::start([planner_problem(503, code, "Later.")]).await;
        let client = client(&planner, ClientOptions { max_retries: 0, breaker_threshold: 1, ..options() });
        for _ in 0..3 {
            assert!(matches!(ask(&client).await, Err(ClientError::Unavailable { .. })), "{code}");
        }
        assert_eq!((client.breaker_state(), planner.calls().len()), (BreakerState::Closed, 3), "{code}");
    }
}

#[tokio::test]
async fn the_first_probe_comes_long_before_the_configured_reset() {
    let planner = FakeLlm::start([Reply::status(502)]).await;
    let once = ClientOptions { max_retries: 0, breaker_threshold: 1, ..options() };
    assert_eq!(once.breaker_reset, Duration::from_secs(60));
    let client = client(&planner, once);
    assert!(matches!(ask(&client).await, Err(ClientError::Unavailable { .. })));
    let Err(ClientError::CircuitOpen { retry_after }) = ask(&client).await else { panic!("open") };
    assert!(retry_after <= Duration::from_secs(5), "{retry_after:?}");
}

#[tokio::test]
async fn a_silent_planner_costs_no_more_than_the_time_given() {
    let planner = FakeLlm::start([Reply::Never]).await;
    let client = client(&planner, ClientOptions { breaker_threshold: 1, ..options() });
    let context = Map::new();
    let ask_within =
        |time| client.create_plan_within(Duration::from_millis(time), "t", "Ship it", &[], &context);
    assert_eq!(ask_within(200).await, Err(ClientError::Deadline { cause: Some(Outage::TimedOut) }));
    assert_eq!(client.breaker_state(), BreakerState::Closed, "200 ms say nothing about the planner");
    assert_eq!(ask_within(1_500).await, Err(ClientError::Deadline { cause: Some(Outage::TimedOut) }));
    assert_eq!(client.breaker_state(), BreakerState::Open);
    assert_eq!(ask_within(0).await, Err(ClientError::Deadline { cause: None }));
}

#[tokio::test]
async fn a_planner_that_is_down_is_reported_as_unreachable() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let url = format!("http://{free}");
    let client = PlannerClient::new(&url, ClientOptions { max_retries: 1, ..options() }).expect("a client");
    let error = ask(&client).await.expect_err("nobody is there");
    assert_eq!(error.to_string(), "the planner arm cannot be reached");
    assert_eq!(client.ready().await.expect_err("nobody").to_string(), "the planner arm cannot be reached");
    assert_eq!(client.breaker_state(), BreakerState::Closed, "asking how it is decides nothing");
}

#[tokio::test]
async fn error_texts_are_short_and_free_of_control_characters() {
    let detail = format!("a\u{0}b\r\nc {}", "word ".repeat(1_000));
    let planner = FakeLlm::start([planner_problem(422, "invalid\u{0}request", &detail)]).await;
    let Err(ClientError::Rejected(why)) = ask(&client(&planner, options())).await else {
        panic!("a refusal")
    };
    assert_eq!(why.code, "invalidrequest");
    assert!(why.detail.starts_with("abc word") && why.detail.chars().count() <= 500, "{}", why.detail);
}

#[tokio::test]
async fn the_longest_timeout_is_accepted() {
    let planner = FakeLlm::start([good()]).await;
    let patient = ClientOptions { timeout: Duration::MAX, max_retries: u32::MAX, ..options() };
    ask(&client(&planner, patient.clone())).await.expect("a plan");
    let client = client(&planner, patient);
    let context = Map::new();
    client.create_plan_within(Duration::MAX, "t", "Ship it", &[], &context).await.expect("a plan");
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let planner = FakeLlm::start([Reply::Body("application/json", " ".repeat(5 * 1024 * 1024))]).await;
    let client = client(&planner, ClientOptions { max_retries: 0, ..options() });
    let error = ask(&client).await.expect_err("too long");
    assert!(matches!(error, ClientError::Unavailable { outage: Outage::Malformed, .. }), "{error}");
}

#[test]
fn an_invalid_url_or_token_is_refused() {
    let setup = |url, token: Option<&str>| {
        let options = ClientOptions { token: token.map(Into::into), ..ClientOptions::default() };
        PlannerClient::new(url, options).err()
    };
    for url in
        ["", "planner-arm:8001", "ftp://planner-arm", "http://planner-arm?x=1", "http://u:p@planner-arm"]
    {
        assert_eq!(setup(url, None), Some(SetupError::Url), "{url}");
    }
    assert_eq!(setup("http://planner-arm", Some("a\nb")), Some(SetupError::Token));
    assert_eq!(setup("http://planner-arm", Some("secret")), None);
    let client = PlannerClient::new("http://p", ClientOptions { token: Some("canary".into()), ..options() });
    assert!(!format!("{client:?}").contains("canary"));
}

#[test]
fn registering_two_clients_is_an_error() {
    let client = || PlannerClient::new("http://planner-arm", ClientOptions::default()).expect("a client");
    let registry = prometheus::Registry::new();
    assert!(client().register(&registry).is_ok());
    assert!(client().register(&registry).is_err());
}
