"""`/readyz`: what takes a machine out of a balancer, alone and as one of several nodes."""

from datetime import UTC, datetime
from typing import Any

import falcon
import pytest
from falcon import testing

from iredldap.app import SHARED_BY_NODES
from iredldap.config.sections import ApiSettings
from iredldap.operations.diagnosis.health import Fault
from iredldap.web.resources.service import ReadyResource
from iredldap.web.responses import Responses

NONE: frozenset[str] = frozenset()


class Probed:
    """Health with the faults that are given."""

    def __init__(self, *names: str) -> None:
        self._faults = [
            Fault(name, "no answer", datetime(2026, 1, 1, tzinfo=UTC)) for name in names
        ]

    def faults(self) -> list[Fault]:
        return self._faults


def ready(shared: frozenset[str], *names: str) -> Any:
    responses: Any = Responses(ApiSettings())
    unused: Any = None
    probed: Any = Probed(*names)
    resource = ReadyResource(
        *(unused, unused, responses, unused, unused, unused, unused, probed), shared
    )
    app = falcon.App()
    responses.install(app)
    app.add_route("/readyz", resource)
    return testing.TestClient(app).simulate_get("/readyz")


@pytest.mark.parametrize(
    ("names", "alone", "one_of_several"),
    [
        ((), 200, 200),
        (("state",), 503, 200),
        (("change_log",), 503, 200),
        (("state", "change_log"), 503, 200),
        (("directory",), 503, 503),
        (("directory", "state"), 503, 503),
    ],
)
def test_status_of_each_fault(names: tuple[str, ...], alone: int, one_of_several: int) -> None:
    """A node is not ready if it is worse than others; all faults are named in any case."""
    for shared, status in ((NONE, alone), (SHARED_BY_NODES, one_of_several)):
        answer = ready(shared, *names)
        assert answer.status_code == status
        assert answer.json["_success"] == (status == 200)
        failed = answer.json.get("_data", {}).get("failed", [])
        assert [fault["what"] for fault in failed] == list(names)
        assert ("Retry-After" in answer.headers) == (status == 503)
    if not names:
        assert ready(NONE).json == {"_success": True}
