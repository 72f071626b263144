"""Entries that are alike, written by their template."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldif_export.readers import entry_templates
from ldif_export.readers.attribute_cache import AttributeCache
from tests.unit.ldif_export.readers.server import Entry
from tests.unit.ldif_export.readers.test_attribute_cache import (
    VALUES,
    everything,
    expected,
    said,
    values,
    written,
)

CLASSES = [b"inetOrgPerson", b"mailUser"]
SERVICES = [b"service%d" % number for number in range(34)]
LONG = b"/var/vmail/vmail1/a.test/u/s/e/%s-2026.01.02.03.04.05/x"


def user(name: bytes, person: bytes = b"Ann Arbor", **more: list[bytes]) -> Entry:
    """An account: what is constant, what varies, and what only some have, at the end."""
    return f"mail={name.decode()}@a.test,ou=Users,o=x", {
        "objectClass": CLASSES,
        "mail": [name + b"@a.test"],
        "accountStatus": [b"active"],
        "cn": [person],
        "amavisLocal": [b"TRUE"],
        "userPassword": [b"{SSHA512}" + name * 20],
        "homeDirectory": [LONG % name],
        "enabledService": SERVICES,
        "mailboxFormat": [b"maildir"],
        **more,
    }


def ordinary(count: int) -> list[Entry]:
    return [user(b"u%d" % (100 + n), b"Person %d" % n) for n in range(count)]


def taught(keeps: Callable[[str], bool] = everything, samples: int = 16) -> AttributeCache:
    """One that has made the template of a user."""
    cache = AttributeCache(keeps, samples=samples)
    written(cache, said(*ordinary(samples)))
    assert len(cache._templates) == 1
    return cache


def unforeseen(cache: AttributeCache, data: bytes, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many attributes are read one by one."""
    seen = []
    each = AttributeCache._write_attributes

    def counted(self: AttributeCache, data: bytes, at: int, end: int, parts: list[bytes]) -> None:
        seen.append(end - at)
        each(self, data, at, end, parts)

    monkeypatch.setattr(AttributeCache, "_write_attributes", counted)
    written(cache, data)
    return sum(seen)


@given(st.lists(values.filter(bool), min_size=1, max_size=6), st.booleans())
def test_what_varies_is_written_as_the_writer_does(several: list[bytes], is_kept: bool) -> None:
    """Any value in a place where another was before, and again."""
    cache = taught(lambda name: is_kept or name != "cn")
    entries = [user(b"u555", value) for value in several]
    if is_kept:
        kept = entries
    else:
        kept = [(dn, {k: v for k, v in rest.items() if k != "cn"}) for dn, rest in entries]
    for _ in range(3):
        assert written(cache, said(*entries)) == expected(*kept)


@pytest.mark.parametrize("value", [value for value in VALUES if value])
def test_the_same_length_is_no_sign_of_the_same_form(value: bytes) -> None:
    """Plain, with blanks, in base64 or folded: each value is looked at."""
    cache = taught()
    for one in (b"y" * len(value), value, b"\xfc" * len(value), b" " * len(value), value):
        assert written(cache, said(user(b"u555", one))) == expected(user(b"u555", one))


@pytest.mark.parametrize("letter", [b"x", b"\xfc", b":"])
def test_what_varies_is_folded_as_the_writer_does(letter: bytes) -> None:
    """A value of every length in a place where others were before."""
    cache = taught()
    for size in range(1, 128):
        one = user(b"u555", letter * size)
        for _ in range(2):
            assert written(cache, said(one)) == expected(one)


@settings(max_examples=200)
@given(st.data())
def test_an_entry_that_departs_is_written_as_the_writer_does(data: st.DataObject) -> None:
    """Attributes that are lacking, more, elsewhere, or have several values; one after another."""
    cache = taught()
    entries = []
    for number in range(data.draw(st.integers(1, 4))):
        dn, attributes = user(b"u%d" % number, telephoneNumber=[b"1"], memberOfGroup=[b"a", b"b"])
        names = (
            data.draw(st.permutations([*attributes])) if data.draw(st.booleans()) else attributes
        )
        some = [name for name in names if data.draw(st.integers(0, 9))]
        changed = {name: attributes[name] for name in some}
        for name in data.draw(st.lists(st.sampled_from(some), max_size=2)) if some else ():
            changed[name] = data.draw(st.lists(values, max_size=3))
        entries.append((dn, changed))
    for _ in range(2):
        assert written(cache, said(*entries, *ordinary(2))) == expected(*entries, *ordinary(2))


def test_what_was_learned_needs_no_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an ordinary account nothing, whatever its names are."""
    cache = taught()
    assert unforeseen(cache, said(user(b"zoe", b"Mia Noe ")), monkeypatch) > 0
    assert unforeseen(cache, said(user(b"max", "Zoë Né".encode())), monkeypatch) == 0


def test_only_what_an_outline_lacks_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What some accounts have at their end."""
    cache = taught()
    number = 2 + len(b"\x04\x0ftelephoneNumber1\x03\x04\x017")
    assert unforeseen(cache, said(user(b"u555", telephoneNumber=[b"7"])), monkeypatch) == number


def test_what_is_watched_is_looked_at_one_by_one() -> None:
    """There is no template then."""
    cache = AttributeCache(everything, frozenset({"cn"}), samples=2)
    written(cache, said(*ordinary(9)))
    assert not cache._templates


def test_no_outline_holds_a_password() -> None:
    """Even where all have the same one, or nothing else."""
    cache = AttributeCache(everything, samples=3)
    same = [(dn, {**rest, "userPassword": [b"{SSHA}secret"]}) for dn, rest in ordinary(6)]
    first = [(f"o={n}", {"userPassword": [b"{SSHA}secret"], "cn": [b"x"]}) for n in range(6)]
    written(cache, said(*same, *first))
    (template,) = cache._templates.values()
    assert b"secret" not in b"".join([*template.known, *template.tails, *template.tails.values()])
    assert b"secret" not in b"".join(cache._sampled)
    assert not any(cache._samples.values())


def test_what_is_learned_is_bounded() -> None:
    """Names of every length, and more kinds of entries than anybody has."""
    cache = AttributeCache(everything, samples=2)
    for number in range(40):
        kind: Entry = ("o=x", {"objectClass": [b"kind%d" % number], "cn": [b"x"]})
        written(cache, said(kind, kind, kind))
    assert len(cache._templates) == 16
    cache = AttributeCache(everything, samples=2)
    entries = [user(b"u", b"p" * (n % 120 + 1), status=[b"s" * n]) for n in range(3000)]
    written(cache, said(*entries))
    (template,) = cache._templates.values()
    assert sum(map(len, template.known)) <= entry_templates._MOST_BYTES
    assert template.lessons >= 0
