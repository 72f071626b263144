"""gunicorn's worker: connections, threads, and the costs of requests."""
