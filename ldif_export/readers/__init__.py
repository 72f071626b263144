"""Read entries from a directory as LDIF text."""
