"""An answer that may be out of date says so; the next one of the thread does not."""

from typing import cast

import falcon

from iredldap.errors import NoSuchAccount, NoSuchToken, Refusal, ServerDown
from iredldap.gateways.directory import Directory
from iredldap.web.stale_reads import StaleReads


class Noted:
    """What a thread is to be told, as `Directory` keeps it."""

    def __init__(self) -> None:
        self.notice: str | None = None

    def take_notice(self) -> str | None:
        taken, self.notice = self.notice, None
        return taken


def test_it_is_told_once_and_to_the_request_that_read() -> None:
    noted = Noted()
    stale = StaleReads(cast("Directory", noted))
    first, second, third = falcon.Response(), falcon.Response(), falcon.Response()

    noted.notice = "read from ldap://b"
    stale.mark(first)
    stale.mark(second)
    # What a request has left that ended without an answer.
    noted.notice = "read from ldap://b"
    stale.forget()
    stale.mark(third)

    told = [response.get_header("Warning") for response in (first, second, third)]
    assert told == ['110 - "the directory may lack the last changes"', None, None]


def test_what_a_server_lacks_that_is_behind_may_exist() -> None:
    """A panel that is told 404 makes an account anew."""
    noted = Noted()
    stale = StaleReads(cast("Directory", noted))
    missing: Refusal = NoSuchAccount("ann")
    token: Refusal = NoSuchToken("of the state database")

    assert stale.judged(missing) is missing
    noted.notice = "read from ldap://b"
    assert stale.judged(token) is token
    told = stale.judged(missing)

    assert isinstance(told, ServerDown)
    assert told.detail == "ann: read from ldap://b"
    assert stale.judged(missing) is missing
