"""A directory of our own: slapd as a child process, for `make run` and for the tests."""
