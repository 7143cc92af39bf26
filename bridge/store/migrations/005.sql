-- What a token may do in the API ('read', 'write', or what its channels imply), which user of the VMS its bearer is,
-- and when it ends by itself.
ALTER TABLE token ADD COLUMN api TEXT;
ALTER TABLE token ADD COLUMN user_id INTEGER;
ALTER TABLE token ADD COLUMN expires_at REAL;

-- Who had the bridge do what through the API. `asked` is the body as JSON, its beginning where it is long. Without a
-- status it was under way when the bridge ended. `key` makes what is asked for twice happen once: `request` is a digest
-- of what was asked with it, `answer` what was answered.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    token TEXT NOT NULL,
    user_id INTEGER,
    token_id TEXT,
    socket_id TEXT,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    asked TEXT NOT NULL,
    key TEXT UNIQUE,
    request TEXT NOT NULL,
    status INTEGER,
    detail TEXT NOT NULL DEFAULT '',
    answer TEXT
);
