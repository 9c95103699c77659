//! The body of an answer, as it comes.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use tokio::net::TcpStream;
use ureq_proto::client::state::{Cleanup, RecvBody, RecvResponse};
use ureq_proto::client::{Call, RecvBodyResult, RecvResponseResult};
use ureq_proto::{BodyMode, Error as ProtocolError};

use super::idle::Idle;
use super::{broken, try_read};

/// A body. Once it was read to its end, its connection waits for another call.
pub(super) struct Answer(Option<Box<Receiving>>);

/// What is left of a body to come.
struct Receiving {
    call: Call<RecvBody>,
    connection: Connection,
    /// What was read and not yet understood.
    incoming: BytesMut,
}

/// A connection, and where it may wait behind this answer.
struct Connection {
    stream: TcpStream,
    idle: Option<Arc<Idle>>,
}

impl Answer {
    /// The body that is behind the head of `call`, of which `incoming` has come already.
    pub(super) fn new(
        call: Call<RecvResponse>,
        stream: TcpStream,
        incoming: BytesMut,
        idle: Option<Arc<Idle>>,
    ) -> Self {
        let connection = Connection { stream, idle };
        match call.proceed() {
            Some(RecvResponseResult::RecvBody(call)) => {
                Self(Some(Box::new(Receiving { call, connection, incoming })))
            }
            Some(RecvResponseResult::Cleanup(call)) => {
                connection.done(&call, &incoming);
                Self(None)
            }
            // A redirection without a body, which nobody follows.
            _ => Self(None),
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(receiving) = &mut self.0 else { return Poll::Ready(None) };
        let frame = ready!(receiving.poll_bytes(context));
        if !matches!(frame, Ok(Some(_)))
            && let Some(receiving) = self.0.take()
        {
            receiving.end();
        }
        Poll::Ready(frame.map(|bytes| bytes.map(Frame::data)).transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

impl Receiving {
    /// The next bytes of the body, `None` at its end.
    fn poll_bytes(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let ends_with_connection = self.call.body_mode() == BodyMode::CloseDelimited;
        loop {
            let bytes = self.understood().map_err(broken)?;
            if !bytes.is_empty() {
                return Poll::Ready(Ok(Some(bytes)));
            }
            if self.call.can_proceed() && !ends_with_connection {
                return Poll::Ready(Ok(None));
            }
            ready!(self.connection.stream.poll_read_ready(context))?;
            if try_read(&self.connection.stream, &mut self.incoming)? == Some(0) {
                let cut = io::Error::from(ErrorKind::UnexpectedEof);
                return Poll::Ready(if ends_with_connection { Ok(None) } else { Err(cut) });
            }
        }
    }

    /// The part of the body in what has come.
    fn understood(&mut self) -> Result<Bytes, ProtocolError> {
        let mut body = vec![0; self.incoming.len()];
        let (mut read, mut written) = (0, 0);
        while read < self.incoming.len() {
            let (input, output) = self.call.read(&self.incoming[read..], &mut body[written..])?;
            if input == 0 {
                break;
            }
            (read, written) = (read + input, written + output);
        }
        // What is left is the beginning of a chunk's size, for which the room for a whole read is not kept.
        self.incoming = BytesMut::from(&self.incoming[read..]);
        body.truncate(written);
        Ok(body.into())
    }

    fn end(self) {
        if let Some(RecvBodyResult::Cleanup(call)) = self.call.proceed() {
            self.connection.done(&call, &self.incoming);
        }
    }
}

impl Connection {
    /// Leaves it to another call, where it can take one.
    fn done(self, call: &Call<Cleanup>, incoming: &[u8]) {
        let Self { stream, idle } = self;
        if let Some(idle) = idle
            && incoming.is_empty()
            && !call.must_close_connection()
        {
            idle.put(stream);
        }
    }
}
