"""Look-ups before a change: where mail goes, and what refers to an account or a domain."""
