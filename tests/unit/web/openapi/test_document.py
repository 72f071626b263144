"""Parts of the OpenAPI document that are made for people: areas and examples."""

import json
from typing import Any

import pytest

from iredldap.dit.fields import Field
from iredldap.dit.form_parser import parse
from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.endpoints.index import ENDPOINTS, SERVED
from iredldap.web.openapi.choices import CHOICES
from iredldap.web.openapi.document import document
from iredldap.web.openapi.groups import GROUPS, group_of
from iredldap.web.openapi.requests import example, form, form_name, has_form
from iredldap.web.openapi.responses import envelopes
from iredldap.web.openapi.schemas import DATA

DOCUMENT = document("cookie")
FORMS = [endpoint for endpoint in ENDPOINTS if has_form(endpoint)]
ROWS = [
    pytest.param(endpoint, row, id=f"{endpoint.id}-{row.name}")
    for endpoint in FORMS
    for row in endpoint.table
]


def texts(value: Any) -> list[str]:
    """A value of a JSON body as a form would have it."""
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def test_every_endpoint_has_an_area() -> None:
    """No area is without an endpoint, and no word is in two of them."""
    words = [word for area in GROUPS for word in area.words]

    assert {group_of(endpoint) for endpoint in ENDPOINTS} == {*GROUPS}
    assert sorted(words) == sorted({*words})


def test_every_shape_is_known() -> None:
    """Those of answers with data."""
    assert {endpoint.shape for endpoint in SERVED if endpoint.returns} - DATA.keys() == set()


def test_schemas_of_one_name_are_one() -> None:
    """Bodies that share a name have the same parameters, and no answer is called like a body."""
    bodies: dict[str, Any] = {}
    for endpoint in FORMS:
        assert bodies.setdefault(form_name(endpoint), endpoint.table) == endpoint.table
    assert bodies.keys() & {*DATA, *envelopes(), *CHOICES} == set()


def test_no_two_places_spell_out_the_same_choices() -> None:
    """They have a name, so that a client has one type for them."""
    spelt = [
        (*schema["enum"],)
        for row in FORMS
        for schema in form(row.table)["properties"].values()
        if "enum" in schema and not schema.get("deprecated")
    ]
    assert [words for words in spelt if spelt.count(words) > 1] == []


def test_every_component_is_referred_to() -> None:
    text = json.dumps(DOCUMENT)
    unused = [
        name
        for kind, named in DOCUMENT["components"].items()
        if kind != "securitySchemes"
        for name in named
        if f'"#/components/{kind}/{name}"' not in text
    ]
    assert unused == []


@pytest.mark.parametrize("endpoint", FORMS, ids=lambda endpoint: endpoint.id)
def test_an_example_is_accepted(endpoint: Endpoint) -> None:
    """As it stands, by the endpoint that it is an example of."""
    shown = example(endpoint.table)

    parsed = parse(endpoint.table, {name: texts(value) for name, value in shown.items()})

    assert parsed.changes
    assert (parsed.unknown, parsed.dropped) == ((), ())


@pytest.mark.parametrize(("endpoint", "row"), ROWS)
def test_every_parameter_has_an_example(endpoint: Endpoint, row: Field) -> None:
    (shown,) = form(endpoint.table)["properties"][row.name]["examples"]

    alone = row.but(required=False, required_with=())
    parsed = parse((alone,), {row.name: texts(shown)})

    assert parsed.changes
    assert parsed.dropped == ()
