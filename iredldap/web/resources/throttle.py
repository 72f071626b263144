"""`/api/throttle/…`: how much may be sent or received."""

from dataclasses import dataclass

import falcon

from iredldap.operations.policies import throttling
from iredldap.web.resources.policy import PolicyResource


@dataclass(frozen=True)
class ThrottleResource(PolicyResource):
    """The limits of one kind: `inbound` or `outbound`."""

    kind: str

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        found = throttling.get(self.records.iredapd, self.scope(request), self.kind)
        self.responses.done(response, found, read=True)

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        iredapd, parsed = self.records.iredapd, request.context.parsed
        self.change_policy(
            request, response, lambda scope: throttling.put(iredapd, scope, self.kind, parsed)
        )
