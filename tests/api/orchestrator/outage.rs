//! When the planner or the database is away for a while.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, SqliteConnection};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::{FakeLlm, Reply, TestApp, planner_answer, problem, until};

use super::support::{Api, NOBODY, TestDatabase, TestOrchestrator, on_each_database};

on_each_database!(all_tasks_are_planned_after_an_outage_of_the_planner);

async fn all_tasks_are_planned_after_an_outage_of_the_planner(database: TestDatabase) {
    let planner = TestApp::embedded().await;
    let line = Line::to(planner.address).await;
    let reset = [("PLANNER_ARM_CIRCUIT_BREAKER_RESET_TIMEOUT", "1")];
    let orchestrator = TestOrchestrator::with(&database, &format!("http://{}", line.address), &reset).await;
    let api = orchestrator.api.clone();

    let mut ids = submit(&api, 40).await;
    line.enter(LineState::Cut);
    ids.extend(submit(&api, 40).await);
    until(async || match api.metric("planner_client_breaker_state").await {
        state if (state - 2.0).abs() < 0.1 => Ok(()),
        state => Err(state),
    })
    .await;
    ids.extend(submit(&api, 40).await);
    let (status, ready) = is_ready(&api).await;
    assert_eq!((status, &ready["ready"]), (200, &json!(true)), "tasks are accepted meanwhile: {ready}");
    assert_eq!(ready["checks"]["planner_arm"], json!(false), "{ready}");

    line.enter(LineState::Up);
    for id in &ids {
        let task = api.ended(id).await;
        assert_eq!((&task["status"], &task["error"]), (&json!("completed"), &Value::Null), "{task}");
    }
    let with_plan = database.count("SELECT count(DISTINCT task_id) FROM subtasks").await;
    assert_eq!(with_plan, ids.len() as i64);
}

/// Submits tasks, each of which must be accepted quickly.
async fn submit(api: &Api, tasks: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..tasks {
        let began = Instant::now();
        ids.push(api.submit(&json!({ "goal": format!("Write the report number {number}") })).await);
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
    ids
}

/// Passes connections on to a server.
struct Line {
    address: SocketAddr,
    state: watch::Sender<LineState>,
    server: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum LineState {
    Up,
    /// Connections are cut, and new ones end at once.
    Cut,
    /// Nothing passes on connections that were there before; new ones work, as after a failover.
    Frozen,
}

impl Line {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = watch::Sender::new(LineState::Up);
        let lines = state.clone();
        let server = tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.expect("a connection");
                let mut state = lines.subscribe();
                tokio::spawn(async move {
                    if *state.borrow_and_update() == LineState::Cut {
                        return;
                    }
                    let mut server = TcpStream::connect(server).await.expect("the server");
                    let changed = async {
                        let _ = state.changed().await;
                        *state.borrow()
                    };
                    let state = tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => return,
                        state = changed => state,
                    };
                    if state == LineState::Frozen {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Self { address, state, server }
    }

    fn enter(&self, state: LineState) {
        self.state.send_replace(state);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn is_ready(api: &Api) -> (u16, Value) {
    let response = api.get("/ready").await;
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

/// Whatever needs the database says that it is away.
async fn assert_away(api: &Api, id: &str) {
    let (status, ready) = is_ready(api).await;
    assert_eq!((status, &ready["ready"], &ready["checks"]["database"]), (503, &json!(false), &json!(false)));
    let (status, refused) = problem(api.post(&json!({ "goal": "Too late" })).await).await;
    assert_eq!((status, refused["code"].as_str()), (503, Some("database_unavailable")), "{refused}");
    assert_eq!(refused["retry_after_seconds"], 5);
    let (status, _) = problem(api.get(&format!("/tasks/{id}")).await).await;
    assert_eq!(status, 503);
    assert_eq!(api.get("/health").await.status(), 200);
    let metrics = api.get("/metrics").await.text().await.expect("metrics");
    assert!(metrics.contains("\norchestrator_tasks_waiting NaN\n"), "{metrics}");
}

#[tokio::test]
async fn without_its_database_file_no_task_is_accepted() {
    let database = TestDatabase::sqlite();
    let planner = FakeLlm::start([Reply::Body("application/json", planner_answer().to_string())]).await;
    let orchestrator = TestOrchestrator::start(&database, &planner.origin).await;
    let id = orchestrator.api.submit(&json!({ "goal": "Fix it" })).await;
    orchestrator.api.ended(&id).await;
    let file = database.file().expect("a file");
    let aside = file.with_extension("aside");
    std::fs::rename(&file, &aside).expect("moved");
    assert_away(&orchestrator.api, &id).await;
    std::fs::write(&file, "").expect("another file in its place");
    assert_away(&orchestrator.api, &id).await;
    std::fs::rename(&aside, &file).expect("moved back");
    assert_eq!(is_ready(&orchestrator.api).await.0, 200);
    let id = orchestrator.api.submit(&json!({ "goal": "Fix it" })).await;
    assert_eq!(orchestrator.api.ended(&id).await["status"], "completed");
}

/// PostgreSQL behind a line, and an orchestrator at its end.
struct Far {
    database: TestDatabase,
    line: Line,
    orchestrator: TestOrchestrator,
}

impl Far {
    async fn start(planner: &FakeLlm) -> Self {
        let database = TestDatabase::postgresql().await;
        let mut url = url::Url::parse(&database.url).expect("a URL");
        let server = (url.host_str().expect("a host").to_owned(), url.port().unwrap_or(5432));
        let server = tokio::net::lookup_host(server).await.expect("its address").next().expect("an address");
        let line = Line::to(server).await;
        url.set_host(Some("127.0.0.1")).expect("a host");
        url.set_port(Some(line.address.port())).expect("a port");
        let variables = [("DATABASE_URL", url.as_str()), ("PLANNER_ARM_URL", &planner.origin)];
        let settings = super::support::settings(&variables).expect("settings");
        let orchestrator = TestOrchestrator::from_settings(&settings).await;
        Self { database, line, orchestrator }
    }
}

fn plan_after(millis: u64) -> Reply {
    Reply::Body("application/json", planner_answer().to_string()).after(Duration::from_millis(millis))
}

/// A database that is away for longer than a lease: what was planned before is stored after all.
#[tokio::test]
#[ignore = "needs PostgreSQL; run by .ci/run"]
async fn an_outage_of_postgresql_costs_no_task_and_no_plan() {
    let planner = FakeLlm::start([plan_after(500)]).await;
    let Far { database, line, orchestrator } = Far::start(&planner).await;
    let mut ids = Vec::new();
    for number in 0..8 {
        ids.push(orchestrator.api.submit(&json!({ "goal": format!("Fix it {number}") })).await);
    }
    until(async || match planner.calls().len() {
        8 => Ok(()),
        calls => Err(calls),
    })
    .await;
    line.enter(LineState::Cut);
    let began = Instant::now();
    assert_away(&orchestrator.api, &ids[0]).await;
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    // All leases run out.
    tokio::time::sleep(Duration::from_secs(12).saturating_sub(began.elapsed())).await;
    line.enter(LineState::Up);
    for id in &ids {
        let task = orchestrator.api.ended(id).await;
        assert_eq!(task["status"], "completed", "{task}");
    }
    assert_eq!(planner.calls().len(), 8, "every plan was kept while the database was away");
    assert_eq!(is_ready(&orchestrator.api).await.0, 200);
    let id = orchestrator.api.submit(&json!({ "goal": "Fix it" })).await;
    assert_eq!(orchestrator.api.ended(&id).await["status"], "completed");
    assert_eq!(database.count("SELECT count(*) FROM tasks").await, 9, "what was refused is not there");
}

/// Somebody else's session that has locked a task holds up that task alone.
#[tokio::test]
#[ignore = "needs PostgreSQL; run by .ci/run"]
async fn a_locked_row_delays_no_other_task() {
    let planner = FakeLlm::start([plan_after(300)]).await;
    let Far { database, line: _line, orchestrator } = Far::start(&planner).await;
    let locked = orchestrator.api.submit(&json!({ "goal": "Fix it" })).await;
    planner.called(1).await;
    let mut session = PgConnection::connect(&database.url).await.expect("a session");
    sqlx::raw_sql("BEGIN; SELECT 1 FROM tasks FOR UPDATE").execute(&mut session).await.expect("a lock");
    until(async || {
        match orchestrator.api.metric("orchestrator_store_failures_total{operation=\"finish\"}").await {
            failures if failures > 0.5 => Ok(()),
            failures => Err(failures),
        }
    })
    .await;
    let other = orchestrator.api.submit(&json!({ "goal": "Fix that" })).await;
    assert_eq!(orchestrator.api.ended(&other).await["status"], "completed");
    drop(session);
    assert_eq!(orchestrator.api.ended(&locked).await["status"], "completed");
    assert_eq!(planner.calls().len(), 2, "no plan was made twice");
}

/// A new connection is made while the file is missing: it must not create another file in its place.
#[tokio::test]
async fn a_database_file_that_comes_back_has_lost_nothing() {
    let database = TestDatabase::sqlite();
    let orchestrator = TestOrchestrator::start(&database, NOBODY).await;
    let id = orchestrator.api.submit(&json!({ "goal": "Fix it" })).await;
    // Another process holds the lock for longer than there is patience: the connection is given up.
    let mut session = SqliteConnection::connect(&database.url).await.expect("a session");
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut session).await.expect("a lock");
    let (status, _) = problem(orchestrator.api.post(&json!({ "goal": "Too late" })).await).await;
    assert_eq!(status, 503);
    let file = database.file().expect("a file");
    let aside = file.with_extension("aside");
    std::fs::rename(&file, &aside).expect("moved");
    sqlx::raw_sql("ROLLBACK").execute(&mut session).await.expect("unlocked");
    // Some rounds of the worker.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!file.exists(), "no other file was made in its place");
    std::fs::rename(&aside, &file).expect("moved back");
    assert_eq!(orchestrator.api.task(&id).await["goal"], "Fix it");
    assert_eq!(is_ready(&orchestrator.api).await.0, 200);
}

#[tokio::test]
#[ignore = "needs PostgreSQL; run by .ci/run"]
async fn connections_that_hang_are_replaced() {
    let planner = FakeLlm::start([plan_after(10)]).await;
    let Far { database: _database, line, orchestrator } = Far::start(&planner).await;
    let submits = |tasks: usize| {
        let submits = (0..tasks).map(|number| {
            let api = orchestrator.api.clone();
            tokio::spawn(
                async move { api.post(&json!({ "goal": format!("Fix it {number}") })).await.status() },
            )
        });
        submits.collect::<Vec<_>>()
    };
    let under_way = submits(60);
    line.enter(LineState::Frozen);
    for submit in under_way {
        let status = submit.await.expect("an answer");
        assert!(status == 202 || status == 503, "{status}");
    }
    until(async || match is_ready(&orchestrator.api).await {
        (200, _) => Ok(()),
        other => Err(other),
    })
    .await;
    for submit in submits(60) {
        assert_eq!(submit.await.expect("an answer"), 202);
    }
    orchestrator.stop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL; run by .ci/run"]
async fn a_read_only_server_is_not_ready_and_its_connections_are_replaced() {
    let planner = FakeLlm::start([plan_after(0)]).await;
    let Far { database, line, orchestrator } = Far::start(&planner).await;
    let id = orchestrator.api.submit(&json!({ "goal": "Fix it" })).await;
    orchestrator.api.ended(&id).await;
    database.set_read_only(true).await;
    line.enter(LineState::Cut);
    line.enter(LineState::Up);
    let (status, ready) = until(async || match is_ready(&orchestrator.api).await {
        (503, ready) => Ok((503, ready)),
        other => Err(other),
    })
    .await;
    assert_eq!((status, &ready["checks"]["database"]), (503, &json!(false)));
    let (status, _) = problem(orchestrator.api.post(&json!({ "goal": "Too late" })).await).await;
    assert_eq!(status, 503);
    database.set_read_only(false).await;
    until(async || match is_ready(&orchestrator.api).await {
        (200, _) => Ok(()),
        other => Err(other),
    })
    .await;
    let id = orchestrator.api.submit(&json!({ "goal": "Fix it" })).await;
    assert_eq!(orchestrator.api.ended(&id).await["status"], "completed");
}
