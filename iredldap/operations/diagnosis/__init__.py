"""Find out what a directory can do, and whether the service is ready."""
