-- What devices reported: conditions that began or ended, doors, calls, keys, and what nobody knows. `data` is JSON.
CREATE TABLE event (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    device TEXT NOT NULL,
    channel TEXT,
    kind TEXT NOT NULL,
    active INTEGER,
    reason TEXT NOT NULL,
    source TEXT NOT NULL,
    source_time REAL,
    topic TEXT NOT NULL,
    data TEXT NOT NULL,
    replayed INTEGER NOT NULL
);
CREATE INDEX event_by_device ON event (device, number);
