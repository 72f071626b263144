"""The rows of all endpoints, by area."""
