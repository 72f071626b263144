"""A form, parsed by the rows of a table."""

import pytest

from iredldap.dit import kinds, user
from iredldap.dit.fields import FieldChange, StoredAttribute, Table, Verb
from iredldap.dit.form_parser import older_names, parse, refuse_leftovers, settled
from iredldap.errors import Refusal
from tests.support.rows import row

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
    ({"note": [], "members": [], "name": [], "removeAll": []}, {"note": (), "members": ()}),
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


def test_secrets_are_kept_in_no_other_form() -> None:
    """Whatever they are called."""
    parsed = parse(user.UPDATE, {"password": ["a secret"]})
    assert not parsed.changes[0].texts


def test_older_names_are_told_where_they_were_sent() -> None:
    """The new name counts where both were."""
    form = {"cn": ["a"], "mailQuota": ["x"], "quota": ["1"], "preferredLanguage": [""], "x": [""]}
    assert older_names(user.UPDATE, form) == {"name": "cn", "language": "preferredLanguage"}
