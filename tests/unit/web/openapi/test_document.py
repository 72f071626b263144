"""Parts of the OpenAPI document that are made for people: areas and examples."""

import pytest

from iredldap.dit.fields import Field
from iredldap.dit.form_parser import parse
from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.endpoints.index import ENDPOINTS
from iredldap.web.openapi.groups import GROUPS, group_of
from iredldap.web.openapi.requests import example, form, has_form
from iredldap.web.openapi.schemas import DATA

FORMS = [endpoint for endpoint in ENDPOINTS if has_form(endpoint)]
ROWS = [
    pytest.param(endpoint, row, id=f"{endpoint.id}-{row.name}")
    for endpoint in FORMS
    for row in endpoint.table
]


def test_every_endpoint_has_an_area() -> None:
    """No area is without an endpoint, and no word is in two of them."""
    words = [word for area in GROUPS for word in area.words]

    assert {group_of(endpoint) for endpoint in ENDPOINTS} == {*GROUPS}
    assert sorted(words) == sorted({*words})


def test_every_shape_is_known() -> None:
    assert {endpoint.shape for endpoint in ENDPOINTS} - DATA.keys() == set()


@pytest.mark.parametrize("endpoint", FORMS, ids=lambda endpoint: endpoint.id)
def test_an_example_is_accepted(endpoint: Endpoint) -> None:
    """As it stands, by the endpoint that it is an example of."""
    shown = example(endpoint.table)

    parsed = parse(endpoint.table, {name: [str(value)] for name, value in shown.items()})

    assert parsed.changes
    assert (parsed.unknown, parsed.dropped) == ((), ())


@pytest.mark.parametrize(("endpoint", "row"), ROWS)
def test_every_parameter_has_an_example(endpoint: Endpoint, row: Field) -> None:
    (shown,) = form(endpoint.table)["properties"][row.name]["examples"]

    alone = row.but(required=False, required_with=())
    parsed = parse((alone,), {row.name: [str(shown)]})

    assert parsed.changes
    assert parsed.dropped == ()
