//! Bodies that are not plain JSON and still hold a chat completion.

use std::collections::BTreeMap;
use std::mem::take;

use bytes::{Buf, Bytes, BytesMut};
use serde_json::{Value, json};

use super::LenientCompletion;
use super::shape::{Choice, Identity};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// The beginnings of an event stream's first line.
const STREAM_FIELDS: [&[u8]; 5] = [b"data:", b"event:", b"id:", b"retry:", b":"];

/// The body as JSON: without a byte order mark, and assembled from its chunks if it is a stream that was not asked for.
///
/// A body that is JSON already is neither parsed nor copied.
pub(in crate::llm) fn to_json(body: &Bytes) -> Bytes {
    let body = body.slice(content_start(body)..);
    if is_stream(&body) {
        let mut chunks = StreamAssembler::default();
        chunks.push(&body);
        chunks.into_json()
    } else {
        body
    }
}

/// Where the content of `body` starts, after a byte order mark and white space.
fn content_start(body: &[u8]) -> usize {
    let mark = if body.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    mark + body[mark..].iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

fn is_stream(body: &[u8]) -> bool {
    STREAM_FIELDS.iter().any(|field| body.starts_with(field))
}

/// A body that is read as it arrives.
pub(in crate::llm) enum IncomingBody {
    /// Too short to tell what it is.
    Undecided(BytesMut),
    Document(BytesMut),
    Stream(StreamAssembler),
}

impl IncomingBody {
    pub(in crate::llm) fn new() -> Self {
        Self::Undecided(BytesMut::new())
    }

    /// Appends to the body; returns the text that this adds to the answer.
    pub(in crate::llm) fn push(&mut self, bytes: &[u8]) -> String {
        match self {
            Self::Stream(chunks) => return chunks.push(bytes),
            Self::Document(body) => body.extend_from_slice(bytes),
            Self::Undecided(body) => {
                body.extend_from_slice(bytes);
                body.advance(content_start(body));
                let start = take(body);
                if is_stream(&start) {
                    let mut chunks = StreamAssembler::default();
                    let text = chunks.push(&start);
                    *self = Self::Stream(chunks);
                    return text;
                }
                let is_undecided =
                    STREAM_FIELDS.iter().chain([&BYTE_ORDER_MARK]).any(|field| field.starts_with(&start));
                *self = if is_undecided { Self::Undecided(start) } else { Self::Document(start) };
            }
        }
        String::new()
    }

    /// Whether it is a stream that has ended, with `[DONE]` or an error.
    pub(in crate::llm) fn is_complete(&self) -> bool {
        matches!(self, Self::Stream(chunks) if chunks.is_done || !chunks.error.is_null())
    }

    /// The body as JSON.
    pub(in crate::llm) fn into_json(self) -> Bytes {
        match self {
            Self::Undecided(body) | Self::Document(body) => body.freeze(),
            Self::Stream(chunks) => chunks.into_json(),
        }
    }
}

/// One choice, assembled from its deltas.
#[derive(Default)]
struct StreamedChoice {
    content: String,
    reasoning: String,
    refusal: String,
    arguments: String,
    finish_reason: Option<String>,
}

impl StreamedChoice {
    fn add(&mut self, choice: Choice) {
        let append = |text: &mut String, delta: Option<String>| text.push_str(&delta.unwrap_or_default());
        append(&mut self.content, choice.text.0);
        self.finish_reason = choice.finish_reason.0.or(self.finish_reason.take());
        let Some(delta) = choice.message.0.or(choice.delta.0) else { return };
        let arguments = delta.first_arguments();
        append(&mut self.arguments, arguments);
        append(&mut self.reasoning, delta.reasoning_content.0.or(delta.reasoning.0));
        append(&mut self.refusal, delta.refusal.0);
        if let Some(content) = delta.content.0 {
            self.content.push_str(&content.text);
            self.reasoning.push_str(&content.reasoning);
        }
    }

    /// The content, or the arguments of a tool call while there is no content.
    fn answer(&self) -> &str {
        if self.content.is_empty() { &self.arguments } else { &self.content }
    }

    fn into_choice(self) -> Value {
        json!({
            "message": {
                "content": self.content,
                "reasoning_content": self.reasoning,
                "refusal": self.refusal,
                "function_call": { "arguments": self.arguments },
            },
            "finish_reason": self.finish_reason,
        })
    }
}

/// Assembles one chat completion from a stream of chunks (server-sent events), which may be split anywhere.
///
/// If the stream breaks off, choices without a finish reason are left out, as their rest is missing.
#[derive(Default)]
pub(in crate::llm) struct StreamAssembler {
    /// The beginning of a line that has not ended.
    line: Vec<u8>,
    /// The data of an event that has not ended and whose lines are not chunks of their own.
    event: String,
    is_done: bool,
    choices: BTreeMap<u64, StreamedChoice>,
    /// From the first chunk with a choice.
    identity: Option<Identity>,
    usage: Value,
    error: Value,
}

impl StreamAssembler {
    /// Appends to the stream; returns the text that this adds to the first choice.
    fn push(&mut self, bytes: &[u8]) -> String {
        let before = self.choices.get(&0).map_or(0, |first| first.answer().len());
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.line.extend_from_slice(&rest[..end]);
            self.end_line();
            rest = &rest[end + 1..];
        }
        self.line.extend_from_slice(rest);
        let answer = self.choices.get(&0).map_or("", StreamedChoice::answer);
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

    /// Takes a line of data, which usually is a chunk of its own, even if the server leaves out the blank line after it.
    fn data(&mut self, data: &str) {
        if self.event.is_empty()
            && let Ok(chunk) = serde_json::from_str::<LenientCompletion>(data)
        {
            if self.identity.is_none()
                && chunk.0.choices.0.as_ref().is_some_and(|choices| !choices.is_empty())
            {
                self.identity = serde_json::from_str(data).ok();
            }
            self.chunk(chunk);
        } else {
            self.event.push_str(data);
            self.event.push('\n');
        }
    }

    fn end_event(&mut self) {
        let event = take(&mut self.event);
        let chunks = serde_json::Deserializer::from_str(&event).into_iter::<LenientCompletion>();
        chunks.map_while(Result::ok).for_each(|chunk| self.chunk(chunk));
    }

    fn chunk(&mut self, chunk: LenientCompletion) {
        if let Some(counts) = &chunk.0.usage.0 {
            self.usage =
                json!({ "prompt_tokens": counts.prompt(), "completion_tokens": counts.completion() });
        }
        if let Some(error) = chunk.0.reported_error() {
            self.error = error;
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
        let ended =
            self.choices.into_values().filter(|choice| self.is_done || choice.finish_reason.is_some());
        let choices = ended.map(StreamedChoice::into_choice).collect::<Vec<_>>();
        let Identity { id, model } = self.identity.unwrap_or_default();
        let [id, model] = [id, model].map(|identifier| identifier.0.map(|identifier| identifier.0));
        json!({ "id": id, "model": model, "choices": choices, "usage": self.usage }).to_string().into()
    }
}
