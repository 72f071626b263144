"""gunicorn's worker: connections, threads, and what a request costs."""
