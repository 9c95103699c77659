-- The caller's name for a submission, and a hash of what was submitted under it.
ALTER TABLE tasks ADD COLUMN idempotency_key text;
ALTER TABLE tasks ADD COLUMN submission_hash text;
CREATE UNIQUE INDEX tasks_idempotency_key ON tasks (idempotency_key);

CREATE INDEX tasks_newest ON tasks (created_at DESC, id DESC);

-- One row: when an orchestrator last ran, and what that was before the last start of one.
CREATE TABLE heartbeat (
    id          smallint PRIMARY KEY CHECK (id = 1),
    seen_at     timestamptz NOT NULL,
    seen_before timestamptz NOT NULL
);
INSERT INTO heartbeat VALUES (1, to_timestamp(0), to_timestamp(0));
