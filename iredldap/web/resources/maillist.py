"""`/api/maillist/{mail}`."""

import falcon

from iredldap.dit.fields import show
from iredldap.operations.lists import maillists
from iredldap.web.resources.base import Resource


class MaillistResource(Resource):
    """One unsubscribable mailing list."""

    def on_get(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        entry, members = maillists.get(self.directory, mail)
        hidden = self.config.api.api_hidden_user_profiles
        # No 304: a member may go with their own entry, which leaves the list's state as it is.
        response.etag = entry.csn
        self.responses.done(response, {**show(entry, hidden), "members": members}, read=True)

    def on_post(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        self.change(request, response, mail=mail)

    def on_put(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        self.change(request, response, mail=mail)

    def on_delete(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        self.change(request, response, mail=mail)
