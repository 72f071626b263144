"""What a schema has a place for, of what was sent."""

import pytest

from iredldap.directory_errors import NotSupportedByDirectory
from iredldap.dit import alias, domain, placement, subscribable, user
from iredldap.dit.fields import Parsed
from iredldap.dit.form_parser import parse
from iredldap.dit.generations import GENERATIONS
from iredldap.dit.schema import Schema
from tests.unit.dit.test_generations import schema

OLDEST = schema(
    GENERATIONS[0],
    *(("maildomain", name) for name in ("cn", "accountstatus")),
    *(("mailuser", name) for name in ("cn", "mailforwardingaddress")),
    *(("mailalias", name) for name in ("cn", "mailforwardingaddress")),
    ("maillist", "cn"),
)


def judged(kind: str, parsed: Parsed, known: Schema = OLDEST) -> tuple[Parsed, object]:
    return placement.judged(parsed, placement.CLASSES[kind], known)


def test_what_has_a_place_is_left_as_it_is() -> None:
    parsed = parse(domain.UPDATE, {"name": ["Corp"], "accountStatus": ["active"]})

    assert judged("domain", parsed) == (parsed, ())


def test_all_that_has_none_is_refused_together() -> None:
    parsed = parse(user.CREATE, {
        "password": ["a good password"], "name": ["Ann"],
        "mailboxFormat": ["mdbox"], "mailboxFolder": ["Mail"],
    })  # fmt: skip

    with pytest.raises(NotSupportedByDirectory) as refused:
        judged("user", parsed)

    assert refused.value.parameters == ("mailboxFormat", "mailboxFolder")
    assert refused.value.report == {
        "unsupported": [
            {"parameter": "mailboxFormat", "attribute": "mailboxFormat"},
            {"parameter": "mailboxFolder", "attribute": "mailboxFolder"},
        ]
    }


def test_to_clear_what_cannot_be_there_is_no_fault() -> None:
    parsed = parse(domain.UPDATE, {"outboundRelay": [""]})

    assert judged("domain", parsed) == (parsed, ())


def test_the_policy_of_an_alias_is_left_out() -> None:
    parsed = parse(alias.UPDATE, {"name": ["Sales"], "accessPolicy": ["public"]})

    left, unplaced = judged("alias", parsed)

    assert [change.field.name for change in left.changes] == ["name"]
    assert unplaced == (("accessPolicy", "accessPolicy"),)


def test_what_mlmmj_keeps_as_well_has_a_place() -> None:
    parsed = parse(subscribable.UPDATE, {"owner": ["ann@corp.test"], "name": ["News"]})

    assert judged("ml", parsed) == (parsed, ())
