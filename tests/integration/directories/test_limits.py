"""A directory that gives 500 entries at once: a domain of 700 users in it, and 505 domains."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import ldap
import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from iredldap.cli import main
from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.dit import base, domain_entry, user_entry
from iredldap.dit.base import Made
from iredldap.dit.entry import Entry, encoded
from iredldap.dit.names import Tree
from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from iredldap.gateways.directory import Directory
from iredldap.operations.diagnosis import findings
from iredldap.operations.diagnosis.startup_report import StartupReport
from iredldap.shipped import shipped
from tests.support.client import Client, done, refused
from tests.support.databases import sqlite_urls
from tests.support.patience import started, wait_until
from tests.support.serving import environment
from tests.support.world import (
    ADMIN,
    ADMIN_PASSWORD,
    READER_PASSWORD,
    SUFFIX,
    WRITER_PASSWORD,
    World,
    salted,
)

LIMIT = 500
USERS = 700
DOMAINS = 505
TREE = Tree(SUFFIX)
WRITER = f"cn=vmailadmin,{SUFFIX}"
PASSWORD = "a good password"

# Whoever judges reads everything, by the line that the probe names. Thousands of writes need not
# each wait for the disk.
EXTRA = f'sizelimit {LIMIT}\nlimits dn.exact="cn=vmail,{SUFFIX}" size=unlimited\ndbnosync'


def mails(name: str) -> list[str]:
    return [f"user{number:03}@{name}" for number in range(USERS)]


def filled(name: str, users: list[str]) -> Iterator[Made]:
    yield TREE.domain(name), domain_entry.new(name, (), "dovecot", ())
    for container in domain_entry.new_containers(TREE.domain(name)):
        yield container.dn, dict(container.attributes)
    for mail in users:
        home = f"/var/vmail/vmail1/{name}/{mail.partition('@')[0]}/"
        given = {"userPassword": ("{SSHA}x",), "mailQuota": ("1048576",)}
        yield TREE.user(mail), {**user_entry.new(mail, (), given), "homeDirectory": encoded([home])}


def limited(home: Path, extra: str, *made: Made) -> Slapd:
    slapd = Slapd(
        home=home, suffix=SUFFIX, schema_dir=shipped("schema"), port=free_port(), extra=extra
    )
    admin = base.global_admin_entry(TREE, ADMIN, salted(ADMIN_PASSWORD), "20000")
    service = base.entries(TREE, salted(READER_PASSWORD), salted(WRITER_PASSWORD))
    slapd.prepare(base.ldif(iter([*service, admin, *made])))
    return started(slapd)


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    names = [f"d{number:03}.test" for number in range(DOMAINS - 4)]
    large = ("a.test", "b.test", "c.test", "gone.test")
    made = [entry for name in large for entry in filled(name, mails(name))]
    made += [entry for name in names for entry in filled(name, [])]
    server = limited(tmp_path_factory.mktemp("limited"), EXTRA, *made)
    yield server
    server.stop()


@dataclass
class Judged(World):
    """The directory, as somebody whom no limit holds sees it."""

    def below(self, name: str, filter_: str = "(objectClass=mailUser)") -> list[Entry]:
        connection = self.connect(*self.reader)
        try:
            found = connection.search_s(self.tree.domain(name), ldap.SCOPE_SUBTREE, filter_)
        except ldap.NO_SUCH_OBJECT:
            return []
        finally:
            connection.unbind_s()
        return [Entry(dn, attributes) for dn, attributes in found]


@pytest.fixture
def world(slapd: Slapd) -> Judged:
    return Judged(slapd, TREE)


def values(world: Judged, name: str, attribute: str) -> list[str | None]:
    return [entry.text(attribute) for entry in world.below(name)]


def test_the_limit_is_there(world: Judged) -> None:
    """Without parts the tests below would see nothing."""
    connection = world.connect()
    with pytest.raises(ldap.SIZELIMIT_EXCEEDED):
        connection.search_s(TREE.domain("a.test"), ldap.SCOPE_SUBTREE)
    connection.unbind_s()


def test_a_domain_goes_off_and_on(api: Client, world: Judged) -> None:
    """With every account in it."""
    done(api.put("/api/domain/b.test", accountStatus="disabled"))
    assert values(world, "b.test", "domainStatus") == ["disabled"] * USERS
    done(api.put("/api/domain/b.test", accountStatus="active"))
    assert values(world, "b.test", "domainStatus") == [None] * USERS


def test_an_alias_domain_comes_and_goes(api: Client, world: Judged) -> None:
    """With a name for every account."""
    done(api.put("/api/domain/b.test", addAliasDomain="b2.test"))
    named = [entry.text("shadowAddress") for entry in world.below("b.test")]
    assert sorted(map(str, named)) == mails("b2.test")
    done(api.put("/api/domain/b.test", removeAliasDomain="b2.test"))
    assert values(world, "b.test", "shadowAddress") == [None] * USERS


def test_all_users_are_changed(api: Client, world: Judged) -> None:
    """By one call."""
    done(api.put("/api/users/b.test", language="de_DE"))
    assert values(world, "b.test", "preferredLanguage") == ["de_DE"] * USERS


def test_a_domain_with_a_limit_takes_as_many_as_it_may(api: Client, world: Judged) -> None:
    """All of them are counted, before the add and after it."""
    done(api.put("/api/domain/c.test", numberOfUsers=USERS + 1))
    done(api.post("/api/user/one@c.test", password=PASSWORD))
    answer = api.post("/api/user/more@c.test", password=PASSWORD)
    refused(answer, 409, "EXCEEDED_DOMAIN_ACCOUNT_LIMIT")
    assert len(world.below("c.test")) == USERS + 1


def test_a_domain_is_deleted(api: Client, world: Judged) -> None:
    """With everything in it."""
    done(api.delete("/api/domain/gone.test"))
    assert world.below("gone.test", "(objectClass=*)") == []


def test_listings_are_whole(api: Client) -> None:
    """Addresses, pages and profiles of users, and the domains; each once, as ever."""
    listed = api.get("/api/users/a.test", email_only="yes").json()["_data"]
    assert listed == mails("a.test")
    profiles = api.get("/api/users/a.test").json()["_data"]
    assert sorted(profiles) == mails("a.test")
    shown = api.get("/api/user/user699@a.test").json()["_data"]
    assert profiles["user699@a.test"].keys() == shown.keys()
    page = api.get("/api/users/a.test", email_only="yes", limit=10, cursor="user594@a.test")
    assert page.json()["_data"] == mails("a.test")[595:605]
    names = api.get("/api/domains", name_only="yes").json()["_data"]
    assert len(names) >= DOMAINS - 1
    assert len(set(names)) == len(names)


def exporting(world: World, *words: str, name: str, password: str) -> bytes:
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "ldif_export", "--uri", world.slapd.uri, "--suffix", SUFFIX),
            *("--bind-dn", f"cn={name},{SUFFIX}", *words),
        ],
        env=os.environ | {"LDIF_EXPORT_PASSWORD": password},
        capture_output=True,
        check=True,
    )
    return ran.stdout


def test_exports_are_whole(api: Client, world: Judged, tmp_path: Path) -> None:
    """By HTTP and by the command; they hold what one gets whom no limit holds, and are sound."""
    whole = exporting(world, "domain", "a.test", name="vmail", password=READER_PASSWORD)
    for text in (
        exporting(world, "domain", "a.test", name="vmailadmin", password=WRITER_PASSWORD),
        api.get("/api/ldif/domain/a.test", format="ldif").content,
    ):
        assert sorted(text.split(b"\n\n")) == sorted(whole.split(b"\n\n"))
    text = api.get("/api/ldif", format="ldif").content
    path = tmp_path / "all.ldif"
    path.write_bytes(text)
    dns = re.findall(rb"^dn: .*", text, re.MULTILINE)
    assert len(dns) == len(set(dns)) >= 5 * (DOMAINS - 1) + 3 * USERS
    ran = subprocess.run(
        [sys.executable, "-m", "ldif_export", "verify", str(path)], capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def iredldap(world: World, tmp_path: Path, *words: str) -> Result:
    """Run the command with a configuration for the directory."""
    path = tmp_path / "iredldap.toml"
    path.write_text(
        f'[ldap]\nuri = ["{world.slapd.uri}"]\nsuffix = "{SUFFIX}"\nbind_dn = "{WRITER}"\n'
    )
    secrets = environment(tmp_path, sqlite_urls(tmp_path))
    return CliRunner().invoke(main, [*words, "--config", str(path)], env=secrets)


def test_the_doctor_sees_everybody(world: Judged, tmp_path: Path) -> None:
    """And finds nothing wrong."""
    ran = iredldap(world, tmp_path, "doctor", "--json")
    summary = json.loads(ran.output.splitlines()[-1])["summary"]
    connection = world.connect(*world.reader)
    found = [
        entry
        for parent in (TREE.base, TREE.admin_base)
        for entry in connection.search_s(parent, ldap.SCOPE_SUBTREE, attrlist=["1.1"])
    ]
    connection.unbind_s()
    assert summary["entries"] == len(found)
    assert summary["errors"] == 0


def test_the_probe_names_the_limit_and_the_line_that_lifts_it(
    world: Judged, tmp_path: Path
) -> None:
    """As tried: a slapd with the line has no limit for us."""
    told = iredldap(world, tmp_path, "check-config", "--probe")
    assert told.exit_code == 0, told.output
    assert f"slapd gives {WRITER} {LIMIT} entries at once" in told.output
    (line,) = re.findall(r"^ +(limits .*)", told.output, re.MULTILINE)
    (lifted,) = re.findall(r"^ +olcLimits: (.*)", told.output, re.MULTILINE)
    assert line == f"limits {lifted}"

    made = filled("a.test", mails("a.test"))
    slapd = limited(tmp_path / "lifted", f"sizelimit {LIMIT}\n{line}", *made)
    directory = Directory(settings(slapd))
    assert directory.size_limit() is None
    directory.close()
    slapd.stop()


def test_the_start_tells_of_the_limit(world: Judged) -> None:
    """In the log, as a warning."""
    where = settings(world.slapd)
    with closing(Directory(where)) as directory, capture_logs() as lines:
        startup_report = StartupReport(directory, where)
        startup_report.start()
        wait_until(lambda: len(lines) > 2)
        startup_report.close()
    (told,) = [line["finding"] for line in lines if line["log_level"] == "warning"]
    assert f"{LIMIT} entries at once" in told


def settings(slapd: Slapd) -> LdapSettings:
    return LdapSettings(
        uri=(slapd.uri,), suffix=SUFFIX, bind_dn=WRITER, bind_password=Secret(WRITER_PASSWORD)
    )


def test_how_full_the_database_is(world: Judged) -> None:
    """As cn=Monitor has it."""
    directory = Directory(settings(world.slapd))
    (found,) = findings.fill(directory, settings(world.slapd))
    directory.close()
    assert re.fullmatch(rf"the database of {SUFFIX} is [01]% full", found.words)
    assert not found.warns


class TestNothingToTellPartsApartBy:
    """Entries without entryUUID, as with `lastmod off`."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[Judged]:
        server = limited(
            tmp_path / "plain", f"{EXTRA}\nlastmod off", *filled("a.test", mails("a.test"))
        )
        yield Judged(server, TREE)
        server.stop()

    def test_changes_are_refused_before_the_first_write(self, api: Client, world: Judged) -> None:
        """What cannot be found as a whole is not begun."""
        before = world.below("a.test", "(objectClass=*)")
        for path, parameters in (
            ("/api/domain/a.test", {"accountStatus": "disabled"}),
            ("/api/users/a.test", {"language": "de_DE"}),
            ("/api/domain/a.test", {"addAliasDomain": "a2.test"}),
        ):
            answer = api.put(path, **parameters)
            refused(answer, 409, "EXCEEDED_LDAP_SERVER_SIZELIMIT")
        refused(api.delete("/api/domain/a.test"), 409, "EXCEEDED_LDAP_SERVER_SIZELIMIT")
        assert world.below("a.test", "(objectClass=*)") == before
