//! Bodies that are not plain JSON and still hold a chat completion.

use std::mem::take;

use bytes::{Buf, Bytes, BytesMut};

use crate::llm::CallError;

use super::stream::StreamAssembler;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// The beginnings of an event stream's first line.
const STREAM_FIELDS: [&[u8]; 5] = [b"data:", b"event:", b"id:", b"retry:", b":"];

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
        matches!(self, Self::Stream(chunks) if chunks.is_complete())
    }

    /// The body as JSON: without a byte order mark, and assembled from its chunks if it is a stream, which also comes
    /// when none was asked for.
    ///
    /// # Errors
    /// When a part of a stream is missing.
    pub(in crate::llm) fn into_json(self) -> Result<Bytes, CallError> {
        match self {
            Self::Undecided(body) | Self::Document(body) => Ok(body.freeze()),
            Self::Stream(chunks) => chunks.into_json(),
        }
    }
}
