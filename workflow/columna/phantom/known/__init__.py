"""Plain shapes whose measures are known exactly."""
