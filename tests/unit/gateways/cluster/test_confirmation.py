"""What a change notes of its writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import ldap
import pytest
from ldap.controls.libldap import AssertionControl

from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.errors import ServerDown
from iredldap.gateways.cluster import confirmation
from iredldap.gateways.cluster.agreement import Agreement
from iredldap.gateways.cluster.confirmation import PendingChange
from iredldap.gateways.cluster.view import Mode
from iredldap.gateways.ldap.servers import Purpose

SETTINGS = LdapSettings(
    uri=("ldap://a", "ldap://b"),
    suffix="o=x",
    bind_dn="cn=x",
    bind_password=Secret("x"),
    writer="agreed",
)


def csn(second: int, server_id: int) -> str:
    return f"202611280000{second:02d}.000000Z#000000#{server_id:03x}#000000"


def test_the_server_id_of_the_writer_is_that_of_its_writes() -> None:
    """Not that of a state which the change relies on, though the clock of its server be ahead."""
    agreement: Any = Mock(spec=Agreement)
    change = PendingChange(7, agreement, Mock(), Mock())

    change.cover(csn(30, 2))
    change.note("a deleted entry", None, is_gone=True)
    change.note(None, None)
    agreement.wrote_as.assert_not_called()

    change.note(None, csn(10, 1))
    agreement.wrote_as.assert_called_once_with(7, 1)


DN, NEW = "cn=ann", csn(10, 1)
CONTEXT = "the context"


class Server:
    """A server with entries by DN: states."""

    timeout = 5.0
    gives_up = True

    def __init__(self, **states: str) -> None:
        self.states = dict(states)
        self.written: list[str] = []
        self._answers: list[Any] = []

    def fence(self) -> None:
        self.written.append("fence")

    def search_ext(self, dn: str, *_: Any, attrlist: list[str], **__: Any) -> int:
        assert attrlist == ["entryCSN"]
        state = {"entryCSN": [self.states.get(dn, "").encode()]}
        self._answers.append([(dn, state)] if dn in self.states else None)
        return 1

    def modify_ext(self, dn: str, changes: list[Any], controls: list[Any]) -> int:
        assert changes == []
        assertion = next(one for one in controls if isinstance(one, AssertionControl))
        assert f"(entryCSN={self.states[dn]})" in assertion.filterstr
        self.written.append(dn)
        self.states[dn] = csn(20, 1)
        return 1

    def result4(self, *_: Any, **__: Any) -> Any:
        return (0, [], 1, [])

    def result3(self, *_: Any, **__: Any) -> Any:
        answer = self._answers.pop(0)
        if answer is None:
            raise ldap.NO_SUCH_OBJECT
        return (0, answer)


class Clock:
    """A clock that goes on while somebody sleeps."""

    def __init__(self) -> None:
        self._time = 1000.0

    def now(self) -> float:
        return self._time

    def sleep(self, seconds: float) -> None:
        self._time += seconds


def pending(monkeypatch: pytest.MonkeyPatch, writer: Server, standby: Server) -> Any:
    """A change on two servers, of which the standby's context has everything.

    Only its pauses take time: a machine that is busy elsewhere is not a standby that stands still.
    """
    clock = Clock()
    monkeypatch.setattr(confirmation, "now", clock.now)
    monkeypatch.setattr(confirmation, "time", SimpleNamespace(sleep=clock.sleep))
    covering = MagicMock(covers=lambda _: True)
    covering.__iter__.side_effect = lambda: iter([])
    monkeypatch.setattr(confirmation, "context_of", lambda *_: covering)
    agreement: Any = Mock(spec=Agreement)
    agreement.permitted.return_value = Mock(mode=Mode.TOGETHER)

    class Pool:
        @contextmanager
        def connection(self, purpose: Purpose) -> Iterator[Server]:
            yield standby if purpose is Purpose.STANDBY else writer

    pool: Any = Pool()
    return agreement, PendingChange(1, agreement, pool, SETTINGS)


def test_an_entry_that_the_other_server_missed_is_written_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its context says that it has everything; the entry itself is not there."""
    writer, standby = Server(**{DN: NEW}), Server()
    agreement, change = pending(monkeypatch, writer, standby)
    original = writer.modify_ext

    def replicated(dn: str, changes: list[Any], controls: list[Any]) -> int:
        number = original(dn, changes, controls)
        standby.states[dn] = writer.states[dn]
        return number

    monkeypatch.setattr(writer, "modify_ext", replicated)
    change.note(DN, NEW)
    change.confirm()

    assert writer.written == ["fence", DN]
    agreement.go_alone.assert_not_called()


def test_one_that_stays_missing_leaves_the_writer_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    writer, standby = Server(**{DN: NEW}), Server()
    agreement, change = pending(monkeypatch, writer, standby)

    change.note(DN, NEW)
    change.confirm()

    agreement.go_alone.assert_called_once_with(1)


@pytest.mark.parametrize("states", [{}, {DN: csn(30, 1)}])
def test_what_others_have_written_since_is_theirs(
    monkeypatch: pytest.MonkeyPatch, states: dict[str, str]
) -> None:
    writer, standby = Server(**states), Server()
    agreement, change = pending(monkeypatch, writer, standby)

    change.note(DN, NEW)
    change.confirm()

    assert writer.written == []
    agreement.go_alone.assert_not_called()


def test_each_entry_of_a_sweep_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many: one that was missed in the middle is written again."""
    names = [f"cn={number}" for number in range(150)]
    writer, standby = Server(**dict.fromkeys(names, NEW)), Server(**dict.fromkeys(names, NEW))
    del standby.states[names[77]]
    _, change = pending(monkeypatch, writer, standby)
    monkeypatch.setattr(change, "_changed_since", lambda server, _: {**server.states})

    for name in names:
        change.note(name, NEW)
    change.confirm()

    assert {*writer.written} == {"fence", names[77]}


def test_what_earlier_attempts_have_written_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was changed since the first one, a minute for clocks before it."""
    names = [f"cn={number}" for number in range(30)]
    writer, standby = Server(**dict.fromkeys(names, NEW)), Server(**dict.fromkeys(names, NEW))
    del standby.states[names[7]]
    _, change = pending(monkeypatch, writer, standby)
    asked = []

    def changed(server: Server, first: str) -> dict[str, str]:
        asked.append(first)
        return {**server.states}

    monkeypatch.setattr(change, "_changed_since", changed)

    change.cover_since(datetime(2026, 11, 28, 1, 0, tzinfo=UTC))
    change.confirm()

    assert {*writer.written} == {"fence", names[7]}
    assert asked[0] == "20261128005900.000000Z#000000#000#000000"


def test_of_too_much_the_comparison_of_both_servers_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    agreement, change = pending(monkeypatch, Server(), Server())
    monkeypatch.setattr(change, "_changed_since", lambda *_: None)

    change.cover_since(datetime(2026, 11, 28, tzinfo=UTC))
    change.confirm()

    agreement.go_alone.assert_called_once_with(1)


@pytest.mark.parametrize("there", [True, False])
def test_an_answer_that_relies_on_an_entry_waits_for_that_entry(
    monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """A repeated request finds its work done: by one that died before it was confirmed."""
    writer, standby = Server(**{DN: NEW}), Server(**({DN: NEW} if there else {}))
    _, change = pending(monkeypatch, writer, standby)

    change.cover(None, DN)
    change.cover(NEW)
    change.confirm()

    assert bool(writer.written) is not there


def test_what_is_gone_from_the_writer_must_be_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    writer, standby = Server(), Server(**{DN: NEW})
    agreement, change = pending(monkeypatch, writer, standby)

    change.cover(NEW)
    change.cover(None, DN)
    change.confirm()

    agreement.go_alone.assert_called_once_with(1)


def test_a_writer_that_has_fallen_is_not_said_to_be_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has not passed on its last change: the other server takes its place without that."""
    agreement, change = pending(monkeypatch, Server(**{DN: NEW}), Server())
    lacking = Mock(covers=lambda _: False)

    def context(purpose: Purpose) -> Any:
        if purpose is Purpose.WRITE:
            raise ServerDown("killed")
        return lacking

    monkeypatch.setattr(change, "_context", context)
    change.note(DN, NEW)

    with pytest.raises(ServerDown, match="killed"):
        change.confirm()

    agreement.go_alone.assert_not_called()
