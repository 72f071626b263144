"""Find out who calls: by the cookie of a session, or by a token."""
