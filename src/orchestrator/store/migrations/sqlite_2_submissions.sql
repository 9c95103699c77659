-- The caller's name for a submission, and a hash of what was submitted under it.
ALTER TABLE tasks ADD COLUMN idempotency_key TEXT;
ALTER TABLE tasks ADD COLUMN submission_hash TEXT;
CREATE UNIQUE INDEX tasks_idempotency_key ON tasks (idempotency_key);

CREATE INDEX tasks_newest ON tasks (created_at DESC, id DESC);

-- One row: when an orchestrator last ran, and what that was before the last start of one.
CREATE TABLE heartbeat (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    seen_at     INTEGER NOT NULL,
    seen_before INTEGER NOT NULL
) STRICT;
INSERT INTO heartbeat VALUES (1, 0, 0);
