"""Domains whose entries other tools named: what stands in them is found, changed and exported.

Their DNs cannot be computed from their names. They are judged by what stands in the directory, and
by Postfix where mail is meant.
"""

import io
from contextlib import closing
from pathlib import Path

import pytest

from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.directory_errors import AmbiguousAccount
from iredldap.dit.consistency.checks import examine
from iredldap.embedded.slapd import Slapd
from iredldap.errors import NoSuchAccount
from iredldap.gateways.directory import Directory
from ldif_export import child_process
from ldif_export.backup import full
from ldif_export.readers import domain_lookup
from ldif_export.readers.base import Projection
from ldif_export.readers.choice import READER_NAMES, ReaderName, connect
from ldif_export.restore import execution, verify
from ldif_export.restore.plan import plan_restore
from ldif_export.selection import Selection, SelectionKind
from tests.support.client import Client, done, refused
from tests.support.mailservers import Postfix
from tests.support.patience import PATIENCE
from tests.support.serving import Served
from tests.support.world import READER_PASSWORD, SUFFIX, WRITER_PASSWORD, World, salted

PASSWORD = "a good password"
FIRM = "firm.test"
ANN, BOB, CREW, INFO = (f"{name}@{FIRM}" for name in ("ann", "bob", "crew", "info"))
NAMES = {
    "two attributes": f"cn=Firm+domainName={FIRM},o=domains,{SUFFIX}",
    "another attribute": f"cn=Firm,o=domains,{SUFFIX}",
    "a comma": f"cn=Firm\\2C Inc.,o=domains,{SUFFIX}",
}
"""What other tools call a domain."""

every_name = pytest.mark.parametrize("home", NAMES.values(), ids=NAMES.keys())


@pytest.fixture(scope="module")
def postfix(slapd: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Postfix:
    return Postfix(tmp_path_factory.mktemp("postfix"), slapd.uri, SUFFIX, READER_PASSWORD)


def settings(world: World, account: str = "vmail", password: str = READER_PASSWORD) -> LdapSettings:
    return LdapSettings(
        uri=(world.slapd.uri,),
        suffix=SUFFIX,
        bind_dn=f"cn={account},{SUFFIX}",
        bind_password=Secret(password),
        network_timeout=PATIENCE,
        operation_timeout=PATIENCE,
    )


def plant(world: World, home: str, name: str = FIRM) -> None:
    """Make a domain as another tool does, with a user who has a name of their own kind."""
    world.add(
        home,
        objectClass="mailDomain",
        cn=home.partition("+")[0].partition(",o=")[0].removeprefix("cn=").replace("\\2C", ","),
        domainName=name,
        accountStatus="active",
        enabledService="mail",
    )
    for unit in ("Users", "Groups", "Aliases", "Externals"):
        world.add(f"ou={unit},{home}", objectClass="organizationalUnit", ou=unit)
    world.add(
        f"uid=ann,ou=Users,{home}",
        objectClass=["inetOrgPerson", "mailUser"],
        mail=f"ann@{name}",
        uid="ann",
        cn="Ann",
        sn="Ann",
        userPassword=salted(PASSWORD),
        homeDirectory=f"/var/vmail/vmail1/{name}/a/n/n/ann/",
        accountStatus="active",
        enabledService=["mail", "deliver", "smtp", "forward", "shadowaddress"],
    )


def exported(world: World, kind: SelectionKind, name: str, choice: ReaderName = "wire") -> bytes:
    """Export as the command does."""
    selection = Selection(kind, name)
    with closing(connect(settings(world), Projection(selection), choice)) as reader:
        searches = domain_lookup.resolve_searches(reader, (selection,), world.tree)
        with closing(full.export(reader, searches, passwords=True)) as text:
            return b"".join(text)


def broken(world: World) -> list[tuple[str, str]]:
    """Tell which rules of the doctor are broken below the domains, and by what."""
    found = examine(world.tree, world.find())
    return [(v.rule, v.dn) for v in found if v.dn != world.tree.admin_base]


@every_name
def test_accounts_of_such_a_domain(api: Client, world: World, postfix: Postfix, home: str) -> None:
    """Made, read, listed, counted, changed, mentioned, renamed and deleted as in any other."""
    plant(world, home)
    done(api.post("/api/domain/other.test"))
    done(api.put(f"/api/domain/{FIRM}", catchall="x@far.test", numberOfUsers=2))
    done(api.post(f"/api/user/{BOB}", password=PASSWORD))
    answer = api.post(f"/api/user/eve@{FIRM}", password=PASSWORD)
    refused(answer, 409, "EXCEEDED_DOMAIN_ACCOUNT_LIMIT")
    refused(api.post(f"/api/alias/{ANN}", members="x@far.test"), 409, "ALREADY_EXISTS")
    assert set(api.get(f"/api/users/{FIRM}").json()["_data"]) == {ANN, BOB}
    assert api.get(f"/api/users/{FIRM}", email_only="yes").json()["_data"] == [ANN, BOB]
    for mail in (ANN, BOB):
        done(api.put(f"/api/user/{mail}", name="Änn", quota=5))
        assert api.get(f"/api/user/{mail}").json()["_data"]["cn"] == ["Änn"]
        assert api.post(f"/api/verify_password/user/{mail}", password=PASSWORD).json()["_success"]
    assert world.attributes(f"uid=ann,ou=Users,{home}")["mailQuota"] == {"5242880"}

    done(api.post(f"/api/alias/{INFO}", members=f"{ANN},{BOB}"))
    done(api.post(f"/api/maillist/{CREW}", members=f"{ANN},x@far.test"))
    done(api.put(f"/api/domain/{FIRM}", addAliasDomain="firma.test"))
    assert postfix.recipients("crew@firma.test") == {ANN, "x@far.test"}
    assert postfix.recipients("info@firma.test") == {ANN, BOB}
    assert postfix.recipients(f"nobody@{FIRM}") == {"x@far.test"}
    assert api.get(f"/api/aliases/{FIRM}", email_only="yes").json()["_data"] == [INFO]
    assert api.get(f"/api/maillist/{CREW}").json()["_data"]["members"] == [ANN, "x@far.test"]

    done(api.put(f"/api/domain/{FIRM}", accountStatus="disabled"))
    assert world.attributes(f"uid=ann,ou=Users,{home}")["domainStatus"] == {"disabled"}
    done(api.put(f"/api/domain/{FIRM}", accountStatus="active"))
    assert broken(world) == []

    done(api.post(f"/api/user/{ANN}/change_email/anna@{FIRM}"))
    assert world.entry(f"mail=anna@{FIRM},ou=Users,{home}")
    done(api.post(f"/api/user/anna@{FIRM}/change_email/anna@other.test"))
    anna = world.tree.user("anna@other.test")
    assert world.attributes(f"mail={CREW},ou=Groups,{home}")["member"] == {anna}
    assert postfix.recipients(CREW) == {"anna@other.test", "x@far.test"}
    done(api.post(f"/api/user/anna@other.test/change_email/{ANN}"))
    assert world.entry(f"mail={ANN},ou=Users,{home}")
    assert postfix.recipients(INFO) == {ANN, BOB}
    for path in (f"user/{ANN}", f"alias/{INFO}", f"maillist/{CREW}"):
        done(api.delete(f"/api/{path}"))
        refused(api.get(f"/api/{path}"), 404, "NO_SUCH_ACCOUNT")
    done(api.delete(f"/api/domain/{FIRM}"))
    assert world.entry(home) is None


@every_name
def test_an_admin_of_such_a_domain(api: Client, served: Served, world: World, home: str) -> None:
    """They log in, and manage what is in it and nothing else."""
    plant(world, home)
    done(api.post("/api/domain/other.test"))
    done(api.post("/api/user/eve@other.test", password=PASSWORD))
    done(api.put(f"/api/domain/admins/{FIRM}", addAdmin=ANN))
    ann = served.client().log_in(ANN, PASSWORD)
    assert list(ann.get("/api/domains").json()["_data"]) == [FIRM]
    done(ann.post(f"/api/user/{BOB}", password=PASSWORD))
    done(ann.post(f"/api/maillist/{CREW}", members=f"{BOB},eve@other.test"))
    # Whoever is not his is a member elsewhere: their account is not touched.
    assert world.attributes(f"mail={BOB},ou=Users,{home}")["memberOfGroup"] == {CREW}
    assert "memberOfGroup" not in world.attributes(world.tree.user("eve@other.test"))
    refused(ann.get("/api/user/eve@other.test"), 403, "PERMISSION_DENIED")
    assert f"dn: mail={BOB},".encode() in ann.get(f"/api/ldif/user/{BOB}", format="ldif").content


@every_name
def test_an_export_of_such_a_domain_comes_back(
    api: Client, world: World, home: str, tmp_path: Path
) -> None:
    """By API and command, of all kinds: the same bytes, which verify and restore take."""
    plant(world, home)
    done(api.post(f"/api/alias/{INFO}", members=ANN))
    done(api.post(f"/api/maillist/{CREW}", members=f"{ANN},x@far.test"))
    done(api.put(f"/api/domain/{FIRM}", catchall=ANN))
    done(api.put(f"/api/domain/admins/{FIRM}", addAdmin=ANN))
    selections: list[tuple[SelectionKind, str, int]] = [
        ("domain", FIRM, 10),
        ("user", ANN, 1),
        ("catchall", FIRM, 1),
        ("alias", INFO, 1),
        ("maillist", CREW, 2),
    ]
    for kind, name, number in selections:
        text = exported(world, kind, name)
        assert text.endswith(b"# entries: %d\n" % number)
        assert text == exported(world, kind, name, "python-ldap")
        with closing(child_process.start(settings(world), Selection(kind, name))) as child:
            assert text == b"".join(child)
        if kind != "catchall":
            assert text == api.get(f"/api/ldif/{kind}/{name}", format="ldif").content
    alone = api.get(f"/api/ldif/domain/{FIRM}", format="ldif", subtree="no").text
    assert (alone.count("dn: "), f"domainName: {FIRM}" in alone) == (1, True)

    before, file = world.snapshot(), tmp_path / "firm.ldif"
    file.write_bytes(exported(world, "domain", FIRM))
    assert verify.verify(io.BytesIO(file.read_bytes())).ok
    with closing(Directory(settings(world, "vmailadmin", WRITER_PASSWORD))) as directory:
        there = plan_restore(file, directory)
        assert (there.ok, there.add) == (True, 0)
        done(api.delete(f"/api/domain/{FIRM}"))
        plan = plan_restore(file, directory)
        assert (plan.ok, plan.add) == (True, 10)
        assert not [w for w in plan.warnings if "its admin" in w.reason]
        execution.execute(plan, directory)
    assert world.snapshot() == before
    assert exported(world, "domain", FIRM) == file.read_bytes()


@every_name
def test_a_rename_out_of_such_a_domain_is_finished(api: Client, world: World, home: str) -> None:
    """It broke off when the entry had its new name: mentions by the old DN follow."""
    plant(world, home)
    done(api.post("/api/domain/other.test"))
    done(api.post(f"/api/user/{BOB}", password=PASSWORD))
    done(api.post("/api/maillist/crew@other.test", members=BOB))
    new = "rob@other.test"
    world.set(f"mail={BOB},ou=Users,{home}", shadowAddress=[BOB, new])
    connection = world.connect()
    above = world.tree.container("other.test", "Users")
    connection.rename_s(f"mail={BOB},ou=Users,{home}", f"mail={new}", above)
    connection.unbind_s()

    done(api.post(f"/api/user/{BOB}/change_email/{new}"))

    crew = world.attributes(world.tree.maillist("crew@other.test"))
    assert crew["member"] == {world.tree.user(new)}
    assert "shadowAddress" not in world.attributes(world.tree.user(new))


def test_two_domains_of_one_name_are_refused(api: Client, world: World) -> None:
    """Nobody can say which one was meant: both are named, and nothing changes."""
    one, other = NAMES["another attribute"], world.tree.domain(FIRM)
    plant(world, one)
    done(api.post("/api/domain/far.test"))
    done(api.post("/api/user/eve@far.test", password=PASSWORD))
    world.add(other, objectClass="mailDomain", domainName=FIRM, accountStatus="active")
    both, before = sorted([one, other]), world.snapshot()
    for answer in (
        api.get(f"/api/domain/{FIRM}"),
        api.put(f"/api/domain/{FIRM}", defaultQuota=5),
        api.delete(f"/api/domain/{FIRM}"),
        api.post(f"/api/user/{BOB}", password=PASSWORD),
        api.post(f"/api/alias/{INFO}", members="x@far.test"),
        api.post(f"/api/maillist/{CREW}", members="x@far.test"),
        api.post(f"/api/user/eve@far.test/change_email/eve@{FIRM}"),
        api.get(f"/api/ldif/domain/{FIRM}"),
        api.get(f"/api/ldif/user/{ANN}"),
        api.get(f"/api/ldif/maillist/{CREW}"),
        api.get(f"/api/ldif/catchall/{FIRM}"),
    ):
        assert (answer.status_code, answer.json().get("_msg")) == (409, "AMBIGUOUS_ACCOUNT")
        assert answer.json()["_data"] == {"entries": both}
    # Which account is meant nobody doubts; an export is restored into one of them.
    assert api.get(f"/api/user/{ANN}").status_code == 200
    assert api.get("/api/domains", name_only="yes").json()["_data"] == ["far.test", FIRM]
    paged = api.get("/api/domains", name_only="yes", limit=2)
    assert paged.json()["_data"] == ["far.test", FIRM]
    assert "X-Next-Cursor" not in paged.headers
    assert world.snapshot() == before
    kinds: list[tuple[SelectionKind, str]] = [("domain", FIRM), ("user", ANN)]
    for kind, name in kinds:
        with pytest.raises(AmbiguousAccount, match="cn=Firm"):
            exported(world, kind, name)
    assert ("domain-shared", other) in broken(world)


def test_two_accounts_of_one_address_are_refused_by_the_command(world: World) -> None:
    """As by the API; and a name that nobody has is told apart from it."""
    home = NAMES["two attributes"]
    plant(world, home)
    nobodys: list[tuple[SelectionKind, str]] = [
        ("user", BOB),
        ("user", "ann@far.test"),
        ("domain", "far.test"),
    ]
    for kind, name in nobodys:
        with pytest.raises(NoSuchAccount):
            exported(world, kind, name)
    world.add(
        f"cn=Ann,ou=Users,{home}",
        objectClass=["inetOrgPerson", "mailUser"],
        cn="Ann",
        sn="Ann",
        uid="anna",
        mail=ANN,
    )
    for choice in READER_NAMES:
        with pytest.raises(AmbiguousAccount, match="uid=ann"):
            exported(world, "user", ANN, choice)
