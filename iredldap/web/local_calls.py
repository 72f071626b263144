"""Calls that a command makes in its own process, without HTTP.

They take the way of every request. Who calls is an object in the environment of the request, where
no client of a server can put one: what clients send becomes text.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import falcon

from iredldap.changes.progress import Progress
from iredldap.dit.plan import Plan
from iredldap.errors import Refusal
from iredldap.operations.login import Caller

KEY = "iredldap.local_call"
"""Name of the call in the environment of a request."""


def _unseen(_: Plan) -> Progress:
    return Progress()


@dataclass
class LocalCall:
    """A call of this process.

    Args:
        caller: In whose name; their rights are not looked up.
        begin: Called with each plan that is about to be carried out; returns its progress.
        advance: Called with the number of rows or steps of a file that are done, and of all.
        refusal: Set by the call: why it was refused.
    """

    caller: Caller
    begin: Callable[[Plan], Progress] = _unseen
    advance: Callable[[int, int], None] = lambda *_: None
    refusal: Refusal | None = field(default=None, init=False)


def of(request: falcon.Request) -> LocalCall | None:
    """Return the call of this process that a request is; None: it came from a client."""
    found = request.env.get(KEY)
    return found if isinstance(found, LocalCall) else None


def progress_of(request: falcon.Request) -> Callable[[Plan], Progress]:
    """Return what shows the progress of a request's plan."""
    call = of(request)
    return call.begin if call else _unseen


def advance_of(request: falcon.Request) -> Callable[[int, int], None]:
    """Return what shows how far the file of a request is."""
    call = of(request)
    return call.advance if call else lambda *_: None
