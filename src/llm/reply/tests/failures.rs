//! Statuses and error bodies.

use std::time::Duration;

use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn statuses_and_bodies_become_failures() {
    use CallFailure as F;
    let error = |message: &str| json!({"error": {"message": message}});
    for (status, said, failure) in [
        (401, json!({}), F::BadKey),
        (403, json!(null), F::Forbidden),
        (403, json!({"message": "Forbidden"}), F::Forbidden),
        (403, error("Your API key was revoked"), F::BadKey),
        (403, error("Your API key lacks the scope model.request"), F::NoAccess),
        (403, error("The request was forbidden by an administrator."), F::Forbidden),
        (403, error("Key limit exceeded (daily limit). Manage it in the settings."), F::QuotaExhausted),
        (403, error("Project `p` does not have access to model `m`"), F::NoAccess),
        (401, error("You do not have access to the deployment"), F::NoAccess),
        (403, error("Country, region, or territory not supported"), F::Region),
        (400, error("User location is not supported for the API use."), F::Region),
        (
            403,
            json!({"error": {"message": "m requires moderation on this server", "metadata": {"flagged_input": "x"}}}),
            F::ContentFilter,
        ),
        (400, error("Your prompt was flagged as potentially violating our usage policy."), F::ContentFilter),
        (404, json!({"error": {"code": "model_not_found"}}), F::UnknownModel),
        (404, error("model 'm' not found, try pulling it first"), F::UnknownModel),
        (404, error("The model `m` does not exist or you do not have access to it."), F::UnknownModel),
        (404, error("The API deployment for this resource does not exist."), F::UnknownModel),
        (400, error("The model `m` has been decommissioned and is no longer supported."), F::UnknownModel),
        (404, json!({}), F::NotFound),
        (404, error("Invalid URL (POST /v1/x/chat/completions)"), F::NotFound),
        (400, json!({"error": {"code": "context_length_exceeded"}}), F::ContextTooLong),
        (429, json!({"error": {"code": "context_length_exceeded"}}), F::ContextTooLong),
        (400, json!({"error": {"type": "exceed_context_size_error"}}), F::ContextTooLong),
        (400, error("This model's maximum context length is 4097 tokens."), F::ContextTooLong),
        (400, error("Please reduce the length of the messages."), F::ContextTooLong),
        (400, error("prompt is too long: 210000 tokens > 200000 maximum"), F::ContextTooLong),
        (400, error("Input is too long for requested model."), F::ContextTooLong),
        (400, error("The request exceeds the model's context window"), F::ContextTooLong),
        (400, error("too many tokens: 9000"), F::ContextTooLong),
        (
            400,
            error(
                "maximum context length is 2048 tokens; you requested 2700 tokens (700 in the messages, 2000 in the completion)",
            ),
            F::MaxTokensTooLarge,
        ),
        (
            400,
            error("max_tokens is too large: 9000. This model supports at most 4096 completion tokens"),
            F::MaxTokensTooLarge,
        ),
        (
            400,
            error("max_tokens: 9000 > 8192, which is the maximum allowed number of output tokens"),
            F::MaxTokensTooLarge,
        ),
        (
            400,
            error("Unsupported parameter: 'max_tokens' is not supported with this model."),
            F::Unsupported(Feature::MaxTokens),
        ),
        (429, error("Too many tokens, please wait before trying again."), F::RateLimited),
        (413, json!({}), F::ContextTooLong),
        (500, error("the request exceeds the available context size"), F::ContextTooLong),
        (400, json!({"error": {"code": "content_filter"}}), F::ContentFilter),
        (
            400,
            json!({"error": {"innererror": {"code": "ResponsibleAIPolicyViolation"}, "code": "content_filter"}}),
            F::ContentFilter,
        ),
        (400, error("Invalid parameter: 'response_format'"), F::Unsupported(Feature::ResponseFormat)),
        (500, error("failed to parse grammar"), F::Unsupported(Feature::TightSchema)),
        (422, json!({"message": "json_schema is not supported"}), F::Unsupported(Feature::JsonSchema)),
        (
            422,
            json!({"detail": [{"type": "extra_forbidden", "loc": ["body", "response_format"], "msg": "Extra inputs are not permitted", "input": {}}]}),
            F::Unsupported(Feature::ResponseFormat),
        ),
        (
            422,
            json!({"detail": [{"loc": ["body", "x"], "msg": "no", "input": "grammar"}]}),
            F::InvalidParameter,
        ),
        (400, json!({"error": {"message": "no", "param": "messages"}}), F::InvalidParameter),
        (
            400,
            json!([{"error": {"code": 400, "message": "The specified schema produces a constraint that has too many states for serving."}}]),
            F::BadRequest,
        ),
        (405, json!({}), F::BadRequest),
        (415, json!({}), F::BadRequest),
        (501, json!({}), F::ServerError),
        (501, error("response_format is not implemented"), F::Unsupported(Feature::ResponseFormat)),
        (
            400,
            json!({"error": {"message": "nope", "param": "response_format"}}),
            F::Unsupported(Feature::ResponseFormat),
        ),
        (400, error("nope"), F::BadRequest),
        (400, error("Incorrect API key provided: ***."), F::BadKey),
        (400, error("API key not valid. Please pass a valid API key."), F::BadKey),
        (400, error("x is not a valid model ID"), F::UnknownModel),
        (400, error("Your credit balance is too low"), F::QuotaExhausted),
        (402, error("Insufficient credits"), F::QuotaExhausted),
        (402, json!({}), F::QuotaExhausted),
        (429, json!({"error": {"code": "rate_limit_exceeded"}}), F::RateLimited),
        (429, json!({"error": {"code": "insufficient_quota"}}), F::QuotaExhausted),
        (429, error("You exceeded your current quota"), F::QuotaExhausted),
        (
            429,
            error("Your account is suspended due to insufficient balance, please recharge"),
            F::QuotaExhausted,
        ),
        (
            429,
            error(
                "Rate limit reached for requests. Please try again in 20s. You can increase your rate limit by adding a payment method at /account/billing.",
            ),
            F::RateLimited,
        ),
        (
            429,
            json!([{"error": {"code": 429, "message": "You exceeded your current quota", "status": "RESOURCE_EXHAUSTED"}}]),
            F::RateLimited,
        ),
        (
            400,
            json!({"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": "{\"error\":{\"message\":\"maximum context length\"}}"}}}),
            F::ContextTooLong,
        ),
        (408, json!({}), F::ServerError),
        (
            503,
            json!({"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}),
            F::ServerError,
        ),
        (503, json!({"error": "Model x is currently loading", "estimated_time": 20.0}), F::ServerError),
        (500, json!("<html>"), F::ServerError),
        (529, json!({}), F::ServerError),
        (424, json!({}), F::ServerError),
        (498, json!({}), F::ServerError),
        (499, json!({}), F::ServerError),
        (302, json!({}), F::Redirect),
        (400, json!({"error": {"code": "Arrearage", "message": "Access denied."}}), F::QuotaExhausted),
        (400, error("Budget has been exceeded! Current cost: 10.2, Max budget: 10.0"), F::QuotaExhausted),
        (429, error("余额不足或无可用资源包,请充值。"), F::QuotaExhausted),
        (429, error("Your prepayment credits are depleted."), F::QuotaExhausted),
        (429, error("Monthly usage limit reached for your plan"), F::QuotaExhausted),
        (429, error("Rate limit exceeded. Add 10 credits to unlock 1000 requests per day"), F::RateLimited),
        (
            402,
            error("This request requires more credits, or fewer max_tokens. You can only afford 1024."),
            F::MaxTokensTooLarge,
        ),
        (
            403,
            error("m requires moderation. Your input was flagged. No credits were charged."),
            F::ContentFilter,
        ),
        (400, error("输入内容可能包含不安全或敏感内容"), F::ContentFilter),
        (422, error("`inputs` tokens + `max_new_tokens` must be <= 2048"), F::MaxTokensTooLarge),
        (400, error("The maximum tokens you requested exceeds the model limit of 9"), F::MaxTokensTooLarge),
        (
            400,
            error("Argument not supported on this model: responseFormat"),
            F::Unsupported(Feature::ResponseFormat),
        ),
        (400, error("Argument not supported on this model: logprobs"), F::BadRequest),
    ] {
        let status = StatusCode::from_u16(status).expect("a status");
        assert_eq!(failure_of(status, &said), failure, "{status} {said}");
    }
}

#[test]
fn errors_may_be_plain_text_and_pages_count_as_empty() {
    let failure = |status: u16, body: &str| {
        let status = StatusCode::from_u16(status).expect("a status");
        error_response(status, &HeaderMap::new(), body.as_bytes()).failure
    };
    assert_eq!(failure(400, "prompt is too long"), CallFailure::ContextTooLong);
    assert_eq!(failure(502, " <html>content_filter</html>"), CallFailure::ServerError);
    assert_eq!(failure(400, ""), CallFailure::BadRequest);
    assert_eq!(failure(500, &"\u{fffd}".repeat(5_000)), CallFailure::ServerError);
}

#[test]
fn without_a_header_the_wait_is_read_from_the_body() {
    let wait = |said: &Value, headers: &HeaderMap| {
        error_response(StatusCode::TOO_MANY_REQUESTS, headers, said.to_string().as_bytes()).retry_after
    };
    let error = |message: &str| json!({"error": {"message": message}});
    let gemini =
        json!([{"error": {"code": 429, "details": [{"@type": "…/QuotaFailure"}, {"retryDelay": "30s"}]}}]);
    for (said, millis) in [
        (error("Rate limit reached. Please try again in 1.5s. CallContext …"), Some(1_500)),
        (error("Please try again in 20s."), Some(20_000)),
        (error("Please try again in 120ms."), Some(120)),
        (error("Please try again in 1m2.5s."), Some(62_500)),
        (error("Please try again in 1h0m1s."), Some(3_601_000)),
        (error("Please retry after 7 seconds."), Some(7_000)),
        (error("Please try again in 1 minute."), Some(60_000)),
        (gemini, Some(30_000)),
        (error("You must wait 2 seconds before retrying."), Some(2_000)),
        (error("请求过于频繁，请在 20 秒后重试。"), Some(20_000)),
        (error("1分後に再試行してください"), Some(60_000)),
        (error("Повторите запрос через 2 минуты"), Some(120_000)),
        (error("Veuillez réessayer dans 3 secondes"), Some(3_000)),
        (error("Too many requests: 60 requests per 60 seconds. Retry later."), None),
        (error("每 60 秒限 3 次，请稍后再试"), None),
        (json!({"error": "Model is loading", "estimated_time": 20.5}), Some(20_500)),
        (json!({"retryAfterMs": 1200}), Some(1_200)),
        (json!({"retryAfterMs": 120_000}), Some(120_000)),
        (json!({"retryAfterMs": "1200ms"}), Some(1_200)),
        (json!({"error": {"message": "slow down"}, "retry_after": 2}), Some(2_000)),
        (json!({"error": {"message": "slow down", "retry_after_seconds": 1.5}}), Some(1_500)),
        (json!({"error": {"metadata": {"headers": {"X-RateLimit-Reset": "2"}}}}), Some(2_000)),
        (json!({"error": {"retry_after": "soon", "limit": 5}}), None),
        (error("Please try again in a while."), None),
        (error("Please try again in 5 parsecs."), None),
        (error("Please try again in 1.2.3s."), None),
        (error("Please try again in "), None),
        (json!({}), None),
    ] {
        assert_eq!(wait(&said, &HeaderMap::new()), millis.map(Duration::from_millis), "{said}");
    }
    let header = HeaderMap::from_iter([(http::header::RETRY_AFTER, http::HeaderValue::from_static("2"))]);
    assert_eq!(
        wait(&error("try again in 9s"), &header),
        Some(Duration::from_secs(2)),
        "the header goes first"
    );
    let hidden = answer(json!({"error": {"code": 429, "message": "try again in 9s"}}).to_string());
    assert_eq!(hidden.map_err(|error| error.retry_after), Err(Some(Duration::from_secs(9))));
}

#[test]
fn code_and_message_are_found_in_every_shape() {
    for (said, code, message) in [
        (
            json!({"error": {"code": "invalid_api_key", "type": "x", "message": "No."}}),
            Some("invalid_api_key"),
            "No.",
        ),
        (
            json!({"error": {"code": 400, "type": "invalid_request_error", "message": "No."}}),
            Some("invalid_request_error"),
            "No.",
        ),
        (
            json!([{"error": {"code": 429, "message": "No.", "status": "RESOURCE_EXHAUSTED"}}]),
            Some("RESOURCE_EXHAUSTED"),
            "No.",
        ),
        (
            json!({"detail": [{"type": "extra_forbidden", "loc": ["body", "x"], "msg": "No.", "input": "secret"}]}),
            Some("extra_forbidden"),
            "No.",
        ),
        (
            json!({"error": {"message": "Provider returned error", "metadata": {"raw": "No."}}}),
            None,
            "Provider returned error; No.",
        ),
        (json!({"error": "No."}), None, "No."),
        (json!("No."), None, "No."),
        (json!({"error": {"code": "any words that are no code", "message": null}}), None, ""),
        (json!({}), None, ""),
    ] {
        let error = error_response(StatusCode::BAD_REQUEST, &HeaderMap::new(), said.to_string().as_bytes());
        let upstream = &error.upstream.expect("an answer").answer;
        assert_eq!((upstream.code.as_deref(), upstream.message.as_str()), (code, message), "{said}");
    }
}

#[test]
fn without_any_wait_the_reset_of_a_rate_limit_counts() {
    let headers = HeaderMap::from_iter([(
        http::HeaderName::from_static("x-ratelimit-reset-requests"),
        http::HeaderValue::from_static("2s"),
    )]);
    let wait = |status: u16, said: &str| {
        error_response(StatusCode::from_u16(status).expect("a status"), &headers, said.as_bytes()).retry_after
    };
    assert_eq!(wait(429, "{}"), Some(Duration::from_secs(2)));
    assert_eq!(wait(429, "try again in 9s"), Some(Duration::from_secs(9)));
    assert_eq!(wait(500, "{}"), None, "of another matter");
}

#[test]
fn an_answer_inside_an_error_is_an_answer() {
    let failed = |text: Value| json!({"error": {"code": "json_validate_failed", "failed_generation": text}});
    let generation = |text| failed_generation(failed(text).to_string().as_bytes());
    assert_eq!(generation(json!("{\"plan\":[")), Some("{\"plan\":[".to_owned()));
    assert_eq!((generation(json!(" ")), generation(json!(7))), (None, None));
}
