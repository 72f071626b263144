"""Every change of the contract can be undone: tree, tables and lists are then as they were."""

import pytest

from iredldap.dit.fields import Verb
from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.endpoints.index import ENDPOINTS
from tests.contract.test_contract import APART, LATEST, form, prepare, prepare_value, send
from tests.support.client import Client, done
from tests.support.databases import Urls
from tests.support.everything import everything
from tests.support.mlmmjadmin import MlmmjadminServer
from tests.support.serving import Served
from tests.support.world import World

CHANGES = [
    endpoint for endpoint in ENDPOINTS if endpoint.operation and endpoint.id != "change_undo"
]
BY_ID = {endpoint.id: endpoint for endpoint in CHANGES}
GIVEN = {"delete": "set", "clear": "add"}
"""What a call takes away, and the one that gives it."""


@pytest.mark.parametrize("endpoint", CHANGES, ids=lambda endpoint: endpoint.id)
def test_a_change_and_its_undo_leave_nothing(
    api: Client, world: World, served: Served, mlmmjadmin: MlmmjadminServer, urls: Urls,
    endpoint: Endpoint,
) -> None:  # fmt: skip
    """With each parameter of the call, one after the other."""
    served.gateways.outside.ask()
    prepare(api, endpoint)
    if given := GIVEN.get(endpoint.id.rpartition("_")[2]):
        call = BY_ID.get(f"{endpoint.id.rpartition('_')[0]}_{given}")
        if call:
            done(send(api, call, form(call, *(row.name for row in call.table[:1]))))
    changed = 0
    for row in (None,) if endpoint.id in APART else endpoint.table or (None,):
        if row and (row.verb is Verb.REMOVE or endpoint.id.endswith("_remove")):
            prepare_value(api, endpoint, row)
        before = everything(world, urls, mlmmjadmin)
        name = row.name if row else ""

        answer = done(send(api, endpoint, form(endpoint, name) if row else {}))

        after = everything(world, urls, mlmmjadmin)
        number = answer.headers.get("X-Change-Id")
        if number is None:
            assert after == before, name
            continue
        changed += after != before
        if after == before:
            continue
        undone = api.post(f"/api/changes/{number}/undo").json()
        assert undone == {"_success": True, "_data": {"left_alone": []}}, name
        assert everything(world, urls, mlmmjadmin) == before, name
    assert changed


def test_no_latest_is_needed() -> None:
    """The paths of changes need no id that another call has to give."""
    assert not [e.id for e in CHANGES if any(f"{{{name}}}" in e.path for name in LATEST)]
