"""Mailbox paths that touch in a file, or in a file and the directory that it is restored into.

Both are warnings: a directory may have a mailbox that several share on purpose, and a copy of it
must come back.
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
    """Return the normalised path of an entry's mailbox; empty: none.

    Args:
        lowered: Its attributes, names in lower case.
    """
    attributes = {name: [*lowered.get(lower, ())] for lower, name in _SPELLED.items()}
    return mailbox.location(Entry("", attributes))


def conflicts_in_file(index: FileIndex) -> Iterator[LineIssue]:
    """Yield the paths of a file that touch another one of the file."""
    for one, other in overlapping(index.mailboxes()):
        first, second = sorted((one, other), key=lambda found: found.line)
        words = f"{_relation(one, other)} the mailbox of the entry at line {first.line}"
        yield LineIssue(second.line, f"{second.path}: {words}")


def conflicts_with_directory(
    index: FileIndex, directory: Directory, parts: Callable[[str], DnParts], *, overwrite: bool
) -> Iterator[LineIssue]:
    """Yield the paths of a file, of what is to be written, that touch one of another entry there.

    Args:
        index: What the file has, settled.
        directory: Where it is to be.
        parts: Takes a DN apart as the directory compares it.
        overwrite: Whether entries that are there are written, too.

    Raises:
        ServerDown: If the directory does not answer.
    """
    for entry in directory.stream(mailbox.everybody(directory.tree.base)):
        if path := mailbox.location(entry):
            index.mailbox_there(path, entry_kinds.dn_key(parts(entry.dn)), entry.dn)
    index.settle()
    for one, other in overlapping(index.mailboxes_beside(overwrite=overwrite)):
        if bool(one.line) != bool(other.line):
            ours, theirs = (one, other) if one.line else (other, one)
            words = f"{_relation(one, other)} the mailbox of {theirs.dn}"
            yield LineIssue(ours.line, f"{ours.path}: {words}")


def _relation(one: MailboxPath, other: MailboxPath) -> str:
    return "is" if one.path == other.path else "touches"


def overlapping(ordered: Iterable[MailboxPath]) -> Iterator[tuple[MailboxPath, MailboxPath]]:
    """Yield each mailbox with those before it whose paths are equal to its own or hold it.

    Of those that are equal among themselves, the first of the file and the first of the directory.

    Args:
        ordered: Sorted by path; what lies in a directory then follows it at once.
    """
    around: list[MailboxPath] = []
    for found in ordered:
        while around and not found.path.startswith(around[-1].path):
            around.pop()
        yield from ((found, other) for other in around)
        # Of many that are equal the first is enough to tell of.
        kind = (found.path, bool(found.line))
        if kind not in {(other.path, bool(other.line)) for other in around[-2:]}:
            around.append(found)
