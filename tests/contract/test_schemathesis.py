"""The served API answers as its OpenAPI document says, whatever it is sent.

Requests are made from the document itself, good ones and bad ones, the same in every run.
"""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

import pytest
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from iredldap.config.sections import SessionSettings
from iredldap.dit.names import Tree
from iredldap.embedded.slapd import Slapd
from iredldap.web.openapi.document import document
from tests.support.client import Client, done
from tests.support.examples import examples
from tests.support.gunicorn import gunicorn
from tests.support.mlmmjadmin import MlmmjadminServer
from tests.support.patience import PATIENCE
from tests.support.world import SUFFIX, World

EXAMPLES = 8

# `make fuzz` runs it, too.
pytestmark = pytest.mark.hypothesis

DOMAIN = "here.test"
OTHER = "admin@elsewhere.test"
PASSWORD = "some password of hers"

MADE = {
    "user": f"ann@{DOMAIN}",
    "maillist": f"news@{DOMAIN}",
    "alias": f"team@{DOMAIN}",
    "ml": f"talk@{DOMAIN}",
    "catchall": f"@{DOMAIN}",
    "admin": OTHER,
}
"""Accounts that are there, by the word that paths have for them."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

CONFIG = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})
SCHEMA = schemathesis.openapi.from_dict(document(SessionSettings.cookie_name), config=CONFIG)

FOUND: Iterable[Any] = SCHEMA.get_all_operations()
OPERATIONS = [found.ok() for found in FOUND]


@SCHEMA.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any]:
    """Name what is there instead of most words, so that requests come past the door."""
    known = names(context.operation.method, context.operation.path)
    return {
        name: known[name] if name in known and len(str(word)) % 4 else word
        for name, word in (path_parameters or {}).items()
    }


def names(method: str, path: str) -> dict[str, str]:
    """What the variables of a path stand for; to be made it must not be there."""
    creates = method == "post" and path.endswith(("/{domain}", "/{mail}")) and path.count("/") == 3
    mail = next((MADE[word] for word in path.split("/") if word in MADE), MADE["user"])
    return {
        "domain": "new.test" if creates else DOMAIN,
        "mail": f"new-{mail}" if creates else mail,
        "new_mail": f"new@{DOMAIN}",
        "account": mail,
        "file": "page.js",
    }


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlmmjadminServer]:
    """A stand-in for mlmmjadmin."""
    with closing(MlmmjadminServer(tmp_path_factory.mktemp("lists"))) as server:
        yield server


@pytest.fixture(scope="module")
def url(
    slapd: Slapd, lists: MlmmjadminServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The API under gunicorn, which reads bodies of every kind, in pieces too."""
    beside = {f"MLMMJADMIN_{name.upper()}": value for name, value in lists.settings.items()}
    folder = tmp_path_factory.mktemp("served")
    with gunicorn(World(slapd, Tree(SUFFIX)), folder, **beside) as served:
        yield served


@pytest.fixture
def caller(world: World, lists: MlmmjadminServer, url: str) -> Iterator[Client]:
    """A global admin with something to work on, who is one afterwards too."""
    client = Client(url).log_in()
    done(client.post(f"/api/domain/{DOMAIN}"))
    done(client.put(f"/api/domain/{DOMAIN}", catchall=OTHER))
    done(client.post(f"/api/admin/{OTHER}", password=PASSWORD))
    done(client.post(f"/api/user/{MADE['user']}", password=PASSWORD))
    for kind in ("maillist", "alias", "ml"):
        done(client.post(f"/api/{kind}/{MADE[kind]}"))
    yield client
    Client(url).log_in()
    shutil.rmtree(lists.spool)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_answers_as_described(operation: Any, caller: Client) -> None:
    """No status, type, header or content that the document does not have, and no 5xx."""

    @examples(EXAMPLES)
    @given(case=st.one_of([operation.as_strategy(generation_mode=mode) for mode in GenerationMode]))
    def call(case: Any) -> None:
        answer = case.call(base_url=caller.url, session=caller.session, timeout=PATIENCE)
        case.validate_response(answer, checks=CHECKS)

    call()
