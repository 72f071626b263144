"""A private directory: slapd as a child process, for `make run` and for the tests."""
