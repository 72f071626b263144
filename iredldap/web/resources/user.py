"""`/api/user/{mail}`."""

import os
from datetime import datetime

import falcon

from iredldap.operations import users
from iredldap.operations.users import Chance
from iredldap.web.resources.base import Resource


class UserResource(Resource):
    """One mail user."""

    def on_get(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        entry = users.get(self.directory, request.context.caller, mail)
        self.answer(request, response, entry, self.config.api.api_hidden_user_profiles)

    def on_post(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        caller, parsed = request.context.caller, request.context.parsed
        chance = Chance(datetime.now().astimezone(), lambda: os.urandom(16))
        self.change(
            request,
            response,
            lambda: users.create(self.directory, self.config, caller, mail, parsed, chance),
        )

    def on_delete(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        caller = request.context.caller
        self.change(request, response, lambda: users.delete(self.directory, caller, mail))
