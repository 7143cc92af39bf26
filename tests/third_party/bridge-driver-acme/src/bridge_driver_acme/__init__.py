"""Acme intercoms and cameras for device-bridge."""
