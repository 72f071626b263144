"""Changes are recorded by value, with what the directory had, and whatever becomes of them."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import ldap
import pytest

from iredldap.changes.apply import execute
from iredldap.changes.change_log import ChangeLog
from iredldap.changes.progress import Progress
from iredldap.changes.recording import Recording
from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.config.state import ChangeSettings
from iredldap.directory_errors import SchemaViolation
from iredldap.dit.change_log import LoggedChange, Touched, TouchedEntry, TouchedRows, ValueChanges
from iredldap.dit.entry import Entry
from iredldap.dit.logged_request import logged
from iredldap.dit.names import Tree
from iredldap.dit.plan import (
    Add,
    Correction,
    Delete,
    Mod,
    Modify,
    Op,
    Operation,
    Outside,
    Plan,
    Query,
    Recheck,
    Rename,
    Scope,
    Step,
    Sweep,
)
from iredldap.dit.request import Request
from iredldap.dit.touched_text import unpacked
from iredldap.errors import AlreadyExists, Refusal, ServerDown
from iredldap.gateways import touched_rows
from iredldap.gateways.change_store import ChangeFilter
from iredldap.gateways.directory import Directory
from iredldap.gateways.ldap import requests
from iredldap.gateways.ldap.read_entry import PRE_READ, ReadWithWrite
from iredldap.gateways.ldap.servers import DirectoryConnection
from tests.support.patience import PATIENCE, wait_until
from tests.support.proxy import Mode, Proxy
from tests.support.serving import SEALING_KEY
from tests.support.world import SUFFIX, WRITER_PASSWORD, World

TREE = Tree(SUFFIX)
DN = TREE.domain("made.test")
WANTED = Request("domain_update", {"domain": "made.test"}, client="192.0.2.1")
EVERYTHING = ChangeFilter()


def ldap_settings(uri: str, seconds: float = PATIENCE) -> LdapSettings:
    return LdapSettings(
        uri=(uri,),
        suffix=SUFFIX,
        bind_dn=f"cn=vmailadmin,{SUFFIX}",
        bind_password=Secret(WRITER_PASSWORD),
        network_timeout=seconds,
        operation_timeout=seconds,
    )


@pytest.fixture
def directory(world: World) -> Iterator[Directory]:
    with closing(Directory(ldap_settings(world.slapd.uri))) as opened:
        yield opened


Open = Callable[..., ChangeLog]


@pytest.fixture
def open_log(directory: Directory, tmp_path: Path) -> Iterator[Open]:
    """Open the log as often as asked, as several workers do."""
    opened: list[ChangeLog] = []
    url = Secret(f"sqlite:///{tmp_path}/state.sqlite3")

    def opening(directory: Directory = directory, **settings: object) -> ChangeLog:
        chosen = replace(ChangeSettings(keys=(Secret(SEALING_KEY),)), **settings)  # type: ignore[arg-type]
        opened.append(ChangeLog(url, chosen, 0.5, directory))
        return opened[-1]

    yield opening
    for log in opened:
        log.close()


@pytest.fixture
def log(open_log: Open) -> ChangeLog:
    return open_log()


def add(dn: str = DN, **more: tuple[bytes, ...]) -> Add:
    name = dn.partition(",")[0].partition("=")[2].encode()
    return Add(dn, {"objectClass": (b"mailDomain",), "domainName": (name,), **more})


def described(*values: bytes, dn: str = DN) -> Modify:
    return Modify(dn, (Mod(Op.REPLACE, "description", values),))


def make(log: ChangeLog, directory: Directory, *steps: Step, wanted: Request = WANTED) -> Recording:
    with Recording(log, logged(wanted, "root@admins.test", request_id="r")) as recording:
        execute(directory, lambda: Plan(DN, steps), recording=recording)
    return recording


def only(log: ChangeLog) -> LoggedChange:
    (change,) = log.store.find(EVERYTHING, 10)
    return change


def touched(log: ChangeLog, change: LoggedChange | str) -> list[Touched]:
    number = change if isinstance(change, str) else change.id
    return [log.seals.opened(one) for data in log.store.touched(number) for one in unpacked(data)]


def without_states(found: list[Touched]) -> list[TouchedEntry]:
    """What was touched, after a check that each write names the states that it should."""
    bare: list[TouchedEntry] = []
    for one in found:
        assert isinstance(one, TouchedEntry)
        assert bool(one.before) == (one.event != "add")
        assert bool(one.after) == (one.event != "delete")
        assert one.uuid
        bare.append(replace(one, uuid="", before="", after=""))
    return bare


def test_each_kind_of_write_is_recorded_by_value(log: ChangeLog, directory: Directory) -> None:
    other = TREE.domain("other.test")
    make(log, directory, add(description=(b"old",), mtaTransport=(b"t",)), add(other))
    recording = make(
        log,
        directory,
        described(b"old", b"new"),
        Modify(DN, (Mod(Op.DELETE, "mtaTransport"), Mod(Op.ADD, "domainAdmin", (b"a@b.test",)))),
        Rename(DN, "domainName=named.test"),
        Delete(other),
    )

    change = log.store.change(recording.id)
    assert change
    assert (change.result, change.entries, change.codes) == ("done", 4, ())
    assert change.attributes == (
        "description", "domainadmin", "domainname", "mtatransport", "objectclass",
    )  # fmt: skip
    assert change.steps == (
        f"modify {DN}", f"modify {DN}", f"rename {DN}", f"delete {other}",
    )  # fmt: skip
    assert (change.admin, change.client, change.request) == ("root@admins.test", "192.0.2.1", "r")
    assert (change.domain, change.account, change.endpoint) == ("made.test", "", "domain_update")
    assert without_states(touched(log, change)) == [
        TouchedEntry("modify", DN, attributes={"description": ValueChanges((), (b"new",))}),
        TouchedEntry(
            "modify",
            DN,
            attributes={
                "mtaTransport": ValueChanges((b"t",)),
                "domainAdmin": ValueChanges((), (b"a@b.test",)),
            },
        ),
        TouchedEntry("rename", DN, TREE.domain("named.test")),
        TouchedEntry(
            "delete",
            other,
            attributes={
                "objectClass": ValueChanges((b"mailDomain",)),
                "domainName": ValueChanges((b"other.test",)),
            },
        ),
    ]


def test_states_are_those_of_the_directory(
    log: ChangeLog, directory: Directory, world: World
) -> None:
    make(log, directory, add())
    before = world.entry(DN)
    recording = make(log, directory, described(b"x"))
    after = world.entry(DN)

    assert before
    assert after
    (one,) = touched(log, recording.id)
    assert isinstance(one, TouchedEntry)
    assert (one.before, one.after) == (before.csn, after.csn)
    assert one.uuid == after.text("entryUUID")


def test_a_sweep_is_recorded_in_pieces(
    log: ChangeLog, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iredldap.changes.recording._PIECE", 3)
    monkeypatch.setattr("iredldap.changes.recording._PIECE_SECONDS", 600)
    names = [f"d{number}.test" for number in range(8)]
    make(log, directory, *(add(TREE.domain(name), description=(b"old",)) for name in names))

    def change(entry: Entry) -> Iterator[Operation]:
        yield described(b"new", dn=entry.dn)

    query = Query(TREE.base, Scope.ONE, "(objectClass=mailDomain)")
    recording = make(log, directory, Sweep("go round", query, change))

    found = touched(log, recording.id)
    assert len([*log.store.pieces(recording.id)]) == 2
    assert sorted(one.dn for one in found if isinstance(one, TouchedEntry)) == sorted(
        map(TREE.domain, names)
    )
    assert {str(without_states([one])[0].attributes) for one in found} == {
        str({"description": ValueChanges((b"old",), (b"new",))})
    }
    for name in names:
        found_by_name = log.store.find(ChangeFilter(domain=name), 10)
        assert recording.id in {change.id for change in found_by_name}


def test_each_entry_of_a_sweep_that_was_killed_is_in_the_log(
    log: ChangeLog, open_log: Open, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent was announced, and stored, before: also what had not been recorded yet."""
    names = [f"d{number:03d}.test" for number in range(250)]
    for name in names:
        directory.write(add(TREE.domain(name), description=(b"old",)))
    seen: list[str] = []

    def change(entry: Entry) -> Iterator[Operation]:
        yield described(b"new", dn=entry.dn)

    class Killed(BaseException):
        pass

    original = Recording.record

    def record(self: Recording, operation: Operation, one: TouchedEntry) -> None:
        original(self, operation, one)
        seen.append(operation.dn)
        if len(seen) == 130:
            raise Killed

    # As of a process that is gone: nothing that it has in memory is stored.
    monkeypatch.setattr(Recording, "record", record)
    monkeypatch.setattr(Recording, "__exit__", lambda *_: None)
    with pytest.raises(Killed):
        make(
            log,
            directory,
            Sweep("go", Query(TREE.base, Scope.ONE, "(objectClass=mailDomain)"), change),
        )
    log.close()

    other = open_log()
    other.start()
    wait_until(lambda: [one.result for one in other.store.find(EVERYTHING, 9)] == ["unconfirmed"])
    found = [one.dn for one in touched(other, only(other)) if isinstance(one, TouchedEntry)]
    query = Query(TREE.base, Scope.ONE, "(description=new)", ("1.1",))
    assert sorted(found) == sorted(entry.dn for entry in directory.find(query))
    assert {*seen} <= {*found}


class TestLostResponses:
    """A sweep whose connection is lost while some writes are in flight, and others announced."""

    @pytest.fixture
    def names(self, directory: Directory, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The connection is lost, once, when four of thirty responses have come."""
        names = [f"d{number:02d}.test" for number in range(30)]
        for name in names:
            directory.write(add(TREE.domain(name), description=(b"old",)))
        outcome, seen = requests.outcome, list[int]()

        def lose(connection: DirectoryConnection, number: int) -> ReadWithWrite | Refusal:
            done = outcome(connection, number)
            seen.append(number)
            if len(seen) == 5:
                raise ldap.SERVER_DOWN({"desc": "away"})
            return done

        monkeypatch.setattr(requests, "outcome", lose)
        return names

    @staticmethod
    def sweep() -> Sweep:
        query = Query(TREE.base, Scope.ONE, "(&(objectClass=mailDomain)(description=old))")
        return Sweep("go", query, lambda entry: iter([described(b"new", dn=entry.dn)]))

    def test_what_was_not_sent_is_not_looked_for(
        self, log: ChangeLog, directory: Directory, names: list[str]
    ) -> None:
        with pytest.raises(ServerDown), Recording(log, logged(WANTED, "root@admins.test")) as one:
            execute(directory, lambda: Plan(DN, (self.sweep(),)), recording=one)
        assert len(names) > len(one.unanswered()) == requests.WINDOW

    def test_a_sweep_that_goes_on_has_each_entry_once(
        self, log: ChangeLog, directory: Directory, names: list[str]
    ) -> None:
        class Patient(Progress):
            def waits(self, refusal: Refusal, *, unknown: bool) -> bool:
                return unknown

        with Recording(log, logged(WANTED, "root@admins.test")) as recording:
            plan = Plan(DN, (self.sweep(),))
            execute(directory, lambda: plan, begin=lambda _: Patient(), recording=recording)
        assert (only(log).result, only(log).entries) == ("done", len(names))
        found = [one.dn for one in touched(log, recording.id) if isinstance(one, TouchedEntry)]
        assert sorted(found) == [TREE.domain(name) for name in names]


def test_a_piece_does_not_wait_for_the_others(
    log: ChangeLog, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is stored when its time has come, however few it has; a single write is no piece."""
    monkeypatch.setattr("iredldap.changes.recording._PIECE_SECONDS", -1)
    several = make(log, directory, add(), described(b"a"), described(b"b"))
    single = make(log, directory, described(b"c"))

    assert [len([*unpacked(piece)]) for piece in log.store.pieces(several.id)] == [2]
    assert len(touched(log, several.id)) == 3
    assert [*log.store.pieces(single.id)] == []


def test_what_a_recheck_corrects_is_recorded(log: ChangeLog, directory: Directory) -> None:
    def judge(_: object) -> Correction:
        return Correction((Delete(DN),), AlreadyExists("lost the race"))

    recheck = Recheck("look again", Query(DN, Scope.BASE, "(objectClass=*)"), judge)
    with pytest.raises(AlreadyExists):
        make(log, directory, add(), recheck)

    change = only(log)
    assert (change.result, change.codes) == ("broken off", ("ALREADY_EXISTS",))
    assert [one.event for one in touched(log, change) if isinstance(one, TouchedEntry)] == [
        "add", "delete",
    ]  # fmt: skip


def test_a_refused_change_that_did_nothing_is_not_in_the_log(
    log: ChangeLog, directory: Directory
) -> None:
    with pytest.raises(Refusal) as refused:
        make(log, directory, described(b"x"))
    assert refused.value.codes == ("NO_SUCH_ACCOUNT",)
    assert log.store.find(EVERYTHING, 10) == []


def test_a_change_that_broke_off_has_what_was_done(log: ChangeLog, directory: Directory) -> None:
    bad = Modify(DN, (Mod(Op.DELETE, "objectClass", (b"mailDomain",)),))

    def fail() -> None:
        raise ServerDown("the database")

    with pytest.raises(ServerDown):
        make(log, directory, add(), Outside("write elsewhere", fail))
    change = only(log)
    assert (change.result, change.codes, change.entries) == ("broken off", ("SERVER_DOWN",), 1)
    with pytest.raises(SchemaViolation):
        make(log, directory, bad)
    assert only(log) == change


def test_rows_that_an_outside_step_reports_are_recorded(
    log: ChangeLog, directory: Directory
) -> None:
    rows = TouchedRows("iredapd", "throttle", ({"id": 1},), ({"id": 2},), "ann@made.test")

    def work() -> None:
        with touched_rows.about(rows.about):
            touched_rows.report(rows.system, rows.table, rows.before, rows.after)

    recording = make(log, directory, Outside("throttle", work))

    assert touched(log, recording.id) == [rows]
    assert log.store.find(ChangeFilter(account="ann@made.test"), 10) == [only(log)]


def test_passwords_are_sealed(log: ChangeLog, directory: Directory, tmp_path: Path) -> None:
    secret = b"{SSHA}" + b"Zm9yIG5vYm9keQ=="
    user = TREE.user("ann@made.test")
    classes = (b"inetOrgPerson", b"mailUser")
    names = dict.fromkeys(("cn", "sn", "uid", "mail"), (b"ann@made.test",))
    container = Add(TREE.container("made.test", "Users"), {
        "objectClass": (b"organizationalUnit",), "ou": (b"Users",)
    })  # fmt: skip
    entry = Add(user, {"objectClass": classes, **names, "userPassword": (secret,)})
    recording = make(log, directory, add(), container, entry)
    deleted = make(log, directory, Delete(user))

    (*_, one) = touched(log, recording.id)
    (other,) = touched(log, deleted.id)
    assert isinstance(one, TouchedEntry)
    assert isinstance(other, TouchedEntry)
    assert one.attributes["userPassword"] == ValueChanges((), (secret,))
    assert other.attributes["userPassword"] == ValueChanges((secret,))
    for file in tmp_path.iterdir():
        assert secret not in file.read_bytes()
    for number in (recording.id, deleted.id):
        for data in log.store.touched(number):
            assert secret.decode() not in "".join(map(str, unpacked(data)))


def test_a_server_without_the_pre_read_control_is_read_before(
    log: ChangeLog, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PRE_READ in directory.controls()
    make(log, directory, add(description=(b"old",)))
    monkeypatch.setattr(Directory, "controls", lambda _: frozenset())
    monkeypatch.setattr("iredldap.gateways.recorded_directory.PRE_READ", "1.3.6.1.1.13.99")

    recording = make(log, directory, described(b"new"))

    assert without_states(touched(log, recording.id)) == [
        TouchedEntry("modify", DN, attributes={"description": ValueChanges((b"old",), (b"new",))})
    ]


class TestRecovery:
    """Changes whose worker died, or that got no response."""

    def test_a_write_without_response_is_looked_up(
        self, world: World, open_log: Open, directory: Directory
    ) -> None:
        log = open_log()
        make(log, directory, add(description=(b"old",)))
        with Proxy(("127.0.0.1", world.slapd.port)) as proxy:
            slow = ldap_settings(proxy.uri, 2.0)
            with closing(Directory(slow)) as far:
                far.controls()
                proxy.mode = Mode.SWALLOW
                with pytest.raises(ServerDown):
                    make(log, far, described(b"new"))
        change = log.store.find(EVERYTHING, 1)[0]
        assert change.result == "open"

        log.start()
        wait_until(lambda: log.store.find(EVERYTHING, 1)[0].result == "unconfirmed")

        change = log.store.find(EVERYTHING, 1)[0]
        assert (change.codes, change.entries) == (("SERVER_DOWN",), 1)
        (one,) = touched(log, change)
        assert isinstance(one, TouchedEntry)
        assert one.attributes == {"description": ValueChanges(None, (b"new",))}
        entry = world.entry(DN)
        assert entry
        assert one.after == entry.csn
