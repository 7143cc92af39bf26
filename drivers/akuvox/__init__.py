"""Akuvox door phones and access terminals."""
