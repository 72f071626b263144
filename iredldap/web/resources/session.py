"""`/api/login` and `/api/logout`."""

from dataclasses import dataclass

import falcon

from iredldap.errors import LoginRequired
from iredldap.operations.login import log_in
from iredldap.web.auth import Clients, Sessions
from iredldap.web.gate import set_cookie
from iredldap.web.resources.base import Resource


@dataclass(frozen=True)
class LoginResource(Resource):
    """The door."""

    sessions: Sessions
    clients: Clients

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        parsed = request.context.parsed
        username, password = parsed.value("username") or "", parsed.value("password") or ""
        caller = log_in(self.directory, self.config, username, password)
        request.context.who = caller.address
        cookie = self.sessions.enter(caller)
        set_cookie(response, self.config, cookie, tls=self.clients.speaks_tls(request))
        self.replies.done(response)


@dataclass(frozen=True)
class LogoutResource(Resource):
    """The way out."""

    sessions: Sessions

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        cookie = request.cookies.get(self.config.session.cookie_name)
        if not cookie:
            raise LoginRequired("no cookie")
        self.sessions.leave(cookie)
        response.unset_cookie(self.config.session.cookie_name, path="/", same_site="Strict")
        self.replies.done(response)
