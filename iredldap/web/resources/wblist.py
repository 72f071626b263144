"""`/api/wblist/…`: senders and recipients that are always, or never, accepted."""

from dataclasses import dataclass
from typing import Protocol

import falcon

from iredldap.dit.fields import Parsed
from iredldap.dit.scopes import PolicyTarget
from iredldap.dit.wblist import Colour, Direction
from iredldap.gateways.amavisd import Amavisd
from iredldap.operations.policies import wblists
from iredldap.web.resources.policy import PolicyResource


class _Change(Protocol):
    """What is done to a list; returns what of it was ignored."""

    def __call__(
        self,
        amavisd: Amavisd,
        scope: PolicyTarget,
        direction: Direction,
        colour: Colour,
        parsed: Parsed,
        *,
        strict: bool,
    ) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class WblistResource(PolicyResource):
    """One list; PUT takes addresses off it, as documented."""

    direction: Direction
    colour: Colour

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        scope = self.scope(request)
        found = wblists.get(self.records.amavisd, scope, self.direction, self.colour)
        self.responses.done(response, found, read=True)

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
        amavisd, context = self.records.amavisd, request.context

        def work(scope: PolicyTarget) -> tuple[str, ...]:
            way, colour = self.direction, self.colour
            return change(amavisd, scope, way, colour, context.parsed, strict=context.strict)

        self.change_policy(request, response, work)
