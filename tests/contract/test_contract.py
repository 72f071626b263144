"""The API keeps its contract: each endpoint and each parameter, seen by a client.

The rows of `iredldap.web.endpoints.index` are compared with the contract column by column.
Everything else runs against the served app and a real directory.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import falcon.inspect
import ldap
import pytest

from iredldap.app import create_app
from iredldap.dit import spam_policy, subscribable
from iredldap.dit.fields import Column, Elsewhere, Field, Profile, Setting, StoredAttribute, Verb
from iredldap.web.endpoints.endpoint import Endpoint
from iredldap.web.endpoints.index import ENDPOINTS, SERVED
from iredldap.web.openapi.responses import COMMON_ERRORS
from tests.contract.table import CONTRACT_FILE, COPY, callers, copied, printed, published, storage
from tests.support.client import Client, done, refused
from tests.support.mlmmjadmin import MlmmjadminServer
from tests.support.serving import Served
from tests.support.world import ADMIN, ADMIN_PASSWORD, World

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"

DOMAIN = "here.test"
MAIL = "ann@here.test"
NEW_MAIL = "anne@here.test"
EVE = "eve@elsewhere.test"
"""A standalone admin."""


CONTRACT = copied()

# What the contract's own note lets go without the companion that it names.
ALONE = {"maxQuota"}

# What is not sent of a spam policy is none of the documented defaults but left to a wider one, as
# these are again when they are emptied.
INHERITED = {"spam_score", "banned_rulenames"}

# The documents leave open how these are taken away again.
CLEARED = {
    "newsletter_description", "subscription_moderators", "footer_text", "footer_html",
    "remove_headers",
}  # fmt: skip

# They do not say what an empty one does to a single account; it used to be dropped.
EMPTIED = {"admin_update": {"language", "name"}, "domain_update": {"language"},
           "maillist_update": {"name"}, "alias_update": {"name"},
           "user_update": {"language", "gn", "employeeid"}}  # fmt: skip

WHOLE = b"version: 1\n\n# entries: 0\n"
FILES = {"text/ldif": WHOLE, "text/csv": b"address\r\n", "application/x-ndjson": b"\n"}
"""A file with nothing in it, by the type of the file that an endpoint takes."""

_LISTS_DOWN = "MLMMJADMIN_UNAVAILABLE"

# Codes that the contract does not have.
OURS = {
    "login": {"TOO_MANY_REQUESTS"},
    "user_create": {"MAILBOX_IN_USE", "PW_IS_ADDRESS"},
    "user_update": {"MAILBOX_IN_USE", "PW_IS_ADDRESS"},
    "users_update": {"PW_IS_ADDRESS"},
    "admin_create": {"PW_IS_ADDRESS"},
    "admin_update": {"PW_IS_ADDRESS"},
    "user_change_email": {
        "NOT_ALLOWED", "EXCEEDED_DOMAIN_ACCOUNT_LIMIT", "EXCEEDED_DOMAIN_QUOTA_SIZE",
        "EXCEEDED_MAX_USER_QUOTA", _LISTS_DOWN,
    },
    "alias_change_email": {"NOT_ALLOWED", "EXCEEDED_DOMAIN_ACCOUNT_LIMIT", _LISTS_DOWN},
    **{
        id_: {_LISTS_DOWN}
        for id_ in (
            "ml_get", "ml_create", "ml_update", "ml_delete", "user_delete", "user_delete_keep",
            "alias_delete", "maillist_delete", "domain_delete", "domain_delete_keep",
        )
    },
    "domain_update": {"NO_ADMINS", _LISTS_DOWN},
    # Of white- and blacklists, throttles and greylisting.
    **{
        id_: {"NEVER_APPLIES"}
        for id_, call in CONTRACT.calls.items()
        if id_.startswith(("throttle_", "greylisting_", "wblist_"))
        if call.method == "POST" and "spf" not in id_
    },
    "domains_list": {"EXCEEDED_LDAP_SERVER_SIZELIMIT"},
    "users_list": {"EXCEEDED_LDAP_SERVER_SIZELIMIT"},
    "aliases_list": {"EXCEEDED_LDAP_SERVER_SIZELIMIT"},
    "mls_list": {"EXCEEDED_LDAP_SERVER_SIZELIMIT"},
}  # fmt: skip


# --- what is sent, and what it means ----------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """Good and bad values of a parameter.

    `bad` is None where a value cannot be bad. `stored` holds, under the name of the attribute or
    setting, what `sent` becomes there; elsewhere it is stored as it is sent. `refusal` is the
    answer to `bad`.
    """

    sent: str
    other: str
    bad: str | None
    refusal: tuple[int, str] = (400, "INVALID_PARAMETER")
    stored: Mapping[str, str] = field(default_factory=dict)


_BYTES = {"domainQuota": "2048:MB", "mailQuota": "2147483648"}

_FORWARDING = Sample("X@there.test", "y@there.test", "x@y@z", (400, "INVALID_MAIL"),
                     {"mailForwardingAddress": "x@there.test"})  # fmt: skip
_ALIAS = Sample("Also@here.test", "too@here.test", "x@y@z", (400, "INVALID_MAIL"),
                {"shadowAddress": "also@here.test"})  # fmt: skip
_MEMBER = Sample("X@there.test", "y@there.test", "x@y@z", (400, "INVALID_MAIL"),
                 {"mailForwardingAddress": "x@there.test", "mail": "x@there.test"})  # fmt: skip
_SERVICE = Sample("vpn", "xmpp", "two words")
_PROFILE = Sample("bcc", "relay", "everything")
_PREFERENCE = Sample("quarantine", "wblist", "everything")
_ADMIN = Sample("Ann@here.test", "bob@here.test", "x@y@z", (400, "INVALID_MAIL"),
                {"domainAdmin": "ann@here.test"})  # fmt: skip
_ALIAS_DOMAIN = Sample("Alias.test", "other.test", "no domain", (400, "INVALID_DOMAIN_NAME"),
                       {"domainAliasName": "alias.test"})  # fmt: skip
_FLAG = Sample("", "", None)
_SWITCH = Sample("yes", "no", "perhaps")

_LIMIT = Sample("1048576", "0", "-2")
_SENDER = Sample("Eve@There.test", "@there.test", "there.test",
                 stored={"sender": "eve@there.test"})  # fmt: skip
_SPF_DOMAIN = Sample("There.test", "other.test", "no domain", (400, "INVALID_DOMAIN_NAME"),
                     {"domain": "there.test"})  # fmt: skip

_SUBSCRIBER = Sample("X@there.test", "y@there.test", "x@y@z", (400, "INVALID_MAIL"),
                     {"profile": "x@there.test", "listOwner": "x@there.test",
                      "listModerator": "x@there.test"})  # fmt: skip

SAMPLES = {
    **{
        row.name: _SWITCH
        for row in subscribable.UPDATE
        if row.kind.type == "bool_yes_no"
    },
    "add_subscribers": _SUBSCRIBER,
    "custom_headers": Sample("X-One: 1", "X-Two: 2", "no header"),
    "extra_addresses": _ALIAS,
    "footer_html": Sample("<b>Bye</b>", "Bye", "bell\a"),
    "footer_text": Sample("Bye", "Hello", "bell\a"),
    "max_message_size": Sample("10240", "20480", "-1"),
    "moderators": _SUBSCRIBER,
    "newsletter_description": Sample("About us ☃", "About", "bell\a"),
    "owner": _SUBSCRIBER,
    "remove_headers": Sample("Received", "X-Mailer:", "two words", stored={"profile": "Received:"}),
    "remove_subscribers": _SUBSCRIBER,
    "subject_prefix": Sample("[here] ", "[there]", "bell\a"),
    "subscribers": _SUBSCRIBER,
    "subscription": Sample("Digest", "nomail", "weekly"),
    "subscription_moderators": _SUBSCRIBER,
    "accessPolicy": Sample("AllowedOnly", "domain", "friends",
                           stored={"accessPolicy": "moderatorsonly"}),
    "accountStatus": Sample("Off", "active", "perhaps", stored={"accountStatus": "disabled"}),
    "addAlias": _ALIAS,
    "admins": _ADMIN,
    "addresses": Sample("Eve@There.test", "@there.test", "there.test",
                        stored={"email": "eve@there.test"}),
    "always_insert_x_spam_headers": _SWITCH,
    "banned_rulenames": Sample("ALLOW_MS_OFFICE", "DEFAULT", "two words"),
    "bypass_banned_checks": _SWITCH,
    "bypass_header_checks": _SWITCH,
    "bypass_spam_checks": _SWITCH,
    "bypass_virus_checks": _SWITCH,
    "addForwarding": _FORWARDING,
    "addMember": _MEMBER,
    "addAdmin": _ADMIN,
    "addAliasDomain": _ALIAS_DOMAIN,
    "addDomains": _SPF_DOMAIN,
    "addSenders": _SENDER,
    "addService": _SERVICE,
    "aliasDomains": _ALIAS_DOMAIN,
    "aliases": _ALIAS,
    "catchall": _FORWARDING,
    "defaultQuota": Sample("512", "1024", "-1"),
    "disableDomainProfile": _PROFILE,
    "disableManagingQuarantinedMails": Sample(
        "yes", "no", "perhaps", stored={"disabledService": "manage_quarantined_mails"}
    ),
    "disableService": _SERVICE,
    "disableUserPreference": _PREFERENCE,
    "disableUserProfile": _PROFILE,
    "disableViewingMailLog": Sample(
        "yes", "no", "perhaps", stored={"disabledService": "view_mail_log"}
    ),
    "domains": _SPF_DOMAIN,
    "employeeid": Sample("№ 12", "13", "bell\a"),
    "enableDomainProfile": _PROFILE,
    "enableService": _SERVICE,
    "enableUserPreference": _PREFERENCE,
    "enableUserProfile": _PROFILE,
    "forwarding": _FORWARDING,
    "gn": Sample("Ännchen", "Ann", "bell\a"),
    "is_backupmx": _SWITCH,
    "isGlobalAdmin": _SWITCH,
    "language": Sample("de_DE", "fr_FR", None),
    "maildir": Sample(
        "/var/vmail/Elsewhere/ann",
        "/var/vmail/there/ann/",
        "elsewhere/../ann",
        stored={"homeDirectory": "/var/vmail/elsewhere/ann/"},
    ),
    "mailboxFolder": Sample("Letters", "Mail", "../Mail"),
    "mailboxFormat": Sample("mdbox", "sdbox", "mbox"),
    "max_msgs": _LIMIT,
    "max_quota": _LIMIT,
    "maxAliases": Sample("20", "-1", "-2"),
    "maxDomains": Sample("3", "4", "-2"),
    "maxLists": Sample("-1", "20", "-2"),
    "maxPasswordLength": Sample("20", "30", "-1"),
    "maxQuota": Sample("7", "8", "-1"),
    "maxUsers": Sample("30", "40", "1.5"),
    "maxUserQuota": Sample("4096", "8192", "1.5"),
    "members": _MEMBER,
    "minPasswordLength": Sample("10", "12", "many"),
    "mobile": Sample("+49 170 1", "+49 170 2", "über"),
    "msg_size": _LIMIT,
    "name": Sample("Österreich, Straße 1", "Example", "bell\a"),
    "numberOfAliases": Sample("-1", "7", "-2"),
    "numberOfLists": Sample("8", "-1", "0x8"),
    "numberOfUsers": Sample("9", "10", "nine"),
    "outboundRelay": Sample("smtp:[192.0.2.2]:25", "mx.test", "two words"),
    "password": Sample(
        "password_for_zhb",
        "another pass word",
        "short",
        refusal=(422, "PW_SHORTER_THAN_MIN_LENGTH"),
    ),
    "password_hash": Sample(
        "{SHA}qvTGHdzF6KLavt4PO0gs2a6pQ00=",
        "{CRYPT}$1$abcdefgh$irWbblnpmw.5z7wgBnprh0",
        "qvTGHdzF6KLavt4PO0gs2a6pQ00=",
        refusal=(422, "INVALID_PASSWORD_SCHEME"),
    ),
    "primarymx": Sample(
        "[mx.there.test]:25",
        "192.0.2.7",
        "two hosts",
        stored={"mtaTransport": "relay:[mx.there.test]:25"},
    ),
    "period": Sample("3600", "60", "an hour"),
    "prefix_spam_in_subject": _SWITCH,
    "quarantine_bad_header": _SWITCH,
    "quarantine_banned": _SWITCH,
    "quarantine_spam": _SWITCH,
    "quarantine_virus": _SWITCH,
    "quotaUnit": Sample("GB", "MB", "KB", stored={"accountSetting": "create_max_quota:7168"}),
    "quota": Sample("2048", "1024", "2 GB", stored=_BYTES),
    "recipientBcc": Sample("Copies@there.test", "b@there.test", "there.test", (400, "INVALID_MAIL"),
                           {"domainRecipientBccAddress": "copies@there.test",
                            "userRecipientBccAddress": "copies@there.test"}),
    "removeAdmin": _ADMIN,
    "removeAlias": _ALIAS,
    "removeAliasDomain": _ALIAS_DOMAIN,
    "removeAllAdmins": _FLAG,
    "removeAllServices": _FLAG,
    "removeDomains": _SPF_DOMAIN,
    "removeForwarding": _FORWARDING,
    "removeMember": _MEMBER,
    "removeSenders": _SENDER,
    "removeService": _SERVICE,
    "senderBcc": Sample("Copies@there.test", "b@there.test", "a@b@c", (400, "INVALID_MAIL"),
                        {"domainSenderBccAddress": "copies@there.test",
                         "userSenderBccAddress": "copies@there.test"}),
    "senders": _SENDER,
    "services": _SERVICE,
    "sn": Sample("von Tharau", "Tharau", "bell\a"),
    "spam_score": Sample("4.5", "7", "nan"),
    "status": Sample("disable", "enable", "perhaps"),
    "telephoneNumber": Sample("+49 30 1", "+49 30 2", "über"),
    "transport": Sample("lmtp:unix:private/lmtp", "smtp:[mx.test]:25", "two words"),
}  # fmt: skip

# Where the rows leave the storage to an operation: the attribute in which it shows.
ELSEWHERE = {
    "addAdmin": "domainAdmin",
    "addAliasDomain": "domainAliasName",
    "addMember": "mail",
    "admins": "domainAdmin",
    "aliasDomains": "domainAliasName",
    "catchall": "mailForwardingAddress",
    "disableManagingQuarantinedMails": "disabledService",
    "disableViewingMailLog": "disabledService",
    "isGlobalAdmin": "domainGlobalAdmin",
    "is_backupmx": "domainBackupMX",
    "members": "mail",
    "password_hash": "userPassword",
    "primarymx": "mtaTransport",
    "quotaUnit": "accountSetting",
    "removeAdmin": "domainAdmin",
    "removeAliasDomain": "domainAliasName",
    "removeAllAdmins": "domainAdmin",
    "removeAllServices": "enabledService",
    "removeMember": "mail",
}

# Kinds of which every value is good: what they do not know is dropped.
LENIENT = {"lang", "flag_presence"}

# Nothing of these is stored; tests of their own are at the end.
APART = {"login", "user_verify_password", "admin_verify_password", "maillist_delete"}
APART |= {"ml_get", "ml_delete", "changes_find", "token_create", "import_create"}
APART |= {"state_get", "state_apply"}
APART |= {endpoint.id for endpoint in ENDPOINTS if endpoint.id.startswith("ldif_")}
APART |= {endpoint.id for endpoint in ENDPOINTS if endpoint.id.endswith("_list") or endpoint.view}

EVERY_ROW = [(e, row) for e in ENDPOINTS if e.id not in APART for row in e.table]
LIST_ROWS = [
    (e, row)
    for e, row in EVERY_ROW
    if e.table in (subscribable.CREATE, subscribable.UPDATE)
    and not isinstance(row.stored_as, StoredAttribute)
]
"""Every parameter that ends with mlmmj alone, or is shown as if it did."""
ROWS = [
    (e, row)
    for e, row in EVERY_ROW
    if (e, row) not in LIST_ROWS and not isinstance(row.stored_as, Column)
]
"""Every parameter that ends in the directory."""
POLICY_ROWS = [(e, row) for e, row in EVERY_ROW if isinstance(row.stored_as, Column)]
"""Every parameter that ends in a database beside it."""


def cases(pairs: list[tuple[Endpoint, Any]]) -> list[Any]:
    """Name cases after endpoint and parameter."""
    return [pytest.param(e, x, id=f"{e.id}-{getattr(x, 'name', x)}") for e, x in pairs]


every_parameter = pytest.mark.parametrize(("endpoint", "row"), cases(ROWS))


LATEST = {"id": "none", "token": "none", "file": "page.js"}
"""The job, change or token that was made last, and a file of the reference."""


def path_of(endpoint: Endpoint) -> str:
    mail = EVE if kind_of(endpoint) == "admin" else MAIL
    return endpoint.path.format(domain=DOMAIN, mail=mail, new_mail=NEW_MAIL, number=30, **LATEST)


def dn_of(world: World, endpoint: Endpoint) -> str:
    """The entry that the path names, or a user of the domain if it names all of them."""
    name = {"domain": DOMAIN, "admin": EVE}.get(kind_of(endpoint), MAIL)
    kind = {"ml": "maillist"}.get(kind_of(endpoint), kind_of(endpoint))
    return str(getattr(world.tree, kind)(name))


def kind_of(endpoint: Endpoint) -> str:
    """What an endpoint reads or changes; all users of a domain count as one."""
    for kind in ("maillist", "ml", "alias", "catchall", "admin"):
        if f"/{kind}/" in endpoint.path:
            return kind
    return "user" if "{mail}" in endpoint.path or endpoint.id == "users_update" else "domain"


def _new_job(api: Client) -> str:
    nothing = api.call("PUT", f"/api/domain/{DOMAIN}", headers={"Prefer": "respond-async"})
    return str(nothing.json()["_data"]["job"])


def _last_change(api: Client) -> str:
    return str(api.get("/api/changes").json()["_data"][0]["id"])


def _new_token(api: Client) -> str:
    return str(api.post("/api/tokens", name="One").json()["_data"]["id"])


LAST_MADE = {
    "job_get": ("id", _new_job),
    "change_get": ("id", _last_change),
    "change_undo": ("id", _last_change),
    "token_get": ("token", _new_token),
    "token_delete": ("token", _new_token),
}
"""Name and source of the variable that the path of an endpoint needs."""


def prepare(api: Client, endpoint: Endpoint) -> None:
    """Make what the endpoint needs to be there, and nothing that it makes itself."""
    if endpoint.id == "ldif_all":
        done(api.post(f"/api/domain/{DOMAIN}"))
        done(api.post(f"/api/user/{MAIL}", password=SAMPLES["password"].sent))
    if "{" not in endpoint.path or endpoint.id == "domain_create":
        return
    done(api.post(f"/api/domain/{DOMAIN}"))
    if endpoint.id in LAST_MADE:
        name, made = LAST_MADE[endpoint.id]
        LATEST[name] = made(api)
        return
    if endpoint.id.endswith("_create"):
        return
    if endpoint.id in {"domain_admins_update", "domain_update"}:
        done(api.post("/api/user/ann@here.test", password=SAMPLES["password"].sent))
    match kind_of(endpoint):
        case "user" | "admin" as kind:
            sample = SAMPLES["password"]
            password = sample.other if endpoint.method == "PUT" else sample.sent
            mail = EVE if kind == "admin" else MAIL
            done(api.post(f"/api/{kind}/{mail}", password=password))
        case "maillist" | "alias" as kind:
            done(api.post(f"/api/{kind}/{MAIL}", members=SAMPLES["members"].other))
        case "ml":
            done(api.post(f"/api/ml/{MAIL}"))
        case "catchall":
            done(api.put(f"/api/domain/{DOMAIN}", catchall=SAMPLES["members"].other))


def prepare_value(api: Client, endpoint: Endpoint, row: Field) -> None:
    """Make the value be there that a parameter takes away."""
    for other in endpoint.table:
        if (row.verb, other.verb) == (Verb.REMOVE, Verb.ADD) and other.stored_as == row.stored_as:
            done(send(api, endpoint, form(endpoint, other.name)))
    if endpoint.id.startswith("wblist_"):
        done(api.post(path_of(endpoint), **form(endpoint, row.name)))


def form(endpoint: Endpoint, *names: str) -> dict[str, str]:
    """Good values of these parameters, and of those that must go with them."""
    rows = {row.name: row for row in endpoint.table}
    wanted = dict.fromkeys(names)
    for name in names:
        wanted |= dict.fromkeys(rows[name].required_with)
    for row in endpoint.table:
        if row.required and not wanted.keys() & set(row.conflicts_with):
            wanted[row.name] = None
    return {name: SAMPLES[name].sent for name in wanted}


def send(api: Client, endpoint: Endpoint, parameters: Mapping[str, Any], base: str = "") -> Any:
    path = base + path_of(endpoint)
    if endpoint.takes_file:
        return api.send_file(path, FILES[endpoint.file_type], **parameters)
    return api.call(endpoint.method, path, **parameters)


def effect(world: World, endpoint: Endpoint, row: Field) -> set[str]:
    """What the directory says about a parameter; of passwords, those samples that are good."""
    dn = dn_of(world, endpoint)
    if row.name == "password":
        return {word for word in (SAMPLES["password"].sent, SAMPLES["password"].other)
                if is_password(world, dn, word)}  # fmt: skip
    assert not isinstance(row.stored_as, Column | Profile)
    attributes = world.attributes(dn)
    match row.stored_as:
        case Setting(key):
            packed = (value.partition(":") for value in attributes.get("accountSetting", ()))
            return {value for name, _, value in packed if name == key}
        case StoredAttribute(name, service=service, service_stays=stays):
            values = attributes.get(name, set())
            if service and (values or not stays):
                assert (service in attributes["enabledService"]) == bool(values)
            return values
        case Elsewhere() if kind_of(endpoint) == "maillist":
            externals = world.entry(world.tree.externals(MAIL))
            return externals.lowered(ELSEWHERE[row.name]) if externals else set()
        case Elsewhere() if row.name == "catchall":
            account = world.entry(world.tree.catchall(DOMAIN))
            return account.lowered(ELSEWHERE[row.name]) if account else set()
        case Elsewhere():
            return attributes.get(ELSEWHERE[row.name], set())


def answered(api: Client, endpoint: Endpoint, row: Field) -> set[str]:
    """What a read says about a parameter of a policy."""
    data = api.get(path_of(endpoint)).json()["_data"]
    if isinstance(data, dict):
        data = [data[row.name]] if row.name in data else []
    return {str(value) for value in data}


def is_password(world: World, dn: str, password: str) -> bool:
    try:
        world.connect(dn, password).unbind_s()
    except ldap.INVALID_CREDENTIALS:
        return False
    return True


def expected(row: Field) -> set[str]:
    """What the sample of a parameter becomes."""
    sample = SAMPLES[row.name]
    if row.kind.type == "flag_presence":
        return set()
    match row.stored_as:
        case Setting(place) | StoredAttribute(place) | Column(name=place):
            return {sample.stored.get(place, sample.sent)}
        case Profile():
            return {sample.stored.get("profile", sample.sent)}
        case Elsewhere():
            return {sample.stored.get(ELSEWHERE.get(row.name, ""), sample.sent)}


def assert_effect(world: World, endpoint: Endpoint, row: Field) -> None:
    """Insist that the sample is stored: alone, beside others, or no longer."""
    found, sample = effect(world, endpoint, row), expected(row)
    match row.verb:
        case Verb.SET:
            assert found == sample
        case Verb.ADD:
            assert sample <= found
        case Verb.REMOVE:
            assert not sample & found


# --- the tables and the contract --------------------------------------------------------------

COMPARED = [endpoint for endpoint in ENDPOINTS if endpoint.era != "ours"]
COMPARED_ROWS = [(e, row) for e in COMPARED for row in e.table if row.era != "ours"]


@pytest.mark.parametrize("endpoint", COMPARED, ids=lambda endpoint: endpoint.id)
def test_an_endpoint_is_as_the_contract_has_it(endpoint: Endpoint) -> None:
    theirs = CONTRACT.calls[endpoint.id]

    assert {
        "method": endpoint.method,
        "path": endpoint.path,
        "auth": set(endpoint.auth),
        "era": endpoint.era,
        "errors": set(endpoint.errors) - OURS.get(endpoint.id, set()),
        "parameters": {row.name for row in endpoint.table if row.era != "ours"},
    } == {
        "method": theirs.method,
        "path": theirs.path,
        "auth": theirs.auth,
        "era": theirs.era,
        "errors": theirs.errors,
        "parameters": theirs.parameters.keys(),
    }


@pytest.mark.parametrize(("endpoint", "row"), cases(COMPARED_ROWS))
def test_a_parameter_is_as_the_contract_has_it(endpoint: Endpoint, row: Field) -> None:
    theirs = CONTRACT.calls[endpoint.id].parameters[row.name]

    assert {
        "aliases": row.aliases,
        "required": row.required,
        "type": row.kind.type,
        "values": row.kind.choices,
        "conflicts_with": set(row.conflicts_with),
        "required_with": set(row.required_with),
        "era": row.era,
        "who": callers(row.who),
        "profile": row.profile or "",
        "empty does something": row.empty is not None,
        "default": row.default or "",
    } == {
        "aliases": theirs.aliases,
        "required": theirs.required,
        "type": theirs.type,
        "values": theirs.values,
        "conflicts_with": theirs.conflicts_with,
        "required_with": theirs.required_with if row.name not in ALONE else set(),
        "era": theirs.era,
        "who": theirs.who,
        "profile": theirs.profile,
        "empty does something": theirs.empty_acts
        or row.name in INHERITED | CLEARED | EMPTIED.get(endpoint.id, set()),
        "default": "" if row in spam_policy.SET else theirs.default,
    }
    assert is_stored_as(row, theirs.stored)


def test_codes_of_every_endpoint() -> None:
    assert CONTRACT.common_errors == set(COMMON_ERRORS)


def test_every_endpoint_is_served() -> None:
    assert {endpoint.id for endpoint in COMPARED} == CONTRACT.calls.keys()


def test_the_copy_is_written_in_one_way() -> None:
    """So that a difference in it is one in the contract."""
    assert printed(CONTRACT) == COPY.read_text(encoding="utf-8")


class TestTheCopy:
    """Not collected in a clone that has the contract's own file not beside it."""

    __test__ = CONTRACT_FILE.exists()

    def test_it_has_the_facts_of_the_contract(self) -> None:
        """`python -m tests.contract.table` writes it anew."""
        assert printed(CONTRACT).splitlines() == printed(published()).splitlines()


def is_stored_as(row: Field, names: frozenset[str]) -> bool:
    """Whether the contract names the attribute or setting of a row."""
    match row.stored_as:
        case Setting(key):
            return {"accountSetting", key} <= names
        case StoredAttribute(name):
            return name in names
        case Elsewhere(where):
            return names <= storage(where)
        case Column() | Profile():
            return not names


# --- what is served ---------------------------------------------------------------------------


def test_served_is_what_the_table_says(served: Served) -> None:
    app: Any = create_app(served.config, served.gateways)

    while not isinstance(app, falcon.App):
        app = app._application
    routes = falcon.inspect.inspect_routes(app)

    found = {(m.method, r.path) for r in routes for m in r.methods if not m.internal}
    assert found == {(endpoint.method, endpoint.route) for endpoint in SERVED}


def test_ours_are_documented() -> None:
    """What goes beyond the contract stands in the printed pages."""
    page = PAGE.read_text(encoding="utf-8")

    for endpoint in ENDPOINTS:
        _, _, section = page.partition(f"`{endpoint.method} {endpoint.path}`\n")
        assert section, endpoint.id
        rows = section.partition("\n### ")[0]
        assert [row.name for row in endpoint.table if f"| `{row.name}` |" not in rows] == []


def test_samples_are_complete() -> None:
    """Every parameter has a good and, unless its kind takes anything, a bad value."""
    assert {row.name for _, row in EVERY_ROW} == SAMPLES.keys()
    assert {row.name for _, row in EVERY_ROW if SAMPLES[row.name].bad is None} == {
        row.name for _, row in EVERY_ROW if row.kind.type in LENIENT
    }


# --- endpoints --------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["", "/iredadmin"])
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.id)
def test_answers(api: Client, endpoint: Endpoint, base: str) -> None:
    """Each endpoint does its work below both base paths; only reads carry data."""
    prepare(api, endpoint)
    credentials = {"username": ADMIN, "password": ADMIN_PASSWORD}
    parameters: dict[str, Any] = credentials if endpoint.id == "login" else form(endpoint)
    prefix = base if endpoint.path.startswith("/api/") else ""

    answer = send(api, endpoint, parameters, prefix)

    assert answer.status_code == 200
    if not endpoint.returns and endpoint.bare:
        assert answer.headers["Content-Type"].partition(";")[0] in endpoint.bare
        return
    keys = {"_success"} | ({"_data"} if endpoint.returns else set())
    assert answer.json().keys() == keys | ({"success"} if endpoint.id == "login" else set())
    assert answer.json()["_success"] is True


@pytest.mark.parametrize(
    "endpoint", [e for e in ENDPOINTS if not e.is_open], ids=lambda endpoint: endpoint.id
)
def test_refuses_a_stranger(served: Served, api: Client, world: World, endpoint: Endpoint) -> None:
    prepare(api, endpoint)
    before = world.snapshot()
    first = [] if endpoint.id in APART else [row.name for row in endpoint.table[:1]]

    answer = send(served.client(), endpoint, form(endpoint, *first))

    refused(answer, 401, "LOGIN_REQUIRED")
    assert world.snapshot() == before


# --- parameters -------------------------------------------------------------------------------


@every_parameter
def test_parameter_has_its_effect(
    api: Client, world: World, endpoint: Endpoint, row: Field
) -> None:
    prepare(api, endpoint)
    prepare_value(api, endpoint, row)

    answer = done(send(api, endpoint, form(endpoint, row.name)))

    assert_effect(world, endpoint, row)
    assert "X-Ignored-Parameters" not in answer.headers
    assert "X-Ignored-Values" not in answer.headers


@pytest.mark.parametrize(("endpoint", "row"), cases(POLICY_ROWS))
def test_parameter_of_a_policy_has_its_effect(api: Client, endpoint: Endpoint, row: Field) -> None:
    """A read tells it."""
    prepare(api, endpoint)
    takes_away = row.verb is Verb.REMOVE or endpoint.id.endswith("_remove")
    if takes_away:
        prepare_value(api, endpoint, row)

    answer = done(send(api, endpoint, form(endpoint, row.name)))

    found, sample = answered(api, endpoint, row), expected(row)
    assert not sample & found if takes_away else sample <= found
    assert "X-Ignored-Parameters" not in answer.headers
    assert "X-Ignored-Values" not in answer.headers


@pytest.mark.parametrize(
    ("endpoint", "row"),
    cases([(e, row) for e, row in LIST_ROWS if row.stored_as != subscribable.MEMBERS]),
)
def test_parameter_of_a_list_has_its_effect(api: Client, endpoint: Endpoint, row: Field) -> None:
    """A read tells it."""
    prepare(api, endpoint)

    answer = done(send(api, endpoint, form(endpoint, row.name)))

    found = api.get(path_of(endpoint)).json()["_data"][row.name]
    assert {*found} == expected(row) if isinstance(found, list) else {found} == expected(row)
    assert "X-Ignored-Parameters" not in answer.headers
    assert "X-Ignored-Values" not in answer.headers


MEMBERSHIP = {
    "subscribers": {("x@there.test", "normal")},
    "add_subscribers": {("x@there.test", "normal")},
    "remove_subscribers": set(),
    "subscription": {("x@there.test", "digest")},
    "require_confirm": set(),
}


@pytest.mark.parametrize(
    ("endpoint", "row"),
    cases([(e, row) for e, row in LIST_ROWS if row.stored_as == subscribable.MEMBERS]),
)
def test_parameter_of_members_has_its_effect(
    api: Client, mlmmjadmin: MlmmjadminServer, endpoint: Endpoint, row: Field
) -> None:
    prepare(api, endpoint)
    who = {e.name: SAMPLES[e.name].sent for e in endpoint.table[-4:] if "subscribers" in e.name}
    who.pop("remove_subscribers", None)
    others = who | {"require_confirm": "no"}
    if row.verb is Verb.REMOVE:
        done(send(api, endpoint, others))
        others = {}

    done(send(api, endpoint, others | form(endpoint, row.name)))

    assert mlmmjadmin.members(MAIL) == MEMBERSHIP[row.name]
    assert mlmmjadmin.asked(MAIL) == ({"x@there.test"} if row.name == "require_confirm" else set())


@pytest.mark.parametrize(
    ("endpoint", "row", "alias"),
    [pytest.param(e, row, alias, id=f"{e.id}-{alias}") for e, row in ROWS for alias in row.aliases],
)
class TestOlderName:
    """An older name of a parameter."""

    def test_has_the_same_effect(
        self, api: Client, world: World, endpoint: Endpoint, row: Field, alias: str
    ) -> None:
        prepare(api, endpoint)
        prepare_value(api, endpoint, row)
        parameters = form(endpoint, row.name)
        parameters[alias] = parameters.pop(row.name)

        answer = done(send(api, endpoint, parameters))

        assert_effect(world, endpoint, row)
        assert "X-Ignored-Parameters" not in answer.headers

    @pytest.mark.parametrize("last", ["new", "old"])
    def test_loses_to_the_new_one(
        self, api: Client, world: World, endpoint: Endpoint, row: Field, alias: str, last: str
    ) -> None:
        """In whatever order they come."""
        prepare(api, endpoint)
        prepare_value(api, endpoint, row)
        new, old = form(endpoint, row.name), {alias: SAMPLES[row.name].other}

        done(send(api, endpoint, new | old if last == "old" else old | new))

        assert_effect(world, endpoint, row)


@pytest.mark.parametrize(
    ("endpoint", "row"), cases([(e, row) for e, row in EVERY_ROW if row.kind.type not in LENIENT])
)
def test_bad_value_is_refused(api: Client, world: World, endpoint: Endpoint, row: Field) -> None:
    """And nothing is changed, not even by good values beside it; a header names the culprit."""
    sample = SAMPLES[row.name]
    assert sample.bad is not None
    prepare(api, endpoint)
    before = world.snapshot()
    names = {other.name for other in endpoint.table}
    beside = [name for name in ("name", "language") if name in names]

    answer = send(api, endpoint, form(endpoint, *beside, row.name) | {row.name: sample.bad})

    refused(answer, *sample.refusal)
    assert answer.headers["X-Invalid-Parameters"] == row.name
    assert world.snapshot() == before


@pytest.mark.parametrize(
    ("endpoint", "row"), cases([(e, row) for e, row in ROWS if row.kind.type == "lang"])
)
def test_unknown_language_is_ignored(
    api: Client, world: World, endpoint: Endpoint, row: Field
) -> None:
    """And named in a header; to a strict client it is a bad value."""
    prepare(api, endpoint)
    before = world.snapshot()
    parameters: dict[str, Any] = form(endpoint, row.name) | {row.name: "xx_XX"}

    strict = {"Prefer": "handling=strict"}
    answer = api.call(endpoint.method, path_of(endpoint), headers=strict, **parameters)
    refused(answer, 400, "INVALID_PARAMETER")
    assert world.snapshot() == before

    answer = done(send(api, endpoint, parameters))
    assert answer.headers["X-Ignored-Values"] == "xx_XX"
    assert "xx_XX" not in effect(world, endpoint, row)


CONFLICTS = {
    (e.id, *sorted((row.name, other))): e for e, row in EVERY_ROW for other in row.conflicts_with
}


@pytest.mark.parametrize(
    ("endpoint", "one", "other"),
    [pytest.param(e, *pair, id="-".join((id_, *pair))) for (id_, *pair), e in CONFLICTS.items()],
)
def test_conflict_is_refused(
    api: Client, world: World, endpoint: Endpoint, one: str, other: str
) -> None:
    prepare(api, endpoint)
    before = world.snapshot()

    answer = send(api, endpoint, form(endpoint, one, other))

    refused(answer, 400, "PARAMETER_CONFLICT")
    assert world.snapshot() == before


@pytest.mark.parametrize(
    ("endpoint", "row"), cases([(e, row) for e, row in ROWS if row.required_with])
)
def test_parameter_without_its_companion_is_refused(
    api: Client, world: World, endpoint: Endpoint, row: Field
) -> None:
    prepare(api, endpoint)
    before = world.snapshot()

    whole = form(endpoint, row.name)
    answer = send(api, endpoint, {k: v for k, v in whole.items() if k not in row.required_with})

    refused(answer, 400, "MISSING_PARAMETER")
    assert answer.headers["X-Invalid-Parameters"] == ", ".join(row.required_with)
    assert world.snapshot() == before


@pytest.mark.parametrize(
    ("endpoint", "row"),
    cases([(e, row) for e, row in ROWS if e.method == "PUT" and not row.kind.present]),
)
def test_empty_value_in_a_change(api: Client, world: World, endpoint: Endpoint, row: Field) -> None:
    """It clears where the row says so; elsewhere it counts as not sent."""
    prepare(api, endpoint)
    done(send(api, endpoint, form(endpoint, row.name)))
    before = world.snapshot()

    done(send(api, endpoint, {row.name: ""}))

    if row.empty is None:
        assert world.snapshot() == before
    else:
        assert effect(world, endpoint, row) == set()


@pytest.mark.parametrize(
    ("endpoint", "row"),
    cases([(e, row) for e, row in ROWS if e.method == "POST" and not row.required]),
)
def test_empty_value_in_a_creation(
    serve: Any, world: World, endpoint: Endpoint, row: Field
) -> None:
    """There is nothing to clear: the effect is that of leaving the parameter out."""
    api = serve(accounts={"maildir_append_timestamp": False}).client().log_in()
    prepare(api, endpoint)
    dn = dn_of(world, endpoint)
    done(send(api, endpoint, form(endpoint)))
    without = world.attributes(dn)
    done(api.delete(path_of(endpoint)))

    done(send(api, endpoint, form(endpoint) | {row.name: ""}))

    unlike = {"userPassword", "mailingListID"}  # by chance
    found = world.attributes(dn)
    assert {k: v for k, v in found.items() if k not in unlike} == {
        k: v for k, v in without.items() if k not in unlike
    }


@pytest.mark.parametrize(
    ("endpoint", "row"), cases([(e, row) for e, row in ROWS if row.default is not None])
)
def test_default(api: Client, world: World, endpoint: Endpoint, row: Field) -> None:
    """What a new object gets without the parameter is what the row says."""
    prepare(api, endpoint)

    done(send(api, endpoint, form(endpoint)))

    assert effect(world, endpoint, row) == {row.default}


# --- parameters with rules of their own -------------------------------------------------------


@pytest.mark.parametrize("password", [{}, {"password": ""}, {"password": "  "}])
@pytest.mark.parametrize("password_hash", [{}, {"password_hash": ""}])
def test_user_needs_a_password(
    api: Client, world: World, password: dict[str, str], password_hash: dict[str, str]
) -> None:
    done(api.post(f"/api/domain/{DOMAIN}"))
    before = world.snapshot()

    answer = api.post(f"/api/user/{MAIL}", **password, **password_hash)

    refused(answer, 422, "PW_EMPTY")
    assert world.snapshot() == before


@pytest.mark.parametrize("endpoint", ["user_update", "users_update", "admin_update"])
@pytest.mark.parametrize("password", ["", "  "])
def test_new_password_is_not_empty(api: Client, world: World, endpoint: str, password: str) -> None:
    """An empty field of a form must not pass for a password that was changed."""
    (found,) = (e for e in ENDPOINTS if e.id == endpoint)
    prepare(api, found)
    before = world.snapshot()

    answer = send(api, found, {"password": password, "language": "de_DE"})

    refused(answer, 422, "PW_EMPTY")
    assert world.snapshot() == before


@pytest.mark.parametrize(
    ("password", "status", "code"),
    [
        (SAMPLES["password"].sent, 200, None),
        (f" {SAMPLES['password'].sent} ", 200, None),
        (SAMPLES["password"].other, 200, "INVALID_CREDENTIALS"),
        ("", 400, "EMPTY_PASSWORD"),
        (" ", 400, "EMPTY_PASSWORD"),
        (None, 400, "EMPTY_PASSWORD"),
    ],
)
@pytest.mark.parametrize("endpoint", ["user_verify_password", "admin_verify_password"])
def test_check_of_a_password(
    api: Client, world: World, endpoint: str, password: str | None, status: int, code: str | None
) -> None:
    """The result no is no fault, hence its status is 200."""
    (found,) = (e for e in ENDPOINTS if e.id == endpoint)
    prepare(api, found)
    before = world.snapshot()

    answer = send(api, found, {} if password is None else {"password": password})

    envelope = {"_success": not code} | ({"_msg": code} if code else {})
    assert (answer.status_code, answer.json()) == (status, envelope)
    assert world.snapshot() == before


def test_password_hash_is_no_password(api: Client, world: World) -> None:
    """A hash sent as `password` is the password, not its hash."""
    done(api.post(f"/api/domain/{DOMAIN}"))
    ready_made = SAMPLES["password_hash"].sent

    done(api.post(f"/api/user/{MAIL}", password=ready_made))

    assert is_password(world, world.tree.user(MAIL), ready_made)


def test_status_of_a_domain_is_that_of_its_accounts(api: Client, world: World) -> None:
    done(api.post(f"/api/domain/{DOMAIN}"))
    done(api.post(f"/api/user/{MAIL}", password=SAMPLES["password"].sent))
    user = world.tree.user(MAIL)

    done(api.put(f"/api/domain/{DOMAIN}", accountStatus="disabled"))
    marked = world.attributes(user)
    done(api.put(f"/api/domain/{DOMAIN}", accountStatus="active"))

    assert marked["domainStatus"] == {"disabled"}
    assert marked["accountStatus"] == {"active"}
    assert "domainStatus" not in world.attributes(user)


@pytest.mark.parametrize(
    ("status", "stored"),
    [(word, "active") for word in ("active", "enable", "Enabled", "yes", "on", "1")]
    + [(word, "disabled") for word in ("disabled", "disable", "NO", "off", "0")],
)
def test_spellings_of_a_status(api: Client, world: World, status: str, stored: str) -> None:
    done(api.post(f"/api/domain/{DOMAIN}"))

    done(api.put(f"/api/domain/{DOMAIN}", accountStatus=status))

    assert world.attributes(world.tree.domain(DOMAIN))["accountStatus"] == {stored}


def test_backup_mx_ends(served: Served, api: Client, world: World) -> None:
    """`no` needs no companion, and gives the domain the server's own transport again."""
    path, dn = f"/api/domain/{DOMAIN}", world.tree.domain(DOMAIN)
    done(api.post(path))
    done(api.put(path, is_backupmx="yes", primarymx="mx.there.test"))

    done(api.put(path, is_backupmx="no"))

    assert "domainBackupMX" not in world.attributes(dn)
    assert world.attributes(dn)["mtaTransport"] == {served.config.accounts.default_transport}


def test_domain_that_is_no_backup_mx_keeps_its_transport(api: Client, world: World) -> None:
    path, dn = f"/api/domain/{DOMAIN}", world.tree.domain(DOMAIN)
    done(api.post(path, transport="lmtp:unix:private/lmtp"))

    done(api.put(path, is_backupmx="no"))

    assert world.attributes(dn)["mtaTransport"] == {"lmtp:unix:private/lmtp"}


def test_no_backup_mx_has_no_primary_one(api: Client, world: World) -> None:
    done(api.post(f"/api/domain/{DOMAIN}"))
    before = world.snapshot()

    answer = api.put(f"/api/domain/{DOMAIN}", is_backupmx="no", primarymx="mx.there.test")

    refused(answer, 400, "PARAMETER_CONFLICT")
    assert world.snapshot() == before


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({}, 200, None),
        ({"username": f" {ADMIN.upper()} "}, 200, None),
        ({"username": "nobody"}, 400, "INVALID_USERNAME"),
        ({"username": ""}, 400, "INVALID_USERNAME"),
        ({"username": None}, 400, "INVALID_USERNAME"),
        ({"username": "nobody@admins.test"}, 401, "INVALID_CREDENTIALS"),
        ({"password": ""}, 400, "EMPTY_PASSWORD"),
        ({"password": None}, 400, "EMPTY_PASSWORD"),
        ({"password": "wrong"}, 401, "INVALID_CREDENTIALS"),
        ({"username": "", "password": ""}, 400, "INVALID_USERNAME,EMPTY_PASSWORD"),
    ],
)
def test_login(
    served: Served, world: World, changes: dict[str, str | None], status: int, code: str | None
) -> None:
    """Only an admin with their password gets a cookie; the older twin keys say the same."""
    client = served.client()
    before = world.snapshot()
    credentials = {"username": ADMIN, "password": ADMIN_PASSWORD, **changes}

    answer = client.post("/api/login", **{k: v for k, v in credentials.items() if v is not None})

    twins = {"_success": not code, "success": not code} | (
        {"_msg": code, "msg": code} if code else {}
    )
    assert (answer.status_code, answer.json()) == (status, twins)
    assert bool(client.session.cookies) == (code is None)
    assert world.snapshot() == before


EXPORTS = [(e, row) for e in ENDPOINTS if e.id.startswith("ldif_") for row in e.table]


@pytest.mark.parametrize(("endpoint", "row"), cases(EXPORTS))
def test_bad_value_in_an_export_is_refused(api: Client, endpoint: Endpoint, row: Field) -> None:
    prepare(api, endpoint)

    answer = send(api, endpoint, {row.name: "per haps"})

    refused(answer, 400, "INVALID_PARAMETER")
    assert answer.headers["X-Invalid-Parameters"] == row.name


@pytest.mark.parametrize("endpoint", sorted({e.id for e, _ in EXPORTS if e.method == "GET"}))
def test_parameters_of_an_export(api: Client, endpoint: str) -> None:
    """`passwords` and `subtree` say what is in it, `format` how it comes."""
    (found,) = (e for e in ENDPOINTS if e.id == endpoint)
    prepare(api, found)
    if endpoint == "ldif_domain":
        done(api.post(f"/api/user/{MAIL}", password=SAMPLES["password"].sent))
    mail = {"catchall": f"@{DOMAIN}", "admin": EVE}.get(kind_of(found), MAIL)

    whole = send(api, found, {}).json()["_data"]
    without = send(api, found, {"passwords": "no"}).json()["_data"]
    bare = send(api, found, {"format": "ldif"})

    assert ("\nuserPassword:" in whole) == (kind_of(found) in {"domain", "user", "admin"})
    assert "userPassword:" not in without
    assert f"dn: mail={mail}," in without
    assert bare.headers["Content-Type"].startswith("text/ldif")
    assert "Content-Disposition" in bare.headers
    assert bare.text == whole
    if "subtree" in {row.name for row in found.table}:
        alone = send(api, found, {"subtree": "no"}).json()["_data"]
        assert (whole.count("\ndn: "), alone.count("\ndn: ")) == (6, 1)


LISTINGS = [(e, row) for e in ENDPOINTS if e.id.endswith("_list") for row in e.table]


@pytest.mark.parametrize(
    ("endpoint", "row"),
    cases([(e, row) for e, row in LISTINGS if row.name not in {"cursor", "search"}]),
)
def test_bad_value_in_a_listing_is_refused(api: Client, endpoint: Endpoint, row: Field) -> None:
    prepare(api, endpoint)

    answer = send(api, endpoint, {row.name: "perhaps not"})

    refused(answer, 400, "INVALID_PARAMETER")
    assert answer.headers["X-Invalid-Parameters"] == row.name


# Jobs come in pages of a hundred where no size is sent.
@pytest.mark.parametrize("endpoint", sorted({e.id for e, _ in LISTINGS} - {"jobs_list"}))
def test_cursor_of_a_listing_needs_a_limit(api: Client, endpoint: str) -> None:
    (found,) = (e for e in ENDPOINTS if e.id == endpoint)
    prepare(api, found)

    answer = send(api, found, {"cursor": "a"})

    refused(answer, 400, "MISSING_PARAMETER")
    assert answer.headers["X-Invalid-Parameters"] == "limit"
