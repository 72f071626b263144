"""`/api/ml/{mail}`."""

import falcon

from iredldap.dit.fields import show
from iredldap.operations.lists import subscribable
from iredldap.web.resources.base import Resource


class SubscribableListResource(Resource):
    """One subscribable mailing list."""

    def on_get(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        with_members = request.context.parsed.value("with_subscribers") == "yes"
        entry, settings = subscribable.get(
            self.directory, self.records, mail, with_members=with_members
        )
        shown = show(entry, self.config.api.api_hidden_user_profiles) | settings
        # Of what mlmmj does meanwhile the entity tag knows nothing.
        self.answer_with(request, response, entry, shown, cacheable=False)

    def on_post(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        self.change(request, response, mail=mail)

    def on_put(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        self.change(request, response, mail=mail)

    def on_delete(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        self.change(request, response, mail=mail)
