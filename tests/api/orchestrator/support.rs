//! An orchestrator on a port of its own, and a database of its own.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use planner_arm::orchestrator::{Orchestrator, Settings, run};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, SqliteConnection};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{metric_in, plain_client, until};

/// Long enough for everything that is waited for; nothing takes a tenth of it.
const OPERATION_TIME: Duration = Duration::from_secs(60);

/// Where no planner is: nothing listens on the discard port.
pub const NOBODY: &str = "http://127.0.0.1:9";

/// Each test for SQLite and for PostgreSQL.
macro_rules! on_each_database {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name($crate::orchestrator::support::TestDatabase::sqlite()).await;
                }
            )*
        }
        mod postgresql {
            $(
                #[tokio::test]
                #[ignore = "needs PostgreSQL; run by .ci/run"]
                async fn $name() {
                    super::$name($crate::orchestrator::support::TestDatabase::postgresql().await).await;
                }
            )*
        }
    };
}
pub(super) use on_each_database;

/// A database of one test, which goes with the value.
pub struct TestDatabase {
    pub url: String,
    kind: Kind,
}

enum Kind {
    Sqlite { folder: PathBuf },
    Postgresql { server: String, name: String },
}

/// One row of `subtasks`.
#[derive(Debug, PartialEq)]
pub struct Subtask {
    pub task_id: String,
    pub step: i32,
    pub action: String,
    pub required_arm: String,
    pub acceptance_criteria: Value,
    pub depends_on: Value,
    pub cost_tier: i32,
    pub seconds: i32,
    pub status: String,
}

type SubtaskRow = (String, i32, String, String, String, String, i32, i32, String);

impl TestDatabase {
    pub fn sqlite() -> Self {
        let folder = std::env::temp_dir().join(format!("orchestrator-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).expect("a folder");
        let url = format!("sqlite://{}", folder.join("tasks.db").display());
        Self { url, kind: Kind::Sqlite { folder } }
    }

    /// One on the server that `ORCHESTRATOR_TEST_DATABASE_URL` names.
    pub async fn postgresql() -> Self {
        let server = std::env::var("ORCHESTRATOR_TEST_DATABASE_URL").expect(
            "ORCHESTRATOR_TEST_DATABASE_URL must name a PostgreSQL server on which databases may be created",
        );
        let name = format!("orchestrator_{}", uuid::Uuid::new_v4().simple());
        execute(&server, format!("CREATE DATABASE {name}")).await;
        let mut url = url::Url::parse(&server).expect("a URL");
        url.set_path(&name);
        Self { url: url.to_string(), kind: Kind::Postgresql { server, name } }
    }

    /// The file, where it is one.
    pub fn file(&self) -> Option<PathBuf> {
        match &self.kind {
            Kind::Sqlite { folder } => Some(folder.join("tasks.db")),
            Kind::Postgresql { .. } => None,
        }
    }

    /// All subtasks, by task and step.
    pub async fn subtasks(&self) -> Vec<Subtask> {
        let columns =
            "step, action, required_arm, CAST(acceptance_criteria AS text), CAST(depends_on AS text)";
        let order = "ORDER BY 1, 2";
        let rows: Vec<SubtaskRow> = match &self.kind {
            Kind::Sqlite { .. } => {
                let sql = format!(
                    "SELECT task_id, {columns}, estimated_cost_tier, estimated_duration_seconds, status FROM subtasks {order}"
                );
                let mut connection = SqliteConnection::connect(&self.url).await.expect("a connection");
                sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&mut connection).await.expect("rows")
            }
            Kind::Postgresql { .. } => {
                let sql = format!(
                    "SELECT task_id::text, {columns}, estimated_cost_tier::int4, estimated_duration_seconds, status FROM subtasks {order}"
                );
                let mut connection = PgConnection::connect(&self.url).await.expect("a connection");
                sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&mut connection).await.expect("rows")
            }
        };
        let json = |text: String| serde_json::from_str(&text).expect("JSON");
        rows.into_iter()
            .map(|(task_id, step, action, required_arm, criteria, needs, cost_tier, seconds, status)| {
                Subtask {
                    task_id,
                    step,
                    action,
                    required_arm,
                    acceptance_criteria: json(criteria),
                    depends_on: json(needs),
                    cost_tier,
                    seconds,
                    status,
                }
            })
            .collect()
    }

    /// The number that a query for one gives.
    pub async fn count(&self, sql: &'static str) -> i64 {
        match &self.kind {
            Kind::Sqlite { .. } => {
                let mut connection = SqliteConnection::connect(&self.url).await.expect("a connection");
                sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect("a number")
            }
            Kind::Postgresql { .. } => {
                let mut connection = PgConnection::connect(&self.url).await.expect("a connection");
                sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect("a number")
            }
        }
    }

    /// Whether new sessions may write, on PostgreSQL.
    pub async fn set_read_only(&self, is_read_only: bool) {
        let Kind::Postgresql { server, name } = &self.kind else { panic!("not on SQLite") };
        let sql = format!("ALTER DATABASE {name} SET default_transaction_read_only = {is_read_only}");
        execute(server, sql).await;
    }

    /// Moves everything in it this many seconds into the past.
    pub async fn make_older(&self, seconds: u32) {
        let by = match &self.kind {
            Kind::Sqlite { .. } => format!("{seconds} * 1000"),
            Kind::Postgresql { .. } => format!("{seconds} * interval '1 second'"),
        };
        for sql in [
            format!(
                "UPDATE tasks SET created_at = created_at - {by}, due_at = due_at - {by}, expires_at = expires_at - {by}"
            ),
            format!("UPDATE heartbeat SET seen_at = seen_at - {by}"),
        ] {
            self.execute(sql).await;
        }
    }

    /// The time from the creation to the end of the budget of the only task.
    pub async fn budget_seconds(&self) -> i64 {
        self.count(match &self.kind {
            Kind::Sqlite { .. } => "SELECT (expires_at - created_at) / 1000 FROM tasks",
            Kind::Postgresql { .. } => {
                "SELECT floor(extract(epoch FROM expires_at - created_at))::bigint FROM tasks"
            }
        })
        .await
    }

    /// Runs a statement, as another user of the database would.
    pub async fn execute(&self, sql: impl Into<String>) {
        let sql = sql.into();
        match &self.kind {
            Kind::Sqlite { .. } => {
                let mut connection = SqliteConnection::connect(&self.url).await.expect("a connection");
                sqlx::query(sqlx::AssertSqlSafe(sql))
                    .execute(&mut connection)
                    .await
                    .expect("a good statement");
            }
            Kind::Postgresql { .. } => execute(&self.url, sql).await,
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        match &self.kind {
            Kind::Sqlite { folder } => drop(std::fs::remove_dir_all(folder)),
            Kind::Postgresql { server, name } => {
                let (server, sql) = (server.clone(), format!("DROP DATABASE {name} WITH (FORCE)"));
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let done =
                    std::thread::spawn(move || runtime.expect("a runtime").block_on(execute(&server, sql)));
                let _ = done.join();
            }
        }
    }
}

async fn execute(url: &str, sql: String) {
    let mut connection = PgConnection::connect(url).await.expect("a PostgreSQL server");
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.expect("a good statement");
}

/// An orchestrator on a port of its own, in this process.
pub struct TestOrchestrator {
    pub api: Api,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<std::io::Result<()>>,
}

/// The API of an orchestrator.
#[derive(Clone)]
pub struct Api {
    origin: String,
    client: reqwest::Client,
}

/// Settings from these variables alone.
pub fn settings(variables: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    let variables: HashMap<String, String> =
        variables.iter().map(|(name, value)| (format!("ORCHESTRATOR_{name}"), (*value).to_owned())).collect();
    Settings::load(&variables).map_err(|error| error.0)
}

impl TestOrchestrator {
    pub async fn start(database: &TestDatabase, planner: &str) -> Self {
        Self::with(database, planner, &[]).await
    }

    /// With more settings, named without their prefix.
    pub async fn with(database: &TestDatabase, planner: &str, more: &[(&str, &str)]) -> Self {
        let mut variables = vec![("DATABASE_URL", database.url.as_str()), ("PLANNER_ARM_URL", planner)];
        variables.extend_from_slice(more);
        Self::from_settings(&settings(&variables).expect("good settings")).await
    }

    pub async fn from_settings(settings: &Settings) -> Self {
        let orchestrator = Orchestrator::start(settings).await.unwrap_or_else(|error| panic!("{error}"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let api = Api::at(&format!("http://{}", listener.local_addr().expect("an address")));
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(run(listener, orchestrator, settings.shutdown_grace, async {
            let _ = stopped.await;
        }));
        Self { api, stop: Some(stop), server }
    }

    /// Stops it and waits for its end.
    pub async fn stop(mut self) {
        let _ = self.stop.take().expect("stopped once").send(());
        (&mut self.server).await.expect("no panic").expect("no error");
    }
}

impl Drop for TestOrchestrator {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Api {
    pub fn at(origin: &str) -> Self {
        let client = plain_client().timeout(OPERATION_TIME).build().expect("a client");
        Self { origin: origin.to_owned(), client }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(self.url(path)).send().await.expect("an answer")
    }

    /// Posts a body to `/submit`.
    pub async fn post(&self, body: &Value) -> reqwest::Response {
        self.client.post(self.url("/submit")).json(body).send().await.expect("an answer")
    }

    /// As [`post`](Self::post), when nobody may be there.
    pub async fn try_post(&self, body: &Value) -> reqwest::Result<reqwest::Response> {
        self.client.post(self.url("/submit")).json(body).send().await
    }

    pub async fn post_as(&self, content_type: Option<&str>, body: &str) -> reqwest::Response {
        let mut request = self.client.post(self.url("/submit")).body(body.to_owned());
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        request.send().await.expect("an answer")
    }

    /// Posts a body to `path` with these headers.
    pub async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> reqwest::Response {
        let mut request = self.client.post(self.url(path)).json(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.expect("an answer")
    }

    /// Asks for a task to be cancelled.
    pub async fn cancel(&self, id: &str) -> reqwest::Response {
        self.client.post(self.url(&format!("/tasks/{id}/cancel"))).send().await.expect("an answer")
    }

    /// Submits a task, which must be accepted: its id.
    pub async fn submit(&self, body: &Value) -> String {
        let response = self.post(body).await;
        let status = response.status();
        let answer: Value = response.json().await.expect("JSON");
        assert_eq!((status.as_u16(), &answer["status"]), (202, &json!("pending")), "{answer}");
        answer["task_id"].as_str().expect("an id").to_owned()
    }

    pub async fn task(&self, id: &str) -> Value {
        self.get(&format!("/tasks/{id}")).await.json().await.expect("JSON")
    }

    /// The task once it is completed or failed.
    pub async fn ended(&self, id: &str) -> Value {
        self.task_when(id, |task| task["status"] == "completed" || task["status"] == "failed").await
    }

    /// The task once that is so.
    pub async fn task_when(&self, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        until(async || {
            let task = self.task(id).await;
            if is_so(&task) { Ok(task) } else { Err(task) }
        })
        .await
    }

    /// The value of a metric without labels, or with exactly these.
    pub async fn metric(&self, name_and_labels: &str) -> f64 {
        metric_in(&self.get("/metrics").await.text().await.expect("metrics"), name_and_labels)
    }
}
