"""The scopes of endpoints: each has one, by its path and method or by its row."""

from collections.abc import Iterable

import pytest

from iredldap.dit import token_scopes
from iredldap.dit.fields import FieldChange, Table
from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.endpoints.index import ENDPOINTS
from tests.support.scopes import OTHERS, expected

BY_ID = {endpoint.id: endpoint for endpoint in ENDPOINTS}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.id)
def test_every_endpoint_has_its_scope(endpoint: Endpoint) -> None:
    """By its area and its method, or by its row; whoever adds one says here which it is."""
    assert {*endpoint.scopes} == expected(endpoint)
    assert {*endpoint.scopes} <= {*token_scopes.SCOPES}


def sent(table: Table, *names: str) -> Iterable[FieldChange]:
    return [FieldChange(field, ("x",)) for field in table if field.name in names]


@pytest.mark.parametrize(
    ("id_", "parameters", "scopes"),
    [
        ("user_update", (), {"users:update"}),
        ("user_update", ("name",), {"users:update"}),
        ("user_update", ("password",), {"passwords:update"}),
        ("user_update", ("password_hash",), {"passwords:update"}),
        ("user_update", ("name", "password"), {"users:update", "passwords:update"}),
        ("user_update", ("isGlobalAdmin",), {"admins:update"}),
        ("users_update", ("password",), {"passwords:update"}),
        ("user_create", ("name", "password"), {"users:create"}),
        ("user_create", ("password_hash",), {"users:create"}),
        ("admin_create", ("password", "isGlobalAdmin"), {"admins:create"}),
        ("admin_update", ("password",), {"admins:update"}),
        ("user_verify_password", ("password",), {"passwords:read"}),
        ("ldif_restore", ("overwrite",), OTHERS["ldif_restore"]),
    ],
)
def test_a_parameter_may_belong_to_another_area(
    id_: str, parameters: tuple[str, ...], scopes: set[str]
) -> None:
    endpoint = BY_ID[id_]
    assert endpoint.scopes_for(sent(endpoint.table, *parameters)) == scopes


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.id)
def test_no_secret_is_changed_by_the_scope_of_its_endpoint(endpoint: Endpoint) -> None:
    """Whatever rows are added: a secret that exists is for the areas of passwords and admins."""
    if endpoint.is_open or endpoint.method == "GET":
        return
    if any(scope.endswith(":create") for scope in endpoint.scopes):
        return
    for field in endpoint.table:
        if field.kind.secret:
            (scope,) = endpoint.scopes_for([FieldChange(field, ("x",))])
            assert scope.split(":")[0] in {"passwords", "admins"}
