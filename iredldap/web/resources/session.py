"""`/api/login` and `/api/logout`."""

from dataclasses import dataclass

import falcon

from iredldap.dit.fields import Parsed
from iredldap.dit.request import Request
from iredldap.gateways.attempts import Attempts
from iredldap.operations.login import Caller, log_in
from iredldap.web.auth import AdminAddresses, Clients
from iredldap.web.callers.sessions import Sessions
from iredldap.web.middleware import set_cookie
from iredldap.web.resources.base import Resource


@dataclass(frozen=True)
class LoginResource(Resource):
    """Opens a session."""

    sessions: Sessions
    clients: Clients
    addresses: AdminAddresses
    attempts: Attempts

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        caller = self._caller(request.context.parsed, request.context.client)
        request.context.who = caller.address
        cookie = self.sessions.enter(caller)
        logged_in = Request("login", {"mail": caller.address}, client=request.context.client)
        self.admin_log.note(caller.address, logged_in)
        set_cookie(response, self.config, cookie, tls=self.clients.speaks_tls(request))
        self.responses.done(response)

    def _caller(self, parsed: Parsed, address: str) -> Caller:
        username, password = parsed.value("username") or "", parsed.value("password") or ""
        # Before the password: from other addresses none may be tried.
        self.addresses.admit(address)
        # Around the check alone: a refusal of the address of a global admin is no failed login.
        with self.attempts.watching(username, address):
            caller = log_in(self.directory, self.config, username, password)
        self.addresses.admit_caller(address, caller)
        return caller


@dataclass(frozen=True)
class LogoutResource(Resource):
    """Ends a session."""

    sessions: Sessions

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        self.sessions.leave(self.sessions.cookies(request))
        response.unset_cookie(self.config.session.cookie_name, path="/", same_site="Strict")
        self.responses.done(response)
