"""A whole export and the increments that follow it, put together."""

import gzip
import hashlib
from pathlib import Path

import pytest

from iredldap.dit.change_records import change_record
from iredldap.dit.plan import Add, Delete, Mod, Modify, Op, Operation, Rename
from iredldap.ldif.writer import VERSION, comment
from ldif_export.backup.full import text
from ldif_export.chain import ChainBroken, joined

DOMAIN = "domainName=a.test,o=domains,dc=x"
USERS = f"ou=Users,{DOMAIN}"
ANN = f"mail=ann@a.test,{USERS}"
ENTRIES = [
    (DOMAIN, {"domainName": [b"a.test"], "cn": [b"A"]}),
    (USERS, {"ou": [b"Users"]}),
    (ANN, {"mail": [b"ann@a.test"], "cn": [b"Ann"], "title": [b"x", b"Y"]}),
]


def whole(folder: Path) -> Path:
    path = folder / "whole.ldif.gz"
    path.write_bytes(gzip.compress(b"".join(text(ENTRIES, passwords=True))))
    return path


def digest(path: Path) -> str:
    content = path.read_bytes()
    plain = gzip.decompress(content) if path.suffix == ".gz" else content
    return hashlib.sha256(plain).hexdigest()


def increment(before: Path, name: str, *operations: Operation, number: int | None = None) -> Path:
    path = before.with_name(name)
    count = len(operations) if number is None else number
    lines = [VERSION, comment("Password hashes: included")]
    lines += [comment(f"changes since: {digest(before)}"), b"\n"]
    path.write_bytes(
        b"".join([*lines, *map(change_record, operations), comment(f"changes: {count}")])
    )
    return path


def state(*given: Path) -> bytes:
    with joined(given) as file, file.open("rb") as opened:
        return opened.read()


def faults(*given: Path) -> tuple[str, ...]:
    with pytest.raises(ChainBroken) as broken, joined(given):
        pass
    assert broken.value.count == len(broken.value.faults)
    return tuple(fault.replace(f"{given[0].parent}/", "") for fault in broken.value.faults)


def test_a_whole_export_alone_is_itself(tmp_path: Path) -> None:
    path = whole(tmp_path)
    assert state(path) == gzip.decompress(path.read_bytes())


def test_changes_are_carried_out_in_their_order(tmp_path: Path) -> None:
    """A rename takes along what is below, and the values of a name."""
    full = whole(tmp_path)
    bob = f"mail=bob@a.test,{USERS}"
    first = increment(
        full,
        "1.ldif",
        Modify(ANN, (Mod(Op.REPLACE, "CN", (b"Ann Smith",)), Mod(Op.DELETE, "title", (b"y",)))),
        Add(bob, {"mail": (b"bob@a.test",)}),
    )
    second = increment(
        first,
        "2.ldif",
        Rename(DOMAIN, "domainName=b.test"),
        Delete("MAIL=bob@a.test , ou=users,domainName=B.test,o=domains,dc=x"),
        Modify(
            "mail=ann@a.test,ou=Users,domainName=b.test,o=domains,dc=x",
            (Mod(Op.ADD, "mobile", (b"1",)), Mod(Op.REPLACE, "title")),
        ),
    )
    expected = [
        (DOMAIN.replace("a.test", "b.test"), {"cn": [b"A"], "domainName": [b"b.test"]}),
        (USERS.replace("a.test", "b.test"), {"ou": [b"Users"]}),
        (
            "mail=ann@a.test,ou=Users,domainName=b.test,o=domains,dc=x",
            {"mail": [b"ann@a.test"], "cn": [b"Ann Smith"], "mobile": [b"1"]},
        ),
    ]
    assert state(full, first, second) == b"".join(text(expected, passwords=True))


def test_parents_come_first_whatever_was_added_when(tmp_path: Path) -> None:
    full = whole(tmp_path)
    new = "domainName=n.test,o=domains,dc=x"
    moved = increment(
        full,
        "1.ldif",
        Add(new, {"domainName": (b"n.test",)}),
        Add(f"ou=Users,{new}", {"ou": (b"Users",)}),
        Rename(ANN, "mail=ann@n.test", f"ou=Users,{new}"),
    )
    lines = state(full, moved).splitlines()
    dns = [line for line in lines if line.startswith(b"dn: ")]
    assert dns[-1] == f"dn: mail=ann@n.test,ou=Users,{new}".encode()
    assert b"mail: ann@n.test" in lines


@pytest.mark.parametrize("order", [(0, 2, 1), (0, 2), (1,), (2, 0)])
def test_files_out_of_order_are_refused(tmp_path: Path, order: tuple[int, ...]) -> None:
    """Also one that is missing between; the digests tell."""
    full = whole(tmp_path)
    first = increment(full, "1.ldif", Modify(ANN, (Mod(Op.REPLACE, "cn", (b"1",)),)))
    second = increment(first, "2.ldif", Modify(ANN, (Mod(Op.REPLACE, "cn", (b"2",)),)))
    files = (full, first, second)
    found = faults(*(files[number] for number in order))
    if order[0] == 0:
        expected = f"2.ldif: line 3: it follows another export: {digest(first)[:12]}"
        assert found == (f"{expected}, not {digest(full)[:12]}",)
    else:
        assert found


def test_a_whole_export_is_no_increment(tmp_path: Path) -> None:
    full = whole(tmp_path)
    why = "no increment: it does not say which export it follows"
    assert faults(full, full) == (f"whole.ldif.gz: line 5: {why}",)


def test_one_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    full = whole(tmp_path)
    cut = increment(full, "1.ldif", Modify(ANN, (Mod(Op.REPLACE, "cn", (b"1",)),)))
    content = cut.read_bytes()
    cut.write_bytes(content[: content.index(b"# changes: ")])
    (fault,) = faults(full, cut)
    assert fault.endswith("no comment with the number of changes at the end: it is cut off")


def test_another_number_of_changes_is_refused(tmp_path: Path) -> None:
    full = whole(tmp_path)
    odd = increment(full, "1.ldif", Modify(ANN, (Mod(Op.REPLACE, "cn", (b"1",)),)), number=2)
    (fault,) = faults(full, odd)
    assert fault.endswith("2 changes are announced, 1 are there")


NOBODY = f"mail=nobody@a.test,{USERS}"


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (Add(ANN.upper(), {"mail": (b"x",)}), "it is there already"),
        (Modify(NOBODY, (Mod(Op.REPLACE, "cn"),)), "it is not there"),
        (Delete(NOBODY), "it is not there"),
        (Delete(USERS), "there are entries below it"),
        (Rename(NOBODY, "mail=x@a.test"), "it is not there"),
        (Rename(USERS, "ou=Users", f"o=domains,{NOBODY}"), None),
        (Rename(ANN, "domainName=a.test", "o=domains,dc=x"), f"{DOMAIN} is there already"),
        (Modify(ANN, (Mod(Op.DELETE, "title", (b"z",)),)), "title lacks 1 values"),
        (Add("no dn", {"cn": (b"x",)}), "not a valid DN"),
    ],
)
def test_what_cannot_be_carried_out_is_named(
    tmp_path: Path, operation: Operation, why: str | None
) -> None:
    full = whole(tmp_path)
    after = increment(full, "1.ldif", operation)
    if why is None:
        assert state(full, after)
        return
    (fault,) = faults(full, after)
    assert fault.startswith(f"1.ldif: line 6: {operation.dn}: {why}")
