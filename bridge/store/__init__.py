"""The bridge's memory: one SQLite file with the state of every device and the outbox of every push."""
