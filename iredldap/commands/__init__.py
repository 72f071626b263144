"""Words of the command `iredldap` that have modules of their own."""
