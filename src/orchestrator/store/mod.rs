//! Where tasks, plans and subtasks are kept, and the queue that they form: all SQL is here.
//!
//! An orchestrator *claims* tasks for the time of a lease, which it renews while it works on them. When it dies,
//! the lease runs out and the next one claims the task. Whatever is written about a claimed task is written
//! under the name of the claim, so that a worker that lost it changes nothing any more.

mod connect;
mod postgres;
mod sqlite;
mod tasks;

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::{Connection, PgPool, SqlitePool};
use uuid::Uuid;

use crate::domain::{PlanRequest, PlanResponse};

pub use connect::Database;
pub use tasks::{Cancelled, Stored};

use super::models::plan_request;

/// How long the database may take for one operation.
const OPERATION_TIME: Duration = Duration::from_secs(5);

/// The database.
#[derive(Debug)]
pub struct Store {
    pool: Pool,
    sql: &'static Sql,
    /// The database's file, where it is one: a file that is gone takes writes all the same.
    file: Option<connect::DatabaseFile>,
}

#[derive(Debug)]
enum Pool {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

/// The statements, whose parameters and columns are the same for both databases.
#[derive(Debug)]
struct Sql {
    ping: &'static str,
    insert_task: &'static str,
    find_submission: &'static str,
    find_task: &'static str,
    list_tasks: &'static str,
    cancel: &'static str,
    claim: &'static str,
    renew: &'static str,
    complete: &'static str,
    insert_result: &'static str,
    insert_subtask: &'static str,
    fail: &'static str,
    postpone: &'static str,
    expire: &'static str,
    heartbeat: &'static str,
    begin_run: &'static str,
    add_downtime: &'static str,
    waiting: &'static str,
}

/// Why something could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is unreachable, full or too slow; a retry may succeed.
    #[error("the database does not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database refuses these data, or holds some that cannot be read.
    #[error("the database rejects the data, or it cannot be read")]
    InvalidData(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A task that a worker has claimed.
#[derive(Debug)]
pub struct Claim {
    /// The task.
    pub task_id: String,
    /// The worker that claimed it.
    pub worker: Uuid,
    /// Which of the task's claims this is, from 1.
    pub number: i32,
    /// The request for its plan; `None` when the stored task was changed from outside and cannot be read.
    pub request: Option<PlanRequest>,
    /// What is left of the task's time budget.
    pub time_left: Duration,
}

/// How work on a claimed task ended.
#[derive(Debug)]
pub enum TaskOutcome {
    /// With a plan.
    Completed(Box<PlanResponse>),
    /// For good, with the reason.
    Failed(String),
    /// Not yet: to be retried after a while, with the reason where there is one.
    Postponed(Duration, Option<String>),
}

/// A statement about a claimed task, its first three parameters bound.
macro_rules! claim_query {
    ($claim:expr, $sql:expr) => {
        sqlx::query($sql).bind(&$claim.task_id).bind($claim.worker.to_string()).bind($claim.number)
    };
}

/// Does the same work on a connection of whichever pool there is, within [`OPERATION_TIME`]: to sqlx, databases are
/// types.
///
/// A connection on which that failed is not used again: it may hang, or lead to a server that has become
/// read-only. It is detached, as the pool would wait for it to close.
macro_rules! on {
    ($store:expr, $connection:ident => $work:expr) => {{
        $store.check_file()?;
        match &$store.pool {
            Pool::Postgres(pool) => on!(in pool, $connection => $work),
            Pool::Sqlite(pool) => on!(in pool, $connection => $work),
        }
    }};
    (in $pool:expr, $connection:ident => $work:expr) => {{
        let mut held = $pool.acquire().await?;
        let $connection = &mut *held;
        let result = match tokio::time::timeout($crate::orchestrator::store::OPERATION_TIME, async { $work }).await {
            Ok(done) => done.map_err(StoreError::from),
            Err(_) => Err(StoreError::Unavailable("it took too long".into())),
        };
        if matches!(result, Err(StoreError::Unavailable(_))) {
            drop(held.detach());
        }
        result
    }};
}

use on;

impl Store {
    /// Whether the database answers, has our tables, and, of PostgreSQL, takes writes.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        on!(self, connection => sqlx::query(self.sql.ping).fetch_one(connection).await.map(drop))
    }

    /// Claims up to `limit` tasks that are due, the most urgent and oldest first, for the time of `lease`; none of
    /// `except`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn claim(
        &self,
        worker: Uuid,
        limit: usize,
        lease: Duration,
        except: &BTreeSet<String>,
    ) -> Result<Vec<Claim>, StoreError> {
        type Row = (String, i32, String, String, Option<String>, String, i64, Option<i32>);
        let rows: Vec<Row> = on!(self, connection => sqlx::query_as(self.sql.claim)
            .bind(worker.to_string())
            .bind(limit as i64)
            .bind(millis(lease))
            .bind(json(except))
            .fetch_all(connection)
            .await)?;
        let claim = |(task_id, number, goal, constraints, context, criteria, time_left, seconds): Row| {
            let read = serde_json::from_str(&constraints).ok().zip(serde_json::from_str(&criteria).ok());
            Claim {
                task_id,
                worker,
                number,
                request: read.map(|(constraints, criteria): (_, Vec<String>)| {
                    let seconds = seconds.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX));
                    plan_request(goal, &constraints, context.as_deref(), &criteria, seconds)
                }),
                time_left: Duration::from_millis(u64::try_from(time_left).unwrap_or_default()),
            }
        };
        Ok(rows.into_iter().map(claim).collect())
    }

    /// Takes a claim's lease to `lease` from now; false when the claim is lost.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn renew(&self, claim: &Claim, lease: Duration) -> Result<bool, StoreError> {
        on!(self, connection => claim_query!(claim, self.sql.renew)
            .bind(millis(lease))
            .execute(connection)
            .await
            .map(|done| done.rows_affected() == 1))
    }

    /// Stores how work on a claim ended: all of it, or nothing. False when the claim was lost before.
    ///
    /// # Errors
    /// When nothing is written, or when that is not known.
    pub async fn finish(&self, claim: &Claim, outcome: &TaskOutcome) -> Result<bool, StoreError> {
        match outcome {
            TaskOutcome::Completed(plan) => self.complete(claim, plan).await,
            TaskOutcome::Failed(reason) => {
                on!(self, connection => claim_query!(claim, self.sql.fail)
                    .bind(reason)
                    .execute(connection)
                    .await
                    .map(|done| done.rows_affected() == 1))
            }
            TaskOutcome::Postponed(wait, reason) => {
                on!(self, connection => claim_query!(claim, self.sql.postpone)
                    .bind(millis(*wait))
                    .bind(reason)
                    .execute(connection)
                    .await
                    .map(|done| done.rows_affected() == 1))
            }
        }
    }

    /// The plan and its steps in one transaction with the end of the task.
    async fn complete(&self, claim: &Claim, plan: &PlanResponse) -> Result<bool, StoreError> {
        let whole = json(plan);
        on!(self, connection => {
            let mut transaction = connection.begin().await?;
            let is_ours = claim_query!(claim, self.sql.complete)
                .execute(&mut *transaction)
                .await?
                .rows_affected() == 1;
            if !is_ours {
                return transaction.rollback().await.map(|()| false);
            }
            sqlx::query(self.sql.insert_result)
                .bind(&claim.task_id)
                .bind(&whole)
                .execute(&mut *transaction)
                .await?;
            for step in &plan.plan {
                sqlx::query(self.sql.insert_subtask)
                    .bind(&claim.task_id)
                    .bind(step.step as i32)
                    .bind(&step.action)
                    .bind(&step.required_arm)
                    .bind(json(&step.acceptance_criteria))
                    .bind(json(&step.depends_on))
                    .bind(i16::from(step.estimated_cost_tier))
                    .bind(step.estimated_duration_seconds as i32)
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await.map(|()| true)
        })
    }

    /// Marks tasks as failed whose time budget is used up, but for `except`; how many. `reason` is for those that
    /// were never tried.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn expire(&self, reason: &str, except: &BTreeSet<String>) -> Result<u64, StoreError> {
        on!(self, connection => sqlx::query(self.sql.expire)
            .bind(reason)
            .bind(json(except))
            .execute(connection)
            .await
            .map(|done| done.rows_affected()))
    }

    /// Records that an orchestrator runs, while there are unfinished tasks.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn record_heartbeat(&self) -> Result<(), StoreError> {
        on!(self, connection => sqlx::query(self.sql.heartbeat).execute(connection).await.map(drop))
    }

    /// Records that an orchestrator starts: adds to the time budgets of unfinished tasks the time for which none ran,
    /// less `interval`, the time between two [heartbeats](Self::record_heartbeat). So each start costs a task that much
    /// of its budget at least, and an orchestrator that keeps starting and crashing uses it up. Returns how many tasks
    /// got time.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn begin_run(&self, interval: Duration) -> Result<u64, StoreError> {
        on!(self, connection => {
            let mut transaction = connection.begin().await?;
            // First, since it makes another orchestrator that starts now wait.
            sqlx::query(self.sql.begin_run).execute(&mut *transaction).await?;
            let extended = sqlx::query(self.sql.add_downtime)
                .bind(millis(interval))
                .execute(&mut *transaction)
                .await?
                .rows_affected();
            transaction.commit().await.map(|()| extended)
        })
    }

    /// How many tasks wait for a plan.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn waiting(&self) -> Result<i64, StoreError> {
        on!(self, connection => sqlx::query_scalar(self.sql.waiting).fetch_one(connection).await)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error;
        let is_about_data = match &error {
            Error::Decode(_) | Error::ColumnDecode { .. } | Error::Encode(_) | Error::ColumnNotFound(_) => {
                true
            }
            Error::Database(error) => match error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
                // Classes 22, data exception, and 23, integrity constraint violation.
                Some(error) => matches!(error.code().get(..2), Some("22" | "23")),
                // SQLITE_CONSTRAINT, SQLITE_MISMATCH and SQLITE_TOOBIG with their extended codes.
                None => error
                    .code()
                    .and_then(|code| code.parse::<u32>().ok())
                    .is_some_and(|code| matches!(code & 0xff, 18..=20)),
            },
            _ => false,
        };
        if is_about_data { Self::InvalidData(error.into()) } else { Self::Unavailable(error.into()) }
    }
}

fn invalid_data(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::InvalidData(why.into())
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("strings, numbers and lists of them serialise")
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// A time in milliseconds since 1970 as RFC 3339 has it.
fn rfc3339(millis: i64) -> String {
    let since = Duration::from_millis(u64::try_from(millis).unwrap_or_default());
    humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + since).to_string()
}
