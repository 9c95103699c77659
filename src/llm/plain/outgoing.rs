//! A request on its way out.

use std::io::{ErrorKind, IoSlice};
use std::task::Context;

use bytes::{Buf, Bytes};
use http::Request;
use tokio::net::TcpStream;

use crate::llm::pieces::Pieces;

/// What is left to be sent of a request.
pub(super) struct Outgoing {
    pieces: Vec<Bytes>,
    /// Whether the server took no more.
    is_cut: bool,
}

impl Outgoing {
    /// The whole of `request`.
    pub(super) fn new(request: Request<Pieces>) -> Self {
        let head = written(&request);
        let pieces = std::iter::once(head.into()).chain(request.into_body()).collect();
        Self { pieces, is_cut: false }
    }

    /// Sends as much as `stream` takes now; when it takes more, the task is woken.
    pub(super) fn send(&mut self, stream: &TcpStream, context: &mut Context<'_>) {
        while !self.pieces.is_empty() {
            let pieces: Vec<IoSlice<'_>> = self.pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            match stream.try_write_vectored(&pieces) {
                Ok(bytes) => self.sent(bytes),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if stream.poll_write_ready(context).is_pending() {
                        return;
                    }
                }
                // It may have said why before it closed.
                Err(_) => *self = Self { pieces: Vec::new(), is_cut: true },
            }
        }
    }

    /// Whether all was sent.
    pub(super) fn is_sent(&self) -> bool {
        self.pieces.is_empty() && !self.is_cut
    }

    fn sent(&mut self, mut bytes: usize) {
        let whole = self.pieces.iter().take_while(|piece| {
            let is_sent = piece.len() <= bytes;
            bytes -= if is_sent { piece.len() } else { 0 };
            is_sent
        });
        self.pieces.drain(..whole.count());
        match self.pieces.first_mut() {
            Some(piece) => piece.advance(bytes),
            // Nothing is kept of what was sent.
            None => self.pieces = Vec::new(),
        }
    }
}

/// The head of `request`.
fn written<B>(request: &Request<B>) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri()).into_bytes();
    for (name, value) in request.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}
