"""Snapshots, and states that are applied, judged by what stands in directory and tables."""

import json
from collections.abc import Iterable
from functools import partial
from typing import Any

import pytest

from iredldap.desired.gate import Gate, Made
from iredldap.dit.request import Request
from iredldap.errors import MlmmjadminUnavailable
from iredldap.gateways.mlmmjadmin import Mlmmjadmin
from tests.support.client import Client, done, refused
from tests.support.databases import Urls
from tests.support.everything import everything
from tests.support.mlmmjadmin import MlmmjadminServer
from tests.support.world import World

DOMAIN = "home.test"
PASSWORD = "a good password"


@pytest.fixture
def beside(mlmmjadmin: MlmmjadminServer) -> dict[str, dict[str, Any]]:
    return {"mlmmjadmin": mlmmjadmin.settings}


@pytest.fixture
def home(api: Client) -> str:
    """A domain with something of every kind, beside an admin and policies."""
    done(api.post(f"/api/domain/{DOMAIN}", name="Home", defaultQuota=10, numberOfUsers=50))
    for name in ("ann", "bob"):
        done(api.post(f"/api/user/{name}@{DOMAIN}", password=PASSWORD, name=name.title()))
    done(api.put(f"/api/user/ann@{DOMAIN}", aliases=f"anna@{DOMAIN}", quota=20, gn="Ann"))
    forwarding = f"anna@{DOMAIN},bob@{DOMAIN}"
    done(api.put(f"/api/user/bob@{DOMAIN}", forwarding=forwarding, senderBcc="x@far.test"))
    # Kept, and without effect until they are switched on again.
    done(api.put(f"/api/user/bob@{DOMAIN}", removeService="forward,senderbcc"))
    done(api.post(f"/api/maillist/all@{DOMAIN}", members=f"ann@{DOMAIN},bob@{DOMAIN}"))
    done(api.post(f"/api/ml/news@{DOMAIN}", name="News", max_message_size=1000))
    done(api.put(f"/api/ml/news@{DOMAIN}", add_subscribers="x@far.test", require_confirm="no"))
    done(api.post(f"/api/alias/sales@{DOMAIN}", members=f"anna@{DOMAIN},x@far.test"))
    done(api.post("/api/admin/chief@far.test", password=PASSWORD, maxDomains=3))
    done(api.put(f"/api/domain/{DOMAIN}", aliasDomains="a.test", catchall=f"ann@{DOMAIN}"))
    done(api.put(f"/api/domain/admins/{DOMAIN}", addAdmin=f"chief@far.test,ann@{DOMAIN}"))
    done(api.post("/api/throttle/global/inbound", period=60, max_msgs=100))
    done(api.post(f"/api/throttle/ann@{DOMAIN}/outbound", period=60, max_msgs=5))
    done(api.post(f"/api/greylisting/{DOMAIN}", status="enable"))
    done(api.post(f"/api/greylisting/{DOMAIN}/whitelists", senders="@far.test"))
    done(api.post("/api/greylisting/whitelist_spf_domains", domains="far.test"))
    done(api.post(f"/api/wblist/inbound/blacklist/{DOMAIN}", addresses="x@bad.test,@worse.test"))
    done(api.put(f"/api/spampolicy/domain/{DOMAIN}", spam_score=6))
    return DOMAIN


def snapshot(api: Client, **parameters: str) -> bytes:
    answer = api.get("/api/snapshot", **parameters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    return answer.content


def objects(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def state(lines: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def applied(api: Client, data: bytes, **parameters: str) -> dict[str, Any]:
    answer = api.send_file("/api/apply", data, **parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["_data"]
    return found


def counts(report: dict[str, Any]) -> dict[str, int]:
    names = ("created", "renamed", "updated", "deleted", "unchanged", "refused")
    return {name: report[name] for name in names if report[name]}


def test_a_snapshot_is_made_again_in_an_empty_directory(
    api: Client, world: World, urls: Urls, home: str, mlmmjadmin: MlmmjadminServer
) -> None:
    """The second snapshot has the same bytes; applied once more it changes nothing."""
    before = snapshot(api, hashes="yes", ids="no")
    assert snapshot(api, hashes="yes", ids="no") == before
    kinds = {line["kind"] for line in objects(before)}
    assert {"domain", "admin", "user", "maillist", "ml", "alias", "spampolicy"} <= kinds
    assert not applied(api, before)["changes"]
    done(api.delete(f"/api/domain/{home}"))
    done(api.delete("/api/admin/chief@far.test"))
    done(api.post("/api/throttle/global/inbound", period=0))
    done(api.post("/api/greylisting/whitelist_spf_domains", domains=""))
    first = applied(api, before)
    assert first["refusals"] == [], json.dumps(first["refusals"])
    assert snapshot(api, hashes="yes", ids="no") == before
    kept = everything(world, urls, mlmmjadmin)
    again = applied(api, before)
    assert (again["changes"], again["refused"]) == (0, 0)
    assert again["unchanged"] == again["lines"]
    assert everything(world, urls, mlmmjadmin) == kept
    done(Client(api.url).log_in(f"ann@{home}", PASSWORD).put(f"/api/user/ann@{home}", name="A"))


def test_only_what_differs_is_changed(api: Client, world: World, home: str) -> None:
    """By a line of a few parameters, in any spelling; what it does not name stays."""
    before = world.snapshot()
    ann = {"kind": "user", "mail": f"ANN@{home}", "quota": "20", "aliases": [f"Anna@{home}"]}
    report = applied(api, state([ann]))
    assert counts(report) == {"unchanged": 1}
    assert world.snapshot() == before
    report = applied(api, state([ann | {"quota": 30, "name": "Ann"}]), dry_run="yes")
    (change,) = report["changed"]
    assert (change["result"], change["differs"]) == ("updated", {"quota": [20, 30]})
    assert "replace: mailQuota" in change["ldif"]
    assert world.snapshot() == before
    assert counts(applied(api, state([ann | {"quota": 30}]))) == {"updated": 1}
    (logged,) = api.get("/api/changes", limit="1").json()["_data"]
    assert (logged["endpoint"], logged["account"]) == ("user_update", f"ann@{home}")


def test_an_id_renames(api: Client, world: World, home: str) -> None:
    """Also in a chain, where each takes the address of the next one."""
    lines = {line.get("mail"): line for line in objects(snapshot(api, kinds="user"))}
    ann, bob = lines[f"ann@{home}"], lines[f"bob@{home}"]
    wanted = [ann | {"mail": f"bob@{home}"}, bob | {"mail": f"robert@{home}"}]
    for line in wanted:
        line.pop("forwarding", None)
    report = applied(api, state(wanted))
    assert counts(report) == {"renamed": 2}, report
    found = {line.get("mail"): line for line in objects(snapshot(api, kinds="user"))}
    assert found[f"bob@{home}"]["id"] == ann["id"]
    assert found[f"robert@{home}"]["id"] == bob["id"]
    # Both would have to have an address that the other one has.
    swapped = [ann | {"mail": f"robert@{home}"}, bob | {"mail": f"bob@{home}"}]
    report = applied(api, state(swapped))
    assert [one["code"] for one in report["refusals"]] == ["ALREADY_EXISTS"] * 2


def test_what_is_covered_and_not_named_is_deleted(api: Client, world: World, home: str) -> None:
    """Of a snapshot all that it covers; of a file by hand the kinds that it has in a domain."""
    done(api.post("/api/domain/other.test"))
    done(api.post("/api/user/x@other.test", password=PASSWORD))
    before = objects(snapshot(api, domains=home))
    names = {f"bob@{home}", f"sales@{home}"}
    kept = [line for line in before if line.get("mail") not in names]
    assert counts(applied(api, state(kept)))["unchanged"] == len(kept) - 1
    report = applied(api, state(kept), prune="yes", dry_run="yes")
    assert {one["name"] for one in report["changed"] if one["result"] == "deleted"} == names
    report = applied(api, state(kept), prune="yes")
    assert (report["deleted"], report["refused"]) == (2, 0), report
    found = {line.get("mail") for line in objects(snapshot(api))}
    assert not names & found
    assert {f"all@{home}", "x@other.test"} <= found
    by_hand = [{"kind": "user", "mail": f"eve@{home}", "password": PASSWORD}]
    report = applied(api, state(by_hand), prune="yes")
    assert (report["created"], report["deleted"]) == (1, 1), report
    found = {line.get("mail") for line in objects(snapshot(api))}
    assert {f"all@{home}", f"news@{home}", "x@other.test", "chief@far.test"} <= found


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "kind": ({"kind": "nothing", "mail": "x@home.test"}, "INVALID_FILE"),
    "mail": ({"kind": "user", "mail": "nobody"}, "INVALID_MAIL"),
    "domain": ({"kind": "user", "mail": "x@none.test", "password": PASSWORD}, "NO_SUCH_ACCOUNT"),
    "password": ({"kind": "user", "mail": "new@home.test"}, "PW_EMPTY"),
    "unknown": ({"kind": "user", "mail": "ann@home.test", "nothing": 1}, "INVALID_PARAMETER"),
    "value": ({"kind": "user", "mail": "bob@home.test", "quota": "much"}, "INVALID_PARAMETER"),
    "other": ({"kind": "user", "mail": "sales@home.test", "password": PASSWORD}, "ALREADY_EXISTS"),
    "twice": ({"kind": "alias", "mail": "sales@home.test"}, "INVALID_FILE"),
}


def test_a_line_that_is_refused_holds_no_other_up(api: Client, home: str) -> None:
    good = {"kind": "alias", "mail": f"sales@{home}", "name": "Sales"}
    lines: list[dict[str, Any]] = [good, *(line for line, _ in BAD.values())]
    report = applied(api, state(lines))
    assert counts(report) == {"updated": 1, "refused": len(BAD)}, report
    told = {one["line"]: one["code"] for one in report["refusals"]}
    assert told == {number: code for number, (_, code) in enumerate(BAD.values(), 2)}


def test_files_by_hand(api: Client, home: str) -> None:
    """YAML, TOML and an array, with truth values; what is no list is refused as a whole."""
    text = f"""
- kind: user
  mail: cat@{home}
  password: {PASSWORD}
  name: Cat
- {{kind: domain, domain: {home}, name: Home}}
"""
    assert counts(applied(api, text.encode(), format="yaml")) == {"created": 1, "unchanged": 1}
    text = f'[[state]]\nkind = "user"\nmail = "cat@{home}"\nquota = 7\nforwarding = []\n'
    assert counts(applied(api, text.encode(), format="toml")) == {"updated": 1}
    text = json.dumps([{"kind": "user", "mail": f"cat@{home}", "accountStatus": "disabled"}])
    assert counts(applied(api, text.encode())) == {"updated": 1}
    for bad, format_ in ((b"kind: user", "yaml"), (b"{", "ndjson"), (b"!!python/x", "yaml")):
        answer = api.send_file("/api/apply", bad, format=format_)
        assert (answer.status_code, answer.json()["_msg"]) == (400, "INVALID_FILE")
        assert answer.json()["_data"]["reason"]


def test_rights_are_those_of_the_single_calls(api: Client, served: Any, home: str) -> None:
    """A normal admin reads and sets what is in their domains, and no hashes."""
    done(api.post("/api/domain/other.test"))
    chief = served.client().log_in("chief@far.test", PASSWORD)
    found = objects(snapshot(chief))
    assert found[0]["domains"] == [home]
    assert {line["kind"] for line in found} >= {"domain", "user", "alias"}
    assert not {"admin", "global"} & {line["kind"] for line in found}
    refused(chief.get("/api/snapshot", hashes="yes"), 403, "PERMISSION_DENIED")
    refused(chief.get("/api/snapshot", domains="other.test"), 404, "NO_SUCH_ACCOUNT")
    report = applied(chief, state(found))
    assert (report["changes"], report["refused"]) == (0, 0), report
    report = applied(chief, state([{"kind": "domain", "domain": "other.test", "name": "Mine"}]))
    assert [one["code"] for one in report["refusals"]] == ["PERMISSION_DENIED"]


NAMES = ("one", "two")
MAILDIR = "/var/vmail/vmail1/home.test/t/o/p/top-2026.01.02.03.04.05/"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (MAILDIR, f"{MAILDIR}inner/"),
        ("/var/vmail/vmail1/home.test/open/", "/var/vmail/vmail1/home.test/open/inner/"),
        ("/var/vmail/vmail1/home.test/open/inner/", "/var/vmail/vmail1/home.test/open/"),
        ("/srv/else/open/inner/", "/srv/else/open/"),
    ],
)
@pytest.mark.parametrize("there", [True, False])
def test_no_mailbox_lies_in_another(
    api: Client, world: World, home: str, first: str, second: str, there: bool
) -> None:
    """Neither one that is there, nor that of another line of the same batch, which goes first."""
    lines = [
        {"kind": "user", "mail": f"{name}@{home}", "password": PASSWORD, "maildir": path}
        for name, path in zip(NAMES, (first, second), strict=True)
    ]
    if there:
        assert counts(applied(api, state(lines[:1]))) == {"created": 1}
        lines = lines[1:]
    report = applied(api, state(lines))
    assert [one["code"] for one in report["refusals"]] == ["MAILBOX_IN_USE"]
    (refused_,) = (one["name"] for one in report["refusals"])
    assert refused_ == f"two@{home}" or not there
    found = {f"{name}@{home}": world.entry(world.tree.user(f"{name}@{home}")) for name in NAMES}
    assert [mail for mail, entry in found.items() if entry is None] == [refused_]


def test_two_lines_may_share_a_mailbox(api: Client, world: World, home: str) -> None:
    """As two calls of a global admin may: the path is the same on purpose."""
    lines = [
        {"kind": "user", "mail": f"{name}@{home}", "password": PASSWORD, "maildir": MAILDIR}
        for name in NAMES
    ]
    assert counts(applied(api, state(lines))) == {"created": 2}
    for name in NAMES:
        assert world.attributes(world.tree.user(f"{name}@{home}"))["homeDirectory"] == {MAILDIR}


def test_what_others_change_meanwhile_is_compared_again(
    api: Client, world: World, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between comparison and change: nothing of theirs is lost, and the line holds in the end."""
    ann = f"ann@{home}"
    make, met = Gate.make, list[str]()

    def slowly(gate: Gate, wanted: Request) -> Made:
        if wanted.endpoint == "user_update" and not met:
            met.append(wanted.names["mail"])
            done(api.put(f"/api/user/{ann}", mobile="123", quota=77))
        return make(gate, wanted)

    monkeypatch.setattr(Gate, "make", slowly)
    report = applied(api, state([{"kind": "user", "mail": ann, "name": "Ann S", "quota": 30}]))
    assert met == [ann]
    assert counts(report) == {"updated": 1}
    assert report["changed"][0]["differs"] == {"name": ["Ann", "Ann S"], "quota": [77, 30]}
    entry = world.attributes(world.tree.user(ann))
    assert (entry["cn"], entry["mobile"]) == ({"Ann S"}, {"123"})
    assert entry["mailQuota"] == {str(30 * 1024**2)}


def test_who_may_not_read_a_thing_learns_nothing_about_it(
    api: Client, served: Any, home: str
) -> None:
    """Right and wrong values, and what does not exist at all, get the same answer."""
    done(api.post("/api/domain/other.test"))
    done(api.post("/api/user/x@other.test", password=PASSWORD, name="X"))
    guesses: list[dict[str, Any]] = [
        {"kind": "user", "mail": "x@other.test", "name": "X"},
        {"kind": "user", "mail": "y@other.test", "name": "X"},
        {"kind": "domain", "domain": "other.test", "admins": []},
        {"kind": "alias", "mail": "x@other.test"},
        {"kind": "admin", "mail": "chief@far.test", "name": "chief"},
        {"kind": "greylisting", "target": "other.test", "status": "disable"},
    ]
    chief = served.client().log_in(f"ann@{home}", PASSWORD)
    secret = api.post("/api/tokens", name="few", scopes="changes:read").json()
    few = served.client()
    few.session.headers["Authorization"] = f"Bearer {secret['_data']['secret']}"
    for asking in (chief, few):
        for dry_run in ("yes", "no"):
            report = applied(asking, state(guesses), dry_run=dry_run)
            told = {one["code"] for one in report["refusals"]}
            assert (told, report["refused"]) == ({"PERMISSION_DENIED"}, len(guesses)), report
    everything_ = {"kind": "snapshot", "version": 1, "domains": "all"}
    words = ["domain", "admin", "user"]
    report = applied(few, state([everything_ | {"kinds": words}]), prune="yes", dry_run="yes")
    assert not any("@" in one["name"] for one in report["refusals"]), report
    assert {one["code"] for one in report["refusals"]} == {"PERMISSION_DENIED"}
    report = applied(chief, state([everything_ | {"kinds": ["admin"]}]), prune="yes", dry_run="yes")
    assert [(one["kind"], one["name"]) for one in report["refusals"]] == [("admin", "global")]


def test_who_may_not_read_may_create(api: Client, served: Any, home: str) -> None:
    """As by single calls; an account that is there is refused, whatever the line says."""
    secret = api.post("/api/tokens", name="maker", scopes="users:create").json()
    maker = served.client()
    maker.session.headers["Authorization"] = f"Bearer {secret['_data']['secret']}"
    lines = [
        {"kind": "user", "mail": f"ann@{home}", "password": PASSWORD, "name": "Ann"},
        {"kind": "user", "mail": f"new@{home}", "password": PASSWORD, "name": "New"},
    ]
    report = applied(maker, state(lines))
    assert counts(report) == {"created": 1, "refused": 1}, report
    assert report["refusals"][0]["code"] == "PERMISSION_DENIED"


def test_nothing_is_deleted_while_a_line_is_refused(api: Client, home: str) -> None:
    """The line may be that of an account: misspelt, or about to be renamed."""
    before = {line.get("mail"): line for line in objects(snapshot(api, domains=home, ids="yes"))}
    done(api.post(f"/api/alias/taken@{home}"))
    for mail, changes in (
        (f"ann@{home}", {"kind": "usr"}),
        (f"ann@{home}", {"mail": f"ann@{home}@"}),
        (f"ann@{home}", {"mail": f"taken@{home}"}),
        (f"bob@{home}", {"quota": "much"}),
    ):
        lines = [one for name, one in before.items() if name != mail]
        lines.append(before[mail] | changes)
        for dry_run in ("yes", "no"):
            report = applied(api, state(lines), prune="yes", dry_run=dry_run)
            assert (report["deleted"], report["pruning_left_out"]) == (0, True), report
            assert report["refused"] == 1, report
    assert api.get(f"/api/user/ann@{home}").status_code == 200
    report = applied(api, state(before.values()), prune="yes")
    assert (report["deleted"], report["pruning_left_out"]) == (1, False), report


def test_a_dry_run_foresees_renames(api: Client, world: World, home: str) -> None:
    """A chain is no clash, a name that becomes free can be given, and nobody is deleted for it."""
    found = {line.get("mail"): line for line in objects(snapshot(api, domains=home))}
    ann, bob = found.pop(f"ann@{home}"), found.pop(f"bob@{home}")
    moved = [
        ann | {"mail": f"bob@{home}", "quota": 30},
        bob | {"mail": f"robert@{home}", "forwarding": []},
        {"kind": "user", "mail": "eve@new.test", "password": PASSWORD},
        {"kind": "domain", "domain": "new.test"},
    ]
    lines = [*found.values(), *moved]
    before = world.snapshot()
    report = applied(api, state(lines), prune="yes", dry_run="yes")
    assert world.snapshot() == before
    told = {one["name"]: one.get("differs") for one in report["changed"]}
    assert told[f"bob@{home}"] == {"quota": [20, 30]}
    names = ("created", "renamed", "deleted", "refused")
    assert {name: report[name] for name in names} == dict(zip(names, (2, 2, 0, 0), strict=True))
    report = applied(api, state(lines), prune="yes")
    assert {name: report[name] for name in names} == dict(zip(names, (2, 2, 0, 0), strict=True)), (
        report
    )


def test_lines_may_name_what_others_create(api: Client, world: World, home: str) -> None:
    """In any order, in a dry run as in one that makes them."""
    lines = [
        {"kind": "domain", "domain": home, "catchall": [f"late@{home}"]},
        {"kind": "domain", "domain": "far.home.test", "admins": [f"new@{home}"]},
        {"kind": "user", "mail": f"bob@{home}", "forwarding": [f"also@{home}"]},
        {"kind": "user", "mail": f"new@{home}", "password": PASSWORD, "aliases": [f"also@{home}"]},
        {"kind": "alias", "mail": f"sales@{home}", "members": [f"new@{home}", f"late@{home}"]},
        {"kind": "alias", "mail": f"late@{home}", "members": ["x@far.test"]},
    ]
    done(api.post("/api/domain/far.home.test"))
    before = world.snapshot()
    tried = applied(api, state(lines), dry_run="yes")
    assert world.snapshot() == before
    made = applied(api, state(lines))
    for report in (tried, made):
        assert counts(report) == {"created": 2, "updated": 4}, report
        assert not any(one.get("ignored") for one in report["changed"])
    assert counts(applied(api, state(lines))) == {"unchanged": 6}


def test_a_policy_with_an_unknown_member_is_refused(api: Client, home: str) -> None:
    line = {"kind": "blacklist_inbound", "target": home, "addresses": ["y@bad.test"], "more": 1}
    (refusal,) = applied(api, state([line]))["refusals"]
    assert (refusal["code"], refusal["parameters"]) == ("INVALID_PARAMETER", ["more"])


def test_a_job_keeps_no_password_in_clear_text(api: Client, home: str) -> None:
    for name in ("password", "Password", " PASSWORD"):
        line = {"kind": "user", "mail": f"new@{home}", name: PASSWORD}
        answer = api.session.post(
            f"{api.url}/api/apply", data=state([line]), headers={"Prefer": "respond-async"}
        )
        assert (answer.status_code, answer.json()["_msg"]) == (400, "INVALID_FILE")


def test_a_list_server_that_is_down_refuses_its_lines_alone(
    api: Client, home: str, mlmmjadmin: MlmmjadminServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        {"kind": "ml", "mail": f"news@{home}", "name": "The news"},
        {"kind": "alias", "mail": f"sales@{home}", "name": "Sales"},
    ]

    def fails(*_: Any) -> None:
        raise MlmmjadminUnavailable("down")

    monkeypatch.setattr(Mlmmjadmin, "profile", fails)
    report = applied(api, state(lines))
    assert counts(report) == {"updated": 1, "refused": 1}, report
    assert [one["code"] for one in report["refusals"]] == ["MLMMJADMIN_UNAVAILABLE"]


def test_the_own_domain_is_not_deleted(api: Client, served: Any, home: str) -> None:
    done(api.put(f"/api/user/ann@{home}", isGlobalAdmin="yes"))
    root = served.client().log_in(f"ann@{home}", PASSWORD)
    lines = [line for line in objects(snapshot(root, kinds="domain")) if line.get("domain") != home]
    report = applied(root, state(lines), prune="yes", dry_run="yes")
    assert {one["name"]: one["code"] for one in report["refusals"]} == {home: "PERMISSION_DENIED"}


def test_what_was_done_before_a_refusal_is_counted(api: Client, world: World, home: str) -> None:
    """The account is there, so its line is no refused one; it is named with the reason."""
    line = {"kind": "alias", "mail": f"new@{home}", "members": [f"none@{home}"]}
    report = applied(api, state([line]), prune="yes")
    assert counts(report) == {"created": 1}
    assert (report["changes"], report["pruning_left_out"]) == (1, True)
    (told,) = report["refusals"]
    assert (told["result"], told["code"], told["parameters"]) == (
        *("created", "INVALID_MAIL", ["members"]),
    )
    assert world.find(f"(mail=new@{home})")


def test_a_domain_that_others_hold_refuses_its_lines_alone(
    api: Client, served: Any, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it was waited for in vain, the next line does not wait as long again."""
    done(api.post("/api/domain/other.test"))
    monkeypatch.setattr("iredldap.web.resources.states.Gate", partial(Gate, patience=0.3))
    lines: list[dict[str, Any]] = [
        {"kind": "domain", "domain": "other.test", "name": "Other"},
        {"kind": "user", "mail": "x@other.test", "password": PASSWORD},
        {"kind": "user", "mail": f"x@{home}", "password": PASSWORD},
    ]
    with served.gateways.outside.turns.take({"other.test"}, 10):
        report = applied(api, state(lines))
    assert counts(report) == {"created": 1, "refused": 2}, report
    assert {one["code"] for one in report["refusals"]} == {"SERVER_DOWN"}


def test_progress_ends_at_its_total(
    api: Client, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[int, int]] = []
    monkeypatch.setattr(
        "iredldap.web.resources.states.advance_of", lambda _: lambda *step: steps.append(step)
    )
    found = {line.get("mail"): line for line in objects(snapshot(api))}
    lines = [*found.values(), {"kind": "user", "mail": f"bob@{home}", "quota": "much"}]
    lines += [
        {"kind": "alias", "mail": f"a@{home}", "members": [f"b@{home}"]},
        {"kind": "alias", "mail": f"b@{home}", "members": ["x@far.test"]},
    ]
    applied(api, state(lines))
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]
    assert all(reached <= total for reached, total in steps)


def test_a_hash_that_could_be_guessed_is_compared_for_those_who_may_verify(
    api: Client, served: Any, home: str
) -> None:
    """To others a right guess looks like a wrong one; a hash with a salt nobody guesses."""
    right, wrong = "{MD5}X03MO1qnZdYdgyfeuILPmQ==", "{MD5}AAAAAAAAAAAAAAAAAAAAAA=="
    salted = "{SSHA}X03MO1qnZdYdgyfeuILPmZ1B2C3D4E5F"
    done(api.post(f"/api/user/old@{home}", password_hash=right))
    done(api.post(f"/api/user/new@{home}", password_hash=salted))
    boss = served.client().log_in(f"ann@{home}", PASSWORD)

    def told(client: Client, name: str, value: str) -> dict[str, int]:
        line = {"kind": "user", "mail": f"{name}@{home}", "password_hash": value}
        return counts(applied(client, state([line]), dry_run="yes"))

    assert told(boss, "old", right) == told(boss, "old", wrong) == {"updated": 1}
    assert told(boss, "new", salted) == {"unchanged": 1}
    assert told(api, "old", right) == {"unchanged": 1}
    assert told(api, "old", wrong) == {"updated": 1}


@pytest.mark.parametrize("empty", [None, "", [], " "])
def test_an_empty_value_is_that_of_a_single_call(
    api: Client, world: World, home: str, empty: object
) -> None:
    """It was compared as one that is not there, and written as the word `None`."""
    for line in (
        {"kind": "domain", "domain": home, "transport": empty},
        {"kind": "user", "mail": f"bob@{home}", "mailboxFolder": empty},
    ):
        applied(api, state([line]))
        again = applied(api, state([line]))
        assert counts(again) in ({"unchanged": 1}, {"refused": 1}), again
    everything_there = [
        value for one in world.find() for found in one.attributes.values() for value in found
    ]
    assert b"None" not in everything_there


def test_lines_may_name_a_renamed_account_by_its_former_name(
    api: Client, world: World, home: str
) -> None:
    """A rename changes every mention, and who edits a file may change the one line alone."""
    done(api.put(f"/api/user/ann@{home}", forwarding=f"ann@{home},bob@{home}"))
    before = snapshot(api)
    lines = objects(before)
    for line in lines:
        if line.get("mail") == f"ann@{home}":
            line["mail"] = f"eve@{home}"
    expected = objects(before.replace(b"ann@", b"eve@"))

    foreseen = applied(api, state(lines), dry_run="yes", prune="yes")
    assert counts(foreseen) == {"renamed": 1, "unchanged": len(lines) - 2}, foreseen
    first = applied(api, state(lines), prune="yes")

    assert counts(first) == {"renamed": 1, "unchanged": len(lines) - 2}, first
    assert not [one for one in first["changed"] if one.get("ignored")]
    assert in_any_order(objects(snapshot(api))) == in_any_order(expected)


def in_any_order(lines: list[dict[str, Any]]) -> set[str]:
    """A new name may stand at another place."""
    return {
        json.dumps(
            {n: sorted(v) if isinstance(v, list) else v for n, v in one.items()}, sort_keys=True
        )
        for one in lines
    }


def test_what_no_call_renames_is_not_created_beside(api: Client, home: str) -> None:
    """A list or domain with the id of another one would be a second one."""
    known = {
        (one["kind"], one.get("mail") or one.get("domain")): one for one in objects(snapshot(api))
    }
    for kind, name, new in (
        ("maillist", f"all@{home}", {"mail": f"everybody@{home}"}),
        ("domain", home, {"domain": "elsewhere.test"}),
    ):
        line = {"kind": kind, **new, "id": known[kind, name]["id"]}
        report = applied(api, state([line]))
        assert counts(report) == {"refused": 1}, report
        assert report["refusals"][0]["code"] == "ALREADY_EXISTS"
