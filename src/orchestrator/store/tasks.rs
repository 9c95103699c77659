//! Tasks as callers see them: stored, found, listed, cancelled.

use uuid::Uuid;

use super::{Pool, Store, StoreError, invalid_data, json, on, rfc3339};
use crate::orchestrator::list::{TaskList, TaskQuery, TaskSummary};
use crate::orchestrator::models::{Priority, Submission, Task, TaskStatus};

/// A task of a list, as it is stored.
type SummaryRow =
    (String, String, String, i16, Option<String>, Option<i64>, Option<String>, i64, i64, Option<i64>);

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// It is a new task.
    New,
    /// It was stored before under the same key, as the task of this id.
    AlreadyStored(String),
    /// Another submission was stored under the same key.
    KeyInUse,
}

/// What became of a request to cancel a task.
#[derive(Debug, Clone, PartialEq)]
pub enum Cancelled {
    /// It is cancelled now.
    Now(Task),
    /// It was cancelled before.
    AlreadyCancelled(Task),
    /// It is completed or failed, which it remains.
    Ended(Task),
}

impl Store {
    /// Stores a new task, unless one is stored under `key`. Once this has succeeded the task is not lost.
    ///
    /// # Errors
    /// When it is not stored, or when that is not known.
    pub async fn insert(&self, id: Uuid, task: &Submission, key: Option<&str>) -> Result<Stored, StoreError> {
        let budget = &task.budget;
        let (constraints, criteria) = (json(&task.constraints), json(&task.acceptance_criteria));
        let metadata = json(&task.metadata);
        let fingerprint = key.map(|_| task.fingerprint());
        let stored = on!(self, connection => sqlx::query(self.sql.insert_task)
            .bind(id.to_string())
            .bind(&task.goal)
            .bind(&constraints)
            .bind(&task.context)
            .bind(&criteria)
            .bind(budget.max_tokens as i32)
            .bind(budget.planning_seconds() as i32)
            .bind(budget.max_cost_usd)
            .bind(task.priority.rank())
            .bind(&task.assigned_arm)
            .bind(&metadata)
            .bind(key)
            .bind(&fingerprint)
            .bind(budget.max_time_seconds.is_some())
            .execute(connection)
            .await
            .map(|done| done.rows_affected() == 1))?;
        let stored = if stored { Stored::New } else { self.stored_under(key, fingerprint).await? };
        // It may have been deleted meanwhile.
        self.check_file().map(|()| stored)
    }

    /// What is stored under `key`.
    async fn stored_under(
        &self,
        key: Option<&str>,
        fingerprint: Option<String>,
    ) -> Result<Stored, StoreError> {
        let found: Option<(String, Option<String>)> = on!(self, connection => {
            sqlx::query_as(self.sql.find_submission).bind(key).fetch_optional(connection).await
        })?;
        match found {
            Some((id, stored)) if stored == fingerprint => Ok(Stored::AlreadyStored(id)),
            Some(_) => Ok(Stored::KeyInUse),
            None => Err(StoreError::Unavailable("the task of this key was deleted at this moment".into())),
        }
    }

    /// The task of this id.
    ///
    /// # Errors
    /// When the database does not answer, or holds something else than a task.
    pub async fn find(&self, id: Uuid) -> Result<Option<Task>, StoreError> {
        type Row = (String, String, String, Option<String>, Option<String>, i64, i64, Option<i64>);
        let row: Option<Row> = on!(self, connection => sqlx::query_as(self.sql.find_task)
            .bind(id.to_string())
            .fetch_optional(connection)
            .await)?;
        let Some((task_id, status, goal, plan, error, created, updated, processing)) = row else {
            return Ok(None);
        };
        Ok(Some(Task {
            task_id,
            status: status_named(&status)?,
            goal,
            result: plan.map(|plan| serde_json::from_str(&plan)).transpose().map_err(invalid_data)?,
            error,
            created_at: rfc3339(created),
            updated_at: rfc3339(updated),
            processing_time_ms: processing,
        }))
    }

    /// The tasks that `query` asks for, the newest first. `None` if the task that it continues after does not exist.
    ///
    /// # Errors
    /// When the database does not answer, or holds something else than tasks.
    pub async fn list(&self, query: &TaskQuery) -> Result<Option<TaskList>, StoreError> {
        let statuses: Vec<&str> = query.statuses.iter().map(|status| status.as_str()).collect();
        let statuses = (!statuses.is_empty()).then(|| json(&statuses));
        let mut rows: Vec<SummaryRow> = on!(self, connection => sqlx::query_as(self.sql.list_tasks)
            .bind(&statuses)
            .bind(query.after.map(|id| id.to_string()))
            // One more row shows whether there are more.
            .bind(query.limit as i64 + 1)
            .fetch_all(connection)
            .await)?;
        if let Some(after) = query.after.filter(|_| rows.is_empty())
            && self.find(after).await?.is_none()
        {
            return Ok(None);
        }
        let has_more = rows.len() > query.limit;
        rows.truncate(query.limit);
        let tasks: Vec<TaskSummary> = rows.into_iter().map(summary).collect::<Result<_, _>>()?;
        let next = tasks.last().filter(|_| has_more).map(|task| task.task_id.clone());
        Ok(Some(TaskList { tasks, next }))
    }

    /// Cancels the task of this id if it has not ended; `None` when there is none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn cancel(&self, id: Uuid) -> Result<Option<Cancelled>, StoreError> {
        let is_cancelled = on!(self, connection => sqlx::query(self.sql.cancel)
            .bind(id.to_string())
            .execute(connection)
            .await
            .map(|done| done.rows_affected() == 1))?;
        Ok(self.find(id).await?.map(|task| match task.status {
            TaskStatus::Cancelled if is_cancelled => Cancelled::Now(task),
            TaskStatus::Cancelled => Cancelled::AlreadyCancelled(task),
            _ => Cancelled::Ended(task),
        }))
    }
}

fn summary(row: SummaryRow) -> Result<TaskSummary, StoreError> {
    let (task_id, status, goal, rank, assigned_arm, steps, error, created, updated, processing) = row;
    Ok(TaskSummary {
        task_id,
        status: status_named(&status)?,
        goal,
        priority: Priority::ranked(rank).ok_or_else(|| invalid_data(format!("the priority {rank}")))?,
        assigned_arm,
        steps,
        error,
        created_at: rfc3339(created),
        updated_at: rfc3339(updated),
        processing_time_ms: processing,
    })
}

fn status_named(name: &str) -> Result<TaskStatus, StoreError> {
    TaskStatus::named(name).ok_or_else(|| invalid_data(format!("the status {name}")))
}
