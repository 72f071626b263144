"""What a token may do: every endpoint with every scope, in every domain.

The calls, and what the admins of a domain get for them, are those of `test_rights.py`; the scopes
are written by hand in `tests/support/scopes.py`.
"""

from pathlib import Path
from typing import Any

import pytest
import requests

from iredldap.app import create_app
from iredldap.dit import token_scopes
from iredldap.web.endpoints.index import ENDPOINTS
from tests.integration.web.test_rights import (
    DENIED,
    HERE,
    NORMAL,
    POLICIES,
    SERVED,
    STANDALONE,
    STRANGER,
    TABLE,
    THERE,
    Outcome,
    beside,
    call,
    company,
    outcome,
    policies,
)
from tests.support.client import Client, refused
from tests.support.databases import Urls, sqlite_databases
from tests.support.in_process import URL, InProcess
from tests.support.scopes import expected
from tests.support.serving import Served
from tests.support.world import ADMIN, World

__all__ = ["beside", "company"]

ROWS = {endpoint.id: endpoint for endpoint in ENDPOINTS if not endpoint.is_open}
SCOPED = {id_: scopes for id_, row in ROWS.items() if (scopes := expected(row))}

ALL_DOMAINS, THIS_DOMAIN, ANOTHER_DOMAIN = DOMAINS = ("", HERE, THERE)
"""What a token of a global admin is limited to; nothing at all first."""

LIKE = {ALL_DOMAINS: STANDALONE, THIS_DOMAIN: NORMAL, ANOTHER_DOMAIN: STRANGER}
"""Which admin a token with the right scopes has the rights of."""


@pytest.fixture
def urls(tmp_path: Path) -> Urls:
    return sqlite_databases(tmp_path)


def bearer(served: Served, scopes: set[str], domain: str) -> Client:
    """A client with a token of the standalone global admin."""
    admin = served.client().log_in(ADMIN)
    limit = {"domains": domain} if domain else {}
    answer = admin.post("/api/tokens", name="test", scopes=",".join(scopes), **limit)
    client = served.client()
    client.session.headers["Authorization"] = f"Bearer {answer.json()['_data']['secret']}"
    return client


def in_process(served: Served, client: Client) -> Client:
    """The same client, without a server between it and an app of the same settings."""
    client.session.mount(URL, InProcess(create_app(served.config, served.gateways)))
    return Client(URL, client.session)


def lacks_scope(answer: requests.Response, needed: set[str]) -> bool:
    refused(answer, *DENIED)
    wanted = f'error="insufficient_scope", scope="{" ".join(sorted(needed))}"'
    return answer.headers.get("WWW-Authenticate", "").endswith(wanted)


def test_every_scope_that_is_needed_can_be_given() -> None:
    assert {scope for scopes in SCOPED.values() for scope in scopes} <= {*token_scopes.SCOPES}


@pytest.mark.parametrize("domain", [ALL_DOMAINS, THIS_DOMAIN])
@pytest.mark.parametrize("area", token_scopes.AREAS)
def test_a_scope_opens_nothing_else(
    served: Served, company: World, urls: Urls, area: str, domain: str
) -> None:
    """Every endpoint that needs another one, or more, refuses it, and nothing is changed."""
    before, policies_before = company.snapshot(), policies(urls)
    for scope in (f"{area}:{verb}" for verb in token_scopes.VERBS):
        client = in_process(served, bearer(served, {scope}, domain))
        for id_, needed in SCOPED.items():
            if needed != {scope}:
                assert lacks_scope(call(client, id_), needed), (scope, id_)
    assert company.snapshot() == before
    assert policies(urls) == policies_before


def wanted(id_: str, domain: str) -> Outcome:
    return TABLE[id_].rule[LIKE[domain]]


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("id_", [id_ for id_ in SERVED if id_ in ROWS])
def test_with_its_scopes_a_token_acts_as_an_admin_of_its_domains(
    served: Served, company: World, id_: str, domain: str
) -> None:
    """Who may gets it done; who may not changes nothing."""
    client = bearer(served, SCOPED.get(id_, {"users:read"}), domain)
    before = company.snapshot()

    answer = call(client, id_)

    assert outcome(answer) == wanted(id_, domain)
    is_changed = company.snapshot() != before
    assert is_changed == (TABLE[id_].changes and answer.status_code == 200)


@pytest.mark.parametrize("domain", DOMAINS)
def test_policies_with_their_scopes(
    served: Served, company: World, urls: Urls, domain: str
) -> None:
    clients: dict[str, Any] = {
        scope: bearer(served, {scope}, domain)
        for scope in {scope for id_ in POLICIES for scope in SCOPED[id_]}
    }
    for id_, case in POLICIES.items():
        before = policies(urls)
        (scope,) = SCOPED[id_]

        answer = call(clients[scope], id_)

        assert outcome(answer) == wanted(id_, domain), id_
        assert (policies(urls) != before) == (case.changes and answer.status_code == 200), id_
