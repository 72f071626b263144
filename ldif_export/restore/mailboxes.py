"""Find mailbox paths that overlap in a file, or between a file and the directory.

Both are warnings: in a directory, several accounts may share a mailbox on purpose, and a copy of it
must be restorable.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from iredldap.dit import mailbox
from iredldap.dit.entry import Entry
from iredldap.gateways.directory import Directory
from ldif_export import entry_kinds
from ldif_export.entry_kinds import DnParts
from ldif_export.ldif.parser import LineIssue
from ldif_export.restore.file_index import FileIndex, MailboxPath

_SPELLED = {name.lower(): name for name in mailbox.ATTRIBUTES}


def mailbox_path(lowered: Mapping[str, Sequence[bytes]]) -> str:
    """Return the normalized path of an entry's mailbox; empty: none.

    Args:
        lowered: Its attributes, names in lower case.
    """
    attributes = {name: [*lowered.get(lower, ())] for lower, name in _SPELLED.items()}
    return mailbox.location(Entry("", attributes))


def conflicts_in_file(index: FileIndex) -> Iterator[LineIssue]:
    """Yield the paths of a file that overlap another one of the file."""
    for one, other in overlapping(index.mailboxes()):
        first, second = sorted((one, other), key=lambda found: found.line)
        reason = f"{_relation(one, other)} the mailbox of the entry at line {first.line}"
        yield LineIssue(second.line, f"{second.path}: {reason}")


def conflicts_with_directory(
    index: FileIndex, directory: Directory, parts: Callable[[str], DnParts], *, overwrite: bool
) -> Iterator[LineIssue]:
    """Yield the paths of entries to be written that overlap another entry's in the directory.

    Args:
        index: Index of the file, settled.
        directory: Where it is to be restored.
        parts: Splits a DN into components as the directory compares them.
        overwrite: Whether entries that exist are written, too.

    Raises:
        ServerDown: If the directory does not answer.
    """
    for entry in directory.stream(mailbox.mailboxes_query(directory.tree.base)):
        if path := mailbox.location(entry):
            index.mailbox_there(path, entry_kinds.dn_key(parts(entry.dn)), entry.dn)
    index.settle()
    for one, other in overlapping(index.mailboxes_beside(overwrite=overwrite)):
        if bool(one.line) != bool(other.line):
            ours, theirs = (one, other) if one.line else (other, one)
            reason = f"{_relation(one, other)} the mailbox of {theirs.dn}"
            yield LineIssue(ours.line, f"{ours.path}: {reason}")


def _relation(one: MailboxPath, other: MailboxPath) -> str:
    return "is" if one.path == other.path else "touches"


def overlapping(ordered: Iterable[MailboxPath]) -> Iterator[tuple[MailboxPath, MailboxPath]]:
    """Yield each mailbox with those before it whose paths are equal to its own or contain it.

    Of several with equal paths, the first of the file and the first of the directory are yielded.

    Args:
        ordered: Sorted by path; the contents of a folder then follow it directly.
    """
    around: list[MailboxPath] = []
    for found in ordered:
        while around and not found.path.startswith(around[-1].path):
            around.pop()
        yield from ((found, other) for other in around)
        # Otherwise many equal paths would give a number of pairs that is the square of theirs.
        kind = (found.path, bool(found.line))
        if kind not in {(other.path, bool(other.line)) for other in around[-2:]}:
            around.append(found)
