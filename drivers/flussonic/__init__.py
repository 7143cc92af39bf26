"""Cameras behind a Flussonic Media Server (Streamer API v3, and the older API of servers up to version 21)."""
