"""Tell clients whose answer may be out of date: the writer is gone, the other server answered."""

import falcon

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

    def mark(self, response: falcon.Response) -> None:
        """Set `Warning` where it is due; 110 is "response is stale" (RFC 7234, 5.5.1)."""
        # Not which server answered: clients need not know it, and the log of the writer has it.
        if self._directory.take_notice():
            response.append_header("Warning", '110 - "the directory may lack the last changes"')
