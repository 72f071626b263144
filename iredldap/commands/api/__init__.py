"""Subcommands that call the API: made from its rows, in this process or over HTTP."""
