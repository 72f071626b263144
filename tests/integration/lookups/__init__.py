"""Look-ups before a change."""
