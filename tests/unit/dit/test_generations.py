"""How iRedMail's schema grew."""

import pytest

from iredldap.dit import generations
from iredldap.dit.generations import GENERATIONS, WANTS, extent
from iredldap.dit.placement import DISPENSABLE
from iredldap.dit.schema import Schema

TEXT = "1.3.6.1.4.1.1466.115.121.1.26"


def schema(generation: generations.Generation, *more: tuple[str, str]) -> Schema:
    """Make a schema with what changed from release to release, and more."""
    wanted = extent(generation)
    held = {*wanted.held, *more}
    names = sorted({name for _, name in held} | wanted.defined)
    classes = sorted({*(name for name, _ in generations.TODAY.held), "mailadmin"})
    return Schema({
        "attributeTypes": [
            f"( 1.9.1.{number} NAME '{name}' SYNTAX {TEXT} )".encode()
            for number, name in enumerate(names)
        ],
        "objectClasses": [
            f"( 1.9.2.{number} NAME '{name}' MAY ( x{may} ) )".encode()
            for number, name in enumerate(classes)
            for may in ["".join(f" $ {a}" for c, a in sorted(held) if c == name)]
        ],
    })  # fmt: skip


@pytest.mark.parametrize("first", [each.first for each in GENERATIONS])
def test_a_schema_is_that_of_its_generation(first: str) -> None:
    """Also where other programs have extended it."""
    generation = next(each for each in GENERATIONS if each.first == first)

    assert generations.of(schema(generation)) is generation
    assert generations.of(schema(generation, ("mailuser", "ofmine"))) is generation
    assert generations.wants(schema(generation)) == generations.wants_of(generation)


def test_a_schema_between_two_is_of_none() -> None:
    """What it is without is told all the same."""
    mixed = schema(GENERATIONS[0], ("mailuser", "mailboxformat"))

    assert generations.of(mixed) is None
    assert generations.description(mixed) == "as no release of iRedMail has it"
    assert "mailboxFormat" not in {want.attribute for want in generations.wants(mixed)}
    assert "member" in {want.attribute for want in generations.wants(mixed)}


def test_what_was_taken_away_is_not_lacking() -> None:
    """Today's schema has not got the last logins, which we do not write."""
    assert generations.lacking(schema(GENERATIONS[-1])) == frozenset()
    assert "lastlogindate" in extent(GENERATIONS[0]).defined - generations.TODAY.defined
    assert generations.lacking(schema(GENERATIONS[-2])) == {"birthday", "recoveryemail"}


def test_whatever_a_plan_may_leave_out_is_told() -> None:
    told = {want.attribute.lower() for want in WANTS}
    together = {"mailboxfolder": "mailboxformat", "listmoderator": "listowner"}

    assert {together.get(name, name) for name in DISPENSABLE} <= told
