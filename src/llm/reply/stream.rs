//! Streams of events, assembled to one chat completion.
//!
//! The framing is that of the WHATWG's HTML standard, section 9.2.6, and more tolerant. No crate does it: they drop
//! an event that is not JSON or has no end, where a missing part of a plan must fail the call; and they wait for
//! blank lines that some servers leave out.

use std::collections::BTreeMap;
use std::mem::take;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::llm::{CallError, CallFailure};

use super::LenientCompletion;
use super::shape::{Choice, Identity, ReplyMessage, ToolCall};
use super::usage::{Usage, may_be_counted};

/// From this length on, a piece that begins with the whole previous piece is not a coincidence.
const CUMULATIVE_FROM: usize = 8;

/// Assembles one chat completion from a stream of chunks (server-sent events), which may be split anywhere.
#[derive(Default)]
pub(in crate::llm) struct StreamAssembler {
    /// The beginning of a line that has not ended.
    line: Vec<u8>,
    /// Whether the last line ended in CR, so that an LF right after it belongs to that end.
    is_after_cr: bool,
    /// The name of the event that has not ended.
    event: String,
    /// Its data that is not a complete chunk yet.
    data: String,
    is_done: bool,
    /// Whether a part of the answer is missing.
    is_broken: bool,
    choices: BTreeMap<u64, StreamedChoice>,
    /// From the first chunk with a choice.
    identity: Option<Identity>,
    usage: Value,
    error: Value,
}

impl StreamAssembler {
    /// Appends to the stream; returns the text that this adds to the first choice.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        let before = self.choices.get(&0).map_or(0, |first| first.answer().len());
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let is_second_half = rest[end] == b'\n' && end == 0 && self.is_after_cr && self.line.is_empty();
            self.is_after_cr = rest[end] == b'\r';
            if !is_second_half {
                self.line.extend_from_slice(&rest[..end]);
                self.end_line();
            }
            rest = &rest[end + 1..];
        }
        self.line.extend_from_slice(rest);
        let answer = self.choices.get(&0).map_or("", StreamedChoice::answer);
        answer.get(before..).unwrap_or_default().to_owned()
    }

    /// Whether nothing that may follow changes the result.
    pub(super) fn is_complete(&self) -> bool {
        self.is_done || self.is_broken || !self.error.is_null()
    }

    fn end_line(&mut self) {
        let bytes = take(&mut self.line);
        let line = String::from_utf8_lossy(&bytes);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        match field {
            "" if line.is_empty() => self.end_event(),
            "data" => self.data(value.strip_prefix(' ').unwrap_or(value)),
            "event" => value.trim().clone_into(&mut self.event),
            // A line of JSON without the name of its field.
            _ if !field.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) => {
                self.data(&line);
            }
            // A comment, or a field that does not matter.
            _ => {}
        }
    }

    /// Takes a line of data, which usually is a chunk of its own, even if the server leaves out the blank line after it.
    fn data(&mut self, data: &str) {
        if data.trim() == "[DONE]" {
            self.end_event();
            self.is_done = true;
        } else if self.data.is_empty()
            && self.event != "error"
            && let Some(chunks) = chunks_in(data)
        {
            self.chunks(chunks, data);
        } else {
            self.data.push_str(data);
            self.data.push('\n');
        }
    }

    fn end_event(&mut self) {
        let (event, data) = (take(&mut self.event), take(&mut self.data));
        let text = data.trim();
        if text.is_empty() {
            return;
        }
        if event == "error" {
            let error = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
            let is_whole = error.get("error").is_some_and(|error| !error.is_null());
            self.error = if is_whole { error } else { json!({ "error": error }) };
        } else if let Some(chunks) = chunks_in(text) {
            self.chunks(chunks, text);
        } else if is_of_the_answer(&event, text) && !self.has_ended() {
            self.is_broken = true;
        }
    }

    /// Whether every choice has ended, so that a damaged event takes nothing from them.
    fn has_ended(&self) -> bool {
        let mut choices = self.choices.values();
        self.is_done || !self.choices.is_empty() && choices.all(|choice| choice.finish_reason.is_some())
    }

    /// Takes the chunks in `data`.
    fn chunks(&mut self, chunks: Vec<LenientCompletion>, data: &str) {
        if self.identity.is_none() && chunks.iter().any(LenientCompletion::has_choices) {
            self.identity = serde_json::from_str(data).ok();
        }
        if may_be_counted(data)
            && let Some(usage) = serde_json::from_str(data).ok().and_then(|chunk| Usage::anywhere_in(&chunk))
        {
            self.usage = json!({ "prompt_tokens": usage.prompt, "completion_tokens": usage.completion });
        }
        for LenientCompletion(chunk) in chunks {
            if let Some(error) = chunk.reported_error() {
                self.error = error;
            }
            for choice in chunk.choices.0.unwrap_or_default() {
                self.choices.entry(choice.index.0.map_or(0, |index| index.0)).or_default().add(choice);
            }
        }
    }

    /// The chat completion.
    ///
    /// # Errors
    /// When a part of it is missing: a damaged event, or the end of every choice.
    pub(super) fn into_json(mut self) -> Result<Bytes, CallError> {
        self.end_line();
        self.end_event();
        if !self.error.is_null() {
            return Ok(self.error.to_string().into());
        }
        let has_choices = !self.choices.is_empty();
        let ended =
            self.choices.into_values().filter(|choice| self.is_done || choice.finish_reason.is_some());
        let choices = ended.map(StreamedChoice::into_choice).collect::<Vec<_>>();
        if self.is_broken || has_choices && choices.is_empty() {
            return Err(CallFailure::BrokenStream.into());
        }
        let Identity { id, model } = self.identity.unwrap_or_default();
        let [id, model] = [id, model].map(|identifier| identifier.0.map(|identifier| identifier.0));
        Ok(json!({ "id": id, "model": model, "choices": choices, "usage": self.usage }).to_string().into())
    }
}

/// The chunks in a text that consists of them; `None` when it has anything else.
fn chunks_in(text: &str) -> Option<Vec<LenientCompletion>> {
    let text = text.trim();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    serde_json::Deserializer::from_str(text).into_iter::<LenientCompletion>().collect::<Result<_, _>>().ok()
}

/// Whether an event that cannot be read may be a part of the answer, rather than a heartbeat with a name of its own.
fn is_of_the_answer(event: &str, data: &str) -> bool {
    matches!(event, "" | "message") || data.starts_with(['{', '['])
}

/// One choice, assembled from its deltas.
#[derive(Default)]
struct StreamedChoice {
    content: StreamedText,
    reasoning: StreamedText,
    refusal: String,
    /// The arguments of tool calls, by number.
    calls: BTreeMap<u64, StreamedText>,
    /// The id of the last call.
    last_id: Option<String>,
    finish_reason: Option<String>,
    has_deltas: bool,
}

impl StreamedChoice {
    fn add(&mut self, choice: Choice) {
        if let Some(text) = choice.text.0 {
            self.content.add(text);
        }
        self.finish_reason = choice.finish_reason.0.or(self.finish_reason.take());
        let (message, delta) = (choice.message.0, choice.delta.0);
        let whole = message.as_ref().and_then(ReplyMessage::text).unwrap_or_default().to_owned();
        let piece = delta.as_ref().and_then(ReplyMessage::text).unwrap_or_default().to_owned();
        self.add_content(whole, piece);
        self.has_deltas |= delta.is_some();
        for part in [delta, message].into_iter().flatten() {
            self.add_others(part);
        }
    }

    /// Some servers repeat the message so far next to each delta, or at the end.
    fn add_content(&mut self, whole: String, piece: String) {
        let is_so_far = whole.starts_with(&self.content.text) && whole.ends_with(&piece);
        if !whole.is_empty() && (is_so_far || piece.is_empty() && self.has_deltas) {
            self.content.replace(whole);
        } else {
            self.content.add(if piece.is_empty() { whole } else { piece });
        }
    }

    /// Everything but the text.
    fn add_others(&mut self, part: ReplyMessage) {
        let content = part.content.0.unwrap_or_default();
        self.reasoning.add(content.reasoning);
        if let Some(reasoning) = part.reasoning_content.0.or(part.reasoning.0) {
            self.reasoning.add(reasoning);
        }
        self.refusal.push_str(&content.refusal);
        self.refusal.push_str(&part.refusal.0.unwrap_or_default());
        for call in part.tool_calls.0.unwrap_or_default() {
            let number = self.number_of(&call);
            self.calls.entry(number).or_default().add(call.arguments().unwrap_or_default());
        }
        let arguments = part.function_call.0.and_then(|function| function.arguments.0);
        if let Some(arguments) = arguments {
            self.calls.entry(0).or_default().add(arguments.0);
        }
    }

    /// The number of a tool call: its index, or a new one for a new id.
    fn number_of(&mut self, call: &ToolCall) -> u64 {
        let last = self.calls.keys().next_back().copied();
        let id = call.id.0.as_ref().filter(|id| !id.is_empty());
        let is_new = id.is_some_and(|id| self.last_id.as_ref().is_some_and(|last| last != id));
        if let Some(id) = id {
            self.last_id = Some(id.clone());
        }
        call.index.0.map_or_else(|| last.map_or(0, |last| last + u64::from(is_new)), |index| index.0)
    }

    /// The content, or the arguments of the first tool call while there is no content.
    fn answer(&self) -> &str {
        let arguments = self.calls.values().next().map_or("", |call| &call.text);
        if self.content.text.is_empty() { arguments } else { &self.content.text }
    }

    fn into_choice(self) -> Value {
        let call = |call: StreamedText| json!({ "function": { "arguments": call.text } });
        json!({
            "message": {
                "content": self.content.text,
                "reasoning_content": self.reasoning.text,
                "refusal": self.refusal,
                "tool_calls": self.calls.into_values().map(call).collect::<Vec<_>>(),
            },
            "finish_reason": self.finish_reason,
        })
    }
}

/// A text that arrives in pieces. Some servers repeat in each piece all of the text so far.
#[derive(Default)]
struct StreamedText {
    text: String,
    /// The last piece, while each has begun with the one before it.
    last: Option<String>,
    pieces: u32,
}

impl StreamedText {
    fn add(&mut self, piece: String) {
        if piece.is_empty() {
            return;
        }
        self.pieces += 1;
        let last = self.last.take();
        let grows = self.pieces == 1 || last.as_ref().is_some_and(|last| piece.starts_with(last));
        let is_cumulative = last.is_some_and(|last| {
            grows && (last.len() >= CUMULATIVE_FROM || self.pieces > 2 && piece.len() > last.len())
        });
        if is_cumulative {
            self.text.clone_from(&piece);
        } else {
            self.text.push_str(&piece);
        }
        self.last = grows.then_some(piece);
    }

    fn replace(&mut self, text: String) {
        self.pieces += 1;
        self.last = None;
        self.text = text;
    }
}
