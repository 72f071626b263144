"""Rows, read: form to changes, changes to modifications, entry to answer."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iredldap.dit import (
    domain,
    export,
    greylisting,
    kinds,
    spam_policy,
    throttle,
    user,
    wblist,
)
from iredldap.dit.entry import Entry
from iredldap.dit.field_schemas import properties
from iredldap.dit.fields import (
    Column,
    Elsewhere,
    Field,
    FieldChange,
    Setting,
    Storage,
    StoredAttribute,
    Table,
    Verb,
    show,
)
from iredldap.dit.form_parser import older_names, parse, refuse_leftovers, settled
from iredldap.dit.kinds import Kind
from iredldap.dit.modlist import modlist, new_attributes, service_mods
from iredldap.dit.plan import Mod, Op
from iredldap.errors import Refusal


def row(
    name: str, kind: Kind = kinds.TEXT, stored_as: Storage | None = None, **more: object
) -> Field:
    return Field(
        name=name, stored_as=stored_as or StoredAttribute(name), kind=kind, meaning="…"
    ).but(**more)


TABLE: Table = (
    row("name", aliases=("cn", "old")),
    row("note", aliases=("memo",), empty="no note"),
    row("size", kinds.MEGABYTES),
    row("members", kinds.ADDRESSES, StoredAttribute("members", many=True), empty="nobody"),
    row("more", kinds.ADDRESSES),
    row("one", conflicts_with=("two",), empty="none"),
    row("two", conflicts_with=("one",)),
    row("left", kinds.YES_NO, required_with=("right",), alone=("no",)),
    row("right", required_with=("left",)),
    row("removeAll", kinds.PRESENCE),
    row("language", kinds.LANGUAGE),
)

PARSED: list[tuple[dict[str, list[str]], dict[str, tuple[str, ...]]]] = [
    ({}, {}),
    ({"name": ["a"]}, {"name": ("a",)}),
    ({"name": [" a "]}, {"name": ("a",)}),
    ({"name": ["a", "b"]}, {"name": ("b",)}),
    ({"name": [""]}, {}),
    ({"name": [" \t"]}, {}),
    ({"cn": ["a"]}, {"name": ("a",)}),
    ({"cn": ["a"], "name": ["b"]}, {"name": ("b",)}),
    ({"old": ["a"], "cn": ["b"]}, {"name": ("b",)}),
    ({"name": [""], "cn": ["b"]}, {"name": ("b",)}),
    ({"name": ["a"], "cn": [""]}, {"name": ("a",)}),
    ({"note": [""]}, {"note": ()}),
    ({"note": [""], "memo": ["b"]}, {"note": ()}),
    ({"note": ["a"], "memo": [""]}, {"note": ("a",)}),
    ({"memo": [" "]}, {"note": ()}),
    ({"size": [""]}, {}),
    ({"size": ["0"]}, {"size": ("0",)}),
    ({"members": ["a@x.test,b@x.test"]}, {"members": ("a@x.test", "b@x.test")}),
    ({"members": ["a@x.test", "b@x.test"]}, {"members": ("a@x.test", "b@x.test")}),
    ({"members": ["a@x.test", ""]}, {"members": ("a@x.test",)}),
    ({"members": [""]}, {"members": ()}),
    ({"members": ["", " , "]}, {"members": ()}),
    ({"more": [",,"]}, {}),
    ({"one": [""]}, {"one": ()}),
    ({"one": ["a"], "two": [""]}, {"one": ("a",)}),
    ({"left": ["yes"], "right": ["a"]}, {"left": ("yes",), "right": ("a",)}),
    ({"left": ["off"]}, {"left": ("no",)}),
    ({"left": ["0"], "right": [""]}, {"left": ("no",)}),
    ({"removeAll": [""]}, {"removeAll": ("yes",)}),
    ({"removeAll": ["no"]}, {"removeAll": ("yes",)}),
    ({"language": ["DE_de"]}, {"language": ("de_DE",)}),
    ({"language": ["tlh"]}, {}),
]


@pytest.mark.parametrize(("form", "changes"), PARSED)
def test_a_form_is_read_by_the_rows(
    form: dict[str, list[str]], changes: dict[str, tuple[str, ...]]
) -> None:
    """The new name wins; empty is named as ignored unless the row says what it does."""
    parsed = parse(TABLE, form)
    fields = {name: field.name for field in TABLE for name in (field.name, *field.aliases)}
    assert {change.field.name: change.values for change in parsed.changes} == changes
    assert {change.verb for change in parsed.changes} <= {Verb.SET}
    # What is left blank beside a parameter that excludes it gives way to that without a word.
    beside = {"two"} if "one" in changes else set()
    nothing = {name for name in form if fields[name] not in changes} - beside
    assert set(parsed.unknown) == nothing - ({"language"} if parsed.dropped else set())


REFUSED = [
    ({"size": ["x"]}, ["INVALID_PARAMETER"], ["size"]),
    ({"size": ["x"], "name": ["\a"]}, ["INVALID_PARAMETER"], ["name", "size"]),
    ({"cn": ["\a"]}, ["INVALID_PARAMETER"], ["name"]),
    ({"members": ["n\xf6body"]}, ["INVALID_MAIL"], ["members"]),
    ({"one": ["a"], "two": ["b"]}, ["PARAMETER_CONFLICT"], ["one", "two"]),
    ({"one": [""], "two": ["b"]}, ["PARAMETER_CONFLICT"], ["one", "two"]),
    ({"left": ["yes"]}, ["MISSING_PARAMETER"], ["right"]),
    ({"right": ["a"]}, ["MISSING_PARAMETER"], ["left"]),
    ({"left": ["yes"], "right": [""]}, ["MISSING_PARAMETER"], ["right"]),
    ({"left": ["x"], "right": ["a"]}, ["INVALID_PARAMETER"], ["left"]),
    (
        {"size": ["-1"], "right": ["a"]},
        ["INVALID_PARAMETER", "MISSING_PARAMETER"],
        ["size", "left"],
    ),
]


@pytest.mark.parametrize(("form", "codes", "parameters"), REFUSED)
def test_every_fault_of_a_form_is_told(
    form: dict[str, list[str]], codes: list[str], parameters: list[str]
) -> None:
    """Several together, each code and each parameter once; what is refused is not missing."""
    with pytest.raises(Refusal) as refused:
        parse(TABLE, form)
    assert list(refused.value.codes) == codes
    assert list(refused.value.parameters) == parameters


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, "MISSING_PARAMETER"),
        ({"key": [" "]}, "MISSING_PARAMETER"),
        ({"key": ["a"]}, None),
        ({"key": ["\a"]}, "INVALID_PARAMETER"),
        ({"other": ["a"]}, None),
        ({"other": [""]}, "MISSING_PARAMETER"),
        ({"key": ["a"], "other": ["b"]}, "PARAMETER_CONFLICT"),
        ({"key": ["a"], "other": [""]}, None),
    ],
)
def test_a_required_parameter_yields_to_one_that_excludes_it(
    form: dict[str, list[str]], code: str | None
) -> None:
    """Empty is missing, malformed is malformed."""
    table = (row("key", required=True, conflicts_with=("other",)), row("other"))
    if code is None:
        assert parse(table, form).changes
        return
    with pytest.raises(Refusal) as refused:
        parse(table, form)
    assert refused.value.codes == (code,)


def test_strays_are_told_and_can_be_refused() -> None:
    """Unknown names, letter case counting, and dropped values."""
    form = {"Name": ["a"], "x": [""], "members": ["a@x.test,b"], "language": ["tlh"]}

    parsed = parse(TABLE, form)

    assert parsed.unknown == ("Name", "x")
    assert parsed.dropped == ("tlh",)
    assert [(change.field.name, change.values) for change in parsed.odd] == [("members", ("b",))]
    with pytest.raises(Refusal) as refused:
        refuse_leftovers(parsed)
    assert refused.value.codes == ("INVALID_PARAMETER",)
    assert refused.value.parameters == ("Name", "x")
    refuse_leftovers(parse(TABLE, {"name": ["a"]}))


ODD = "a@x.test,O'Hara..@x.test,root,b..c@x.test"


@pytest.mark.parametrize(
    ("form", "stored", "values", "dropped"),
    [
        (
            {"members": [ODD]},
            {"root": "ROOT"},
            ("a@x.test", "ROOT"),
            ("o'hara..@x.test", "b..c@x.test"),
        ),
        ({"members": [ODD]}, {}, ("a@x.test",), ("o'hara..@x.test", "root", "b..c@x.test")),
        ({"members": ["root"]}, {"root": "root"}, ("root",), ()),
    ],
)
def test_odd_values_count_where_they_stand(
    form: dict[str, list[str]], stored: dict[str, str], values: tuple[str, ...], dropped: object
) -> None:
    """No change holds them before that is known, and others are dropped."""
    parsed = parse(TABLE, form)
    assert not {value for change in parsed.changes for value in change.values} - {"a@x.test"}
    known = settled(parsed, lambda _, value: stored.get(value))
    assert [change.values for change in known.changes] == [values]
    assert (known.dropped, known.odd) == (dropped, ())


def test_a_list_of_odd_values_that_do_not_stand_is_refused() -> None:
    """It is not taken for an empty one, which would remove everything."""
    parsed = parse(TABLE, {"members": ["root,a..b@x.test"]})
    assert parsed.changes == ()
    with pytest.raises(Refusal) as refused:
        settled(parsed, lambda _change, _value: None)
    assert (refused.value.codes, refused.value.parameters) == (("INVALID_MAIL",), ("members",))


def test_a_fault_of_an_odd_value_names_its_parameter() -> None:
    """It is told together with those of other parameters."""
    parsed = parse(user.UPDATE, {"mailQuota": ["2097152"], "senderBcc": ["a..b@far.test"]})

    def stands(change: FieldChange, value: str) -> str | None:
        kind = change.field.older_kind
        return kind.otherwise(value) if kind and kind.otherwise else None

    with pytest.raises(Refusal) as refused:
        settled(parsed, stands)
    assert set(refused.value.parameters) == {"quota", "senderBcc"}


def test_a_service_is_not_switched_off_beside_what_needs_it() -> None:
    """Whatever row says which service that is."""
    services = row(
        "off", kinds.SERVICES, StoredAttribute("enabledService", many=True), verb=Verb.REMOVE
    )
    bcc = row("bcc", stored_as=StoredAttribute("bcc", service="senderbcc"), empty="none")
    table = (services, bcc, row("to", needs="forward"))
    for form in ({"off": ["x,SenderBCC"], "bcc": ["a"]}, {"off": ["forward"], "to": ["a"]}):
        with pytest.raises(Refusal) as refused:
            parse(table, form)
        assert refused.value.codes == ("PARAMETER_CONFLICT",)
    assert parse(table, {"off": ["senderbcc"], "bcc": [""], "to": ["a"]}).changes


def test_a_single_value_is_given_by_name() -> None:
    """A parameter that was cleared has none."""
    parsed = parse(TABLE, {"name": ["a"], "note": [""]})
    assert [parsed.value(name) for name in ("name", "note", "size")] == ["a", None, None]


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
    (FieldChange(ZERO, ("0",)), {"zero": ["0"]}, [(Op.REPLACE, "zero", ())]),
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
    (FieldChange(ELSEWHERE, ("a",)), {}, []),
]


@pytest.mark.parametrize(("change", "entry", "lines"), MODLISTS)
def test_only_differences_are_modified(
    change: FieldChange, entry: dict[str, list[str]], lines: list[Line]
) -> None:
    """Values that change alone are added and deleted alone, letter case aside."""
    expected = tuple(Mod(op, name, _encoded(values)) for op, name, values in lines)
    assert modlist([change], _entry(entry)) == expected


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
                assert after.texts("zero") == [v for v in change.values if v != "0"]
            case "many":
                assert after.lowered("many") == {v.lower() for v in change.values}
            case "bcc":
                assert after.has("enabledService", "senderbcc") == bool(change.values)
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


def test_an_entry_is_shown_without_secrets() -> None:
    """Hidden attributes go in every spelling, options or not; so does what is no text."""
    entry = Entry(
        "o=x",
        {
            "cn": ["Zoë".encode()],
            "userPassword": [b"{SSHA}x"],
            "USERPASSWORD;lang-de": [b"{SSHA}y"],
            "jpegPhoto": [b"\xff\xd8"],
            "entryCSN": [b"1"],
            "accountSetting": [b"defaultQuota:5", b"disabledUserProfile:bcc", b"junk"],
        },
    )
    assert show(entry, ("userpassword",)) == {
        "cn": ["Zoë"],
        "accountSetting": {"defaultQuota": 5, "disabledUserProfile": ["bcc"]},
    }


@pytest.mark.parametrize("stored_as", [Column("policy", "spam_tag_level"), Elsewhere("a file")])
def test_what_is_stored_outside_the_directory_modifies_no_entry(stored_as: Storage) -> None:
    changes = parse((row("x", stored_as=stored_as),), {"x": ["1"]}).changes

    assert modlist(changes, Entry("cn=x", {"spam_tag_level": [b"2"]})) == ()


def test_rows_are_described_for_the_openapi_document() -> None:
    """An older name is deprecated; what may be empty says so."""
    table = (
        row("name", aliases=("cn",), empty="no name"),
        row("status", kinds.STATUS, empty="none", who="global_admin", profile="bcc"),
        row("size", kinds.MEGABYTES, default="5", conflicts_with=("x",), required_with=("y",)),
    )
    described = properties(table)
    assert described["name"] == {
        "anyOf": [{"const": ""}, {"type": "string", "maxLength": 1024}],
        "description": "… Empty: no name.",
    }
    assert described["cn"]["deprecated"] is True
    assert described["status"]["enum"] == ["active", "disabled"]
    assert described["status"]["description"].endswith(
        "Global admins only. Normal admins: unless the profile bcc is disabled."
    )
    assert (described["size"]["type"], described["size"]["default"]) == ("integer", 5)
    assert described["size"]["description"] == "… Excludes x. Goes with y."


@pytest.mark.parametrize(
    "table",
    [
        domain.CREATE,
        domain.UPDATE,
        user.CREATE,
        export.ENTRY,
        export.DOMAIN,
        throttle.SET,
        greylisting.SET,
        greylisting.WHITELISTS,
        greylisting.SPF_DOMAINS,
        wblist.ADDRESSES,
        spam_policy.SET,
    ],
)
def test_a_table_is_consistent(table: Table) -> None:
    """No name is used twice; exclusions are mutual; every row has a meaning."""
    named = [name for field in table for name in (field.name, *field.aliases)]
    rows = {field.name: field for field in table}
    assert len(named) == len(set(named))
    for field in table:
        assert field.meaning.strip()
        for other in field.conflicts_with:
            assert field.name in rows[other].conflicts_with
        assert set(field.required_with) <= set(rows)
        assert field.default is None or field.kind.read(field.default).values == (field.default,)


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
    ({"accountStatus": ["active"]}, {"accountStatus": [b"Active"]}, 1),
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


def test_secrets_are_kept_in_no_other_form() -> None:
    """Whatever they are called."""
    parsed = parse(user.UPDATE, {"password": ["a secret"]})
    assert not parsed.changes[0].texts


def test_older_names_are_told_where_they_were_sent() -> None:
    """The new name counts where both were."""
    form = {"cn": ["a"], "mailQuota": ["x"], "quota": ["1"], "preferredLanguage": [""], "x": [""]}
    assert older_names(user.UPDATE, form) == {"name": "cn", "language": "preferredLanguage"}
