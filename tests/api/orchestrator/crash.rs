//! Orchestrators that are killed in the middle of their work, again and again.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use planner_arm::orchestrator::{Store, TaskStatus};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::sync::watch;
use uuid::Uuid;

use crate::support::fake_llm::{Act, FakeLlm, Transport, send_json};
use crate::support::{planner_answer, until};

use super::cli::binary;
use super::support::{Api, TestDatabase};

/// How hard a test is: tasks that are submitted, and orchestrators that are killed meanwhile.
#[derive(Clone, Copy)]
struct Load {
    tasks: usize,
    crashes: u32,
}

/// Takes about a minute, most of it the last leases running out.
const HEAVY: Load = Load { tasks: 500, crashes: 20 };
const LIGHT: Load = Load { tasks: 40, crashes: 1 };

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

/// A planner whose plans take up to 300 ms, so that crashes come in the middle of them.
fn planner() -> FakeLlm {
    FakeLlm::new(Transport::Http, |_, request| {
        let mut dice = Dice(request.to_string().bytes().map(u64::from).sum::<u64>() + 1);
        dice.below(2);
        let wait = Act::Wait(Duration::from_millis(dice.below(300)));
        [vec![wait], send_json(200, &planner_answer())].concat()
    })
}

/// Submits tasks to whichever orchestrator is there; the ids of those that were accepted.
async fn submit(apis: &[watch::Receiver<Api>], tasks: usize) -> Vec<String> {
    let mut accepted = Vec::new();
    let mut turn = 0;
    while accepted.len() < tasks {
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

async fn survive(database: TestDatabase, orchestrators: usize, Load { tasks, crashes }: Load) {
    let planner = planner();
    let mut processes = Vec::new();
    for _ in 0..orchestrators {
        processes.push(Process::start(&database, &planner.origin).await);
    }
    let apis: Vec<_> = processes.iter().map(|process| process.api.subscribe()).collect();
    let submitted = AtomicBool::new(false);
    let submitting = async {
        let accepted = submit(&apis, tasks).await;
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
    assert_eq!(completed, tasks as i64, "the planner refuses none");
    // Tasks whose 202 was lost with the orchestrator are carried out too.
    let open = "SELECT count(*) FROM tasks WHERE status NOT IN ('completed', 'failed')";
    until(async || match database.count(open).await {
        0 => Ok(()),
        open => Err(open),
    })
    .await;
    let stored = database.count("SELECT count(*) FROM tasks").await;
    assert_eq!(database.count("SELECT count(*) FROM task_results").await, stored, "one plan each");
    assert_eq!(database.count("SELECT count(*) FROM subtasks").await, stored * 5, "one set of subtasks each");
    let again = database.count("SELECT count(*) FROM tasks WHERE claims > 1").await;
    eprintln!("{stored} tasks stored and planned, {again} of them taken up more than once");
    if crashes >= 10 {
        assert!(again > 0, "no crash came in the midst of a task");
    }
}

#[tokio::test]
async fn a_crash_of_an_orchestrator_loses_no_task() {
    survive(TestDatabase::sqlite(), 1, LIGHT).await;
}

#[tokio::test]
#[ignore = "takes a minute; run by .ci/run"]
async fn twenty_crashes_of_an_orchestrator_lose_no_task() {
    survive(TestDatabase::sqlite(), 1, HEAVY).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL; run by .ci/run"]
async fn twenty_crashes_of_two_orchestrators_on_postgresql_lose_no_task() {
    survive(TestDatabase::postgresql().await, 2, HEAVY).await;
}
