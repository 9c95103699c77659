//! The faults of LLMs at the level of bytes, by what must become of them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::good_plan;
use crate::wire::{Act, completion, response, send, send_json};

pub fn good() -> Vec<Act> {
    send_json(200, &completion(&good_plan().to_string()))
}

pub fn says(status: u16, code: &str) -> Vec<Act> {
    send_json(status, &json!({"error": {"message": "canary-message", "code": code, "canary": "canary"}}))
}

/// A good answer of which the last bytes never come.
fn cut_short() -> Vec<u8> {
    let mut whole = response(200, "", completion(&good_plan().to_string()).to_string());
    whole.truncate(whole.len() - 100);
    whole
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// What passes: each is tried again.
pub fn passing() -> Vec<(&'static str, Vec<Act>)> {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let whole = completion(&good_plan().to_string()).to_string();
    let unended = format!("{chunked}{}", chunk(&whole));
    let half = format!("HTTP/1.0 200 OK\r\nconnection: close\r\n\r\n{}", &whole[..whole.len() / 2]);
    vec![
        ("500", says(500, "canary")),
        ("502 with a page", send(502, "content-type: text/html\r\n", "<html>canary</html>")),
        ("503", says(503, "canary")),
        ("529", send(529, "", "")),
        ("408", says(408, "canary")),
        ("409", says(409, "canary")),
        ("429", says(429, "rate_limit_exceeded")),
        ("200 with an error", says(200, "rate_limit_exceeded")),
        ("200 with a page", send(200, "content-type: text/html\r\n", "<html>canary</html>")),
        ("200 with nothing", send(200, "", "")),
        ("no choices", send_json(200, &json!({"choices": []}))),
        ("more than 4 MiB", send(200, "", vec![b' '; 4 * 1024 * 1024 + 1])),
        ("204", vec![Act::Send(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())]),
        ("reset before the head", vec![Act::Reset]),
        ("closed before the head", vec![Act::Close]),
        ("closed within the head", vec![Act::Send(b"HTTP/1.1 200 OK\r\ncontent-".to_vec()), Act::Close]),
        (
            "reset behind the head",
            vec![Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n".to_vec()), Act::Reset],
        ),
        ("reset within the body", vec![Act::Send(cut_short()), Act::Reset]),
        ("body cut, of a length", vec![Act::Send(cut_short()), Act::Close]),
        ("body cut, in chunks", vec![Act::Send(unended.into()), Act::Close]),
        ("body cut, up to the close", vec![Act::Send(half.into()), Act::Close]),
        ("not HTTP", vec![Act::Send(b"canary\r\n\r\n".to_vec()), Act::Close]),
        ("broken gzip", send(200, "content-encoding: gzip\r\n", "canary")),
    ]
}

/// What does not pass: none is tried again.
pub fn lasting() -> Vec<(&'static str, Vec<Act>)> {
    let choice = |choice: Value| send_json(200, &json!({"choices": [choice]}));
    vec![
        ("wrong key", says(401, "invalid_api_key")),
        ("forbidden", says(403, "canary")),
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
        ("payment required", says(402, "canary")),
        ("bad request", says(400, "canary")),
        ("sent elsewhere", send(302, "location: /canary\r\n", "")),
        ("key refused with 200", says(200, "401")),
    ]
}

/// What passes too late to wait for it.
pub fn passing_late() -> (&'static str, Vec<Act>) {
    ("429 for long", send(429, "Retry-After: 37\r\n", "canary"))
}

/// What never ends.
pub fn silent() -> Vec<(&'static str, Vec<Act>)> {
    let whole = response(200, "", completion(&good_plan().to_string()).to_string());
    vec![
        ("no answer", vec![Act::Silence]),
        ("no body", vec![Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n".to_vec()), Act::Silence]),
        ("half a body", vec![Act::Send(cut_short()), Act::Silence]),
        ("drips", vec![Act::Drip(whole, 1, Duration::from_millis(50))]),
    ]
}
