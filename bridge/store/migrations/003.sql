-- Long work, one row a job. `initiator` and `params` are JSON, without secrets. States: running, confirming, done,
-- stopped (at the first unexpected result), cancelled, reverted (nobody confirmed).
CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    initiator TEXT NOT NULL,
    params TEXT NOT NULL,
    created_at REAL NOT NULL,
    ended_at REAL,
    deadline REAL,
    detail TEXT NOT NULL DEFAULT ''
);

-- What a job does to one camera, in waves. States: waiting, running, applied (not confirmed yet), ok, error, skipped.
-- `changes` is [[path, before, after, is it a secret], ...], `backup` what was read before the first write, both JSON.
-- `owed`: the camera went away before it could be restored; that is done once it is back.
CREATE TABLE job_item (
    job INTEGER NOT NULL,
    number INTEGER NOT NULL,
    device TEXT NOT NULL,
    channel TEXT NOT NULL,
    template INTEGER NOT NULL,
    wave INTEGER NOT NULL,
    digest TEXT,
    state TEXT NOT NULL,
    detail TEXT NOT NULL DEFAULT '',
    changes TEXT,
    backup TEXT,
    owed INTEGER NOT NULL DEFAULT 0,
    started_at REAL,
    ended_at REAL,
    PRIMARY KEY (job, number)
) WITHOUT ROWID;
CREATE INDEX job_item_by_device ON job_item (device, job);

-- Plans that somebody looked at and may let happen: `digest` tells whether the device moved since.
CREATE TABLE saved_plan (
    id TEXT NOT NULL,
    number INTEGER NOT NULL,
    device TEXT NOT NULL,
    channel TEXT NOT NULL,
    template INTEGER NOT NULL,
    digest TEXT NOT NULL,
    created_at REAL NOT NULL,
    PRIMARY KEY (id, number)
) WITHOUT ROWID;
