//! The body of an answer, as it comes.

use std::io::{self, ErrorKind};
use std::mem::take;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use tokio::net::TcpStream;

use super::head::{Body, Framing};
use super::idle::Idle;
use super::outgoing::Outgoing;
use super::try_read;

/// A body. Once it was read to its end, its connection waits for another call.
pub(super) struct Answer(Option<Receiving>);

/// What is left of a body to come.
struct Receiving {
    framing: Framing,
    stream: TcpStream,
    /// What is left of the request: a server may begin before it has read all of that.
    outgoing: Outgoing,
    /// What was read already.
    begun: Bytes,
    /// Where the connection may wait behind this answer.
    idle: Arc<Idle>,
}

impl Answer {
    /// The body of which `begun` has come already.
    pub(super) fn new(
        framing: Framing,
        stream: TcpStream,
        outgoing: Outgoing,
        begun: Bytes,
        idle: Arc<Idle>,
    ) -> Self {
        let receiving = Receiving { framing, stream, outgoing, begun, idle };
        if receiving.framing.body.is_over() {
            receiving.end();
            return Self(None);
        }
        Self(Some(receiving))
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(receiving) = &mut self.0 else { return Poll::Ready(None) };
        let bytes = ready!(receiving.poll_bytes(context));
        if receiving.framing.body.is_over() {
            self.0.take().into_iter().for_each(Receiving::end);
        } else if !matches!(bytes, Ok(Some(_))) {
            self.0 = None;
        }
        Poll::Ready(bytes.map(|bytes| bytes.map(Frame::data)).transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

impl Receiving {
    /// The next bytes of the body, `None` at its end.
    fn poll_bytes(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        self.outgoing.send(&self.stream, context);
        loop {
            let bytes = self.framing.body.within(&mut self.begun)?;
            if !bytes.is_empty() {
                return Poll::Ready(Ok(Some(bytes)));
            }
            if self.framing.body.is_over() {
                return Poll::Ready(Ok(None));
            }
            ready!(self.stream.poll_read_ready(context))?;
            match try_read(&self.stream)? {
                Some(bytes) if !bytes.is_empty() => self.begun = bytes.freeze(),
                Some(_) if self.framing.body == Body::UntilClose => return Poll::Ready(Ok(None)),
                Some(_) => return Poll::Ready(Err(ErrorKind::UnexpectedEof.into())),
                None => {}
            }
        }
    }

    /// Leaves the connection to another call, where it can take one.
    fn end(self) {
        // More than was asked for is nobody's answer.
        if self.framing.keeps_connection && self.outgoing.is_sent() && self.begun.is_empty() {
            self.idle.put(self.stream);
        }
    }
}

impl Body {
    fn is_over(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunks) => chunks.are_over(),
            Self::UntilClose => false,
        }
    }

    /// The part of `bytes` that belongs to the body; they are left with what is behind it.
    fn within(&mut self, bytes: &mut Bytes) -> io::Result<Bytes> {
        match self {
            Self::Length(left) => {
                let part = bytes.split_to(usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len()));
                *left -= part.len() as u64;
                Ok(part)
            }
            Self::Chunked(chunks) => {
                let mut part = Vec::new();
                let read = chunks.read(bytes, &mut part)?;
                // A copy, so that nothing is kept of what is read.
                *bytes = Bytes::copy_from_slice(&bytes[read..]);
                Ok(part.into())
            }
            Self::UntilClose => Ok(take(bytes)),
        }
    }
}
