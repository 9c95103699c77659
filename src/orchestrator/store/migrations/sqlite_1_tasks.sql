-- Ids are UUIDs as text, times milliseconds since 1970, lists and objects JSON.
CREATE TABLE tasks (
    id                  TEXT PRIMARY KEY,
    goal                TEXT NOT NULL,
    constraints         TEXT NOT NULL CHECK (json_valid(constraints)),
    context             TEXT,
    acceptance_criteria TEXT NOT NULL CHECK (json_valid(acceptance_criteria)),
    max_tokens          INTEGER NOT NULL,
    max_time_seconds    INTEGER NOT NULL,
    max_cost_usd        REAL NOT NULL,
    -- 1 low, 2 medium, 3 high, 4 critical
    priority            INTEGER NOT NULL CHECK (priority BETWEEN 1 AND 4),
    assigned_arm        TEXT,
    metadata            TEXT NOT NULL CHECK (json_valid(metadata)),
    status              TEXT NOT NULL DEFAULT 'pending'
                        CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')),
    -- Why it failed, or why it still waits.
    error               TEXT,
    -- When an orchestrator may take it up. Pending: now, or at the next try. Processing: at the end of the
    -- lease, should its orchestrator be gone. Null: never.
    due_at              INTEGER,
    -- Who took it up last, and how often it was taken up: both together name one claim.
    claimed_by          TEXT,
    claims              INTEGER NOT NULL DEFAULT 0,
    -- The end of its time budget.
    expires_at          INTEGER NOT NULL,
    created_at          INTEGER NOT NULL,
    updated_at          INTEGER NOT NULL,
    started_at          INTEGER,
    finished_at         INTEGER
) STRICT;

CREATE INDEX tasks_queue ON tasks (priority DESC, created_at) WHERE due_at IS NOT NULL;
CREATE INDEX tasks_expiry ON tasks (expires_at) WHERE due_at IS NOT NULL;

CREATE TABLE task_results (
    task_id    TEXT PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
    -- The planner's answer as it came.
    plan       TEXT NOT NULL CHECK (json_valid(plan)),
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE subtasks (
    task_id                    TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    step                       INTEGER NOT NULL CHECK (step >= 1),
    action                     TEXT NOT NULL,
    required_arm               TEXT NOT NULL,
    acceptance_criteria        TEXT NOT NULL CHECK (json_valid(acceptance_criteria)),
    depends_on                 TEXT NOT NULL CHECK (json_valid(depends_on)),
    estimated_cost_tier        INTEGER NOT NULL,
    estimated_duration_seconds INTEGER NOT NULL,
    status                     TEXT NOT NULL DEFAULT 'pending'
                               CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')),
    PRIMARY KEY (task_id, step)
) STRICT;
