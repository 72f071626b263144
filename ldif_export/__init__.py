"""Stream accounts of an iRedMail directory as LDIF; usable without the HTTP server."""
