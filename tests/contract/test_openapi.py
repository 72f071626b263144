"""The OpenAPI document is valid and describes what is served."""

from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from iredldap.dit.fields import Field
from iredldap.dit.names import Tree
from iredldap.dit.views.rows import VIEW
from iredldap.embedded.slapd import Slapd
from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.endpoints.index import SERVED
from iredldap.web.openapi.document import described_at
from tests.support.databases import sqlite_urls
from tests.support.serving import configuration, serving
from tests.support.world import SUFFIX, World

PARAMETERS = [(e, row) for e in SERVED for row in e.table if row is not VIEW]
"""Views have paths of their own."""


@pytest.fixture(scope="module")
def document(slapd: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """As somebody gets it who is not logged in."""
    folder = tmp_path_factory.mktemp("served")
    config = configuration(World(slapd, Tree(SUFFIX)), folder, sqlite_urls(folder))
    with serving(config) as served:
        answer = served.client().get("/openapi.json")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    return answer.json()


def test_is_valid(document: Any) -> None:
    assert document["openapi"].startswith("3.1.")

    errors = [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()]

    assert errors == []


def test_names_every_endpoint_and_no_other(document: Any) -> None:
    described = {
        (method.upper(), path): operation["operationId"]
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }

    assert described.keys() == {(e.method, described_at(e)) for e in SERVED}
    assert len({*described.values()}) == len(described)
    own = {(e.method, e.path): e.id for e in SERVED if e.route == e.path}
    assert own.items() <= described.items()


@pytest.mark.parametrize("endpoint", SERVED, ids=lambda endpoint: endpoint.id)
def test_says_which_endpoints_need_a_login(document: Any, endpoint: Endpoint) -> None:
    operation = document["paths"][described_at(endpoint)][endpoint.method.lower()]

    either = [{"session": []}, {"token": [*endpoint.scopes]}]
    assert operation["security"] == ([] if endpoint.is_open else either)


@pytest.mark.parametrize("endpoint", SERVED, ids=lambda endpoint: endpoint.id)
def test_names_every_code(document: Any, endpoint: Endpoint) -> None:
    responses = document["paths"][described_at(endpoint)][endpoint.method.lower()]["responses"]
    described = " ".join(answer.get("description", "") for answer in responses.values())

    assert "default" not in responses
    assert [code for code in endpoint.errors if code not in described] == []


@pytest.mark.parametrize("endpoint", SERVED, ids=lambda endpoint: endpoint.id)
def test_says_which_endpoints_refuse_pages_of_other_sites(
    document: Any, endpoint: Endpoint
) -> None:
    """All that change something, and the login."""
    responses = document["paths"][described_at(endpoint)][endpoint.method.lower()]["responses"]

    told = "CROSS_SITE_REQUEST" in responses.get("403", {"description": ""})["description"]
    assert told == (endpoint.method != "GET")


@pytest.mark.parametrize(
    ("endpoint", "row"),
    [pytest.param(e, row, id=f"{e.id}-{row.name}") for e, row in PARAMETERS],
)
def test_describes_every_parameter(document: Any, endpoint: Endpoint, row: Field) -> None:
    """With its older names, which are deprecated."""
    for schemas in places(document, endpoint):
        assert row.meaning in schemas[row.name]["description"]
        assert "deprecated" not in schemas[row.name]
        assert [alias for alias in row.aliases if not schemas[alias].get("deprecated")] == []


def places(document: Any, endpoint: Endpoint) -> list[dict[str, Any]]:
    """The schemas of an endpoint's parameters by name, once for each way to send them."""
    operation = document["paths"][described_at(endpoint)][endpoint.method.lower()]
    if "requestBody" not in operation or endpoint.takes_file:
        return [{p["name"]: p | p["schema"] for p in operation["parameters"] if p["in"] == "query"}]
    content = operation["requestBody"]["content"]
    assert content.keys() == {"application/json"}
    name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
    return [document["components"]["schemas"][name]["properties"]]
