"""Execute plans, at once or as background jobs."""
