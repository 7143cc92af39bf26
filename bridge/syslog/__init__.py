"""Where devices send their log lines."""
