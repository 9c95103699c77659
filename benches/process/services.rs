//! The measured processes, which end when their values are dropped.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

/// How often it is looked whether a service has started, and how long in between.
const LOOKS: u32 = 200;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// A process that answers `POST /plan`.
pub(crate) struct Service {
    process: Child,
    pid: u32,
    log: File,
    pub(crate) address: SocketAddr,
}

/// A folder in the system's temporary one, gone with the value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("planner-bench-{}", std::process::id()));
        fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Service {
    /// nginx with one worker, which passes calls through to `llm`. The worker is the process itself: a
    /// master beside it would outlive a benchmark that is killed.
    pub(crate) async fn nginx(folder: &Folder, llm: SocketAddr) -> Result<Self, String> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.map_err(|error| format!("no free port: {error}"))?;
        let (config, path) = (nginx_config(address, llm), folder.0.join("nginx.conf"));
        fs::write(&path, config).map_err(|error| format!("{}: {error}", path.display()))?;
        // Debian's is in a folder that only root's PATH has.
        let program = Path::new("/usr/sbin/nginx");
        let program = if program.exists() { program } else { Path::new("nginx") };
        let mut command = Command::new(program);
        command.arg("-p").arg(&folder.0).args(["-e", "stderr", "-c", "nginx.conf"]);
        let service = Self::start(command, &folder.0.join("nginx.log"), |_| Some(address)).await;
        service.map_err(|why| format!("nginx does not start ({why}); Debian: apt-get install nginx-light"))
    }

    /// planner-arm as in service: logs of level `info` as JSON, here into a file. `more` are further settings.
    pub(crate) async fn planner_arm(
        binary: &Path,
        folder: &Folder,
        llm: SocketAddr,
        more: &[(&str, String)],
    ) -> Result<Self, String> {
        let mut command = Command::new(binary);
        command.arg("serve").env_clear().envs([
            ("PLANNER_HOST", "127.0.0.1"),
            ("PLANNER_PORT", "0"),
            ("PLANNER_LOG_FORMAT", "json"),
            ("PLANNER_OPENAI_API_KEY", "bench-key"),
        ]);
        command.env("PLANNER_LLM_BASE_URL", format!("http://{llm}/v1")).envs(more.iter().cloned());
        // Named by its LLM, of which each service has its own.
        let log = format!("planner-arm-{}.log", llm.port());
        let service = Self::start(command, &folder.0.join(log), logged_address).await;
        service.map_err(|why| {
            format!(
                "{} does not start ({why}); build it with `cargo build --release`, or name another in PLANNER_BENCH_BINARY",
                binary.display()
            )
        })
    }

    /// axum and async-openai with nothing in between: this benchmark as another process.
    pub(crate) async fn skeleton(folder: &Folder, llm: SocketAddr) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| format!("this benchmark: {error}"))?;
        let mut command = Command::new(program);
        command.arg("--skeleton").arg(llm.to_string());
        let address = |log: &str| log.lines().next()?.parse().ok();
        let service = Self::start(command, &folder.0.join("skeleton.log"), address).await;
        service.map_err(|why| format!("the skeleton does not start ({why})"))
    }

    /// The service in Python, with the packages that `python` has: one process, with uvicorn's own log.
    pub(crate) async fn fastapi(python: &Path, folder: &Folder, llm: SocketAddr) -> Result<Self, String> {
        let mut command = Command::new(python);
        command.env_clear().arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/process/fastapi_service.py"));
        command.arg(format!("http://{llm}/v1"));
        let address = |log: &str| log.split_once("running on http://")?.1.split(' ').next()?.parse().ok();
        let service = Self::start(command, &folder.0.join("fastapi.log"), address).await;
        service.map_err(|why| format!("the FastAPI service does not start ({why})"))
    }

    /// Starts a service and waits until it takes connections, where `address` finds out of its log.
    async fn start(
        mut command: Command,
        log_path: &Path,
        address: impl Fn(&str) -> Option<SocketAddr>,
    ) -> io::Result<Self> {
        // Appending, so that the log can be cut while it is written to.
        let log = OpenOptions::new().create(true).append(true).open(log_path)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?).kill_on_drop(true);
        let mut process = command.spawn()?;
        let pid = process.id().ok_or_else(|| io::Error::other("it has ended"))?;
        for _ in 0..LOOKS {
            let logged = fs::read_to_string(log_path)?;
            if let Some(ended) = process.try_wait()? {
                return Err(io::Error::other(format!("{ended}: {}", logged.trim())));
            }
            if let Some(address) = address(&logged)
                && TcpStream::connect(address).await.is_ok()
            {
                return Ok(Self { process, pid, log, address });
            }
            sleep(BETWEEN_LOOKS).await;
        }
        Err(io::Error::other("it does not listen"))
    }

    /// User and system time of the process so far, in seconds.
    pub(crate) fn processor_seconds(&self) -> io::Result<f64> {
        /// On every architecture that Rust knows (`USER_HZ`).
        const TICKS_A_SECOND: f64 = 100.0;
        // proc_pid_stat(5): fields 14 and 15; the second, the name in brackets, may have spaces in it.
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: Vec<f64> = fields.skip(11).take(2).filter_map(|ticks| ticks.parse().ok()).collect();
        match ticks[..] {
            [user, system] => Ok((user + system) / TICKS_A_SECOND),
            _ => Err(io::Error::other("no processor time in /proc")),
        }
    }

    /// Resident memory in MiB: now (`VmRSS`), or at most since the start (`VmHWM`); see `proc_pid_status(5)`.
    pub(crate) fn memory(&self, field: &str) -> io::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let value =
            |line: &str| line.strip_prefix(field)?.strip_prefix(':')?.strip_suffix("kB")?.trim().parse().ok();
        let kib: Option<f64> = status.lines().find_map(value);
        kib.map(|kib| kib / 1024.0).ok_or_else(|| io::Error::other(format!("no {field} in /proc")))
    }

    /// Empties the log, so that it does not fill the disk.
    pub(crate) fn cut_log(&self) -> io::Result<()> {
        self.log.set_len(0)
    }

    /// Ends the process and waits until it has.
    pub(crate) async fn end(mut self) -> io::Result<()> {
        self.process.kill().await
    }
}

/// The address in the line that planner-arm logs when it listens.
fn logged_address(log: &str) -> Option<SocketAddr> {
    log.split_once("\"address\":\"")?.1.split('"').next()?.parse().ok()
}

fn nginx_config(address: SocketAddr, llm: SocketAddr) -> String {
    format!(
        "daemon off;
master_process off;
pid nginx.pid;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  upstream llm {{
    server {llm};
    keepalive 64;
    keepalive_requests 1000000000;
  }}
  server {{
    listen {address};
    location / {{
      proxy_pass http://llm/v1/chat/completions;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
    }}
  }}
}}
"
    )
}
