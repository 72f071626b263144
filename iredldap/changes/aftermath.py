"""Find out, for a client that waits, what became of a write that got no response.

A server that dies takes the response with it. While its restart or the failover to another one is
waited for, the client waits too: then it is known, and the answer is final, or says that nothing
has been done and the request may be repeated.
"""

import time
from typing import Any

from iredldap.changes.apply import ChangeResult
from iredldap.changes.progress import Progress
from iredldap.changes.read_back import happened
from iredldap.changes.steps import run_step
from iredldap.dit.plan import Modify, Recheck, describe
from iredldap.dit.touched import touched_by
from iredldap.errors import ServerDown
from iredldap.gateways.directory import Directory
from iredldap.gateways.ldap.errors import Unanswered

PATIENCE = 15.0
"""Seconds for which the directory is waited for: longer than a failover takes."""

_PAUSE = 0.3


def result_of(
    directory: Directory, refusal: Unanswered, if_match: tuple[str, ...] = ()
) -> ChangeResult:
    """Return the result of a change whose last write got no response, when that is known.

    Args:
        directory: Where, outside the change itself: that belongs to the server that is gone. Its
            recorder gets what is found out, and what rechecks correct.
        refusal: What the change ended with.
        if_match: States of which the named entry had to have one, if others may have made the same
            change of it meanwhile: it is not told whose it is.

    Raises:
        ServerDown: If the write was not carried out, or others are left; the report says so.
        Unanswered: If that is still not known.
        Refusal: Of a recheck.
    """
    operation = refusal.operation
    if operation is None:
        raise refusal
    done: Any = (refusal.report or {}).get("done") or []
    left = [describe(step) for step in refusal.rest]
    if not _was_carried_out(directory, refusal):
        report = {"done": done, "not_done": [describe(operation), *left]} if done else None
        # Without a report it has changed nothing: an Idempotency-Key is free for the repeat.
        raise ServerDown(f"{describe(operation)}: not done", report=report) from refusal
    if isinstance(operation, Modify) and if_match and "*" not in if_match:
        raise refusal
    for sent in directory.recorder.unanswered():
        if sent.dn == operation.dn:
            directory.recorder.record(sent, touched_by(sent, None))
    if not all(isinstance(step, Recheck) for step in refusal.rest):
        report = {"done": [*done, describe(operation)], "not_done": left}
        raise ServerDown(refusal.detail, report=report) from refusal
    for step in refusal.rest:
        run_step(directory, step, Progress())
    return ChangeResult(None)


def _was_carried_out(directory: Directory, refusal: Unanswered) -> bool:
    assert refusal.operation
    until = time.monotonic() + PATIENCE
    while True:
        try:
            # As a change: read from the agreed writer while that is known, and confirmed by the
            # other server. What only a writer that is cut off shows may be lost.
            with directory.change() as change:
                change.cover(None, refusal.operation.dn)
                return happened(directory, refusal.operation)
        except ServerDown as ex:
            if time.monotonic() >= until:
                raise refusal from ex
        time.sleep(_PAUSE)
