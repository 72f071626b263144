"""The manifest of an export: what it holds, and how exactly.

A plain search is no snapshot while others write: such an export is ``fuzzy``, and changes between
its first and its last moment may be in it or not. The smallest and largest entryCSN give the
window.

Format 2 has the state as a vector, and an entry list with entryCSNs; format 1 had neither.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from iredldap.dit.csn import SERVER_ID, CsnVector, is_csn
from ldif_export.entry_kinds import EntryKind, entry_kind
from ldif_export.entry_list import EntryListWriter, ListedEntry

FORMAT = 2
_READABLE = frozenset({1, FORMAT})

ExportMode = Literal["fuzzy", "exact"]

_MOST_KNOWN = 64


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What an export holds.

    Args:
        format: Version of this format.
        mode: Whether it is the state of one moment.
        suffix: Suffix of the tree.
        selections: What was selected, as on the command line: ``domain example.com``.
        passwords: Whether password hashes are in it.
        began: Time of its beginning, in UTC and ISO 8601.
        ended: Time of its end.
        entries: Number of entries.
        kinds: Number of each kind; kinds without an entry may be missing.
        first_csn: Smallest entryCSN; None if there was none.
        last_csn: Largest entryCSN.
        csns: Newest CSN of each server id: of an exact export those of the state that it is of,
            of others those that were seen. Empty in format 1.
        size: Bytes of the LDIF text, before compression.
        sha256: Their digest.
        since: Digest of the export that this one holds the changes since; None: it is a full one.
            In an incremental one, entries are those that were added or changed, and `last_csn` and
            `csns` are the largest of all exports so far.
        classes: Object classes that entries had, in this export and those before it.
    """

    format: int = FORMAT
    mode: ExportMode
    suffix: str
    selections: tuple[str, ...]
    passwords: bool
    began: str
    ended: str
    entries: int
    kinds: Mapping[EntryKind, int]
    first_csn: str | None
    last_csn: str | None
    size: int
    sha256: str
    since: str | None = None
    classes: tuple[str, ...] = ()
    csns: tuple[str, ...] = ()


_LISTS = frozenset({"selections", "classes", "csns"})
_ADDED = frozenset({"since", "classes", "csns"})
"""Fields that the first manifests did not have."""


class ManifestBuilder:
    """Gather a manifest while an export runs."""

    def __init__(
        self,
        *,
        mode: ExportMode,
        suffix: str,
        selections: Sequence[str],
        passwords: bool,
        began: str,
        entry_list: EntryListWriter | None = None,
    ) -> None:
        self._head: dict[str, Any] = {
            "mode": mode,
            "suffix": suffix,
            "selections": tuple(selections),
            "passwords": passwords,
            "began": began,
        }
        self._entry_list = entry_list
        self._kinds: Counter[EntryKind] = Counter()
        self._known: dict[tuple[bytes, ...], EntryKind] = {}
        self._classes: set[bytes] = set()
        self._window = ("", "")
        self._newest: dict[str, str] = {}
        self._state = CsnVector()
        self._digest = hashlib.sha256()
        self._size = 0

    def chunk(self, data: bytes) -> None:
        """Count and digest bytes of the text, before compression."""
        self._digest.update(data)
        self._size += len(data)

    def entry(
        self, dn: str, object_classes: Sequence[bytes], csn: str = "", uuid: str = ""
    ) -> None:
        """Count an entry; entryCSN and entryUUID are empty where they are not known."""
        self._kinds[self._kind(dn, tuple(object_classes))] += 1
        if csn:
            first, last = self._window
            self._window = (min(first or csn, csn), max(last, csn))
            server = csn[SERVER_ID]
            self._newest[server] = max(self._newest.get(server, ""), csn)
        if uuid and self._entry_list:
            self._entry_list.add(ListedEntry(uuid, dn, csn))

    def state(self, state: CsnVector) -> None:
        """Note the state of the directory that the entries are of."""
        self._state = state

    def finished(self, ended: str) -> Manifest:
        """Return the manifest of everything that was counted."""
        first, last = (csn or None for csn in self._window)
        return Manifest(
            **self._head,
            ended=ended,
            entries=self._kinds.total(),
            kinds=dict(sorted(self._kinds.items())),
            first_csn=first,
            last_csn=last,
            csns=self._state.with_newest(self._newest.values()).csns,
            size=self._size,
            sha256=self._digest.hexdigest(),
            classes=tuple(sorted(name.decode("utf-8", "replace") for name in self._classes)),
        )

    def _kind(self, dn: str, classes: tuple[bytes, ...]) -> EntryKind:
        known = self._known.get(classes)
        # Users and catch-alls have the same classes, so the DN has to be looked at.
        if known is None or known in {"user", "catchall"}:
            self._classes.update(classes)
            known = entry_kind(dn, classes)
            # Accounts have few combinations of classes; a foreign tree with many must not fill the
            # memory.
            if len(self._known) < _MOST_KNOWN:
                self._known[classes] = known
        return known


def dump(manifest: Manifest) -> str:
    """Write a manifest as JSON."""
    return json.dumps(asdict(manifest), indent=2, ensure_ascii=False) + "\n"


def load(text: str | bytes) -> Manifest:
    """Read a manifest that `dump` wrote; fields that a later version added are ignored.

    Raises:
        ValueError: If it is malformed, or of another format.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as ex:
        raise ValueError(f"no manifest: {ex}") from ex
    if not isinstance(values, dict):
        raise ValueError("no manifest: not a JSON object")  # noqa: TRY004 - a fault of the text
    if values.get("format") not in _READABLE:
        raise ValueError(f"a manifest of format {FORMAT} or an earlier one is expected")
    # Manifests of earlier versions must stay readable, also without the fields added since.
    needed = {field.name for field in fields(Manifest)} - _ADDED
    if missing := sorted(needed - values.keys()):
        raise ValueError(f"no manifest: {', '.join(missing)} missing")
    known = needed | (_ADDED & values.keys())
    wrong = sorted(name for name in known if not _is_right(name, values[name]))
    if wrong:
        raise ValueError(f"no manifest: {', '.join(wrong)} malformed")
    found: dict[str, Any] = {name: values[name] for name in known}
    lists = {name: tuple(found[name]) for name in _LISTS & found.keys()}
    return Manifest(**found | lists)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _are_csns(value: object) -> bool:
    return isinstance(value, list) and all(_is_text(one) and is_csn(one) for one in value)


def _is_state(value: object) -> bool:
    return value is None or _is_text(value)


def _are_kinds(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_count, value.values()))


_CHECKS: dict[str, Callable[[object], bool]] = {
    "format": _is_count,
    "mode": lambda value: value in get_args(ExportMode),
    "passwords": lambda value: isinstance(value, bool),
    "selections": _are_texts,
    "classes": _are_texts,
    "csns": _are_csns,
    "entries": _is_count,
    "kinds": _are_kinds,
    "first_csn": _is_state,
    "last_csn": _is_state,
    "size": _is_count,
    "since": _is_state,
}


def _is_right(name: str, value: object) -> bool:
    return _CHECKS.get(name, _is_text)(value)
