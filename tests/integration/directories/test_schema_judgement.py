"""What our reading of a server's schema says about an entry, beside what slapd itself says."""

from collections.abc import Iterator
from typing import Any

import ldap
import pytest
from hypothesis import given
from ldap.controls.simple import ManageDSAITControl

from iredldap.dit.schema import SUBSCHEMA, Schema
from tests.support.examples import examples
from tests.support.exported import TREE, connected, domain, running
from tests.support.fuzz import Draft, drafts

USERS = TREE.container("a.test", "Users")
TAKEN_FOR_A_RACE = (ldap.ALREADY_EXISTS, ldap.SERVER_DOWN)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    home = tmp_path_factory.mktemp("judged")
    # What is thrown away need not be on the disk.
    fast = "envflags nosync nometasync"
    with running(home, domain("a.test"), extra=fast) as slapd, connected(slapd) as connection:
        connection.set_option(ldap.OPT_SERVER_CONTROLS, [ManageDSAITControl()])
        yield connection


@pytest.fixture(scope="module")
def schema(server: Any) -> Schema:
    found = server.search_s(SUBSCHEMA.base, 0, SUBSCHEMA.filter, list(SUBSCHEMA.attributes))
    return Schema(found[0][1])


def refusal(server: Any, dn: str, attributes: dict[str, list[bytes]]) -> str:
    """Add an entry and take it away again; give what slapd says against it."""
    try:
        server.add_s(dn, [*attributes.items()])
    except TAKEN_FOR_A_RACE:
        raise
    except ldap.LDAPError as ex:
        return f"{type(ex).__name__}: {ex}"
    server.delete_s(dn)
    return ""


@examples(300)
@given(draft=drafts())
def test_an_entry_is_refused_where_slapd_refuses_it(
    server: Any, schema: Schema, draft: Draft
) -> None:
    dn = f"{draft.rdn},{USERS}"
    spelled: dict[str, list[bytes]] = {}
    for name, values in draft.attributes:
        spelled.setdefault(schema.spelled(name) or name, []).extend(values)
    said = refusal(server, dn, spelled)
    faults = schema.faults(schema.completed(dn, spelled), dn)
    assert bool(faults) == bool(said), (draft, faults, said)
