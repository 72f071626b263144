"""LDIF text, below everything that makes or reads entries."""
