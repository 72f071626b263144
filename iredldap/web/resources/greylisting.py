"""`/api/greylisting/…`: whose mail is deferred at first, and whose is not."""

import falcon

from iredldap.operations.policies import greylisting
from iredldap.web.resources.policy import PolicyResource


class AllGreylistingResource(PolicyResource):
    """Every setting."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        self.responses.done(response, greylisting.every(self.records.iredapd), read=True)


class GreylistingResource(PolicyResource):
    """Whether mail is greylisted."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        found = greylisting.get(self.records.iredapd, self.scope(request))
        self.responses.done(response, found, read=True)

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        iredapd, parsed = self.records.iredapd, request.context.parsed
        self.change_policy(request, response, lambda scope: greylisting.put(iredapd, scope, parsed))

    def on_delete(self, request: falcon.Request, response: falcon.Response) -> None:
        iredapd = self.records.iredapd
        self.change_policy(request, response, lambda scope: greylisting.drop(iredapd, scope))


class GreylistingWhitelistsResource(PolicyResource):
    """Senders that are exempt."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        found = greylisting.exempt(self.records.iredapd, self.scope(request))
        self.responses.done(response, found, read=True)

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        iredapd, parsed = self.records.iredapd, request.context.parsed
        strict = request.context.strict
        self.change_policy(
            request,
            response,
            lambda scope: greylisting.change_exempt(iredapd, scope, parsed, strict=strict),
        )


class SpfDomainsResource(PolicyResource):
    """Domains whose own servers are exempt."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        self.responses.done(response, greylisting.spf_domains(self.records.iredapd), read=True)

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        greylisting.change_spf_domains(self.records.iredapd, request.context.parsed)
        self.changed(request, response)
