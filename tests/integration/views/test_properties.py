"""Any parameters, and any stored values: the view of them is sent back, and nothing changes."""

from collections.abc import Mapping
from typing import Any

import ldap
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iredldap.dit.fields import Field, Verb
from iredldap.dit.views.kinds import KINDS
from tests.support.client import Client, done
from tests.support.examples import examples
from tests.support.mlmmjadmin import MlmmjadminServer
from tests.support.patience import PATIENCE
from tests.support.views import STRANGE, round_trip
from tests.support.world import World

# The functions in them are property tests: `make fuzz` looks for them by this mark.
pytestmark = pytest.mark.hypothesis

CORP = "corp.test"
PATHS = {
    "domain": f"/api/domain/{CORP}",
    "user": f"/api/user/bob@{CORP}",
    "alias": f"/api/alias/team@{CORP}",
    "maillist": f"/api/maillist/crew@{CORP}",
    "ml": f"/api/ml/news@{CORP}",
    "admin": "/api/admin/eve@far.test",
}
ADDRESSES = [f"ann@{CORP}", "x@far.test", "O'Neil@far.test", f"bob@{CORP}", "a+b@far.test"]
TEXTS = ["Bob", "Zoë  Ünal", "a, b", "<&>"]

VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "string": st.sampled_from(TEXTS),
    "email": st.sampled_from(ADDRESSES[:3]),
    "csv_emails": st.lists(st.sampled_from(ADDRESSES), max_size=4),
    "csv_domains": st.lists(st.sampled_from(["a.test", "b.test", "Ü.test"]), max_size=2),
    "csv_services": st.lists(st.sampled_from(["mail", "imap", "forward", "own"]), max_size=4),
    "csv_strings": st.lists(st.sampled_from(["+1 2", "555-0100", "X"]), max_size=2),
    "csv_headers": st.lists(st.sampled_from(["X-A: 1", "X-B: b c"]), max_size=2),
    "int_mb": st.sampled_from([0, 1, 1024]),
    "int_bytes": st.sampled_from([0, 12345]),
    "int_count": st.sampled_from([0, 8]),
    "int_limit": st.sampled_from([-1, 0, 8]),
    "int_quota_unit": st.sampled_from([0, 5]),
    "bool_yes_no": st.sampled_from(["yes", "no"]),
    "lang": st.sampled_from(["de_DE", ""]),
    "transport": st.sampled_from(["smtp:[192.0.2.1]:25", "dovecot"]),
    "relay": st.sampled_from(["[smtp.far.test]:587", ""]),
    "ip_or_host": st.sampled_from(["[192.0.2.1]:25"]),
    "path": st.sampled_from([f"/var/vmail/vmail1/{CORP}/Bob"]),
}
"""Values of parameters, by the types of their kinds."""

ALONE: dict[str, st.SearchStrategy[Any]] = {
    "extra_addresses": st.lists(st.sampled_from([f"n@{CORP}", f"news@{CORP}"]), max_size=2)
}
ALONE["aliases"] = st.lists(st.sampled_from([f"b@{CORP}", f"rob@{CORP}"]), max_size=2)
ALONE["mailboxFolder"] = st.just("Mail")
"""Values of those that take no others of their kind."""


@pytest.fixture
def beside(mlmmjadmin: MlmmjadminServer) -> dict[str, dict[str, Any]]:
    return {"mlmmjadmin": mlmmjadmin.settings}


@pytest.fixture
def corp(api: Client) -> str:
    """One thing of each kind."""
    done(api.post(PATHS["domain"]))
    for name in ("ann", "bob"):
        done(api.post(f"/api/user/{name}@{CORP}", password="a good password"))
    for kind in ("alias", "maillist", "ml"):
        done(api.post(PATHS[kind]))
    done(api.post(PATHS["admin"], password="a good password"))
    return CORP


def _sent(row: Field) -> st.SearchStrategy[Any]:
    choices = row.kind.choices
    if row.kind.type == "enum" or (choices and not row.kind.many):
        return st.sampled_from(choices)
    if choices:
        return st.lists(st.sampled_from(choices), max_size=3, unique=True)
    return ALONE.get(row.name, VALUES[row.kind.type])


def _parameters(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    rows = [row for row in KINDS[kind].rows if row.verb is not Verb.REMOVE]
    return st.fixed_dictionaries({}, optional={row.name: _sent(row) for row in rows})


@pytest.mark.parametrize("kind", PATHS)
def test_what_was_set_is_sent_back(api: Client, world: World, corp: str, kind: str) -> None:
    """And it is what was sent, as far as that was taken."""
    path = PATHS[kind]

    @examples(6)
    @given(_parameters(kind))
    def judge(sent: dict[str, Any]) -> None:
        answer = api.session.put(api.url + path, json=sent, timeout=PATIENCE)
        assert answer.status_code in {200, 400, 403, 409}, answer.text
        round_trip(api, world, path)

    judge()


@pytest.mark.parametrize("kind", STRANGE)
def test_whatever_is_stored_is_sent_back(api: Client, world: World, corp: str, kind: str) -> None:
    dns = {
        "user": world.tree.user(f"bob@{CORP}"),
        "domain": world.tree.domain(CORP),
        "alias": world.tree.alias(f"team@{CORP}"),
        "admin": world.tree.admin("eve@far.test"),
    }
    values = {name: st.sampled_from(held) for name, held in STRANGE[kind].items()}

    @examples(8)
    @given(st.fixed_dictionaries({}, optional=values))
    def judge(stored: dict[str, Any]) -> None:
        for name, value in stored.items():
            try:
                world.set(dns[kind], **{name: value})
            except ldap.INVALID_SYNTAX:
                continue
        round_trip(api, world, PATHS[kind])

    judge()
