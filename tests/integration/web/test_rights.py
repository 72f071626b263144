"""Who may do what: every endpoint and every parameter, tried by every kind of caller.

The tables below are written by hand from the rules in `docs/rights.md`, not taken from the rows
of `iredldap.web.endpoints.index`: an endpoint or a parameter that is served and not in them fails.
"""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ldap
import pytest
import requests
import sqlalchemy as sql

from iredldap.dit.names import CONTAINERS, Tree
from iredldap.web.endpoints.index import ENDPOINTS
from tests.support.client import Client, done, refused
from tests.support.databases import Urls, connected, sqlite_databases
from tests.support.mlmmjadmin import MlmmjadminServer
from tests.support.patience import wait_until
from tests.support.serving import Served
from tests.support.world import ADMIN, ADMIN_PASSWORD, SUFFIX, World, salted

PASSWORD = "a good password"
STORED = salted(PASSWORD)
TREE = Tree(SUFFIX)

HERE, THERE, HEADQUARTERS, SPARE = "here.test", "there.test", "hq.test", "spare.test"
LETTERS = "letters"
"""Name of the list that one subscribes to, in each of them."""

NOBODY, PLAIN, NORMAL, MAKER, STRANGER, PROMOTED, STANDALONE = CALLERS = (
    "no login",
    "plain mail user",
    "normal admin of this domain",
    "normal admin of this domain who may create domains",
    "normal admin of another domain",
    "promoted global admin",
    "standalone global admin",
)
NAMES = {
    PLAIN: f"ann@{HERE}",
    NORMAL: f"admin@{HERE}",
    MAKER: f"maker@{HEADQUARTERS}",
    STRANGER: f"admin@{THERE}",
    PROMOTED: f"chief@{HEADQUARTERS}",
    STANDALONE: ADMIN,
}
NORMAL_ADMINS = (NORMAL, MAKER, STRANGER)
"""Each manages domains, and none of them headquarters."""

DONE = (200, None)
LOGIN = (401, "LOGIN_REQUIRED")
NO_JOB = (404, "NO_SUCH_JOB")
NO_CHANGE = (404, "NO_SUCH_CHANGE")
NO_TOKEN = (404, "NO_SUCH_TOKEN")
DENIED = (403, "PERMISSION_DENIED")
NO_FILE = (400, "INVALID_FILE")
GLOBAL_ADMINS_ACCOUNT = (403, "PERMISSION_DENIED_UPDATE_GLOBAL_ADMIN_PROFILE")

Outcome = tuple[int, str | None]
Rule = dict[str, Outcome]


def rule(normal: Outcome, maker: Outcome, stranger: Outcome) -> Rule:
    """What the normal admins get; nobody gets in without a login, and global admins do."""
    return {
        NOBODY: LOGIN,
        PLAIN: LOGIN,
        NORMAL: normal,
        MAKER: maker,
        STRANGER: stranger,
        PROMOTED: DONE,
        STANDALONE: DONE,
    }


ANYBODY: Rule = dict.fromkeys(CALLERS, DONE)
WHOEVER_IS_IN = rule(DONE, DONE, DONE)
GLOBAL_ADMINS = rule(DENIED, DENIED, DENIED)
ADMINS_OF_THE_DOMAIN = rule(DONE, DONE, DENIED)
WHO_MAY_CREATE_DOMAINS = rule(DENIED, DONE, DENIED)


@dataclass(frozen=True)
class Case:
    """A call that has an effect, or an answer, if it may be made."""

    rule: Rule
    path: str
    form: dict[str, str] = field(default_factory=dict)
    changes: bool = True


def reading(rule: Rule, path: str, **form: str) -> Case:
    return Case(rule, path, form, changes=False)


def writing(rule: Rule, path: str, **form: str) -> Case:
    return Case(rule, path, form)


TABLE = {
    "ldif_all": reading(GLOBAL_ADMINS, "/api/ldif"),
    "ldif_restore": reading(GLOBAL_ADMINS, "/api/ldif"),
    "import_create": reading(
        {**dict.fromkeys(CALLERS, NO_FILE), NOBODY: LOGIN, PLAIN: LOGIN}, "/api/import"
    ),
    "state_get": reading(WHOEVER_IS_IN, "/api/snapshot"),
    "state_apply": reading(
        {**dict.fromkeys(CALLERS, NO_FILE), NOBODY: LOGIN, PLAIN: LOGIN}, "/api/apply"
    ),
    "login": reading(ANYBODY, "/api/login", username=ADMIN, password=ADMIN_PASSWORD),
    "logout": reading(WHOEVER_IS_IN, "/api/logout"),
    # The callers go on with theirs.
    "sessions_end": reading(GLOBAL_ADMINS, "/api/sessions/second@admins.test?dry_run=yes"),
    "sessions_end_all": reading(GLOBAL_ADMINS, "/api/sessions?dry_run=yes"),
    "openapi": reading(ANYBODY, "/openapi.json"),
    "reference": reading(ANYBODY, "/docs"),
    "reference_file": reading(ANYBODY, "/docs/page.js"),
    "livez": reading(ANYBODY, "/livez"),
    "readyz": reading(ANYBODY, "/readyz"),
    "domain_get": reading(ADMINS_OF_THE_DOMAIN, f"/api/domain/{HERE}"),
    "domain_create": writing(WHO_MAY_CREATE_DOMAINS, "/api/domain/new.test", name="New"),
    "domain_delete": writing(WHO_MAY_CREATE_DOMAINS, f"/api/domain/{SPARE}"),
    "domain_delete_keep": writing(
        WHO_MAY_CREATE_DOMAINS, f"/api/domain/{SPARE}/keep_mailbox_days/30"
    ),
    "domain_update": writing(ADMINS_OF_THE_DOMAIN, f"/api/domain/{HERE}", name="Changed"),
    "domain_services_get": reading(ADMINS_OF_THE_DOMAIN, f"/api/domain/services/{HERE}"),
    "domain_services_update": writing(
        ADMINS_OF_THE_DOMAIN, f"/api/domain/services/{HERE}", enableService="self-service"
    ),
    "domain_admins_update": writing(
        ADMINS_OF_THE_DOMAIN, f"/api/domain/admins/{HERE}", addAdmin=f"ann@{HERE}"
    ),
    "domains_list": reading(WHOEVER_IS_IN, "/api/domains"),
    "users_list": reading(ADMINS_OF_THE_DOMAIN, f"/api/users/{HERE}"),
    "aliases_list": reading(ADMINS_OF_THE_DOMAIN, f"/api/aliases/{HERE}"),
    "mls_list": reading(ADMINS_OF_THE_DOMAIN, f"/api/mls/{HERE}"),
    "maillists_list": reading(ADMINS_OF_THE_DOMAIN, f"/api/maillists/{HERE}"),
    "admins_list": reading(GLOBAL_ADMINS, "/api/admins"),
    "references_get": reading(ADMINS_OF_THE_DOMAIN, f"/api/references/ann@{HERE}"),
    "references_domain": reading(ADMINS_OF_THE_DOMAIN, f"/api/references/domain/{HERE}"),
    "resolve": reading(ADMINS_OF_THE_DOMAIN, f"/api/resolve/ann@{HERE}"),
    "user_get": reading(ADMINS_OF_THE_DOMAIN, f"/api/user/ann@{HERE}"),
    "user_create": writing(ADMINS_OF_THE_DOMAIN, f"/api/user/new@{HERE}", password=PASSWORD),
    "user_delete": writing(ADMINS_OF_THE_DOMAIN, f"/api/user/ann@{HERE}"),
    "user_delete_keep": writing(ADMINS_OF_THE_DOMAIN, f"/api/user/ann@{HERE}/keep_mailbox_days/30"),
    "user_update": writing(ADMINS_OF_THE_DOMAIN, f"/api/user/ann@{HERE}", name="Changed"),
    "user_change_email": writing(
        ADMINS_OF_THE_DOMAIN, f"/api/user/ann@{HERE}/change_email/anne@{HERE}"
    ),
    "users_update": writing(ADMINS_OF_THE_DOMAIN, f"/api/users/{HERE}", language="de_DE"),
    "user_verify_password": reading(
        GLOBAL_ADMINS, f"/api/verify_password/user/ann@{HERE}", password=PASSWORD
    ),
    "admin_get": reading(GLOBAL_ADMINS, "/api/admin/second@admins.test"),
    "admin_create": writing(GLOBAL_ADMINS, "/api/admin/new@admins.test", password=PASSWORD),
    "admin_update": writing(GLOBAL_ADMINS, "/api/admin/second@admins.test", name="Changed"),
    "admin_delete": writing(GLOBAL_ADMINS, "/api/admin/second@admins.test"),
    "admin_verify_password": reading(
        GLOBAL_ADMINS, "/api/verify_password/admin/second@admins.test", password=PASSWORD
    ),
    "maillist_get": reading(ADMINS_OF_THE_DOMAIN, f"/api/maillist/news@{HERE}"),
    "maillist_create": writing(
        ADMINS_OF_THE_DOMAIN, f"/api/maillist/new@{HERE}", members=f"ann@{HERE}"
    ),
    "maillist_delete": writing(ADMINS_OF_THE_DOMAIN, f"/api/maillist/news@{HERE}"),
    "maillist_update": writing(ADMINS_OF_THE_DOMAIN, f"/api/maillist/news@{HERE}", name="Changed"),
    "ml_get": reading(ADMINS_OF_THE_DOMAIN, f"/api/ml/{LETTERS}@{HERE}", with_subscribers="yes"),
    "ml_create": writing(ADMINS_OF_THE_DOMAIN, f"/api/ml/new@{HERE}", owner=f"ann@{HERE}"),
    "ml_delete": writing(ADMINS_OF_THE_DOMAIN, f"/api/ml/{LETTERS}@{HERE}"),
    "ml_update": writing(ADMINS_OF_THE_DOMAIN, f"/api/ml/{LETTERS}@{HERE}", name="Changed"),
    "alias_get": reading(ADMINS_OF_THE_DOMAIN, f"/api/alias/team@{HERE}"),
    "alias_create": writing(ADMINS_OF_THE_DOMAIN, f"/api/alias/new@{HERE}", members=f"ann@{HERE}"),
    "alias_delete": writing(ADMINS_OF_THE_DOMAIN, f"/api/alias/team@{HERE}"),
    "alias_update": writing(ADMINS_OF_THE_DOMAIN, f"/api/alias/team@{HERE}", name="Changed"),
    "alias_change_email": writing(
        ADMINS_OF_THE_DOMAIN, f"/api/alias/team@{HERE}/change_email/crew@{HERE}"
    ),
    "job_get": reading(
        {**dict.fromkeys(CALLERS, NO_JOB), NOBODY: LOGIN, PLAIN: LOGIN}, "/api/jobs/of-nobody"
    ),
    "jobs_list": reading(WHOEVER_IS_IN, "/api/jobs"),
    "changes_find": reading(WHOEVER_IS_IN, "/api/changes"),
    "change_get": reading(
        {**dict.fromkeys(CALLERS, NO_CHANGE), NOBODY: LOGIN, PLAIN: LOGIN}, "/api/changes/of-none"
    ),
    "change_undo": reading(
        {**dict.fromkeys(CALLERS, NO_CHANGE), NOBODY: LOGIN, PLAIN: LOGIN},
        "/api/changes/of-none/undo",
    ),
    "token_create": reading(WHOEVER_IS_IN, "/api/tokens", name="x", scopes="tokens:create"),
    "tokens_list": reading(WHOEVER_IS_IN, "/api/tokens"),
    "token_get": reading(
        {**dict.fromkeys(CALLERS, NO_TOKEN), NOBODY: LOGIN, PLAIN: LOGIN}, "/api/tokens/of-nobody"
    ),
    "token_delete": reading(
        {**dict.fromkeys(CALLERS, NO_TOKEN), NOBODY: LOGIN, PLAIN: LOGIN}, "/api/tokens/of-nobody"
    ),
    "whoami": reading(WHOEVER_IS_IN, "/api/whoami"),
    "ldif_domain": reading(ADMINS_OF_THE_DOMAIN, f"/api/ldif/domain/{HERE}"),
    "ldif_catchall": reading(ADMINS_OF_THE_DOMAIN, f"/api/ldif/catchall/{HERE}"),
    "ldif_admin": reading(GLOBAL_ADMINS, "/api/ldif/admin/second@admins.test"),
    "ldif_user": reading(ADMINS_OF_THE_DOMAIN, f"/api/ldif/user/ann@{HERE}"),
    "ldif_maillist": reading(ADMINS_OF_THE_DOMAIN, f"/api/ldif/maillist/news@{HERE}"),
    "ldif_alias": reading(ADMINS_OF_THE_DOMAIN, f"/api/ldif/alias/team@{HERE}"),
}

REACHES = (
    ("global", "global", GLOBAL_ADMINS),
    ("domain", HERE, ADMINS_OF_THE_DOMAIN),
    ("user", f"ann@{HERE}", ADMINS_OF_THE_DOMAIN),
)
POLICY_PROFILES = ("throttle", "greylisting", "wblist", "spampolicy")
LISTS = [(way, word) for way in ("inbound", "outbound") for word in ("whitelist", "blacklist")]

POLICIES = {
    **{
        f"throttle_{reach}_{kind}_{verb}": Case(
            rule_, f"/api/throttle/{account}/{kind}", form, changes=verb != "get"
        )
        for reach, account, rule_ in REACHES
        for kind in ("inbound", "outbound")
        for verb, form in (("get", {}), ("set", {"period": "60", "max_msgs": "5"}))
    },
    **{
        f"greylisting_{reach}_{verb}": Case(
            rule_, f"/api/greylisting/{account}{below}", form, changes=not verb.endswith("get")
        )
        for reach, account, rule_ in REACHES
        for verb, below, form in (
            ("get", "", {}),
            ("set", "", {"status": "disable"}),
            ("delete", "", {}),
            ("whitelists_get", "/whitelists", {}),
            ("whitelists_set", "/whitelists", {"addSenders": "a@elsewhere.test"}),
        )
    },
    "greylisting_all_get": reading(GLOBAL_ADMINS, "/api/greylisting/all"),
    "greylisting_spf_domains_get": reading(GLOBAL_ADMINS, "/api/greylisting/whitelist_spf_domains"),
    "greylisting_spf_domains_set": writing(
        GLOBAL_ADMINS, "/api/greylisting/whitelist_spf_domains", addDomains="elsewhere.test"
    ),
    **{
        f"wblist_{way}_{word}_{reach}_{verb}": Case(
            rule_, f"/api/wblist/{way}/{word}/{account}", form, changes=verb != "get"
        )
        for reach, account, rule_ in REACHES
        for way, word in LISTS
        for verb, form in (
            ("get", {}),
            ("add", {"addresses": "a@elsewhere.test,b@elsewhere.test"}),
            ("remove", {"addresses": "a@elsewhere.test"}),
            ("clear", {}),
        )
    },
    **{
        f"spampolicy_{reach}_{verb}": Case(rule_, path, form, changes=verb != "get")
        for path, (reach, _, rule_) in zip(
            (
                "/api/spampolicy/global",
                f"/api/spampolicy/domain/{HERE}",
                f"/api/spampolicy/user/ann@{HERE}",
            ),
            REACHES,
            strict=True,
        )
        for verb, form in (("get", {}), ("set", {"spam_score": "5"}), ("delete", {}))
    },
}
"""Policies in SQL, in an order in which each change has something to do."""

METHODS = {endpoint.id: endpoint.method for endpoint in ENDPOINTS}
TAKE_FILES = {endpoint.id for endpoint in ENDPOINTS if endpoint.takes_file}
SERVED = {id_: case for id_, case in TABLE.items() if id_ in METHODS}
TABLE |= POLICIES


# --- the world they act in --------------------------------------------------------------------


Made = tuple[str, dict[str, str | list[str]]]


def make(world: World, *made: Made) -> None:
    """Add entries, all on one connection."""
    connection = world.connect()
    for dn, attributes in made:
        values = {name: [v] if isinstance(v, str) else v for name, v in attributes.items()}
        connection.add_s(dn, [(name, [v.encode() for v in vs]) for name, vs in values.items()])
    connection.unbind_s()


def a_domain(name: str, *admins: str) -> Iterator[Made]:
    """A domain with one account of each kind, and its admins."""
    yield (
        TREE.domain(name),
        {
            "objectClass": "mailDomain",
            "domainName": name,
            "cn": name,
            "accountStatus": "active",
            "enabledService": "mail",
            **({"domainAdmin": list(admins)} if admins else {}),
        },
    )
    for unit in CONTAINERS:
        yield TREE.container(name, unit), {"objectClass": "organizationalUnit", "ou": unit}
    yield a_user(f"ann@{name}")
    for local, unit, classes in (
        ("", "Users", ["inetOrgPerson", "mailUser"]),
        ("news", "Groups", ["mailList"]),
        (LETTERS, "Groups", ["mailList"]),
        ("team", "Aliases", ["mailAlias"]),
    ):
        mail = f"{local}@{name}"
        account: dict[str, str | list[str]] = {
            "objectClass": classes,
            "mail": mail,
            "cn": "First",
            "accountStatus": "active",
            "enabledService": ["mail", "deliver", *(["mlmmj"] if local == LETTERS else [])],
        }
        if unit == "Users":
            account |= {"sn": "catch-all", "uid": "catch-all"}
        if unit != "Groups":
            account["mailForwardingAddress"] = f"ann@{name}"
        yield f"mail={mail},{TREE.container(name, unit)}", account


def a_user(mail: str, *services: str, **attributes: str | list[str]) -> Made:
    local, _, domain = mail.partition("@")
    return TREE.user(mail), {
        "objectClass": ["inetOrgPerson", "mailUser", "shadowAccount", "amavisAccount"],
        "mail": mail,
        "cn": local,
        "sn": local,
        "uid": local,
        "userPassword": STORED,
        "homeDirectory": f"/var/vmail/vmail1/{domain}/{local}/",
        "accountStatus": "active",
        "enabledService": ["mail", "smtp", "imap", *services],
        **attributes,
    }


MAY_CREATE = ["create_new_domains:yes", "create_max_domains:50"]
SECOND: Made = (
    TREE.admin("second@admins.test"),
    {
        "objectClass": "mailAdmin",
        "mail": "second@admins.test",
        "accountStatus": "active",
        "userPassword": STORED,
    },
)


@pytest.fixture
def beside(mlmmjadmin: MlmmjadminServer) -> dict[str, dict[str, Any]]:
    for name in (HERE, THERE, HEADQUARTERS, SPARE):
        mlmmjadmin.make(f"{LETTERS}@{name}")
    return {"mlmmjadmin": mlmmjadmin.settings}


@pytest.fixture
def company(world: World) -> World:
    """Four domains and their admins; the headquarters are managed by global admins alone."""
    make(
        world,
        *a_domain(HERE, NAMES[NORMAL], NAMES[MAKER]),
        *a_domain(THERE, NAMES[STRANGER]),
        *a_domain(HEADQUARTERS),
        *a_domain(SPARE, NAMES[NORMAL], NAMES[MAKER]),
        a_user(NAMES[NORMAL], "domainadmin"),
        a_user(NAMES[STRANGER], "domainadmin"),
        a_user(NAMES[MAKER], "domainadmin", accountSetting=MAY_CREATE),
        a_user(NAMES[PROMOTED], domainGlobalAdmin="yes"),
        a_user(f"boss@{HERE}", domainGlobalAdmin="yes"),
        SECOND,
    )
    return world


def enter(served: Served, caller: str) -> Client:
    """A client of this caller, logged in if they can be."""
    client = served.client()
    if caller in {NOBODY, PLAIN}:
        return client
    password = ADMIN_PASSWORD if caller == STANDALONE else PASSWORD
    return client.log_in(NAMES[caller], password)


def outcome(answer: requests.Response) -> Outcome:
    is_envelope = answer.headers["Content-Type"] == "application/json"
    return answer.status_code, answer.json().get("_msg") if is_envelope else None


def call(client: Client, id_: str, path: str | None = None, **form: str) -> requests.Response:
    case = TABLE[id_]
    if id_ in TAKE_FILES:
        return client.send_file(case.path, b"version: 1\n\n# entries: 0\n")
    return client.call(METHODS[id_], path or case.path, **(form or case.form))


# --- endpoints --------------------------------------------------------------------------------


def test_every_endpoint_has_its_line() -> None:
    """Whoever serves a new endpoint says here who may call it."""
    assert METHODS.keys() - TABLE.keys() == set()


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("id_", SERVED)
def test_endpoint(served: Served, company: World, id_: str, caller: str) -> None:
    """Who may gets it done; who may not changes nothing."""
    case = TABLE[id_]
    client = enter(served, caller)
    before = company.snapshot()

    answer = call(client, id_)

    assert outcome(answer) == case.rule[caller]
    is_changed = company.snapshot() != before
    assert is_changed == (case.changes and answer.status_code == 200)


POLICY_TABLES = {
    "iredapd": (
        "throttle", "greylisting", "greylisting_whitelists", "greylisting_whitelist_domains",
    ),
    "amavisd": ("users", "wblist", "outbound_wblist", "policy"),
}  # fmt: skip


def policies(urls: Urls) -> list[tuple[Any, ...]]:
    """Everything that a policy is stored in."""
    found: list[tuple[Any, ...]] = []
    for database, tables in POLICY_TABLES.items():
        with connected(getattr(urls, database)) as connection:
            for table in tables:
                found += map(tuple, connection.execute(sql.text(f"SELECT * FROM {table}")))
    return found


@pytest.fixture
def urls(tmp_path: Path) -> Urls:
    return sqlite_databases(tmp_path)


@pytest.mark.parametrize("caller", CALLERS)
def test_policies(served: Served, company: World, urls: Urls, caller: str) -> None:
    """Who may gets each of them done; who may not changes nothing."""
    client = enter(served, caller)
    for id_, case in POLICIES.items():
        before = policies(urls)

        answer = call(client, id_)

        assert outcome(answer) == case.rule[caller], id_
        assert (policies(urls) != before) == (case.changes and answer.status_code == 200), id_


@pytest.mark.parametrize("caller", [NORMAL, MAKER])
def test_policies_of_another(served: Served, company: World, urls: Urls, caller: str) -> None:
    """They can neither be read nor changed, and look like those of nobody."""
    client = enter(served, caller)
    before = policies(urls)
    for id_, case in POLICIES.items():
        foreign = call(client, id_, case.path.replace(HERE, THERE))
        missing = call(client, id_, case.path.replace(HERE, "missing.test"))
        assert refused(foreign, *DENIED).content == refused(missing, *DENIED).content
    assert policies(urls) == before


@pytest.mark.parametrize("caller", [NORMAL, MAKER])
def test_policies_of_a_global_admin(
    served: Served, company: World, urls: Urls, caller: str
) -> None:
    """In a normal admin's own domain they are out of their reach all the same."""
    client = enter(served, caller)
    before = policies(urls)
    for id_, case in POLICIES.items():
        if "ann@" in case.path:
            refused(call(client, id_, case.path.replace("ann@", "boss@")), *DENIED)
    assert policies(urls) == before


@pytest.mark.parametrize(
    ("setting", "taken"),
    [("disabledDomainProfile", HERE), ("disabledUserProfile", f"ann@{HERE}")],
)
@pytest.mark.parametrize("profile", POLICY_PROFILES)
def test_policy_taken_from_the_admins_of_a_domain(
    served: Served, company: World, urls: Urls, profile: str, setting: str, taken: str
) -> None:
    """A normal admin loses that part, of the domain or of its users; a global admin does not."""
    company.set(company.tree.domain(HERE), accountSetting=f"{setting}:{profile}")
    normal, chief = enter(served, NORMAL), enter(served, PROMOTED)
    for id_, case in POLICIES.items():
        if case.path.split("/")[2] == profile and case.rule == ADMINS_OF_THE_DOMAIN:
            lost = taken in case.path.split("/")
            assert outcome(call(normal, id_)) == (DENIED if lost else DONE), id_
            assert outcome(call(chief, id_)) == DONE, id_


def test_mail_user_cannot_log_in(served: Served, company: World) -> None:
    """Their password is good for their mail, not for the API."""
    company.connect(company.tree.user(NAMES[PLAIN]), PASSWORD).unbind_s()
    answer = served.client().post("/api/login", username=NAMES[PLAIN], password=PASSWORD)
    assert outcome(answer) == (401, "INVALID_CREDENTIALS")
    assert "Set-Cookie" not in answer.headers


ABOUT_A_DOMAIN = [
    id_
    for id_, case in SERVED.items()
    if case.rule[STRANGER] == DENIED and (HERE in case.path or SPARE in case.path)
]


@pytest.mark.parametrize("caller", [NORMAL, MAKER])
@pytest.mark.parametrize("id_", ABOUT_A_DOMAIN)
def test_domain_of_another(served: Served, company: World, id_: str, caller: str) -> None:
    """It can neither be read nor changed, and looks like one that does not exist."""
    client = enter(served, caller)
    path = TABLE[id_].path.replace(SPARE, HERE)
    before = company.snapshot()

    foreign = call(client, id_, path.replace(HERE, THERE))
    missing = call(client, id_, path.replace(HERE, "missing.test"))

    assert refused(foreign, *DENIED).content == refused(missing, *DENIED).content
    assert company.snapshot() == before


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
def test_alias_domain(served: Served, company: World, method: str) -> None:
    """The name of an alias domain is good for reading one's own domain, and for nothing else."""
    for domain, alias in ((HERE, "also-here.test"), (THERE, "also-there.test")):
        company.set(company.tree.domain(domain), domainAliasName=alias)
    client = enter(served, NORMAL)
    before = company.snapshot()
    own, foreign = (
        outcome(client.call(method, f"/api/domain/{alias}"))
        for alias in ("also-here.test", "also-there.test")
    )
    assert (own, foreign) == (DONE if method == "GET" else DENIED, DENIED)
    assert company.snapshot() == before


@pytest.mark.parametrize("caller", [NORMAL, MAKER])
@pytest.mark.parametrize("kind", ["user", "alias"])
@pytest.mark.parametrize("domain", [THERE, HEADQUARTERS, "missing.test"])
def test_account_is_not_moved_into_a_domain_of_another(
    served: Served, company: World, kind: str, domain: str, caller: str
) -> None:
    """Both domains of a change of address must be their."""
    mail = {"user": "ann", "alias": "team"}[kind] + f"@{HERE}"
    client = enter(served, caller)
    before = company.snapshot()
    refused(client.post(f"/api/{kind}/{mail}/change_email/moved@{domain}"), *DENIED)
    assert company.snapshot() == before


def test_account_is_moved_between_own_domains(served: Served, company: World) -> None:
    client = enter(served, NORMAL)
    done(client.post(f"/api/user/ann@{HERE}/change_email/anne@{SPARE}"))
    assert company.entry(company.tree.user(f"anne@{SPARE}"))


# --- accounts of global admins ----------------------------------------------------------------


@pytest.mark.parametrize("caller", [NORMAL, MAKER])
@pytest.mark.parametrize(
    "id_",
    [
        "user_get",
        "user_update",
        "user_delete",
        "user_delete_keep",
        "user_change_email",
        "references_get",
        "ldif_user",
    ],
)
def test_account_of_a_global_admin(served: Served, company: World, id_: str, caller: str) -> None:
    """In a normal admin's own domain it is out of their reach all the same."""
    client = enter(served, caller)
    before = company.snapshot()
    answer = call(client, id_, TABLE[id_].path.replace("ann@", "boss@"))
    refused(answer, *GLOBAL_ADMINS_ACCOUNT)
    assert company.snapshot() == before


@pytest.mark.parametrize(
    "form", [{"password": "taken over now"}, {"accountStatus": "disabled"}, {"language": "de_DE"}]
)
def test_change_of_all_users_spares_global_admins(
    served: Served, company: World, form: dict[str, str]
) -> None:
    """They are named in a header."""
    boss = company.tree.user(f"boss@{HERE}")
    before = company.attributes(boss)
    answer = done(enter(served, NORMAL).put(f"/api/users/{HERE}", **form))
    assert company.attributes(boss) == before
    assert f"boss@{HERE}" in answer.headers["X-Ignored-Values"]


def test_domain_with_a_global_admin_in_it(served: Served, company: World) -> None:
    """A normal admin does not delete a global one along with the domain; a global admin may."""
    before = company.snapshot()
    refused(enter(served, MAKER).delete(f"/api/domain/{HERE}"), *DENIED)
    assert company.snapshot() == before
    done(enter(served, PROMOTED).delete(f"/api/domain/{HERE}"))


@pytest.mark.parametrize("way", ["removeAdmin", "removeAllAdmins"])
def test_global_admin_stays_one_without_a_domain(served: Served, company: World, way: str) -> None:
    """Their account is not touched by a normal admin in this way either."""
    boss = company.tree.user(f"boss@{HERE}")
    company.modify(boss, (ldap.MOD_ADD, "enabledService", [b"domainadmin"]))
    company.modify(
        company.tree.domain(HERE), (ldap.MOD_ADD, "domainAdmin", [f"boss@{HERE}".encode()])
    )
    before = company.attributes(boss)
    done(enter(served, NORMAL).put(f"/api/domain/admins/{HERE}", **{way: f"boss@{HERE}"}))
    assert company.attributes(boss) == before


# --- one's own account ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("id_", "expected"),
    [
        ("user_get", DONE),
        ("user_update", DONE),
        ("user_create", DENIED),
        ("user_delete", DENIED),
        ("user_change_email", DENIED),
        ("user_verify_password", DENIED),
        ("ldif_user", DENIED),
    ],
)
def test_own_account_in_a_domain_that_is_not_theirs(
    served: Served, company: World, id_: str, expected: Outcome
) -> None:
    """An admin may read it and change what is personal."""
    client = enter(served, MAKER)
    before = company.snapshot()
    path = TABLE[id_].path.replace(f"ann@{HERE}", NAMES[MAKER]).replace("new@", "maker@")
    path = path.replace(HERE, HEADQUARTERS)
    assert outcome(call(client, id_, path)) == expected
    assert (company.snapshot() != before) == (id_ == "user_update")


@pytest.mark.parametrize("caller", [NORMAL, MAKER, STRANGER, PROMOTED])
def test_no_admin_deletes_their_own_account(served: Served, company: World, caller: str) -> None:
    before = company.snapshot()
    refused(enter(served, caller).delete(f"/api/user/{NAMES[caller]}"), *DENIED)
    assert company.snapshot() == before


# --- raising one's own rights -----------------------------------------------------------------

LIMIT_NAMES = (
    "accountSetting", "create_new_domains", "create_max_domains", "create_max_quota",
    "create_max_users", "create_max_aliases", "create_max_lists", "maxDomains", "maxQuota",
    "maxUsers", "maxAliases", "maxLists", "settings",
)  # fmt: skip


@pytest.mark.parametrize("caller", [NORMAL, MAKER])
@pytest.mark.parametrize("kind", ["user", "admin", "domain"])
def test_limits_of_their_own(served: Served, company: World, caller: str, kind: str) -> None:
    """No name of a limit, on no path, does anything to those of a normal admin."""
    client, name = enter(served, caller), NAMES[caller]
    own = company.tree.user(name)
    before = company.attributes(own).get("accountSetting")
    path = f"/api/{kind}/{HERE if kind == 'domain' else name}"
    values = dict.fromkeys(LIMIT_NAMES, "1000") | {"accountSetting": "create_max_domains:1000"}
    client.put(path, **values)
    for limit, value in values.items():
        client.put(path, **{limit: value, "name": "Innocent"})
    client.session.put(client.url + path, json={"accountSetting": {"create_max_domains": 1000}})
    assert company.attributes(own).get("accountSetting") == before


@pytest.mark.parametrize("caller", [NORMAL, MAKER])
@pytest.mark.parametrize(
    "form",
    [
        {"isGlobalAdmin": "yes"},
        {"domainGlobalAdmin": "yes"},
        {"services": "mail,domainadmin", "isGlobalAdmin": "yes"},
    ],
)
def test_global_admin_is_not_made_by_a_normal_one(
    served: Served, company: World, caller: str, form: dict[str, str]
) -> None:
    """Neither of their own account nor of a user of their domain."""
    client = enter(served, caller)
    for mail in (NAMES[caller], f"ann@{HERE}"):
        client.put(f"/api/user/{mail}", **form)
        assert "domainGlobalAdmin" not in company.attributes(company.tree.user(mail))
    refused(client.put(f"/api/user/ann@{HERE}", isGlobalAdmin="yes"), *DENIED)


@pytest.mark.parametrize("form", [{"services": "mail,domainadmin"}, {"addService": "domainadmin"}])
def test_admin_is_not_made_by_a_service(
    served: Served, company: World, form: dict[str, str]
) -> None:
    """The role is given by the domain's admins, not by a word among a user's services."""
    enter(served, NORMAL).put(f"/api/user/ann@{HERE}", **form)
    user = company.attributes(company.tree.user(f"ann@{HERE}"))
    assert "domainadmin" not in user["enabledService"]


@pytest.mark.parametrize(
    "stranger",
    [
        f"ann@{THERE}",
        f"ann@{HEADQUARTERS}",
        f"boss@{HERE}",
        NAMES[PROMOTED],
        ADMIN,
        f"none@{HERE}",
        "none@missing.test",
    ],
)
def test_admin_from_elsewhere_is_not_assigned(
    served: Served, company: World, stranger: str
) -> None:
    """A normal admin names users of domains that they manage, and no global admin."""
    client = enter(served, NORMAL)
    before = company.snapshot()
    answer = client.put(f"/api/domain/admins/{HERE}", addAdmin=stranger)
    assert answer.json()["_success"] is False
    assert company.snapshot() == before

    answer = done(client.put(f"/api/domain/admins/{HERE}", addAdmin=f"{stranger},ann@{HERE}"))
    assert stranger in answer.headers["X-Ignored-Values"]
    admins = company.attributes(company.tree.domain(HERE))["domainAdmin"]
    assert f"ann@{HERE}" in admins
    assert stranger not in admins


def test_domain_of_another_is_not_taken_by_creating_it(served: Served, company: World) -> None:
    """Neither one that is whole nor one that lacks a container."""
    client = enter(served, MAKER)
    make(company, *a_domain("empty.test"))
    connection = company.connect()
    for domain in (THERE, "empty.test"):
        for entry in company.find(base_dn=company.tree.container(domain, "Externals")):
            connection.delete_s(entry.dn)
    for entry in company.find("(mail=*)", company.tree.domain("empty.test")):
        connection.delete_s(entry.dn)
    connection.unbind_s()
    before = company.snapshot()
    for domain in (THERE, HEADQUARTERS, "empty.test"):
        refused(client.post(f"/api/domain/{domain}"), 409, "ALREADY_EXISTS")
    assert company.snapshot() == before


def test_address_of_a_standalone_admin_is_not_taken(served: Served, company: World) -> None:
    """Rights belong to addresses: a mail user of that name would have them too."""
    before = company.snapshot()
    refused(enter(served, MAKER).post("/api/domain/admins.test"), *DENIED)
    assert company.snapshot() == before


def test_mail_user_does_not_hide_a_standalone_admin(served: Served, company: World) -> None:
    """A user of the same address, made by other means, keeps nobody out."""
    make(company, *a_domain("admins.test"), a_user(ADMIN))
    enter(served, STANDALONE)


@pytest.mark.parametrize(
    ("limit", "form", "code"),
    [
        ("create_max_domains:2", {}, "EXCEED_LIMIT_DOMAIN"),
        ("create_max_quota:100", {"quota": "101"}, "EXCEED_LIMIT_QUOTA"),
        ("create_max_users:100", {"numberOfUsers": "101"}, "EXCEED_LIMIT_USERS"),
        ("create_max_aliases:100", {"numberOfAliases": "101"}, "EXCEED_LIMIT_ALIASES"),
        ("create_max_lists:100", {"numberOfLists": "101"}, "EXCEED_LIMIT_LISTS"),
    ],
)
def test_limits_of_a_normal_admin(
    served: Served, company: World, limit: str, form: dict[str, str], code: str
) -> None:
    """They hold when the admin creates a domain, and not for a global admin."""
    company.set(company.tree.user(NAMES[MAKER]), accountSetting=["create_new_domains:yes", limit])
    before = company.snapshot()
    answer = enter(served, MAKER).post("/api/domain/new.test", **form)
    refused(answer, 409, code)
    assert company.snapshot() == before
    done(enter(served, PROMOTED).post("/api/domain/new.test", **form))


def test_new_domain_is_its_creators(served: Served, company: World) -> None:
    """They may go on with it at once, and no other normal admin may."""
    maker, stranger = enter(served, MAKER), enter(served, STRANGER)
    done(maker.post("/api/domain/new.test"))
    wait_until(lambda: maker.get("/api/domain/new.test").status_code == 200)
    done(maker.post("/api/user/first@new.test", password=PASSWORD))
    refused(stranger.get("/api/domain/new.test"), *DENIED)
    assert company.attributes(company.tree.domain("new.test"))["domainAdmin"] == {NAMES[MAKER]}


# --- parameters -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sent:
    """A good value of a parameter, who may send it, and the profile that it belongs to."""

    value: str
    by: str = "admins"
    profile: str | None = None
    companions: dict[str, str] = field(default_factory=dict)


def global_only(value: str) -> Sent:
    return Sent(value, by="global admins")


def personal(value: str, profile: str | None = None) -> Sent:
    """One that an admin may send for their own account, in any domain."""
    return Sent(value, by="oneself", profile=profile)


RELAY = "relay:[mx.elsewhere.test]:25"
HASH = "{SHA}qvTGHdzF6KLavt4PO0gs2a6pQ00="
BACKUP = {"is_backupmx": "yes", "primarymx": "mx.elsewhere.test"}

PARAMETERS = {
    "domain_create": {
        "name": Sent("New"),
        "quota": Sent("100"),
        "language": Sent("de_DE"),
        "transport": global_only(RELAY),
        "defaultQuota": Sent("10"),
        "maxUserQuota": Sent("10"),
        "numberOfUsers": Sent("5"),
        "numberOfAliases": Sent("5"),
        "numberOfLists": Sent("5"),
        "senderBcc": Sent("copies@elsewhere.test"),
        "recipientBcc": Sent("copies@elsewhere.test"),
    },
    "domain_update": {
        "name": Sent("Changed"),
        "accountStatus": global_only("active"),
        "quota": global_only("100"),
        "language": Sent("de_DE", profile="advanced"),
        "transport": Sent(RELAY, profile="relay"),
        "minPasswordLength": Sent("10", profile="password_policies"),
        "maxPasswordLength": Sent("30", profile="password_policies"),
        "defaultQuota": Sent("10"),
        "maxUserQuota": global_only("10"),
        "numberOfUsers": global_only("50"),
        "numberOfAliases": global_only("50"),
        "numberOfLists": global_only("50"),
        "senderBcc": Sent("copies@elsewhere.test", profile="bcc"),
        "recipientBcc": Sent("copies@elsewhere.test", profile="bcc"),
        "is_backupmx": Sent("yes", profile="backupmx", companions=BACKUP),
        "primarymx": Sent("mx.elsewhere.test", profile="backupmx", companions=BACKUP),
        "catchall": Sent(f"ann@{HERE}", profile="catchall"),
        "admins": global_only(f"ann@{HERE}"),
        "outboundRelay": Sent("[mx.elsewhere.test]:25", profile="relay"),
        "addAliasDomain": Sent("also.test", profile="aliases"),
        "removeAliasDomain": Sent("also.test", profile="aliases"),
        "aliasDomains": Sent("again.test", profile="aliases"),
        "addService": Sent("self-service", profile="advanced"),
        "removeService": Sent("self-service", profile="advanced"),
        "services": global_only("mail,sogo"),
        "removeAllServices": global_only("yes"),
        "disableDomainProfile": global_only("throttle"),
        "enableDomainProfile": global_only("throttle"),
        "disableUserProfile": global_only("throttle"),
        "enableUserProfile": global_only("throttle"),
        "disableUserPreference": Sent("personal_info", profile="advanced"),
        "enableUserPreference": Sent("personal_info", profile="advanced"),
    },
    "user_create": {
        "name": Sent("New"),
        "password": Sent(PASSWORD),
        "language": Sent("de_DE"),
        "quota": Sent("10"),
        "password_hash": Sent(HASH),
        "mailboxFormat": Sent("mdbox"),
        "mailboxFolder": Sent("Mail"),
        "maildir": Sent(f"/var/vmail/vmail1/{HERE}/somewhere/"),
    },
    "user_update": {
        "name": personal("Changed"),
        "password": personal("another good one"),
        "quota": Sent("10"),
        "accountStatus": Sent("active"),
        "language": personal("de_DE"),
        "transport": Sent(RELAY, profile="relay"),
        "forwarding": personal("private@elsewhere.test", profile="forwarding"),
        "addForwarding": personal("other@elsewhere.test", profile="forwarding"),
        "removeForwarding": personal("other@elsewhere.test", profile="forwarding"),
        "aliases": Sent(f"annie@{HERE}", profile="aliases"),
        "addAlias": Sent(f"anna@{HERE}", profile="aliases"),
        "removeAlias": Sent(f"anna@{HERE}", profile="aliases"),
        "gn": personal("Ann"),
        "sn": personal("Other"),
        "password_hash": Sent(HASH),
        "employeeid": Sent("4711"),
        "isGlobalAdmin": global_only("no"),
        "senderBcc": Sent("copies@elsewhere.test", profile="bcc"),
        "recipientBcc": Sent("copies@elsewhere.test", profile="bcc"),
        "services": Sent("mail,imap"),
        "addService": Sent("pop3"),
        "removeService": Sent("pop3"),
        "mailboxFormat": Sent("mdbox"),
        "mailboxFolder": Sent("Mail"),
        "maildir": Sent(f"/var/vmail/vmail1/{HERE}/somewhere/"),
        "telephoneNumber": personal("+49 30 1"),
        "mobile": personal("+49 170 1"),
    },
    "users_update": {
        "accountStatus": Sent("active"),
        "language": Sent("de_DE"),
        "transport": Sent(RELAY, profile="relay"),
        # The last one: it is the caller's too, whose session ends with the old one.
        "password": Sent("another good one"),
    },
}  # fmt: skip
WITHOUT_RULES = {
    *POLICIES,
    "login", "domain_services_update", "domain_admins_update", "user_verify_password",
    "maillist_create", "maillist_update", "maillist_delete", "alias_create", "alias_update",
    "domain_get", "user_get", "admin_get", "maillist_get", "alias_get",
    "ml_get", "ml_create", "ml_update", "ml_delete",
    "admin_create", "admin_update", "admin_verify_password",
    "domains_list", "users_list", "aliases_list", "mls_list", "maillists_list", "admins_list",
    "ldif_all", "ldif_restore", "jobs_list", "changes_find", "token_create",
    "import_create", "state_get", "state_apply",
    "ldif_domain", "ldif_catchall", "ldif_admin", "ldif_user", "ldif_maillist", "ldif_alias",
}  # fmt: skip
"""Endpoints that have parameters, of which all are for whoever may call."""

PROFILES = {
    "domain_update": (
        "disabledDomainProfile",
        ("advanced", "relay", "password_policies", "bcc", "backupmx", "catchall", "aliases"),
    ),
    "user_update": ("disabledUserProfile", ("relay", "forwarding", "aliases", "bcc")),
    "users_update": ("disabledUserProfile", ("relay", "forwarding", "aliases", "bcc")),
}

ROWS = {
    endpoint.id: {row.name for row in endpoint.table} for endpoint in ENDPOINTS if endpoint.table
}


def test_every_parameter_has_its_line() -> None:
    """Whoever adds one says here who may send it."""
    unknown = {
        id_: names - PARAMETERS.get(id_, {}).keys()
        for id_, names in ROWS.items()
        if id_ not in WITHOUT_RULES
    }
    assert {id_: names for id_, names in unknown.items() if names} == {}


def tried(
    client: Client, id_: str, path: Callable[[], str]
) -> Iterator[tuple[str, Sent, requests.Response]]:
    """Send each parameter of an endpoint on its own, with what must go with it."""
    for name, sent in PARAMETERS[id_].items():
        if name in ROWS[id_]:
            form = {name: sent.value, **sent.companions}
            if id_ == "user_create" and name != "password_hash":
                form = {"password": PASSWORD, **form}
            yield name, sent, client.call(METHODS[id_], path(), **form)


def path_to(id_: str) -> Callable[[], str]:
    """The path of an endpoint; of one that creates, with a new name each time."""
    path = TABLE[id_].path
    return lambda: path.replace("new", f"new{secrets.token_hex(4)}")


@pytest.mark.parametrize("id_", PARAMETERS)
def test_parameters_of_an_admin_of_the_domain(served: Served, company: World, id_: str) -> None:
    """Those for global admins are refused to them by name, the others are not."""
    client = enter(served, MAKER)
    expected, found = {}, {}
    for name, sent, answer in tried(client, id_, path_to(id_)):
        is_global = sent.by == "global admins"
        expected[name] = (DENIED, name) if is_global else (DONE, None)
        found[name] = (outcome(answer), answer.headers.get("X-Invalid-Parameters"))
    assert found == expected


@pytest.mark.parametrize("id_", PARAMETERS)
def test_parameters_of_a_global_admin(served: Served, company: World, id_: str) -> None:
    """They may send all of them, whatever is taken from normal admins."""
    every = {word for _, words in PROFILES.values() for word in words}
    take_away(company, "disabledDomainProfile", *every)
    client = enter(served, PROMOTED)
    found = {name: outcome(answer) for name, _, answer in tried(client, id_, path_to(id_))}
    assert found == dict.fromkeys(found, DONE)


def take_away(world: World, setting: str, *words: str) -> None:
    values = [f"{setting}:{word}".encode() for word in words]
    world.modify(world.tree.domain(HERE), (ldap.MOD_ADD, "accountSetting", values))


@pytest.mark.parametrize(
    ("id_", "setting", "profile"),
    [(id_, setting, word) for id_, (setting, words) in PROFILES.items() for word in words],
)
def test_disabled_profile(
    served: Served, company: World, id_: str, setting: str, profile: str
) -> None:
    """It takes the parameters of that profile from normal admins, and no others."""
    take_away(company, setting, profile)
    other = {"disabledUserProfile", "disabledDomainProfile"} - {setting}
    take_away(company, *other, *PROFILES[id_][1])
    expected, found = {}, {}
    for name, sent, answer in tried(enter(served, NORMAL), id_, path_to(id_)):
        is_taken = sent.profile == profile or sent.by == "global admins"
        expected[name] = DENIED if is_taken else DONE
        found[name] = outcome(answer)
    assert found == expected


def test_services_are_a_profile_too(served: Served, company: World) -> None:
    """`advanced` is the whole endpoint of a domain's services."""
    take_away(company, "disabledDomainProfile", "advanced")
    before = company.snapshot()
    refused(call(enter(served, NORMAL), "domain_services_update"), *DENIED)
    assert company.snapshot() == before
    done(call(enter(served, PROMOTED), "domain_services_update"))


def test_own_account_parameters(served: Served, company: World) -> None:
    """An admin's own account in a domain that is not their: what is personal, and no more."""
    own = f"/api/user/{NAMES[MAKER]}"
    client = enter(served, MAKER)
    expected, found = {}, {}
    for name, sent, answer in tried(client, "user_update", lambda: own):
        expected[name] = DONE if sent.by == "oneself" else DENIED
        found[name] = outcome(answer)
        if name == "password":
            client = client.log_in(NAMES[MAKER], sent.value)
    assert found == expected


@pytest.mark.parametrize("service", ["mail", "sogo", "domainadmin"])
@pytest.mark.parametrize(
    ("id_", "parameter"),
    [
        ("domain_services_update", "enableService"),
        ("domain_services_update", "disableService"),
        ("domain_services_update", "services"),
        ("domain_update", "addService"),
        ("domain_update", "removeService"),
        ("domain_update", "services"),
    ],
)
def test_services_of_a_domain(
    served: Served, company: World, id_: str, parameter: str, service: str
) -> None:
    """A normal admin switches self-service, and no other service, not even beside it."""
    before = company.snapshot()
    for value in (service, f"self-service,{service}"):
        answer = call(enter(served, NORMAL), id_, **{parameter: value})
        refused(answer, *DENIED)
    assert company.snapshot() == before


@pytest.mark.parametrize(
    ("transport", "expected"),
    [
        ("relay:[192.0.2.1]:25", DONE),
        ("smtp:[mx.elsewhere.test]:587", DONE),
        ("dovecot", DONE),
        ("lmtp:unix:private/lmtp", DENIED),
        ("maildrop", DENIED),
        ("relay:mx.elsewhere.test", DENIED),
        ("discard:", DENIED),
    ],
)
@pytest.mark.parametrize("id_", ["domain_update", "user_update", "users_update"])
def test_transport_of_a_normal_admin(
    served: Served, company: World, id_: str, transport: str, expected: Outcome
) -> None:
    """A transport names a program: they may relay, or take the server's own."""
    before = company.snapshot()
    assert outcome(call(enter(served, NORMAL), id_, transport=transport)) == expected
    assert expected == DONE or company.snapshot() == before
    assert outcome(call(enter(served, PROMOTED), id_, transport=transport)) == DONE


def test_mailbox_path_of_a_normal_admin(served: Served, company: World) -> None:
    """It lies below the directory of the domain: others hold other people's mail."""
    client = enter(served, NORMAL)
    before = company.snapshot()
    foreign = f"/var/vmail/vmail1/{THERE}/ann/"
    refused(client.put(f"/api/user/ann@{HERE}", maildir=foreign), *DENIED)
    refused(client.post(f"/api/user/new@{HERE}", password=PASSWORD, maildir=foreign), *DENIED)
    assert company.snapshot() == before


def test_export_of_a_normal_admin_holds_no_hashes(served: Served, company: World) -> None:
    """Not even on request."""
    client = enter(served, NORMAL)
    for id_ in ("ldif_domain", "ldif_user"):
        text = call(client, id_, passwords="yes").json()["_data"]
        assert "mail: ann@" in text
        assert "userPassword" not in text


@pytest.mark.parametrize("more", [{}, {"only": "user"}, {"format": "ldif"}])
def test_export_of_a_normal_admin_holds_no_global_admin(
    served: Served, company: World, more: dict[str, str]
) -> None:
    """The account may not be read alone either; the number at the end is that of what is there."""
    company.set(
        company.tree.user(f"boss@{HERE}"), mailForwardingAddress=[f"boss@{HERE}", "boss@far.test"]
    )

    def text(caller: str) -> str:
        answer = call(enter(served, caller), "ldif_domain", **more)
        return answer.text if "format" in more else str(answer.json()["_data"])

    theirs, ours = text(NORMAL), text(PROMOTED)

    boss = f"dn: mail=boss@{HERE},"
    assert boss in ours
    assert boss not in theirs
    assert "far.test" not in theirs
    assert f"dn: mail=ann@{HERE}," in theirs
    for found in (theirs, ours):
        assert found.endswith(f"# entries: {found.count('dn: ')}\n")
    assert theirs.count("dn: ") == ours.count("dn: ") - 1


# --- rights that end --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "revoke",
    [
        lambda world: world.set(world.tree.domain(HERE), domainAdmin=NAMES[MAKER]),
        lambda world: world.set(world.tree.user(NAMES[NORMAL]), enabledService=["mail"]),
        lambda world: world.set(world.tree.user(NAMES[NORMAL]), accountStatus="disabled"),
        lambda world: world.set(world.tree.user(NAMES[NORMAL]), domainStatus="disabled"),
        lambda world: take_away(world, "disabledDomainProfile", "advanced"),
    ],
    ids=["domain", "role", "account", "domain's status", "profile"],
)
def test_revoked_rights_end_within_two_seconds(
    serve: Any, company: World, revoke: Callable[[World], None]
) -> None:
    """On every worker, with the settings of a new installation."""
    workers = [serve(session={"recheck": 1.0}) for _ in range(2)]
    client = enter(workers[0], NORMAL)
    clients = [Client(worker.url, client.session) for worker in workers]
    path, form = f"/api/domain/{HERE}", {"language": "fr_FR"}
    for one in clients:
        done(one.put(path, **form))

    revoke(company)

    for one in clients:
        wait_until(lambda c=one: not c.put(path, **form).json()["_success"])  # type: ignore[misc]


def test_limits_that_are_lowered_hold_within_two_seconds(serve: Any, company: World) -> None:
    """Whoever may no longer create domains can do so for a moment at most."""
    client = enter(serve(session={"recheck": 1.0}), MAKER)
    done(client.post("/api/domain/new0.test"))
    company.set(company.tree.user(NAMES[MAKER]), accountSetting=None)
    numbers = iter(range(1, 1000))

    def is_refused() -> bool:
        return client.post(f"/api/domain/new{next(numbers)}.test").status_code == 403

    wait_until(is_refused)
