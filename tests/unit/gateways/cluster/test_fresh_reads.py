"""For how long the standby is read from, who waits for that, and which node is not ready."""

from dataclasses import replace
from unittest.mock import Mock

import pytest

from iredldap.errors import ServerDown
from iredldap.gateways.cluster.agreement import Agreement
from iredldap.gateways.cluster.clock import now
from iredldap.gateways.cluster.servers import AgreedServers
from iredldap.gateways.cluster.view import FRESH, Held, Mode, Sight, WriterRow
from iredldap.gateways.ldap.servers import Purpose
from tests.unit.gateways.cluster.test_confirmation import SETTINGS


def test_the_first_change_without_the_standby_waits_for_those_who_read_from_it() -> None:
    """They know a row for less than `FRESH` that says that both are together."""
    agreement = Agreement(SETTINGS, Mock(), [], Mock())
    row = WriterRow(1, 5, "ldap://a", True, Mode.ALONE, lease=60, wait=61)
    agreement._watches = {"ldap://a": Mock()}
    # Its threads would go on for ever, and print into the output of other tests.
    agreement._threads = [Mock()]
    began = now()
    agreement._held = Held(row, began + 60, began - 60, began - FRESH + 0.2, began)

    agreement.await_alone(1)
    waited = now() - began
    agreement.await_alone(1)

    assert waited >= 0.2
    assert now() - began - waited < 0.2


@pytest.mark.parametrize(("age", "uris"), [(0.0, 2), (FRESH, 1)])
def test_the_standby_is_read_from_while_the_row_is_fresh(age: float, uris: int) -> None:
    servers = AgreedServers(replace(SETTINGS, reads="any"), Mock(), Mock())
    row = WriterRow(1, 5, "ldap://a", True, Mode.TOGETHER, lease=60, wait=61)
    asked = now() - age
    agreement = servers.agreement
    agreement._held = Held(row, asked + 60, asked, asked, asked)
    agreement._threads = [Mock()]
    for watch in agreement._watches.values():
        watch.sight = Sight(answered=asked)

    assert len({servers.route(Purpose.READ).uris[0] for _ in range(4)}) == uris


@pytest.mark.parametrize(
    ("silent", "unseen", "is_ready"),
    [
        (3.0, 0.5, False),
        # Nobody has seen the writer since: all nodes would be out for a moment.
        (0.5, 0.6, True),
        # One has noted what it had seen before.
        (0.9, 0.1, True),
        (3.0, 2.1, True),
    ],
)
def test_a_node_is_not_ready_if_the_writer_answers_others(
    silent: float, unseen: float, is_ready: bool
) -> None:
    servers = AgreedServers(SETTINGS, Mock(), Mock())
    asked = now()
    row = WriterRow(1, 5, "ldap://a", True, Mode.TOGETHER, lease=60, wait=61, unseen=unseen)
    agreement = servers.agreement
    agreement._held = Held(row, asked + 60, asked, asked, asked)
    agreement._threads = [Mock()]
    agreement._watches["ldap://a"].sight = Sight(answered=1.0, silent_since=asked - silent)
    agreement._watches["ldap://b"].sight = Sight(answered=asked)

    if is_ready:
        servers.check()
    else:
        with pytest.raises(ServerDown, match="answers others"):
            servers.check()
