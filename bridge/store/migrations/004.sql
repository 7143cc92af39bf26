-- Templates that were imported, as they stand in a file: with references, without secrets. `document` is YAML.
CREATE TABLE template (
    id INTEGER PRIMARY KEY,
    document TEXT NOT NULL,
    imported_at REAL NOT NULL,
    imported_by INTEGER
);

-- Files for people, each behind a URL with a token in it; only the token's digest is kept, and is the file's name in
-- the directory `files`. `job` is what made it.
CREATE TABLE file (
    digest TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    content_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    job INTEGER
) WITHOUT ROWID;
CREATE INDEX file_by_expiry ON file (expires_at);
