//! A closed loop: each connection sends its next request when it has the answer to the last.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::wire::Connection;

/// How long answers may take beyond the time of the load.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Stands in the goal where a number can be put.
const SLOT: &[u8; 16] = b"0000000000000000";
/// Numbers goals, so that none comes twice in the life of the process.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goals {
    /// A new goal each time.
    New,
    /// The same goal each time.
    Same,
}

/// What came of a load.
#[derive(Default)]
pub(crate) struct Answers {
    /// How long each took, ascending.
    pub(crate) took: Vec<Duration>,
    /// With another status or length than the first.
    pub(crate) bad: usize,
    /// Values of `X-Planner-Cache`.
    pub(crate) cache: BTreeSet<String>,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
}

/// Puts load on the service at `address` over this many connections for about `time`.
///
/// # Errors
/// When a connection breaks, or there is no answer.
pub(crate) async fn drive(
    address: SocketAddr,
    connections: usize,
    goals: Goals,
    time: Duration,
) -> io::Result<Answers> {
    let request: Arc<[u8]> = request(address).into();
    let length = probe(address, &request).await?;
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..connections {
        let client = client(address, request.to_vec(), goals, length, began + time);
        clients.spawn(timeout(time + ANSWER_TIMEOUT, client));
    }
    let mut all = Answers::default();
    while let Some(client) = clients.join_next().await {
        let answers = client.map_err(io::Error::other)?.map_err(|_| ErrorKind::TimedOut)??;
        all.took.extend(answers.took);
        all.bad += answers.bad;
        all.cache.extend(answers.cache);
    }
    all.elapsed = began.elapsed();
    all.took.sort_unstable();
    Ok(all)
}

/// One plan that was asked for.
pub(crate) struct One {
    pub(crate) sent: Instant,
    pub(crate) answered: Instant,
    pub(crate) is_good: bool,
}

/// Asks the service at `address` for one plan with a new goal, over a connection of its own.
///
/// # Errors
/// When the connection breaks, or no answer comes.
pub(crate) async fn one(address: SocketAddr) -> io::Result<One> {
    let mut connection = Connection::open(address).await?;
    let mut request = request(address);
    let slot = slot(&request);
    number(&mut request[slot]);
    connection.send(&request).await?;
    let sent = Instant::now();
    let answer = timeout(ANSWER_TIMEOUT, connection.receive()).await.map_err(|_| ErrorKind::TimedOut)??;
    let is_good = answer.ok_or(ErrorKind::UnexpectedEof)?.is_ok();
    Ok(One { sent, answered: Instant::now(), is_good })
}

/// Length of a good answer's body.
async fn probe(address: SocketAddr, request: &[u8]) -> io::Result<usize> {
    let mut connection = Connection::open(address).await?;
    connection.send(request).await?;
    let answer = timeout(ANSWER_TIMEOUT, connection.receive()).await.map_err(|_| ErrorKind::TimedOut)??;
    let answer = answer.ok_or(ErrorKind::UnexpectedEof)?;
    let body = String::from_utf8_lossy(answer.body);
    let steps = |plan: Value| plan["plan"].as_array().map(Vec::len);
    // The proxy's is the LLM's, in which the plan is text.
    let is_good = serde_json::from_str::<Value>(&body)
        .is_ok_and(|body| body["choices"].is_array() || steps(body) == Some(5));
    if answer.is_ok() && is_good {
        Ok(answer.body.len())
    } else {
        Err(io::Error::other(format!("a bad answer: {body}")))
    }
}

async fn client(
    address: SocketAddr,
    mut request: Vec<u8>,
    goals: Goals,
    length: usize,
    until: Instant,
) -> io::Result<Answers> {
    let slot = slot(&request);
    let mut connection = Connection::open(address).await?;
    let mut answers = Answers::default();
    while Instant::now() < until {
        if goals == Goals::New {
            number(&mut request[slot.clone()]);
        }
        let began = Instant::now();
        connection.send(&request).await?;
        let answer = connection.receive().await?.ok_or(ErrorKind::UnexpectedEof)?;
        answers.took.push(began.elapsed());
        answers.bad += usize::from(!answer.is_ok() || answer.body.len() != length);
        if let Some(cache) = answer.header("x-planner-cache").filter(|&cache| !answers.cache.contains(cache))
        {
            answers.cache.insert(cache.to_owned());
        }
    }
    Ok(answers)
}

/// Where a number can be put.
fn slot(request: &[u8]) -> Range<usize> {
    let at = request.windows(SLOT.len()).position(|bytes| bytes == SLOT).expect("the request has a slot");
    at..at + SLOT.len()
}

/// Makes a goal a new one.
fn number(slot: &mut [u8]) {
    slot.copy_from_slice(format!("{:016}", NEXT.fetch_add(1, Ordering::Relaxed)).as_bytes());
}

fn request(address: SocketAddr) -> Vec<u8> {
    let body = json!({
        "goal": format!("Fix the authentication bug and add tests, ticket {}", String::from_utf8_lossy(SLOT)),
        "constraints": ["Do not modify the database schema", "Complete in <5 minutes"],
        "context": { "repository": "https://example.com/repo", "affected_files": ["auth/login.py"] },
    })
    .to_string();
    let length = body.len();
    format!(
        "POST /plan HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
