"""`/api/wblist/…`: senders and recipients that are always, or never, accepted."""

from dataclasses import dataclass

import falcon

from iredldap.dit.wblist import Colour, Direction
from iredldap.operations import wblists
from iredldap.web.resources.policy import PolicyResource


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
        scope, parsed = self.scope(request), request.context.parsed
        wblists.add(self.records.amavisd, scope, self.direction, self.colour, parsed)
        self.changed(request, response)

    def on_put(self, request: falcon.Request, response: falcon.Response) -> None:
        scope, parsed = self.scope(request), request.context.parsed
        wblists.remove(self.records.amavisd, scope, self.direction, self.colour, parsed)
        self.changed(request, response)

    def on_delete(self, request: falcon.Request, response: falcon.Response) -> None:
        scope = self.scope(request)
        wblists.clear(self.records.amavisd, scope, self.direction, self.colour)
        self.changed(request, response)
