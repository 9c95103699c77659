//! Connections that wait for their next call.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::http_client::MOST_IDLE;

/// How long one waits: shorter than uvicorn (and so vLLM) and Node keep it (5 s), which would close it under a call. A
/// new one costs little.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// How often it is looked which are of no use any more.
const ROUND: Duration = Duration::from_secs(1);

/// Connections over which nothing goes on, the last used last.
#[derive(Default)]
pub(super) struct Idle(Mutex<Follower>);

#[derive(Default)]
struct Follower {
    connections: Vec<(TcpStream, Instant)>,
    /// Whether somebody looks after them.
    is_kept: bool,
}

impl Idle {
    /// The one that was used last of those that are open.
    pub(super) fn take(&self) -> Option<TcpStream> {
        let mut waiting = self.waiting();
        loop {
            let connection = waiting.connections.pop()?;
            if is_of_use(&connection) {
                return Some(connection.0);
            }
        }
    }

    /// Keeps `connection` for another call, unless many are kept.
    pub(super) fn put(self: Arc<Self>, connection: TcpStream) {
        let mut waiting = self.waiting();
        if waiting.connections.len() < MOST_IDLE {
            waiting.connections.push((connection, Instant::now()));
        }
        if !waiting.is_kept {
            waiting.is_kept = true;
            drop(waiting);
            tokio::spawn(self.keep());
        }
    }

    /// Closes those that nobody uses, until there are none.
    async fn keep(self: Arc<Self>) {
        loop {
            sleep(ROUND).await;
            let mut waiting = self.waiting();
            waiting.connections.retain(is_of_use);
            waiting.connections.shrink_to_fit();
            if waiting.connections.is_empty() {
                waiting.is_kept = false;
                return;
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Follower> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a connection has not waited for too long and, as far as is known yet, its server has neither closed it nor
/// said anything that nobody asked for.
fn is_of_use((connection, since): &(TcpStream, Instant)) -> bool {
    since.elapsed() < IDLE_TIMEOUT
        && matches!(connection.try_read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}
