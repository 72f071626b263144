"""`/api/domain/{domain}`, its services and its admins."""

import falcon

from iredldap.operations.domains import domains
from iredldap.web.resources.base import Resource


class DomainResource(Resource):
    """One domain."""

    def on_get(self, request: falcon.Request, response: falcon.Response, domain: str) -> None:
        self.answer(request, response, domains.get(self.directory, domain))

    def on_post(self, request: falcon.Request, response: falcon.Response, domain: str) -> None:
        self.change(request, response, domain=domain)

    def on_put(self, request: falcon.Request, response: falcon.Response, domain: str) -> None:
        self.change(request, response, domain=domain)

    def on_delete(self, request: falcon.Request, response: falcon.Response, domain: str) -> None:
        self.change(request, response, domain=domain)


class DomainKeepResource(Resource):
    """The end of a domain whose mailboxes are kept for some days."""

    def on_delete(
        self, request: falcon.Request, response: falcon.Response, domain: str, number: str
    ) -> None:
        self.change(request, response, domain=domain, number=number)


class ServicesResource(Resource):
    """Services of a domain."""

    def on_get(self, request: falcon.Request, response: falcon.Response, domain: str) -> None:
        entry = domains.get(self.directory, domain)
        self.answer_with(request, response, entry, sorted(entry.texts("enabledService")))

    def on_put(self, request: falcon.Request, response: falcon.Response, domain: str) -> None:
        self.change(request, response, domain=domain)


class AdminsResource(Resource):
    """Admins of a domain."""

    def on_put(self, request: falcon.Request, response: falcon.Response, domain: str) -> None:
        self.change(request, response, domain=domain)
