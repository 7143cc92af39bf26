-- What a token may do in the API ('read', 'write', or what its channels imply), which user of the VMS its bearer is,
-- and when it ends by itself.
ALTER TABLE token ADD COLUMN api TEXT;
ALTER TABLE token ADD COLUMN user_id INTEGER;
ALTER TABLE token ADD COLUMN expires_at REAL;

-- Who had the bridge do what. `asked` is the request's body as JSON; without a status it was under way at the end.
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
    status INTEGER,
    detail TEXT NOT NULL
);
