//! What servers that call themselves OpenAI-compatible really send back, good and bad.
//!
//! What carries an answer is used, whatever its shape; what does not is a typed error.

mod body;
mod failure;
mod lenient;
mod shape;
mod strict;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{CallError, CallFailure, Completion};

pub(super) use body::{Incoming, normalised};
use failure::hidden_refusal;
pub(super) use failure::refusal;
use lenient::Lenient;
use shape::{Body, Choice, Names};
use strict::Usual;

/// A chat completion, of which nothing but some text is needed.
#[derive(Debug)]
pub(super) struct Reply(Body);

impl<'de> Deserialize<'de> for Reply {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Lenient::<Body>::deserialize(from).map(|body| Self(body.0.unwrap_or_default()))
    }
}

/// What the chat completion in `body` says.
///
/// # Errors
/// Why it says nothing.
pub(super) fn completion(body: &[u8]) -> Result<Completion, CallError> {
    if let Some(completion) = serde_json::from_slice::<Usual>(body).ok().and_then(Usual::into_completion) {
        return Ok(completion);
    }
    forgiving(body)
}

/// The same, whatever shape it has.
fn forgiving(body: &[u8]) -> Result<Completion, CallError> {
    let reply: Reply = serde_json::from_slice(body).map_err(|_| CallFailure::Malformed)?;
    let completion = reply.into_completion()?;
    let Names { id, model } = serde_json::from_slice(body).unwrap_or_default();
    Ok(Completion { id: id.0.map(|name| name.0), model: model.0.map(|name| name.0), ..completion })
}

/// Words with which models end an answer that was filtered. Gemini adds why, after a colon.
const FILTERS: [&str; 8] = [
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
enum End {
    Proper,
    Cut,
    Filtered,
    Failed,
}

/// OpenAI's words for the end of an answer.
const ENDS: [&str; 5] = ["stop", "length", "content_filter", "tool_calls", "function_call"];

/// The texts of one choice.
struct Said {
    end: End,
    /// The end in OpenAI's words.
    finish: Option<&'static str>,
    /// What was to be said, best place first.
    texts: Vec<String>,
    /// What was thought on the way.
    thought: Option<String>,
    error: Option<Value>,
}

impl From<Choice> for Said {
    fn from(choice: Choice) -> Self {
        let message = choice.message.0.or(choice.delta.0).unwrap_or_default();
        let arguments = message.first_arguments();
        let content = message.content.0.unwrap_or_default();
        let is_said = |text: &String| !text.trim().is_empty();
        let refusals = [message.refusal.0, Some(content.refusal)];
        let thoughts = [message.reasoning_content.0, message.reasoning.0, Some(content.thought)];
        let texts = [Some(content.text), choice.text.0, arguments];
        let finish = choice.finish_reason.0.unwrap_or_default().to_ascii_lowercase().replace('-', "_");
        Self {
            finish: ENDS.into_iter().find(|word| *word == finish),
            end: match finish.as_str() {
                _ if refusals.iter().flatten().any(is_said) => End::Filtered,
                finish if FILTERS.iter().any(|word| finish.starts_with(word)) => End::Filtered,
                "error" => End::Failed,
                "length" | "max_tokens" | "model_length" => End::Cut,
                _ => End::Proper,
            },
            texts: texts.into_iter().flatten().filter(is_said).collect(),
            thought: thoughts.into_iter().flatten().find(is_said),
            error: choice.error,
        }
    }
}

impl Reply {
    /// The text of the first choice that says something, and whatever else may hold the answer.
    pub(super) fn into_completion(self) -> Result<Completion, CallError> {
        let Self(mut body) = self;
        let (mut whole, mut thought, mut cut) = (Vec::new(), Vec::new(), Vec::new());
        let (mut was_filtered, mut was_ended, mut was_cut) = (false, false, false);
        let mut finish = None;
        for said in body.choices.0.take().unwrap_or_default().into_iter().map(Said::from) {
            finish = finish.or(said.finish);
            match said.end {
                End::Proper => {
                    was_ended = true;
                    whole.extend(said.texts);
                    thought.extend(said.thought);
                }
                End::Cut => {
                    was_cut = true;
                    cut.extend(said.texts.into_iter().chain(said.thought));
                }
                End::Filtered => was_filtered = true,
                End::Failed => {}
            }
            body.error = body.error.or(said.error);
        }
        let truncated = whole.is_empty() && thought.is_empty() && was_cut;
        // What was cut off is no alternative to what was not.
        let texts = if truncated {
            cut.truncate(1);
            cut
        } else {
            // What was thought is no answer where something else was said.
            if whole.is_empty() { thought } else { whole }
        };
        let mut texts = texts.into_iter();
        let content = texts.next();
        if content.is_none() {
            match body.complaint() {
                _ if was_filtered => return Err(CallFailure::ContentFilter.into()),
                Some(said) => return Err(hidden_refusal(&said)),
                // It answered, if with nothing.
                None if was_ended || was_cut => {}
                None => return Err(CallFailure::Malformed.into()),
            }
        }
        let usage = body.usage.0.unwrap_or_default();
        Ok(Completion {
            content: content.unwrap_or_default(),
            truncated,
            prompt_tokens: usage.prompt(),
            completion_tokens: usage.completion(),
            alternatives: texts.collect(),
            finish,
            ..Completion::default()
        })
    }
}
