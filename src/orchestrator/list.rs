//! What `GET /tasks` takes and gives.

use serde::Serialize;
use url::form_urlencoded;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::FieldError;

use super::models::{Priority, TaskStatus};

/// Tasks in one answer, unless the caller asks for another number.
const DEFAULT_LIMIT: usize = 50;
/// Maximum number of tasks in one answer.
const MAX_LIMIT: usize = 200;

/// Which tasks `GET /tasks` lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskQuery {
    /// Only tasks in one of these states; empty: in any.
    pub statuses: Vec<TaskStatus>,
    /// Maximum number of tasks, 1 to 200.
    pub limit: usize,
    /// Only tasks that are older than this one.
    pub after: Option<Uuid>,
}

/// Some tasks, the newest first.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TaskList {
    /// The tasks.
    pub tasks: Vec<TaskSummary>,
    /// The value of `after` with which the list continues; null at its end.
    #[schema(format = "uuid")]
    pub next: Option<String>,
}

/// A task without its plan.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TaskSummary {
    /// Its id, a UUID.
    #[schema(format = "uuid")]
    pub task_id: String,
    /// Its state.
    pub status: TaskStatus,
    /// The goal.
    pub goal: String,
    /// How urgent it is.
    pub priority: Priority,
    /// The arm that carries out the whole task; such a task is not planned.
    pub assigned_arm: Option<String>,
    /// Steps of its plan, once it is made.
    pub steps: Option<i64>,
    /// Why it failed, or why it still waits.
    pub error: Option<String>,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub updated_at: String,
    /// From its first claim to its end, in milliseconds.
    pub processing_time_ms: Option<i64>,
}

impl TaskQuery {
    /// Reads the query of a URL. An empty value counts as absent, and unknown names are ignored.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from_query(query: &str) -> Result<Self, Vec<FieldError>> {
        let mut read = Self { statuses: Vec::new(), limit: DEFAULT_LIMIT, after: None };
        let (mut seen, mut faults) = (Vec::new(), Vec::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let Some(name) = ["status", "limit", "after"].into_iter().find(|known| *known == name) else {
                continue;
            };
            let value = value.trim();
            let result = if seen.contains(&name) {
                Err("must not be given more than once".to_owned())
            } else if value.is_empty() {
                Ok(())
            } else {
                read.set(name, value)
            };
            seen.push(name);
            faults.extend(result.err().map(|message| FieldError::new(name, message)));
        }
        faults.sort();
        faults.dedup();
        if faults.is_empty() { Ok(read) } else { Err(faults) }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "status" => {
                let named = value.split(',').map(|name| TaskStatus::named(name.trim()));
                let known = TaskStatus::ALL.map(TaskStatus::as_str).join(", ");
                let rule = || format!("must be one of {known}, or several of them separated by commas");
                self.statuses = named.collect::<Option<_>>().ok_or_else(rule)?;
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                self.limit = limit.ok_or_else(|| format!("must be a whole number from 1 to {MAX_LIMIT}"))?;
            }
            _ => self.after = Some(Uuid::parse_str(value).map_err(|_| NO_SUCH_TASK)?),
        }
        Ok(())
    }
}

/// What is wrong with an `after` that names no task.
pub(super) const NO_SUCH_TASK: &str = "must be the id of a task, such as `next` of the previous page";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_or_empty_value_has_its_default() {
        let default = TaskQuery { statuses: Vec::new(), limit: 50, after: None };
        for query in ["", "status=&limit=&after=", "verbose=1&page=2"] {
            assert_eq!(TaskQuery::from_query(query), Ok(default.clone()), "{query}");
        }
    }

    #[test]
    fn a_query_may_name_several_states_a_limit_and_a_task() {
        let id = Uuid::new_v4();
        let query = TaskQuery::from_query(&format!("status=pending%2C+failed&limit=200&after={id}"));
        let statuses = vec![TaskStatus::Pending, TaskStatus::Failed];
        assert_eq!(query, Ok(TaskQuery { statuses, limit: 200, after: Some(id) }));
    }

    #[test]
    fn every_fault_of_a_query_is_reported() {
        for (query, fields) in [
            ("status=done&limit=0&after=17", &["after", "limit", "status"][..]),
            ("limit=201", &["limit"]),
            ("limit=-1", &["limit"]),
            ("limit=1.5", &["limit"]),
            ("limit=5&limit=5", &["limit"]),
            ("status=pending,", &["status"]),
            ("status=PENDING", &["status"]),
            ("after=%00", &["after"]),
        ] {
            let faults = TaskQuery::from_query(query).expect_err(query);
            assert_eq!(
                faults.iter().map(|fault| fault.field.as_str()).collect::<Vec<_>>(),
                fields,
                "{query}"
            );
        }
    }
}
