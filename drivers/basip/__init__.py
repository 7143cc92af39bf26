"""BAS-IP intercom panels: REST API v0 and v1, log, syslog."""
