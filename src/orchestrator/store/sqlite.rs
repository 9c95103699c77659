//! The SQL for SQLite: as for PostgreSQL, with times in milliseconds since 1970. Each statement is atomic, also
//! between processes, so that claims need no locks of their own.

use super::Sql;

/// The time of the statement, in milliseconds since 1970.
macro_rules! now {
    () => {
        "CAST(round(unixepoch('subsec') * 1000) AS INTEGER)"
    };
}

// Statements stay as they are laid out.
#[rustfmt::skip]
pub(super) const SQL: Sql = Sql {
    ping: "SELECT count(*) FROM (SELECT 1 FROM tasks LIMIT 1)",
    insert_task: concat!(
        "INSERT INTO tasks (id, goal, constraints, context, acceptance_criteria, max_tokens, max_time_seconds,
                            max_cost_usd, priority, assigned_arm, metadata, idempotency_key, submission_hash,
                            is_time_stated, expires_at, due_at, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
                 ", now!(), " + $7 * 1000, CASE WHEN $10 IS NULL THEN ", now!(), " END, ", now!(), ", ", now!(), ")
         ON CONFLICT (idempotency_key) DO NOTHING"
    ),
    find_submission: "SELECT id, submission_hash FROM tasks WHERE idempotency_key = $1",
    find_task: "
        SELECT tasks.id, status, goal, plan, error, tasks.created_at, updated_at, finished_at - started_at
        FROM tasks LEFT JOIN task_results ON task_id = tasks.id
        WHERE tasks.id = $1",
    list_tasks: "
        SELECT tasks.id, status, goal, priority, assigned_arm, json_array_length(plan, '$.plan'), error,
               tasks.created_at, updated_at, finished_at - started_at
        FROM tasks LEFT JOIN task_results ON task_id = tasks.id
        WHERE ($1 IS NULL OR status IN (SELECT value FROM json_each($1)))
          AND ($2 IS NULL OR (tasks.created_at, tasks.id) < (SELECT created_at, id FROM tasks WHERE id = $2))
        ORDER BY tasks.created_at DESC, tasks.id DESC
        LIMIT $3",
    cancel: concat!(
        "UPDATE tasks
         SET status = 'cancelled', error = NULL, due_at = NULL, finished_at = ", now!(), ", updated_at = ", now!(), "
         WHERE id = $1 AND status IN ('pending', 'processing')"
    ),
    claim: concat!(
        "UPDATE tasks
         SET status = 'processing', claimed_by = $1, claims = claims + 1, due_at = ", now!(), " + $3,
             started_at = COALESCE(started_at, ", now!(), "), updated_at = ", now!(), "
         WHERE id IN (
             SELECT id FROM tasks
             WHERE due_at <= ", now!(), " AND expires_at > ", now!(), " AND status IN ('pending', 'processing')
               AND id NOT IN (SELECT value FROM json_each($4))
             ORDER BY priority DESC, created_at
             LIMIT $2
         )
         RETURNING id, claims, goal, constraints, context, acceptance_criteria, expires_at - ", now!(), ",
                   CASE WHEN is_time_stated THEN max_time_seconds END"
    ),
    renew: concat!(
        "UPDATE tasks SET due_at = ", now!(), " + $4
         WHERE id = $1 AND claimed_by = $2 AND claims = $3 AND status = 'processing'"
    ),
    complete: concat!(
        "UPDATE tasks
         SET status = 'completed', error = NULL, due_at = NULL, finished_at = ", now!(), ", updated_at = ", now!(), "
         WHERE id = $1 AND claimed_by = $2 AND claims = $3 AND status = 'processing'"
    ),
    insert_result: concat!("INSERT INTO task_results (task_id, plan, created_at) VALUES ($1, $2, ", now!(), ")"),
    insert_subtask: "
        INSERT INTO subtasks (task_id, step, action, required_arm, acceptance_criteria, depends_on,
                              estimated_cost_tier, estimated_duration_seconds)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    fail: concat!(
        "UPDATE tasks
         SET status = 'failed', error = $4, due_at = NULL, finished_at = ", now!(), ", updated_at = ", now!(), "
         WHERE id = $1 AND claimed_by = $2 AND claims = $3 AND status = 'processing'"
    ),
    postpone: concat!(
        "UPDATE tasks
         SET status = 'pending', error = COALESCE($5, error), due_at = ", now!(), " + $4, updated_at = ", now!(), "
         WHERE id = $1 AND claimed_by = $2 AND claims = $3 AND status = 'processing'"
    ),
    expire: concat!(
        "UPDATE tasks
         SET status = 'failed', due_at = NULL, finished_at = ", now!(), ", updated_at = ", now!(), ",
             error = 'the time budget of ' || max_time_seconds || ' s was used up before there was a plan'
                     || '; ' || COALESCE(error, $1)
         WHERE expires_at <= ", now!(), " AND id NOT IN (SELECT value FROM json_each($2))
           AND ((status = 'pending' AND due_at IS NOT NULL) OR (status = 'processing' AND due_at <= ", now!(), "))"
    ),
    heartbeat: concat!(
        "UPDATE heartbeat SET seen_at = ", now!(), "
         WHERE EXISTS (SELECT 1 FROM tasks WHERE due_at IS NOT NULL)"
    ),
    begin_run: concat!("UPDATE heartbeat SET seen_before = seen_at, seen_at = ", now!()),
    add_downtime: concat!(
        "UPDATE tasks
         SET expires_at = expires_at + (", now!(), " - MAX(tasks.created_at, seen_before) - $1)
         FROM heartbeat
         WHERE due_at IS NOT NULL AND MAX(tasks.created_at, seen_before) + $1 < ", now!()
    ),
    waiting: "SELECT count(*) FROM tasks WHERE status = 'pending' AND due_at IS NOT NULL",
};
