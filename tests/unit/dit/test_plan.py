"""Plans as values, and as LDIF that a parser of its own reads back."""

import io
from collections.abc import Iterable, Iterator
from typing import Any

import ldif
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iredldap.dit.change_records import change_record, change_records
from iredldap.dit.entry import Entry
from iredldap.dit.plan import (
    Add,
    Correction,
    Delete,
    Mod,
    Modify,
    Op,
    Operation,
    Plan,
    Query,
    Recheck,
    Scope,
    Sweep,
    conditional_on_state,
    describe,
    inverse,
)

DN = "mail=u@a.test,o=x"
HEAD = Mod(Op.REPLACE, "cn", (b"U",))


def nothing(_: Query) -> Iterable[Entry]:
    return ()


def printed(*steps: Any, found: Any = nothing) -> bytes:
    return b"".join(change_records(Plan(DN, steps), found))


def test_operations_are_printed_as_change_records() -> None:
    """RFC 2849: a record for each, modifications ended by a hyphen, passwords in base64."""
    text = printed(
        Add(DN, {"cn": (b"U", "Ü".encode()), "userPassword": (b"x",)}),
        Modify(DN, (HEAD, Mod(Op.REPLACE, "sn"), Mod(Op.ADD, "mail", (b"a", b"b")))),
        Delete(DN),
    )
    assert text.decode() == (
        "version: 1\n"
        f"dn: {DN}\nchangetype: add\ncn: U\ncn:: w5w=\nuserPassword:: eA==\n\n"
        f"dn: {DN}\nchangetype: modify\nreplace: cn\ncn: U\n-\nreplace: sn\n-\n"
        "add: mail\nmail: a\nmail: b\n-\n\n"
        f"dn: {DN}\nchangetype: delete\n\n"
    )


def test_secrets_are_redacted() -> None:
    """Whatever the options and the letter case of the attribute."""
    made = change_record(Add(DN, {"cn": (b"U",), "UserPassword;x-old": (b"x",)}), redacted=True)
    changed = change_record(Modify(DN, (Mod(Op.DELETE, "userPassword", (b"x",)),)), redacted=True)

    assert made.endswith(b"cn: U\nUserPassword;x-old: {redacted}\n\n")
    assert changed.endswith(b"delete: userPassword\nuserPassword: {redacted}\n-\n\n")


def test_a_sweep_is_expanded_and_a_recheck_is_a_comment() -> None:
    """What a recheck orders depends on what others do meanwhile."""
    asked: list[Query] = []
    query = Query("o=x", Scope.ONE, "(cn=*)")

    def found(wanted: Query) -> Iterator[Entry]:
        asked.append(wanted)
        yield from (Entry("cn=1,o=x", {}), Entry("cn=2,o=x", {}))

    def change(entry: Entry) -> Iterator[Operation]:
        if entry.dn != "cn=1,o=x":
            yield Delete(entry.dn)

    text = printed(
        Sweep("two\nlines", query, change),
        Recheck("is it so", query, lambda _: Correction()),
        found=found,
    )

    assert asked == [query]
    assert text.decode() == (
        "version: 1\n# sweep: two\n# lines\ndn: cn=2,o=x\nchangetype: delete\n\n"
        "# recheck: is it so\n"
    )


def test_printing_streams() -> None:
    """A sweep over ten thousand entries is not held in memory."""
    taken = []

    def found(_: Query) -> Iterator[Entry]:
        for number in range(10):
            taken.append(number)
            yield Entry(f"cn={number},o=x", {})

    sweep = Sweep("all", Query("o=x", Scope.ONE, "(cn=*)"), lambda entry: [Delete(entry.dn)])
    records = change_records(Plan(DN, (sweep,)), found)
    assert [next(records) for _ in range(3)][-1].startswith(b"dn: cn=0,")
    assert taken == [0]


names = st.sampled_from(["cn", "sn", "mail", "userPassword", "description;lang-de"])
dns = st.one_of(
    st.just(DN), st.sampled_from(["cn=\u00fc,o=x", "cn= \\# ,o=x", f"cn={'a' * 90},o=x"])
)
some = st.lists(st.binary(min_size=1, max_size=90), min_size=1, max_size=3).map(tuple)
mods = st.one_of(
    st.builds(Mod, st.sampled_from([Op.ADD, Op.DELETE, Op.REPLACE]), names, some),
    st.builds(Mod, st.sampled_from([Op.DELETE, Op.REPLACE]), names),
)
operations = st.one_of(
    st.builds(Add, dns, st.dictionaries(names, some, min_size=1)),
    st.builds(Modify, dns, st.lists(mods, min_size=1, max_size=3).map(tuple)),
    st.builds(Delete, dns),
)  # fmt: skip


class Reader(ldif.LDIFParser):  # type: ignore[misc]
    """What python-ldap makes of change records; it reads no `changetype: delete` further."""

    def __init__(self, text: bytes) -> None:
        super().__init__(io.BytesIO(text))
        self.adds: list[tuple[str, dict[str, tuple[bytes, ...]]]] = []
        self.modifies: list[tuple[str, tuple[Mod, ...]]] = []

    def handle_modify(self, dn: str, modops: Any, controls: Any = None) -> None:
        read = tuple(Mod(Op(op), name, tuple(values or ())) for op, name, values in modops)
        self.modifies.append((dn, read))


@given(st.lists(operations, max_size=4))
def test_a_parser_reads_the_same_operations(plan: list[Operation]) -> None:
    """What is printed is what would be done."""
    text = printed(*plan)
    reader = Reader(text)
    reader.parse_change_records()
    changes = [step for step in plan if isinstance(step, Modify)]
    assert reader.modifies == [(step.dn, step.mods) for step in changes]
    assert reader.changetype_counter["add"] == sum(isinstance(step, Add) for step in plan)
    assert reader.changetype_counter["delete"] == sum(isinstance(step, Delete) for step in plan)
    assert reader.records_read == len(plan)


@given(st.lists(st.builds(Add, dns, st.dictionaries(names, some, min_size=1)), max_size=3))
def test_a_parser_reads_the_same_entries(plan: list[Add]) -> None:
    """The change type aside, an addition is a content record."""
    text = printed(*plan).replace(b"changetype: add\n", b"")
    reader = ldif.LDIFRecordList(io.BytesIO(text))
    reader.parse_entry_records()
    read = [(dn, {k: tuple(v) for k, v in entry.items()}) for dn, entry in reader.all_records]
    assert read == [(step.dn, dict(step.attributes)) for step in plan]


GUARD = Modify(DN, (), ("s",))
OTHER = Modify("o=other", (HEAD,))


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((), (GUARD,)),
        ((OTHER,), (GUARD, OTHER)),
        ((Delete(DN),), (GUARD, Delete(DN))),
        ((Modify(DN, (HEAD,)), OTHER), (Modify(DN, (HEAD,), ("s",)), OTHER)),
        ((OTHER, Modify(DN, (HEAD,))), (GUARD, OTHER, Modify(DN, (HEAD,)))),
    ],
)
def test_a_guarded_plan_begins_with_the_named_entry(
    steps: tuple[Any, ...], expected: tuple[Any, ...]
) -> None:
    """Its state is judged by the directory, by a change of it that comes first."""
    plan = Plan(DN, steps, "s", ("x",))
    assert conditional_on_state(plan) == Plan(DN, expected, "s", ("x",))


def test_a_guard_judges_for_what_comes_later() -> None:
    """It leaves a new state itself, which no later step can know."""
    mods = (Mod(Op.ADD, "cn", (b"x",)),)
    other = Modify(f"cn=x,{DN}", mods, ("t",))
    plan = Plan(DN, (other, Modify(DN, mods, ("s",))), "s")
    assert conditional_on_state(plan).steps == (Modify(DN, (), ("s",)), other, Modify(DN, mods))


def test_steps_are_described_without_values() -> None:
    """A report may go to a client."""
    query = Query("o=x", Scope.SUBTREE, "(cn=*)")
    assert describe(Add(DN, {"userPassword": (b"secret",)})) == f"add {DN}"
    assert describe(Modify(DN, (HEAD,))) == f"modify {DN}"
    assert describe(Delete(DN)) == f"delete {DN}"
    assert describe(Sweep("clear", query, lambda _: ())) == "clear"
    assert describe(Recheck("look", query, lambda _: Correction())) == "look"


def test_inverse_takes_back_value_by_value() -> None:
    """Last first: what was put in goes before what it replaced comes back."""
    before = Entry(DN, {"cn": [b"Ann"], "mobile": [b"1"], "service": [b"a", b"b"], "role": [b"x"]})
    done = (
        Mod(Op.REPLACE, "cn", (b"ANN",)),
        Mod(Op.REPLACE, "sn", (b"T",)),
        Mod(Op.REPLACE, "mobile"),
        Mod(Op.DELETE, "service", (b"a",)),
        Mod(Op.ADD, "service", (b"A",)),
        Mod(Op.DELETE, "role"),
    )
    assert inverse(done, before) == (
        Mod(Op.ADD, "role", (b"x",)),
        Mod(Op.DELETE, "service", (b"A",)),
        Mod(Op.ADD, "service", (b"a",)),
        Mod(Op.ADD, "mobile", (b"1",)),
        Mod(Op.DELETE, "sn", (b"T",)),
        Mod(Op.DELETE, "cn", (b"ANN",)),
        Mod(Op.ADD, "cn", (b"Ann",)),
    )


def test_inverse_of_nothing() -> None:
    """Removing what is not there, say."""
    assert inverse((), Entry(DN, {})) == ()
    assert inverse((Mod(Op.REPLACE, "cn"),), Entry(DN, {})) == ()
