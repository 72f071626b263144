"""Files brought into a real directory: whole, in order, and not at all where anything is wrong."""

import gzip
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path

import ldap
import pytest

from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.dit import base, names, passwords
from iredldap.dit import plan as changes
from iredldap.dit.names import Tree
from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from iredldap.errors import PreconditionFailed, ServerDown
from iredldap.gateways.directory import Directory
from iredldap.gateways.ldap import servers
from iredldap.ldif.writer import record
from iredldap.shipped import shipped
from ldif_export.backup import full
from ldif_export.readers import libldap
from ldif_export.restore import execution
from ldif_export.restore.execution import planned_changes
from ldif_export.restore.plan import plan_restore
from ldif_export.restore.validation import RestoreOptions
from ldif_export.restore.verify import verify
from ldif_export.selection import Selection
from tests.support.patience import PATIENCE, started
from tests.support.world import UNFLUSHED

SUFFIX = "dc=example,dc=org"
TREE = Tree(SUFFIX)
SECRET = "reads and writes"
DOMAINS = ("a.test", "b.test", "young.test")
USERS = 2000

Entry = tuple[str, dict[str, list[bytes]]]


def hashed(word: str) -> bytes:
    return passwords.hashed(word, "SSHA", b"pepper-pepper-pp").encode()


def account(dn: str, kind: str, attribute: str, value: str, **more: list[bytes]) -> Entry:
    return dn, {"objectClass": [kind.encode()], attribute: [value.encode()], **more}


def user(mail: str, **more: list[bytes]) -> Entry:
    local = mail.partition("@")[0].encode() or b"catch-all"
    return TREE.user(mail), {
        "objectClass": [b"inetOrgPerson", b"mailUser", b"shadowAccount", b"amavisAccount"],
        "mail": [mail.encode()],
        **{attribute: [local] for attribute in ("cn", "sn", "uid")},
        "userPassword": [hashed(mail)],
        "enabledService": [b"mail", b"deliver", b"smtp", b"imap"],
        "accountStatus": [b"active"],
        **more,
    }


def domain(name: str) -> list[Entry]:
    units = ("Users", "Groups", "Aliases", "Externals")
    return [
        account(TREE.domain(name), "mailDomain", "domainName", name, cn=["Zoë".encode()]),
        *(account(TREE.container(name, u), "organizationalUnit", "ou", u) for u in units),
    ]


def accounts(users: int) -> Iterator[Entry]:
    """Three domains of many users and one of each other kind."""
    yield from chain.from_iterable(map(domain, DOMAINS))
    yield user("mover@a.test")
    for number in range(users):
        mail = f"u{number}@{DOMAINS[number % 3]}"
        yield user(
            mail, givenName=[f"Größe {number}".encode()], shadowAddress=[b"x" + mail.encode()]
        )
    odd = [b" leading", b"trailing ", b":colon", b"<less", b"line\nfeed", b"\ttab", b"y" * 300]
    yield user("odd+tag@a.test", title=odd, jpegPhoto=[bytes(range(256)) * 400])
    yield user("@a.test", mailForwardingAddress=[b"u0@a.test"])
    member = TREE.user("u0@a.test").encode()
    yield account(TREE.maillist("l@a.test"), "mailList", "mail", "l@a.test", member=[member])
    foreign = [b"far@else.test"]
    dn = TREE.externals("l@a.test")
    yield account(dn, "mailExternalUser", "memberOfGroup", "l@a.test", mail=foreign)
    yield account(TREE.alias("al@a.test"), "mailAlias", "mail", "al@a.test")


SELECTIONS = [*(Selection("domain", name) for name in DOMAINS), Selection("admin", "root@x.test")]


def settings(server: Slapd) -> LdapSettings:
    return LdapSettings(
        uri=(server.ldapi,),
        suffix=server.suffix,
        bind_dn=f"cn=vmailadmin,{server.suffix}",
        bind_password=Secret(SECRET),
        network_timeout=PATIENCE,
        operation_timeout=PATIENCE,
    )


@contextmanager
def running(home: Path, more: Iterator[Entry], suffix: str = SUFFIX) -> Iterator[Slapd]:
    server = Slapd(
        home=home,
        suffix=suffix,
        schema_dir=shipped("schema"),
        port=free_port(),
        extra=UNFLUSHED,
    )
    tree = base.entries(Tree(suffix), hashed(SECRET).decode(), hashed(SECRET).decode())
    server.prepare(base.ldif(tree) + b"".join(record(dn, attributes) for dn, attributes in more))
    started(server)
    try:
        yield server
    finally:
        server.stop()


def exported(server: Slapd, *, passwords: bool = True) -> bytes:
    """All domains and the admin, as the exporter writes them."""
    with closing_connection(server) as connection:
        found = chain.from_iterable(
            libldap.entries(connection, Tree(server.suffix), selection) for selection in SELECTIONS
        )
        kept = (
            (dn, {n: v for n, v in attributes.items() if passwords or n != "userPassword"})
            for dn, attributes in found
        )
        return b"".join(full.text(kept, passwords=passwords))


@contextmanager
def closing_connection(server: Slapd) -> Iterator[ldap.ldapobject.SimpleLDAPObject]:
    connection = servers.connect(settings(server))
    try:
        yield connection
    finally:
        connection.unbind_ext()


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An export in which one account stands in a domain that is younger than itself."""
    admin = account(TREE.admin("root@x.test"), "mailAdmin", "mail", "root@x.test")
    tree = chain(accounts(USERS), [admin])
    with running(tmp_path_factory.mktemp("full"), tree) as server:
        with closing_connection(server) as connection:
            parent = TREE.container("young.test", "Users")
            connection.rename_s(TREE.user("mover@a.test"), "mail=mover@young.test", parent)
        return exported(server)


@pytest.fixture
def small() -> bytes:
    """An export of a few accounts."""
    return b"".join(full.text(list(accounts(6)), passwords=True))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Slapd]:
    """A directory without a domain."""
    with running(tmp_path / "slapd", iter(())) as started:
        yield started


@pytest.fixture
def here(server: Slapd) -> Iterator[Directory]:
    with closing(Directory(settings(server))) as opened:
        yield opened


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
    """A directory that nothing may be written to, with one domain in it."""
    with (
        running(tmp_path_factory.mktemp("untouched"), iter(domain("there.test"))) as server,
        closing(Directory(settings(server))) as opened,
    ):
        yield opened


Save = Callable[[bytes], Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def write(data: bytes) -> Path:
        path = tmp_path / "file.ldif"
        path.write_bytes(data)
        return path

    return write


def contents(of: Directory) -> dict[str, dict[str, list[bytes]]]:
    """All that stands in a directory, with the state of each entry."""
    query = changes.Query(of.tree.suffix, changes.Scope.SUBTREE, "(objectClass=*)")
    return {entry.dn: dict(entry.attributes) for entry in of.stream(query)}


def by_name(entries: dict[str, dict[str, list[bytes]]]) -> dict[str, dict[str, list[bytes]]]:
    """Entries without their states, under their names however these are spelled."""
    return {
        repr(names.components(dn)): {n: v for n, v in found.items() if n != "entryCSN"}
        for dn, found in entries.items()
    }


def test_an_export_comes_back_byte_for_byte(
    text: bytes, server: Slapd, here: Directory, save: Save, tmp_path: Path
) -> None:
    """Into an empty directory; read back and compared; a second run changes nothing."""
    file = save(gzip.compress(text, 1))
    told: list[tuple[int, int]] = []
    plan = plan_restore(file, here)
    assert (plan.ok, plan.warnings, plan.add, plan.equal) == (True, (), plan.entries, 0)

    done = execution.execute(
        plan, here, checkpoint=tmp_path / "mark", progress=lambda *way: told.append(way)
    )

    assert exported(server) == text
    assert (done.added, done.equal) == (plan.entries, plan.entries)
    assert (done.missing, done.differ, done.changed) == (0, 0, 0)
    assert told == [(n, plan.entries) for n in range(1, plan.entries + 1)]
    assert not (tmp_path / "mark").exists()
    before = contents(here)
    again = plan_restore(file, here)
    assert (again.add, again.equal, again.differ) == (0, plan.entries, 0)
    assert execution.execute(again, here).added == 0
    assert contents(here) == before


def test_ldapadd_takes_the_same_file(
    text: bytes, server: Slapd, here: Directory, save: Save
) -> None:
    """What OpenLDAP's tool makes of it is the same, to the exporter and to a plan."""
    file = save(text)
    words = ["-x", "-H", server.ldapi, "-D", f"cn=vmailadmin,{SUFFIX}", "-w", SECRET]
    subprocess.run(["ldapadd", *words, "-f", str(file)], check=True, capture_output=True)
    assert exported(server) == text
    plan = plan_restore(file, here)
    assert (plan.add, plan.equal, plan.differ) == (0, plan.entries, 0)


def test_a_break_is_finished_by_the_next_run(
    server: Slapd, here: Directory, save: Save, tmp_path: Path
) -> None:
    """The server dies; the rest comes later, and what was done by then is left alone."""
    file = save(b"".join(full.text(list(accounts(400)), passwords=True)))
    mark = tmp_path / "mark"
    plan = plan_restore(file, here)

    def die(done: int, _total: int) -> None:
        if done == 150:
            server.kill()

    with pytest.raises(ServerDown) as broken:
        execution.execute(plan, here, checkpoint=mark, progress=die)
    assert broken.value.report is not None
    assert broken.value.report["writes"] == 150
    assert json.loads(mark.read_text())["done"] == 150
    server.start()
    changed = TREE.domain("a.test")
    here.write(changes.Modify(changed, (changes.Mod(changes.Op.REPLACE, "cn", (b"later",)),)))

    rest = plan_restore(file, here, RestoreOptions(overwrite=True), checkpoint=mark)
    assert (rest.add, rest.passed, rest.change) == (plan.entries - 150, 1, 0)
    done = execution.execute(rest, here, checkpoint=mark)

    assert (done.added, done.missing, done.equal) == (rest.add, 0, plan.entries - 1)
    assert [(d.dn, d.attributes) for d in done.differences] == [(changed, ("cn",))]
    assert not mark.exists()


def test_a_checkpoint_is_of_one_file(
    small: bytes, here: Directory, save: Save, tmp_path: Path
) -> None:
    """Another file does not begin where this one was broken off."""
    mark = tmp_path / "mark"

    def leave(done: int, _total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execution.execute(plan_restore(save(small), here), here, checkpoint=mark, progress=leave)
    other = save(small.replace(b"sn: u5", b"sn: u6"))
    with pytest.raises(PreconditionFailed, match="no checkpoint of this file"):
        plan_restore(other, here, checkpoint=mark)
    with pytest.raises(PreconditionFailed, match="no checkpoint of this file"):
        execution.execute(plan_restore(other, here), here, checkpoint=mark)


def plus(*entries: Entry, end: bool = True) -> bytes:
    """A good domain, and more."""
    written = b"".join(full.text([*domain("new.test"), *entries], passwords=True))
    return written if end else written[: written.rindex(b"# entries")]


def without(entry: Entry, *names: str) -> Entry:
    return entry[0], {name: values for name, values in entry[1].items() if name not in names}


def ann(**more: list[bytes]) -> Entry:
    return user("ann@new.test", **more)


ANN = ann()
LINK: Entry = (
    f"cn=link,{TREE.container('new.test', 'Users')}",
    {
        "objectClass": [b"alias", b"extensibleObject"],
        "cn": [b"link"],
        "aliasedObjectName": [b"o=x"],
    },
)
BELOW_LINK = account(f"cn=below,{LINK[0]}", "device", "cn", "below")
UNIT = "organizationalUnit"
RECORD, VALUE, LAST = b"dn: ", b"userPassword:: ", b""
"""Where a fault is: at the last of these lines, or at the end of the text."""

WRONG: list[tuple[str, bytes, str, bytes]] = [
    ("bad base64", plus(ANN).replace(VALUE, VALUE + b"?"), "bad base64", VALUE),
    (
        "missing parent",
        plus(user("ann@gone.test")),
        "its parent is neither in the file nor",
        RECORD,
    ),
    (
        "same entry twice",
        plus(ANN, (ANN[0].replace("mail", "MAIL"), ANN[1])),
        "is at line 2",
        RECORD,
    ),
    ("unknown attribute", plus(ann(shoeSize=[b"44"])), "unknown attribute shoeSize", RECORD),
    ("unknown class", plus(ann(objectClass=[b"hat"])), "unknown objectClass hat", RECORD),
    ("no class", plus(without(ANN, "objectClass")), "no structural objectClass", RECORD),
    ("missing attribute", plus(without(ANN, "sn")), "sn is missing", RECORD),
    ("strange attribute", plus(ann(domainName=[b"x"])), "domainName is not allowed", RECORD),
    ("wrong syntax", plus(ann(mailQuota=[b"much"])), "mailQuota: a value that", RECORD),
    ("two of one", plus(ann(mailQuota=[b"1", b"2"])), "mailQuota: more than one", RECORD),
    ("value twice", plus(ann(title=[b"a", b"a"])), "title: a value twice", RECORD),
    (
        "other suffix",
        plus(account("o=x,dc=x", "organization", "o", "x")),
        "not among the acc",
        RECORD,
    ),
    ("value twice by rule", plus(ann(title=[b"a b", b"A  B "])), "title: a value twice", RECORD),
    ("two spellings", plus(ann(sn=[b"a"], surname=[b"A"])), "sn: a value twice", RECORD),
    ("strange option", plus(ann(**{"title;x-a": [b"a"]})), "title;x-a: unknown option", RECORD),
    ("no option", plus(ann(userCertificate=[b"x"])), "needs the option ;binary", RECORD),
    (
        "classes that exclude each other",
        plus(ann(objectClass=[b"inetOrgPerson", b"device"])),
        "exclude each other",
        RECORD,
    ),
    (
        "a name twice",
        plus(ANN, (f"cn=a+cn=b,{ANN[0]}", {"objectClass": [b"device"]})),
        "is not a valid DN",
        RECORD,
    ),
    ("below an alias object", plus(LINK, BELOW_LINK), "its parent is an alias object", RECORD),
    ("no DN", plus(account("x", "organization", "o", "x")), "is not a valid DN", RECORD),
    ("clear text", plus(ann(userPassword=[b"hunter2"])), "password in clear text", RECORD),
    ("bare hash", plus(ann(userPassword=[b"$6$a$b"])), "password in clear text", RECORD),
    ("change", plus() + b"\ndn: o=x\nchangetype: delete\n", "a change record", b"changetype"),
    ("cut at the end", plus(ANN, end=False), "the text is cut off", LAST),
    ("cut in the middle", plus(ANN)[:-100], "the text is cut off", LAST),
    ("cut between entries", plus(end=False), "the text is cut off", LAST),
    (
        "wrong count",
        plus(ANN).replace(b"entries: 6", b"entries: 7"),
        "7 entries are announced",
        LAST,
    ),
]


@pytest.mark.parametrize(
    ("data", "reason", "where"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG]
)
def test_a_wrong_file_is_refused_whole(
    untouched: Directory, save: Save, data: bytes, reason: str, where: bytes
) -> None:
    """With line and reason, in the plan, and nothing is written."""
    before = contents(untouched)
    plan = plan_restore(save(data), untouched)

    upto = data.rindex(b"\n" + where) + 1 if where else len(data)
    line = data[:upto].count(b"\n") + 1
    assert [fault.line for fault in plan.refused if reason in fault.reason] == [line]
    assert "hunter2" not in json.dumps(plan.as_json())
    with pytest.raises(PreconditionFailed):
        execution.execute(plan, untouched)
    with pytest.raises(PreconditionFailed):
        list(planned_changes(plan, untouched))
    assert contents(untouched) == before


def test_nothing_is_planned_below_an_alias_object_of_the_directory(
    here: Directory, save: Save
) -> None:
    """No server takes an entry below one: the plan refuses it, before anything is written."""
    assert execution.execute(plan_restore(save(plus(LINK)), here), here).ok

    alone = b"".join(full.text([BELOW_LINK], passwords=True))
    (fault,) = plan_restore(save(alone), here).refused

    assert fault.reason.endswith("its parent is an alias object, which has no entries below it")


def test_a_file_that_changes_after_the_plan_is_refused(untouched: Directory, save: Save) -> None:
    """What is written is what was judged."""
    plan = plan_restore(save(plus()), untouched)
    save(plus(ANN))
    with pytest.raises(PreconditionFailed, match="has changed"):
        execution.execute(plan, untouched)


def test_a_damaged_compressed_file_is_refused(untouched: Directory, save: Save) -> None:
    """Whatever could be read of it."""
    plan = plan_restore(save(gzip.compress(plus(ANN))[:-20]), untouched)
    assert "gzip: the data end too early" in [fault.reason for fault in plan.refused]


def test_what_is_odd_and_harmless_is_said(untouched: Directory, save: Save) -> None:
    """Hashes that nobody can log in with, clear text where it is wished, and foreign files."""
    odd = ann(userPassword=[b"{BLF-CRYPT}$2y$05$" + b"a" * 53, b"hunter2"])
    data = b"".join(record(*entry) for entry in [*domain("new.test"), odd])
    plan = plan_restore(save(data), untouched, RestoreOptions(clear_text=True))
    assert plan.ok
    assert [fault.reason.rpartition(": ")[2] for fault in plan.warnings] == [
        "a password hash that the server does not verify",
        "a password in clear text",
        "it may be cut off",
    ]


def test_what_the_directory_takes_or_adds_is_said(untouched: Directory, save: Save) -> None:
    """An entry that lacks the value of its own name, and one that is no account of anybody."""
    before = contents(untouched)
    beside = account(f"ou=x,{SUFFIX}", UNIT, "ou", "x")
    plan = plan_restore(save(plus((ANN[0], user("bo@new.test")[1]), beside)), untouched)
    assert (plan.refused, plan.entries) == ((), 6)
    assert [fault.reason.partition(": ")[2] for fault in plan.warnings] == [
        "mail lacks the value of its name, which the directory adds",
        "neither below the domains nor the admins, and left out",
    ]
    assert contents(untouched) == before


def test_a_text_may_end_without_a_line_feed(untouched: Directory, save: Save) -> None:
    """As editors leave it, behind a byte order mark; that it may be cut off is said."""
    text = b"\xef\xbb\xbf" + b"".join(record(*entry) for entry in domain("new.test"))
    text = text.replace(b"objectClass:", b"changetype: add\nobjectClass:", 1)
    plan = plan_restore(save(text.rstrip(b"\n")), untouched)
    assert (plan.ok, plan.add) == (True, 5)
    assert [fault.reason for fault in plan.warnings] == [
        "the text ends within a line: it may be cut off"
    ]
    ours = b"\xef\xbb\xbf" + plus(ANN)
    assert plan_restore(save(ours.rstrip(b"\n")), untouched).warnings == ()


def test_a_foreign_file_is_sorted_and_stripped(server: Slapd, here: Directory, save: Save) -> None:
    """Children before their parents, operational attributes, other spellings, the base tree."""
    made = base.entries(TREE, hashed("other").decode(), hashed("other").decode())
    ours = list(accounts(6))
    stamped = [(dn, {**attributes, "entryUUID": [b"x"]}) for dn, attributes in ours[::-1]]
    respelled = [
        (dn, {{"sn": "surname", "mail": "RFC822mailbox"}.get(n, n): v for n, v in found.items()})
        for dn, found in stamped
    ]
    everything: list[tuple[str, Mapping[str, Sequence[bytes]]]] = [*respelled, *made]
    foreign = b"".join(record(*entry) for entry in everything)

    plan = plan_restore(save(foreign), here)
    assert (plan.refused, plan.left_out, plan.installation) == ((), ("entryUUID",), 5)
    done = execution.execute(plan, here)

    assert (done.added, done.equal, done.missing, done.differ) == (len(ours), len(ours), 0, 0)
    found = by_name(contents(here))
    assert {name: found[name] for name in by_name(dict(ours))} == by_name(dict(ours))


GONE = ("lastLoginDate", "lastLoginIP", "lastLoginProtocol")


def from_older_server() -> bytes:
    """A file with attributes that today's schema lacks, one of them under an option."""
    last = {"lastLoginDate": [b"20200101000000Z"], "lastLoginIP;x-old": [b"192.0.2.1"]}
    bo = user("bo@new.test")
    return plus(ann(**last), (bo[0], {**bo[1], "lastLoginDate": [b"1"]}))


def test_what_the_schema_lacks_is_left_out_on_request(here: Directory, save: Save) -> None:
    """The refusal says how; the plan says what and how often; a second run has nothing to do."""
    file = save(from_older_server())
    before = contents(here)
    refused = plan_restore(file, here)
    assert not refused.ok
    assert refused.omitted == {}
    told = [fault.reason.partition(": ")[2] for fault in refused.refused]
    for name in ("lastLoginDate", "lastLoginIP"):
        assert any(f"--leave-out {name}, over HTTP leave_out={name}" in words for words in told)
    assert contents(here) == before

    options = RestoreOptions(leave_out=("LASTLOGINDATE", *GONE[1:]))
    plan = plan_restore(file, here, options)
    assert plan.omitted == {"LASTLOGINDATE": 2, "lastLoginIP": 1, "lastLoginProtocol": 0}
    assert plan.as_json()["omitted"] == plan.omitted
    rehearsed = b"".join(planned_changes(plan, here))
    assert b"lastLogin" not in rehearsed
    done = execution.execute(plan, here)

    assert (done.added, done.missing, done.differ) == (plan.entries, 0, 0)
    assert plan_restore(file, here, options).equal == plan.entries


def test_what_is_left_out_stays_in_the_directory(here: Directory, save: Save) -> None:
    """Also where entries are made as the file has them."""
    execution.execute(plan_restore(save(plus(ann(street=[b"there"], title=[b"old"]))), here), here)
    options = RestoreOptions(leave_out=("street",), overwrite=True)

    plan = plan_restore(
        save(plus(ann(streetAddress=[b"in the file"], title=[b"new"]))), here, options
    )
    assert [found.attributes for found in plan.differences] == [("title",)]
    done = execution.execute(plan, here)

    assert (done.changed, done.differ) == (1, 0)
    entry = here.read(ANN[0])
    assert entry is not None
    assert (entry.texts("street"), entry.texts("title")) == (["there"], ["new"])


@pytest.mark.parametrize("name", ["mail", "rfc822Mailbox", "objectClass"])
def test_what_an_entry_must_have_is_not_left_out(
    untouched: Directory, save: Save, name: str
) -> None:
    """Its name, by whatever name of the attribute, or its classes: nothing is written."""
    plan = plan_restore(
        save(plus(ANN)), untouched, RestoreOptions(leave_out=(name,), overwrite=True)
    )
    assert not plan.ok
    there = plan_restore(save(plus(ANN)), untouched, RestoreOptions(leave_out=(name,)))
    assert there.refused == plan.refused


def test_a_suffix_is_rewritten(small: bytes, tmp_path: Path, save: Save) -> None:
    """In names and in members; without being told, another suffix is refused."""
    other = "dc=mail,dc=example,dc=net"
    with (
        running(tmp_path / "other", iter(()), other) as server,
        closing(Directory(settings(server))) as there,
    ):
        assert not plan_restore(save(small), there).ok
        plan = plan_restore(save(small), there, RestoreOptions(old_suffix=SUFFIX.upper()))
        done = execution.execute(plan, there)

        assert (done.missing, done.differ, done.equal) == (0, 0, plan.entries)
        maillist = there.read(Tree(other).maillist("l@a.test"))
        assert maillist is not None
        assert maillist.texts("member") == [Tree(other).user("u0@a.test")]
        assert SUFFIX.encode() not in repr(contents(there)).encode()


@pytest.fixture
def differing(small: bytes, here: Directory, save: Save) -> Path:
    """A file whose entries are there; one has another name, an extra value and no title."""
    file = save(small)
    execution.execute(plan_restore(file, here), here)
    mods = (
        changes.Mod(changes.Op.REPLACE, "sn", (b"other",)),
        changes.Mod(changes.Op.ADD, "street", (b"extra",)),
        changes.Mod(changes.Op.REPLACE, "title"),
        changes.Mod(changes.Op.REPLACE, "userPassword", (hashed("new word"),)),
    )
    here.write(changes.Modify(TREE.user("odd+tag@a.test"), mods))
    return file


def test_what_differs_is_reported_and_let_be(here: Directory, differing: Path) -> None:
    """The directory's state is the younger one, as far as anybody knows."""
    before = contents(here)
    plan = plan_restore(differing, here)
    (difference,) = plan.differences
    assert difference.dn == TREE.user("odd+tag@a.test")
    assert {name.lower() for name in difference.attributes} == {
        *("sn", "street", "title", "userpassword"),
    }
    assert (plan.ok, plan.add, plan.differ, plan.change) == (True, 0, 1, 0)
    assert execution.execute(plan, here).differ == 1
    assert contents(here) == before


def test_what_differs_is_overwritten_on_request(here: Directory, differing: Path) -> None:
    """Then the entry is as the file has it, attributes that the file lacks included."""
    options = RestoreOptions(overwrite=True)
    done = execution.execute(plan_restore(differing, here, options), here)
    assert (done.changed, done.differ, done.missing) == (1, 0, 0)
    wanted, found = by_name(dict(accounts(6))), by_name(contents(here))
    assert {name: found[name] for name in wanted} == wanted
    assert plan_restore(differing, here).differ == 0


def test_a_file_without_passwords_takes_none_away(
    server: Slapd, here: Directory, differing: Path, save: Save
) -> None:
    """It says nothing about them, so they neither differ nor go."""
    thinned = ((dn, without((dn, found), "userPassword")[1]) for dn, found in accounts(6))
    file = save(b"".join(full.text(thinned, passwords=False)))
    plan = plan_restore(file, here, RestoreOptions(overwrite=True))
    assert [fault.line for fault in plan.warnings] == [2]
    done = execution.execute(plan, here)
    assert (done.changed, done.differ) == (1, 0)
    entry = here.read(TREE.user("odd+tag@a.test"))
    assert entry is not None
    assert entry.values("userPassword") == [hashed("new word")]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_dry_run_prints_what_ldapmodify_would_do(
    server: Slapd, here: Directory, differing: Path, overwrite: bool
) -> None:
    """Applied by OpenLDAP's tool, the records have the effect of the plan; printed, none."""
    gone = TREE.user("u1@b.test")
    here.write(changes.Delete(gone))
    options = RestoreOptions(overwrite=overwrite)
    before = contents(here)
    printed = b"".join(planned_changes(plan_restore(differing, here, options), here))
    assert contents(here) == before

    words = ["-x", "-H", server.ldapi, "-D", f"cn=vmailadmin,{SUFFIX}", "-w", SECRET]
    subprocess.run(["ldapmodify", *words], input=printed, check=True, capture_output=True)
    after = plan_restore(differing, here)
    assert (after.add, after.differ) == (0, 0 if overwrite else 1)


def test_what_others_do_meanwhile_is_told(here: Directory, small: bytes, save: Save) -> None:
    """An entry that somebody made after the plan stands, and reading back shows it."""
    plan = plan_restore(save(small), here)
    theirs = TREE.domain("a.test")

    def come_first(done: int, _total: int) -> None:
        if done == 1:
            others = {"objectClass": (b"mailDomain",), "domainName": (b"b.test",)}
            here.write(changes.Add(TREE.domain("b.test"), others))
            here.write(changes.Modify(theirs, (changes.Mod(changes.Op.REPLACE, "cn"),)))

    done = execution.execute(plan, here, progress=come_first)
    assert (done.ok, done.missing, done.differ) == (True, 0, 2)
    assert [d.dn for d in done.differences] == [theirs, TREE.domain("b.test")]
    assert json.loads(json.dumps(done.as_json()))["differences"][0]["attributes"] == ["cn"]


THEIRS = user("bo@new.test", shadowAddress=[b"b.o@new.test"])
TAKEN: list[tuple[str, Entry]] = [
    ("bo@new.test", account(TREE.alias("bo@new.test"), "mailAlias", "mail", "bo@new.test")),
    ("b.o@new.test", user("b.o@new.test")),
    ("b.o@new.test", ann(shadowAddress=[b"a@new.test", b"B.O@new.test"])),
    (
        "new.test",
        account(
            TREE.domain("more.test"),
            "mailDomain",
            "domainName",
            "more.test",
            domainAliasName=[b"NEW.test"],
        ),
    ),
    ("known.test", account(TREE.domain("known.test"), "mailDomain", "domainName", "known.test")),
]


@pytest.mark.parametrize(("claim", "wanted"), TAKEN)
def test_what_belongs_to_another_account_or_domain_is_refused(
    here: Directory, save: Save, claim: str, wanted: Entry
) -> None:
    """Mail would go to both of them."""
    (top, *more) = domain("new.test")
    known = (top[0], {**top[1], "domainAliasName": [b"known.test"]})
    there = save(b"".join(full.text([known, *more, THEIRS], passwords=True)))
    execution.execute(plan_restore(there, here), here)
    before = contents(here)

    plan = plan_restore(save(b"".join(full.text([wanted], passwords=True))), here)
    holder = THEIRS[0] if "@" in claim else known[0]
    assert [(f.line, f.reason) for f in plan.refused] == [
        (4, f"{wanted[0]}: {claim} belongs to {holder}")
    ]
    with pytest.raises(PreconditionFailed):
        execution.execute(plan, here)
    assert contents(here) == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_address_may_pass_from_one_entry_of_the_file_to_another(
    here: Directory, save: Save, overwrite: bool
) -> None:
    """If the one that has it in the directory loses it by this restore, and only then."""
    execution.execute(plan_restore(save(plus(THEIRS)), here), here)
    bo = without(THEIRS, "shadowAddress")
    moved = plus(ann(shadowAddress=[b"b.o@new.test"]), bo)
    plan = plan_restore(save(moved), here, RestoreOptions(overwrite=overwrite))
    assert plan.ok == overwrite
    if overwrite:
        done = execution.execute(plan, here)
        assert (done.ok, done.added, done.changed, done.shared) == (True, 1, 1, ())


def test_a_copy_of_a_directory_where_two_share_an_address_comes_back(
    here: Directory, save: Save
) -> None:
    """It was so; it is told, in the first restore and in no way the second one's fault."""
    both = save(plus(THEIRS, ann(shadowAddress=[b"b.o@new.test"])))
    plan = plan_restore(both, here)
    told = [fault.reason for fault in plan.warnings]
    assert len(told) == 1
    assert told[0].startswith("b.o@new.test: belongs to the entry at line ")
    done = execution.execute(plan, here)
    assert (done.ok, done.shared) == (True, ())

    alone = save(b"".join(full.text([ann(shadowAddress=[b"b.o@new.test"])], passwords=True)))
    assert plan_restore(alone, here).ok


def test_admins_who_do_not_exist_are_named(here: Directory, save: Save) -> None:
    """Whoever got such an address later would look like the admin; who exists is not named."""
    execution.execute(plan_restore(save(plus(ann())), here), here)
    known = account(TREE.admin("in@far.test"), "mailAdmin", "mail", "in@far.test")
    admins = [b"Gone@far.test", b"in@far.test", b"boss@more.test", b"ann@new.test"]
    new = account(TREE.domain("more.test"), "mailDomain", "domainName", "more.test")
    new[1]["domainAdmin"] = admins
    parts = [new, *domain("more.test")[1:], user("boss@more.test"), known]
    plan = plan_restore(save(b"".join(full.text(iter(parts), passwords=True))), here)
    told = [fault.reason.partition(": ")[2] for fault in plan.warnings]
    assert told == ["its admin gone@far.test is neither in the file nor in the directory"]
    assert plan.ok


@pytest.mark.parametrize(
    ("path", "word"), [("/V/team", "is"), ("/v/team/x", "touches"), ("/v", "touches"), ("/x", "")]
)
def test_mailboxes_beside_those_of_the_directory_are_warnings(
    here: Directory, save: Save, path: str, word: str
) -> None:
    """What a directory had must come back; of what is there already nothing is told."""
    old = user("old@new.test")
    old[1]["homeDirectory"] = [b"/v/team/"]
    execution.execute(plan_restore(save(plus(old)), here), here)
    new = user("young@new.test")
    new[1]["homeDirectory"] = [path.encode()]
    file = save(plus(new))
    plan = plan_restore(file, here)
    told = [fault.reason.partition(": ")[2] for fault in plan.warnings]
    assert told == ([f"{word} the mailbox of {old[0]}"] if word else [])
    execution.execute(plan, here)
    again = plan_restore(file, here)
    assert (again.ok, again.warnings) == (True, ())
    overwriting = plan_restore(file, here, RestoreOptions(overwrite=True))
    assert (overwriting.ok, len(overwriting.warnings)) == (True, len(told))


def test_an_address_that_others_take_meanwhile_is_told(here: Directory, save: Save) -> None:
    """As the API looks again after it has added an account."""
    plan = plan_restore(save(plus(ANN)), here)
    alias = TREE.alias("other@new.test")

    def come_first(done: int, total: int) -> None:
        if done == total:
            theirs = {"objectClass": (b"mailAlias",), "mail": (b"other@new.test",)}
            here.write(changes.Add(alias, {**theirs, "shadowAddress": (b"ann@new.test",)}))

    done = execution.execute(plan, here, progress=come_first)
    assert (done.ok, done.missing) == (False, 0)
    assert [fault.reason for fault in done.shared] == [f"{ANN[0]}: ann@new.test belongs to {alias}"]
    assert json.loads(json.dumps(done.as_json()))["shared"][0]["line"] == done.shared[0].line


def test_single_accounts_go_into_domains_that_exist(here: Directory, save: Save) -> None:
    """Their parents need not be in the file; many of one parent are looked up together."""
    execution.execute(plan_restore(save(plus()), here), here)
    people = [user(f"p{number}@new.test") for number in range(30)]
    alone = save(b"".join(full.text(people[:1], passwords=True)))
    assert execution.execute(plan_restore(alone, here), here).added == 1
    many = save(b"".join(full.text(people, passwords=True)))
    plan = plan_restore(many, here)
    assert (plan.add, plan.equal) == (29, 1)
    assert execution.execute(plan, here).equal == 30


def test_an_export_stands_its_own_examination(text: bytes, save: Save) -> None:
    """The tree of these tests keeps the rules of the tree."""
    with save(text).open("rb") as file:
        report = verify(file)
    assert report.faults == ()
