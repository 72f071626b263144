"""`/api/user/{mail}/change_email/{new_mail}`, and the same of a mail alias."""

import falcon

from iredldap.web.resources.base import Resource


class RenameResource(Resource):
    """The address of an account of some kind."""

    def on_post(
        self, request: falcon.Request, response: falcon.Response, mail: str, new_mail: str
    ) -> None:
        self.change(request, response, mail=mail, new_mail=new_mail)
