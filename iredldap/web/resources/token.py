"""`/api/tokens`, `/api/tokens/{token}` and `/api/whoami`."""

from dataclasses import dataclass
from functools import partial

import falcon

from iredldap.dit import token_scopes
from iredldap.operations.access.api_tokens import TokenManager, shown
from iredldap.web.resources.base import Resource


@dataclass(frozen=True)
class TokensResource(Resource):
    """All tokens that the caller may see."""

    manager: TokenManager

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        found = self.manager.visible(request.context.caller)
        self.responses.done(response, [shown(token) for token in found], read=True)

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        context = request.context
        if context.dry_run:
            work = partial(self.manager.create, context.caller, context.parsed)
            self.show_trial(request, response, "create a token", work)
            return
        token, secret = self.manager.create(context.caller, context.parsed)
        context.names = {"token": token.id}
        self.note(request)
        self.responses.done(response, {**shown(token), "secret": secret}, read=True)


@dataclass(frozen=True)
class TokenResource(Resource):
    """One token."""

    manager: TokenManager

    def on_get(self, request: falcon.Request, response: falcon.Response, token: str) -> None:
        found = self.manager.get(request.context.caller, token)
        self.responses.done(response, shown(found), read=True)

    def on_delete(self, request: falcon.Request, response: falcon.Response, token: str) -> None:
        work = partial(self.manager.delete, request.context.caller, token)
        if request.context.dry_run:
            self.show_trial(request, response, f"delete the token {token}", work)
            return
        work()
        self.note(request)
        self.responses.done(response)


class WhoamiResource(Resource):
    """The caller."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        caller = request.context.caller
        self.responses.done(
            response,
            {
                "admin": caller.address,
                "is_global_admin": caller.is_global,
                "token": shown(caller.token) if caller.token else None,
                "scopes": list(caller.token.scopes if caller.token else token_scopes.SCOPES),
                "domains": None if caller.is_global else sorted(caller.managed),
                "limits": dict(caller.limits),
            },
            read=True,
        )
