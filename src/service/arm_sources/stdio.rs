//! An MCP server that runs as a child process.

use std::io;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rmcp::service::RunningService;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::{RoleClient, ServiceExt};
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, ReadBuf};
use tokio::process::{Child, Command};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tracing::debug;

use super::describe;
use super::mcp::{McpClient, tools_of};
use super::reader::{FoundTool, MAX_BYTES};

/// How long a server may take to start; programs such as `npx` download it first.
const START_TIME: Duration = Duration::from_secs(60);
/// How long it may take to list its tools.
const LIST_TIME: Duration = Duration::from_secs(10);
/// How long it may take to end after its input has ended.
const END_TIME: Duration = Duration::from_secs(2);
/// The environment variables that it gets: what programs need to run, and no secrets.
const USUAL_VARIABLES: [&str; 10] =
    ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/// Starts the server when it is needed, and keeps it.
pub(super) struct StdioServer {
    source: String,
    command: Vec<String>,
    env: Vec<(String, SecretString)>,
    /// Told when its tools change, and when it ends.
    changes: Arc<Notify>,
    running: Option<Running>,
}

struct Running {
    session: RunningService<RoleClient, McpClient>,
    process: Process,
}

/// A child process in a group of its own, which ends with it.
struct Process {
    group: Option<Pid>,
    /// How it ended.
    status: watch::Receiver<Option<ExitStatus>>,
}

impl StdioServer {
    pub(super) fn new(source: &str, command: &[String], env: &[(String, SecretString)]) -> Self {
        Self {
            source: source.to_owned(),
            command: command.to_owned(),
            env: env.to_owned(),
            changes: Arc::default(),
            running: None,
        }
    }

    /// The tools that the server has.
    pub(super) async fn tools(&mut self) -> Result<Vec<FoundTool>, String> {
        let running = match self.running.take() {
            Some(running) if !running.session.is_closed() && running.process.status.borrow().is_none() => {
                running
            }
            // One that has ended since is started again.
            _ => self.start().await?,
        };
        let tools = timeout(LIST_TIME, tools_of(running.session.peer())).await;
        match tools
            .unwrap_or_else(|_| Err(format!("does not list its tools within {} s", LIST_TIME.as_secs())))
        {
            Ok(tools) => {
                self.running = Some(running);
                Ok(tools)
            }
            Err(why) => Err(running.process.ended_or(why).await),
        }
    }

    /// Resolves when the server says that its tools have changed, or ends.
    pub(super) async fn changed(&self) {
        self.changes.notified().await;
    }

    /// Ends the server: closes its input, and kills it if it does not exit.
    pub(super) async fn end(&mut self) {
        if let Some(Running { session, mut process }) = self.running.take() {
            let ended = async {
                let _ = session.cancel().await;
                let _ = process.status.wait_for(Option::is_some).await;
            };
            let _ = timeout(END_TIME, ended).await;
        }
    }

    async fn start(&self) -> Result<Running, String> {
        let [program, arguments @ ..] = self.command.as_slice() else { return Err("has no program".into()) };
        let usual = USUAL_VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(usual)
            .envs(self.env.iter().map(|(name, value)| (name, value.expose_secret())))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot be started: {error}"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("cannot be started: it has no pipes".into());
        };
        let process = self.watch(child);
        let transport = AsyncRwTransport::new_client(BoundedLines::new(output), input);
        let client = McpClient { changes: self.changes.clone() };
        let started = timeout(START_TIME, client.serve(transport)).await;
        match started {
            Ok(Ok(session)) => Ok(Running { session, process }),
            Ok(Err(error)) => Err(process.ended_or(describe::start(&error)).await),
            Err(_) => Err(format!("does not start within {} s", START_TIME.as_secs())),
        }
    }

    /// Logs what `child` writes to standard error, and notes when it ends.
    fn watch(&self, mut child: Child) -> Process {
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let (ended, status) = watch::channel(None);
        let (source, changes) = (self.source.clone(), self.changes.clone());
        if let Some(errors) = child.stderr.take() {
            let source = source.clone();
            tokio::spawn(async move {
                let mut lines = BufReader::new(BoundedLines::new(errors)).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    debug!(source, line = describe::quoted(&line), "an arm source writes to standard error");
                }
            });
        }
        tokio::spawn(async move {
            let status = child.wait().await.ok();
            ended.send_replace(Some(status.unwrap_or_default()));
            changes.notify_one();
        });
        Process { group, status }
    }
}

impl Process {
    /// That the process has ended, where it has; otherwise `why`. It is killed if it still runs.
    async fn ended_or(mut self, why: String) -> String {
        let ended = timeout(Duration::from_millis(200), self.status.wait_for(Option::is_some)).await;
        match ended {
            Ok(Ok(status)) => match *status {
                Some(status) => {
                    format!("has ended ({status}); the log has its standard error at level debug")
                }
                None => why,
            },
            _ => why,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(group) = self.group.filter(|_| self.status.borrow().is_none()) {
            // Fails when it has just ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Reads lines, and fails when one is too long.
struct BoundedLines<R> {
    inner: R,
    /// Bytes since the last line ended.
    length: usize,
}

impl<R> BoundedLines<R> {
    fn new(inner: R) -> Self {
        Self { inner, length: 0 }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for BoundedLines<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let read = &buffer.filled()[before..];
        self.length = match read.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => read.len() - end - 1,
            None => self.length + read.len(),
        };
        if self.length > MAX_BYTES {
            return Poll::Ready(Err(io::Error::other("a line is too long")));
        }
        Poll::Ready(Ok(()))
    }
}
