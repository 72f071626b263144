"""`/api/spampolicy/…`: what happens to spam, viruses and other unwanted mail."""

import falcon

from iredldap.operations.policies import spam_policies
from iredldap.web.resources.policy import PolicyResource


class SpamPolicyResource(PolicyResource):
    """One policy."""

    def on_get(self, request: falcon.Request, response: falcon.Response, **_: str) -> None:
        found = spam_policies.get(self.records.amavisd, self.scope(request))
        self.responses.done(response, found, read=True)

    def on_put(self, request: falcon.Request, response: falcon.Response, **_: str) -> None:
        prefix = self.config.amavisd.spam_subject_prefix
        amavisd, parsed = self.records.amavisd, request.context.parsed
        self.change_policy(
            request, response, lambda scope: spam_policies.put(amavisd, scope, parsed, prefix)
        )

    def on_delete(self, request: falcon.Request, response: falcon.Response, **_: str) -> None:
        amavisd = self.records.amavisd
        self.change_policy(request, response, lambda scope: spam_policies.drop(amavisd, scope))
