//! What the words of an error say about its cause, regardless of its status.

use http::StatusCode;
use serde_json::Value;

use crate::llm::CallFailure;
use crate::llm::capabilities::refuses;

/// The fields of errors, in any of their shapes, that speak to people. Fields that may repeat the request (`input`,
/// `body`) are not among them.
pub(super) const MESSAGE_FIELDS: [&str; 11] = [
    "error",
    "errors",
    "detail",
    "details",
    "message",
    "msg",
    "reason",
    "metadata",
    "raw",
    // MiniMax.
    "base_resp",
    "status_msg",
];
/// Those that speak to programs, and tell the cause too.
const CODE_FIELDS: [&str; 6] = ["code", "type", "status", "param", "loc", "innererror"];
/// How deep errors may be nested; errors of routers are four levels deep.
const MAX_DEPTH: u8 = 6;

/// No money is left, regardless of the status.
const NO_BALANCE: [&str; 9] = [
    "insufficient_quota",
    "insufficient quota",
    "credit balance",
    "billing_hard_limit",
    "billing_not_active",
    "arrear",
    "budget_exceeded",
    "budget has been exceeded",
    "欠费",
];
/// What is paid with, and words that say that none is left.
const MONEY: [&str; 4] = ["credit", "balance", "fund", "余额"];
const NONE_LEFT: [&str; 10] = [
    "insufficient",
    "not enough",
    "depleted",
    "exhausted",
    "run out",
    "out of",
    "used all",
    "used up",
    "too low",
    "不足",
];
/// Words about limits of an account that may not continue. Messages about rates have some of them, too.
const ACCOUNT_LIMITS: [&str; 11] = [
    "quota",
    "balance",
    "credits",
    "billing",
    "spending limit",
    "key limit",
    "limit exceeded",
    "limit reached",
    "limit has been reached",
    "usage limit",
    "recharge",
];
const TOO_LONG: [&str; 16] = [
    "context_length_exceeded",
    "exceed_context_size",
    "string_above_max_length",
    "maximum context",
    "context size",
    "context length",
    "context window",
    "max_model_len",
    "maximum model length",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "input too long",
    "too many tokens",
    "too many input tokens",
    "reduce the length",
];
/// The names of the limit of an answer.
const ANSWER_LIMITS: [&str; 6] = [
    "max_tokens",
    "max_completion_tokens",
    "max_new_tokens",
    "max_output_tokens",
    "maxoutputtokens",
    "maximum tokens",
];
/// Words that say that its value is too large.
const TOO_LARGE: [&str; 16] = [
    "too large",
    "too high",
    "too big",
    "exceed",
    "at most",
    "less than",
    "greater than",
    "range",
    "maximum",
    "limit",
    "afford",
    " > ",
    "<=",
    "≤",
    "超出",
    "超过",
];
const FILTERED: [&str; 13] = [
    "content_filter",
    "content_policy",
    "content policy",
    "content management policy",
    "responsibleaipolicyviolation",
    "data_inspection_failed",
    "moderation",
    "flagged",
    "usage polic",
    "safety system",
    "inappropriate content",
    "high risk",
    "敏感",
];
const PLACES: [&str; 5] = ["country", "region", "territory", "user location", "your location"];
const NOT_SERVED: [&str; 7] =
    ["not support", "unsupported", "not available", "unavailable", "not allowed", "restrict", "blocked"];
const BAD_KEY: [&str; 7] = [
    "invalid_api_key",
    "incorrect api key",
    "invalid api key",
    "invalid api-key",
    "api key not valid",
    "api_key_invalid",
    "invalid token",
];
const NO_ACCESS: [&str; 5] = [
    "not have access to",
    "no access to",
    "not allowed to access",
    "not authorized to access",
    "access denied",
];
const NO_MODEL: [&str; 5] =
    ["model_not_found", "not a valid model", "invalid model", "unknown model", "no such model"];
/// What is refused "for this model" is something else than the model.
const THIS_MODEL: [&str; 4] = ["on this model", "with this model", "for this model", "by this model"];
/// Only together with the word "model".
const NO_LONGER_THERE: [&str; 9] = [
    "not found",
    "not exist",
    "n't exist",
    "not available",
    "unavailable",
    "no longer",
    "not supported",
    "decommissioned",
    "deprecated",
];
const KEY_WORDS: [&str; 7] =
    ["key", "token", "credential", "authenti", "authoriz", "unauthorised", "signature"];
/// Words that mean a status, in errors without one.
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
/// The parameters of a call that are about the form of its answer.
const FORM_PARAMETERS: [&str; 4] = ["response_format", "schema", "format", "tools"];

/// All words of an error that may tell its cause, in lower case.
pub(super) struct CauseWords(String);

impl CauseWords {
    pub(super) fn of(error: &Value) -> Self {
        let mut words = String::new();
        collect(error, MAX_DEPTH, &mut words);
        words.make_ascii_lowercase();
        Self(words)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn mention(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.0.contains(phrase))
    }

    /// The cause that the words name, where they say more than `status`.
    pub(super) fn cause(&self, status: StatusCode) -> Option<CallFailure> {
        let is_limit = status == StatusCode::TOO_MANY_REQUESTS;
        let is_refusal = status.is_client_error() && !is_limit;
        // What is left of the credit may pay for a shorter answer.
        if self.mention(&ANSWER_LIMITS) && self.mention(&["afford"]) {
            return Some(CallFailure::MaxTokensTooLarge);
        }
        if self.mention_no_money(status) {
            return Some(CallFailure::QuotaExhausted);
        }
        // "Too many tokens" may be a matter of rate, too.
        if !is_limit || self.mention(&["context_length_exceeded"]) {
            let length = self.length();
            if length.is_some() {
                return length;
            }
        }
        if self.mention(&FILTERED) {
            return Some(CallFailure::ContentFilter);
        }
        if !is_refusal {
            return None;
        }
        if self.mention(&PLACES) && self.mention(&NOT_SERVED) {
            return Some(CallFailure::Region);
        }
        if self.mention(&NO_ACCESS) && self.mention_model() && status != StatusCode::NOT_FOUND {
            return Some(CallFailure::NoAccess);
        }
        if self.mention(&BAD_KEY) {
            return Some(CallFailure::BadKey);
        }
        (self.mention(&NO_MODEL) && status != StatusCode::UNAUTHORIZED).then_some(CallFailure::UnknownModel)
    }

    fn mention_no_money(&self, status: StatusCode) -> bool {
        // Gemini calls a limit per minute a quota, too.
        let is_quota_per_minute = self.mention(&["resource_exhausted"]);
        let is_suspended = self.mention(&["suspended"]) && self.mention(&ACCOUNT_LIMITS);
        let is_monthly = self.mention(&["monthly", "per month"]) && self.mention(&ACCOUNT_LIMITS);
        self.mention(&NO_BALANCE)
            || self.mention(&MONEY) && self.mention(&NONE_LEFT)
            || is_suspended
            || is_monthly
            || self.mention(&["exceeded your current quota"]) && !is_quota_per_minute
            || status == StatusCode::FORBIDDEN && self.mention(&ACCOUNT_LIMITS) && !self.mention(&FILTERED)
    }

    /// Whether prompt, answer or both are too long.
    fn length(&self) -> Option<CallFailure> {
        let is_too_long = self.mention(&TOO_LONG);
        let names_limit = self.mention(&ANSWER_LIMITS) && !refuses(&self.0);
        if is_too_long && (names_limit || self.mention(&["completion", "in the output", "output tokens"])) {
            return Some(CallFailure::MaxTokensTooLarge);
        }
        if is_too_long {
            return Some(CallFailure::ContextTooLong);
        }
        (names_limit && self.mention(&TOO_LARGE)).then_some(CallFailure::MaxTokensTooLarge)
    }

    pub(super) fn mention_model(&self) -> bool {
        self.mention(&["model", "deployment"])
    }

    /// Whether they say that the model does not exist.
    pub(super) fn deny_the_model(&self) -> bool {
        self.mention_model() && self.mention(&NO_LONGER_THERE) && !self.mention(&THIS_MODEL)
    }

    pub(super) fn mention_the_key(&self) -> bool {
        self.mention(&KEY_WORDS)
    }

    /// The status that they mean.
    pub(super) fn status(&self) -> Option<StatusCode> {
        if self.mention(&BAD_KEY) {
            return Some(StatusCode::UNAUTHORIZED);
        }
        if self.mention(&NO_MODEL) {
            return Some(StatusCode::NOT_FOUND);
        }
        STATUS_WORDS.into_iter().find(|(word, _)| self.0.contains(word)).map(|(_, status)| status)
    }
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
            for field in MESSAGE_FIELDS.iter().chain(&CODE_FIELDS).filter_map(|name| fields.get(*name)) {
                collect(field, depth - 1, words);
            }
        }
        _ => {}
    }
}

/// Whether the error names a parameter that is not about the form of the answer, as `param` (OpenAI) or as the end of
/// `loc` (`FastAPI`).
pub(super) fn names_parameter(error: &Value) -> bool {
    let name = match error {
        Value::Array(entries) => return entries.iter().any(names_parameter),
        Value::Object(fields) => match (fields.get("param"), fields.get("loc")) {
            (Some(Value::String(name)), _) => Some(name.as_str()),
            (_, Some(Value::Array(path))) => path.iter().rev().find_map(Value::as_str),
            _ => return ["error", "errors", "detail"].iter().any(|key| names_parameter(&error[*key])),
        },
        _ => None,
    };
    name.is_some_and(|name| !FORM_PARAMETERS.iter().any(|form| name.contains(form)))
}
