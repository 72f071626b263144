"""`/api/domain/{domain}`."""

import falcon

from iredldap.operations import domains
from iredldap.web.resources.base import Resource


class DomainResource(Resource):
    """One domain."""

    def on_get(self, request: falcon.Request, response: falcon.Response, domain: str) -> None:
        self.answer(request, response, domains.get(self.directory, domain))

    def on_post(self, request: falcon.Request, response: falcon.Response, domain: str) -> None:
        caller, parsed = request.context.caller, request.context.parsed
        self.change(
            request,
            response,
            lambda: domains.create(self.directory, self.config, caller, domain, parsed),
        )

    def on_put(self, request: falcon.Request, response: falcon.Response, domain: str) -> None:
        caller, parsed = request.context.caller, request.context.parsed
        self.change(
            request,
            response,
            lambda: domains.update(self.directory, self.config, caller, domain, parsed),
        )

    def on_delete(self, request: falcon.Request, response: falcon.Response, domain: str) -> None:
        caller = request.context.caller
        self.change(request, response, lambda: domains.delete(self.directory, caller, domain))
