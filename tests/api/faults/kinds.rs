//! The faults of LLMs by what must become of them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::fake_llm::{Act, completion, drip, send, send_json, send_without_end};
use crate::support::good_plan;

pub fn good() -> Vec<Act> {
    send_json(200, &completion(&good_plan().to_string()))
}

/// An error whose code is for programs, and whose message and other keys must not be passed on to callers.
pub fn says(status: u16, code: &str) -> Vec<Act> {
    send_json(status, &json!({"error": {"message": "canary-message", "code": code, "canary": "canary"}}))
}

fn good_text() -> String {
    completion(&good_plan().to_string()).to_string()
}

/// A good answer of which the last bytes never come, and then `act`.
fn cut_short(act: Act) -> Vec<Act> {
    [send_without_end(&good_text(), 100), vec![act]].concat()
}

/// A head that promises a body, and then `act`.
fn head_then(act: Act) -> Vec<Act> {
    vec![Act::Head(200, "content-length: 9\r\n".into()), act]
}

/// What passes: each is tried again.
pub fn passing() -> Vec<(&'static str, Vec<Act>)> {
    let whole = good_text();
    let half = format!("HTTP/1.0 200 OK\r\nconnection: close\r\n\r\n{}", &whole[..whole.len() / 2]);
    let unended = vec![Act::Head(200, String::new()), Act::Body(whole.into()), Act::Close];
    vec![
        ("500", says(500, "server_error")),
        ("502 with a page", send(502, "content-type: text/html\r\n", "<html>canary</html>")),
        ("503", says(503, "server_error")),
        ("529", send(529, "", "")),
        ("408", says(408, "server_error")),
        ("409", says(409, "server_error")),
        ("429", says(429, "rate_limit_exceeded")),
        ("200 with an error", says(200, "rate_limit_exceeded")),
        ("200 with a page", send(200, "content-type: text/html\r\n", "<html>canary</html>")),
        ("200 with nothing", send(200, "", "")),
        ("no choices", send_json(200, &json!({"choices": []}))),
        ("more than 4 MiB", send(200, "", vec![b' '; 4 * 1024 * 1024 + 1])),
        ("204", vec![Act::Head(204, String::new()), Act::End]),
        ("reset before the head", vec![Act::Reset]),
        ("closed before the head", vec![Act::Close]),
        ("closed within the head", vec![Act::Raw(b"HTTP/1.1 200 OK\r\ncontent-".to_vec()), Act::Close]),
        ("reset after the head", head_then(Act::Reset)),
        ("reset within the body", cut_short(Act::Reset)),
        ("body cut, of a length", cut_short(Act::Close)),
        ("body cut, in chunks", unended),
        ("body cut, up to the close", vec![Act::Raw(half.into()), Act::Close]),
        ("not HTTP", vec![Act::Raw(b"canary\r\n\r\n".to_vec()), Act::Close]),
        ("broken gzip", send(200, "content-encoding: gzip\r\n", "canary")),
    ]
}

/// What does not pass: none is tried again.
pub fn lasting() -> Vec<(&'static str, Vec<Act>)> {
    let choice = |choice: Value| send_json(200, &json!({"choices": [choice]}));
    vec![
        ("wrong key", says(401, "invalid_api_key")),
        ("forbidden", says(403, "denied")),
        ("unknown model", says(404, "model_not_found")),
        ("context too long", says(400, "context_length_exceeded")),
        ("filtered prompt", says(400, "content_filter")),
        (
            "filtered answer",
            choice(json!({"message": {"content": "canary"}, "finish_reason": "content_filter"})),
        ),
        (
            "refusal",
            choice(json!({"message": {"content": null, "refusal": "canary"}, "finish_reason": "stop"})),
        ),
        ("quota gone", says(429, "insufficient_quota")),
        ("payment required", says(402, "denied")),
        (
            "invalid parameter",
            send_json(
                400,
                &json!({"error": {"message": "canary-message", "param": "messages", "code": "denied"}}),
            ),
        ),
        ("redirect", send(302, "location: /canary\r\n", "")),
        ("key refused with 200", says(200, "401")),
    ]
}

/// What passes too late to wait for it.
pub fn passing_late() -> (&'static str, Vec<Act>) {
    ("429 for long", send(429, "Retry-After: 37\r\n", "canary"))
}

/// What never ends.
pub fn silent() -> Vec<(&'static str, Vec<Act>)> {
    vec![
        ("no answer", vec![Act::Silence]),
        ("no body", head_then(Act::Silence)),
        ("half a body", cut_short(Act::Silence)),
        ("drips", drip(&good_text(), 1, Duration::from_millis(50))),
    ]
}
