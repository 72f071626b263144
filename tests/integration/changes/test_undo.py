"""A change is taken back: what it did goes, what others did since stays and is named."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import ldap
import pytest
import requests
from click.testing import CliRunner

from iredldap.changes.progress import Progress
from iredldap.changes.steps import run_step
from iredldap.cli import main
from iredldap.config.reader import CONFIG_VARIABLE
from iredldap.dit.plan import Add, Step
from iredldap.errors import ServerDown
from iredldap.gateways.directory import Directory
from tests.support.client import Client, done, refused
from tests.support.databases import Urls, execute, rows
from tests.support.everything import everything
from tests.support.patience import at_once, wait_until
from tests.support.serving import Served, environment
from tests.support.world import World

CORP, OTHER = "corp.test", "other.test"
ANN, BOB, ANNE = f"ann@{CORP}", f"bob@{CORP}", f"anne@{CORP}"
PASSWORD = "a good Passw0rd"
LIMITS = {"period": 60, "max_msgs": 5}


@pytest.fixture
def corp(api: Client, served: Served) -> str:
    """Two domains; Ann and Bob in one of them, referred to by the other."""
    served.gateways.outside.ask()
    for name in (CORP, OTHER):
        done(api.post(f"/api/domain/{name}"))
    for mail in (ANN, BOB):
        done(api.post(f"/api/user/{mail}", password=PASSWORD, name="Name"))
    done(api.post(f"/api/alias/team@{OTHER}", members=f"{ANN},{BOB}"))
    done(api.put(f"/api/domain/{OTHER}", senderBcc=ANN, catchall=ANN))
    done(api.post(f"/api/throttle/{ANN}/inbound", **LIMITS))
    done(api.post(f"/api/greylisting/{ANN}", status="enable"))
    done(api.post(f"/api/wblist/inbound/whitelist/{ANN}", addresses="eve@there.test"))
    done(api.put(f"/api/spampolicy/user/{ANN}", spam_score="6.31"))
    return CORP


def number(answer: requests.Response) -> str:
    """The id of the change that was made."""
    return done(answer).headers["X-Change-Id"]


def undo(api: Client, change: str) -> requests.Response:
    return api.post(f"/api/changes/{change}/undo")


def undone(api: Client, change: str) -> tuple[str, list[dict[str, Any]]]:
    """Undo a change; give the id of the undo, and what was left alone."""
    answer = undo(api, change)
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"_success", "_data"}
    left: list[dict[str, Any]] = answer.json()["_data"]["left_alone"]
    return answer.headers["X-Change-Id"], left


def uuid(world: World, mail: str) -> str:
    entry = world.entry(world.tree.user(mail))
    assert entry
    return entry.text("entryUUID") or ""


def test_a_deleted_user_comes_back_with_everything(
    api: Client, world: World, corp: str, urls: Urls
) -> None:
    """Hash, references, policies, rights; its mailbox is off the list; only the entryUUID is new.

    An undo of the undo deletes it again, and that can be undone, too.
    """
    before, old = everything(world, urls), uuid(world, ANN)
    change = number(api.delete(f"/api/user/{ANN}/keep_mailbox_days/30"))
    after = everything(world, urls)
    assert after["deleted_mailboxes"] != before["deleted_mailboxes"]

    first, left = undone(api, change)
    assert left == []
    assert everything(world, urls) == before
    assert uuid(world, ANN) != old

    second, left = undone(api, first)
    assert left == []
    assert everything(world, urls) == after
    refused(undo(api, first), 409, "ALREADY_UNDONE")
    assert undone(api, second)[1] == []
    assert everything(world, urls) == before


def test_changes_before_a_deletion_can_be_undone_after_it_was(
    api: Client, world: World, corp: str
) -> None:
    """The account that came back is the same one; one that others have added is not."""
    before = world.snapshot()
    made = number(api.post(f"/api/user/new@{CORP}", password=PASSWORD))
    named = number(api.put(f"/api/user/new@{CORP}", language="de_DE"))
    deleted = number(api.delete(f"/api/user/new@{CORP}"))
    done(api.post(f"/api/user/new@{CORP}", password=PASSWORD, language="de_DE"))
    assert undo(api, named).json()["_msg"] == "CHANGED_SINCE"
    done(api.delete(f"/api/user/new@{CORP}"))

    for change in (deleted, named, made):
        assert undone(api, change)[1] == []

    assert world.snapshot() == before


def test_what_others_did_since_stays_and_is_named(
    api: Client, world: World, corp: str, urls: Urls
) -> None:
    """In the entries and in the tables."""
    change = number(api.delete(f"/api/user/{ANN}"))
    done(api.put(f"/api/domain/{OTHER}", senderBcc="else@there.test", catchall=BOB))
    done(api.put(f"/api/alias/team@{OTHER}", addMember="else@there.test"))

    _, left = undone(api, change)

    assert world.attributes(world.tree.domain(OTHER))["domainSenderBccAddress"] == {
        "else@there.test"
    }
    assert world.attributes(world.tree.alias(f"team@{OTHER}"))["mailForwardingAddress"] == {
        ANN, BOB, "else@there.test",
    }  # fmt: skip
    assert {(one["what"], *one["values"]) for one in left} == {("domainSenderBccAddress", ANN)}


def test_twenty_foreign_changes_stand(api: Client, world: World, corp: str) -> None:
    """Of a sweep over more entries than a plan reads, entry by entry."""
    mails = [f"u{count}@{CORP}" for count in range(25)]
    for mail in mails:
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
    change = number(api.put(f"/api/users/{CORP}", language="de_DE"))
    for count, mail in enumerate(mails[:20]):
        value = [b"fr_FR"] if count % 2 else [b"it_IT"]
        world.modify(world.tree.user(mail), (ldap.MOD_REPLACE, "preferredLanguage", value))

    _, left = undone(api, change)

    languages = [world.attributes(world.tree.user(m))["preferredLanguage"] for m in mails]
    assert languages[:20] == [{"it_IT"}, {"fr_FR"}] * 10
    assert languages[20:] == [{"en_US"}] * 5
    assert sorted(one["where"] for one in left) == sorted(map(world.tree.user, mails[:20]))
    assert {one["what"] for one in left} == {"preferredLanguage"}


def test_a_domain_of_hundreds_of_users_comes_back(
    api: Client, served: Served, world: World, corp: str, urls: Urls
) -> None:
    """As a job, with lists, aliases, and what other domains and the databases have of it.

    More of them than are kept, or given back, at once.
    """
    template = world.attributes(world.tree.user(ANN))
    done(api.post(f"/api/maillist/all@{CORP}", members=f"{ANN},{BOB}"))

    def user(count: int) -> Add:
        mail = f"u{count}@{CORP}"
        own = {"mail": {mail}, "uid": {f"u{count}"}, "homeDirectory": {f"/var/vmail/u{count}/"}}
        values = {**template, **own, "memberOfGroup": {f"all@{CORP}"}}
        return Add(
            world.tree.user(mail),
            {name: tuple(text.encode() for text in texts) for name, texts in values.items()},
        )

    for operation, refusal in served.gateways.directory.pipeline(map(user, range(600))):
        assert refusal is None, operation
    done(api.post(f"/api/alias/many@{OTHER}", members=",".join(f"u{n}@{CORP}" for n in range(99))))
    before = everything(world, urls)
    change = number(api.delete(f"/api/domain/{CORP}"))
    assert world.entry(world.tree.domain(CORP)) is None

    promised = api.call("POST", f"/api/changes/{change}/undo", headers={"Prefer": "respond-async"})
    job = promised.json()["_data"]["job"]
    wait_until(lambda: job_of(api, job)["status"] in {"done", "failed"})

    assert job_of(api, job)["report"] is None
    assert everything(world, urls) == before


def job_of(api: Client, job: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/api/jobs/{job}").json()["_data"]
    return found


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("carried_out", [1, 2, 3])
def test_an_undo_that_broke_off_is_finished_by_sending_it_again(
    api: Client, world: World, corp: str, urls: Urls, carried_out: int, killed: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Wherever it broke off; what was done by then is as it was before the change.

    Of a killed worker the log does not have what was done.
    """
    before = everything(world, urls)
    change = number(api.delete(f"/api/user/{ANN}/keep_mailbox_days/30"))
    done_so_far: list[Step] = []

    def fail_late(directory: Directory, step: Step, progress: Progress) -> str | None:
        if len(done_so_far) == carried_out:
            raise ServerDown("the machine")
        done_so_far.append(step)
        return run_step(directory, step, progress)

    with monkeypatch.context() as patch:
        patch.setattr("iredldap.changes.steps.run_step", fail_late)
        if killed:
            patch.setattr("iredldap.changes.recording.Recording.__exit__", lambda *_: None)
        assert undo(api, change).status_code == 503

    assert undone(api, change)[1] == []
    assert everything(world, urls) == before


def test_a_rename_goes_back(api: Client, world: World, corp: str, urls: Urls) -> None:
    """What others have called by the new name since follows."""
    before = everything(world, urls)
    change = number(api.post(f"/api/user/{ANN}/change_email/anne@{OTHER}"))
    done(api.put(f"/api/alias/team@{OTHER}", addMember="x@there.test"))
    done(api.post(f"/api/alias/new@{OTHER}", members=f"anne@{OTHER}"))

    _, left = undone(api, change)

    assert left == []
    done(api.put(f"/api/alias/team@{OTHER}", removeMember="x@there.test"))
    aliases = world.attributes(world.tree.alias(f"new@{OTHER}"))
    assert aliases["mailForwardingAddress"] == {ANN}
    done(api.delete(f"/api/alias/new@{OTHER}"))
    assert everything(world, urls) == before


def test_a_new_account_that_others_have_changed_stays(
    api: Client, world: World, corp: str, urls: Urls
) -> None:
    """So does one that others refer to; one that nobody has touched goes, with its records."""
    changes = {
        name: number(api.post(f"/api/user/{name}@{CORP}", password=PASSWORD))
        for name in ("changed", "meant", "used", "new")
    }
    done(api.put(f"/api/user/changed@{CORP}", name="Other"))
    done(api.put(f"/api/alias/team@{OTHER}", addMember=f"meant@{CORP}"))
    execute(
        urls.iredadmin,
        "INSERT INTO used_quota (username, bytes, messages) VALUES (:mail, 4096, 3)",
        mail=f"used@{CORP}",
    )

    for name, why in (("changed", "changed since"), ("meant", "refers to it")):
        answer = undo(api, changes[name])
        assert (answer.status_code, answer.json()["_msg"]) == (409, "CHANGED_SINCE")
        (left,) = answer.json()["_data"]["left_alone"]
        assert (left["where"], why in left["why"]) == (world.tree.user(f"{name}@{CORP}"), True)
    for name in ("used", "new"):
        assert undone(api, changes[name])[1] == []
        assert world.entry(world.tree.user(f"{name}@{CORP}")) is None
    recorded = rows(urls.iredadmin, "SELECT username FROM deleted_mailboxes")
    assert recorded == [(f"used@{CORP}",)]


def test_accounts_follow_the_status_of_their_domain(api: Client, world: World, corp: str) -> None:
    """Also one that was added while it was disabled."""
    change = number(api.put(f"/api/domain/{CORP}", accountStatus="disabled"))
    done(api.post(f"/api/user/new@{CORP}", password=PASSWORD))
    assert "domainStatus" in world.attributes(world.tree.user(f"new@{CORP}"))

    assert undone(api, change)[1] == []

    for mail in (ANN, f"new@{CORP}"):
        assert "domainStatus" not in world.attributes(world.tree.user(mail))


def test_an_address_that_somebody_else_has_by_now_stays_with_them(
    api: Client, world: World, corp: str
) -> None:
    """A further one is left out and named."""
    done(api.put(f"/api/user/{ANN}", addAlias=f"boss@{CORP}"))
    change = number(api.put(f"/api/user/{ANN}", removeAlias=f"boss@{CORP}"))
    deleted = number(api.delete(f"/api/user/{BOB}"))
    done(api.put(f"/api/user/{ANN}", addAlias=BOB))
    done(api.post(f"/api/alias/boss@{CORP}", members=ANN))

    refused(undo(api, deleted), 409, "ALREADY_EXISTS")
    answer = undo(api, change)

    assert (answer.status_code, answer.json()["_msg"]) == (409, "CHANGED_SINCE")
    (left,) = answer.json()["_data"]["left_alone"]
    assert (left["what"], left["values"]) == ("shadowAddress", [f"boss@{CORP}"])
    assert world.attributes(world.tree.user(ANN))["shadowAddress"] == {BOB}


def test_a_reference_to_an_account_that_is_gone_does_not_come_back(
    api: Client, world: World, corp: str
) -> None:
    change = number(api.put(f"/api/alias/team@{OTHER}", removeMember=f"{ANN},{BOB}",
                            addMember="x@there.test"))  # fmt: skip
    done(api.delete(f"/api/user/{BOB}"))

    _, left = undone(api, change)

    assert [(one["values"], one["why"]) for one in left] == [
        ([BOB], "there is no such account any more")
    ]
    members = world.attributes(world.tree.alias(f"team@{OTHER}"))["mailForwardingAddress"]
    assert members == {ANN}


# --- what cannot be undone --------------------------------------------------------------------


def deleted_ann(api: Client) -> str:
    return number(api.delete(f"/api/user/{ANN}/keep_mailbox_days/30"))


def take_address(api: Client, urls: Urls) -> None:
    done(api.post(f"/api/alias/{ANN}", members=BOB))


def delete_domain(api: Client, urls: Urls) -> None:
    done(api.delete(f"/api/domain/{CORP}"))


def remove_mail(api: Client, urls: Urls) -> None:
    execute(urls.iredadmin, "DELETE FROM deleted_mailboxes")


@pytest.mark.parametrize(
    ("happens", "status", "code"),
    [
        (take_address, 409, "ALREADY_EXISTS"),
        (delete_domain, 404, "NO_SUCH_ACCOUNT"),
        (remove_mail, 409, "MAILBOX_REMOVED"),
    ],
)
def test_what_cannot_be_undone_is_refused_before_anything_is_done(
    api: Client, world: World, corp: str, urls: Urls,
    happens: Callable[[Client, Urls], None], status: int, code: str,
) -> None:  # fmt: skip
    change = deleted_ann(api)
    happens(api, urls)
    before = everything(world, urls)

    refused(undo(api, change), status, code)

    assert everything(world, urls) == before


def test_limits_of_a_domain_hold(api: Client, world: World, corp: str) -> None:
    change = deleted_ann(api)
    done(api.put(f"/api/domain/{CORP}", numberOfUsers="1"))

    refused(undo(api, change), 409, "EXCEEDED_DOMAIN_ACCOUNT_LIMIT")
    done(api.put(f"/api/domain/{CORP}", numberOfUsers="2"))
    assert undone(api, change)[1] == []


def test_a_password_that_was_not_kept_does_not_come_back(
    serve: Callable[..., Served], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does the account: it would have none."""
    monkeypatch.setattr("tests.support.serving.SEALING_KEY", "")
    api = serve().client().log_in()
    done(api.post(f"/api/domain/{CORP}"))
    done(api.post(f"/api/user/{ANN}", password=PASSWORD))
    password = number(api.put(f"/api/user/{ANN}", password="another Passw0rd"))
    refused(undo(api, password), 409, "SECRET_NOT_KEPT")
    deleted = number(api.delete(f"/api/user/{ANN}"))
    before = world.snapshot()

    refused(undo(api, deleted), 409, "SECRET_NOT_KEPT")
    assert world.snapshot() == before


def test_an_unknown_change_is_none(api: Client) -> None:
    for word in ("01a21fad-ce31-7ae5-942b-6d68dd8b7fad", "nothing", "%00"):
        answer = undo(api, word)
        assert (answer.status_code, answer.json()["_msg"]) == (404, "NO_SUCH_CHANGE")


def test_what_was_put_right_by_hand_needs_no_undo(api: Client, corp: str) -> None:
    change = number(api.put(f"/api/user/{ANN}", language="de_DE"))
    done(api.put(f"/api/user/{ANN}", language="en_US"))

    refused(undo(api, change), 409, "NOTHING_TO_UNDO")


def test_of_two_at_once_one_undoes(api: Client, served: Served, world: World, corp: str) -> None:
    change = deleted_ann(api)
    clients = [served.client().log_in() for _ in range(4)]

    answers = at_once(*(partial(undo, client, change) for client in clients))

    codes = sorted(answer.json().get("_msg", "done") for answer in answers)
    assert codes[-1] == "done"
    assert {*codes[:-1]} <= {"ALREADY_UNDONE", "NOTHING_TO_UNDO"}
    assert world.entry(world.tree.user(ANN))


def test_normal_admins_undo_what_they_could_do(
    api: Client, served: Served, world: World, corp: str
) -> None:
    """In their domains, and nothing that only a global admin may do."""
    done(api.put(f"/api/domain/admins/{CORP}", addAdmin=BOB))
    bob = served.client().log_in(BOB, PASSWORD)
    foreign = number(api.put(f"/api/domain/{OTHER}", name="Other"))
    quota = number(api.put(f"/api/domain/{CORP}", numberOfUsers="5"))
    name = number(api.put(f"/api/user/{ANN}", name="Another"))

    refused(undo(bob, foreign), 404, "NO_SUCH_CHANGE")
    refused(undo(bob, quota), 403, "PERMISSION_DENIED")
    first, left = undone(bob, name)
    assert left == []
    assert world.attributes(world.tree.user(ANN))["cn"] == {"Name"}
    assert undone(bob, first)[1] == []
    assert world.attributes(world.tree.user(ANN))["cn"] == {"Another"}

    again = number(api.put(f"/api/user/{ANN}", name="Name"))
    deleted = number(api.delete(f"/api/user/{ANN}"))
    done(api.post(f"/api/user/{ANN}", password=PASSWORD, name="Name"))
    done(api.put(f"/api/user/{ANN}", isGlobalAdmin="yes"))
    assert undo(bob, again).json()["_msg"] == "CHANGED_SINCE"
    refused(undo(bob, deleted), 409, "ALREADY_EXISTS")


def test_a_dry_run_shows_what_an_undo_would_do(api: Client, world: World, corp: str) -> None:
    change = number(api.put(f"/api/user/{ANN}", language="de_DE", name="Ann"))
    done(api.put(f"/api/user/{ANN}", language="fr_FR"))
    before = world.snapshot()

    shown = api.post(f"/api/changes/{change}/undo", dry_run="yes").json()["_data"]

    assert world.snapshot() == before
    assert "cn: Name" in shown["ldif"]
    assert [(one["what"], one["values"]) for one in shown["left_alone"]] == [
        ("preferredLanguage", ["en_US"])
    ]


def test_a_rename_to_an_own_further_address_goes_back(
    api: Client, world: World, corp: str, urls: Urls
) -> None:
    """The new name was the account's before: mentions of it stay as they were."""
    done(api.put(f"/api/user/{ANN}", addAlias=ANNE))
    done(api.post(f"/api/alias/both@{OTHER}", members=f"{ANN},{ANNE}"))
    done(api.post(f"/api/alias/new@{OTHER}", members=ANNE))
    done(api.put(f"/api/user/{BOB}", forwarding=ANNE))
    before = everything(world, urls)
    change = number(api.post(f"/api/user/{ANN}/change_email/{ANNE}"))
    after = everything(world, urls)

    first, left = undone(api, change)

    assert left == []
    assert everything(world, urls) == before
    _, left = undone(api, first)
    assert left == []
    assert everything(world, urls) == after


def test_the_undo_of_a_policy_can_be_undone(
    api: Client, world: World, corp: str, urls: Urls
) -> None:
    """Rows that an undo changes are in the log as those of any change."""
    for change in (
        api.post(f"/api/greylisting/{ANN}", status="disable"),
        api.post(f"/api/throttle/{ANN}/inbound", period=120, max_msgs=7),
        api.delete(f"/api/wblist/inbound/whitelist/{ANN}"),
        api.put(f"/api/spampolicy/user/{ANN}", spam_score="4.5"),
    ):
        after = everything(world, urls)
        first, _ = undone(api, number(change))
        assert everything(world, urls) != after
        undone(api, first)
        assert everything(world, urls) == after


def test_what_is_left_alone_shows_no_secret(api: Client, world: World, corp: str) -> None:
    """That somebody has another password by now is said, and not which hash they had."""
    old = world.attributes(world.tree.user(ANN))["userPassword"]
    change = number(api.put(f"/api/user/{ANN}", password="another Passw0rd", name="Ann"))
    done(api.put(f"/api/user/{ANN}", password="a third Passw0rd"))

    for answer in (
        api.post(f"/api/changes/{change}/undo", dry_run="yes"),
        undo(api, change),
    ):
        assert not any(value in answer.text for value in old)
        (left,) = answer.json()["_data"]["left_alone"]
        assert (left["what"], left["values"]) == ("userPassword", ["{redacted}"])


def test_what_is_left_alone_names_no_entry_of_other_domains(
    api: Client, served: Served, world: World, corp: str
) -> None:
    """It says to a normal admin that there is something."""
    done(api.put(f"/api/domain/admins/{CORP}", addAdmin=BOB))
    bob = served.client().log_in(BOB, PASSWORD)
    change = number(bob.delete(f"/api/user/{ANN}"))
    done(api.delete(f"/api/alias/team@{OTHER}"))

    shown = bob.post(f"/api/changes/{change}/undo", dry_run="yes")
    _, left = undone(bob, change)

    assert OTHER not in shown.text
    assert [(one["where"], one["what"], one["values"]) for one in left] == [("", "", [])]
    assert left[0]["why"] == "others have changed entries of other domains"


class TestCommand:
    """`iredldap undo`."""

    @pytest.fixture(autouse=True)
    def configured(
        self, corp: str, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The configuration of the instance that is served."""
        settings, path = served.config.ldap, tmp_path / "iredldap.toml"
        path.write_text(
            f"[ldap]\nuri = {json.dumps(settings.uri)}\n"
            f'suffix = "{settings.suffix}"\nbind_dn = "{settings.bind_dn}"\n'
        )
        monkeypatch.setenv(CONFIG_VARIABLE, str(path))
        for name, value in environment(tmp_path, urls_of(served)).items():
            monkeypatch.setenv(name, value)

    def test_one_change_is_undone(self, api: Client, world: World) -> None:
        """What is left alone is printed; a dry run changes nothing."""
        change = number(api.put(f"/api/user/{ANN}", language="de_DE", name="Ann"))
        done(api.put(f"/api/user/{ANN}", language="fr_FR"))
        before = world.snapshot()

        shown = CliRunner().invoke(main, ["undo", "--dry-run", change])
        assert shown.exit_code == 0, shown.output
        assert "cn: Name\n" in shown.output
        assert world.snapshot() == before
        result = CliRunner().invoke(main, ["undo", change])

        assert result.exit_code == 0, result.output
        first, left = result.output.splitlines()
        assert first.startswith(f"{change}  undone by ")
        assert left == (
            f"  left alone: {world.tree.user(ANN)}  preferredLanguage: en_US"
            " (it has been changed since)"
        )
        assert world.attributes(world.tree.user(ANN))["cn"] == {"Name"}
        logged = api.get(f"/api/changes/{first.split()[-1]}").json()["_data"]
        assert (logged["undoes"], logged["account"]) == (change, ANN)
        assert logged["admin"].startswith("unix:")
        again = CliRunner().invoke(main, ["undo", change])
        assert (again.exit_code, "ALREADY_UNDONE" in again.output) == (1, True)

    def test_changes_of_an_admin_are_undone_the_newest_first(
        self, api: Client, served: Served, world: World
    ) -> None:
        """Those of others stay."""
        done(api.put(f"/api/domain/admins/{CORP}", addAdmin=BOB))
        before = world.snapshot()
        bob = served.client().log_in(BOB, PASSWORD)
        for name in ("One", "Two"):
            done(bob.put(f"/api/user/{ANN}", name=name))
        done(bob.put(f"/api/user/{ANN}", name="Two", language="de_DE"))
        theirs = done(bob.put(f"/api/user/{ANN}", accountStatus="disabled"))
        assert undone(api, theirs.headers["X-Change-Id"])[1] == []

        result = CliRunner().invoke(main, ["undo", "--since", "1h", "--admin", BOB])

        assert result.exit_code == 0, result.output
        assert len(result.output.splitlines()) == 4
        assert "ALREADY_UNDONE" in result.output.splitlines()[0]
        assert world.snapshot() == before

    @pytest.mark.parametrize("options", [[], ["--since", "1h"], ["x", "--since", "1h"]])
    def test_it_is_said_what_to_undo(self, options: list[str]) -> None:
        assert CliRunner().invoke(main, ["undo", *options]).exit_code == 2

    def test_an_unknown_id_is_refused(self) -> None:
        result = CliRunner().invoke(main, ["undo", "nothing"])
        assert (result.exit_code, "NO_SUCH_CHANGE" in result.output) == (1, True)


def urls_of(served: Served) -> Urls:
    config = served.config
    found = (config.iredapd.url, config.amavisd.url, config.iredadmin.url)
    return Urls("sqlite", *(url.reveal() for url in found))
