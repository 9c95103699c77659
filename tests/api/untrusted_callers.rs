//! Requests of people who mean no good: bodies and heads beyond all bounds, and bodies that never come.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::limits::send_raw;
use crate::support::{FakeLlm, Reply, TestApp, good_plan, problem};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn deeply_nested_bodies_are_refused() {
    let app = TestApp::embedded().await;
    let closed = |open: &str, close: &str| {
        let levels = (MIB - 100) / (open.len() + close.len());
        format!("{}{}", open.repeat(levels), close.repeat(levels))
    };
    let (arrays, objects) = (closed("[", "]"), closed("{\"a\":", "}").replace(":}", ":0}"));
    for body in [
        "[".repeat(MIB),
        "{\"a\":".repeat(MIB / 5),
        arrays.clone(),
        objects.clone(),
        format!("{{\"goal\":{arrays}}}"),
        format!("{{\"goal\":\"g\",\"context\":{objects}}}"),
        format!("{{\"goal\":\"g\",\"constraints\":{arrays}}}"),
    ] {
        let begin: String = body.chars().take(40).collect();
        let request = app.client.post(app.url("/plan")).header("content-type", "application/json").body(body);
        let (status, document) = problem(request.send().await.expect("an answer")).await;
        assert_eq!((status, &document["code"]), (422, &json!("invalid_request")), "{begin}");
        assert!(document.to_string().len() < 2_000, "{document}");
    }
    // What is ignored is so however deep it is.
    let body = format!("{{\"goal\":\"g\",\"ignored\":{arrays}}}");
    let request = app.client.post(app.url("/plan")).header("content-type", "application/json").body(body);
    assert_eq!(request.send().await.expect("an answer").status(), 200);
}

#[tokio::test]
async fn request_heads_are_limited() {
    let app = TestApp::embedded().await;
    let head =
        |headers: &str| format!("GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let long = format!("x-long: {}\r\n", "x".repeat(MIB));
    for (what, head, status) in [
        ("a usual head", head("x-one: 1\r\n"), "200"),
        ("200 headers", head(&many), "431"),
        ("a header of a megabyte", head(&long), "431"),
        ("a path of 70 KiB", format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(70 * 1024)), "431"),
    ] {
        let answer = answer_to(&app, &head).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{what}: {answer:.100}");
    }
    app.planned(&json!({"goal": "g"})).await;
}

/// What comes back; the rest of a head may find nobody who reads it any more.
async fn answer_to(app: &TestApp, head: &str) -> String {
    use tokio::io::AsyncReadExt;
    let (mut read, mut write) = TcpStream::connect(app.address).await.expect("a connection").into_split();
    let head = head.to_owned();
    let writer = tokio::spawn(async move {
        let _ = write.write_all(head.as_bytes()).await;
        // Open until the answer is read.
        write
    });
    let mut answer = vec![0; 4096];
    let length = tokio::time::timeout(Duration::from_secs(10), read.read(&mut answer)).await;
    let length = length.expect("an answer in time").expect("an answer");
    drop(writer.await);
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

const SLOW_HEAD: &str = "POST /plan HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{\"goal\":";

#[tokio::test]
async fn missing_bodies_hold_no_permit() {
    let llm = FakeLlm::start([Reply::plan(&good_plan())]).await;
    let app = TestApp::with_llm(&llm, &[("PLANNER_MAX_CONCURRENT_PLANS", "1")]).await;
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let mut connection = TcpStream::connect(app.address).await.expect("a connection");
        connection.write_all(SLOW_HEAD.as_bytes()).await.expect("a reader");
        waiting.push(connection);
    }
    for _ in 0..3 {
        app.planned(&json!({"goal": "g"})).await;
    }
    assert_eq!(app.count("planner_plans_in_flight").await, 0);
}

#[tokio::test]
async fn a_slow_body_is_cut_off_at_the_deadline() {
    let app = TestApp::start(&[("PLANNER_ENGINE", "embedded"), ("PLANNER_TIMEOUT_SECONDS", "0.3")]).await;
    let (mut read, mut write) = TcpStream::connect(app.address).await.expect("a connection").into_split();
    write.write_all(SLOW_HEAD.as_bytes()).await.expect("a reader");
    let trickle = tokio::spawn(async move {
        // Until nobody is there.
        while write.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let mut answer = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut answer);
    // The end may be a reset, as nobody has read what trickled last.
    let _ = tokio::time::timeout(Duration::from_secs(10), read).await.expect("an end");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 504"), "{head}");
    let document: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(document["code"], json!("deadline_exceeded"));
    tokio::time::timeout(Duration::from_secs(10), trickle)
        .await
        .expect("the connection is gone")
        .expect("no panic");
}

#[tokio::test]
async fn an_excessive_length_is_refused_before_the_body() {
    let app = TestApp::embedded().await;
    let head = "POST /plan HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: 99999999999\r\n\r\n";
    let answer = send_raw(&app, head).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("payload_too_large"), "{answer}");
    let asking = head.replace("connection: close\r\n", "connection: close\r\nexpect: 100-continue\r\n");
    let answer = send_raw(&app, &asking).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "it is not told to go on: {answer}");
}

#[tokio::test]
async fn a_caller_that_keeps_writing_can_read_the_refusal() {
    let app = TestApp::embedded().await;
    let head = "POST /plan HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let megabyte = " ".repeat(MIB);
    let known = format!("{head}content-length: {}\r\n\r\n{}", 8 * MIB, megabyte.repeat(8));
    let chunk = format!("{MIB:x}\r\n{megabyte}\r\n");
    let unknown = format!("{head}transfer-encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(8));
    for request in [known, unknown] {
        // The whole of it is written before anything is read, as many clients do.
        let (mut read, mut write) = TcpStream::connect(app.address).await.expect("a connection").into_split();
        write.write_all(request.as_bytes()).await.expect("a reader");
        let mut answer = vec![0; 4096];
        let length = tokio::io::AsyncReadExt::read(&mut read, &mut answer).await.expect("an answer");
        let answer = String::from_utf8_lossy(&answer[..length]);
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer:.100}");
    }
}
