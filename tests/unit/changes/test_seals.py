"""Secret values of the change log: sealed, opened again, and by whom not."""

from dataclasses import replace

import pytest

from iredldap.changes.seals import Seals
from iredldap.config.settings import Secret
from iredldap.dit.change_log import Sealed, Touched, TouchedEntry, TouchedRows, ValueChanges
from iredldap.dit.touched_text import line

OLD, NEW = Secret("0" * 32), Secret("1" * 32)
HASH = b"{SSHA}c2VjcmV0"


def touched(removed: tuple[bytes | Sealed, ...] = (HASH,)) -> TouchedEntry:
    return TouchedEntry(
        "modify",
        "mail=ann@test.com,ou=Users",
        attributes={
            "userPassword": ValueChanges(removed, (HASH,)),
            "cn": ValueChanges((), (b"A",)),
        },
    )


def values(found: Touched) -> list[bytes | Sealed]:
    assert isinstance(found, TouchedEntry)
    changes = found.attributes["userPassword"]
    return [*(changes.removed or ()), *changes.added]


def test_a_sealed_value_does_not_show_and_is_opened_again() -> None:
    seals = Seals((OLD,))
    sealed = seals.sealed(touched())

    assert HASH.decode() not in line(sealed)
    assert all(isinstance(value, Sealed) and value.is_kept for value in values(sealed))
    assert seals.opened(sealed) == touched()


def test_the_same_value_is_never_sealed_alike() -> None:
    one, other = values(Seals((OLD,)).sealed(touched()))
    assert one != other


def test_rotation_opens_what_the_older_key_has_sealed_and_seals_with_the_last() -> None:
    sealed = Seals((OLD,)).sealed(touched())
    both = Seals((OLD, NEW))

    assert both.opened(sealed) == touched()
    assert Seals((NEW,)).opened(both.sealed(touched())) == touched()
    assert Seals((NEW,)).opened(sealed) == sealed


def test_a_value_is_opened_for_its_own_entry_only() -> None:
    seals = Seals((OLD,))
    sealed = seals.sealed(touched())
    assert isinstance(sealed, TouchedEntry)
    moved = replace(sealed, dn="mail=eve@test.com,ou=Users")
    assert seals.opened(moved) == moved


def test_without_a_key_secrets_are_not_kept() -> None:
    sealed = Seals(()).sealed(touched())
    assert values(sealed) == [Sealed(), Sealed()]
    assert Seals((OLD,)).opened(sealed) == sealed


@pytest.mark.parametrize("data", [b"", b"x", b"x" * 40])
def test_what_no_key_has_sealed_is_left(data: bytes) -> None:
    seals = Seals((OLD,))
    (first, *_) = values(seals.sealed(touched()))
    assert isinstance(first, Sealed)
    strange = touched((Sealed(first.key, data),))
    assert seals.opened(strange) == strange


def test_rows_have_no_secrets() -> None:
    rows = TouchedRows("iredapd", "throttle", after=({"account": "a@b.test"},))
    assert Seals((OLD,)).sealed(rows) is rows


@pytest.mark.parametrize("name", ["userPassword", "USERPASSWORD;x-old", "sambaNTPassword"])
def test_passwords_of_other_programs_are_secrets_too(name: str) -> None:
    """A deletion records whole entries, with what others have put there."""
    entry = TouchedEntry("delete", "mail=ann@test.com", attributes={name: ValueChanges((HASH,))})

    assert HASH.decode() not in line(Seals((OLD,)).sealed(entry))
