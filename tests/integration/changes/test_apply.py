"""Plans are carried out in order, honestly reported, and finished by a repeat."""

import threading
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import ldap
import pytest

from iredldap.changes import steps as steps_module
from iredldap.changes.apply import apply, execute
from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.directory_errors import SchemaViolation, ValueExists
from iredldap.dit.entry import Entry
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
    Scope,
    Step,
    Sweep,
    conditional_on_state,
)
from iredldap.errors import AlreadyExists, NoSuchAccount, PreconditionFailed, ServerDown
from iredldap.gateways.directory import Directory
from iredldap.gateways.ldap import requests
from iredldap.gateways.ldap.errors import Unanswered
from iredldap.gateways.ldap.no_op import NotJudged
from tests.support.patience import PATIENCE
from tests.support.proxy import Mode, Proxy
from tests.support.world import SUFFIX, WRITER_PASSWORD, World

TREE = Tree(SUFFIX)
NAME = "made.test"
DN = TREE.domain(NAME)


def settings(uri: str, seconds: float = PATIENCE) -> LdapSettings:
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
    opened = Directory(settings(world.slapd.uri))
    yield opened
    opened.close()


@pytest.fixture
def proxy(world: World) -> Iterator[Proxy]:
    with Proxy(("127.0.0.1", world.slapd.port)) as between:
        yield between


@pytest.fixture
def shaky(proxy: Proxy) -> Iterator[Directory]:
    """A directory behind a proxy, with a connection open."""
    opened = Directory(settings(proxy.uri))
    opened.ask()
    yield opened
    opened.close()


def domain(name: str = NAME, **attributes: tuple[bytes, ...]) -> Add:
    return Add(
        TREE.domain(name),
        {"objectClass": (b"mailDomain",), "domainName": (name.encode(),), **attributes},
    )


def described(text: str, name: str = NAME, **more: Any) -> Modify:
    return Modify(TREE.domain(name), (Mod(Op.REPLACE, "description", (text.encode(),)),), **more)


def sweep(
    change: Callable[[Entry], Iterable[Operation]],
    filter_: str = "(objectClass=mailDomain)",
    **more: Any,
) -> Sweep:
    return Sweep("sweep it", Query(TREE.base, Scope.SUBTREE, filter_), change, **more)


def state_of(directory: Directory, dn: str = DN) -> str | None:
    entry = directory.read(dn)
    return entry.csn if entry else None


def text_of(directory: Directory, attribute: str, dn: str = DN) -> str | None:
    entry = directory.read(dn)
    return entry.text(attribute) if entry else None


class Elsewhere:
    """Something outside the directory, which can be done, taken back, and fail at either."""

    def __init__(self) -> None:
        self.is_done = False
        self.is_down = False

    def step(self, **more: Any) -> Outside:
        return Outside("do it elsewhere", self._do, **{"undo": self._undo, **more})

    def _do(self) -> None:
        self.is_done = True

    def _undo(self) -> None:
        if self.is_down:
            raise ServerDown("elsewhere")
        self.is_done = False


def recheck(correction: Correction) -> Recheck:
    return Recheck("look again", Query(DN, Scope.BASE, "(objectClass=*)"), lambda _: correction)


class TestOutside:
    """What is done beside the directory for an entry goes with it."""

    def test_it_is_undone_when_the_entry_cannot_be_added(self, directory: Directory) -> None:
        """Then nothing was done, and nothing is told."""
        elsewhere = Elsewhere()
        apply(directory, Plan(DN, (domain(),)))

        with pytest.raises(AlreadyExists) as failed:
            apply(directory, Plan(DN, (elsewhere.step(), domain())))

        assert not elsewhere.is_done
        assert failed.value.report is None

    def test_it_is_undone_when_the_entry_is(self, directory: Directory) -> None:
        """As a look behind the add may order."""
        elsewhere = Elsewhere()
        lost = Correction((Delete(DN),), AlreadyExists("a rival"))

        with pytest.raises(AlreadyExists) as failed:
            apply(directory, Plan(DN, (elsewhere.step(), domain(), recheck(lost))))

        assert not elsewhere.is_done
        assert failed.value.report is None
        assert directory.read(DN) is None

    def test_it_stays_as_long_as_the_entry_does(self, directory: Directory) -> None:
        """A later failure is told, with what was done before."""
        elsewhere = Elsewhere()
        steps = (elsewhere.step(), domain(), described("x", "absent.test"))

        with pytest.raises(NoSuchAccount) as failed:
            apply(directory, Plan(DN, steps))

        assert elsewhere.is_done
        assert failed.value.report is not None
        assert failed.value.report["done"] == ["do it elsewhere", f"add {DN}"]

    @pytest.mark.parametrize("more", [{}, {"undo": None}])
    def test_what_cannot_be_undone_is_reported(
        self, directory: Directory, more: dict[str, Any]
    ) -> None:
        """With the reason for which the plan ended."""
        elsewhere = Elsewhere()
        elsewhere.is_down = True
        apply(directory, Plan(DN, (domain(),)))

        with pytest.raises(AlreadyExists) as failed:
            apply(directory, Plan(DN, (elsewhere.step(**more), domain())))

        assert failed.value.report == {"done": ["do it elsewhere"], "not_done": [f"add {DN}"]}

    def test_not_known_whether_carried_out(self, proxy: Proxy) -> None:
        """The entry may be there: what was done for it stays."""
        elsewhere = Elsewhere()
        hasty = Directory(settings(proxy.uri, seconds=1.0))
        hasty.ask()

        def cut() -> None:
            elsewhere.is_done = True
            proxy.mode = Mode.SWALLOW

        step = Outside("do it elsewhere", cut, elsewhere.step().undo)
        with closing(hasty), pytest.raises(Unanswered):
            apply(hasty, Plan(DN, (step, domain())))

        assert elsewhere.is_done


class TestOrder:
    def test_steps_are_done_one_after_the_other(self, directory: Directory) -> None:
        """Each finds what the one before has left; the outcome is the last state."""
        plan = Plan(DN, (domain(), described("one"), domain("b.test"), described("two")))

        outcome = apply(directory, plan)

        assert text_of(directory, "description") == "two"
        assert outcome.state == state_of(directory)

    def test_a_failure_tells_what_was_done(self, directory: Directory) -> None:
        """Steps before the failing one stay done, the rest is not begun (H14)."""
        steps: tuple[Step, ...] = (
            domain("a.test"),
            sweep(lambda entry: [Modify(entry.dn, (Mod(Op.REPLACE, "cn", (b"swept",)),))]),
            described("x", "absent.test"),
            domain("b.test"),
        )

        with pytest.raises(NoSuchAccount) as failed:
            apply(directory, Plan(DN, steps))

        assert failed.value.report == {
            "done": [f"add {TREE.domain('a.test')}", "sweep it (1 entries)"],
            "not_done": [f"modify {TREE.domain('absent.test')}", f"add {TREE.domain('b.test')}"],
        }
        assert text_of(directory, "cn", TREE.domain("a.test")) == "swept"
        assert directory.read(TREE.domain("b.test")) is None

    def test_a_failure_at_the_start_has_nothing_to_tell(self, directory: Directory) -> None:
        """A refused request has changed nothing (H7)."""
        with pytest.raises(NoSuchAccount) as failed:
            apply(directory, Plan(DN, (described("x"), domain())))

        assert failed.value.report is None
        assert directory.read(DN) is None

    def test_what_is_already_so_is_no_failure(self, directory: Directory) -> None:
        """A repeat passes over what the first time had done (D8)."""
        plan = Plan(
            DN,
            (
                Add(DN, domain().attributes, present_ok=True),
                described("x", "absent.test", absent_ok=True),
                Delete(TREE.domain("absent.test"), absent_ok=True),
            ),
        )

        for _ in range(2):
            apply(directory, plan)

        assert directory.read(DN)

    def test_a_deleted_entry_has_no_state(self, directory: Directory) -> None:
        """The outcome of a deletion names none."""
        state = directory.write(domain())

        assert apply(directory, Plan(DN, (Delete(DN),), state)).state is None


class TestConditions:
    def test_a_condition_holds_once(self, directory: Directory) -> None:
        """The same `If-Match` twice is refused once, though the change is elsewhere (H8)."""
        state = directory.write(domain())
        directory.write(domain("other.test"))
        plan = conditional_on_state(Plan(DN, (described("x", "other.test"),), state))

        outcome = apply(directory, plan)

        assert outcome.state == state_of(directory) != state
        with pytest.raises(PreconditionFailed) as failed:
            apply(directory, plan)
        assert failed.value.report is None

    def test_a_stale_condition_is_not_tried_again(self, directory: Directory) -> None:
        """With `If-Match` the plan is made once, refused or not."""
        state = directory.write(domain())
        assert state
        made = 0

        def make() -> Plan:
            nonlocal made
            made += 1
            plan = Plan(DN, (described("mine"),), state_of(directory))
            directory.write(described("theirs"))
            return plan

        with pytest.raises(PreconditionFailed):
            execute(directory, make, (state,))

        assert made == 1
        assert text_of(directory, "description") == "theirs"

    @pytest.mark.parametrize("condition", ["*", "20000101000000.000000Z#000000#000#000000"])
    def test_an_entry_that_is_not_there_matches_nothing(
        self, directory: Directory, condition: str
    ) -> None:
        """Not even ``*``."""
        with pytest.raises(PreconditionFailed):
            execute(directory, lambda: Plan(DN, (domain(),)), (condition,))

        assert directory.read(DN) is None

    def test_any_state_is_matched_by_a_star(self, directory: Directory) -> None:
        """``If-Match: *`` wants no more than that the entry exists."""
        state = directory.write(domain())

        execute(directory, lambda: Plan(DN, (described("x"),), state), ("*",))

        assert text_of(directory, "description") == "x"

    def test_no_change_is_lost(self, directory: Directory) -> None:
        """Four clients count up inside one value; every step counts (D4)."""
        directory.write(domain(accountSetting=(b"count:0",)))

        def make() -> Plan:
            entry = directory.read(DN)
            assert entry
            assert entry.csn
            value = int(str(entry.text("accountSetting")).partition(":")[2])
            mod = Mod(Op.REPLACE, "accountSetting", (f"count:{value + 1}".encode(),))
            return Plan(DN, (Modify(DN, (mod,), (entry.csn,)),), entry.csn)

        def count() -> None:
            for _ in range(50):
                execute(directory, make)

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert text_of(directory, "accountSetting") == "count:200"

    def test_patience_ends(self, directory: Directory) -> None:
        """Whoever always loses is told to come back."""
        stale = directory.write(domain())
        assert stale
        directory.write(described("theirs"))
        made = 0

        def make() -> Plan:
            nonlocal made
            made += 1
            return Plan(DN, (described("mine", expect=(stale,)),), stale)

        with pytest.raises(ServerDown, match="others kept changing"):
            execute(directory, make, patience=0.2)

        assert made > 2


class TestUnanswered:
    """A write is read back when its answer is lost, and never sent again."""

    @pytest.mark.parametrize(
        "operation",
        [
            domain("new.test", description=(b"x",)),
            described("new"),
            Modify(DN, (Mod(Op.ADD, "domainAdmin", (b"c@b.test",)),)),
            Modify(DN, (Mod(Op.DELETE, "domainAdmin", (b"A@b.test",)),)),
            Modify(DN, (Mod(Op.DELETE, "domainAdmin"),)),
            Modify(DN, (Mod(Op.REPLACE, "domainAdmin"),)),
            Modify(
                DN,
                (
                    Mod(Op.DELETE, "domainAdmin", (b"a@b.test",)),
                    Mod(Op.ADD, "domainAdmin", (b"A@B.test",)),
                ),
            ),
            Modify(
                DN,
                (Mod(Op.DELETE, "domainAdmin"), Mod(Op.ADD, "domainAdmin", (b"c@b.test",))),
            ),
            Delete(DN),
        ],
    )
    def test_done_is_success(
        self, shaky: Directory, proxy: Proxy, world: World, operation: Operation
    ) -> None:
        """What has happened is done, answer or not."""
        shaky.write(domain(domainAdmin=(b"a@b.test", b"b@b.test")))
        before = world.snapshot()
        proxy.cut_after_next_write()

        apply(shaky, Plan(DN, (operation, domain("after.test"))))

        world.set(TREE.domain("after.test"), description="here")
        after = world.snapshot()
        del after[TREE.domain("after.test")]
        assert after != before

    @pytest.mark.parametrize(
        "operation",
        [
            domain("new.test"),
            described("new"),
            Modify(DN, (Mod(Op.DELETE, "domainAdmin", (b"A@B.test",)),)),
            Modify(DN, (Mod(Op.ADD, "domainAdmin", (b"c@b.test",)),)),
            Modify(DN, ()),
            Delete(DN),
        ],
    )
    def test_not_done_is_told(
        self, directory: Directory, world: World, operation: Operation
    ) -> None:
        """A write that was lost on its way is a failure that can be repeated."""
        directory.write(domain(domainAdmin=(b"a@b.test",)))
        before = world.snapshot()
        lossy = _Lossy(settings(world.slapd.uri))

        with pytest.raises(ServerDown, match="not done") as failed:
            apply(lossy, Plan(DN, (operation,)))
        lossy.close()

        assert not isinstance(failed.value, Unanswered)
        assert failed.value.report is None
        assert world.snapshot() == before

    def test_done_late_is_done(self, world: World) -> None:
        """The directory may still be at it when it is read back."""
        late = _Lossy(settings(world.slapd.uri), after=0.2)

        apply(late, Plan(DN, (domain(),)))
        late.close()

        assert world.entry(DN)

    def test_not_known_whether_carried_out(self, shaky: Directory, proxy: Proxy) -> None:
        """While the server stays away the report neither claims nor denies it."""
        steps = (domain(), described("unheard"), described("never"))

        class Away(Directory):
            def write(self, operation: Operation) -> str | None:
                if operation is not steps[0]:
                    proxy.mode = Mode.REFUSE
                    proxy.cut_after_next_write()
                return Directory.write(self, operation)

        away = Away(settings(proxy.uri))
        with pytest.raises(ServerDown, match="not known whether") as failed:
            apply(away, Plan(DN, steps))
        away.close()

        assert failed.value.report == {
            "done": [f"add {DN}"],
            "unknown": [f"modify {DN}"],
            "not_done": [f"modify {DN}"],
        }

    def test_not_known_from_the_start(self, shaky: Directory, proxy: Proxy) -> None:
        """Also when it was the first step."""
        proxy.mode = Mode.REFUSE
        lost = _Lossy(settings(proxy.uri))

        with pytest.raises(ServerDown, match="not known whether") as failed:
            apply(lost, Plan(DN, (domain(), described("x"))))

        assert failed.value.report == {
            "done": [],
            "unknown": [f"add {DN}"],
            "not_done": [f"modify {DN}"],
        }


class _Lossy(Directory):
    """Writes get lost on their way, or arrive `after` so many seconds."""

    def __init__(self, ldap: LdapSettings, after: float | None = None) -> None:
        super().__init__(ldap)
        self._after = after
        self._timer: threading.Timer | None = None

    def write(self, operation: Operation) -> str | None:
        if self._after is not None:
            self._timer = threading.Timer(self._after, super().write, (operation,))
            self._timer.start()
        raise Unanswered("lost")

    def close(self) -> None:
        if self._timer:
            self._timer.join()
        super().close()


def taking(**more: Any) -> Callable[[Entry], Iterable[Operation]]:
    """Delete what is found, leaving parents to a later round."""
    return lambda entry: [Delete(entry.dn, absent_ok=True, parent_ok=True, **more)]


def grow(directory: Directory, accounts: int, *, grandchildren: bool = False) -> None:
    """Make a domain with users, and something below each of them."""
    unit = TREE.container(NAME, "Users")
    directory.write(domain())
    directory.write(Add(unit, {"objectClass": (b"organizationalUnit",), "ou": (b"Users",)}))
    users = [TREE.user(f"u{number}@{NAME}") for number in range(accounts)]
    below = [f"cn=below,{dn}" for dn in users if grandchildren]
    deeper = [f"cn=deeper,{dn}" for dn in below]
    for generation in (users, below, deeper):
        made = (
            Add(dn, {"objectClass": (b"person", b"extensibleObject"), "cn": (b"x",), "sn": (b"x",)})
            for dn in generation
        )
        assert all(refusal is None for _, refusal in directory.pipeline(made))


class TestSweep:
    def test_a_tree_is_taken_away_leaf_first(self, directory: Directory, world: World) -> None:
        """Whatever lies below accounts included, and nothing beside it."""
        grow(directory, 20, grandchildren=True)
        directory.write(domain("kept.test"))
        query = Query(DN, Scope.SUBTREE, "(objectClass=*)")

        apply(directory, Plan(DN, (Sweep("empty it", query, taking(), until_empty=True),)))

        assert [entry.dn for entry in world.find("(objectClass=mailDomain)")] == [
            TREE.domain("kept.test")
        ]

    def test_the_memory_it_needs_does_not_grow(self, directory: Directory) -> None:
        """Ten times as many entries take no more of it."""
        peaks = []
        query = Query(DN, Scope.SUBTREE, "(objectClass=*)")
        plan = Plan(DN, (Sweep("empty it", query, taking(), until_empty=True),))
        for accounts in (50, 500):
            grow(directory, accounts)
            tracemalloc.start()
            apply(directory, plan)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()

        assert peaks[1] < 1.5 * peaks[0] + 50_000

    def test_entries_may_vanish_meanwhile(self, directory: Directory, world: World) -> None:
        """Somebody else who deletes the same is no obstacle, even if they are always quicker."""
        grow(directory, 5)

        def change(entry: Entry) -> Iterable[Operation]:
            connection = world.connect()
            connection.delete_s(entry.dn)
            connection.unbind_s()
            yield Delete(entry.dn, absent_ok=True, parent_ok=True)

        query = Query(DN, Scope.SUBTREE, "(mail=*)")
        apply(directory, Plan(DN, (Sweep("empty it", query, change, until_empty=True),)))

        assert directory.find(query) == []

    def test_what_has_no_end_is_ended(
        self, directory: Directory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A parent whose children the sweep does not find, or others keep adding, cannot go."""
        monkeypatch.setattr(steps_module, "PATIENCE", 0.2)
        grow(directory, 1)
        query = Query(DN, Scope.BASE, "(objectClass=*)")

        with pytest.raises(ServerDown, match="others keep adding"):
            apply(directory, Plan(DN, (Sweep("empty it", query, taking(), until_empty=True),)))

    def test_an_entry_changed_meanwhile_is_made_again(
        self, directory: Directory, world: World
    ) -> None:
        """From what it holds now: the other's change stays."""
        for name in ("a.test", "b.test"):
            directory.write(domain(name, accountSetting=(b"mine:0", b"theirs:0")))
        overtaken = False

        def change(entry: Entry) -> Iterable[Operation]:
            nonlocal overtaken
            assert entry.csn
            if entry.has("domainName", "a.test") and not overtaken:
                overtaken = True
                world.set(entry.dn, accountSetting=["mine:0", "theirs:1"])
            kept = [v for v in entry.values("accountSetting") if not v.startswith(b"mine")]
            mod = Mod(Op.REPLACE, "accountSetting", (b"mine:1", *kept))
            yield Modify(entry.dn, (mod,), (entry.csn,))

        apply(directory, Plan(DN, (sweep(change),)))

        found = {dn: world.attributes(TREE.domain(dn)) for dn in ("a.test", "b.test")}
        assert found["a.test"]["accountSetting"] == {"mine:1", "theirs:1"}
        assert found["b.test"]["accountSetting"] == {"mine:1", "theirs:0"}

    def test_what_somebody_else_did_is_not_done_again(
        self, directory: Directory, world: World
    ) -> None:
        """An entry that the sweep would no longer find needs no change."""
        directory.write(domain(domainAdmin=(b"a@b.test",)))

        def change(entry: Entry) -> Iterable[Operation]:
            world.set(entry.dn, domainAdmin=None)
            yield Modify(entry.dn, (Mod(Op.DELETE, "domainAdmin", (b"a@b.test",)),))

        apply(directory, Plan(DN, (sweep(change, "(domainAdmin=a@b.test)"),)))

        assert "domainAdmin" not in world.attributes(DN)

    def test_a_failing_entry_ends_it_and_the_rest_is_counted(
        self, directory: Directory, world: World
    ) -> None:
        """What was under way when an operation failed is in the report."""
        for number in range(30):
            directory.write(domain(f"d{number}.test"))

        def change(entry: Entry) -> Iterable[Operation]:
            number = int(str(entry.text("domainName")).removeprefix("d").partition(".")[0])
            dn = TREE.domain("absent.test") if number == 3 else entry.dn
            yield Modify(dn, (Mod(Op.REPLACE, "cn", (b"swept",)),))

        with pytest.raises(NoSuchAccount) as failed:
            apply(directory, Plan(DN, (sweep(change),)))

        swept = len(world.find("(cn=swept)"))
        assert 0 < swept < 29
        assert failed.value.report == {
            "done": [],
            "not_done": ["sweep it"],
            "entries_changed_by_the_unfinished_step": swept,
        }

    def test_a_cut_sweep_is_uncertain(self, shaky: Directory, proxy: Proxy) -> None:
        """With the connection goes the knowledge of what was under way; a repeat finishes it."""
        for number in range(30):
            shaky.write(domain(f"d{number}.test"))
        cut = False

        def change(entry: Entry) -> Iterable[Operation]:
            nonlocal cut
            if not cut and entry.has("domainName", "d20.test"):
                cut = True
                proxy.cut_after_next_write()
            yield Modify(entry.dn, (Mod(Op.REPLACE, "cn", (b"swept",)),))

        plan = Plan(DN, (sweep(change), domain("after.test")))
        with pytest.raises(Unanswered) as failed:
            apply(shaky, plan)

        report = dict(failed.value.report or {})
        assert report["unknown"] == ["sweep it"]
        assert report["not_done"] == [f"add {TREE.domain('after.test')}"]
        apply(shaky, plan)
        swept = Query(TREE.base, Scope.ONE, "(cn=swept)")
        assert len(shaky.find(swept)) == 30


class TestRecheck:
    def recheck(self, judge: Callable[[Iterable[Entry]], Correction]) -> Recheck:
        return Recheck("look again", Query(TREE.base, Scope.ONE, "(domainName=*)"), judge)

    def test_it_sees_what_the_steps_before_have_done(self, directory: Directory) -> None:
        """And lets pass what is well."""
        seen: list[str] = []

        def judge(found: Iterable[Entry]) -> Correction:
            seen.extend(entry.dn for entry in found)
            return Correction()

        outcome = apply(directory, Plan(DN, (domain(), self.recheck(judge))))

        assert seen == [DN]
        assert outcome.state == state_of(directory)

    def test_what_was_done_is_undone(self, directory: Directory) -> None:
        """A race that was lost leaves nothing, so there is nothing to report."""

        def judge(found: Iterable[Entry]) -> Correction:
            return Correction((Delete(DN, absent_ok=True),), AlreadyExists(NAME))

        with pytest.raises(AlreadyExists) as failed:
            apply(directory, Plan(DN, (domain(), self.recheck(judge), domain("after.test"))))

        assert failed.value.report is None
        assert directory.find(Query(TREE.base, Scope.ONE, "(objectClass=*)")) == []

    def test_it_may_put_right_what_it_finds(self, directory: Directory) -> None:
        """An correction without refusal is a change like any other."""

        def judge(found: Iterable[Entry]) -> Correction:
            return Correction(tuple(described("put right") for _ in found))

        apply(directory, Plan(DN, (domain(), self.recheck(judge))))

        assert text_of(directory, "description") == "put right"

    def test_what_cannot_be_undone_is_reported(self, directory: Directory) -> None:
        """If the correction fails, the steps before remain and the report says so."""

        def judge(found: Iterable[Entry]) -> Correction:
            return Correction((Delete(TREE.domain("absent.test")),), AlreadyExists(NAME))

        with pytest.raises(NoSuchAccount) as failed:
            apply(directory, Plan(DN, (domain(), self.recheck(judge))))

        assert failed.value.report == {"done": [f"add {DN}"], "not_done": ["look again"]}


class TestForesight:
    """What would be refused in the middle is refused before the first step."""

    OTHER = TREE.domain("other.test")
    FORBIDDEN = Modify(OTHER, (Mod(Op.REPLACE, "cn", ()), Mod(Op.DELETE, "objectClass")))

    @pytest.fixture
    def others(self, directory: Directory) -> Directory:
        directory.write(domain("other.test", cn=(b"Other  Company",), mtaTransport=(b"dovecot",)))
        return directory

    def test_a_later_step_that_the_schema_forbids(self, others: Directory) -> None:
        with pytest.raises(SchemaViolation) as refused:
            execute(others, lambda: Plan(DN, (domain(), self.FORBIDDEN)))
        assert not refused.value.report
        assert others.read(DN) is None

    def test_an_entry_of_a_sweep(self, others: Directory) -> None:
        """Also of one that comes after others."""
        go_round = sweep(lambda entry: [replace(self.FORBIDDEN, dn=entry.dn)])
        with pytest.raises(SchemaViolation):
            execute(others, lambda: Plan(DN, (domain(), go_round)))
        assert others.read(DN) is None

    @pytest.mark.parametrize("steps", [1, 2])
    def test_a_value_that_is_there_in_another_spelling(self, others: Directory, steps: int) -> None:
        """It is no race: nobody waits for others, and both spellings are named."""
        again = Modify(self.OTHER, (Mod(Op.ADD, "cn", (b"OTHER company",)),))
        began = time.monotonic()

        with pytest.raises(ValueExists) as refused:
            execute(others, lambda: Plan(DN, (domain(), again)[-steps:]))

        assert time.monotonic() - began < steps_module.PATIENCE / 2
        assert refused.value.report == {
            "attribute": "cn",
            "values": ["OTHER company", "Other  Company"],
        }
        assert others.read(DN) is None

    @pytest.mark.parametrize("steps", [1, 2])
    def test_the_same_in_the_state_that_a_client_names(self, others: Directory, steps: int) -> None:
        """The entry is in it: a client that reads it again would be refused for ever."""
        state = state_of(others, self.OTHER)
        assert state
        again = Modify(self.OTHER, (Mod(Op.ADD, "cn", (b"OTHER company",)),))
        plan = Plan(self.OTHER, (again, domain())[:steps], state)

        with pytest.raises(ValueExists):
            execute(others, lambda: plan, (state,))

        assert state_of(others, self.OTHER) == state

    def test_a_value_that_can_not_be_removed(self, others: Directory) -> None:
        gone = Modify(self.OTHER, (Mod(Op.DELETE, "cn", (b"Another",)),))
        with pytest.raises(SchemaViolation, match="No such attribute"):
            execute(others, lambda: Plan(DN, (domain(), gone)))
        assert others.read(DN) is None

    def test_a_value_sent_twice_is_one(self, directory: Directory) -> None:
        twice = (b"+1 555", b"+1555", b"+15-55")
        execute(directory, lambda: Plan(DN, (domain(telephoneNumber=twice),)))
        more = Modify(DN, (Mod(Op.REPLACE, "cn", (b"a b", b"A  B")),))
        execute(directory, lambda: Plan(DN, (more,)))

        entry = directory.read(DN)
        assert entry
        assert (entry.texts("telephoneNumber"), entry.texts("cn")) == (["+1 555"], ["a b"])

    def test_a_step_that_stands_on_an_earlier_one_is_judged_by_the_schema(
        self, directory: Directory
    ) -> None:
        below = Add(f"ou=x,{DN}", {"objectClass": (b"organizationalUnit",), "sn": (b"x",)})
        with pytest.raises(SchemaViolation, match="sn"):
            execute(directory, lambda: Plan(DN, (domain(), below)))
        assert directory.read(DN) is None

    def test_a_server_that_does_not_judge(
        self, others: Directory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Then what the schema tells is all that is known before."""
        monkeypatch.setattr(others, "_can_judge", False)
        with pytest.raises(SchemaViolation):
            execute(others, lambda: Plan(DN, (domain(), self.FORBIDDEN)))
        assert others.read(DN) is None

    @pytest.mark.parametrize(
        ("refusal", "later"), [(ldap.BUSY, True), (ldap.UNAVAILABLE_CRITICAL_EXTENSION, False)]
    )
    def test_whether_a_server_judges_is_found_out_when_it_says_so(
        self,
        directory: Directory,
        monkeypatch: pytest.MonkeyPatch,
        refusal: type[ldap.LDAPError],
        later: bool,
    ) -> None:
        def refuse(*_: object) -> None:
            raise refusal({"result": refusal.errnum})

        with monkeypatch.context() as patch:
            patch.setattr(requests, "response", refuse)
            assert not directory.can_judge()

        assert directory.can_judge() is later

    def test_the_server_is_shown_nothing_that_would_harm_it(self, others: Directory) -> None:
        """A database is spoilt by an attribute that it has judged before it has held it."""
        before = state_of(others, self.OTHER)
        new = Modify(self.OTHER, (Mod(Op.REPLACE, "disclaimer", (b"x",)),))
        known = Modify(self.OTHER, (Mod(Op.REPLACE, "mtaTransport", (b"smtp:x",)),))
        assert others.read(self.OTHER)

        wanted: list[Operation] = [domain(street=(b"x",)), new, known, Delete(self.OTHER)]
        verdicts = {id(one): verdict for one, verdict in others.judged(wanted)}

        is_judged = [not isinstance(verdicts[id(one)], NotJudged) for one in wanted]
        assert is_judged == [False, False, True, True]
        assert others.read(DN) is None
        assert state_of(others, self.OTHER) == before
        others.write(domain(street=(b"x",)))
        others.write(new)
        assert text_of(others, "street") == "x"
        assert text_of(others, "disclaimer", self.OTHER) == "x"
