"""Files of users: what other programs export, and our own form."""
