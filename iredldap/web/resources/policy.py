"""What the resources of policies share: whom a policy is about, and what a change leaves behind."""

from collections.abc import Callable

import falcon

from iredldap.dit import request as requests
from iredldap.dit.scopes import PolicyTarget
from iredldap.operations.policies import target
from iredldap.web.resources.base import Resource, name_ignored


class PolicyResource(Resource):
    """A policy in SQL: for everybody, a domain or an account."""

    def scope(self, request: falcon.Request) -> PolicyTarget:
        """Find whom the path names.

        Raises:
            NoSuchAccount: If there is no such domain or account.
            PermissionDenied: If a normal admin names the account of a global one.
        """
        context = request.context
        reading = request.method == "GET"
        return target.find(self.directory, context.caller, context.names, reading=reading)

    def change_policy(
        self,
        request: falcon.Request,
        response: falcon.Response,
        work: Callable[[PolicyTarget], tuple[str, ...] | None],
    ) -> None:
        """Change the policy of whom the path names, write that down, and answer.

        Nobody can take away the domain or account meanwhile. Else a policy could be written for one
        that has just been deleted, and the next one of the same name would inherit it.

        Args:
            request: The request.
            response: The answer.
            work: Changes the policy; returns values that are no part of the change, if any.

        Raises:
            NoSuchAccount, PermissionDenied: As `scope`.
            ServerDown: If others are changing the domain for too long.
        """
        with self.records.turns.take(requests.domains(self.asked(request))):
            ignored = work(self.scope(request)) or ()
        self.changed(request, response, ignored)

    def changed(
        self, request: falcon.Request, response: falcon.Response, ignored: tuple[str, ...] = ()
    ) -> None:
        """Answer that what was asked for has been done, and write that down."""
        self.note(request)
        name_ignored(response, (*request.context.parsed.dropped, *ignored))
        self.responses.done(response)
