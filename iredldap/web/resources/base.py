"""What the resources share: reading and writing one entry under its entity tag."""

from collections.abc import Callable
from dataclasses import dataclass

import falcon

from iredldap.changes.apply import carry_out
from iredldap.config import Config
from iredldap.dit.entry import Entry
from iredldap.dit.fields import show
from iredldap.dit.plan import Plan
from iredldap.errors import AlreadyExists, InvalidParameter, NameTaken
from iredldap.gateways.directory import Directory
from iredldap.web import forms
from iredldap.web.replies import Replies, listed


@dataclass(frozen=True)
class Resource:
    """A thing with a path."""

    config: Config
    directory: Directory
    replies: Replies

    def answer(
        self,
        request: falcon.Request,
        response: falcon.Response,
        entry: Entry,
        hidden: tuple[str, ...] = (),
    ) -> None:
        """Answer with an entry, or with 304 to a client that has it in this state."""
        if entry.csn:
            response.etag = entry.csn
            if entry.csn in forms.states(request.get_header("If-None-Match"), weakly=True):
                response.status = 304
                return
        self.replies.done(response, show(entry, hidden), read=True)

    def change(
        self, request: falcon.Request, response: falcon.Response, make: Callable[[], Plan]
    ) -> None:
        """Carry out a plan under the request's conditions, and answer.

        Raises:
            PreconditionFailed: If the entry is not in a state named by `If-Match`.
            NameTaken: If it exists, against `If-None-Match: *`.
            InvalidParameter: If values would be ignored and the client prefers strictness.
        """
        only_new = "*" in forms.states(request.get_header("If-None-Match"))

        def checked() -> Plan:
            plan = make()
            if only_new and plan.state:
                raise NameTaken(plan.named)
            if plan.ignored and request.context.strict:
                raise InvalidParameter(f"would be ignored: {', '.join(plan.ignored)[:200]}")
            return plan

        try:
            outcome = carry_out(
                self.directory, checked, forms.states(request.get_header("If-Match"))
            )
        except AlreadyExists as refusal:
            if only_new:
                raise NameTaken(refusal.detail) from refusal
            raise
        if outcome.state and request.method != "DELETE":
            response.etag = outcome.state
        if outcome.ignored:
            response.set_header("X-Ignored-Values", listed(outcome.ignored))
        self.replies.done(response)
