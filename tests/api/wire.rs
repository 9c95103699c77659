//! A fake LLM at the level of bytes: it reads whole requests and then does exactly as told.

use std::io;
use std::mem::take;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::ReadHalf;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::support::lock;

/// What is done, one after the other, once a request has been read.
#[derive(Debug, Clone)]
pub enum Act {
    /// These bytes are sent.
    Send(Vec<u8>),
    /// These bytes are sent so many at a time, with a pause before each piece.
    Drip(Vec<u8>, usize, Duration),
    /// Nothing happens until told.
    Until(Arc<Notify>),
    /// Nothing happens until the peer has gone.
    Silence,
    /// The connection is closed in order.
    Close,
    /// The connection is reset.
    Reset,
}

/// One call, as it came in.
#[derive(Debug, Clone)]
pub struct Call {
    pub at: Instant,
    pub clock: SystemTime,
    pub body: Value,
    /// When the peer left before all was done as told.
    pub left: Option<Instant>,
}

impl Call {
    pub fn model(&self) -> &str {
        self.body["model"].as_str().expect("a model")
    }
}

/// The server. Without a script for a call it does as at the last.
pub struct Wire {
    pub base_url: String,
    /// Keeps the port while nobody listens.
    place: TcpSocket,
    script: Arc<Script>,
    seen: Arc<Seen>,
    /// Ends the server with the value.
    tasks: Mutex<JoinSet<()>>,
}

type Script = dyn Fn(usize, &Value) -> Vec<Act> + Send + Sync;

/// What the server has met.
#[derive(Default)]
struct Seen {
    calls: Mutex<Vec<Call>>,
    forgets: bool,
    number: AtomicUsize,
    open: AtomicUsize,
}

/// A connection, counted for as long as it is open.
struct Open(Arc<Seen>);

impl Wire {
    /// Does the first entry for the first call, and so on; the last is repeated.
    pub async fn script(entries: impl Into<Vec<Vec<Act>>>) -> Self {
        let entries = entries.into();
        Self::start(move |call, _| entries[call.min(entries.len() - 1)].clone()).await
    }

    /// Does what `script` says for the number of a call, from 0, and its body.
    #[expect(clippy::unused_async, reason = "as all servers of these tests are started")]
    pub async fn start(script: impl Fn(usize, &Value) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self::new(script, Seen::default())
    }

    /// As [`start`](Self::start), without remembering calls: for more of them than there is memory for.
    pub fn forgetful(script: impl Fn(usize, &Value) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self::new(script, Seen { forgets: true, ..Seen::default() })
    }

    fn new(script: impl Fn(usize, &Value) -> Vec<Act> + Send + Sync + 'static, seen: Seen) -> Self {
        let place = socket(SocketAddr::from(([127, 0, 0, 1], 0)));
        let base_url = format!("http://{}/v1", place.local_addr().expect("an address"));
        let (script, seen) = (Arc::new(script), Arc::new(seen));
        let wire = Self { base_url, place, script, seen, tasks: Mutex::default() };
        wire.listen();
        wire
    }

    /// Takes connections, after having refused them.
    pub fn listen(&self) {
        let address = self.place.local_addr().expect("an address");
        let listener = socket(address).listen(1_024).expect("a listener");
        lock(&self.tasks).spawn(take_connections(listener, self.script.clone(), self.seen.clone()));
    }

    /// Closes every connection and refuses new ones.
    pub async fn refuse(&self) {
        let mut tasks = take(&mut *lock(&self.tasks));
        tasks.shutdown().await;
        while self.open() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Calls so far.
    pub fn number_of_calls(&self) -> usize {
        self.seen.number.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.seen.open.load(Ordering::SeqCst)
    }

    pub fn calls(&self) -> Vec<Call> {
        lock(&self.seen.calls).clone()
    }

    /// Resolves when it has been called so often.
    pub async fn called(&self, times: usize) {
        while self.calls().len() < times {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Resolves with when the peer left in the middle of a call, counted from 0.
    pub async fn left(&self, call: usize) -> Instant {
        let left = async {
            loop {
                if let Some(left) = self.calls().get(call).and_then(|call| call.left) {
                    return left;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), left).await.expect("the peer leaves")
    }
}

/// A socket at `address`, which others of ours may share.
fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseport(true).and_then(|()| socket.bind(address)).expect("a port");
    socket
}

async fn take_connections(listener: TcpListener, script: Arc<Script>, seen: Arc<Seen>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let (script, open) = (script.clone(), Open::new(&seen));
        connections.spawn(async move {
            // An error means that the peer has gone.
            let _ = converse(stream, &*script, &open.0).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

impl Seen {
    /// A call comes in: its number.
    fn begins(&self, body: &Value) -> usize {
        let mut calls = lock(&self.calls);
        if !self.forgets {
            let (at, clock) = (Instant::now(), SystemTime::now());
            calls.push(Call { at, clock, body: body.clone(), left: None });
        }
        self.number.fetch_add(1, Ordering::SeqCst)
    }

    /// The peer of a call has left.
    fn leaves(&self, call: usize) {
        if let Some(call) = lock(&self.calls).get_mut(call) {
            call.left = Some(Instant::now());
        }
    }
}

impl Open {
    fn new(seen: &Arc<Seen>) -> Self {
        seen.open.fetch_add(1, Ordering::SeqCst);
        Self(seen.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn converse(mut stream: TcpStream, script: &Script, seen: &Seen) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let body = read_request(&mut stream).await?;
        let call = seen.begins(&body);
        let acts = script(call, &body);
        for act in acts {
            let (mut read, mut write) = stream.split();
            let done = async {
                match act {
                    Act::Send(bytes) => write.write_all(&bytes).await?,
                    Act::Drip(bytes, piece, pause) => {
                        for piece in bytes.chunks(piece) {
                            tokio::time::sleep(pause).await;
                            write.write_all(piece).await?;
                        }
                    }
                    Act::Until(told) => told.notified().await,
                    Act::Silence => std::future::pending().await,
                    Act::Close => {
                        write.shutdown().await?;
                        return Ok(true);
                    }
                    Act::Reset => return Ok(true),
                }
                io::Result::Ok(false)
            };
            let is_over = tokio::select! {
                biased;
                done = done => done,
                () = peer_gone(&mut read) => Err(io::ErrorKind::ConnectionReset.into()),
            };
            match is_over {
                Ok(false) => {}
                Ok(true) => {
                    // After an orderly shutdown everything has been sent, and a reset does no harm.
                    return stream.set_zero_linger();
                }
                Err(error) => {
                    seen.leaves(call);
                    return Err(error);
                }
            }
        }
    }
}

/// Resolves when the peer closes or resets the connection.
async fn peer_gone(read: &mut ReadHalf<'_>) {
    let mut byte = [0];
    // The service does not send a second request before the first is answered.
    while matches!(read.read(&mut byte).await, Ok(1)) {}
}

/// The JSON of a request's body, whose length must be given.
async fn read_request(stream: &mut TcpStream) -> io::Result<Value> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).expect("ASCII").to_ascii_lowercase();
    assert!(head.starts_with("post /v1/chat/completions http/1.1\r\n"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.expect("a length")];
    stream.read_exact(&mut body).await?;
    Ok(serde_json::from_slice(&body).expect("JSON"))
}

/// A whole response with its length.
pub fn response(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status} As Told\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Sends a whole response.
pub fn send(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Vec<Act> {
    vec![Act::Send(response(status, headers, body))]
}

/// Sends a whole JSON response.
pub fn send_json(status: u16, body: &Value) -> Vec<Act> {
    send(status, "content-type: application/json\r\n", body.to_string())
}

/// A chat completion with this text.
pub fn completion(text: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "fake",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 420, "completion_tokens": 510, "total_tokens": 930 },
    })
}
