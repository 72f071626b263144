"""A dry run tells what the call does, and changes nothing.

The change records that it prints, applied with `ldapmodify` to the same tree, give the tree that
the call gives. Every call that writes has a dry run, or refuses to be asked for one.
"""

import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import requests

from iredldap.changes.preview import preview
from iredldap.dit.fields import Verb
from iredldap.operations import dispatch
from iredldap.web import dry_runs
from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.endpoints.index import ENDPOINTS
from iredldap.web.origins import SAFE_METHODS
from tests.contract.test_contract import (
    APART,
    DOMAIN,
    EVERY_ROW,
    FILES,
    LENIENT,
    MAIL,
    SAMPLES,
    WHOLE,
    form,
    kind_of,
    path_of,
    prepare,
    prepare_value,
)
from tests.support.client import Client, done, refused
from tests.support.databases import connected
from tests.support.patience import PATIENCE
from tests.support.serving import Served
from tests.support.trees import Tree, everything, put_back
from tests.support.world import ADMIN, ADMIN_PASSWORD, SUFFIX, WRITER_PASSWORD, World

WRITING = [endpoint for endpoint in ENDPOINTS if endpoint.method not in SAFE_METHODS]
CHANGES = [endpoint for endpoint in WRITING if endpoint.operation]
COMPARED = [
    endpoint
    for endpoint in CHANGES
    # Those of policies change no entry, and are made from the same few rows.
    if dispatch.changes_an_entry(endpoint.id) or "{domain}" in endpoint.path
]


def comparable(tree: Tree) -> Tree:
    """The tree without states, and of random values only that they are there."""
    drawn = {"userPassword", "mailingListID"}
    return {
        dn.lower(): {
            name: [b"drawn"] if name in drawn else values
            for name, values in held.items()
            if name != "entryCSN"
        }
        for dn, held in tree.items()
    }


def ldapmodify(world: World, text: str) -> None:
    """Apply change records with OpenLDAP's own client."""
    login = ("-x", "-H", world.slapd.uri, "-D", f"cn=vmailadmin,{SUFFIX}", "-w", WRITER_PASSWORD)
    answer = subprocess.run(
        ["ldapmodify", *login],
        input=text,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert answer.returncode == 0, f"{answer.stderr}\n{text}"


def shown(answer: requests.Response) -> dict[str, Any]:
    """Insist on the answer to a dry run, and give what it tells."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Dry-Run"] == "yes"
    told: dict[str, Any] = answer.json()["_data"]
    assert told["records"] == told["ldif"].count("\nchangetype: ") + told["records_left_out"]
    assert len(told["steps"]) >= len(told["outside"]) + len(told["rechecks"])
    return told


SIDES = ("before", "after")
_OF_THE_MOMENT = {"id", "timestamp", "delete_date", "time"}
"""Columns whose value depends on when a row is written."""


def rows_told(told: Mapping[str, Any]) -> list[Any]:
    """What a dry run says that the call changes beside the directory."""
    return lasting(rows for step in told["outside"] for rows in step["rows"])


def rows_changed(api: Client, number: str | None) -> list[Any]:
    """What the change log says that a call has changed there."""
    if number is None:
        return []
    touched = api.get(f"/api/changes/{number}").json()["_data"]["touched"]
    return lasting(one for one in touched if "system" in one)


def lasting(touched: Iterable[Any]) -> list[Any]:
    """Leave out what depends on the moment; of a list's settings mlmmjadmin adds some itself."""

    def cells(table: str, row: Mapping[str, Any]) -> dict[str, Any]:
        left_out = row.keys() - {"mail"} if table == "list" else _OF_THE_MOMENT
        return {name: value for name, value in row.items() if name not in left_out}

    return [
        {**one, **{s: [cells(one["table"], row) for row in one[s]] for s in SIDES if s in one}}
        for one in touched
    ]


@pytest.fixture
def unredacted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let change records have the secrets, so that they can be applied."""
    whole = partial(preview, redacted=False)
    monkeypatch.setattr("iredldap.web.resources.base.preview", whole)


@pytest.fixture
def plainly(serve: Any, unredacted: None) -> Client:
    """A client; mailboxes have no time in their paths."""
    client: Client = serve(accounts={"maildir_append_timestamp": False}).client().log_in()
    return client


@dataclass(frozen=True)
class Call:
    """A request for a change."""

    method: str
    path: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, endpoint: Endpoint, parameters: Mapping[str, Any]) -> "Call":
        return cls(endpoint.method, path_of(endpoint), parameters)

    def send(self, api: Client, headers: Any = None, **query: str) -> requests.Response:
        """Send it, with more parameters in the query string."""
        in_query = self.method == "DELETE"
        return api.session.request(
            self.method,
            api.url + self.path,
            params={**query, **(self.parameters if in_query else {})},
            data=None if in_query else self.parameters,
            headers=headers,
            timeout=PATIENCE,
        )


def is_of_a_policy(endpoint: Endpoint) -> bool:
    """Whether it ends in a database, so that its change records are none whatever is sent."""
    return not dispatch.changes_an_entry(endpoint.id)


def calls(endpoint: Endpoint) -> list[Call]:
    """An endpoint with what it needs, and with each parameter of the contract."""
    rows = [row for each, row in EVERY_ROW if each is endpoint and not is_of_a_policy(each)]
    sent = [Call.of(endpoint, form(endpoint, *names)) for names in [(), *((r.name,) for r in rows)]]
    return [each for number, each in enumerate(sent) if each not in sent[:number]]


def compare(world: World, api: Client, call: Call) -> dict[str, Any]:
    """Compare a dry run with the call; the tree is as before when this ends."""
    before = everything(world)
    told = shown(call.send(api, dry_run="yes"))
    assert everything(world) == before

    answer = done(call.send(api))
    assert rows_told(told) == rows_changed(api, answer.headers.get("X-Change-Id"))
    called = comparable(everything(world))
    if (call.method, call.path) == ("POST", f"/api/ml/{MAIL}"):
        done(api.delete(call.path))
    put_back(world, before)
    ldapmodify(world, told["ldif"])

    assert comparable(everything(world)) == called
    assert ("X-Ignored-Values" in answer.headers) == bool(told["ignored_values"])
    put_back(world, before)
    return told


@pytest.mark.parametrize("endpoint", COMPARED, ids=lambda endpoint: endpoint.id)
def test_gives_the_tree_that_the_call_gives(
    plainly: Client, world: World, endpoint: Endpoint
) -> None:
    """Alone, and with each of the parameters."""
    prepare(plainly, endpoint)
    if endpoint.id not in APART and not endpoint.id.startswith("ml_"):
        for row in endpoint.table:
            if row.verb is Verb.REMOVE:
                prepare_value(plainly, endpoint, row)

    for call in calls(endpoint):
        compare(world, plainly, call)


ANN, BOB, SALES, TEAM = (f"{name}@{DOMAIN}" for name in ("ann", "bob", "sales", "team"))
OTHER = "other.test"


@pytest.fixture
def firm(plainly: Client, world: World) -> Client:
    """Two domains whose accounts refer to one another in every way."""
    secret = SAMPLES["password"].sent
    for name in (DOMAIN, OTHER):
        done(plainly.post(f"/api/domain/{name}"))
    done(plainly.put(f"/api/domain/{DOMAIN}", addAliasDomain="alias.test"))
    for mail in (ANN, BOB, f"eve@{OTHER}"):
        done(plainly.post(f"/api/user/{mail}", password=secret))
    done(plainly.put(f"/api/user/{ANN}", addAlias=f"a.nn@{DOMAIN}"))
    done(plainly.post(f"/api/maillist/{TEAM}", members=f"{ANN},{BOB},x@there.test"))
    done(plainly.post(f"/api/alias/{SALES}", members=f"{ANN},{TEAM}"))
    done(plainly.post(f"/api/alias/all@{OTHER}", members=f"{SALES},a.nn@{DOMAIN}"))
    done(plainly.put(f"/api/user/eve@{OTHER}", forwarding=f"{ANN},{SALES},{TEAM}"))
    done(plainly.put(f"/api/domain/{OTHER}", catchall=f"{ANN}", senderBcc=ANN))
    done(plainly.put(f"/api/domain/admins/{OTHER}", addAdmin=ANN))
    world.set(world.tree.user(BOB), userManager=ANN)
    book = f"ou=book,{world.tree.user(ANN)}"
    world.add(book, objectClass="organizationalUnit", ou="book")
    world.add(f"ou=page,{book}", objectClass="organizationalUnit", ou="page")
    return plainly


def test_gives_the_tree_where_accounts_refer_to_one_another(firm: Client, world: World) -> None:
    """Sweeps, new containers, further entries and the later steps that find nothing left."""
    disabled = Call("PUT", f"/api/domain/{DOMAIN}", {"accountStatus": "disabled"})
    told = [
        compare(world, firm, call)
        for call in (
            Call("DELETE", f"/api/user/{ANN}"),
            Call("POST", f"/api/user/{ANN}/change_email/anne@{DOMAIN}"),
            Call("POST", f"/api/user/{ANN}/change_email/ann@{OTHER}"),
            Call("PUT", f"/api/user/{ANN}", {"removeAlias": f"a.nn@{DOMAIN}"}),
            Call("DELETE", f"/api/maillist/{TEAM}"),
            Call("PUT", f"/api/maillist/{TEAM}", {"removeMember": f"{ANN},x@there.test"}),
            Call("DELETE", f"/api/alias/{SALES}"),
            Call("POST", f"/api/alias/{SALES}/change_email/sales@{OTHER}"),
            disabled,
            Call("PUT", f"/api/domain/{DOMAIN}", {"addAliasDomain": "second.test"}),
            Call("PUT", f"/api/domain/{DOMAIN}", {"removeAliasDomain": "alias.test"}),
            Call("PUT", f"/api/users/{DOMAIN}", {"language": "de_DE"}),
            Call("DELETE", f"/api/domain/{DOMAIN}"),
        )
    ]
    done(disabled.send(firm))
    compare(world, firm, Call("PUT", f"/api/domain/{DOMAIN}", {"accountStatus": "active"}))

    (first, *_) = told
    assert first["judged_by"] == "directory"
    assert first["sweeps"][0] == {"step": "clear references", "entries": 6}
    assert [one["step"] for one in first["outside"]] == [
        "record that mailboxes are kept for good",
        f"forget the policies and records of {ANN}",
    ]
    (kept,) = first["outside"][0]["rows"]
    assert (kept["system"], kept["table"]) == ("iredadmin", "deleted_mailboxes")
    assert kept["after"][0]["username"] == ANN


# --- what has none, and how it is asked for ---------------------------------------------------


def sent(api: Client, endpoint: Endpoint, **query: str) -> requests.Response:
    """Send what an endpoint needs, and more in the query string."""
    credentials = {"username": ADMIN, "password": ADMIN_PASSWORD}
    needed = credentials if endpoint.id == "login" else form(endpoint)
    if endpoint.takes_file:
        return api.send_file(path_of(endpoint), FILES[endpoint.file_type], **needed, **query)
    return Call.of(endpoint, needed).send(api, **query)


MISTAKES = (("dry_run", ""), ("dry_run", "perhaps"), ("dryRun", "yes"))
AREAS: dict[str, list[Endpoint]] = {}
for row in sorted(WRITING, key=lambda row: ("{" in row.path, kind_of(row))):
    AREAS.setdefault(row.id.partition("_")[0], []).append(row)


@pytest.mark.parametrize("area", AREAS)
def test_every_call_heeds_or_refuses_the_word(
    served: Served, api: Client, world: World, area: str
) -> None:
    """No spelling of it, no other value is ignored; nothing is written anywhere."""
    clean, prepared, tried = everything(world), "", False
    for endpoint in AREAS[area]:
        wanted = kind_of(endpoint) if "{" in endpoint.path else "nothing"
        if not is_of_a_policy(endpoint) or prepared != wanted:
            put_back(world, clean)
            prepare(api, endpoint)
            prepared, tried = wanted, False
        before, rows = everything(world), beside(served)

        answer = sent(api, endpoint, dry_run="yes")

        if dry_runs.is_offered(endpoint):
            assert answer.status_code == 200, answer.text
            assert answer.headers["X-Dry-Run"] == "yes"
            assert answer.json()["_data"]
        else:
            assert_refused(answer, "dry_run")
        for name, value in () if tried else MISTAKES:
            assert_refused(sent(api, endpoint, **{name: value}), name)
        tried = is_of_a_policy(endpoint)
        assert everything(world) == before
        assert beside(served) == rows
        if area == "ml" and endpoint.id != "ml_create":
            done(api.delete(f"/api/ml/{MAIL}"))


def assert_refused(answer: requests.Response, parameter: str) -> None:
    assert (answer.status_code, answer.json()["_msg"]) == (400, "INVALID_PARAMETER")
    assert answer.headers["X-Invalid-Parameters"] == parameter


TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"


def beside(served: Served) -> list[Any]:
    """What the databases beside the directory hold, the admin log among it, and our own."""
    config = served.config
    served.gateways.outside.ask()  # New files get their tables, and the rows that these begin with.
    urls = (config.iredapd.url, config.amavisd.url, config.iredadmin.url, config.state.url)
    held: list[Any] = []
    for url in urls:
        with connected(url.reveal()) as connection:
            for table in connection.exec_driver_sql(TABLES).scalars().all():
                rows = sorted(map(repr, connection.exec_driver_sql(f"SELECT * FROM {table}")))
                held += [(table, rows)] if rows else []
    return held


USER = f"/api/user/{MAIL}"
SECRET = {"password": SAMPLES["password"].sent}


@pytest.mark.parametrize(
    ("query", "body", "is_dry"),
    [
        ("?dry_run=yes", {}, True),
        ("", {"dry_run": "yes"}, True),
        ("", {"dry_run": True}, True),
        ("?dry_run=1", {"dry_run": "yes"}, True),
        ("?dry_run=no", {}, False),
        ("", {"dry_run": False}, False),
    ],
)
def test_is_asked_for_in_query_or_body(
    api: Client, world: World, query: str, body: dict[str, Any], is_dry: bool
) -> None:
    done(api.post(f"/api/domain/{DOMAIN}"))

    answer = api.session.post(f"{api.url}{USER}{query}", json={**SECRET, **body}, timeout=PATIENCE)

    assert answer.status_code == 200, answer.text
    assert ("X-Dry-Run" in answer.headers) == is_dry
    assert "X-Ignored-Parameters" not in answer.headers
    assert (world.entry(world.tree.user(MAIL)) is None) == is_dry


def test_both_answers_are_refused(api: Client, world: World) -> None:
    done(api.post(f"/api/domain/{DOMAIN}"))

    answer = Call("POST", USER, {**SECRET, "dry_run": "no"}).send(api, dry_run="yes")

    refused(answer, 400, "INVALID_PARAMETER")
    assert world.entry(world.tree.user(MAIL)) is None


def test_beside_a_file_it_is_refused(api: Client, world: World) -> None:
    """Where the call reads no parameters."""
    before = everything(world)

    answer = api.session.post(
        f"{api.url}/api/ldif",
        files={"file": ("a.ldif", WHOLE)},
        data={"dry_run": "yes"},
        timeout=PATIENCE,
    )

    refused(answer, 400, "INVALID_PARAMETER")
    assert everything(world) == before


# --- the same refusals --------------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", COMPARED, ids=lambda endpoint: endpoint.id)
def test_bad_values_are_refused_as_by_the_call(api: Client, endpoint: Endpoint) -> None:
    prepare(api, endpoint)
    bad = [
        form(endpoint, row.name) | {row.name: SAMPLES[row.name].bad or ""}
        for each, row in EVERY_ROW
        if each is endpoint and row.kind.type not in LENIENT
    ]

    for parameters in bad:
        call = Call.of(endpoint, parameters)
        assert answered(call.send(api, dry_run="yes")) == answered(call.send(api))


def answered(answer: requests.Response) -> tuple[Any, ...]:
    """Status, codes and culprits; a call that broke off also tells what it had done."""
    said = answer.json()
    culprits = answer.headers.get("X-Invalid-Parameters")
    return answer.status_code, said["_success"], said["_msg"], culprits


REFUSED = [
    (Call("POST", f"/api/domain/{DOMAIN}"), {}, "ALREADY_EXISTS"),
    (Call("POST", "/api/domain/alias.test"), {}, "ALREADY_EXISTS"),
    (Call("POST", f"/api/domain/{DOMAIN}"), {"If-None-Match": "*"}, "PRECONDITION_FAILED"),
    (Call("POST", USER, SECRET), {}, "ALREADY_EXISTS"),
    (Call("POST", f"/api/user/a.nn@{DOMAIN}", SECRET), {}, "ALREADY_EXISTS"),
    (Call("POST", f"/api/user/x@{OTHER}", {"password": "no"}), {}, "PW_SHORTER_THAN_MIN_LENGTH"),
    (Call("POST", "/api/user/x@nowhere.test", SECRET), {}, "NO_SUCH_ACCOUNT"),
    (Call("PUT", f"/api/user/x@{DOMAIN}", {"name": "X"}), {}, "NO_SUCH_ACCOUNT"),
    (Call("PUT", USER, {"name": "Ann"}), {"If-Match": '"another"'}, "PRECONDITION_FAILED"),
    (Call("PUT", USER, {"nam": "Ann"}), {"Prefer": "handling=strict"}, "INVALID_PARAMETER"),
    (Call("PUT", USER, {"language": "xx_XX"}), {"Prefer": "handling=strict"}, "INVALID_PARAMETER"),
    (Call("PUT", USER, {"addAlias": f"bob@{DOMAIN}"}), {}, "ALREADY_EXISTS"),
    (Call("PUT", f"/api/domain/{DOMAIN}", {"addAliasDomain": OTHER}), {}, "ALREADY_EXISTS"),
    (Call("POST", f"{USER}/change_email/bob@{DOMAIN}"), {}, "ALREADY_EXISTS"),
    (Call("POST", f"{USER}/change_email/a@nowhere.test"), {}, "NO_SUCH_ACCOUNT"),
    (Call("DELETE", f"/api/user/nobody@{DOMAIN}"), {}, "NO_SUCH_ACCOUNT"),
    (Call("DELETE", USER), {"If-Match": '"another"'}, "PRECONDITION_FAILED"),
    (Call("DELETE", USER), {}, "LAST_MEMBER"),
    (Call("DELETE", f"/api/admin/{ADMIN}"), {}, "PERMISSION_DENIED"),
    (Call("PUT", f"/api/admin/{ADMIN}", {"accountStatus": "disabled"}), {}, "PERMISSION_DENIED"),
    (Call("POST", f"/api/user/broken@{DOMAIN}", SECRET), {}, "ALREADY_EXISTS"),
]


def test_what_the_call_refuses_is_refused(firm: Client, world: World) -> None:
    """By the state of the directory, by conditions and preferences, by rights."""
    group = f"cn=staff,o=domains,{SUFFIX}"
    world.add(group, objectClass="groupOfNames", cn="staff", member=world.tree.user(MAIL))
    stranger = f"mail=broken@{DOMAIN},ou=Users,domainName={DOMAIN},o=domains,{SUFFIX}"
    world.add(stranger, objectClass="inetOrgPerson", cn="Broken", sn="Broken")
    before = everything(world)

    try:
        for call, headers, code in REFUSED:
            dry = call.send(firm, headers, dry_run="yes")
            assert (code in dry.json().get("_msg", ""), call) == (True, call), dry.text
            assert dry.headers.get("X-Dry-Run") == "yes"
            assert answered(dry) == answered(call.send(firm, headers))
            assert everything(world) == before
    finally:
        connection = world.connect()
        connection.delete_s(group)
        connection.unbind_s()


def test_condition_that_holds(firm: Client, world: World) -> None:
    """The tag of the dry run is one for the call, once."""
    call = Call("PUT", USER, {"name": "Anna"})

    tag = call.send(firm, dry_run="yes").headers["ETag"]
    told = shown(call.send(firm, {"If-Match": tag}, dry_run="yes"))
    assert told["records"] == 1

    done(call.send(firm, {"If-Match": tag}))
    assert call.send(firm, {"If-Match": tag}, dry_run="yes").status_code == 412


def test_answers_at_once_where_a_job_is_preferred(served: Served, firm: Client) -> None:
    answer = Call("DELETE", USER).send(firm, {"Prefer": "respond-async"}, dry_run="yes")

    assert shown(answer)["judged_by"] == "directory"
    assert "Preference-Applied" not in answer.headers
    assert list(served.gateways.state.unfinished_jobs()) == []


def test_waits_for_nobody(served: Served, firm: Client) -> None:
    """Another change may hold the turn of the domain."""
    with served.gateways.outside.turns.take({DOMAIN}):
        shown(Call("PUT", USER, {"name": "Anna"}).send(firm, dry_run="yes"))


# --- what is told ---------------------------------------------------------------------------------


@pytest.mark.parametrize("is_new", [True, False])
def test_secrets_are_redacted(api: Client, world: World, is_new: bool) -> None:
    """Neither password nor hash is in the answer."""
    done(api.post(f"/api/domain/{DOMAIN}"))
    if not is_new:
        done(api.post(USER, password=SAMPLES["password"].other))
    call = Call("POST" if is_new else "PUT", USER, SECRET)

    answer = call.send(api, dry_run="yes")

    assert "userPassword: {redacted}\n" in shown(answer)["ldif"]
    assert "userPassword::" not in answer.text
    assert SECRET["password"] not in answer.text
    assert "{SSHA" not in answer.text


def test_normal_admin_sees_their_own_domains(served: Served, firm: Client) -> None:
    """What would be written in others is counted, and its entries are not named."""
    done(firm.put(f"/api/domain/admins/{DOMAIN}", addAdmin=BOB))
    bob = served.client().log_in(BOB, SAMPLES["password"].sent)
    call = Call("DELETE", f"/api/alias/{SALES}")

    whole = shown(call.send(firm, dry_run="yes"))
    told = shown(call.send(bob, dry_run="yes"))

    assert OTHER in whole["ldif"]
    assert OTHER not in str(told)
    assert SALES in told["ldif"]
    assert told["records"] == whole["records"]
    assert told["records_left_out"] == 2


def test_large_sweeps_are_cut(api: Client, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is counted."""
    monkeypatch.setattr("iredldap.changes.preview.MOST_PRINTED", 2)
    done(api.post(f"/api/domain/{DOMAIN}"))
    for number in range(3):
        done(api.post(f"/api/user/u{number}@{DOMAIN}", **SECRET))

    call = Call("PUT", f"/api/domain/{DOMAIN}", {"accountStatus": "disabled"})
    told = shown(call.send(api, dry_run="yes"))

    assert (told["records"], told["records_left_out"]) == (4, 1)
    assert told["sweeps"] == [{"step": "disable the accounts", "entries": 3}]


def test_directory_without_the_control(
    served: Served, api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schema judges, and says so."""
    done(api.post(f"/api/domain/{DOMAIN}"))
    call = Call("PUT", f"/api/domain/{DOMAIN}", {"accountStatus": "disabled"})
    assert shown(call.send(api, dry_run="yes"))["judged_by"] == "directory"

    monkeypatch.setattr(served.gateways.directory, "_can_judge", False)

    assert shown(call.send(api, dry_run="yes"))["judged_by"] == "schema"


def test_what_would_become_of_a_list_is_told(served: Served, api: Client) -> None:
    """mlmmjadmin, which cannot take a call back, is not called."""
    done(api.post(f"/api/domain/{DOMAIN}"))
    told = shown(api.post(f"/api/ml/{TEAM}", dry_run="yes", close_list="yes"))
    ((made,),) = [step["rows"] for step in told["outside"]]
    assert (made["table"], made["after"][0]["close_list"]) == ("list", "yes")
    assert "before" not in made

    done(api.post(f"/api/ml/{TEAM}"))
    done(api.put(f"/api/ml/{TEAM}", add_subscribers=f"{ANN},{BOB}", require_confirm="no"))
    told = shown(api.put(f"/api/ml/{TEAM}", dry_run="yes", remove_subscribers=ANN))
    assert [rows["before"] for step in told["outside"] for rows in step["rows"]] == [
        [{"list": TEAM, "kind": "normal", "mail": ANN}]
    ]
    assert served.gateways.outside.mlmmjadmin.subscribers(TEAM) == {"normal": {ANN, BOB}}


def test_a_token_is_told_without_its_secret(served: Served, api: Client) -> None:
    before = beside(served)
    told = shown(api.post("/api/tokens", dry_run="yes", name="billing", scopes="users:read"))

    ((made,),) = [step["rows"] for step in told["outside"]]
    assert (made["after"][0]["name"], made["after"][0]["digest"]) == ("billing", "{redacted}")
    assert beside(served) == before
    refused = api.post("/api/tokens", dry_run="yes", name="a", domains="nowhere.test")
    assert refused.json()["_msg"] == "NO_SUCH_ACCOUNT"

    token = api.post("/api/tokens", name="billing").json()["_data"]["id"]
    told = shown(api.delete(f"/api/tokens/{token}", dry_run="yes"))
    assert [one["id"] for step in told["outside"] for one in step["rows"][0]["before"]] == [token]
    done(api.delete(f"/api/tokens/{token}"))


def test_what_is_written_elsewhere_is_told(served: Served, api: Client) -> None:
    done(api.post(f"/api/domain/{DOMAIN}"))
    rows = beside(served)

    call = Call("POST", f"/api/throttle/{DOMAIN}/inbound", {"period": "60", "max_msgs": "10"})
    told = shown(call.send(api, dry_run="yes"))

    assert (told["judged_by"], told["ldif"]) == (None, "version: 1\n")
    (step,) = told["outside"]
    (row,) = step["rows"][0]["after"]
    assert (row["account"], row["max_msgs"], row["period"]) == (f"@{DOMAIN}", 10, 60)
    assert beside(served) == rows
    answer = done(call.send(api))
    assert rows_told(told) == rows_changed(api, answer.headers["X-Change-Id"])
