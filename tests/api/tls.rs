//! LLM servers behind `https://`: certificates that are and are not trusted, and proxies.

mod proxy;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::binary;
use crate::process::{Process, client};
use crate::support::fake_llm::tls::{Certificate, HOST};
use crate::support::fake_llm::{Act, FakeLlm, Setup, Transport};
use crate::support::{Reply, TestApp, good_plan, header, json_of};
use proxy::Proxy;

fn goal() -> Value {
    json!({"goal": "Ship it"})
}

fn with_certificate(certificate: Certificate) -> Setup {
    Setup { certificate, ..Transport::Https.into() }
}

#[tokio::test]
async fn a_certificate_of_the_authority_in_the_file_is_trusted() {
    for transport in [Transport::Https, Transport::Http2] {
        let llm = FakeLlm::over(transport, [Reply::plan(&good_plan())]).await;
        let app = TestApp::with_llm(&llm, &[]).await;
        for _ in 0..3 {
            assert_eq!(json!(app.planned(&goal()).await.plan), good_plan()["plan"], "{transport:?}");
        }
        assert_eq!((llm.calls().len(), llm.open()), (3, 1), "{transport:?}: one connection");
    }
}

#[tokio::test]
async fn a_call_that_http2_refuses_unread_is_sent_again_and_counts_once() {
    let refused = || Reply::Acts(vec![Act::Refuse]);
    let llm = FakeLlm::over(Transport::Http2, [refused(), refused(), Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_LLM_MAX_ATTEMPTS", "1")]).await;
    assert_eq!(json!(app.planned(&goal()).await.plan), good_plan()["plan"]);
    assert_eq!(llm.number_of_calls(), 3);
}

/// Asks for a plan through `llm`, which must fail at once: the sentence that says why.
async fn failure(llm: &FakeLlm, settings: &[(&str, &str)]) -> String {
    let settings =
        [settings, &[("PLANNER_LLM_MAX_ATTEMPTS", "3"), ("PLANNER_TIMEOUT_SECONDS", "30")]].concat();
    let app = TestApp::start(&settings).await;
    let began = Instant::now();
    let (status, document) = app.refused(&goal()).await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}: no use in asking again", began.elapsed());
    assert_eq!((status, &document["code"]), (500, &json!("llm_failed")), "{document}");
    assert_eq!(llm.number_of_calls(), 0);
    document["detail"].as_str().expect("a sentence").to_owned()
}

#[tokio::test]
async fn an_untrusted_certificate_is_an_error_that_names_the_setting() {
    let llm = FakeLlm::over(with_certificate(Certificate::Untrusted), [Reply::Never]).await;
    let detail = failure(&llm, &llm.settings()).await;
    assert!(detail.contains("PLANNER_LLM_CA_FILE") && detail.contains("not trusted"), "{detail}");
    // Neither is one whose authority nobody names.
    let llm = FakeLlm::over(Transport::Https, [Reply::Never]).await;
    let detail = failure(&llm, &[("PLANNER_LLM_BASE_URL", &llm.base_url)]).await;
    assert!(detail.contains("PLANNER_LLM_CA_FILE") && detail.contains("not trusted"), "{detail}");
}

#[tokio::test]
async fn an_expired_certificate_is_an_error_that_says_so() {
    let llm = FakeLlm::over(with_certificate(Certificate::Expired), [Reply::Never]).await;
    let detail = failure(&llm, &llm.settings()).await;
    assert!(detail.contains("expired") && detail.contains("PLANNER_LLM_BASE_URL"), "{detail}");
}

#[tokio::test]
async fn a_certificate_for_another_host_is_an_error_that_names_the_setting() {
    let llm = FakeLlm::over(with_certificate(Certificate::OfAnotherHost), [Reply::Never]).await;
    let detail = failure(&llm, &llm.settings()).await;
    assert!(detail.contains("host") && detail.contains("PLANNER_LLM_BASE_URL"), "{detail}");
}

#[tokio::test]
async fn a_server_without_tls_is_an_error_that_names_the_setting() {
    let llm = FakeLlm::start([Reply::Never]).await;
    let url = llm.base_url.replace("http://", "https://");
    let detail = failure(&llm, &[("PLANNER_LLM_BASE_URL", &url)]).await;
    assert!(detail.contains("PLANNER_LLM_BASE_URL") && detail.contains("http://"), "{detail}");
}

/// Starts the service with an LLM whose host name only the proxy can resolve.
async fn behind(proxy: &Proxy, llm: &FakeLlm, variable: &str) -> Process {
    let base_url = llm.base_url.replace("127.0.0.1", HOST);
    let mut settings = llm.settings();
    settings.retain(|(name, _)| *name != "PLANNER_LLM_BASE_URL");
    settings.extend([
        ("PLANNER_LLM_BASE_URL", base_url.as_str()),
        ("PLANNER_LLM_MAX_ATTEMPTS", "1"),
        ("PLANNER_CACHE_TTL_SECONDS", "0"),
        ("PLANNER_HOST", "127.0.0.1"),
        ("PLANNER_PORT", "0"),
        ("PLANNER_LOG_FORMAT", "json"),
    ]);
    let url = proxy.url();
    settings.push((variable, &url));
    Process::of(&mut binary(&settings)).await
}

async fn plan(process: &Process) -> reqwest::Response {
    client().post(format!("{}/plan", process.url)).json(&goal()).send().await.expect("an answer")
}

#[tokio::test]
async fn calls_over_tls_go_through_the_proxy_by_connect() {
    for transport in [Transport::Https, Transport::Http2] {
        let llm = FakeLlm::over(transport, [Reply::plan(&good_plan())]).await;
        let proxy = Proxy::to(llm.address()).await;
        let process = behind(&proxy, &llm, "HTTPS_PROXY").await;
        for _ in 0..2 {
            let response = plan(&process).await;
            assert_eq!(header(&response, "x-planner-engine"), "openai");
            assert_eq!(json_of(response).await["plan"], good_plan()["plan"]);
        }
        let port = llm.address().port();
        assert_eq!(
            proxy.requests(),
            [format!("CONNECT {HOST}:{port} HTTP/1.1")],
            "{transport:?}: one tunnel"
        );
        assert_eq!(llm.calls().len(), 2);
        assert_eq!(process.stop().await.0, Some(0));
    }
}

#[tokio::test]
async fn calls_in_plain_http_are_sent_to_the_proxy() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let proxy = Proxy::to(llm.address()).await;
    let process = behind(&proxy, &llm, "HTTP_PROXY").await;
    assert_eq!(json_of(plan(&process).await).await["plan"], good_plan()["plan"]);
    let url = format!("http://{HOST}:{}/v1/chat/completions", llm.address().port());
    assert_eq!(proxy.requests(), [format!("POST {url} HTTP/1.1")]);
    assert_eq!(process.stop().await.0, Some(0));
}

#[tokio::test]
async fn a_proxy_that_refuses_is_an_outage() {
    let llm = FakeLlm::over(Transport::Https, [Reply::plan(&good_plan())]).await;
    let proxy = Proxy::refusing().await;
    let process = behind(&proxy, &llm, "HTTPS_PROXY").await;
    let response = plan(&process).await;
    assert_eq!(
        (response.status().as_u16(), &json_of(response).await["code"]),
        (503, &json!("llm_unavailable"))
    );
    assert_eq!((proxy.requests().len(), llm.number_of_calls()), (1, 0));
    process.stop().await;
}
