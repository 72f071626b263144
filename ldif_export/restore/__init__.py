"""Verify LDIF files, and restore them into a directory."""
