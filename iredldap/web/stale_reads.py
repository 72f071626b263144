"""Tell clients whose answer may be out of date: the writer is gone, the other server answered."""

import falcon

from iredldap.errors import NoSuchAccount, Refusal, ServerDown
from iredldap.gateways.directory import Directory


class StaleReads:
    """Marks answers that were read from a server which may lack acknowledged changes.

    Args:
        directory: What the requests read from.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def forget(self) -> None:
        """Forget what an earlier request of this thread was to be told."""
        self._directory.take_notice()

    def judged(self, no: Refusal) -> Refusal:
        """Return the refusal that a client is told.

        What a server does not have that lacks changes may exist: a client that is told that it does
        not would make it anew.
        """
        if isinstance(no, NoSuchAccount) and (notice := self._directory.take_notice()):
            refusal = ServerDown(f"{no.detail}: {notice}")
            refusal.__cause__ = no
            return refusal
        return no

    def mark(self, response: falcon.Response) -> None:
        """Set `Warning` where it is due; 110 is "response is stale" (RFC 7234, 5.5.1)."""
        # Not which server answered: clients need not know it, and the log of the writer has it.
        if self._directory.take_notice():
            response.append_header("Warning", '110 - "the directory may lack the last changes"')
