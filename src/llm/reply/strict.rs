//! The answer that every server should send, read in one pass.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::llm::Completion;

use super::lenient::{Identifier, Lenient};

/// A chat completion with one choice that has a text and ended properly, and with nothing else that could be an
/// answer or an error. Every other body is read as a [`LenientCompletion`](super::LenientCompletion).
#[derive(Deserialize)]
pub(super) struct StrictCompletion {
    #[serde(default)]
    id: Lenient<Identifier>,
    #[serde(default)]
    model: Lenient<Identifier>,
    choices: [StrictChoice; 1],
    usage: StrictUsage,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct StrictChoice {
    message: StrictMessage,
    finish_reason: StrictFinishReason,
    text: Option<IgnoredAny>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum StrictFinishReason {
    Stop,
}

#[derive(Deserialize)]
struct StrictMessage {
    content: String,
    refusal: Option<IgnoredAny>,
    tool_calls: Option<IgnoredAny>,
    function_call: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct StrictUsage {
    prompt_tokens: u32,
    completion_tokens: u32,
}

impl StrictCompletion {
    /// Its answer; `None` when the text is blank or there is more than one place that could hold the answer.
    pub(super) fn into_completion(self) -> Option<Completion> {
        let [StrictChoice { message, finish_reason: StrictFinishReason::Stop, text, error }] = self.choices;
        let others = [self.error, text, error, message.refusal, message.tool_calls, message.function_call];
        if others.iter().any(Option::is_some) || message.content.trim().is_empty() {
            return None;
        }
        Some(Completion {
            content: message.content,
            prompt_tokens: self.usage.prompt_tokens.into(),
            completion_tokens: self.usage.completion_tokens.into(),
            id: self.id.0.map(|id| id.0),
            model: self.model.0.map(|model| model.0),
            finish: Some("stop"),
            ..Completion::default()
        })
    }
}
