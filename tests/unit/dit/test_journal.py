"""What the admin log says of a request."""

import pytest

from iredldap.dit import domain, user
from iredldap.dit.fields import Form, Table
from iredldap.dit.form_parser import parse
from iredldap.dit.journal import Note, note
from iredldap.dit.request import Request

ANN = {"mail": "ann@corp.test"}


def told(endpoint: str, names: dict[str, str], table: Table = (), form: Form | None = None) -> Note:
    return note(Request(endpoint, names, parse(table, form or {})))


@pytest.mark.parametrize(
    ("endpoint", "event"),
    [
        ("login", "login"),
        ("domain_create", "create"),
        ("user_delete_keep", "delete"),
        ("maillist_update", "update"),
        ("user_change_email", "update"),
        ("wblist_outbound_blacklist_user_clear", "update_wblist"),
        ("spampolicy_user_delete", "update"),
        ("greylisting_domain_delete", "update"),
        ("ldif_domain", "backup"),
        ("ldif_restore", "update"),
    ],
)
def test_an_endpoint_is_an_event(endpoint: str, event: str) -> None:
    """One of those that the pages of iRedAdmin filter by; a policy is no account."""
    assert told(endpoint, ANN).event == event


@pytest.mark.parametrize(
    ("form", "event"),
    [
        ({"accountStatus": ["enabled"]}, "active"),
        ({"accountStatus": ["no"]}, "disable"),
        ({"accountStatus": ["no"], "name": ["Ann"]}, "update"),
        ({"isGlobalAdmin": ["yes"]}, "grant"),
        ({"isGlobalAdmin": ["no"]}, "revoke"),
        ({"name": ["Ann"]}, "update"),
    ],
)
def test_a_parameter_alone_may_be_an_event(form: Form, event: str) -> None:
    assert told("user_update", ANN, user.UPDATE, form).event == event


@pytest.mark.parametrize("name", ["password", "password_hash"])
def test_a_password_is_only_mentioned(name: str) -> None:
    """Neither it nor its hash is anybody's business."""
    secret = "{SSHA}W9FFYEfg/XKQ"
    assert told("user_update", ANN, user.UPDATE, {name: [secret]}).message == (
        f"[API] user update ann@corp.test: {name}"
    )


def test_a_cleared_list_is_told_as_such() -> None:
    sent = told("domain_update", {"domain": "corp.test"}, domain.UPDATE, {"catchall": [""]})

    assert sent == Note("update", "corp.test", "", "[API] domain update corp.test: catchall=")


def test_a_long_story_is_cut() -> None:
    """The column of MariaDB ends at 64 KB, and nobody reads so far."""
    many = ",".join(f"user{number}@else.test" for number in range(1000))

    message = told("user_update", ANN, user.UPDATE, {"addForwarding": [many]}).message

    assert len(message) == 4000
