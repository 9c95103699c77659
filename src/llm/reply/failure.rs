//! What it means when a server says no, by status, by header or in its own words.

use std::time::Duration;

use http::StatusCode;
use http::header::HeaderMap;
use serde_json::Value;

use crate::llm::capabilities::refused_feature;
use crate::llm::{CallError, CallFailure};
use crate::resilience::retry_after::{retry_after, wait_of};

/// The fields of an error, in any of its shapes, whose words tell what it is. Whatever may repeat the
/// question (`input`, `body`) is not among them.
const TELLING: [&str; 14] = [
    "error", "errors", "detail", "details", "message", "msg", "code", "type", "status", "reason", "param",
    "loc", "metadata", "raw",
];
/// How deep errors are nested: those of routers are four levels down.
const DEEPEST: u8 = 6;
/// A text longer than this is a page, not a message.
const LONGEST_MESSAGE: usize = 4_096;

const NO_QUOTA: [&str; 5] = [
    "insufficient_quota",
    "insufficient credits",
    "credit balance",
    "billing_hard_limit",
    "billing_not_active",
];
const TOO_LONG: [&str; 14] = [
    "context_length_exceeded",
    "exceed_context_size",
    "string_above_max_length",
    "maximum context",
    "context size",
    "context length",
    "context window",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "input too long",
    "too many tokens",
    "too many input tokens",
    "reduce the length",
];
const FILTERED: [&str; 5] = [
    "content_filter",
    "content_policy",
    "content management policy",
    "responsibleaipolicyviolation",
    "data_inspection_failed",
];
const BAD_KEY: [&str; 5] =
    ["invalid_api_key", "incorrect api key", "invalid api key", "api key not valid", "api_key_invalid"];
const NO_MODEL: [&str; 4] = ["model_not_found", "not a valid model", "invalid model", "unknown model"];
/// Words that stand for a status where an error comes without one.
const STATUS_WORDS: [(&str, StatusCode); 9] = [
    ("rate_limit", StatusCode::TOO_MANY_REQUESTS),
    ("resource_exhausted", StatusCode::TOO_MANY_REQUESTS),
    ("too many requests", StatusCode::TOO_MANY_REQUESTS),
    ("authentication_error", StatusCode::UNAUTHORIZED),
    ("unauthenticated", StatusCode::UNAUTHORIZED),
    ("permission_denied", StatusCode::FORBIDDEN),
    ("not_found_error", StatusCode::NOT_FOUND),
    ("invalid_request_error", StatusCode::BAD_REQUEST),
    ("invalid_argument", StatusCode::BAD_REQUEST),
];

/// What an answer with a status other than success means.
pub(in crate::llm) fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> CallError {
    let said = serde_json::from_slice(body).unwrap_or_else(|_| plain_text(body));
    CallError {
        failure: failure_of(status, &said),
        retry_after: retry_after(headers).or_else(|| retry_after_said(&said)),
    }
}

/// What an error means that came with status 200.
pub(super) fn hidden_refusal(said: &Value) -> CallError {
    CallError { failure: failure_of(status_in(said), said), retry_after: retry_after_said(said) }
}

/// A message that is no JSON; pages are for browsers.
fn plain_text(body: &[u8]) -> Value {
    let text = String::from_utf8_lossy(&body[..body.len().min(LONGEST_MESSAGE)]);
    if text.trim_start().starts_with('<') { Value::Null } else { Value::from(text) }
}

/// The status that an error says itself.
pub(super) fn stated_status(said: &Value) -> Option<StatusCode> {
    let inner = ["error", "errors", "detail"].map(|name| &said[name]);
    let firsts = inner.map(|inner| &inner[0]);
    let number = |value: &Value| match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_u64(),
    };
    inner.into_iter().chain(firsts).chain([said]).find_map(|place| {
        ["code", "status", "status_code"]
            .into_iter()
            .filter_map(|name| u16::try_from(number(&place[name])?).ok())
            .filter_map(|code| StatusCode::from_u16(code).ok())
            .find(|status| status.is_client_error() || status.is_server_error())
    })
}

/// As [`stated_status`], else what its words stand for, else a failing server.
fn status_in(said: &Value) -> StatusCode {
    stated_status(said).unwrap_or_else(|| {
        let says = words(said);
        let mentions = |phrases: &[&str]| phrases.iter().any(|phrase| says.contains(phrase));
        if mentions(&BAD_KEY) {
            return StatusCode::UNAUTHORIZED;
        }
        if mentions(&NO_MODEL) {
            return StatusCode::NOT_FOUND;
        }
        let known = STATUS_WORDS.into_iter().find(|(word, _)| says.contains(word));
        known.map_or(StatusCode::BAD_GATEWAY, |(_, status)| status)
    })
}

/// What a status other than success means, with what the server said in its body.
pub(super) fn failure_of(status: StatusCode, said: &Value) -> CallFailure {
    let says = words(said);
    let mentions = |phrases: &[&str]| phrases.iter().any(|phrase| says.contains(phrase));
    // Gemini says "exceeded your current quota" of a limit for the minute, too.
    let quota_of_a_minute = mentions(&["resource_exhausted"]);

    if mentions(&NO_QUOTA) || mentions(&["exceeded your current quota"]) && !quota_of_a_minute {
        return CallFailure::QuotaExhausted;
    }
    // Of a rate, "too many tokens" is said, too.
    let is_rate = status == StatusCode::TOO_MANY_REQUESTS && !mentions(&["context_length_exceeded"]);
    if mentions(&TOO_LONG) && !is_rate {
        return CallFailure::ContextTooLong;
    }
    if mentions(&FILTERED) {
        return CallFailure::ContentFilter;
    }
    match status.as_u16() {
        401 | 403 => CallFailure::BadKey,
        402 => CallFailure::QuotaExhausted,
        404 => CallFailure::UnknownModel,
        // Some servers fail over a schema rather than refuse it.
        500 if mentions(&["grammar", "json_schema", "json schema"]) => {
            refused_feature(&says).map_or(CallFailure::ServerError, CallFailure::NotTaken)
        }
        408 | 409 | 425 | 500.. => CallFailure::ServerError,
        413 => CallFailure::ContextTooLong,
        429 => CallFailure::RateLimited,
        _ if mentions(&BAD_KEY) => CallFailure::BadKey,
        _ if mentions(&NO_MODEL) => CallFailure::UnknownModel,
        _ => refused_feature(&says).map_or(CallFailure::BadRequest, CallFailure::NotTaken),
    }
}

/// Everything telling that an error says, in lower case.
fn words(said: &Value) -> String {
    let mut words = String::new();
    collect(said, DEEPEST, &mut words);
    words.make_ascii_lowercase();
    words
}

fn collect(said: &Value, depth: u8, words: &mut String) {
    match said {
        Value::String(text) => {
            words.push_str(text);
            words.push(' ');
        }
        Value::Array(entries) if depth > 0 => {
            for entry in entries {
                collect(entry, depth - 1, words);
            }
        }
        Value::Object(fields) if depth > 0 => {
            for field in TELLING.iter().filter_map(|name| fields.get(*name)) {
                collect(field, depth - 1, words);
            }
        }
        _ => {}
    }
}

/// What no header but only the body says: "Please try again in 1m2.5s" (OpenAI), "retry after 7 seconds"
/// (Azure), `"retryDelay": "30s"` (Gemini).
fn retry_after_said(said: &Value) -> Option<Duration> {
    let says = words(said);
    let sentence = ["try again in ", "retry in ", "retry after "]
        .into_iter()
        .find_map(|phrase| spoken(&says[says.find(phrase)? + phrase.len()..]));
    sentence.or_else(|| delay_in(said, DEEPEST))
}

fn delay_in(said: &Value, depth: u8) -> Option<Duration> {
    match said {
        Value::Array(entries) if depth > 0 => entries.iter().find_map(|entry| delay_in(entry, depth - 1)),
        Value::Object(fields) if depth > 0 => {
            let own = fields.get("retryDelay").and_then(Value::as_str).and_then(spoken);
            own.or_else(|| fields.values().find_map(|field| delay_in(field, depth - 1)))
        }
        _ => None,
    }
}

/// The time at the beginning of a text: `1h2m3.5s`, `120ms`, `7 seconds`.
fn spoken(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = None;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let Ok(number) = rest[..digits].parse::<f64>() else { break };
        let after = rest[digits..].trim_start_matches(' ');
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let unit = match &after[..letters] {
            "ms" | "milliseconds" => 0.001,
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hour" | "hours" => 3_600.0,
            _ => break,
        };
        seconds = Some(seconds.unwrap_or(0.0) + number * unit);
        rest = &after[letters..];
    }
    seconds.and_then(wait_of)
}
