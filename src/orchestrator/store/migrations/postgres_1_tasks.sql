CREATE TABLE tasks (
    id                  uuid PRIMARY KEY,
    goal                text NOT NULL,
    constraints         jsonb NOT NULL,
    context             text,
    acceptance_criteria jsonb NOT NULL,
    max_tokens          integer NOT NULL,
    max_time_seconds    integer NOT NULL,
    max_cost_usd        double precision NOT NULL,
    -- 1 low, 2 medium, 3 high, 4 critical
    priority            smallint NOT NULL CHECK (priority BETWEEN 1 AND 4),
    assigned_arm        text,
    metadata            jsonb NOT NULL,
    status              text NOT NULL DEFAULT 'pending'
                        CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')),
    -- Why it failed, or why it still waits.
    error               text,
    -- When an orchestrator may take it up. Pending: now, or at the next try. Processing: at the end of the
    -- lease, should its orchestrator be gone. Null: never.
    due_at              timestamptz,
    -- Who took it up last, and how often it was taken up: both together name one claim.
    claimed_by          uuid,
    claims              integer NOT NULL DEFAULT 0,
    -- The end of its time budget.
    expires_at          timestamptz NOT NULL,
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    started_at          timestamptz,
    finished_at         timestamptz
);

CREATE INDEX tasks_queue ON tasks (priority DESC, created_at) WHERE due_at IS NOT NULL;
CREATE INDEX tasks_expiry ON tasks (expires_at) WHERE due_at IS NOT NULL;

CREATE TABLE task_results (
    task_id    uuid PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
    -- The planner's answer as it came.
    plan       jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE subtasks (
    task_id                    uuid NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    step                       integer NOT NULL CHECK (step >= 1),
    action                     text NOT NULL,
    required_arm               text NOT NULL,
    acceptance_criteria        jsonb NOT NULL,
    depends_on                 jsonb NOT NULL,
    estimated_cost_tier        smallint NOT NULL,
    estimated_duration_seconds integer NOT NULL,
    status                     text NOT NULL DEFAULT 'pending'
                               CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')),
    PRIMARY KEY (task_id, step)
);
