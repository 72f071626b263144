"""What a change notes of its writes."""

from typing import Any
from unittest.mock import Mock

from iredldap.gateways.cluster.agreement import Agreement
from iredldap.gateways.cluster.confirmation import PendingChange


def csn(second: int, server_id: int) -> str:
    return f"202611280000{second:02d}.000000Z#000000#{server_id:03x}#000000"


def test_the_server_id_of_the_writer_is_that_of_its_writes() -> None:
    """Not that of a state which the change relies on, though the clock of its server be ahead."""
    agreement: Any = Mock(spec=Agreement)
    change = PendingChange(7, agreement, Mock(), Mock())

    change.cover(csn(30, 2))
    change.note("a deleted entry", None)
    change.note(None, None)
    agreement.wrote_as.assert_not_called()

    change.note(None, csn(10, 1))
    agreement.wrote_as.assert_called_once_with(7, 1)
