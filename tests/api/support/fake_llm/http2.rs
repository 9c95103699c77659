//! The fake LLM in HTTP/2.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::acts::Act;
use super::{Connection, Request, Server};

/// How long the connection may take to send what a stream has written.
const FLUSH: Duration = Duration::from_millis(20);

/// Answers requests as they come, several at once.
pub(super) async fn serve(connection: Box<dyn Connection>, server: &Arc<Server>) -> io::Result<()> {
    let mut connection = h2::server::handshake(connection).await.map_err(io::Error::other)?;
    let (mut streams, close) = (JoinSet::new(), Arc::new(Notify::new()));
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(accepted) = accepted else { return Ok(()) };
                let (request, respond) = accepted.map_err(io::Error::other)?;
                let (server, close) = (server.clone(), close.clone());
                streams.spawn(async move {
                    // An error means that the peer has gone.
                    let _ = answer(request, Stream::Opened(respond), &server, &close).await;
                });
            }
            Some(_) = streams.join_next() => {}
            () = close.notified() => connection.graceful_shutdown(),
        }
    }
}

/// A stream on its way to the end of the response.
enum Stream {
    Opened(SendResponse<Bytes>),
    Responding(SendStream<Bytes>),
    Ended,
}

async fn answer(
    request: http::Request<RecvStream>,
    mut stream: Stream,
    server: &Server,
    close: &Notify,
) -> Result<(), h2::Error> {
    let (head, mut received) = request.into_parts();
    let mut body = BytesMut::new();
    while let Some(piece) = received.data().await {
        let piece = piece?;
        received.flow_control().release_capacity(piece.len())?;
        body.extend_from_slice(&piece);
    }
    let (call, acts) = server.answer(Request {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        headers: head.headers,
        body: body.freeze(),
    });
    for act in acts.into_iter().flat_map(Act::steps) {
        tokio::select! {
            biased;
            () = act.wait() => {}
            () = poll_fn(|cx| stream.poll_reset(cx)) => {
                server.peer_left(call);
                return Ok(());
            }
        }
        if matches!(act, Act::Close | Act::Reset) {
            // A reset drops whatever has not been sent yet.
            tokio::time::sleep(FLUSH).await;
        }
        if matches!((&act, &stream), (Act::Close, Stream::Ended)) {
            close.notify_one();
        }
        stream = stream.after(&act).inspect_err(|_| server.peer_left(call))?;
    }
    Ok(())
}

impl Stream {
    fn after(mut self, act: &Act) -> Result<Self, h2::Error> {
        match (act, &mut self) {
            (Act::Head(status, headers), Self::Opened(respond)) => {
                let mut response = http::Response::builder().status(*status);
                for (name, value) in headers.lines().filter_map(|line| line.split_once(':')) {
                    response = response.header(name, value.trim());
                }
                let response = response.body(()).expect("a response");
                return Ok(Self::Responding(respond.send_response(response, false)?));
            }
            (Act::Body(bytes), Self::Responding(stream)) => stream.send_data(bytes.clone().into(), false)?,
            (Act::End, Self::Responding(stream)) => {
                stream.send_data(Bytes::new(), true)?;
                return Ok(Self::Ended);
            }
            (Act::Close, _) => self.reset(Reason::CANCEL),
            (Act::Reset, _) => self.reset(Reason::INTERNAL_ERROR),
            (Act::Refuse, _) => self.reset(Reason::REFUSED_STREAM),
            (Act::Wait(_) | Act::Until(_) | Act::Silence, _) => {}
            (act, _) => panic!("in HTTP/2 this cannot be done, or not now: {act:?}"),
        }
        Ok(self)
    }

    fn reset(&mut self, reason: Reason) {
        match self {
            Self::Opened(respond) => respond.send_reset(reason),
            Self::Responding(stream) => stream.send_reset(reason),
            Self::Ended => {}
        }
    }

    /// Ready when the peer has reset the stream or closed the connection.
    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Opened(respond) => respond.poll_reset(cx).map(|_| ()),
            Self::Responding(stream) => stream.poll_reset(cx).map(|_| ()),
            Self::Ended => Poll::Pending,
        }
    }
}
