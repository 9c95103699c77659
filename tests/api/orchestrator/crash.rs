//! Orchestrators that are killed in the midst of their work, again and again.
//!
//! Takes about a minute, most of it the last leases running out, and does nothing unless
//! `ORCHESTRATOR_TEST_CRASHES` says how many orchestrators to kill.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::routing::post;
use planner_arm::orchestrator::{Store, TaskStatus};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Child;
use tokio::sync::watch;
use uuid::Uuid;

use crate::support::planner_answer;

use super::cli::binary;
use super::support::{Api, TestDatabase, until};

/// Tasks submitted under the crashes.
const TASKS: usize = 500;

/// The same fortune in every run: xorshift, G. Marsaglia, "Xorshift RNGs", 2003.
struct Dice(u64);

impl Dice {
    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// An orchestrator process, to be killed and started again.
struct Process {
    variables: Vec<(&'static str, String)>,
    child: Child,
    /// Where it listens: somewhere else after each start.
    api: watch::Sender<Api>,
}

impl Process {
    async fn start(database: &TestDatabase, planner: &str) -> Self {
        let variables = [
            ("DATABASE_URL", database.url.as_str()),
            ("PLANNER_ARM_URL", planner),
            ("HOST", "127.0.0.1"),
            ("PORT", "0"),
            ("LOG_FORMAT", "json"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .to_vec();
        let (child, api) = Self::spawn(&variables).await;
        Self { variables, child, api: watch::Sender::new(api) }
    }

    /// Resolves when it says where it listens.
    async fn spawn(variables: &[(&'static str, String)]) -> (Child, Api) {
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut child = binary(&variables).stdout(Stdio::piped()).spawn().expect("the binary runs");
        let mut lines = BufReader::new(child.stdout.take().expect("its log")).lines();
        let address = loop {
            let line = lines.next_line().await.expect("a line").expect("it says where it listens");
            let line: Value = serde_json::from_str(&line).expect("JSON");
            if let Some(address) = line["address"].as_str() {
                break address.to_owned();
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        (child, Api::at(&format!("http://{address}")))
    }

    /// Kills it (SIGKILL) and starts it again.
    async fn crash(&mut self) {
        self.child.kill().await.expect("it ran until now");
        let (child, api) = Self::spawn(&self.variables).await;
        self.child = child;
        self.api.send_replace(api);
    }
}

/// A planner whose plans take up to 300 ms, so that crashes come in the midst of them.
async fn planner() -> String {
    let answer = async |body: String| {
        let mut dice = Dice(body.bytes().map(u64::from).sum::<u64>() + 1);
        dice.below(2);
        tokio::time::sleep(Duration::from_millis(dice.below(300))).await;
        axum::Json(planner_answer())
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    let router = axum::Router::new().route("/plan", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await.expect("the planner runs") });
    origin
}

/// Submits tasks to whichever orchestrator is there; the ids of those that were accepted.
async fn submit(apis: &[watch::Receiver<Api>]) -> Vec<String> {
    let mut accepted = Vec::new();
    let mut turn = 0;
    while accepted.len() < TASKS {
        turn += 1;
        let task = json!({
            "goal": format!("Write the report number {turn}"), "budget": { "max_time_seconds": 3_600 },
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        let api = apis[turn % apis.len()].borrow().clone();
        // One that is gone, or goes in the midst of it, has promised nothing.
        let Ok(response) = api.try_post(&task).await else { continue };
        let status = response.status();
        let Ok(answer) = response.json::<Value>().await else { continue };
        if status == 202 {
            accepted.push(answer["task_id"].as_str().expect("an id").to_owned());
        }
    }
    accepted
}

async fn survive(database: TestDatabase, orchestrators: usize) {
    let Ok(crashes) = std::env::var("ORCHESTRATOR_TEST_CRASHES") else {
        eprintln!("skipped: ORCHESTRATOR_TEST_CRASHES is not set to the number of crashes");
        return;
    };
    let crashes: u32 = crashes.parse().expect("ORCHESTRATOR_TEST_CRASHES is a number");
    let planner = planner().await;
    let mut processes = Vec::new();
    for _ in 0..orchestrators {
        processes.push(Process::start(&database, &planner).await);
    }
    let apis: Vec<_> = processes.iter().map(|process| process.api.subscribe()).collect();
    let submitted = AtomicBool::new(false);
    let submitting = async {
        let accepted = submit(&apis).await;
        submitted.store(true, Ordering::Relaxed);
        accepted
    };
    let crashing = async {
        let mut dice = Dice(0x0005_DEEC_E66D);
        let mut under_load = 0;
        for _ in 0..crashes {
            tokio::time::sleep(Duration::from_millis(100 + dice.below(400))).await;
            under_load += u32::from(!submitted.load(Ordering::Relaxed));
            let one = dice.below(processes.len() as u64) as usize;
            processes[one].crash().await;
        }
        under_load
    };
    let (accepted, under_load) = tokio::join!(submitting, crashing);
    eprintln!(
        "{crashes} crashes, {under_load} of them while tasks were submitted; {} tasks accepted",
        accepted.len()
    );

    let store = Store::connect(&database.url.parse().expect("a database")).await.expect("a store");
    let mut completed = 0;
    for id in &accepted {
        let id = Uuid::parse_str(id).expect("a UUID");
        let status = until(async || match store.find(id).await.expect("an answer") {
            Some(task) if matches!(task.status, TaskStatus::Completed | TaskStatus::Failed) => {
                Ok(task.status)
            }
            other => Err(other),
        })
        .await;
        completed += i64::from(status == TaskStatus::Completed);
    }
    assert_eq!(completed, TASKS as i64, "the planner refuses none");
    // Tasks whose 202 was lost with the orchestrator are carried out too.
    let open = "SELECT count(*) FROM tasks WHERE status NOT IN ('completed', 'failed')";
    until(async || match database.count(open).await {
        0 => Ok(()),
        open => Err(open),
    })
    .await;
    let tasks = database.count("SELECT count(*) FROM tasks").await;
    assert_eq!(database.count("SELECT count(*) FROM task_results").await, tasks, "one plan each");
    assert_eq!(database.count("SELECT count(*) FROM subtasks").await, tasks * 5, "one set of subtasks each");
    let again = database.count("SELECT count(*) FROM tasks WHERE claims > 1").await;
    eprintln!("{tasks} tasks stored and planned, {again} of them taken up more than once");
    if crashes >= 10 {
        assert!(again > 0, "no crash came in the midst of a task");
    }
}

#[tokio::test]
async fn two_orchestrators_on_postgresql_lose_nothing() {
    if let Some(database) = TestDatabase::postgresql().await {
        survive(database, 2).await;
    }
}

#[tokio::test]
async fn an_orchestrator_on_sqlite_loses_nothing() {
    survive(TestDatabase::sqlite(), 1).await;
}
