"""`/api/admin/{mail}` and `/api/verify_password/admin/{mail}`."""

import falcon

from iredldap.dit import admin
from iredldap.operations import standalone_admins
from iredldap.web.resources.base import Resource


class AdminResource(Resource):
    """One standalone admin."""

    def on_get(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        entry, managed = standalone_admins.get(self.directory, mail)
        data = admin.profile(entry, managed, self.config.api.api_hidden_admin_profiles)
        # Domains name their admins on their own entries, which the entity tag does not cover.
        self.answer_with(request, response, entry, data, cacheable=False)

    def on_post(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        self.change(request, response, mail=mail)

    def on_put(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        self.change(request, response, mail=mail)

    def on_delete(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        self.change(request, response, mail=mail)


class AdminPasswordCheckResource(Resource):
    """Password of one standalone admin."""

    def on_post(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        password = request.context.parsed.value("password") or ""
        standalone_admins.verify_password(self.directory, mail, password)
        self.responses.done(response)
