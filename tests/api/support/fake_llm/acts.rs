//! What the fake LLM does with a call.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;

/// One thing that is done once a request has been read.
#[derive(Debug, Clone)]
pub enum Act {
    /// The head of the response is sent: status, and header lines that each end with CR LF. Without a
    /// `content-length` the body is sent in chunks.
    Head(u16, String),
    /// A piece of the body is sent.
    Body(Vec<u8>),
    /// Pieces of the body of this many bytes are sent, with a pause before each.
    Drip(Vec<u8>, usize, Duration),
    /// The response is complete.
    End,
    /// Exactly these bytes are sent. In HTTP/1.1 only.
    Raw(Vec<u8>),
    /// Nothing happens for a while.
    Wait(Duration),
    /// Nothing happens until notified.
    Until(Arc<Notify>),
    /// Nothing happens until the peer disconnects.
    Silence,
    /// The connection is closed in order. In HTTP/2 an unfinished response is cancelled.
    Close,
    /// The connection is reset. In HTTP/2 only the stream is.
    Reset,
    /// The stream is refused before any work on it has begun. In HTTP/2 only.
    Refuse,
}

/// A whole reply.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A chat completion with this text.
    Text(String),
    /// A chat completion with this text that ended at the token limit.
    Truncated(String),
    /// Another status, with headers and a JSON body.
    Status(u16, Vec<(&'static str, String)>, Value),
    /// Status 200 with this content type and body.
    Body(&'static str, String),
    /// This reply after a while.
    After(Duration, Box<Reply>),
    /// None at all.
    Never,
    /// These acts.
    Acts(Vec<Act>),
}

impl Reply {
    pub fn plan(plan: &Value) -> Self {
        Self::Text(plan.to_string())
    }

    pub fn status(status: u16) -> Self {
        Self::Status(status, Vec::new(), json!({ "error": { "message": "as scripted" } }))
    }

    pub fn after(self, wait: Duration) -> Self {
        Self::After(wait, Box::new(self))
    }

    pub(super) fn acts(self) -> Vec<Act> {
        match self {
            Self::Text(text) => send_json(200, &completion(&text)),
            Self::Truncated(text) => send_json(200, &completion_ending(&text, "length")),
            Self::Status(status, headers, body) => {
                let headers: String =
                    headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                send(status, &format!("content-type: application/json\r\n{headers}"), body.to_string())
            }
            Self::Body(content_type, body) => send(200, &format!("content-type: {content_type}\r\n"), body),
            Self::After(wait, reply) => [vec![Act::Wait(wait)], reply.acts()].concat(),
            Self::Never => vec![Act::Silence],
            Self::Acts(acts) => acts,
        }
    }
}

impl From<Vec<Act>> for Reply {
    fn from(acts: Vec<Act>) -> Self {
        Self::Acts(acts)
    }
}

impl Act {
    /// Each drop of a drip by itself.
    pub(super) fn steps(self) -> Vec<Self> {
        match self {
            Self::Drip(bytes, piece, pause) => {
                let drops =
                    bytes.chunks(piece).flat_map(|drop| [Self::Wait(pause), Self::Body(drop.to_vec())]);
                drops.collect()
            }
            act => vec![act],
        }
    }

    /// Resolves when the next act is due.
    pub(super) async fn wait(&self) {
        match self {
            Self::Wait(time) => tokio::time::sleep(*time).await,
            Self::Until(notified) => notified.notified().await,
            Self::Silence => std::future::pending().await,
            _ => {}
        }
    }
}

/// Whether `acts` can be done in HTTP/2 too.
pub fn are_portable(acts: &[Act]) -> bool {
    !acts.iter().any(|act| matches!(act, Act::Raw(_)))
}

/// Sends a whole response with its length.
pub fn send(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Vec<Act> {
    let body = body.as_ref();
    let headers = format!("{headers}content-length: {}\r\n", body.len());
    vec![Act::Head(status, headers), Act::Body(body.to_vec()), Act::End]
}

/// Sends a whole JSON response.
pub fn send_json(status: u16, body: &Value) -> Vec<Act> {
    send(status, "content-type: application/json\r\n", body.to_string())
}

/// Sends a response of which the last `missing` bytes never come.
pub fn send_without_end(body: &str, missing: usize) -> Vec<Act> {
    let sent = &body.as_bytes()[..body.len() - missing];
    vec![Act::Head(200, format!("content-length: {}\r\n", body.len())), Act::Body(sent.to_vec())]
}

/// Sends the body of a response in pieces with a pause before each.
pub fn drip(body: &str, piece: usize, pause: Duration) -> Vec<Act> {
    let head = Act::Head(200, format!("content-length: {}\r\n", body.len()));
    vec![head, Act::Drip(body.into(), piece, pause), Act::End]
}

/// A chat completion with this text.
pub fn completion(text: &str) -> Value {
    completion_ending(text, "stop")
}

fn completion_ending(text: &str, finish: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "fake",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": finish }],
        "usage": { "prompt_tokens": 420, "completion_tokens": 510, "total_tokens": 930 },
    })
}
