"""Subcommands of `iredldap` that have modules of their own."""
