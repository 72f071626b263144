"""Modifications that changes of parameters mean for an entry."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iredldap.dit import kinds, user
from iredldap.dit.entry import Entry
from iredldap.dit.fields import (
    Column,
    Elsewhere,
    Field,
    FieldChange,
    Setting,
    Storage,
    StoredAttribute,
    Verb,
)
from iredldap.dit.form_parser import parse, settled
from iredldap.dit.modlist import modlist, new_attributes, service_mods
from iredldap.dit.plan import Mod, Op
from tests.support.rows import row

ONE = row("one")


ZERO = row("zero", stored_as=StoredAttribute("zero", zero_is_absent=True))


MANY = row("many", kinds.ADDRESSES, StoredAttribute("many", many=True))


SET = row("set", stored_as=Setting("k"))


BCC = row("bcc", stored_as=StoredAttribute("bcc", service="senderbcc"))


ELSEWHERE = row("elsewhere", stored_as=Elsewhere("the moon"))


Line = tuple[Op, str, tuple[str, ...]]


MODLISTS: list[tuple[FieldChange, dict[str, list[str]], list[Line]]] = [
    (FieldChange(ONE, ("a",)), {}, [(Op.REPLACE, "one", ("a",))]),
    (FieldChange(ONE, ("a",)), {"one": ["b"]}, [(Op.REPLACE, "one", ("a",))]),
    (FieldChange(ONE, ("a",)), {"one": ["a"]}, []),
    (FieldChange(ONE, ("a",)), {"one": ["A"]}, [(Op.REPLACE, "one", ("a",))]),
    (FieldChange(ONE, ("a",)), {"one": ["a", "b"]}, [(Op.REPLACE, "one", ("a",))]),
    (FieldChange(ONE, ()), {"one": ["a"]}, [(Op.REPLACE, "one", ())]),
    (FieldChange(ONE, ()), {}, []),
    (FieldChange(ZERO, ("0",)), {}, []),
    (FieldChange(ZERO, ("0",)), {"zero": ["5"]}, [(Op.REPLACE, "zero", ())]),
    (FieldChange(ZERO, ("0",)), {"zero": ["0"]}, []),
    (FieldChange(ZERO, ("0",)), {"zero": ["-1"]}, []),
    (FieldChange(ZERO, ("5",)), {"zero": ["-1"]}, [(Op.REPLACE, "zero", ("5",))]),
    (
        FieldChange(MANY, ("a", "b")),
        {"many": ["B", "c"]},
        [(Op.DELETE, "many", ("c",)), (Op.ADD, "many", ("a",))],
    ),
    (FieldChange(MANY, ("a", "A")), {}, [(Op.ADD, "many", ("a",))]),
    (FieldChange(MANY, ()), {"many": ["a"]}, [(Op.DELETE, "many", ("a",))]),
    (FieldChange(MANY, ("A", "b"), Verb.ADD), {"many": ["a"]}, [(Op.ADD, "many", ("b",))]),
    (FieldChange(MANY, ("a", "b"), Verb.REMOVE), {"many": ["A"]}, [(Op.DELETE, "many", ("A",))]),
    (FieldChange(SET, ("1",)), {}, [(Op.ADD, "accountSetting", ("k:1",))]),
    (FieldChange(SET, ("1",)), {"accountSetting": ["k:1", "K:2"]}, []),
    (
        FieldChange(SET, ("0",)),
        {"accountSetting": ["k:1", "x:1"]},
        [(Op.DELETE, "accountSetting", ("k:1",))],
    ),
    (FieldChange(SET, ("0",)), {"accountSetting": ["k:0"]}, []),
    (FieldChange(SET, ()), {"accountSetting": ["k", "kk:1"]}, []),
    (
        FieldChange(SET, ("1",)),
        {"accountSetting": ["k:2", "k:3"]},
        [(Op.DELETE, "accountSetting", ("k:2", "k:3")), (Op.ADD, "accountSetting", ("k:1",))],
    ),
    (
        FieldChange(SET, ("1",)),
        {"accountSetting": ["K:1"]},
        [(Op.DELETE, "accountSetting", ("K:1",)), (Op.ADD, "accountSetting", ("k:1",))],
    ),
    (
        FieldChange(BCC, ("a",)),
        {},
        [(Op.REPLACE, "bcc", ("a",)), (Op.ADD, "enabledService", ("senderbcc",))],
    ),
    (FieldChange(BCC, ("a",)), {"bcc": ["a"], "enabledService": ["SenderBCC"]}, []),
    (
        FieldChange(BCC, ()),
        {"bcc": ["a"], "enabledService": ["mail", "SenderBCC"]},
        [(Op.REPLACE, "bcc", ()), (Op.DELETE, "enabledService", ("SenderBCC",))],
    ),
    (FieldChange(BCC, ()), {"enabledService": ["mail", "SenderBCC"]}, []),
    (FieldChange(ELSEWHERE, ("a",)), {}, []),
]


@pytest.mark.parametrize(("change", "entry", "lines"), MODLISTS)
def test_only_differences_are_modified(
    change: FieldChange, entry: dict[str, list[str]], lines: list[Line]
) -> None:
    """Values that change alone are added and deleted alone, letter case aside."""
    expected = tuple(Mod(op, name, _encoded(values)) for op, name, values in lines)
    assert modlist([change], _entry(entry)) == expected


def _sizes(entry: Entry) -> list[str]:
    return [value for value in entry.texts("zero") if value != "0"]


def _entry(attributes: dict[str, list[str]]) -> Entry:
    return Entry("o=x", {name: list(_encoded(values)) for name, values in attributes.items()})


def _encoded(values: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(value.encode() for value in values)


def _modified(entry: Entry, mods: Sequence[Mod]) -> Entry:
    """What the directory would make of it; it compares without regard to letter case."""
    attributes = {name: list(values) for name, values in entry.attributes.items()}
    for mod in mods:
        held = attributes.get(mod.attribute, [])
        folded = [value.lower() for value in mod.values]
        present = [value.lower() for value in held]
        match mod.op:
            case Op.ADD:
                assert folded
                assert not set(folded) & set(present), "TYPE_OR_VALUE_EXISTS"
                held = [*held, *mod.values]
            case Op.DELETE:
                assert folded
                assert set(folded) <= set(present), "NO_SUCH_ATTRIBUTE"
                held = [value for value in held if value.lower() not in folded]
            case Op.REPLACE:
                held = list(mod.values)
        assert len({value.lower() for value in held}) == len(held)
        attributes[mod.attribute] = held
    return Entry(entry.dn, {name: values for name, values in attributes.items() if values})


values = st.lists(st.sampled_from(["a", "A", "b", "B", "0", "é"]), max_size=4).map(tuple)


few = st.lists(st.sampled_from(["a", "B", "c"]), unique=True)


entries = st.fixed_dictionaries(
    {
        "one": st.lists(st.sampled_from(["a", "b"]), max_size=1),
        "zero": st.lists(st.sampled_from(["0", "5"]), max_size=1),
        "many": few,
        "bcc": st.lists(st.sampled_from(["a"]), max_size=1),
        "enabledService": st.lists(st.sampled_from(["mail", "SenderBCC"]), unique=True),
        "accountSetting": st.lists(st.sampled_from(["k:a", "K:b", "k:0", "x:y", "k"]), unique=True),
    }
)


@given(entries, st.permutations([ONE, ZERO, MANY, SET, BCC, ELSEWHERE]), st.data())
def test_a_repeated_change_changes_nothing(
    held: dict[str, list[str]], rows: list[Field], data: st.DataObject
) -> None:
    """Applied once, an entry is as asked; asked again, there is nothing left to do."""
    before = _entry(held)
    changes = [
        FieldChange(r, data.draw(values if r is MANY else values.map(lambda v: v[:1])))
        for r in rows[:4]
    ]

    after = _modified(before, modlist(changes, before))

    assert modlist(changes, after) == ()
    for change in changes:
        match change.field.name:
            case "one":
                assert after.texts("one") == list(change.values)
            case "zero":
                assert _sizes(after) == [v for v in change.values if v != "0"]
            case "many":
                assert after.lowered("many") == {v.lower() for v in change.values}
            case "bcc":
                was_on = before.has("enabledService", "senderbcc") and not held["bcc"]
                assert after.has("enabledService", "senderbcc") == (bool(change.values) or was_on)
    untouched = {"one", "zero", "many", "bcc"} - {change.field.name for change in changes}
    assert all(after.texts(name) == held[name] for name in untouched)


@given(few, values, values)
def test_values_are_added_and_removed_one_by_one(
    held: list[str], added: tuple[str, ...], removed: tuple[str, ...]
) -> None:
    """Whoever else changes other values at the same time is not undone."""
    before = _entry({"many": held})

    grown = _modified(before, modlist([FieldChange(MANY, added, Verb.ADD)], before))
    shrunk = _modified(grown, modlist([FieldChange(MANY, removed, Verb.REMOVE)], grown))

    assert grown.lowered("many") == {v.lower() for v in (*held, *added)}
    assert shrunk.lowered("many") == grown.lowered("many") - {v.lower() for v in removed}


def test_services_are_switched_where_they_are_not_yet() -> None:
    """Off first, then on; letter case does not count."""
    entry = _entry({"enabledService": ["MAIL", "smtp"]})
    wanted = {"mail": True, "imap": True, "SMTP": False, "pop3": False}
    assert service_mods(wanted, entry) == (
        Mod(Op.DELETE, "enabledService", (b"smtp",)),
        Mod(Op.ADD, "enabledService", (b"imap",)),
    )


def test_a_new_entry_gets_what_was_asked_for() -> None:
    """Nothing is stored for what says nothing; settings share one attribute."""
    other = row("other", stored_as=Setting("o"))
    changes = [
        FieldChange(ONE, ("é",)),
        FieldChange(ZERO, ("0",)),
        FieldChange(MANY, ()),
        FieldChange(SET, ("1",)),
        FieldChange(other, ("2",)),
        FieldChange(BCC, ("a",)),
        FieldChange(ELSEWHERE, ("x",)),
    ]
    assert new_attributes(changes) == {
        "one": ("é",),
        "accountSetting": ("k:1", "o:2"),
        "bcc": ("a",),
        "enabledService": ("senderbcc",),
    }


@pytest.mark.parametrize("stored_as", [Column("policy", "spam_tag_level"), Elsewhere("a file")])
def test_what_is_stored_outside_the_directory_modifies_no_entry(stored_as: Storage) -> None:
    changes = parse((row("x", stored_as=stored_as),), {"x": ["1"]}).changes

    assert modlist(changes, Entry("cn=x", {"spam_tag_level": [b"2"]})) == ()


class Text(str):
    """A text that counts how often it is compared with another."""

    compared = 0
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        Text.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__

    def lower(self) -> "Text":
        return Text(str.lower(self))


class Held(Entry):
    """An entry with such texts."""

    def texts(self, name: str) -> list[str]:
        return [Text(text) for text in Entry.texts(self, name)]


@pytest.mark.parametrize("verb", list(Verb), ids=[verb.value for verb in Verb])
def test_the_work_for_a_list_is_linear(verb: Verb) -> None:
    """One of 2 000 members comes or goes: each value is compared a few times, not with all."""
    number = 2000
    held = Held("", {"many": [b"m%d@x.test" % n for n in range(number)]})
    every = tuple(f"m{n}@x.test" for n in range(1, number))
    values = every if verb is Verb.SET else ("m0@x.test", "new@x.test")
    Text.compared = 0

    mods = modlist([FieldChange(MANY, values, verb)], held)

    assert [len(mod.values) for mod in mods] == [1]
    assert Text.compared <= 10 * number


BACK: list[tuple[dict[str, list[str]], dict[str, list[bytes]], int]] = [
    ({"cn": ["A", "B"]}, {"cn": [b"B", b"A"]}, 0),
    ({"cn": ["A", "B"]}, {"cn": [b"A"]}, 1),
    ({"cn": ["A"]}, {"cn": [b"A", b"B"]}, 1),
    ({"name": ["A", "B"]}, {"cn": [b"B", b"A"]}, 1),
    ({"accountStatus": ["Active"]}, {"accountStatus": [b"Active"]}, 0),
    ({"accountStatus": ["active"]}, {"accountStatus": [b"Active"]}, 0),
    ({"accountStatus": ["disabled"]}, {"accountStatus": [b"Active"]}, 1),
    ({"senderBcc": ["x@y.test"]}, {"userSenderBccAddress": [b"X@y.test"]}, 1),
    ({"quota": ["1"]}, {"mailQuota": [b"1048576"]}, 0),
    ({"mailQuota": ["0"]}, {"mailQuota": [b"0"]}, 0),
    ({"quota": ["1"]}, {"mailQuota": [b"1"]}, 1),
    ({"telephoneNumber": ["1, 2"]}, {"telephoneNumber": [b"1, 2"]}, 0),
]


@pytest.mark.parametrize(("form", "held", "mods"), BACK)
def test_what_an_answer_has_changes_nothing(
    form: dict[str, list[str]], held: dict[str, list[bytes]], mods: int
) -> None:
    """Under the name of the attribute, with all of its values; else it means what it says."""
    parsed = settled(parse(user.UPDATE, form), lambda _, value: value)
    assert len(modlist(parsed.changes, Entry("", held))) == mods
