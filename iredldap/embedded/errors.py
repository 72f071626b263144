"""Errors of the private slapd, whose text is shown to the user."""


class EmbeddedError(Exception):
    """The private slapd can't be set up or started; the text is shown to the user."""


class PortRefusedError(EmbeddedError):
    """A TCP port of 127.0.0.1 is taken, not permitted for this process, or none."""

    def __init__(self, port: int, why: str) -> None:
        super().__init__(f"port {port} is {why}")
        self.port = port
