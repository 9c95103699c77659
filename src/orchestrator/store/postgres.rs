//! The SQL for PostgreSQL. Times are the database's own, so that the clocks of the orchestrators do not matter.

use super::Sql;

pub(super) const SQL: Sql = Sql {
    // No row, which is an error, on a server that takes no writes, as after a failover.
    ping: "
        SELECT (SELECT count(*) FROM (SELECT 1 FROM tasks LIMIT 1) AS any_task)
        WHERE current_setting('transaction_read_only') = 'off'",
    insert_task: "
        INSERT INTO tasks (id, goal, constraints, context, acceptance_criteria, max_tokens, max_time_seconds,
                           max_cost_usd, priority, assigned_arm, metadata, idempotency_key, submission_hash,
                           is_time_stated, expires_at, due_at)
        VALUES ($1::uuid, $2, $3::jsonb, $4, $5::jsonb, $6, $7, $8, $9, $10, $11::jsonb, $12, $13, $14,
                now() + $7 * interval '1 second', CASE WHEN $10 IS NULL THEN now() END)
        ON CONFLICT (idempotency_key) DO NOTHING",
    find_submission: "SELECT id::text, submission_hash FROM tasks WHERE idempotency_key = $1",
    find_task: "
        SELECT tasks.id::text, status, goal, plan::text, error,
               (extract(epoch FROM tasks.created_at) * 1000)::bigint,
               (extract(epoch FROM updated_at) * 1000)::bigint,
               (extract(epoch FROM finished_at - started_at) * 1000)::bigint
        FROM tasks LEFT JOIN task_results ON task_id = tasks.id
        WHERE tasks.id = $1::uuid",
    list_tasks: "
        SELECT tasks.id::text, status, goal, priority, assigned_arm, jsonb_array_length(plan -> 'plan')::bigint,
               error,
               (extract(epoch FROM tasks.created_at) * 1000)::bigint,
               (extract(epoch FROM updated_at) * 1000)::bigint,
               (extract(epoch FROM finished_at - started_at) * 1000)::bigint
        FROM tasks LEFT JOIN task_results ON task_id = tasks.id
        WHERE ($1::jsonb IS NULL OR status IN (SELECT jsonb_array_elements_text($1::jsonb)))
          AND ($2::uuid IS NULL
               OR (tasks.created_at, tasks.id) < (SELECT created_at, id FROM tasks WHERE id = $2::uuid))
        ORDER BY tasks.created_at DESC, tasks.id DESC
        LIMIT $3",
    cancel: "
        UPDATE tasks
        SET status = 'cancelled', error = NULL, due_at = NULL, finished_at = now(), updated_at = now()
        WHERE id = $1::uuid AND status IN ('pending', 'processing')",
    // Materialised, so that the limit and the locks are applied once; rows that another orchestrator is about
    // to claim are passed over.
    claim: "
        WITH due AS MATERIALIZED (
            SELECT id FROM tasks
            WHERE due_at <= now() AND expires_at > now() AND status IN ('pending', 'processing')
              AND id NOT IN (SELECT jsonb_array_elements_text($4::jsonb)::uuid)
            ORDER BY priority DESC, created_at
            LIMIT $2
            FOR UPDATE SKIP LOCKED
        )
        UPDATE tasks
        SET status = 'processing', claimed_by = $1::uuid, claims = claims + 1,
            due_at = now() + $3 * interval '1 millisecond',
            started_at = COALESCE(started_at, now()), updated_at = now()
        FROM due WHERE tasks.id = due.id
        RETURNING tasks.id::text, claims, goal, constraints::text, context, acceptance_criteria::text,
                  (extract(epoch FROM expires_at - now()) * 1000)::bigint,
                  CASE WHEN is_time_stated THEN max_time_seconds END",
    renew: "
        UPDATE tasks SET due_at = now() + $4 * interval '1 millisecond'
        WHERE id = $1::uuid AND claimed_by = $2::uuid AND claims = $3 AND status = 'processing'",
    complete: "
        UPDATE tasks
        SET status = 'completed', error = NULL, due_at = NULL, finished_at = now(), updated_at = now()
        WHERE id = $1::uuid AND claimed_by = $2::uuid AND claims = $3 AND status = 'processing'",
    insert_result: "INSERT INTO task_results (task_id, plan) VALUES ($1::uuid, $2::jsonb)",
    insert_subtask: "
        INSERT INTO subtasks (task_id, step, action, required_arm, acceptance_criteria, depends_on,
                              estimated_cost_tier, estimated_duration_seconds)
        VALUES ($1::uuid, $2, $3, $4, $5::jsonb, $6::jsonb, $7, $8)",
    fail: "
        UPDATE tasks
        SET status = 'failed', error = $4, due_at = NULL, finished_at = now(), updated_at = now()
        WHERE id = $1::uuid AND claimed_by = $2::uuid AND claims = $3 AND status = 'processing'",
    postpone: "
        UPDATE tasks
        SET status = 'pending', error = COALESCE($5, error), due_at = now() + $4 * interval '1 millisecond',
            updated_at = now()
        WHERE id = $1::uuid AND claimed_by = $2::uuid AND claims = $3 AND status = 'processing'",
    expire: "
        UPDATE tasks
        SET status = 'failed', due_at = NULL, finished_at = now(), updated_at = now(),
            error = 'the time budget of ' || max_time_seconds || ' s was used up before there was a plan'
                    || '; ' || COALESCE(error, $1)
        WHERE expires_at <= now() AND id NOT IN (SELECT jsonb_array_elements_text($2::jsonb)::uuid)
          AND ((status = 'pending' AND due_at IS NOT NULL) OR (status = 'processing' AND due_at <= now()))",
    heartbeat: "
        UPDATE heartbeat SET seen_at = now() WHERE EXISTS (SELECT 1 FROM tasks WHERE due_at IS NOT NULL)",
    begin_run: "UPDATE heartbeat SET seen_before = seen_at, seen_at = now()",
    add_downtime: "
        UPDATE tasks
        SET expires_at = expires_at + (now() - GREATEST(created_at, seen_before) - $1 * interval '1 millisecond')
        FROM heartbeat
        WHERE due_at IS NOT NULL AND GREATEST(created_at, seen_before) + $1 * interval '1 millisecond' < now()",
    waiting: "SELECT count(*) FROM tasks WHERE status = 'pending' AND due_at IS NOT NULL",
};
