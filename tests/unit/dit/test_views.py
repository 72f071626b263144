"""Views of entries that any tool may have written, and requests with them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iredldap.dit.entry import Entry
from iredldap.dit.form_parser import parse, refuse_leftovers
from iredldap.dit.views.kinds import DOMAIN, KINDS, domain_kept, user_kept
from iredldap.dit.views.params import LEFT_OUT, ParamsSource, View, form_of, params
from tests.support.examples import examples
from tests.support.views import CORP, STRANGE

# The function in it is a property test: `make fuzz` looks for it by this mark.
pytestmark = pytest.mark.hypothesis

PLAIN = {
    "domainName": CORP,
    "mail": f"bob@{CORP}",
    "cn": "Bob",
    "accountStatus": "active",
    "mtaTransport": "dovecot",
    "enabledService": ["mail"],
}


def view(kind: str, stored: dict[str, Any]) -> View:
    attributes = {
        name: [value.encode() for value in ([held] if isinstance(held, str) else held)]
        for name, held in (PLAIN | stored).items()
    }
    entry = Entry("mail=bob", attributes)
    kept = {"user": lambda: user_kept(entry, ["a.test"]), "domain": lambda: domain_kept(entry)}
    return params(KINDS[kind], ParamsSource(entry, kept=kept[kind]() if kind in kept else {}))


@pytest.mark.parametrize("kind", STRANGE)
def test_whatever_is_stored_has_a_view_that_is_a_request(kind: str) -> None:
    """Each parameter is in it, or named; nothing of it is refused or ignored."""
    values = {name: st.sampled_from(held) for name, held in STRANGE[kind].items()}

    @examples(40)
    @given(st.fixed_dictionaries({}, optional=values))
    def judge(stored: dict[str, Any]) -> None:
        shown = view(kind, stored)
        left_out = {*shown.pop(LEFT_OUT, ())}
        assert not left_out & shown.keys()
        names = {row.name for row in KINDS[kind].rows}
        form = form_of({name: shown[name] for name in names & {*shown}})
        refuse_leftovers(parse(KINDS[kind].table, form, is_view=True))

    judge()


def test_a_backup_mx_of_any_spelling() -> None:
    shown = view("domain", {"domainBackupMX": "YES", "mtaTransport": "relay:[192.0.2.1]"})
    assert (shown["is_backupmx"], shown["primarymx"]) == ("yes", "[192.0.2.1]")
    assert not {LEFT_OUT, "transport"} & shown.keys()
    shown = view("domain", {"domainBackupMX": "yes", "mtaTransport": "relay:"})
    assert shown[LEFT_OUT] == ["is_backupmx"]
    assert DOMAIN.only({"quota"}) is DOMAIN
