//! Bodies that are not plain JSON and hold a chat completion all the same.

use std::collections::BTreeMap;
use std::mem::take;

use bytes::{Buf, Bytes, BytesMut};
use serde_json::{Value, json};

use super::Reply;
use super::shape::{Choice, Names};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// How the first line of an event stream begins.
const STREAM_FIELDS: [&[u8]; 5] = [b"data:", b"event:", b"id:", b"retry:", b":"];

/// The body as JSON: without a byte order mark, and a stream that nobody asked for put together.
///
/// A body that is JSON already is not read, copied or changed.
pub(in crate::llm) fn normalised(body: &Bytes) -> Bytes {
    let body = body.slice(start_of(body)..);
    if is_stream(&body) {
        let mut chunks = Chunks::default();
        chunks.push(&body);
        chunks.into_json()
    } else {
        body
    }
}

/// How many bytes a mark and white space take up at the beginning of `body`.
fn start_of(body: &[u8]) -> usize {
    let mark = if body.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    mark + body[mark..].iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

fn is_stream(body: &[u8]) -> bool {
    STREAM_FIELDS.iter().any(|field| body.starts_with(field))
}

/// A body that is listened to while it comes.
pub(in crate::llm) enum Incoming {
    /// Too little to tell what it is.
    Begun(BytesMut),
    Whole(BytesMut),
    Stream(Chunks),
}

impl Incoming {
    pub(in crate::llm) fn new() -> Self {
        Self::Begun(BytesMut::new())
    }

    /// Takes more of the body: what its answer says there.
    pub(in crate::llm) fn push(&mut self, bytes: &[u8]) -> String {
        match self {
            Self::Stream(chunks) => return chunks.push(bytes),
            Self::Whole(body) => body.extend_from_slice(bytes),
            Self::Begun(body) => {
                body.extend_from_slice(bytes);
                body.advance(start_of(body));
                let begun = take(body);
                if is_stream(&begun) {
                    let mut chunks = Chunks::default();
                    let said = chunks.push(&begun);
                    *self = Self::Stream(chunks);
                    return said;
                }
                let may_become =
                    STREAM_FIELDS.iter().chain([&BYTE_ORDER_MARK]).any(|field| field.starts_with(&begun));
                *self = if may_become { Self::Begun(begun) } else { Self::Whole(begun) };
            }
        }
        String::new()
    }

    /// Whether it is a stream that has said all: its end mark, or an error.
    pub(in crate::llm) fn is_over(&self) -> bool {
        matches!(self, Self::Stream(chunks) if chunks.is_done || !chunks.error.is_null())
    }

    /// The body as JSON.
    pub(in crate::llm) fn into_json(self) -> Bytes {
        match self {
            Self::Begun(body) | Self::Whole(body) => body.freeze(),
            Self::Stream(chunks) => chunks.into_json(),
        }
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

    /// Where the answer is: in the content, or in the arguments of a tool while there is none.
    fn answer(&self) -> &str {
        if self.content.is_empty() { &self.arguments } else { &self.content }
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

/// One chat completion from a stream of its chunks (server-sent events), which may be split anywhere.
///
/// Choices of a stream that just stops are left out: the rest is missing.
#[derive(Default)]
pub(in crate::llm) struct Chunks {
    /// What came of a line that has not ended.
    line: Vec<u8>,
    /// The data of an event that has not ended, of which no line is a chunk of its own.
    event: String,
    is_done: bool,
    choices: BTreeMap<u64, Pieces>,
    /// As the first chunk with a choice has them.
    names: Option<Names>,
    usage: Value,
    error: Value,
}

impl Chunks {
    /// Takes more of the stream: what the first choice says there.
    fn push(&mut self, bytes: &[u8]) -> String {
        let before = self.choices.get(&0).map_or(0, |first| first.answer().len());
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.line.extend_from_slice(&rest[..end]);
            self.end_line();
            rest = &rest[end + 1..];
        }
        self.line.extend_from_slice(rest);
        let answer = self.choices.get(&0).map_or("", Pieces::answer);
        answer.get(before..).unwrap_or_default().to_owned()
    }

    fn end_line(&mut self) {
        let bytes = take(&mut self.line);
        let line = String::from_utf8_lossy(&bytes);
        let line = line.strip_suffix('\r').unwrap_or(&line);
        match line.strip_prefix("data:") {
            Some(data) if data.trim() == "[DONE]" => self.is_done = true,
            Some(data) => self.data(data),
            None if line.is_empty() => self.end_event(),
            None => {}
        }
    }

    /// A line of data is mostly a chunk of its own, also where a server leaves out the blank line behind it.
    fn data(&mut self, data: &str) {
        if self.event.is_empty()
            && let Ok(chunk) = serde_json::from_str::<Reply>(data)
        {
            if self.names.is_none() && chunk.0.choices.0.as_ref().is_some_and(|choices| !choices.is_empty()) {
                self.names = serde_json::from_str(data).ok();
            }
            self.chunk(chunk);
        } else {
            self.event.push_str(data);
            self.event.push('\n');
        }
    }

    fn end_event(&mut self) {
        let event = take(&mut self.event);
        let chunks = serde_json::Deserializer::from_str(&event).into_iter::<Reply>();
        chunks.map_while(Result::ok).for_each(|chunk| self.chunk(chunk));
    }

    fn chunk(&mut self, chunk: Reply) {
        if let Some(counts) = &chunk.0.usage.0 {
            self.usage =
                json!({ "prompt_tokens": counts.prompt(), "completion_tokens": counts.completion() });
        }
        if let Some(said) = chunk.0.complaint() {
            self.error = said;
        }
        for choice in chunk.0.choices.0.unwrap_or_default() {
            self.choices.entry(choice.index.0.map_or(0, |index| index.0)).or_default().add(choice);
        }
    }

    fn into_json(mut self) -> Bytes {
        self.end_line();
        self.end_event();
        if !self.error.is_null() {
            return self.error.to_string().into();
        }
        let whole =
            self.choices.into_values().filter(|choice| self.is_done || choice.finish_reason.is_some());
        let choices = whole.map(Pieces::into_choice).collect::<Vec<_>>();
        let Names { id, model } = self.names.unwrap_or_default();
        let [id, model] = [id, model].map(|name| name.0.map(|name| name.0));
        json!({ "id": id, "model": model, "choices": choices, "usage": self.usage }).to_string().into()
    }
}
