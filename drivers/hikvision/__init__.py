"""Hikvision intercom panels and door terminals over ISAPI."""
