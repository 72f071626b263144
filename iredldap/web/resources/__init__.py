"""Falcon resource classes, one module per kind of account."""
