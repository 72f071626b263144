"""`/api/alias/{mail}`."""

import falcon

from iredldap.operations import aliases
from iredldap.web.resources.base import Resource


class AliasResource(Resource):
    """One mail alias."""

    def on_get(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        entry = aliases.get(self.directory, mail)
        hidden = self.config.api.api_hidden_user_profiles
        self.answer_with(request, response, entry, aliases.profile(entry, hidden))

    def on_post(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        self.change(request, response, mail=mail)

    def on_put(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        self.change(request, response, mail=mail)

    def on_delete(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        self.change(request, response, mail=mail)
