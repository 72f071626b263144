"""Signs of life of the sessions that hold turns."""

from typing import Any
from unittest.mock import Mock

import pytest
from sqlalchemy.exc import OperationalError

from iredldap.config.settings import Secret
from iredldap.errors import ServerDown
from iredldap.gateways.database_locks import DatabaseLocks


def test_a_session_that_is_lost_does_not_end_the_others() -> None:
    locks: Any = DatabaseLocks(Secret("sqlite://"))
    sessions = [Mock(**{"is_due.return_value": True}) for _ in range(5)]
    for lost in sessions[:4]:
        lost.keep_alive.side_effect = OperationalError("SELECT 1", None, Exception("lost"))
    locks._held.update(sessions)

    with pytest.raises(ServerDown):
        locks._keep_alive()

    assert [session.keep_alive.call_count for session in sessions] == [1] * 5
    locks.close()
