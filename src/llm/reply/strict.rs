//! The answer that every server should give, read in one pass.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::llm::Completion;

use super::lenient::{Lenient, Name};

/// A chat completion of one choice that says something and came to its end, and nothing else that could
/// be an answer or an error. Whatever is otherwise is read by the shapes that forgive.
#[derive(Deserialize)]
pub(super) struct Usual {
    #[serde(default)]
    id: Lenient<Name>,
    #[serde(default)]
    model: Lenient<Name>,
    choices: [Choice; 1],
    usage: Usage,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    finish_reason: End,
    text: Option<IgnoredAny>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    Stop,
}

#[derive(Deserialize)]
struct Message {
    content: String,
    refusal: Option<IgnoredAny>,
    tool_calls: Option<IgnoredAny>,
    function_call: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: u32,
    completion_tokens: u32,
}

impl Usual {
    /// What it says; `None` when it is not so usual.
    pub(super) fn into_completion(self) -> Option<Completion> {
        let [Choice { message, finish_reason: End::Stop, text, error }] = self.choices;
        let more = [self.error, text, error, message.refusal, message.tool_calls, message.function_call];
        if more.iter().any(Option::is_some) || message.content.trim().is_empty() {
            return None;
        }
        Some(Completion {
            content: message.content,
            prompt_tokens: self.usage.prompt_tokens.into(),
            completion_tokens: self.usage.completion_tokens.into(),
            id: self.id.0.map(|name| name.0),
            model: self.model.0.map(|name| name.0),
            finish: Some("stop"),
            ..Completion::default()
        })
    }
}
