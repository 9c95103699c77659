//! The meaning of error responses: by status, header and message.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::HeaderMap;
use serde_json::Value;

use crate::domain::problem::Upstream;
use crate::llm::capabilities::{refused_feature, refused_form};
use crate::llm::{CallError, CallFailure, TlsFailure, UpstreamError};
use crate::resilience::retry_after::{leading_duration, moment};
use crate::resilience::{rate_limit_reset, retry_after};

use super::causes::{CauseWords, MESSAGE_FIELDS, names_parameter};

/// How deep errors may be nested; errors of routers are four levels deep.
const MAX_DEPTH: u8 = 6;
/// The bytes of a message that are read.
const MAX_MESSAGE_BYTES: usize = 4_096;
/// The longest code for programs.
const MAX_CODE_LENGTH: usize = 64;
/// Beginnings of words with which servers ask to retry later.
#[rustfmt::skip]
const RETRY_WORDS: [&str; 18] = [
    "retry", "try again", "重试", "重試", "再试", "再試行", "稍后", "다시", "reint", "de nuevo", "erneut", "wiederhol", "повтор",
    "снова", "réessay", "riprov", "novamente", "opnieuw",
];

/// What HTTP servers (nginx, Go, Apache) answer on a port for TLS to a request without it.
const TLS_REQUIRED: [&str; 3] = [
    "plain http request was sent to https port",
    "client sent an http request to an https server",
    "speaking plain http to an ssl-enabled server port",
];

/// What a response with a status other than success means.
pub(in crate::llm) fn error_response(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> CallError {
    if status == StatusCode::BAD_REQUEST && requires_tls(body) {
        return CallFailure::Tls(TlsFailure::Required).into();
    }
    let error = serde_json::from_slice(body).unwrap_or_else(|_| plain_text(body));
    let is_limit = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let reset = || rate_limit_reset(headers).filter(|_| is_limit);
    CallError {
        retry_after: retry_after(headers).or_else(|| retry_after_in_body(&error)).or_else(reset),
        ..call_error(status, &error)
    }
}

/// What an error with status 200 means.
pub(super) fn error_in_success(error: &Value) -> CallError {
    let status = status_in(error);
    CallError { retry_after: retry_after_in_body(error), ..call_error(status, error) }
}

fn call_error(status: StatusCode, error: &Value) -> CallError {
    let upstream = UpstreamError {
        answer: Upstream { status: status.as_u16(), code: code_in(error), message: message_in(error) },
        model: Arc::default(),
    };
    CallError { failure: failure_of(status, error), retry_after: None, upstream: Some(Arc::new(upstream)) }
}

/// The answer that a server could not make valid JSON of, and put into the error (Groq).
pub(in crate::llm) fn failed_generation(body: &[u8]) -> Option<String> {
    let error: Value = serde_json::from_slice(body).ok()?;
    let places = [&error["error"], &error, &error["error"]["metadata"]];
    let text = places.iter().find_map(|place| match &place["failed_generation"] {
        Value::String(text) => Some(text.clone()),
        parsed @ (Value::Object(_) | Value::Array(_)) => Some(parsed.to_string()),
        _ => None,
    })?;
    (!text.trim().is_empty()).then_some(text)
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

/// The code for programs: a word or a number under one of the usual keys.
fn code_in(error: &Value) -> Option<String> {
    let error = error.get(0).unwrap_or(error);
    let places = [&error["error"], &error["error"][0], &error["errors"][0], &error["detail"][0], error];
    ["code", "type", "status"].into_iter().find_map(|key| {
        places.into_iter().find_map(|place| match &place[key] {
            Value::String(code) => is_code(code).then(|| code.clone()),
            _ => None,
        })
    })
}

fn is_code(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=MAX_CODE_LENGTH).contains(&text.len()) && text.bytes().all(is_part)
}

/// What the error says to people.
fn message_in(error: &Value) -> String {
    let mut texts = Vec::new();
    collect_messages(error, MAX_DEPTH, &mut texts);
    texts.dedup();
    let mut message = texts.join("; ");
    message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
    message
}

fn collect_messages<'a>(error: &'a Value, depth: u8, texts: &mut Vec<&'a str>) {
    match error {
        Value::String(text) if !text.trim().is_empty() => texts.push(text.trim()),
        Value::Array(entries) if depth > 0 => {
            for entry in entries {
                collect_messages(entry, depth - 1, texts);
            }
        }
        Value::Object(fields) if depth > 0 => {
            for field in MESSAGE_FIELDS.iter().filter_map(|name| fields.get(*name)) {
                collect_messages(field, depth - 1, texts);
            }
        }
        _ => {}
    }
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

/// As [`status_field`]; without one, the status that its words mean, else 502.
fn status_in(error: &Value) -> StatusCode {
    status_field(error).or_else(|| CauseWords::of(error).status()).unwrap_or(StatusCode::BAD_GATEWAY)
}

/// What a status other than success means with this body.
pub(super) fn failure_of(status: StatusCode, error: &Value) -> CallFailure {
    let words = CauseWords::of(error);
    words.cause(status).unwrap_or_else(|| match status.as_u16() {
        300..=399 => CallFailure::Redirect,
        402 => CallFailure::QuotaExhausted,
        403 if words.mention_model() => CallFailure::NoAccess,
        403 if !words.mention_the_key() => CallFailure::Forbidden,
        401 | 403 => CallFailure::BadKey,
        // Some servers fail on a schema instead of refusing it.
        500 | 501 => refused_form(words.as_str()).map_or(CallFailure::ServerError, CallFailure::Unsupported),
        408 | 409 | 424 | 425 | 498 | 499 | 502.. => CallFailure::ServerError,
        413 => CallFailure::ContextTooLong,
        429 => CallFailure::RateLimited,
        _ => refusal(status, error, &words),
    })
}

/// What a 4xx without a meaning of its own refuses.
fn refusal(status: StatusCode, error: &Value, words: &CauseWords) -> CallFailure {
    if let Some(feature) = refused_feature(words.as_str()) {
        return CallFailure::Unsupported(feature);
    }
    match status {
        _ if words.deny_the_model() => CallFailure::UnknownModel,
        StatusCode::NOT_FOUND if words.mention_model() => CallFailure::UnknownModel,
        StatusCode::NOT_FOUND => CallFailure::NotFound,
        _ if names_parameter(error) => CallFailure::InvalidParameter,
        _ => CallFailure::BadRequest,
    }
}

/// The wait that the body asks for: "Please try again in 1m2.5s" (OpenAI), "retry after 7 seconds"
/// (Azure), `"retryDelay": "30s"` (Gemini), `"retry_after": 30`, or the headers of the server behind a router.
fn retry_after_in_body(error: &Value) -> Option<Duration> {
    let words = CauseWords::of(error);
    let words = words.as_str();
    let sentence = ["try again in ", "retry in ", "retry after ", "wait "]
        .into_iter()
        .find_map(|phrase| leading_duration(&words[words.find(phrase)? + phrase.len()..]));
    sentence.or_else(|| delay_in(error, MAX_DEPTH)).or_else(|| wait_in_prose(words))
}

/// The only duration in a sentence that asks to retry, in any of the languages of [`RETRY_WORDS`].
fn wait_in_prose(words: &str) -> Option<Duration> {
    let words = &words.to_lowercase();
    let sentences = words.split(['。', '！', '!', '\n']).flat_map(|part| part.split(". "));
    sentences.filter(|sentence| RETRY_WORDS.iter().any(|word| sentence.contains(word))).find_map(|sentence| {
        let begins_number = |at: &usize| {
            let before = &sentence[..*at];
            sentence[*at..].starts_with(|c: char| c.is_ascii_digit())
                && !before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '.')
                // `60 requests per 30 seconds` is the limit.
                && !["per", "every", "each", "/", "每", "pro", "por", "par"].iter().any(|rate| before.trim_end().ends_with(rate))
        };
        let starts = sentence.char_indices().map(|(at, _)| at).filter(begins_number);
        let mut waits = starts.filter_map(|at| leading_duration(&sentence[at..]));
        waits.next().filter(|_| waits.next().is_none())
    })
}

fn delay_in(error: &Value, depth: u8) -> Option<Duration> {
    match error {
        Value::Array(entries) if depth > 0 => entries.iter().find_map(|entry| delay_in(entry, depth - 1)),
        Value::Object(fields) if depth > 0 => {
            let own = fields.iter().filter(|(name, _)| names_a_wait(name)).find_map(|(name, wait)| {
                let text = match wait {
                    Value::String(text) => text.trim().to_owned(),
                    Value::Number(number) => number.to_string(),
                    _ => return None,
                };
                // A text with a unit of its own or a point in time is not in the unit of the field's name.
                let milliseconds =
                    text.parse::<f64>().ok().filter(|ms| is_in_milliseconds(name) && *ms < EPOCH_MS);
                moment(&milliseconds.map_or(text, |ms| (ms / 1_000.0).to_string()))
            });
            own.or_else(|| fields.values().find_map(|field| delay_in(field, depth - 1)))
        }
        _ => None,
    }
}

/// Numbers above this are points in time, in milliseconds.
const EPOCH_MS: f64 = 1e12;

fn is_in_milliseconds(name: &str) -> bool {
    ["Ms", "_ms", "-ms", "MS", "millis", "Millis", "milliseconds", "Milliseconds"]
        .iter()
        .any(|unit| name.ends_with(unit))
}

/// Whether a field of this name holds a wait, or when it ends: `retryDelay`, `retry_after_seconds`, `retryAfterMs`,
/// `X-RateLimit-Reset`; `estimated_time` until a model is loaded (Hugging Face).
fn names_a_wait(name: &str) -> bool {
    let name: String =
        name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    ["retrydelay", "retryafter", "estimatedtime"].iter().any(|start| name.starts_with(start))
        || name.contains("ratelimitreset")
}
