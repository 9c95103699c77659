//! Bodies that are not plain JSON and hold a chat completion all the same.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use super::Reply;
use super::shape::Choice;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// How the first line of an event stream begins.
const STREAM_FIELDS: [&[u8]; 5] = [b"data:", b"event:", b"id:", b"retry:", b":"];

/// The body as JSON: without a byte order mark, and a stream that nobody asked for put together.
///
/// A body that is JSON already is not read, copied or changed.
pub(in crate::llm) fn normalised(body: &Bytes) -> Bytes {
    let mut start = if body.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    start += body[start..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let body = body.slice(start..);
    if STREAM_FIELDS.iter().any(|field| body.starts_with(field)) {
        Bytes::from(joined(&String::from_utf8_lossy(&body)).to_string())
    } else {
        body
    }
}

/// The pieces of one choice.
#[derive(Default)]
struct Pieces {
    content: String,
    thought: String,
    refusal: String,
    arguments: String,
    finish_reason: Option<String>,
}

impl Pieces {
    fn add(&mut self, choice: Choice) {
        let append = |whole: &mut String, piece: Option<String>| whole.push_str(&piece.unwrap_or_default());
        append(&mut self.content, choice.text.0);
        self.finish_reason = choice.finish_reason.0.or(self.finish_reason.take());
        let Some(piece) = choice.message.0.or(choice.delta.0) else { return };
        let arguments = piece.first_arguments();
        append(&mut self.arguments, arguments);
        append(&mut self.thought, piece.reasoning_content.0.or(piece.reasoning.0));
        append(&mut self.refusal, piece.refusal.0);
        if let Some(content) = piece.content.0 {
            self.content.push_str(&content.text);
            self.thought.push_str(&content.thought);
        }
    }

    fn into_choice(self) -> Value {
        json!({
            "message": {
                "content": self.content,
                "reasoning_content": self.thought,
                "refusal": self.refusal,
                "function_call": { "arguments": self.arguments },
            },
            "finish_reason": self.finish_reason,
        })
    }
}

/// One chat completion from a stream of its chunks (server-sent events).
///
/// Choices of a stream that just stops are left out: the rest is missing.
fn joined(stream: &str) -> Value {
    let mut choices = BTreeMap::<u64, Pieces>::new();
    let (mut usage, mut error) = (Value::Null, Value::Null);
    let done = stream.lines().filter_map(data).any(is_end);
    for event in events(stream) {
        // More than one where a server leaves out the blank line between events.
        for chunk in serde_json::Deserializer::from_str(&event).into_iter::<Reply>().map_while(Result::ok) {
            if let Some(counts) = &chunk.0.usage.0 {
                usage = json!({ "prompt_tokens": counts.prompt(), "completion_tokens": counts.completion() });
            }
            if let Some(said) = chunk.0.complaint() {
                error = said;
            }
            for choice in chunk.0.choices.0.unwrap_or_default() {
                choices.entry(choice.index.0.map_or(0, |index| index.0)).or_default().add(choice);
            }
        }
    }
    if !error.is_null() {
        return error;
    }
    let whole = choices.into_values().filter(|choice| done || choice.finish_reason.is_some());
    json!({ "choices": whole.map(Pieces::into_choice).collect::<Vec<_>>(), "usage": usage })
}

/// The data of each event, the end mark left out.
fn events(stream: &str) -> impl Iterator<Item = String> {
    let mut lines = stream.lines();
    std::iter::from_fn(move || {
        let mut event = None;
        for line in lines.by_ref() {
            match data(line) {
                Some(data) if is_end(data) => {}
                Some(data) => {
                    let event: &mut String = event.get_or_insert_default();
                    event.push_str(data);
                    event.push('\n');
                }
                None if line.is_empty() && event.is_some() => break,
                None => {}
            }
        }
        event
    })
}

fn data(line: &str) -> Option<&str> {
    line.strip_prefix("data:")
}

fn is_end(data: &str) -> bool {
    data.trim() == "[DONE]"
}
