"""`/api/wblist/…`: senders and recipients that are always, or never, accepted."""

from collections.abc import Callable
from dataclasses import dataclass

import falcon

from iredldap.dit.fields import Parsed
from iredldap.dit.scopes import Scope
from iredldap.dit.wblist import Colour, Direction
from iredldap.gateways.amavisd import Amavisd
from iredldap.operations import wblists
from iredldap.web.resources.policy import PolicyResource

_Change = Callable[[Amavisd, Scope, Direction, Colour, Parsed], None]


@dataclass(frozen=True)
class WblistResource(PolicyResource):
    """One list; PUT takes addresses off it, as documented."""

    direction: Direction
    colour: Colour

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        scope = self.scope(request)
        found = wblists.get(self.records.amavisd, scope, self.direction, self.colour)
        self.replies.done(response, found, read=True)

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        self._change(request, response, wblists.add)

    def on_put(self, request: falcon.Request, response: falcon.Response) -> None:
        self._change(request, response, wblists.remove)

    def on_delete(self, request: falcon.Request, response: falcon.Response) -> None:
        amavisd = self.records.amavisd
        self.change_policy(
            request,
            response,
            lambda scope: wblists.clear(amavisd, scope, self.direction, self.colour),
        )

    def _change(self, request: falcon.Request, response: falcon.Response, change: _Change) -> None:
        amavisd, parsed = self.records.amavisd, request.context.parsed
        self.change_policy(
            request,
            response,
            lambda scope: change(amavisd, scope, self.direction, self.colour, parsed),
        )
