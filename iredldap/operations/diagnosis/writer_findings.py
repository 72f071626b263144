"""Report the agreed writer, and what speaks against relying on the other server, as findings."""

from collections.abc import Iterator

from iredldap.operations.diagnosis.findings import Finding
from iredldap.operations.diagnosis.writer_status import WriterStatus


def writer_findings(status: WriterStatus) -> Iterator[Finding]:
    """Yield the writer with its epoch and mode, and the servers that have written beside it."""
    row = status.row
    if row is None:
        yield Finding(
            "no writer is agreed yet: the first worker that starts chooses one", warns=False
        )
        return
    use = "" if row.usable else ", not usable yet"
    yield Finding(
        f"{row.uri}: agreed writer of epoch {row.epoch}, {row.mode}{use}", warns=not status.is_good
    )
    for words in status.unnamed:
        yield Finding(words, is_fault=True)
    for server in status.servers:
        if server.strays:
            count = "1 entry was" if server.strays == 1 else f"{server.strays} entries were"
            yield Finding(
                f"{server.uri}: {count} written by a server that was not the writer then."
                " `iredldap directory status` and `iredldap directory compare` tell more"
            )
