"""A mailbox path belongs to one account, living or deleted."""

from datetime import date
from functools import partial
from typing import Any

import pytest

from iredldap.dit.mail_names import domain_of
from iredldap.dit.mailbox import PathSet, normalized
from iredldap.errors import ServerDown
from iredldap.gateways.iredadmin import Iredadmin
from tests.support.client import Client, done, refused
from tests.support.databases import Urls, execute, rows
from tests.support.patience import at_once
from tests.support.serving import Served
from tests.support.world import World

PASSWORD = "a good password"
ANN, BOB, CID = "ann@a.test", "bob@a.test", "cid@b.test"
BASE = "/var/vmail/vmail1"
IN_USE = (409, "MAILBOX_IN_USE")
STAMPED = f"{BASE}/a.test/x/y/z/xyz-2026.01.02.03.04.05"


@pytest.fixture
def company(api: Client, world: World) -> World:
    """Two domains, a user in each, and an admin of the first one."""
    for name in ("a.test", "b.test"):
        done(api.post(f"/api/domain/{name}"))
    for mail in (ANN, CID, "adm@a.test"):
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
    done(api.put("/api/domain/admins/a.test", addAdmin="adm@a.test"))
    return world


@pytest.fixture
def manager(served: Served, company: World) -> Client:
    return served.client().log_in("adm@a.test", PASSWORD)


def home(world: World, mail: str) -> str:
    return world.attributes(world.tree.user(mail))["homeDirectory"].pop()


def place(world: World, mail: str, path: str) -> None:
    """Put an account where another tool might."""
    world.set(world.tree.user(mail), homeDirectory=path)


def written(urls: Urls) -> list[tuple[str, str]]:
    return rows(urls.iredadmin, "SELECT username, maildir FROM deleted_mailboxes ORDER BY 1, 2")


def write_down(urls: Urls, mail: str, path: str) -> None:
    execute(
        urls.iredadmin,
        "INSERT INTO deleted_mailboxes (username, domain, maildir, admin, delete_date)"
        " VALUES (:mail, :domain, :path, 'x', '2026-01-01')",
        mail=mail,
        domain=domain_of(mail),
        path=path,
    )


def agree(world: World, urls: Urls) -> None:
    """Insist that no two mailboxes touch, and that none of the living is written down."""
    paths = [
        normalized(value)
        for entry in world.find("(homeDirectory=*)")
        for value in entry.texts("homeDirectory")
    ]
    for path in paths:
        others = [*paths]
        others.remove(path)
        assert not PathSet(others).overlapping(path)
        deleted = [normalized(maildir) for _, maildir in written(urls)]
        assert not PathSet(deleted).overlapping(path)


# --- paths that are made ----------------------------------------------------------------------


def test_create_rename_and_create_again(api: Client, company: World, urls: Urls) -> None:
    """All in one second: each has a mailbox of its own, which a rename leaves where it is."""
    for number in range(4):
        done(api.post(f"/api/user/{BOB}", password=PASSWORD))
        path = home(company, BOB)
        new = f"bob{number}@{'a' if number % 2 else 'b'}.test"
        done(api.post(f"/api/user/{BOB}/change_email/{new}"))
        assert home(company, new) == path
    agree(company, urls)


@pytest.mark.parametrize("days", ["", "/keep_mailbox_days/1"])
def test_create_delete_and_create_again(api: Client, company: World, urls: Urls, days: str) -> None:
    """All in one second: the living one's path is not the one written down for removal."""
    for _ in range(4):
        done(api.post(f"/api/user/{BOB}", password=PASSWORD))
        agree(company, urls)
        done(api.delete(f"/api/user/{BOB}{days}"))
    done(api.post(f"/api/user/{BOB}", password=PASSWORD))
    agree(company, urls)
    assert len(written(urls)) == 4


def test_a_new_path_keeps_the_form_that_iredmail_knows(api: Client, company: World) -> None:
    """The program that removes mailboxes takes no other."""
    for number in range(3):
        done(api.post(f"/api/user/{BOB}", password=PASSWORD))
        assert normalized(home(company, BOB)) == home(company, BOB)
        assert company.find(f"(homeDirectory={home(company, BOB)})")
        start, _, stamp = home(company, BOB).rstrip("/").rpartition("-")
        assert start == f"{BASE}/a.test/b/o/b/bob"
        assert len(stamp) == 19
        done(api.post(f"/api/user/{BOB}/change_email/bob{number}@a.test"))


def test_a_mailbox_at_a_directory_of_letters(api: Client, company: World, urls: Urls) -> None:
    """New ones are made beside it, not inside."""
    place(company, CID, f"{BASE}/a.test/b")
    done(api.post(f"/api/user/{BOB}", password=PASSWORD))
    assert home(company, BOB).startswith(f"{BASE}/a.test/bob-")
    agree(company, urls)


def test_a_mailbox_of_the_older_form(api: Client, company: World, urls: Urls) -> None:
    """Base and store together are a path."""
    company.set(
        company.tree.user(CID),
        homeDirectory=None,
        storageBaseDirectory="/var/vmail",
        mailMessageStore="vmail1/a.test/b/",
    )
    done(api.post(f"/api/user/{BOB}", password=PASSWORD))
    assert home(company, BOB).startswith(f"{BASE}/a.test/bob-")
    path = f"{BASE}/a.test/b/o/"
    refused(api.put(f"/api/user/{BOB}", maildir=path), *IN_USE)


def test_an_account_that_has_everything_stops_nobody(api: Client, company: World) -> None:
    """A stranger's home above all mailboxes is no mailbox of iRedMail's."""
    place(company, CID, "/var/vmail/")
    done(api.post(f"/api/user/{BOB}", password=PASSWORD))


def test_paths_without_a_time(serve: Any, company: World, urls: Urls) -> None:
    """Another one's path gets a time; that of a deleted account of the same address is taken."""
    api = serve(accounts={"maildir_append_timestamp": False}).client().log_in()
    path = f"{BASE}/a.test/b/o/b/bob/"
    done(api.post(f"/api/user/{BOB}", password=PASSWORD))
    assert home(company, BOB) == path
    done(api.post(f"/api/user/{BOB}/change_email/rob@a.test"))
    done(api.post(f"/api/user/{BOB}", password=PASSWORD))
    assert home(company, BOB).startswith(f"{BASE}/a.test/b/o/b/bob-")
    agree(company, urls)

    for mail in (BOB, "rob@a.test"):
        done(api.delete(f"/api/user/{mail}"))
    done(api.post(f"/api/user/{BOB}", password=PASSWORD))
    assert home(company, BOB) != path
    done(api.delete(f"/api/user/{BOB}"))
    execute(urls.iredadmin, "UPDATE deleted_mailboxes SET username = :mail", mail=BOB)
    done(api.post(f"/api/user/{BOB}", password=PASSWORD))
    assert home(company, BOB) == path
    agree(company, urls)


def test_a_path_without_a_time_that_holds_another_one(
    serve: Any, company: World, urls: Urls
) -> None:
    """Whatever its spelling, all accounts are read for it."""
    api = serve(accounts={"maildir_append_timestamp": False}).client().log_in()
    place(company, CID, f"{BASE}//A.test/b/o/b/Bob/inner")
    done(api.post(f"/api/user/{BOB}", password=PASSWORD))
    agree(company, urls)


def test_creations_at_once_in_one_second(api: Client, served: Served, company: World) -> None:
    """Rivals for an address: one is made, and a rename away does not free its path."""
    clients = [served.client().log_in() for _ in range(3)]

    def create_and_rename(number: int) -> Any:
        answer = clients[number].post(f"/api/user/{BOB}", password=PASSWORD)
        return clients[number].post(f"/api/user/{BOB}/change_email/bob{number}@b.test") and answer

    for _ in range(3):
        at_once(*(partial(create_and_rename, number) for number in range(3)))
    paths = [v for e in company.find("(homeDirectory=*)") for v in e.texts("homeDirectory")]
    assert len(paths) == len(set(paths))


def test_a_creation_asks_the_database(api: Client, company: World, monkeypatch: Any) -> None:
    """It tells whose mailbox a path was; without it nobody is made."""
    before = company.snapshot()

    def down(*_: object) -> None:
        raise ServerDown("iredadmin database: away")

    monkeypatch.setattr(Iredadmin, "written_down", down)
    answer = api.post(f"/api/user/{BOB}", password=PASSWORD)
    refused(answer, 503, "SERVER_DOWN")
    # What the directory refuses is refused all the same: the database would not change that.
    refused(api.post(f"/api/user/{ANN}", password=PASSWORD), 409, "ALREADY_EXISTS")
    refused(api.post("/api/user/bob@none.test", password=PASSWORD), 404, "NO_SUCH_ACCOUNT")
    assert company.snapshot() == before


# --- paths that are named ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/etc/a.test/x/", f"{BASE}/b.test/x/", f"{BASE}/a.test/", f"{BASE}/x/", "/",
     f"{BASE}/b.test/a.test/x", f"/a.test{BASE}/a.test/x/", f"{BASE}/a/a.test/x/"],
)  # fmt: skip
def test_a_normal_admin_stays_in_the_directory_of_the_domain(
    manager: Client, company: World, path: str
) -> None:
    """A directory of the domain's name elsewhere is not the domain's."""
    before = company.snapshot()
    answer = manager.post(f"/api/user/{BOB}", password=PASSWORD, maildir=path)
    assert answer.status_code in {400, 403}
    assert manager.put(f"/api/user/{ANN}", maildir=path).status_code in {400, 403}
    assert company.snapshot() == before


@pytest.mark.parametrize("folder", ["a.test", "a/_/a.test"])
def test_a_domain_with_a_storage_of_its_own(manager: Client, company: World, folder: str) -> None:
    """There its directory lies, plainly or below two letters, and nowhere else."""
    company.set(
        company.tree.domain("a.test"), accountSetting="defaultStorageBaseDirectory:/srv/Mail"
    )
    refused(manager.put(f"/api/user/{ANN}", maildir=f"{BASE}/a.test/x"), 403, "PERMISSION_DENIED")
    done(manager.put(f"/api/user/{ANN}", maildir=f"/srv/mail/{folder}/x"))
    done(manager.post(f"/api/user/{BOB}", password=PASSWORD))
    assert home(company, BOB).startswith("/srv/mail/a.test/b/o/b/bob-")


@pytest.mark.parametrize("theirs", ["{}", "{}/inner/", "{}//INNER", "{}/.."])
@pytest.mark.parametrize("owner", [CID, "boss@a.test"])
def test_a_normal_admin_touches_nobodys_mailbox(
    api: Client, manager: Client, company: World, owner: str, theirs: str
) -> None:
    """Neither the same, nor one inside, nor one around, be it of the same domain or not."""
    done(api.post("/api/user/boss@a.test", password=PASSWORD))
    done(api.put("/api/user/boss@a.test", isGlobalAdmin="yes"))
    path = f"{BASE}/a.test/team/mail"
    place(company, owner, theirs.format(path))
    before = company.snapshot()
    for client in (manager, *([api] if theirs != "{}" else [])):
        refused(client.post(f"/api/user/{BOB}", password=PASSWORD, maildir=path), *IN_USE)
        refused(client.put(f"/api/user/{ANN}", maildir=path), *IN_USE)
    assert company.snapshot() == before


def test_nobodys_mailbox_lies_in_one_that_was_made(api: Client, company: World) -> None:
    """Even if nobody has it now: a later one may get it, and is not compared with everybody."""
    refused(api.put(f"/api/user/{ANN}", maildir=f"{STAMPED}/x/"), *IN_USE)
    done(api.put(f"/api/user/{ANN}", maildir=STAMPED))


def test_a_global_admin_shares_a_mailbox_on_purpose(
    api: Client, company: World, urls: Urls
) -> None:
    """The answer says with whom; the path is not written down while one of them lives."""
    path = home(company, ANN)
    answer = done(api.post(f"/api/user/{BOB}", password=PASSWORD, maildir=path.upper()))
    assert answer.headers["X-Shared-Mailbox"] == ANN
    answer = done(api.put(f"/api/user/{CID}", maildir=path))
    assert answer.headers["X-Shared-Mailbox"] == f"{ANN}, {BOB}"
    assert home(company, ANN) == home(company, BOB) == home(company, CID)
    assert "X-Shared-Mailbox" not in done(api.put(f"/api/user/{CID}", maildir=path)).headers

    done(api.delete(f"/api/user/{BOB}/keep_mailbox_days/1"))
    done(api.delete(f"/api/user/{ANN}"))
    assert written(urls) == []
    done(api.delete(f"/api/user/{CID}/keep_mailbox_days/1"))
    assert written(urls) == [(CID, path)]


def test_a_job_says_what_it_will_share(api: Client, company: World) -> None:
    """In the answer that promises it."""
    answer = api.call(
        "POST",
        f"/api/user/{BOB}",
        headers={"Prefer": "respond-async"},
        password=PASSWORD,
        maildir=home(company, ANN),
    )
    assert (answer.status_code, answer.headers["X-Shared-Mailbox"]) == (202, ANN)


def test_the_path_that_a_user_has_is_not_judged(manager: Client, company: World) -> None:
    """Who sends back a whole profile changes nothing."""
    path = "/Srv/elsewhere/team"
    for mail in (ANN, CID):
        place(company, mail, path)
    done(manager.put(f"/api/user/{ANN}", maildir=path, name="Ann"))


@pytest.mark.parametrize("others", [f"{BASE}/a.test/old/x", f"{BASE}/A.test"])
def test_a_path_beside_a_deleted_mailbox(
    api: Client, company: World, urls: Urls, others: str
) -> None:
    """One inside or around goes with it when it is removed."""
    write_down(urls, "old@a.test", others)
    refused(api.put(f"/api/user/{ANN}", maildir=f"{BASE}/a.test/old/"), *IN_USE)
    assert written(urls) == [("old@a.test", others)]


@pytest.mark.parametrize("mail", ["old@a.test", "old@b.test"])
def test_a_deleted_mailbox_is_taken_over(
    api: Client, manager: Client, company: World, urls: Urls, mail: str
) -> None:
    """By naming it; a normal admin takes those of the own domains only."""
    path = f"{BASE}/a.test/old/"
    write_down(urls, mail, path)
    if mail == "old@b.test":
        refused(manager.put(f"/api/user/{ANN}", maildir=path), *IN_USE)
        done(api.put(f"/api/user/{ANN}", maildir=path))
    else:
        done(manager.put(f"/api/user/{ANN}", maildir=path))
    assert written(urls) == []


def test_one_path_named_twice_at_once(served: Served, company: World, manager: Client) -> None:
    """One gets it; the other is refused, and nothing of it is left."""
    path = f"{BASE}/a.test/wanted/"
    other = served.client().log_in("adm@a.test", PASSWORD)
    answers = at_once(
        partial(manager.post, f"/api/user/{BOB}", password=PASSWORD, maildir=path),
        partial(other.put, f"/api/user/{ANN}", maildir=f"{path}inner/"),
        partial(other.post, "/api/user/rob@a.test", password=PASSWORD, maildir=path),
    )
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200, 409, 409]
    assert len(company.find(f"(|(homeDirectory={path})(homeDirectory={path}inner/))")) == 1


# --- what is written down ---------------------------------------------------------------------


@pytest.mark.parametrize("days", ["", "/keep_mailbox_days/1"])
@pytest.mark.parametrize("theirs", ["{}", "{}/inner", "{}/INNER//x/", f"{BASE}/a.test"])
@pytest.mark.parametrize("owner", [BOB, CID])
def test_what_the_living_use_is_not_written_down(
    api: Client, company: World, urls: Urls, owner: str, theirs: str, days: str
) -> None:
    """It is theirs, lies in theirs, or holds theirs; disabled accounts live, too."""
    if owner == BOB:
        done(api.post(f"/api/user/{BOB}", password=PASSWORD))
        done(api.put(f"/api/user/{BOB}", accountStatus="disabled"))
    path = home(company, ANN)
    place(company, owner, theirs.format(path))
    write_down(urls, "old@a.test", path)

    done(api.delete(f"/api/user/{ANN}{days}"))

    assert written(urls) == []


@pytest.mark.parametrize("gone", [f"user/{ANN}", "domain/a.test"])
@pytest.mark.parametrize(
    "path", ["/var", BASE, f"{BASE}/b.test", f"{BASE}//B.test/.", "/", "/..", "//", "..", "x/y"]
)
def test_a_directory_around_living_mailboxes_is_not_written_down(
    api: Client, company: World, urls: Urls, path: str, gone: str
) -> None:
    """Be they of other domains; nor is the root, or a path that may be any directory."""
    done(api.delete("/api/user/adm@a.test"))
    place(company, ANN, path)
    before = written(urls)
    done(api.delete(f"/api/{gone}/keep_mailbox_days/1"))
    assert written(urls) == before


@pytest.mark.parametrize("path", [f"{BASE}/a.test/team", f"{BASE}/a.test/team/inner"])
def test_a_domain_that_goes_leaves_others_their_mailboxes(
    api: Client, company: World, urls: Urls, path: str
) -> None:
    """Those of its own users are written down, also where two of them share one."""
    done(api.post(f"/api/user/{BOB}", password=PASSWORD, maildir=home(company, "adm@a.test")))
    place(company, ANN, f"{BASE}/a.test/team")
    place(company, CID, path)
    shared = home(company, BOB)

    done(api.delete("/api/domain/a.test/keep_mailbox_days/1"))

    assert written(urls) == [("adm@a.test", shared), (BOB, shared)]


def test_a_deletion_and_an_account_that_takes_the_path(
    api: Client, served: Served, company: World, urls: Urls
) -> None:
    """Whoever is first: the living account's path is not in the table."""
    other = served.client().log_in()
    for number in range(6):
        done(api.post(f"/api/user/{BOB}", password=PASSWORD))
        path, new = home(company, BOB), f"/api/user/new{number}@b.test"
        answers = at_once(
            partial(api.delete, f"/api/user/{BOB}/keep_mailbox_days/1"),
            partial(other.post, new, password=PASSWORD, maildir=path),
        )
        assert [answer.status_code for answer in answers] == [200, 200]
        assert path not in {maildir for _, maildir in written(urls)}


@pytest.fixture
def beaten(monkeypatch: Any, company: World) -> None:
    """An account that comes between the look for living accounts and the row for the path."""
    remember = Iredadmin.remember_mailboxes

    def late(self: Iredadmin, mailboxes: Any, due: date | None, admin: str) -> None:
        for one in mailboxes:
            place(company, CID, one.maildir)
        remember(self, mailboxes, due, admin)

    monkeypatch.setattr(Iredadmin, "remember_mailboxes", late)


@pytest.mark.parametrize("what", [f"user/{ANN}", "domain/a.test"])
@pytest.mark.usefixtures("beaten")
def test_an_account_that_comes_while_a_path_is_written_down(
    api: Client, company: World, urls: Urls, what: str
) -> None:
    """The deletion looks again."""
    done(api.delete(f"/api/{what}/keep_mailbox_days/1"))
    assert home(company, CID) not in {maildir for _, maildir in written(urls)}
