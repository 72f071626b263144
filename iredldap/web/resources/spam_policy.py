"""`/api/spampolicy/…`: what happens to spam, viruses and other unwanted mail."""

import falcon

from iredldap.operations import spam_policies
from iredldap.web.resources.policy import PolicyResource


class SpamPolicyResource(PolicyResource):
    """One policy."""

    def on_get(self, request: falcon.Request, response: falcon.Response, **_: str) -> None:
        found = spam_policies.get(self.records.amavisd, self.scope(request))
        self.replies.done(response, found, read=True)

    def on_put(self, request: falcon.Request, response: falcon.Response, **_: str) -> None:
        scope, prefix = self.scope(request), self.config.amavisd.spam_subject_prefix
        spam_policies.put(self.records.amavisd, scope, request.context.parsed, prefix)
        self.changed(request, response)

    def on_delete(self, request: falcon.Request, response: falcon.Response, **_: str) -> None:
        spam_policies.drop(self.records.amavisd, self.scope(request))
        self.changed(request, response)
