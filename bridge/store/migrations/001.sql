-- What is known of a device (part '') and of each of its channels (part 'channel:<key>'), as JSON.
CREATE TABLE state (
    device TEXT NOT NULL,
    part TEXT NOT NULL,
    data TEXT NOT NULL,
    updated_at REAL NOT NULL,
    PRIMARY KEY (device, part)
) WITHOUT ROWID;

-- Every push, in the order in which it was decided. `channel` is without prefix, `body` without the socket key.
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    device TEXT NOT NULL,
    type TEXT NOT NULL,
    event TEXT NOT NULL,
    channel TEXT NOT NULL,
    body TEXT NOT NULL,
    socket INTEGER NOT NULL
);

-- How far each sink has come. Rows in (cursor, attempted] were begun and never confirmed.
CREATE TABLE sink (
    name TEXT PRIMARY KEY,
    cursor INTEGER NOT NULL,
    attempted INTEGER NOT NULL,
    dropped INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- Pushes that a sink's server refused for good.
CREATE TABLE dead_letter (
    id INTEGER PRIMARY KEY,
    sink TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at REAL NOT NULL,
    reason TEXT NOT NULL,
    type TEXT NOT NULL,
    event TEXT NOT NULL,
    channel TEXT NOT NULL,
    body TEXT NOT NULL
);

-- A few strings that a driver keeps for one device.
CREATE TABLE memory (
    device TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (device, key)
) WITHOUT ROWID;

-- Bearer tokens, by their digest only. `channels` is a JSON list of patterns without prefix.
CREATE TABLE token (
    digest TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    channels TEXT NOT NULL,
    created_at REAL NOT NULL
) WITHOUT ROWID;
