"""Falcon resource classes, for paths that do more than their rows say."""
