"""What is told of a directory, by what it shows."""

from typing import Any, cast

import pytest

from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.dit.entry import Entry
from iredldap.dit.plan import Query
from iredldap.errors import InternalError, Refusal, ServerDown
from iredldap.gateways.directory import Directory
from iredldap.operations.diagnosis import findings

SUFFIX = "dc=mail,dc=example,dc=com"
SETTINGS = LdapSettings(
    uri=("ldap://127.0.0.1",),
    suffix=SUFFIX,
    bind_dn=f"cn=vmailadmin,{SUFFIX}",
    bind_password=Secret("x"),
)


class Shown:
    """A directory with a limit, and databases as its monitor has them."""

    def __init__(
        self,
        *found: Entry,
        limit: int | None = None,
        refusal: Refusal | None = None,
        judges: bool = True,
    ) -> None:
        self._found = [*found]
        self._limit = limit
        self._refusal = refusal
        self._judges = judges

    def size_limit(self) -> int | None:
        return self._limit

    def can_judge(self) -> bool:
        return self._judges

    def find(self, _: Query) -> list[Entry]:
        if self._refusal:
            raise self._refusal
        return self._found


def database(context: str, **pages: int) -> Entry:
    values: dict[str, Any] = {f"olmMDBPages{n}": [b"%d" % number] for n, number in pages.items()}
    return Entry("cn=Database 1", {"namingContexts": [context.encode()], **values})


def told(shown: Shown) -> list[findings.Finding]:
    """What is told of some directories only."""
    return everything(shown)[:-1]


def everything(shown: Shown) -> list[findings.Finding]:
    return [*findings.find_all(cast("Directory", shown), SETTINGS)]


@pytest.mark.parametrize(
    ("used", "free", "words", "warns"),
    [
        (500, 0, "50% full", False),
        (990, 200, "79% full", False),
        (990, 190, "80% full; once it is", True),
        (1000, 0, "100% full", True),
    ],
)
def test_a_database_is_told_of_before_it_is_full(
    used: int, free: int, words: str, *, warns: bool
) -> None:
    """Pages that were freed are room; the database may begin above our suffix."""
    (found,) = told(Shown(database("dc=example,dc=com", Used=used, Free=free, Max=1000)))
    assert words in found.words
    assert found.warns is warns


def test_other_databases_are_not_ours() -> None:
    assert told(Shown(database("dc=other,dc=test", Used=1000, Free=0, Max=1000))) == []


def test_a_monitor_that_is_not_for_us_is_no_fault() -> None:
    """A directory that does not answer is."""
    assert told(Shown(refusal=InternalError("Insufficient access"))) == []
    with pytest.raises(ServerDown):
        told(Shown(refusal=ServerDown("away")))


@pytest.mark.parametrize(("judges", "words"), [(True, "is offered"), (False, "is not offered now")])
def test_whether_writes_are_judged_first_is_told(words: str, *, judges: bool) -> None:
    """Either way it works, so nothing is to be done about it."""
    found = everything(Shown(judges=judges))[-1]
    assert found.words.startswith(f"the No-Op control {words} to cn=vmailadmin,")
    assert not found.warns
