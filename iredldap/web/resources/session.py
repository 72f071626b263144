"""`/api/login`, `/api/logout`, `/api/sessions` and `/api/sessions/{mail}`."""

from dataclasses import dataclass
from functools import partial

import falcon

from iredldap import finders
from iredldap.dit.fields import Parsed
from iredldap.dit.plan import Query, Scope
from iredldap.dit.request import Request
from iredldap.errors import MissingParameter, NoSuchAccount, ServerDown
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
        caller, cookie = self._entered(request.context.parsed, request.context.client)
        request.context.who = caller.address
        logged_in = Request("login", {"mail": caller.address}, client=request.context.client)
        self.admin_log.note(caller.address, logged_in)
        set_cookie(response, self.config, cookie, tls=self.clients.speaks_tls(request))
        self.responses.done(response)

    def _entered(self, parsed: Parsed, address: str) -> tuple[Caller, str]:
        """Return who has logged in, and the cookie of their session."""
        username, password = parsed.value("username") or "", parsed.value("password") or ""
        # Before the password: from other addresses none may be tried.
        self.addresses.admit(address)
        session, down = "", None
        try:
            # What ends all sessions from here on ends that of this login, too.
            session = self.sessions.begin(username)
        except ServerDown as ex:
            # A wrong password is told, and counted, all the same.
            down = ex
        # Around the check alone: a refusal of the address of a global admin is no failed login.
        with self.attempts.watching(username, address):
            caller = log_in(self.directory, self.config, username, password)
        self.addresses.admit_caller(address, caller)
        if down:
            raise down
        return caller, self.sessions.enter(caller, session)


@dataclass(frozen=True)
class LogoutResource(Resource):
    """Ends a session."""

    sessions: Sessions

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        self.sessions.leave(self.sessions.cookies(request))
        response.unset_cookie(self.config.session.cookie_name, path="/", same_site="Strict")
        self.responses.done(response)


@dataclass(frozen=True)
class SessionsResource(Resource):
    """All sessions of an admin, or of everybody."""

    sessions: Sessions

    def on_delete(
        self, request: falcon.Request, response: falcon.Response, mail: str | None = None
    ) -> None:
        if mail is not None:
            self._require_account(mail)
        elif request.env.get("RAW_URI", "").partition("?")[0].endswith("/"):
            # `/sessions/$mail` with an empty variable must not end those of everybody.
            raise MissingParameter("no address behind the slash", parameter="mail")
        work = partial(self.sessions.end_all, mail)
        if request.context.dry_run:
            whose = f"of {mail}" if mail else "of all admins"
            self.show_trial(request, response, f"end the sessions {whose}", work)
            return
        work()
        self.note(request)
        self.responses.done(response)

    def _require_account(self, mail: str) -> None:
        """Require that an address is that of an account, so that no slip passes for an end.

        Of an account that is disabled or no admin now, too: with the role it has its sessions back.

        Raises:
            NoSuchAccount: If it is not.
        """
        query = Query(
            self.directory.tree.suffix, Scope.SUBTREE, finders.own_address(mail), ("1.1",)
        )
        if not self.directory.find(query):
            raise NoSuchAccount(f"no admin {mail}")
