"""Judge what stands in both directories by what was acknowledged."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from iredldap.dit.names import Tree
from tests.faults.clients import version
from tests.faults.site import NAMES, Entries, Site
from tests.faults.tally import Counted, Tally


@dataclass
class Verdict:
    """What became of a scene.

    Attributes:
        lost: What was acknowledged, and is not in a directory.
        duplicates: Addresses of two accounts.
        stale: Reads that showed less than was acknowledged before.
        differing: Entries that are not the same on both servers.
        faults: Answers that must not be, requests that never succeed, faults of the tree.
    """

    lost: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def all(self) -> list[str]:
        """Return everything that must not be."""
        return [
            f"{name}: {words}"
            for name in ("lost", "duplicates", "stale", "differing", "faults")
            for words in getattr(self, name)
        ]


def held_by(site: Site) -> dict[str, Entries]:
    """Return all of each server."""
    return {name: site.entries(name) for name in NAMES}


def judge(site: Site, tally: Tally, equal: dict[str, Entries]) -> Verdict:
    """Compare both servers with what was acknowledged, and ask the doctor.

    Args:
        site: Together again.
        tally: What was acknowledged.
        equal: All of each server at the moment at which they had to be equal.
    """
    held = held_by(site)
    verdict = Verdict(
        lost=[
            f"{name}: {words}"
            for name, entries in held.items()
            for words in _lost(site.tree, entries, tally)
        ],
        duplicates=[*tally.duplicates, *_duplicates(held[NAMES[0]])],
        stale=tally.stale,
        differing=[*differing(equal)],
        faults=[*tally.faults],
    )
    verdict.faults += [f"doctor: {words}" for words in site.complaints()]
    return verdict


def differing(held: dict[str, Entries]) -> Iterator[str]:
    """Yield the entries that are not the same on both servers, and in what."""
    left, right = (held[name] for name in NAMES)
    for dn in sorted(left.keys() | right.keys()):
        one, other = left.get(dn), right.get(dn)
        if one is None or other is None:
            yield f"{dn}: only on {NAMES[one is None]}"
        elif one != other:
            names = sorted(
                name for name in one.keys() | other.keys() if one.get(name) != other.get(name)
            )
            yield f"{dn}: {', '.join(names)}"


def _lost(tree: Tree, entries: Entries, tally: Tally) -> Iterator[str]:
    for mail, least in tally.users.items():
        entry = entries.get(tree.user(mail))
        if entry is None:
            yield f"{mail} was created"
            continue
        shown = version(_texts(entry, "cn"))
        # Each writer has sent the next version only after the one before was acknowledged.
        if least >= 0 and not least <= shown <= tally.sent[mail]:
            yield f"{mail} has version {shown}, not {least}"
    for mail, counted in tally.counters.items():
        if words := _miscounted(
            _texts(entries.get(tree.user(mail), {}), "employeeNumber"), counted
        ):
            yield f"{mail} {words}"
    for mail, members in tally.members.items():
        entry = entries.get(tree.alias(mail))
        if entry is None:
            yield f"{mail} was created"
        elif missing := members - {*_texts(entry, "mailForwardingAddress")}:
            yield f"{mail} lacks {len(missing)} members: {', '.join(sorted(missing)[:5])}"


def _miscounted(values: list[str], counted: Counted) -> str:
    if not values:
        return "was created"
    value, sure = int(values[0]), len(counted.acknowledged)
    if not max(counted.acknowledged, default=0) <= value:
        return f"has {value}, not {max(counted.acknowledged)}"
    if not sure <= value <= sure + counted.unknown:
        return f"has {value}, with {sure} counts and {counted.unknown} that are not known"
    return ""


def _duplicates(entries: Entries) -> Iterator[str]:
    holders: dict[str, str] = {}
    for dn, entry in entries.items():
        for mail in _texts(entry, "mail"):
            if mail.lower() in holders:
                yield f"{mail}: {holders[mail.lower()]} and {dn}"
            holders[mail.lower()] = dn


def _texts(entry: Mapping[str, Iterable[bytes]], name: str) -> list[str]:
    return [value.decode("utf-8") for value in entry.get(name, ())]
