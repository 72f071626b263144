"""Exports judged without a server."""

import gzip
import io
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from iredldap.dit.names import Tree
from ldif_export.backup.full import text
from ldif_export.manifest import Manifest, ManifestBuilder
from ldif_export.restore import password_hashes
from ldif_export.restore.checks import MOST_LISTED
from ldif_export.restore.verify import VerifyReport, verify

TREE = Tree("dc=example,dc=com")
NAME = "a.test"
GOOD_HASH = b"{SSHA}" + b"A" * 38 + b"=="

Attributes = dict[str, list[bytes]]
Entry = tuple[str, Attributes]


def entry(dn: str, kind: str, attribute: str, value: str, **more: list[bytes]) -> Entry:
    return dn, {"objectClass": [kind.encode()], attribute: [value.encode()], **more}


def user(mail: str, **more: list[bytes]) -> Entry:
    return entry(TREE.user(mail), "mailUser", "mail", mail, **more)


def unit(name: str) -> Entry:
    return entry(TREE.container(NAME, name), "organizationalUnit", "ou", name)


DOMAIN = entry(TREE.domain(NAME), "mailDomain", "domainName", NAME)
TOP = [DOMAIN, *map(unit, ("Users", "Groups", "Aliases", "Externals"))]
ANN = user("ann@a.test", shadowAddress=[b"a@a.test"], userPassword=[GOOD_HASH])
MEMBERS = entry(TREE.externals("l@a.test"), "mailExternalUser", "memberOfGroup", "l@a.test")
ALL = [
    *TOP,
    ANN,
    user("@a.test"),
    entry(TREE.maillist("l@a.test"), "mailList", "mail", "l@a.test"),
    entry(TREE.alias("al@a.test"), "mailAlias", "mail", "al@a.test"),
    (MEMBERS[0], {**MEMBERS[1], "mail": [b"ann@a.test", b"far@else.test"]}),
    entry(TREE.admin("root@x.test"), "mailAdmin", "mail", "root@x.test"),
]


def written(*entries: Entry) -> bytes:
    return b"".join(text(entries, passwords=True))


def judged(data: bytes, manifest: Manifest | None = None) -> VerifyReport:
    return verify(io.BytesIO(data), manifest)


def manifest_of(*entries: Entry) -> Manifest:
    builder = ManifestBuilder(
        mode="fuzzy", suffix=TREE.suffix, selections=(), passwords=True, began=""
    )
    builder.chunk(written(*entries))
    for dn, attributes in entries:
        builder.entry(dn, attributes["objectClass"])
    return builder.finished("")


SHARED = [
    # A path as others may write it, whether it is odd, and beside which line that is told.
    ("/V/a/ann", "is"),
    ("/v//a/ann/", "is"),
    ("/v/a/", "touches"),
    ("/v/a/ann/x/", "touches"),
    ("/v/a/ann2/", None),
    ("/v/a/an", None),
]


@pytest.mark.parametrize(("path", "word"), SHARED)
def test_mailboxes_that_touch_are_a_warning(path: str, word: str | None) -> None:
    """Several may share one on purpose; what the file says of it is whole all the same."""
    ann = user("ann@a.test", homeDirectory=[b"/v/a/ann/"])
    bob = user("bob@a.test", homeDirectory=[path.encode()])
    report = judged(written(*TOP, ann, bob))
    assert report.ok
    told = [fault.reason.partition(": ")[2] for fault in report.warnings]
    assert [words.split()[0] for words in told] == ([word] if word else [])


def test_many_with_one_mailbox_are_told_once_each() -> None:
    """Each beside the first of them, in the older form of a path, too."""
    store = {"storageBaseDirectory": [b"/v"], "mailMessageStore": [b"a/team/"]}
    many = [user(f"u{number}@a.test", homeDirectory=[b"/v/a/team"]) for number in range(9)]
    report = judged(written(*TOP, user("old@a.test", **store), *many))
    lines = {fault.reason.rpartition(" ")[2] for fault in report.warnings}
    assert (report.ok, len(report.warnings), len(lines)) == (True, 9, 1)


def test_a_whole_export_has_no_fault() -> None:
    """Each kind in its place; foreign members are nobody's addresses."""
    report = judged(written(*ALL), manifest_of(*ALL))
    assert report.ok, report.faults
    assert (report.faults, report.warnings, report.entries) == ((), (), len(ALL))
    once = ("domain", "user", "catchall", "maillist", "alias", "externals", "admin")
    assert report.kinds == {"container": 4, **dict.fromkeys(once, 1)}
    assert json.loads(json.dumps(report.as_json()))["ok"] is True


@pytest.mark.parametrize("entries", [[ANN], [DOMAIN], ALL[7:10:2], [ALL[-1]], []])
def test_a_part_of_the_tree_is_whole_too(entries: list[Entry]) -> None:
    """One account, a domain's entry alone, a list with its members, nothing."""
    assert judged(written(*entries)).ok


def test_a_cut_export_fails_wherever_it_is_cut() -> None:
    """At every byte but the last line end, and between records too."""
    data = written(*ALL)
    whole = [size for size in range(len(data)) if judged(data[:size]).ok]
    assert whole in ([len(data) - 1], [])


def test_a_cut_compressed_export_fails() -> None:
    """Also where only the compressor's own end is missing."""
    packed = gzip.compress(written(*ALL))
    assert judged(packed, manifest_of(*ALL)).ok
    for size in range(20, len(packed)):
        assert not judged(packed[:size]).ok


def moved(found: Entry, dn: str) -> Entry:
    return dn, found[1]


def given(found: Entry, **more: list[bytes]) -> Entry:
    return found[0], {**found[1], **more}


def respelled(dn: str) -> str:
    return dn.upper().replace(",", ", ")


FAULTS: dict[str, tuple[list[Entry], str]] = {
    "container missing": ([DOMAIN, ANN], "its parent is missing"),
    "twice": ([*TOP, moved(TOP[4], respelled(TOP[4][0]))], "is at line 20 already"),
    "no class": ([*TOP, (ANN[0], {"mail": [b"ann@a.test"]})], "no objectClass"),
    "value twice": ([*TOP, given(ANN, title=[b"a", b"a"])], "title: a value twice"),
    "no DN": ([*TOP, moved(ANN, "ann@a.test")], "is not a valid DN"),
    "other suffix": (
        [*TOP, ANN, moved(ALL[-1], Tree("dc=x").admin("root@x.test"))],
        "of another suffix",
    ),
    "value twice by rule": ([*TOP, given(ANN, title=[b"a b", b"A  B"])], "title: a value twice"),
    "twice by rule": (
        [
            *TOP,
            moved(TOP[4], TOP[4][0].replace("ou=Externals", "organizationalUnitName=externals")),
        ],
        "is at line 20 already",
    ),
    "below an alias object": (
        [
            *TOP,
            given(ANN, objectClass=[b"Alias", b"extensibleObject"], aliasedObjectName=[b"o=x"]),
            entry(f"cn=a,{ANN[0]}", "device", "cn", "a"),
        ],
        "its parent is an alias object",
    ),
}
ODD: dict[str, tuple[list[Entry], str]] = {
    "parent comes late": ([*TOP[:1], ANN, *TOP[1:]], "its parent comes after it, at line"),
    "name not among values": ([*TOP, moved(ANN, TREE.user("bo@a.test"))], "mail lacks the value"),
    "user among lists": (
        [*TOP, moved(ANN, TREE.maillist("ann@a.test"))],
        "not where a user belongs",
    ),
    "list among users": (
        [*TOP, moved(ALL[7], TREE.user("l@a.test"))],
        "not where a maillist belongs",
    ),
    "domain within a domain": (
        [*TOP, entry(f"domainName=b.test,{DOMAIN[0]}", "mailDomain", "domainName", "b.test")],
        "not where a domain",
    ),
    "unknown container": ([*TOP, unit("Else")], "not where a container belongs"),
    "admin in a domain": (
        [*TOP, moved(ALL[-1], TREE.user("root@x.test"))],
        "not where an admin belongs",
    ),
    "unknown kind": ([*TOP, given(ANN, objectClass=[b"device"])], "of an unknown kind"),
    "foreign address": (
        [*TOP, given(ANN, mail=[b"ann@a.test", b"ann@b.test"])],
        "ann@b.test is of another domain",
    ),
    "members of a foreign list": (
        [*TOP, given(MEMBERS, memberOfGroup=[b"l@a.test", b"l@b.test"])],
        "l@b.test is of another domain",
    ),
    "shared address": (
        [*TOP, ANN, user("bo@a.test", shadowAddress=[b"ANN@a.test"])],
        "ann@a.test: belongs to the entry at line 24 as well",
    ),
    "shared alias address": (
        [*TOP, ANN, entry(TREE.alias("a@a.test"), "mailAlias", "mail", "a@a.test")],
        "a@a.test: belongs to the entry at line 24 as well",
    ),
    "shared name of a domain": (
        [
            *TOP,
            entry(
                TREE.domain("b.test"),
                "mailDomain",
                "domainName",
                "b.test",
                domainAliasName=[b"A.test"],
            ),
        ],
        "a.test: belongs to the entry at line 4 as well",
    ),
}


@pytest.mark.parametrize("name", ["cn=Firm+domainName=a.test", "cn=Firm"])
def test_what_stands_in_a_domain_that_another_tool_named_is_in_its_place(name: str) -> None:
    """The name of the domain alone is odd; an address of another domain is told where it shows."""
    home, base = DOMAIN[0], f"{name},{TREE.base}"
    entries = [(dn.replace(home, base), {**more, "cn": [b"Firm"]}) for dn, more in ALL]
    odd = [fault.reason for fault in judged(written(*entries)).warnings]
    assert odd == [f"{base}: not where a domain belongs"]
    entries[5] = (entries[5][0], {**entries[5][1], "mail": [b"ann@a.test", b"ann@b.test"]})
    odd = [fault.reason for fault in judged(written(*entries)).warnings]
    assert any("of another domain" in words for words in odd) is ("domainName" in name)


@pytest.mark.parametrize(("entries", "reason"), FAULTS.values(), ids=FAULTS)
def test_a_rule_of_the_tree_is_kept(entries: list[Entry], reason: str) -> None:
    """What breaks it is told with the line of its entry, and nothing else is."""
    data = written(*entries)
    (fault,) = judged(data).faults
    assert reason in fault.reason
    assert data.splitlines()[fault.line - 1].startswith(b"dn")


@pytest.mark.parametrize(("entries", "reason"), ODD.values(), ids=ODD)
def test_what_is_only_odd_is_a_warning(entries: list[Entry], reason: str) -> None:
    """A directory where it was so must come back; it is told with the line of its entry."""
    data = written(*entries)
    report = judged(data)
    assert report.faults == ()
    (warning,) = report.warnings
    assert reason in warning.reason
    assert data.splitlines()[warning.line - 1].startswith(b"dn")


def test_what_is_equal_by_rule_is_no_oddity() -> None:
    """A blank at the end of an address, an address in capital letters, another name of a name."""
    stored = given(user("ann@a.test"), mail=[b"ANN@a.test "])
    users = entry(
        TREE.container(NAME, "Users"), "organizationalUnit", "organizationalUnitName", "USERS"
    )
    report = judged(written(DOMAIN, users, stored))
    assert (report.faults, report.warnings) == ((), ())


def test_attributes_of_other_programs_are_compared_by_their_bytes() -> None:
    """Nobody knows their rules here."""
    assert judged(written(*TOP, given(ANN, acmeCode=[b"a", b"A"]))).ok


def test_what_an_installation_has_for_itself_is_no_fault() -> None:
    """`slapcat` writes all of a database; of other programs it is told that they are left out."""
    top = [
        entry(TREE.suffix, "organization", "o", "example"),
        entry(f"cn=vmail,{TREE.suffix}", "person", "cn", "vmail"),
        entry(TREE.base, "organization", "o", "domains"),
    ]
    assert judged(written(*top, *TOP)).warnings == ()
    report = judged(written(*top, *TOP, entry(f"ou=x,{TREE.suffix}", "device", "ou", "x")))
    assert report.ok
    assert "left out" in report.warnings[0].reason
    assert not judged(written(*top, *TOP, entry("ou=x,dc=else", "device", "ou", "x"))).ok


def test_a_file_of_another_program_need_not_tell_its_end() -> None:
    """What has no head of ours has no number of entries either; one without entries is nothing."""
    data = written(*TOP).split(b"\n\n", 1)[1].rpartition(b"\n#")[0]
    report = judged(data)
    assert (report.ok, [fault.reason for fault in report.warnings]) == (
        True,
        ["no number of entries at the end: it may be cut off"],
    )
    assert not judged(b"version: 1\n").ok


def test_a_fault_of_the_text_has_its_line() -> None:
    """And its entry is missing from the count."""
    data = written(*TOP).replace(b"ou: Users", b"ou: Users\nnonsense")
    faults = judged(data).faults
    assert (faults[0].line, faults[0].reason) == (11, "no colon")
    assert "5 entries are announced, 4 are there" in faults[-1].reason


BROKEN: list[tuple[Callable[[Manifest], Manifest], str]] = [
    (lambda m: replace(m, entries=9), "entries: the manifest says 9, it is 5"),
    (lambda m: replace(m, size=9), "bytes: the manifest says 9"),
    (lambda m: replace(m, sha256="x"), "SHA-256: the manifest says x"),
    (lambda m: replace(m, kinds={**m.kinds, "user": 1}), "kind user: the manifest says 1, it is 0"),
]


@pytest.mark.parametrize(("change", "reason"), BROKEN, ids=[reason[:8] for _, reason in BROKEN])
def test_a_manifest_is_held_to(change: Callable[[Manifest], Manifest], reason: str) -> None:
    """Each number of it."""
    (fault,) = judged(written(*TOP), change(manifest_of(*TOP))).faults
    assert fault.line == 0
    assert fault.reason.startswith(reason)


def test_the_suffix_is_the_manifest_s() -> None:
    """An export of another tree is told apart even when all of it is."""
    report = judged(written(*TOP), replace(manifest_of(*TOP), suffix="dc=x"))
    assert {fault.reason.rpartition(": ")[2] for fault in report.faults} == {"of another suffix"}


@pytest.mark.parametrize(
    ("stored", "warning"),
    [
        (GOOD_HASH, None),
        (b"{ssha}" + GOOD_HASH[6:], None),
        (b"{CRYPT}$2y$05$" + b"a" * 53, None),
        (b"hunter2", "clear text"),
        (b"", "clear text"),
        (b"$6$salt$" + b"a" * 86, "clear text"),
        (b"{CLEARTEXT}hunter2", "clear text"),
        (b"{plain}hunter2", "clear text"),
        (b"{BLF-CRYPT}$2y$05$" + b"a" * 53, "not verify"),
        (b"{SSHA}hunter2", "not verify"),
        (b"{ARGON2}$argon2id$v=19$m=1,t=1,p=1$YQ$Yg", "not verify"),
        (b"{SSHA}\xff\xfe", "not verify"),
    ],
)
def test_a_password_that_nobody_can_use_is_a_warning(stored: bytes, warning: str | None) -> None:
    """So is one that everybody can; neither is shown."""
    report = judged(written(*TOP, given(ANN, userPassword=[stored])))
    assert report.ok
    reasons = [fault.reason for fault in report.warnings]
    assert (len(reasons), all(warning in reason for reason in reasons if warning)) == (
        int(warning is not None),
        True,
    )
    assert "hunter2" not in repr(report)


def test_which_hashes_are_verified_can_be_said() -> None:
    """Without the module for SHA-2 a server takes such a hash for clear text."""
    assert not password_hashes.is_verified(GOOD_HASH, {"CRYPT"})


def test_of_many_faults_the_first_are_told_and_all_counted() -> None:
    """A report has its limits."""
    report = judged(written(*(moved(ANN, "nonsense") for _ in range(MOST_LISTED + 5))))
    assert (len(report.faults), report.fault_count) == (MOST_LISTED, MOST_LISTED + 5)
