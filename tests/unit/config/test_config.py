"""Settings from a file and the environment, and the faults they may have."""

import re
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest

from iredldap.config.reader import ConfigurationError, read, read_file, variable
from iredldap.config.sections import Config, sections
from iredldap.config.settings import Secret
from tests.support.tls import certificates

PASSWORD = "of the directory"
KEY = "0123456789abcdef0123456789abcdef"

LEAST: dict[str, dict[str, Any]] = {
    "ldap": {
        "uri": ["ldap://127.0.0.1"],
        "suffix": "dc=example,dc=com",
        "bind_dn": "cn=vmailadmin,dc=example,dc=com",
    }
}
SECRETS = {"IREDLDAP_LDAP_BIND_PASSWORD": PASSWORD, "IREDLDAP_SESSION_KEYS": KEY}


def given(section: str, **settings: Any) -> dict[str, dict[str, Any]]:
    """The least that is needed, and these settings."""
    return {**LEAST, section: {**LEAST.get(section, {}), **settings}}


def faults(mapping: dict[str, Any], environment: dict[str, str] | None = None) -> list[str]:
    """The faults of a configuration that has some."""
    with pytest.raises(ConfigurationError) as caught:
        read(mapping, SECRETS if environment is None else environment)
    assert str(caught.value) == "\n".join(caught.value.errors)
    return caught.value.errors


def test_least_configuration() -> None:
    """The API stays switched off until the configuration says otherwise."""
    settings = read(LEAST, SECRETS)

    assert settings.ldap.uri == ("ldap://127.0.0.1",)
    assert settings.ldap.bind_password.reveal() == PASSWORD
    assert not settings.api.enable_restful_api
    assert settings.api.restrict_api_access is None


def test_faults_are_told_together() -> None:
    told = faults(
        {
            "api": {"restful_api_clients": ["192.0.2.300"], "max_body": 10},
            "ldap": {"uri": [], "sufix": "dc=example,dc=com", "bind_password": "inline"},
            "passwords": {"min_length": "eight", "require_digit": "perhaps"},
            "mail": {},
        },
        {},
    )

    assert {fault.partition(":")[0] for fault in told} == {
        "api.restful_api_clients",
        "api.max_body",
        "ldap.sufix",
        "ldap.uri",
        "ldap.suffix",
        "ldap.bind_dn",
        "ldap.bind_password",
        "session.keys",
        "passwords.min_length",
        "passwords.require_digit",
        "[mail]",
    }


@pytest.mark.parametrize(
    ("mapping", "fault"),
    [
        ({**LEAST, "mail": {}}, "[mail]: no such section"),
        ({**LEAST, "api": "on"}, "[api]: expected a section"),
        (given("api", enabled=True), "api.enabled: no such setting"),
        (given("ldap", uri_file="/etc/passwd"), "ldap.uri_file: no such setting"),
    ],
)
def test_unknown_names_are_faults(mapping: dict[str, Any], fault: str) -> None:
    assert fault in faults(mapping)


@pytest.mark.parametrize(
    "name", ["ldap.uri", "ldap.suffix", "ldap.bind_dn", "ldap.bind_password", "session.keys"]
)
def test_setting_without_default_must_be_there(name: str) -> None:
    section, _, key = name.partition(".")
    mapping = {s: {k: v for k, v in rows.items() if (s, k) != (section, key)}
               for s, rows in LEAST.items()}  # fmt: skip
    environment = {k: v for k, v in SECRETS.items() if k != variable(section, key)}

    assert faults(mapping, environment) == [f"{name}: missing"]


# --- secrets ----------------------------------------------------------------------------------


def test_secret_does_not_show() -> None:
    settings = read(LEAST, SECRETS | {"IREDLDAP_STATE_URL": "postgresql://u:unseen@db/state"})

    shown = f"{settings} {settings!r} {settings.ldap!r} {settings.session!r} {settings.state!r}"

    assert [s for s in (PASSWORD, KEY, "unseen") if s in shown] == []


@pytest.mark.parametrize(
    ("section", "name"), [("ldap", "bind_password"), ("session", "keys"), ("state", "url")]
)
def test_secret_in_the_file_itself_is_a_fault(section: str, name: str) -> None:
    """Even where the environment has one; the fault does not repeat it."""
    told = faults(
        given(section, **{name: "s3cret" * 10}),
        SECRETS | {variable(section, name): f"sqlite:///{KEY}"},
    )

    assert told == [f"{section}.{name}: a secret; use {name}_file or {variable(section, name)}"]


def test_secret_from_a_file(tmp_path: Path) -> None:
    """The line break that editors leave behind it does not count."""
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n", encoding="utf-8")
    keys = {"IREDLDAP_SESSION_KEYS": KEY}

    by_setting = read(given("ldap", bind_password_file=str(file)), keys)
    by_variable = read(LEAST, keys | {"IREDLDAP_LDAP_BIND_PASSWORD_FILE": str(file)})

    assert by_setting.ldap.bind_password == by_variable.ldap.bind_password == Secret(PASSWORD)


def test_secret_from_the_environment_wins_over_its_file() -> None:
    """So the file need not even be there."""
    settings = read(given("ldap", bind_password_file="/nonexistent/password"), SECRETS)

    assert settings.ldap.bind_password.reveal() == PASSWORD


def test_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    told = faults(
        given("ldap", bind_password_file=str(tmp_path / "absent")), {"IREDLDAP_SESSION_KEYS": KEY}
    )

    assert told == [f"ldap.bind_password: {tmp_path / 'absent'}: No such file or directory"]


def test_a_configuration_that_is_missing_is_told_with_the_ways_to_one(tmp_path: Path) -> None:
    file = tmp_path / "none" / "iredldap.toml"
    with pytest.raises(ConfigurationError) as told:
        read_file(file, {})
    (line,) = told.value.errors
    assert line == (
        f"{file}: the folder {file.parent} does not exist;"
        " `iredldap init` writes one; --config or IREDLDAP_CONFIG names another"
    )


def test_keys_are_several(tmp_path: Path) -> None:
    """Separated by blanks or line breaks, in their order."""
    file = tmp_path / "keys"
    file.write_text(f"{'a' * 32}\n{'b' * 32} {'c' * 32}\n", encoding="utf-8")
    environment = {"IREDLDAP_LDAP_BIND_PASSWORD": PASSWORD}

    settings = read(given("session", keys_file=str(file)), environment)

    assert [key.reveal()[0] for key in settings.session.keys] == ["a", "b", "c"]


# --- values -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "name", "text", "value"),
    [
        ("api", "enable_restful_api", "Yes", True),
        ("api", "enable_restful_api", "on", True),
        ("api", "enable_restful_api", "1", True),
        ("api", "restrict_api_access", "off", False),
        ("api", "restful_api_clients", "192.0.2.1, 2001:db8::/32", ("192.0.2.1", "2001:db8::/32")),
        ("api", "restful_api_clients", "", ()),
        ("api", "max_body", "2048", 2048),
        ("session", "recheck", "0.5", 0.5),
        ("ldap", "uri", "ldaps://b", ("ldaps://b",)),
        ("api", "cors_origins", "https://a,https://b", ("https://a", "https://b")),
        ("accounts", "storage_base", "/srv/mail", "/srv/mail"),
    ],
)
def test_environment_wins_over_the_file(section: str, name: str, text: str, value: object) -> None:
    in_file = {
        "enable_restful_api": False,
        "restrict_api_access": True,
        "restful_api_clients": ["198.51.100.1"],
        "max_body": 4096,
        "recheck": 2,
        "uri": ["ldap://elsewhere"],
        "cors_origins": ["https://elsewhere"],
        "storage_base": "/elsewhere",
    }

    settings = read(
        given(section, **{name: in_file[name]}), SECRETS | {variable(section, name): text}
    )

    assert getattr(getattr(settings, section), name) == value


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("api", "enable_restful_api", "maybe"),
        ("api", "enable_restful_api", 2),
        ("api", "restful_api_clients", [1]),
        ("api", "restful_api_clients", 1),
        ("api", "max_body", True),
        ("api", "max_body", "1 MB"),
        ("api", "max_body", []),
        ("session", "recheck", "soon"),
        ("ldap", "suffix", 1),
        ("ldap", "suffix", ["dc=example", "dc=com"]),
    ],
)
def test_value_of_another_type_is_a_fault(section: str, name: str, value: object) -> None:
    told = faults(given(section, **{name: value}))

    assert len(told) == 1
    assert told[0].startswith(f"{section}.{name}: ")


@pytest.mark.parametrize(
    ("section", "settings", "fault"),
    [
        ("api", {"restful_api_clients": ["mail.test"]}, "api.restful_api_clients"),
        ("api", {"trusted_proxies": ["10.0.0.0/33"]}, "api.trusted_proxies"),
        ("accounts", {"mailbox_days": [7, "many"]}, "accounts.mailbox_days"),
        ("accounts", {"mailbox_days": [7.5]}, "accounts.mailbox_days"),
        ("accounts", {"mailbox_days": 7}, "accounts.mailbox_days"),
        ("accounts", {"mailbox_days": [0]}, "accounts.mailbox_days"),
        ("api", {"max_body": 1023}, "api.max_body"),
        ("api", {"stalled_download": 0}, "api.stalled_download"),
        ("ldap", {"uri": []}, "ldap.uri"),
        ("ldap", {"uri": ["http://127.0.0.1"]}, "ldap.uri"),
        ("ldap", {"ca_file": "/nonexistent/ca.pem"}, "ldap.ca_file"),
        ("ldap", {"connections": 0}, "ldap.connections"),
        ("ldap", {"network_timeout": 0}, "ldap.network_timeout"),
        ("ldap", {"operation_timeout": -1}, "ldap.operation_timeout"),
        ("ldap", {"operation_timeout": float("nan")}, "ldap.operation_timeout"),
        ("ldap", {"operation_timeout": float("inf")}, "ldap.operation_timeout"),
        ("ldap", {"network_timeout": 10**400}, "ldap.network_timeout"),
        ("ldap", {"uri": ["ldap://a.test:99999"]}, "ldap.uri"),
        ("ldap", {"uri": ["ldaps://a.test:0"]}, "ldap.uri"),
        ("api", {"max_body": 3000.7}, "api.max_body"),
        ("api", {"max_body": 2**63}, "api.max_body"),
        ("session", {"cookie_name": "two words"}, "session.cookie_name"),
        ("session", {"cookie_name": "path"}, "session.cookie_name"),
        ("session", {"cookie_name": "\N{GREEK SMALL LETTER ALPHA}"}, "session.cookie_name"),
        ("server", {"bind": "127.0.0.1:65536"}, "server.bind"),
        ("server", {"bind": "127.0.0.1:http"}, "server.bind"),
        ("server", {"bind": "fd://x"}, "server.bind"),
        ("server", {"bind": "here there"}, "server.bind"),
        ("server", {"bind": " "}, "server.bind"),
        ("server", {"log_level": "loud"}, "server.log_level"),
        ("session", {"recheck": 0}, "session.recheck"),
        ("session", {"recheck": 2.1}, "session.recheck"),
        ("session", {"max_age": 0}, "session.max_age"),
        ("session", {"idle_age": -1}, "session.idle_age"),
        ("passwords", {"password_scheme": "MD5"}, "passwords.password_scheme"),
        ("login", {"failures": 0}, "login.failures"),
        ("login", {"period": 0}, "login.period"),
        ("login", {"admin_login_ip_list": ["here"]}, "login.admin_login_ip_list"),
        ("login", {"global_admin_ip_list": ["10.0.0.0/33"]}, "login.global_admin_ip_list"),
        ("passwords", {"bcrypt_rounds": 3}, "passwords.bcrypt_rounds"),
        ("passwords", {"bcrypt_rounds": 17}, "passwords.bcrypt_rounds"),
        ("accounts", {"storage_base": "vmail"}, "accounts.storage_base"),
        ("mlmmjadmin", {"url": "127.0.0.1:7790/api"}, "mlmmjadmin.url"),
        ("mlmmjadmin", {"url": "http:///api"}, "mlmmjadmin.url"),
        ("mlmmjadmin", {"url": "http://[::1/api"}, "mlmmjadmin.url"),
        ("mlmmjadmin", {"url": "http://lists.test:many/api"}, "mlmmjadmin.url"),
        ("mlmmjadmin", {"auth_header": "X: y"}, "mlmmjadmin.auth_header"),
        ("mlmmjadmin", {"timeout": 0}, "mlmmjadmin.timeout"),
        ("mlmmjadmin", {"ca_file": "/nonexistent/ca.pem"}, "mlmmjadmin.ca_file"),
    ],
)
def test_value_out_of_bounds_is_a_fault(section: str, settings: dict[str, Any], fault: str) -> None:
    told = faults(given(section, **settings))

    assert [text.partition(":")[0] for text in told] == [fault]


@pytest.mark.parametrize(
    ("section", "settings"),
    [
        ("api", {"max_body": 1024, "stalled_download": 1}),
        ("api", {"restful_api_clients": ["192.0.2.1", "10.1.2.3/8", "::1"]}),
        ("session", {"recheck": 2, "max_age": 1, "idle_age": 0}),
        ("passwords", {"bcrypt_rounds": 4, "password_scheme": "BCRYPT"}),
        ("passwords", {"bcrypt_rounds": 16, "password_scheme": "SSHA"}),
        *(("ldap", {"uri": [one]}) for one in ("ldapi:///", "ldaps://a.test", "ldap://b.test:1")),
        ("server", {"bind": "[::1]:8080, unix:/run/a.sock,"}),
        ("server", {"bind": "localhost:65535"}),
        ("server", {"bind": ":0"}),
        ("mlmmjadmin", {"url": ""}),
        ("mlmmjadmin", {"url": "https://[::1]:7790/api", "timeout": 0.1}),
    ],
)
def test_bounds_themselves_are_within(section: str, settings: dict[str, Any]) -> None:
    assert isinstance(read(given(section, **settings), SECRETS), Config)


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ("k" * 31, "session.keys: a key has less than 32 characters"),
        (f"{KEY} short", "session.keys: a key has less than 32 characters"),
        ("  ", "session.keys: missing"),
    ],
)
def test_weak_key_is_a_fault(keys: str, fault: str) -> None:
    assert faults(LEAST, SECRETS | {"IREDLDAP_SESSION_KEYS": keys}) == [fault]


def test_empty_password_is_a_fault() -> None:
    """A directory takes a bind with one for an anonymous bind."""
    told = faults(LEAST, SECRETS | {"IREDLDAP_LDAP_BIND_PASSWORD": ""})

    assert told == ["ldap.bind_password: empty"]


@pytest.mark.parametrize("url", ["postgresql://user:s3cret@host/db", "redis", "", "memory"])
def test_counter_of_logins_must_be_known(url: str) -> None:
    """The fault does not show the URL, which may hold a password."""
    (fault,) = faults(LEAST, {**SECRETS, "IREDLDAP_LOGIN_STORAGE_URL": url})

    assert fault.startswith("login.storage_url: no URL that begins with")
    assert "s3cret" not in fault


@pytest.mark.parametrize("section", ["state", "iredapd", "amavisd", "iredadmin"])
@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3cret",
        "nosuch://user:s3cret@host/db",
        "mysql+nosuch://user:s3cret@host/db",
        "postgresql://user:s3cret@host:many/db",
    ],
)
def test_database_must_be_known(section: str, url: str) -> None:
    """The fault does not show the URL."""
    (fault,) = faults(LEAST, {**SECRETS, f"IREDLDAP_{section.upper()}_URL": url})

    assert fault == f"{section}.url: no SQLAlchemy URL of a known database"


@pytest.mark.parametrize(
    ("missing", "variable", "value", "told"),
    [
        ("psycopg", "STATE_URL", "postgresql://user:s3cret@host/db", "state.url: its driver"),
        ("pymysql", "IREDAPD_URL", "mysql://user:s3cret@host/db", "iredapd.url: its driver"),
        ("MySQLdb", "AMAVISD_URL", "mysql+mysqldb://u:s3cret@host/db", "amavisd.url: its driver"),
    ],
)
def test_driver_of_a_database_must_be_installed(
    monkeypatch: pytest.MonkeyPatch, missing: str, variable: str, value: str, told: str
) -> None:
    """Otherwise a reload would take a configuration with which nothing works."""
    monkeypatch.setitem(sys.modules, missing, None)
    (fault,) = faults(LEAST, {**SECRETS, f"IREDLDAP_{variable}": value})

    assert fault.startswith(f"{told} cannot be loaded")
    assert missing in fault
    assert "s3cret" not in fault


def test_bcrypt_must_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iredldap.config.checks.find_spec", lambda _: None)

    assert faults(given("passwords", password_scheme="BCRYPT")) == [
        "passwords.password_scheme: BCRYPT needs the extra bcrypt"
    ]


@pytest.mark.parametrize(("workers", "least"), [(1, 1), (7, 7), (0, 2)])
def test_number_of_processes(workers: int, least: int) -> None:
    """One per core and at least two, unless it is said."""
    assert read(given("server", workers=workers), SECRETS).server.processes >= least
    assert not workers or read(given("server", workers=workers), SECRETS).server.processes == least


@pytest.mark.parametrize(
    ("uri", "starttls", "turns"),
    [
        ("ldap://127.0.0.1", None, False),
        ("ldap://127.0.0.1:3890", None, False),
        ("ldap://[::1]:389", None, False),
        ("ldap://localhost", None, False),
        ("ldap://LOCALHOST", None, False),
        ("ldap://192.0.2.1", None, True),
        ("ldap://[2001:db8::1]", None, True),
        ("ldap://ldap.example.com", None, True),
        ("ldap://localhost.example.com", None, True),
        ("ldap://ldap.example.com", False, False),
        ("ldap://127.0.0.1", True, True),
        ("ldaps://ldap.example.com", None, False),
        ("ldaps://ldap.example.com", True, False),
        ("ldapi:///", None, False),
        ("ldapi://%2Frun%2Fldapi", True, False),
    ],
)
def test_starttls(uri: str, starttls: bool | None, turns: bool) -> None:
    """On for another machine unless switched off; TLS and sockets of this machine need none."""
    switch = {} if starttls is None else {"starttls": starttls}

    settings = read(given("ldap", uri=[uri], **switch), SECRETS)

    assert settings.ldap.turns_to_tls(uri) is turns


# --- certificates -----------------------------------------------------------------------------


@pytest.mark.parametrize("setting", ["ldap.ca_file", "mlmmjadmin.ca_file"])
def test_certificates_to_trust_are_certificates(tmp_path: Path, setting: str) -> None:
    """Whatever library will read them: one of them may raise, and another say nothing."""
    section, _, name = setting.partition(".")
    home = certificates(tmp_path)
    good, empty = home / "ca.pem", home / "empty.pem"
    empty.touch()
    several = home / "several.pem"
    several.write_text(good.read_text() + "# another one\n" + (home / "other-ca.pem").read_text())
    binary = home / "ca.der"
    binary.write_bytes(ssl.PEM_cert_to_DER_cert(good.read_text()))
    broken = home / "broken.pem"
    broken.write_text(good.read_text().replace("M", "*", 3))
    for file in (good, several):
        assert isinstance(read(given(section, **{name: str(file)}), SECRETS), Config)
    for file in (empty, binary, broken, home / "ca.key", Path(__file__)):
        told = faults(given(section, **{name: str(file)}))
        assert told == [f"{setting}: no PEM certificate in it"], file
    for file in (home, home / "absent.pem"):
        assert faults(given(section, **{name: str(file)})) == [f"{setting}: no such file"]


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("ldap.ca_file", "/nonexistent/ca.pem"),
        ("mlmmjadmin.ca_file", "/nonexistent/ca.pem"),
        ("ldap.network_timeout", "soon"),
        ("api.restful_api_clients", "nowhere"),
    ],
)
def test_a_fault_names_the_variable_that_the_value_is_from(setting: str, text: str) -> None:
    """A setting alone is looked for in the file, where it is right or absent."""
    section, _, name = setting.partition(".")
    (told,) = faults(LEAST, SECRETS | {variable(section, name): text})
    assert told.startswith(f"{setting} ({variable(section, name)}): ")
    (told,) = faults(given(section, **{name: text}))
    assert told.startswith(f"{setting}: ")


# --- files ------------------------------------------------------------------------------------


def test_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "iredldap.toml"
    file.write_text(
        '[ldap]\nuri = "ldapi:///"\nsuffix = "dc=test"\nbind_dn = "cn=vmailadmin,dc=test"\n'
        "[api]\nenable_restful_api = true\n",
        encoding="utf-8",
    )

    settings = read_file(file, SECRETS)

    assert settings.ldap.uri == ("ldapi:///",)
    assert settings.api.enable_restful_api


@pytest.mark.parametrize("content", [None, b"[ldap", b"\xff"])
def test_unreadable_file_is_a_fault(tmp_path: Path, content: bytes | None) -> None:
    """Absent, no TOML, no UTF-8."""
    file = tmp_path / "iredldap.toml"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(ConfigurationError) as caught:
        read_file(file, SECRETS)

    assert len(caught.value.errors) == 1
    assert caught.value.errors[0].startswith(f"{file}: ")


def test_no_two_settings_share_a_variable() -> None:
    """Nor does that of a secret's file clash with a setting."""
    names = [
        variable(section, f"{name}{end}")
        for section, record in sections()
        for name in record.__dataclass_fields__  # type: ignore[attr-defined]
        for end in ("", "_file")
    ]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("days", [[1, 30], ["1", "30"]])
def test_whole_numbers_are_a_list(days: list[Any]) -> None:
    """In the environment separated by commas."""
    assert read(given("accounts", mailbox_days=days), SECRETS).accounts.mailbox_days == (1, 30)
    environment = SECRETS | {"IREDLDAP_ACCOUNTS_MAILBOX_DAYS": "1, 30"}
    assert read(LEAST, environment).accounts.mailbox_days == (1, 30)


PAIR = ["ldap://a.test", "ldap://b.test"]
STATE_URL = {"IREDLDAP_STATE_URL": "postgresql://u:p@db.test/state"}


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"uri": PAIR}, "ldap.writer"),
        ({"uri": PAIR, "writer": "first"}, "ldap.writer"),
        ({"writer": "agreed"}, "ldap.uri"),
        ({"uri": [*PAIR, "ldap://c.test"], "writer": "agreed"}, "ldap.uri"),
        ({"uri": ["ldap://a.test", "ldap://A.test/"], "writer": "agreed"}, "ldap.uri"),
        ({"uri": PAIR, "writer": "agreed", "failover_after": 0.9}, "ldap.failover_after"),
        ({"uri": PAIR, "writer": "agreed", "reads": "any", "confirm": False}, "ldap.reads"),
    ],
)
def test_two_servers_need_an_agreement(settings: dict[str, Any], fault: str) -> None:
    """Several servers without an agreed writer, and an agreement without two, are faults."""
    told = faults(given("ldap", **settings), SECRETS | STATE_URL)

    assert [text.partition(":")[0] for text in told] == [fault]


def test_an_agreement_needs_a_database_of_all_nodes() -> None:
    pair = given("ldap", uri=PAIR, writer="agreed")

    assert [text.partition(":")[0] for text in faults(pair, SECRETS)] == ["state.url"]
    assert read(pair, SECRETS | STATE_URL).ldap.is_agreed


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("postgresql://u:s3cret@h1:1,h2:2/state", "several hosts are written as postgresql://USER"),
        ("postgresql://h1:5432,h2/state", "several hosts are written as postgresql://USER"),
        ("mysql://u:s3cret@h1,h2/state", "only PostgreSQL takes several hosts"),
        ("mysql://u:s3cret@/state?host=h1:1&host=h2:2", "only PostgreSQL takes several hosts"),
    ],
)
def test_several_hosts_in_another_form(url: str, fault: str) -> None:
    """The setting is named, with the form that is right; nothing of the URL is."""
    (told,) = faults(LEAST, SECRETS | {"IREDLDAP_STATE_URL": url})
    assert told.startswith(f"state.url: {fault}")
    assert "s3cret" not in told


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@/s?host=h1:5432&host=h2:5432&target_session_attrs=read-write",
        "postgresql://u:a,1:2,3@h1/s",
        "postgresql://u:p@h1,h2/s",
        "mysql://u:p@h1:3306/s",
    ],
)
def test_hosts_in_the_right_form(url: str) -> None:
    assert read(LEAST, SECRETS | {"IREDLDAP_STATE_URL": url}).state.url.reveal() == url


def test_node() -> None:
    """By default the host's name, in characters that a header may have."""
    assert read(given("server", node="n-1.test"), SECRETS).server.node_name == "n-1.test"
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", read(LEAST, SECRETS).server.node_name)
    assert faults(given("server", node="a b")) == [
        "server.node: 1 to 64 letters, digits, dots, hyphens and underscores"
    ]
