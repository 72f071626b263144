"""`/api/user/{mail}` and `/api/verify_password/user/{mail}`."""

import falcon

from iredldap.dit.fields import show
from iredldap.operations.users import users
from iredldap.web.resources.base import Resource


class UserResource(Resource):
    """One mail user."""

    def on_get(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        entry = users.get(self.directory, request.context.caller, mail)
        used = self.records.usage(mail)
        shown = show(entry, self.config.api.api_hidden_user_profiles) | used
        # Of what Dovecot writes meanwhile the entity tag knows nothing.
        self.answer_with(request, response, entry, shown, cacheable=not used)

    def on_post(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        self.change(request, response, mail=mail)

    def on_put(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        self.change(request, response, mail=mail)

    def on_delete(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        self.change(request, response, mail=mail)


class UserKeepResource(Resource):
    """The end of a user whose mailbox is kept for some days."""

    def on_delete(
        self, request: falcon.Request, response: falcon.Response, mail: str, number: str
    ) -> None:
        self.change(request, response, mail=mail, number=number)


class PasswordCheckResource(Resource):
    """Password of one mail user."""

    def on_post(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        password = request.context.parsed.value("password") or ""
        users.verify_password(self.directory, mail, password)
        self.responses.done(response)
