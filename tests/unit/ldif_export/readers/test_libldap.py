"""Reading entries from a connection that answers as it is told."""

from collections.abc import Iterator
from typing import Any

import ldap
import pytest

from iredldap.directory_errors import (
    DirectoryFailed,
    ExceededLdapServerAdminlimit,
    ExceededLdapServerSizelimit,
    ExceededLdapServerTimelimit,
)
from iredldap.dit.names import Tree
from iredldap.errors import NoSuchAccount, ServerDown
from ldif_export.readers.libldap import entries
from ldif_export.selection import Selection

TREE = Tree("dc=example,dc=org")
DOMAIN = TREE.domain("a.test")
USERS = TREE.container("a.test", "Users")
LIST = TREE.maillist("l@a.test")

Answer = str | Exception | list[str]


class Connection:
    """A connection whose searches give the scripted answers, in order.

    The domain is found where iRedMail's own tools put it, beside the script.
    An answer is the DN of an entry, an exception, or a list with a referral's address.
    """

    def __init__(self, *answers: list[Answer]) -> None:
        self._answers = list(answers)
        self._streams: dict[int, Iterator[Answer]] = {}
        self.abandoned: list[int] = []

    def search_ext(self, _base: str, scope: int, *_search: object, **_options: object) -> int:
        number = len(self._streams) + 1
        looks_for_domain = scope == ldap.SCOPE_ONELEVEL
        self._streams[number] = iter([DOMAIN] if looks_for_domain else self._answers.pop(0))
        return number

    def result3(self, number: int, *_options: object) -> Any:
        match next(self._streams[number], None):
            case None:
                return ldap.RES_SEARCH_RESULT, [], number, []
            case str(dn):
                return ldap.RES_SEARCH_ENTRY, [(dn, {"cn": [b"x"]})], number, []
            case list(addresses):
                return ldap.RES_SEARCH_REFERENCE, [(None, addresses)], number, []
            case Exception() as ex:
                raise ex

    def abandon_ext(self, number: int) -> None:
        self.abandoned.append(number)


def read(connection: Connection, selection: Selection) -> list[str]:
    return [dn for dn, _ in entries(connection, TREE, selection)]


def test_containers_go_before_what_they_contain() -> None:
    """However they arrive, a parent is given before its children, and the rest after both."""
    connection = Connection([USERS, f"ou=Sub,{USERS}", DOMAIN], [f"mail=x,{USERS}"])
    assert read(connection, Selection("domain", "a.test")) == [
        DOMAIN,
        USERS,
        f"ou=Sub,{USERS}",
        f"mail=x,{USERS}",
    ]
    assert connection.abandoned == []


def test_a_domain_without_accounts_is_a_domain() -> None:
    """Its second search may find nothing."""
    assert read(Connection([DOMAIN], []), Selection("domain", "a.test")) == [DOMAIN]


def test_an_entry_of_another_kind_is_none() -> None:
    """A search that finds nothing where one entry has to be: there is no such account."""
    with pytest.raises(NoSuchAccount):
        read(Connection([]), Selection("user", "u@a.test"))


def test_a_list_may_have_no_external_members() -> None:
    """No entry has them. The list is read once more, for its further addresses."""
    assert read(Connection([LIST], [LIST], []), Selection("maillist", "l@a.test")) == [LIST]


def test_a_domain_that_goes_meanwhile_is_no_empty_domain() -> None:
    """Deleted between the two searches, it does not pass for one without accounts."""
    gone = ldap.NO_SUCH_OBJECT({"desc": "No such object"})
    with pytest.raises(NoSuchAccount):
        read(Connection([DOMAIN], [gone]), Selection("domain", "a.test"))


@pytest.mark.parametrize(
    ("failure", "refusal"),
    [
        (ldap.SIZELIMIT_EXCEEDED, ExceededLdapServerSizelimit),
        (ldap.TIMELIMIT_EXCEEDED, ExceededLdapServerTimelimit),
        (ldap.ADMINLIMIT_EXCEEDED, ExceededLdapServerAdminlimit),
        (ldap.SERVER_DOWN, ServerDown),
        (ldap.TIMEOUT, ServerDown),
    ],
)
def test_a_result_that_is_not_whole_raises(
    failure: type[Exception], refusal: type[Exception]
) -> None:
    """Entries that came before the failure do not make it an end; nor do parts that give none."""
    failed = failure({"desc": "x"})
    connection = Connection([DOMAIN, USERS], [f"mail=x,{USERS}", failed], [failed], [failed])
    found = entries(connection, TREE, Selection("domain", "a.test"))
    assert [next(found)[0] for _ in range(3)] == [DOMAIN, USERS, f"mail=x,{USERS}"]
    with pytest.raises(refusal):
        next(found)


def test_a_reference_raises_and_abandons() -> None:
    """What lies on another server would be missing."""
    connection = Connection([DOMAIN, ["ldap://b.test/o=x"]])
    with pytest.raises(DirectoryFailed):
        read(connection, Selection("domain", "a.test"))
    assert connection.abandoned == [2]


def test_closing_abandons_the_search() -> None:
    """A reader that leaves does not keep the directory busy."""
    connection = Connection([DOMAIN, USERS], [f"mail=x,{USERS}", f"mail=y,{USERS}"])
    found = entries(connection, TREE, Selection("domain", "a.test"))
    for _ in range(3):
        next(found)
    found.close()
    assert connection.abandoned == [3]
