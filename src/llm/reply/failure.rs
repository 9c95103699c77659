//! The meaning of error responses: by status, header and message.

use std::time::Duration;

use http::StatusCode;
use http::header::HeaderMap;
use serde_json::Value;

use crate::llm::capabilities::refused_feature;
use crate::llm::{CallError, CallFailure, TlsFailure};
use crate::resilience::retry_after::{retry_after, wait_of};

/// The fields of errors, in any of their shapes, whose words tell the cause. Fields that may repeat the request
/// (`input`, `body`) are not among them.
const CAUSE_FIELDS: [&str; 14] = [
    "error", "errors", "detail", "details", "message", "msg", "code", "type", "status", "reason", "param",
    "loc", "metadata", "raw",
];
/// How deep errors may be nested; those of routers are four levels down.
const MAX_DEPTH: u8 = 6;
/// The bytes of a plain text message that are read.
const MAX_MESSAGE_BYTES: usize = 4_096;

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
/// What HTTP servers (nginx, Go, Apache) answer on a port for TLS to a request without it.
const TLS_REQUIRED: [&str; 3] = [
    "plain http request was sent to https port",
    "client sent an http request to an https server",
    "speaking plain http to an ssl-enabled server port",
];
/// Words that stand for a status in errors without one.
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

/// What a response with a status other than success means.
pub(in crate::llm) fn error_response(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> CallError {
    if status == StatusCode::BAD_REQUEST && requires_tls(body) {
        return CallFailure::Tls(TlsFailure::Required).into();
    }
    // Looked for in pages too, which otherwise are for browsers.
    let text = String::from_utf8_lossy(&body[..body.len().min(MAX_MESSAGE_BYTES)]).to_ascii_lowercase();
    if status == StatusCode::BAD_REQUEST && TLS_REQUIRED.iter().any(|phrase| text.contains(phrase)) {
        return CallFailure::Tls(TlsFailure::Required).into();
    }
    let error = serde_json::from_slice(body).unwrap_or_else(|_| plain_text(body));
    CallError {
        failure: failure_of(status, &error),
        retry_after: retry_after(headers).or_else(|| retry_after_in_body(&error)),
    }
}

/// What an error with status 200 means.
pub(super) fn error_in_success(error: &Value) -> CallError {
    CallError { failure: failure_of(status_in(error), error), retry_after: retry_after_in_body(error) }
}

/// Whether this is what a port for TLS answers to plain HTTP, as text or as a page.
fn requires_tls(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&body[..body.len().min(MAX_MESSAGE_BYTES)]).to_ascii_lowercase();
    TLS_REQUIRED.iter().any(|phrase| text.contains(phrase))
}

/// A message that is not JSON. Pages count as empty.
fn plain_text(body: &[u8]) -> Value {
    let text = String::from_utf8_lossy(&body[..body.len().min(MAX_MESSAGE_BYTES)]);
    if text.trim_start().starts_with('<') { Value::Null } else { Value::from(text) }
}

/// The status in the fields of an error.
pub(super) fn status_field(error: &Value) -> Option<StatusCode> {
    let inner = ["error", "errors", "detail"].map(|name| &error[name]);
    let firsts = inner.map(|inner| &inner[0]);
    let number = |value: &Value| match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_u64(),
    };
    inner.into_iter().chain(firsts).chain([error]).find_map(|place| {
        ["code", "status", "status_code"]
            .into_iter()
            .filter_map(|name| u16::try_from(number(&place[name])?).ok())
            .filter_map(|code| StatusCode::from_u16(code).ok())
            .find(|status| status.is_client_error() || status.is_server_error())
    })
}

/// As [`status_field`]; without one, the status that its words stand for; without such words, 502.
fn status_in(error: &Value) -> StatusCode {
    status_field(error).unwrap_or_else(|| {
        let words = cause_words(error);
        let mentions = |phrases: &[&str]| phrases.iter().any(|phrase| words.contains(phrase));
        if mentions(&BAD_KEY) {
            return StatusCode::UNAUTHORIZED;
        }
        if mentions(&NO_MODEL) {
            return StatusCode::NOT_FOUND;
        }
        let known = STATUS_WORDS.into_iter().find(|(word, _)| words.contains(word));
        known.map_or(StatusCode::BAD_GATEWAY, |(_, status)| status)
    })
}

/// What a status other than success means with this body.
pub(super) fn failure_of(status: StatusCode, error: &Value) -> CallFailure {
    let words = cause_words(error);
    let mentions = |phrases: &[&str]| phrases.iter().any(|phrase| words.contains(phrase));
    // Gemini calls a limit per minute a quota, too.
    let is_quota_per_minute = mentions(&["resource_exhausted"]);

    if mentions(&NO_QUOTA) || mentions(&["exceeded your current quota"]) && !is_quota_per_minute {
        return CallFailure::QuotaExhausted;
    }
    // "Too many tokens" may be a matter of rate, too.
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
        // Some servers fail on a schema instead of refusing it.
        500 if mentions(&["grammar", "json_schema", "json schema"]) => {
            refused_feature(&words).map_or(CallFailure::ServerError, CallFailure::Unsupported)
        }
        408 | 409 | 425 | 500.. => CallFailure::ServerError,
        413 => CallFailure::ContextTooLong,
        429 => CallFailure::RateLimited,
        _ if mentions(&BAD_KEY) => CallFailure::BadKey,
        _ if mentions(&NO_MODEL) => CallFailure::UnknownModel,
        _ => refused_feature(&words).map_or(CallFailure::BadRequest, CallFailure::Unsupported),
    }
}

/// All words of an error that may tell its cause, in lower case.
fn cause_words(error: &Value) -> String {
    let mut words = String::new();
    collect(error, MAX_DEPTH, &mut words);
    words.make_ascii_lowercase();
    words
}

fn collect(error: &Value, depth: u8, words: &mut String) {
    match error {
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
            for field in CAUSE_FIELDS.iter().filter_map(|name| fields.get(*name)) {
                collect(field, depth - 1, words);
            }
        }
        _ => {}
    }
}

/// The wait that the body asks for: "Please try again in 1m2.5s" (OpenAI), "retry after 7 seconds"
/// (Azure), `"retryDelay": "30s"` (Gemini).
fn retry_after_in_body(error: &Value) -> Option<Duration> {
    let words = cause_words(error);
    let sentence = ["try again in ", "retry in ", "retry after "]
        .into_iter()
        .find_map(|phrase| leading_time(&words[words.find(phrase)? + phrase.len()..]));
    sentence.or_else(|| delay_in(error, MAX_DEPTH))
}

fn delay_in(error: &Value, depth: u8) -> Option<Duration> {
    match error {
        Value::Array(entries) if depth > 0 => entries.iter().find_map(|entry| delay_in(entry, depth - 1)),
        Value::Object(fields) if depth > 0 => {
            let own = fields.get("retryDelay").and_then(Value::as_str).and_then(leading_time);
            own.or_else(|| fields.values().find_map(|field| delay_in(field, depth - 1)))
        }
        _ => None,
    }
}

/// The time at the beginning of a text: `1h2m3.5s`, `120ms`, `7 seconds`.
fn leading_time(text: &str) -> Option<Duration> {
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
