"""What slapd takes comes back as the same bytes, and a file is written whole or not at all."""

import io
import subprocess
import textwrap
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NamedTuple

import ldap
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from ldap.controls.simple import ManageDSAITControl

from benchmarks.peers import program
from iredldap.dit import names
from iredldap.embedded.slapd import Slapd
from iredldap.gateways.directory import Directory
from iredldap.ldif import writer
from ldif_export.ldif import parser
from ldif_export.restore import execution, verify
from ldif_export.restore.execution import RestoreOutcome, planned_changes
from ldif_export.restore.normalize import Normalizer
from ldif_export.restore.plan import plan_restore
from ldif_export.restore.validation import RestoreOptions
from ldif_export.selection import Selection, searches
from tests.support.examples import examples
from tests.support.exported import (
    SUFFIX,
    TREE,
    Entry,
    account,
    connected,
    domain,
    parsed,
    plain,
    running,
    settings,
    user,
)
from tests.support.fuzz import Draft, drafts

USERS = TREE.container("a.test", "Users")
ANN = TREE.user("ann@a.test")
ALL = Selection("all")
ENTRIES = drafts()
OPTIONS = RestoreOptions(clear_text=True)


class Ground(NamedTuple):
    """A directory, its client that restores, and one that does as it likes."""

    server: Slapd
    directory: Directory
    connection: Any

    def exported(self) -> bytes:
        return plain(self.server, ALL, searches(ALL, TREE))

    def clear(self) -> None:
        """Take away all but a domain with one user."""
        kept = {dn for dn, _ in [*domain("a.test"), user("ann@a.test")]} | {TREE.base}
        found = self.connection.search_s(TREE.base, ldap.SCOPE_SUBTREE, attrlist=["1.1"])
        for dn, _ in sorted(found, key=lambda entry: -names.depth(entry[0])):
            if dn not in kept:
                self.connection.delete_s(dn)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    home = tmp_path_factory.mktemp("trip")
    entries = [*domain("a.test"), user("ann@a.test")]
    with (
        running(home, entries, extra="envflags nosync nometasync") as server,
        connected(server) as connection,
        closing(Directory(settings(server, "vmailadmin"))) as directory,
    ):
        connection.set_option(ldap.OPT_SERVER_CONTROLS, [ManageDSAITControl()])
        yield Ground(server, directory, connection)


class File:
    """A file in the memory, as `restore` takes it."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def open(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(io.BytesIO(self._data))


def brought_back(ground: Ground, data: bytes) -> RestoreOutcome:
    plan = plan_restore(File(data), ground.directory, OPTIONS)
    assert plan.ok, plan.refused
    return execution.execute(plan, ground.directory)


@examples(60)
@given(draft=ENTRIES, above=st.sampled_from([USERS, ANN, TREE.domain("a.test")]))
def test_what_slapd_takes_comes_back_as_the_same_bytes(
    ground: Ground, draft: Draft, above: str
) -> None:
    """Added, exported, found right, deleted, and restored."""
    ground.clear()
    dn = f"{draft.rdn},{above}"
    try:
        ground.connection.add_s(dn, [*draft.gathered().items()])
    except ldap.LDAPError:
        assume(False)
    text = ground.exported()
    report = verify.verify(io.BytesIO(text))
    assert report.ok, report.faults

    ground.connection.delete_s(dn)
    done = brought_back(ground, text)

    assert (done.added, done.missing, done.differ) == (1, 0, 0)
    assert ground.exported() == text


@st.composite
def files(draw: st.DrawFn) -> list[Entry]:
    """Make entries in any order, some below others, some twice."""
    found: list[Entry] = []
    for draft in draw(st.lists(ENTRIES, min_size=1, max_size=3)):
        above = draw(st.sampled_from([USERS, USERS, ANN, *(dn for dn, _ in found)]))
        found.append((f"{draft.rdn},{above}", draft.gathered()))
    if not draw(st.integers(0, 5)):
        dn, attributes = found[0]
        found.append((dn.replace(",", " , ").swapcase() if draw(st.booleans()) else dn, attributes))
    return draw(st.permutations(found))


@examples(150)
@given(entries=files())
def test_a_rehearsal_is_right(ground: Ground, entries: list[Entry]) -> None:
    """What it takes is written whole; of what it refuses, slapd refuses something, too."""
    ground.clear()
    before = ground.exported()
    data = b"".join(writer.record(*entry) for entry in entries)
    plan = plan_restore(File(data), ground.directory, OPTIONS)
    rehearsed = [*planned_changes(plan, ground.directory)] if plan.ok else []
    assert ground.exported() == before
    if plan.ok:
        done = execution.execute(plan, ground.directory)
        assert done.ok
        assert (done.missing, done.differ, done.equal) == (0, 0, plan.entries)
        assert len(rehearsed) == 1 + done.added
    else:
        assert refused_by_slapd(ground, data), plan.refused


def refused_by_slapd(ground: Ground, data: bytes) -> bool:
    """Whether slapd refuses any of the entries, parents first."""
    shape = Normalizer(TREE, ground.directory.schema())
    items = [*parser.read(io.BytesIO(data))]
    records = [shape.normalized(item) for item in items if isinstance(item, parser.ParsedRecord)]
    for record in sorted(records, key=lambda found: len(shape.parts(found.dn))):
        try:
            ground.connection.add_s(record.dn, [*record.attributes.items()])
        except ldap.LDAPError:
            return True
    return False


def phpldapadmin(entries: list[Entry], end: str) -> bytes:
    """Write entries as phpLDAPadmin exports them."""
    lines = [
        f"# LDIF Export for {SUFFIX}",
        "# Server: My LDAP Server (127.0.0.1)",
        "# Search Scope: sub",
        "# Search Filter: (objectClass=*)",
        f"# Total Entries: {len(entries)}",
        "#",
        "# Generated by phpLDAPadmin (http://phpldapadmin.sourceforge.net) on May 4, 2026 8:00 am",
        "# Version: 1.2.6.3",
        "",
        "version: 1",
        "",
    ]
    for number, (dn, attributes) in enumerate(entries, 1):
        lines += [f"# Entry {number}: {dn}", *folded(line_of("dn", dn.encode()))]
        for name in sorted(attributes, key=str.lower):
            for value in attributes[name]:
                lines += folded(line_of(name.lower(), value))
        lines.append("")
    return end.join(lines).encode()


def line_of(name: str, value: bytes) -> str:
    safe = value.isascii() and value == value.strip() and not value.startswith((b":", b"<"))
    if safe and not set(value) & {0, 10, 13}:
        return f"{name}: {value.decode()}"
    return f"{name}:: {b64encode(value).decode()}"


def folded(line: str) -> list[str]:
    first, *rest = [line[at : at + 76] for at in range(0, len(line), 76)]
    return [first, *(f" {piece}" for piece in rest)]


def everything(ground: Ground) -> list[Entry]:
    """All entries of the tree, as a program finds them that searches it."""
    return [*ground.connection.search_s(SUFFIX, ldap.SCOPE_SUBTREE)]


def from_slapcat(ground: Ground) -> bytes:
    words = [program("slapcat"), "-f", str(ground.server.home / "slapd.conf"), "-b", SUFFIX]
    return subprocess.run(words, capture_output=True, check=True).stdout


WRITERS: dict[str, Callable[[Ground], bytes]] = {
    "slapcat": from_slapcat,
    "phpLDAPadmin": lambda ground: phpldapadmin(everything(ground), "\n"),
    "phpLDAPadmin for Windows": lambda ground: phpldapadmin(everything(ground), "\r\n"),
    "phpLDAPadmin, children first": lambda ground: phpldapadmin(everything(ground)[::-1], "\n"),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_files_of_other_programs_are_taken(
    ground: Ground, write: Callable[[Ground], bytes]
) -> None:
    """With what an installation has for itself, and what lies beside the accounts."""
    ground.clear()
    odd = user(
        "bob@a.test", displayName=["Zoë".encode()], title=[b" x "], jpegPhoto=[b"\xff" * 200]
    )
    for dn, attributes in (
        (odd[0], {**odd[1], "mail": [b"bob@a.test "]}),
        account(f"ou=Contacts,{odd[0]}", "organizationalUnit", "ou", "Contacts"),
        account(f"cn=friend,ou=Contacts,{odd[0]}", "device", "cn", "friend"),
    ):
        ground.connection.add_s(dn, [*attributes.items()])
    before = {dn: sorted(found.items()) for dn, found in parsed(ground.exported())}
    data = write(ground)
    assert verify.verify(io.BytesIO(data)).ok

    ground.clear()
    done = brought_back(ground, data)

    assert (done.ok, done.added, done.differ) == (True, 3, 0)
    after = {dn: sorted(found.items()) for dn, found in parsed(ground.exported())}
    assert after.keys() == before.keys()
    assert [name for name, _ in after[ANN]] == [name for name, _ in before[ANN]]
    for dn, found in before.items():
        assert [(n, sorted(v)) for n, v in after[dn]] == [(n, sorted(v)) for n, v in found]


def test_a_plan_of_what_is_there_changes_nothing(ground: Ground) -> None:
    """Also where the file spells DNs, classes and names in other ways than slapd keeps them."""
    ground.clear()
    text = textwrap.dedent(f"""\
        dn: CN = group , {USERS}
        objectclass: GROUPOFNAMES
        commonName: group
        member: MAIL=ann@a.test , {USERS.replace(",", " , ")}
        description;LANG-fr;lang-de: x
        """).encode()
    assert brought_back(ground, text).added == 1
    plan = plan_restore(File(text), ground.directory, RestoreOptions(overwrite=True))
    assert (plan.ok, plan.equal, plan.change) == (True, 1, 0)
