//! What servers that call themselves OpenAI-compatible send back.
//!
//! A body that carries an answer in any shape is used; any other is a typed error.

mod body;
mod causes;
mod failure;
mod lenient;
mod shape;
mod stream;
mod strict;
#[cfg(test)]
mod tests;
mod usage;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{CallError, CallFailure, Completion};

pub(super) use body::IncomingBody;
use failure::error_in_success;
pub(super) use failure::{error_response, failed_generation};
use lenient::Lenient;
use shape::{Choice, Identity, ReplyBody};
use strict::StrictCompletion;
use usage::Usage;

/// A chat completion, of which only the text is needed.
#[derive(Debug)]
pub(super) struct LenientCompletion(ReplyBody);

impl<'de> Deserialize<'de> for LenientCompletion {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Lenient::<ReplyBody>::deserialize(from).map(|body| Self(body.0.unwrap_or_default()))
    }
}

/// Reads the chat completion in `body`.
///
/// # Errors
/// Why it has no answer.
pub(super) fn completion(body: &[u8]) -> Result<Completion, CallError> {
    let strict = serde_json::from_slice::<StrictCompletion>(body).ok();
    match strict.and_then(StrictCompletion::into_completion) {
        Some(completion) => Ok(completion),
        None => lenient_completion(body),
    }
}

/// Reads it in any shape.
fn lenient_completion(body: &[u8]) -> Result<Completion, CallError> {
    let reply: LenientCompletion = serde_json::from_slice(body).map_err(|_| CallFailure::Malformed)?;
    let reply = if reply.has_choices() { reply } else { wrapped(body).unwrap_or(reply) };
    let completion = reply.into_completion()?;
    let Identity { id, model } = serde_json::from_slice(body).unwrap_or_default();
    let is_counted = completion.prompt_tokens > 0 || completion.completion_tokens > 0;
    let elsewhere = || Usage::anywhere_in(&serde_json::from_slice(body).unwrap_or_default());
    let completion = match (!is_counted).then(elsewhere).flatten() {
        Some(usage) => {
            Completion { prompt_tokens: usage.prompt, completion_tokens: usage.completion, ..completion }
        }
        None => completion,
    };
    Ok(Completion { id: id.0.map(|id| id.0), model: model.0.map(|model| model.0), ..completion })
}

/// A completion that is a member of the body: `{"result": {"choices": …}}` (Cloudflare), `output` (`DashScope`).
fn wrapped(body: &[u8]) -> Option<LenientCompletion> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let inner = body.as_object()?.values().find(|member| member["choices"].is_array())?;
    serde_json::from_value(inner.clone()).ok()
}

/// How finish reasons of filtered answers begin. Gemini adds the cause after a colon.
const FILTER_REASONS: [&str; 8] = [
    "content_filter",
    "safety",
    "sensitive",
    "recitation",
    "prohibited_content",
    "blocklist",
    "spii",
    "refusal",
];

/// How a choice ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Complete,
    Truncated,
    Filtered,
    Failed,
}

/// OpenAI's finish reasons.
const FINISH_REASONS: [&str; 5] = ["stop", "length", "content_filter", "tool_calls", "function_call"];

/// The texts of one choice.
struct ChoiceTexts {
    outcome: Outcome,
    /// The finish reason, where it is one of OpenAI's.
    finish_reason: Option<&'static str>,
    /// What may be the answer, the likeliest first.
    texts: Vec<String>,
    reasoning: Option<String>,
    error: Option<Value>,
}

impl From<Choice> for ChoiceTexts {
    fn from(choice: Choice) -> Self {
        let mut message = choice.message.0.or(choice.delta.0).unwrap_or_default();
        let arguments = message.take_arguments();
        let content = message.content.0.unwrap_or_default();
        let is_not_blank = |text: &String| !text.trim().is_empty();
        let refusals = [message.refusal.0, Some(content.refusal)];
        let reasoning = [message.reasoning_content.0, message.reasoning.0, Some(content.reasoning)];
        let texts = [Some(content.text), choice.text.0].into_iter().flatten().chain(arguments);
        let reason = choice.finish_reason.0.unwrap_or_default().to_ascii_lowercase().replace('-', "_");
        Self {
            finish_reason: FINISH_REASONS.into_iter().find(|known| *known == reason),
            outcome: match reason.as_str() {
                _ if refusals.iter().flatten().any(is_not_blank) => Outcome::Filtered,
                reason if FILTER_REASONS.iter().any(|filter| reason.starts_with(filter)) => Outcome::Filtered,
                "error" => Outcome::Failed,
                "length" | "max_tokens" | "model_length" => Outcome::Truncated,
                _ => Outcome::Complete,
            },
            texts: texts.filter(is_not_blank).collect(),
            reasoning: reasoning.into_iter().flatten().find(is_not_blank),
            error: choice.error,
        }
    }
}

impl LenientCompletion {
    fn has_choices(&self) -> bool {
        self.0.choices.0.as_ref().is_some_and(|choices| !choices.is_empty())
    }

    /// The text of the first choice that has one, and whatever else may hold the answer.
    pub(super) fn into_completion(self) -> Result<Completion, CallError> {
        let Self(mut body) = self;
        let (mut complete, mut reasoning, mut cut_off) = (Vec::new(), Vec::new(), Vec::new());
        let mut outcomes = Vec::new();
        let mut finish_reason = None;
        for choice in body.choices.0.take().unwrap_or_default().into_iter().map(ChoiceTexts::from) {
            finish_reason = finish_reason.or(choice.finish_reason);
            outcomes.push(choice.outcome);
            match choice.outcome {
                Outcome::Complete => {
                    complete.extend(choice.texts);
                    reasoning.extend(choice.reasoning);
                }
                Outcome::Truncated => cut_off.extend(choice.texts.into_iter().chain(choice.reasoning)),
                Outcome::Filtered | Outcome::Failed => {}
            }
            body.error = body.error.or(choice.error);
        }
        let has = |outcome| outcomes.contains(&outcome);
        let truncated = complete.is_empty() && reasoning.is_empty() && has(Outcome::Truncated);
        let texts = match (truncated, complete.is_empty()) {
            // A truncated text is not an alternative to a complete one.
            (true, _) => {
                cut_off.truncate(1);
                cut_off
            }
            // Reasoning is the answer only where there is nothing else.
            (false, true) => reasoning,
            (false, false) => complete,
        };
        let mut texts = texts.into_iter();
        let content = texts.next();
        if content.is_none() {
            match body.reported_error() {
                _ if has(Outcome::Filtered) => return Err(CallFailure::ContentFilter.into()),
                Some(error) => return Err(error_in_success(&error)),
                // An empty answer is an answer.
                None if has(Outcome::Complete) || has(Outcome::Truncated) => {}
                None => return Err(CallFailure::Malformed.into()),
            }
        }
        let usage = body.usage.0.unwrap_or_default();
        Ok(Completion {
            content: content.unwrap_or_default(),
            truncated,
            prompt_tokens: usage.prompt,
            completion_tokens: usage.completion,
            alternatives: texts.collect(),
            finish: finish_reason,
            ..Completion::default()
        })
    }
}
