"""Decide, from what one worker has seen, what the row of the writer should become.

A pure function, proved in `tests/unit/gateways/cluster`. Whatever workers decide, at whatever
moment, each change of the row is conditional on the row being the one that was seen, and:

- a new epoch is usable only when its wait is over, after which no lease of an earlier one holds;
- a standby takes the place of the writer by itself only where it has every acknowledged change.

Source: `docs/decisions/0059-one-agreed-writer.md`.
"""

from dataclasses import dataclass, replace
from typing import Any

from iredldap.dit.csn import CsnVector
from iredldap.gateways.cluster.view import Held, Mode, Sight, Times, View, WriterRow


@dataclass(frozen=True, slots=True)
class Found:
    """Create the row of a directory that has none; nothing was agreed before.

    `is_alone`: nothing is known of the other server, and an admin has ordered it.
    """

    uri: str
    is_alone: bool = False
    standby: str = ""


@dataclass(frozen=True, slots=True)
class Promote:
    """Begin the next epoch, with the other server as its writer."""

    row: WriterRow
    uri: str


@dataclass(frozen=True, slots=True)
class Open:
    """Mark the epoch as usable."""

    row: WriterRow


@dataclass(frozen=True, slots=True)
class Enter:
    """Change the mode; `standby` is the server that it speaks of, empty: the same one."""

    row: WriterRow
    mode: Mode
    standby: str = ""


Action = Found | Promote | Open | Enter
"""A change of the row."""


@dataclass(frozen=True, slots=True)
class Compare:
    """Compare both servers, which may be together if they are equal; the row stays."""

    row: WriterRow


def decide(view: View) -> Action | Compare | None:
    """Return what this worker should do about the row; None: nothing."""
    held = view.held
    if held is None:
        return _founded(view)
    if not held.is_valid(view.now) or view.standby is None:
        return None
    if not held.row.usable:
        return Open(held.row) if _may_open(view, held) else None
    return _changed_mode(view, held)


def _changed_mode(view: View, held: Held) -> Action | Compare | None:
    match held.row.mode:
        case Mode.ALONE:
            return Enter(held.row, Mode.JOINING, view.standby or "") if _catches_up(view) else None
        case _ if not held.row.speaks_of(view.standby):
            # This worker cannot tell what that server has. Its own may join in its place.
            return Enter(held.row, Mode.ALONE) if _catches_up(view) else None
        case Mode.TOGETHER:
            return _failover(view, held)
        case Mode.JOINING:
            return _joined(view, held)


def after(row: WriterRow | None, action: Action, times: Times) -> WriterRow | None:
    """Return the row that an action leaves, if the row is still the one that it was decided on."""
    match action:
        case Found(uri=uri, is_alone=is_alone, standby=standby) if row is None:
            mode = Mode.ALONE if is_alone else Mode.JOINING
            wait = times.wait_after(None)
            return WriterRow(1, 1, uri, False, mode, times.lease, wait, standby=standby)
        case Promote(row=seen, uri=uri) if row and row.is_same(seen):
            wait = times.wait_after(seen)
            # Alone: nobody has confirmed a change of the new writer yet.
            return WriterRow(
                seen.epoch + 1, seen.serial + 1, uri, False, Mode.ALONE, times.lease, wait
            )
        case Open(row=seen) if row and row.is_same(seen):
            return _changed(seen, usable=True)
        case Enter(row=seen, mode=mode, standby=standby) if row and row.is_same(seen):
            return _changed(seen, mode=mode, standby=standby or seen.standby)
    return row


def _changed(row: WriterRow, **changes: Any) -> WriterRow:
    return replace(row, serial=row.serial + 1, unseen=0.0, mode_age=0.0, **changes)


def _founded(view: View) -> Action | None:
    """Choose the first writer, when both servers are seen: the one that has all of the other."""
    sights = [view.sights.get(uri, Sight()) for uri in view.uris]
    if not all(one.is_healthy and one.last for one in sights):
        # A server that is down may be the one that was written to last. An admin may decide
        # otherwise: `iredldap directory promote --force`.
        return None
    able = [n for n, one in enumerate(sights) if one.is_provider]
    if not able:
        return None
    vectors = [one.last.vector if one.last else CsnVector() for one in sights]
    complete = [n for n in able if all(vectors[n].covers(vector) for vector in vectors)]
    chosen = (complete or able)[0]
    return Found(view.uris[chosen], standby=view.uris[1 - chosen])


def _may_open(view: View, held: Held) -> bool:
    writer, other, now = view.writer, view.other, view.now
    over = held.epoch_since + held.row.wait
    if now < over or not writer.is_healthy or not writer.is_provider:
        return False
    # The first epoch joins from the beginning; a writer that was promoted is alone.
    is_first = held.row.mode is Mode.JOINING
    if not is_first and now >= over + view.times.patience:
        return True
    if not other.is_healthy:
        # What the former writer has sent has arrived. At the very beginning it may have more.
        return not is_first and _rests(view, writer)
    # What leases of the earlier epoch have permitted until now is at the other server by now.
    return _has_all(writer, other, over)


def _failover(view: View, held: Held) -> Action | None:
    writer, other, times = view.writer, view.other, view.times
    silent = (
        # Two probes: after a pause of this process the first one fails without the server's fault.
        writer.failures >= 2
        and writer.silent_since is not None
        and view.now - writer.silent_since >= times.failover_after
        # As long as one worker sees it, the fault is on the way of the others.
        and held.row.unseen >= times.failover_after
    )
    if silent and other.is_healthy and other.is_provider and _rests(view, other):
        assert view.standby
        return Promote(held.row, view.standby)
    return None


def _rests(view: View, sight: Sight) -> bool:
    """Return whether a server has stopped taking in changes.

    A standby that is still busy with the former writer's would apply these after newer ones.
    """
    if sight.last is None or not sight.last.vector or sight.rest_since is None:
        return False
    return view.now - sight.rest_since >= view.times.rest


def _catches_up(view: View) -> bool:
    """Return whether the standby had, at its last sample, all that the writer had before."""
    return view.writer.is_healthy and view.other.is_healthy and _has_all(view.other, view.writer)


def _joined(view: View, held: Held) -> Action | Compare | None:
    other = view.other
    if other.silent_since is not None and (
        view.now - other.silent_since >= view.times.failover_after
    ):
        return Enter(held.row, Mode.ALONE)
    over = held.mode_since + held.row.wait
    # Every change that was acknowledged without the standby was at the writer by `over`.
    if view.now >= over and _catches_up(view) and _has_all(other, view.writer, over):
        # contextCSN does not tell of an entry that the standby has missed.
        is_equal = view.equal is not None and view.equal.is_same(held.row)
        return Enter(held.row, Mode.TOGETHER) if is_equal else Compare(held.row)
    return None


def _has_all(one: Sight, other: Sight, since: float = float("-inf")) -> bool:
    """Return whether a server is known to have what another one had at a moment after `since`."""
    if one.last is None or not one.last.vector:
        return False
    # Under a steady load the newest sample is never covered; the one before it is soon.
    samples = (sample for sample in (other.last, other.before) if sample and sample.asked >= since)
    return any(one.last.vector.covers(sample.vector) for sample in samples)
