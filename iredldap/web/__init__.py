"""Everything that knows HTTP: requests, sessions, responses."""
