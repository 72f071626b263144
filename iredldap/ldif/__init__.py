"""Write LDIF text."""
