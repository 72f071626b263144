"""Desired state: rows of things that are to be there, brought about in batches."""
