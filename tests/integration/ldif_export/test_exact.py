"""Exact exports: the state of one moment, whatever others do meanwhile."""

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import ldap
import pytest

from iredldap.dit.plan import Scope
from iredldap.embedded.slapd import Slapd
from iredldap.errors import NoSuchAccount, ServerDown
from ldif_export.backup import full, snapshot, syncrepl
from ldif_export.readers import choice
from ldif_export.readers.base import IDENTITY, Projection
from ldif_export.selection import Search, Selection
from tests.support.exported import (
    TREE,
    Entry,
    account,
    connected,
    domain,
    located,
    parsed,
    plain,
    running,
    settings,
    user,
)
from tests.support.patience import PATIENCE, wait_until

LARGE = 100
"""Accounts of 100 kB each: more than all buffers between slapd and a reader hold."""

WHOLE = Selection("domain", "a.test")
ALL = tuple(replace(search, base=TREE.base) for search in located(WHOLE))
"""Every domain."""

MOVING = "rtxnsize 10"
"""So many entries slapd reads from one state of its database; 10 000 unless told otherwise."""

_OVERLAY = f"{MOVING}\nmoduleload syncprov\noverlay syncprov\n"
PROVIDERS = {
    "log": f"{_OVERLAY}syncprov-sessionlog 100",
    "short log": f"{_OVERLAY}syncprov-sessionlog 2",
    "no log": _OVERLAY,
}


def tree() -> list[Entry]:
    """Two domains; slapd finds accounts by the length of their names, or by age: the same here."""
    return [
        *domain("a.test"),
        user("a@a.test"),
        user("b@a.test"),
        user("c@a.test"),
        account(TREE.maillist("list@a.test"), "mailList", "mail", "list@a.test"),
        account(TREE.maillist("bare@a.test"), "mailList", "mail", "bare@a.test"),
        account(TREE.externals("list@a.test"), "mailExternalUser", "memberOfGroup", "list@a.test"),
        account(TREE.admin("root@else.test"), "mailAdmin", "mail", "root@else.test"),
        *domain("b.test"),
        *(user(f"u{n:03}@a.test", description=[b"d" * 100_000]) for n in range(LARGE)),
        user("the-last@a.test"),
        user("late-leaver@a.test"),
    ]


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A directory that nobody writes to."""
    with running(tmp_path_factory.mktemp("quiet"), tree(), syncprov=True) as server:
        yield server


def exported(
    server: Slapd, selection: Selection, wanted: tuple[Search, ...] | None = None
) -> bytes:
    chosen = located(selection) if wanted is None else wanted
    with closing(snapshot.read(settings(server), chosen, Projection(selection))) as reader:
        return b"".join(full.export(reader, chosen, passwords=selection.has_passwords))


SELECTIONS = [
    WHOLE,
    Selection("domain", "a.test", omit=frozenset({"description"}), passwords=False),
    Selection("domain", "a.test", subtree=False),
    Selection("user", "a@a.test"),
    Selection("admin", "root@else.test"),
    Selection("maillist", "list@a.test"),
    Selection("maillist", "bare@a.test"),
]


@pytest.mark.parametrize("selection", SELECTIONS, ids=lambda s: f"{s.kind}-{s.name}")
def test_exact_and_plain_give_the_same_bytes(quiet: Slapd, selection: Selection) -> None:
    """Of a directory at rest, for every selection, bound as cn=vmail under iRedMail's rules."""
    assert exported(quiet, selection) == plain(quiet, selection, located(selection))


def test_what_is_watched_comes_with_the_records(quiet: Slapd) -> None:
    """State and identity of each entry, as a manifest needs them."""
    chosen = located(WHOLE)
    wanted = Projection(WHOLE, frozenset({*IDENTITY, "objectClass"}))

    with (
        closing(snapshot.read(settings(quiet), chosen, wanted)) as settled,
        closing(choice.connect(settings(quiet), wanted)) as reader,
    ):
        assert [*settled.records(chosen[1])] == [*reader.records(chosen[1])]


@pytest.mark.parametrize(
    "selection", [Selection("domain", "none.test"), Selection("user", "none@a.test")]
)
def test_what_is_not_there_is_refused(quiet: Slapd, selection: Selection) -> None:
    with pytest.raises(NoSuchAccount):
        exported(quiet, selection)


def test_a_server_without_syncprov_is_refused(tmp_path: Path) -> None:
    """Nothing fuzzy passes for exact; nor where the module is there and not on the database."""
    for name, extra in (("without", ""), ("idle", "moduleload syncprov")):
        with (
            running(tmp_path / name, domain("a.test"), extra=extra) as server,
            pytest.raises(snapshot.NotExact, match="does not offer"),
        ):
            exported(server, WHOLE)


def test_a_server_that_gives_too_few_entries_at_once_is_refused(tmp_path: Path) -> None:
    """Parts would each be the state of another moment; the refusal says how to lift the limit."""
    with (
        running(tmp_path / "few", domain("a.test"), syncprov=True, extra="sizelimit 3") as server,
        pytest.raises(snapshot.NotExact, match=r"sizelimit.*--probe"),
    ):
        exported(server, WHOLE)


def test_a_later_round_tells_only_of_changes(tmp_path: Path) -> None:
    """Rounds that begin anew would never come to an end where others write."""
    search = Search(TREE.base, Scope.SUBTREE, "(objectClass=*)")
    with (
        running(tmp_path / "slapd", domain("a.test"), syncprov=True) as server,
        connected(server) as writer,
        connected(server, "vmail") as reader,
    ):
        *_, done = syncrepl.refresh(reader, search)
        assert isinstance(done, syncrepl.SyncDone)
        writer.modify_s(TREE.domain("a.test"), [(ldap.MOD_REPLACE, "cn", [b"changed"])])

        told = [*syncrepl.refresh(reader, search, ("cn",), done.cookie)]

    changed = [one.dn for one in told if isinstance(one, syncrepl.ChangedEntry)]
    assert changed == [TREE.domain("a.test")]


def test_rounds_are_bounded(quiet: Slapd) -> None:
    """One round always tells news: the entries."""
    with pytest.raises(snapshot.NotExact, match="others write too much"):
        snapshot.read(settings(quiet), located(WHOLE), Projection(WHOLE), most_rounds=1)


@pytest.mark.parametrize(
    ("csn", "is_whole"),
    [
        ("20260101000005.000000Z#000000#002#000000", True),
        ("20260101000006.000000Z#000000#002#000000", False),
        ("20260101000006.000000Z#000000#003#000000", True),
        ("20991231000000.000000Z#000000#003#000000", False),
    ],
    ids=["had", "arriving", "from before replication", "the first of a server"],
)
def test_what_arrives_of_another_server_is_waited_for(
    tmp_path: Path, csn: str, is_whole: bool
) -> None:
    """It is older than the state of our own server, and newer than that of the one it is of."""
    arriving = user("arriving@a.test", entryCSN=[csn.encode()])
    states = [
        "20991230000000.000000Z#000000#000#000000",
        "20260101000005.000000Z#000000#002#000000",
    ]
    tree = [*domain("a.test"), arriving]
    refused = pytest.raises(snapshot.NotExact, match="others write too much")
    with (
        running(tmp_path, tree, syncprov=True, states=states) as server,
        nullcontext() if is_whole else refused,
    ):
        found = snapshot.read(settings(server), located(WHOLE), Projection(WHOLE), most_rounds=3)
        with closing(found):
            assert found.state.csns == tuple(states)


@contextmanager
def meanwhile(patch: pytest.MonkeyPatch, act: Callable[[], None]) -> Iterator[None]:
    """Act once, when a reader has the first accounts and slapd still sends the others."""
    refresh = syncrepl.refresh
    waiting = [act]

    def meddled(*arguments: Any) -> Generator[syncrepl.SyncMessage, None, None]:
        for told in refresh(*arguments):
            yield told
            if (
                waiting
                and isinstance(told, syncrepl.ChangedEntry)
                and told.dn == TREE.user("a@a.test")
            ):
                waiting.pop()()

    with patch.context() as patched:
        patched.setattr(syncrepl, "refresh", meddled)
        yield
    assert not waiting


def meddle(connection: Any) -> None:
    """Change accounts that were read and others that were not, in every way."""
    for mail in ("a@a.test", "the-last@a.test"):
        connection.modify_s(TREE.user(mail), [(ldap.MOD_REPLACE, "cn", [b"changed"])])
    for mail in ("b@a.test", "late-leaver@a.test"):
        connection.delete_s(TREE.user(mail))
    for mail in ("new@a.test", "new@b.test"):
        connection.add_s(TREE.user(mail), [*user(mail)[1].items()])
    parent = TREE.container("b.test", "Users")
    connection.rename_s(TREE.user("c@a.test"), "mail=c@b.test", parent)
    connection.modify_s(TREE.domain("b.test"), [(ldap.MOD_REPLACE, "cn", [b"changed"])])


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS.keys())
def test_changes_meanwhile_are_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    """Bytes are those of a plain export afterwards, whether the server keeps a log or not."""
    with running(tmp_path / "slapd", tree(), extra=provider) as server:
        with connected(server) as writer, meanwhile(monkeypatch, lambda: meddle(writer)):
            text = exported(server, WHOLE, ALL)

        assert text == plain(server, WHOLE, ALL)
        assert {dn for dn, _ in parsed(text)} >= {
            TREE.user("c@b.test"),
            TREE.user("new@a.test"),
        }


def test_a_domain_renamed_meanwhile_leaves_no_strays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its accounts get other names and keep their states; the server does not tell of them."""

    def rename(connection: Any) -> None:
        connection.rename_s(TREE.domain("a.test"), "domainName=c.test")

    with running(tmp_path / "slapd", tree(), syncprov=True, extra=MOVING) as server:
        with connected(server) as writer, meanwhile(monkeypatch, lambda: rename(writer)):
            text = exported(server, WHOLE, ALL)

        assert text == plain(server, WHOLE, ALL)


def test_a_server_that_dies_meanwhile_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        running(tmp_path / "slapd", tree(), syncprov=True) as server,
        meanwhile(monkeypatch, server.kill),
        pytest.raises(ServerDown),
    ):
        exported(server, WHOLE)


_REST = 0.0005


class Writer(threading.Thread):
    """Count in the first account and then in the last one, more than a thousand times a second.

    At any moment both tell the same, or the first one is ahead by one. Now and then the directory
    rests as long as it takes to ask for changes: one that never does has no state of one moment.
    """

    def __init__(self, server: Slapd) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._ended = threading.Event()
        self.count = 0

    def run(self) -> None:
        with connected(self._server) as connection:
            while not self._ended.is_set():
                for mail in ("a@a.test", "the-last@a.test"):
                    value = [b"%d" % (self.count + 1)]
                    change = [(ldap.MOD_REPLACE, "mailQuota", value)]
                    connection.modify_s(TREE.user(mail), change)
                self.count += 1
                self._ended.wait(_REST)

    def __enter__(self) -> Self:
        self.start()
        self.go_on()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join(PATIENCE)

    def go_on(self, more: int = 2) -> None:
        """Wait until it has counted on."""
        reached, until = self.count + more, time.monotonic() + PATIENCE
        while self.count < reached:
            assert time.monotonic() < until
            time.sleep(0.001)


def quotas(text: bytes) -> tuple[int, int]:
    """What stands in the first and in the last entry."""
    found = dict(parsed(text))
    first, last = (found[TREE.user(f"{name}@a.test")]["mailQuota"] for name in ("a", "the-last"))
    return int(first[0]), int(last[0])


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Slapd, Writer]]:
    """A directory that somebody writes to all the time."""
    home = tmp_path_factory.mktemp("busy")
    with running(home, tree(), syncprov=True, extra=MOVING) as server, Writer(server) as writer:
        yield server, writer


def test_every_exact_export_is_a_state_that_was(busy: tuple[Slapd, Writer]) -> None:
    """Each time, and each is later than the one before."""
    server, _ = busy

    seen = [quotas(exported(server, WHOLE)) for _ in range(25)]

    assert [pair for pair in seen if pair[0] - pair[1] not in {0, 1}] == []
    assert seen == sorted(seen)
    assert seen[0] < seen[-1]


def test_a_plain_export_need_not_be(busy: tuple[Slapd, Writer]) -> None:
    """Its last entry is of a later state than its first one, if the reader takes its time."""
    server, writer = busy
    (_, chosen) = located(WHOLE)

    def is_mixed() -> bool:
        with closing(choice.connect(settings(server), Projection(WHOLE))) as reader:
            chunks = full.export(reader, [chosen], passwords=True)
            text = next(chunks)
            assert TREE.user("a@a.test").encode() in text
            writer.go_on()
            first, last = quotas(text + b"".join(chunks))
        return last > first

    # A server that has sent everything before the writer gets its turn gives one state by chance.
    wait_until(is_mixed)
