"""`/livez`, `/readyz` and `/openapi.json`."""

import json
from dataclasses import dataclass
from functools import lru_cache

import falcon

from iredldap.errors import ServerDown
from iredldap.operations.diagnosis.health import Health
from iredldap.web.openapi.document import document
from iredldap.web.resources.base import Resource
from iredldap.web.responses import JSON


class LiveResource(Resource):
    """Reports that the process answers."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        self.responses.done(response)


@dataclass(frozen=True)
class ReadyResource(Resource):
    """Reports whether the systems that it depends on answer, by the last probes.

    Of several nodes each says whether it is worse than the others: with a fault of what they
    share, `shared`, it stays ready, so that clients get its own answers and not those of a balancer
    without nodes.
    """

    health: Health
    shared: frozenset[str]

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        faults = self.health.faults()
        report: dict[str, object] = {"failed": [fault.as_json() for fault in faults]}
        if any(fault.what not in self.shared for fault in faults):
            if any(fault.what == "state" for fault in faults):
                # As other answers name it.
                report["database"] = "state"
            detail = ", ".join(f"{fault.what}: {fault.why}" for fault in faults)
            raise ServerDown(detail, report=report)
        self.responses.done(response, report, read=bool(faults))


class OpenApiResource(Resource):
    """Describes the API."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.content_type = JSON
        response.data = _document(self.config.session.cookie_name, request.root_path)


# The rows of the endpoints do not change while the process runs.
@lru_cache(maxsize=8)
def _document(cookie: str, root: str) -> bytes:
    return json.dumps(document(cookie, root), ensure_ascii=False).encode()
