//! The orchestrator's HTTP API: tasks submitted, followed, listed and cancelled.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, LOCATION};
use serde::Serialize;
use tokio::time::timeout;
use tracing::info;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::FieldError;
use crate::domain::problem::{ErrorCode, Problem};
use crate::server::body::{read_body, require_json};
use crate::server::origin::check_origin;
use crate::server::request::RequestContext;

use super::Orchestrator;
use super::list::{NO_SUCH_TASK, TaskList, TaskQuery};
use super::metrics::Operation;
use super::models::{Submission, Task, TaskStatus};
use super::store::{Cancelled, StoreError, Stored};

/// The caller's name for a submission (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Longest such name, in characters.
const MAX_KEY_CHARS: usize = 255;
/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);
/// How long a task may wait for a permit to be read and stored.
const PERMIT_TIME: Duration = Duration::from_secs(10);
/// When a submit should be retried while the database is unavailable.
const STORE_RETRY_AFTER: Duration = Duration::from_secs(5);

/// The errors that each call can end in, in addition to those common to all.
pub(super) const SUBMIT_CODES: [ErrorCode; 7] = [
    ErrorCode::InvalidRequest,
    ErrorCode::OriginNotAllowed,
    ErrorCode::PayloadTooLarge,
    ErrorCode::UnsupportedMediaType,
    ErrorCode::DatabaseUnavailable,
    ErrorCode::Overloaded,
    ErrorCode::DeadlineExceeded,
];
pub(super) const LIST_CODES: [ErrorCode; 2] = [ErrorCode::InvalidRequest, ErrorCode::DatabaseUnavailable];
pub(super) const TASK_CODES: [ErrorCode; 2] = [ErrorCode::NotFound, ErrorCode::DatabaseUnavailable];
pub(super) const CANCEL_CODES: [ErrorCode; 4] =
    [ErrorCode::NotFound, ErrorCode::OriginNotAllowed, ErrorCode::TaskEnded, ErrorCode::DatabaseUnavailable];

type Shared = State<Arc<Orchestrator>>;
/// The id in a path.
type Id = Result<Path<String>, PathRejection>;

/// Accepts a task.
///
/// It is accepted once it is stored, and not before. A task without `assigned_arm` is then planned in the background.
#[utoipa::path(
    post,
    path = "/submit",
    tag = "tasks",
    operation_id = "submit_task",
    request_body(content = Submission, content_type = "application/json"),
    params((
        "Idempotency-Key" = Option<String>, Header, nullable = false, min_length = 1, max_length = 255,
        description = "The caller's key for this submission. The same task submitted again with the same key is \
                       stored once, and answered with the same id; a different task is rejected with 422. A key is \
                       valid for as long as its task is stored.",
    )),
    responses((
        status = 202,
        description = "The task is stored",
        body = Accepted,
        headers(("Location" = String, description = "Where to find the task")),
    )),
)]
pub(super) async fn submit(
    State(orchestrator): Shared,
    Extension(context): Extension<RequestContext>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    require_json(&head.headers)?;
    orchestrator.check_origin(&head.headers)?;
    let body = read_body(body, context.arrived + BODY_TIME).await?;
    let permit = timeout(PERMIT_TIME, orchestrator.submissions.acquire()).await;
    let _permit = permit.map_err(|_| overloaded())?;
    let (task, key) = match (Submission::from_json(&body), idempotency_key(&head.headers)) {
        (Ok(task), Ok(key)) => (task, key),
        (task, key) => {
            return Err(key
                .err()
                .into_iter()
                .chain(task.err().into_iter().flatten())
                .collect::<Vec<_>>()
                .into());
        }
    };
    let id = Uuid::new_v4();
    let stored = orchestrator.store.insert(id, &task, key.as_deref()).await;
    let id = match orchestrator.record(Operation::Insert, stored)? {
        Stored::New => {
            orchestrator.metrics.submitted();
            info!(task_id = %id, "task accepted");
            if task.assigned_arm.is_none() {
                orchestrator.submitted.notify_one();
            }
            id.to_string()
        }
        Stored::AlreadyStored(id) => {
            info!(task_id = id, "task submitted again");
            id
        }
        Stored::KeyInUse => {
            let message = "was used for another task; use a new key for each task";
            return Err(vec![FieldError::new("Idempotency-Key", message)].into());
        }
    };
    Ok(Accepted::new(id, &task).into_response())
}

/// The key in `headers`, if there is one.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, FieldError> {
    let keys: Vec<&str> =
        headers.get_all(&IDEMPOTENCY_KEY).iter().map(|key| key.to_str().unwrap_or_default().trim()).collect();
    match keys[..] {
        [] => Ok(None),
        [key] if (1..=MAX_KEY_CHARS).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(FieldError::new("Idempotency-Key", "must be given once, as 1 to 255 characters of ASCII")),
    }
}

/// A task that was stored.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Accepted {
    /// Its id, a UUID.
    #[schema(format = "uuid")]
    task_id: String,
    /// Always `pending`.
    status: TaskStatus,
    /// What happens to it, in one sentence.
    message: String,
}

impl Accepted {
    fn new(task_id: String, task: &Submission) -> Self {
        let message = match &task.assigned_arm {
            None => format!("The task is stored and will be planned; follow it at /tasks/{task_id}."),
            Some(arm) => format!("The task is stored for the arm {arm}; it is not planned."),
        };
        Self { task_id, status: TaskStatus::Pending, message }
    }
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        let location = [(LOCATION, format!("/tasks/{}", self.task_id))];
        (StatusCode::ACCEPTED, location, Json(self)).into_response()
    }
}

/// Lists tasks, the newest first.
///
/// `next` of an answer is the value of `after` with which the list continues. Tasks that are submitted meanwhile do
/// not move the others.
#[utoipa::path(
    get,
    path = "/tasks",
    tag = "tasks",
    operation_id = "list_tasks",
    params(
        ("status" = Option<String>, Query, nullable = false, pattern = "^((pending|processing|completed|failed|cancelled)(,(pending|processing|completed|failed|cancelled))*)?$", description = "Only tasks with this status; several are separated by commas", example = "pending,processing"),
        ("limit" = Option<u32>, Query, nullable = false, minimum = 1, maximum = 200, description = "Maximum number of tasks to list; default 50"),
        ("after" = Option<String>, Query, nullable = false, description = "The id of a task: only older tasks are listed"),
    ),
    responses((status = 200, description = "One page of tasks, without their plans", body = TaskList)),
)]
pub(super) async fn list_tasks(
    State(orchestrator): Shared,
    RawQuery(query): RawQuery,
) -> Result<Json<TaskList>, Problem> {
    let query = TaskQuery::from_query(&query.unwrap_or_default())?;
    let found = orchestrator.store.list(&query).await;
    let found = orchestrator.record(Operation::List, found)?;
    Ok(Json(found.ok_or_else(|| vec![FieldError::new("after", NO_SUCH_TASK)])?))
}

/// Returns a task, with its plan once that is made.
#[utoipa::path(
    get,
    path = "/tasks/{id}",
    tag = "tasks",
    operation_id = "get_task",
    params(("id" = String, Path, description = "The task's id")),
    responses((status = 200, description = "The task", body = Task)),
)]
pub(super) async fn task(State(orchestrator): Shared, id: Id) -> Result<Json<Task>, Problem> {
    let found = orchestrator.store.find(uuid_of(id)?).await;
    orchestrator.record(Operation::Find, found)?.map(Json).ok_or_else(no_such_task)
}

/// Cancels a task.
///
/// One that is being planned is abandoned, whichever orchestrator plans it. A task that is cancelled already stays so;
/// one that is completed or failed cannot be cancelled (409).
#[utoipa::path(
    post,
    path = "/tasks/{id}/cancel",
    tag = "tasks",
    operation_id = "cancel_task",
    params(("id" = String, Path, description = "The task's id")),
    responses((status = 200, description = "The cancelled task", body = Task)),
)]
pub(super) async fn cancel(
    State(orchestrator): Shared,
    headers: HeaderMap,
    id: Id,
) -> Result<Json<Task>, Problem> {
    orchestrator.check_origin(&headers)?;
    let id = uuid_of(id)?;
    let cancelled = orchestrator.store.cancel(id).await;
    match orchestrator.record(Operation::Cancel, cancelled)?.ok_or_else(no_such_task)? {
        Cancelled::Now(task) => {
            info!(task_id = %id, "task cancelled");
            orchestrator.metrics.finished("cancelled", 1);
            // Nobody listens when no task is in progress here.
            let _ = orchestrator.cancelled.send(id);
            Ok(Json(task))
        }
        Cancelled::AlreadyCancelled(task) => Ok(Json(task)),
        Cancelled::Ended(task) => {
            let status = task.status.as_str();
            let detail =
                format!("The task is {status}; only a task that is pending or processing can be cancelled.");
            Err(Problem::new(ErrorCode::TaskEnded, detail))
        }
    }
}

impl Orchestrator {
    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Problem> {
        check_origin(headers, &self.allowed_origins, "ORCHESTRATOR_ALLOWED_ORIGINS")
    }
}

fn uuid_of(id: Id) -> Result<Uuid, Problem> {
    id.ok().and_then(|Path(id)| Uuid::parse_str(&id).ok()).ok_or_else(no_such_task)
}

fn no_such_task() -> Problem {
    Problem::new(ErrorCode::NotFound, "There is no task with this id.")
}

fn overloaded() -> Problem {
    let detail = "Too many tasks are being submitted at the moment; retry shortly.";
    Problem::new(ErrorCode::Overloaded, detail).retry_after(STORE_RETRY_AFTER)
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => {
                let detail = "The database does not answer; retry later.";
                Self::new(ErrorCode::DatabaseUnavailable, detail).retry_after(STORE_RETRY_AFTER)
            }
            StoreError::InvalidData(_) => Problem::internal(),
        }
    }
}
