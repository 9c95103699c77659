//! What servers that call themselves OpenAI-compatible really send back, good and bad.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;
use serde_json::Value;

use super::{CallError, CallFailure, Completion};

/// A chat completion, of which nothing but the text is needed.
#[derive(Debug, Deserialize)]
pub(super) struct Reply {
    choices: Option<Vec<Choice>>,
    /// Kept as it came: odd counts are no reason to throw an answer away.
    usage: Option<Value>,
    /// Some servers send their errors with status 200.
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    message: Option<AnswerMessage>,
    finish_reason: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct AnswerMessage {
    content: Option<Content>,
    refusal: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
struct Part {
    text: Option<String>,
}

impl Reply {
    /// The first choice that says something.
    pub(super) fn into_completion(self) -> Result<Completion, CallError> {
        let tokens = |name: &str| {
            let count = self.usage.as_ref().and_then(|usage| usage.get(name)).and_then(Value::as_f64);
            // Saturates: negative counts are 0.
            count.unwrap_or_default() as u64
        };
        let mut refused = false;
        for choice in self.choices.unwrap_or_default() {
            let finish = choice.finish_reason.as_ref().and_then(Value::as_str).unwrap_or_default();
            let message = choice.message;
            refused |= finish == "content_filter"
                || message.as_ref().is_some_and(|m| m.refusal.as_ref().is_some_and(Value::is_string));
            let content = message.and_then(|message| message.content).map(Content::into_text);
            if refused {
                continue;
            }
            if let Some(content) = content.filter(|text| !text.trim().is_empty()) {
                return Ok(Completion {
                    content,
                    truncated: finish == "length",
                    prompt_tokens: tokens("prompt_tokens"),
                    completion_tokens: tokens("completion_tokens"),
                });
            }
        }
        Err(match self.error {
            _ if refused => CallFailure::ContentFilter,
            Some(error) if !error.is_null() => {
                failure_of(status_in(&error), &serde_json::json!({ "error": error }))
            }
            _ => CallFailure::Malformed,
        }
        .into())
    }
}

impl Content {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Parts(parts) => parts.into_iter().filter_map(|part| part.text).collect(),
        }
    }
}

/// The status hidden in an error that came with status 200; without one, a failing server.
fn status_in(error: &Value) -> StatusCode {
    error["code"]
        .as_u64()
        .or_else(|| error["status"].as_u64())
        .and_then(|code| u16::try_from(code).ok())
        .and_then(|code| StatusCode::from_u16(code).ok())
        .filter(|status| status.is_client_error() || status.is_server_error())
        .unwrap_or(StatusCode::BAD_GATEWAY)
}

/// What a status other than success means, with what the server said in its body.
pub(super) fn failure_of(status: StatusCode, said: &Value) -> CallFailure {
    let error = &said["error"];
    let word = |value: &Value| value.as_str().unwrap_or_default().to_ascii_lowercase();
    let says = [
        word(&error["code"]),
        word(&error["type"]),
        word(&error["message"]),
        word(error),
        word(&said["message"]),
    ]
    .join(" ");
    let mentions = |phrases: &[&str]| phrases.iter().any(|phrase| says.contains(phrase));

    if mentions(&["insufficient_quota", "billing_hard_limit", "exceeded your current quota"]) {
        return CallFailure::QuotaExhausted;
    }
    if mentions(&["context_length_exceeded", "maximum context", "exceed_context_size", "context size"]) {
        return CallFailure::ContextTooLong;
    }
    if mentions(&["content_filter", "content_policy", "content management policy"]) {
        return CallFailure::ContentFilter;
    }
    match status.as_u16() {
        401 | 403 => CallFailure::BadKey,
        402 => CallFailure::QuotaExhausted,
        404 => CallFailure::UnknownModel,
        408 | 409 | 425 | 500.. => CallFailure::ServerError,
        413 => CallFailure::ContextTooLong,
        429 => CallFailure::RateLimited,
        _ if mentions(&["invalid_api_key"]) => CallFailure::BadKey,
        _ if mentions(&["model_not_found"]) => CallFailure::UnknownModel,
        _ if mentions(&["response_format", "json_schema", "json_object", "structured output", "grammar"]) => {
            CallFailure::FormatRefused
        }
        _ => CallFailure::BadRequest,
    }
}

/// How long the server asks to be left alone: `retry-after-ms`, or `Retry-After` in seconds or as a date
/// (RFC 9110, section 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let positive = |number: f64| (number.is_finite() && number >= 0.0).then_some(number.min(86_400.0));
    if let Some(ms) = text("retry-after-ms").and_then(|ms| ms.parse().ok()).and_then(positive) {
        return Some(Duration::from_secs_f64(ms / 1_000.0));
    }
    let value = text(RETRY_AFTER.as_str())?;
    if let Some(seconds) = value.parse().ok().and_then(positive) {
        return Some(Duration::from_secs_f64(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn completion(reply: Value) -> Result<Completion, CallFailure> {
        serde_json::from_value::<Reply>(reply)
            .expect("forgiving types")
            .into_completion()
            .map_err(|error| error.failure)
    }

    #[test]
    fn only_the_text_is_needed() {
        let bare = json!({"choices": [{"message": {"content": "hello"}}]});
        assert_eq!(completion(bare), Ok(Completion { content: "hello".into(), ..Completion::default() }));
        let parts =
            json!({"choices": [{"message": {"content": [{"type": "text", "text": "he"}, {"text": "llo"}]}}]});
        assert_eq!(completion(parts).map(|c| c.content), Ok("hello".into()));
        let odd = json!({"choices": [{"message": {"content": "hello"}}], "usage": {"prompt_tokens": 12.0,
            "completion_tokens": -1}, "error": {}});
        assert_eq!(
            completion(odd).map(|c| (c.content, c.prompt_tokens, c.completion_tokens)),
            Ok(("hello".into(), 12, 0))
        );
        let second = json!({"choices": [{"message": {"content": null}}, {"message": {"content": "hello"}}]});
        assert_eq!(completion(second).map(|c| c.content), Ok("hello".into()));
    }

    #[test]
    fn tokens_and_truncation_are_told() {
        let cut = json!({"choices": [{"message": {"content": "he"}, "finish_reason": "length"}],
                         "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}});
        assert_eq!(
            completion(cut),
            Ok(Completion { content: "he".into(), truncated: true, prompt_tokens: 7, completion_tokens: 2 })
        );
    }

    #[test]
    fn answers_without_text_are_typed_errors() {
        for (reply, failure) in [
            (json!({}), CallFailure::Malformed),
            (json!({"choices": []}), CallFailure::Malformed),
            (json!({"choices": [{"message": {"content": "  "}}]}), CallFailure::Malformed),
            (
                json!({"choices": [{"message": {"content": null, "refusal": "I cannot"}}]}),
                CallFailure::ContentFilter,
            ),
            (
                json!({"choices": [{"message": {"content": "x"}, "finish_reason": "content_filter"}]}),
                CallFailure::ContentFilter,
            ),
            (json!({"error": {"message": "boom", "code": 503}}), CallFailure::ServerError),
            (json!({"error": {"message": "boom", "code": 401}}), CallFailure::BadKey),
            (json!({"error": "boom"}), CallFailure::ServerError),
        ] {
            assert_eq!(completion(reply.clone()), Err(failure), "{reply}");
        }
    }

    #[test]
    fn statuses_and_what_the_server_says_become_failures() {
        for (status, said, failure) in [
            (401, json!({}), CallFailure::BadKey),
            (403, json!(null), CallFailure::BadKey),
            (404, json!({"error": {"code": "model_not_found"}}), CallFailure::UnknownModel),
            (400, json!({"error": {"code": "context_length_exceeded"}}), CallFailure::ContextTooLong),
            (400, json!({"error": {"type": "exceed_context_size_error"}}), CallFailure::ContextTooLong),
            (400, json!({"error": {"code": "content_filter"}}), CallFailure::ContentFilter),
            (
                400,
                json!({"error": {"message": "Invalid parameter: 'response_format'"}}),
                CallFailure::FormatRefused,
            ),
            (400, json!({"error": {"message": "nope"}}), CallFailure::BadRequest),
            (422, json!({"message": "json_schema is not supported"}), CallFailure::FormatRefused),
            (429, json!({"error": {"code": "rate_limit_exceeded"}}), CallFailure::RateLimited),
            (429, json!({"error": {"code": "insufficient_quota"}}), CallFailure::QuotaExhausted),
            (402, json!({}), CallFailure::QuotaExhausted),
            (408, json!({}), CallFailure::ServerError),
            (500, json!("<html>"), CallFailure::ServerError),
            (529, json!({}), CallFailure::ServerError),
            (302, json!({}), CallFailure::BadRequest),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(failure_of(status, &said), failure, "{status} {said}");
        }
    }

    #[test]
    fn retry_after_has_three_forms() {
        let headers = |name: &'static str, value: &str| {
            HeaderMap::from_iter([(
                http::HeaderName::from_static(name),
                http::HeaderValue::from_str(value).expect("a value"),
            )])
        };
        assert_eq!(retry_after(&headers("retry-after", "2")), Some(Duration::from_secs(2)));
        assert_eq!(retry_after(&headers("retry-after", "0.5")), Some(Duration::from_millis(500)));
        assert_eq!(retry_after(&headers("retry-after-ms", "1500")), Some(Duration::from_millis(1_500)));
        assert_eq!(retry_after(&headers("retry-after", "soon")), None);
        assert_eq!(retry_after(&headers("retry-after", "-1")), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
        let past = httpdate::fmt_http_date(SystemTime::now() - Duration::from_secs(60));
        assert_eq!(retry_after(&headers("retry-after", &past)), Some(Duration::ZERO));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
        let wait = retry_after(&headers("retry-after", &soon)).expect("a wait");
        assert!((50..=60).contains(&wait.as_secs()), "{wait:?}");
    }
}
