-- Whether the caller stated the time budget. Of older tasks only those with another one than the default certainly did.
ALTER TABLE tasks ADD COLUMN is_time_stated INTEGER NOT NULL DEFAULT 0;
UPDATE tasks SET is_time_stated = 1 WHERE max_time_seconds <> 300;
