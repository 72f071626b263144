"""What the directory would refuse is known before the first write, and what can be done is done.

Entries are planted as other tools leave them. A refusal leaves every entry in the state (entryCSN)
in which it was.
"""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import ldap
import pytest
import requests

from iredldap.dit import base, names
from iredldap.dit.consistency.checks import examine
from iredldap.dit.entry import Entry
from iredldap.dit.names import Tree
from iredldap.dit.plan import Outside
from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from iredldap.gateways.ldap.requests import MANAGE
from iredldap.operations.outside_systems import OutsideSystems
from iredldap.shipped import shipped
from tests.support.client import Client, done
from tests.support.patience import PATIENCE, started
from tests.support.serving import Served
from tests.support.world import (
    ADMIN,
    ADMIN_PASSWORD,
    READER_PASSWORD,
    SUFFIX,
    WRITER_PASSWORD,
    World,
    salted,
)

PASSWORD = "a good password"
CORP, OTHER = "corp.test", "other.test"
ANN, BOB = f"ann@{CORP}", f"bob@{CORP}"
DOMAIN = f"domainName={CORP},o=domains,{SUFFIX}"
GROUP = f"cn=sales,domainName={OTHER},o=domains,{SUFFIX}"

Everything = dict[str, dict[str, list[bytes]]]


def everything(world: World) -> Everything:
    """Every entry below the suffix with its state."""
    connection = world.connect()
    try:
        found = connection.search_ext_s(
            SUFFIX, ldap.SCOPE_SUBTREE, attrlist=["*", "entryCSN"], serverctrls=[MANAGE]
        )
    finally:
        connection.unbind_s()
    return dict(found)


def dns_below(world: World, dn: str) -> set[str]:
    """DNs of an entry and of all below it."""
    return {found for found in everything(world) if names.is_within(found, dn)}


def refused(answer: requests.Response, status: int, code: str) -> dict[str, Any]:
    """Insist on a refusal, and give what it tells besides."""
    said = answer.json()
    assert (answer.status_code, said["_success"], said["_msg"]) == (status, False, code), said
    return dict(said.get("_data", {}))


@pytest.fixture
def corp(api: Client, world: World) -> Iterator[World]:
    """Two domains, two users of one."""
    for name in (CORP, OTHER):
        done(api.post(f"/api/domain/{name}"))
    for mail in (ANN, BOB):
        done(api.post(f"/api/user/{mail}", password=PASSWORD))
    yield world
    connection = world.connect()
    for dn in sorted(dns_below(world, world.tree.base), key=names.depth, reverse=True):
        if dn != world.tree.base:
            connection.delete_ext_s(dn, [MANAGE])
    connection.unbind_s()


def plant_address_book(world: World, above: str) -> set[str]:
    """What a groupware keeps below an account."""
    book = f"ou=personal,{above}"
    world.add(book, objectClass="organizationalUnit", ou="personal")
    contacts = {f"uid=c{number},{book}" for number in range(3)}
    for number, dn in enumerate(sorted(contacts)):
        world.add(dn, objectClass="inetOrgPerson", uid=f"c{number}", cn="A Friend", sn="Friend")
    return {book, *contacts}


class TestChildren:
    @pytest.mark.parametrize("kind", ["user", "alias", "maillist"])
    def test_go_with_their_account(self, api: Client, corp: World, kind: str) -> None:
        """Leaf first, as they do with a domain; nobody else's do."""
        dn = {
            "user": corp.tree.user(ANN),
            "alias": corp.tree.alias(f"a@{CORP}"),
            "maillist": corp.tree.maillist(f"a@{CORP}"),
        }[kind]
        if kind != "user":
            done(api.post(f"/api/{kind}/a@{CORP}"))
        plant_address_book(corp, dn)
        others = plant_address_book(corp, corp.tree.user(BOB))

        done(api.delete(f"/api/{kind}/{ANN if kind == 'user' else f'a@{CORP}'}"))

        assert dns_below(corp, dn) == set()
        assert others < set(everything(corp))

    def test_go_with_the_external_members_of_a_list(self, api: Client, corp: World) -> None:
        mail = f"list@{CORP}"
        done(api.post(f"/api/maillist/{mail}", members="x@elsewhere.test"))
        plant_address_book(corp, corp.tree.externals(mail))

        done(api.delete(f"/api/maillist/{mail}"))

        assert dns_below(corp, corp.tree.externals(mail)) == set()

    @pytest.mark.parametrize("place", [CORP, OTHER])
    def test_follow_a_rename(self, api: Client, corp: World, place: str) -> None:
        """Within the domain and into another one."""
        plant_address_book(corp, corp.tree.user(ANN))

        done(api.post(f"/api/user/{ANN}/change_email/anna@{place}"))

        assert dns_below(corp, corp.tree.user(ANN)) == set()
        assert len(dns_below(corp, corp.tree.user(f"anna@{place}"))) == 5

    def test_that_no_search_finds_keep_their_account(self, api: Client, corp: World) -> None:
        """A subentry, which only who asks for subentries is shown."""
        dn = f"cn=policy,{corp.tree.user(ANN)}"
        corp.add(
            dn,
            objectClass=["subentry", "extensibleObject"],
            cn="policy",
            subtreeSpecification="{}",
        )
        before = everything(corp)

        refused(api.delete(f"/api/user/{ANN}"), 409, "HAS_CHILDREN")

        assert everything(corp) == before
        connection = corp.connect()
        connection.delete_s(dn)
        connection.unbind_s()


def plant_group(world: World, *members: str, unique: bool = False) -> None:
    attribute = "uniqueMember" if unique else "member"
    kind = "groupOfUniqueNames" if unique else "groupOfNames"
    attributes: dict[str, str | list[str]] = {attribute: [*members]}
    world.add(GROUP, objectClass=kind, cn="sales", **attributes)


class TestGroups:
    @pytest.mark.parametrize("unique", [False, True], ids=["groupOfNames", "groupOfUniqueNames"])
    def test_the_last_member_stays(self, api: Client, corp: World, *, unique: bool) -> None:
        """No group of another tool is taken away behind its back; it is named instead."""
        plant_group(corp, corp.tree.user(ANN).upper(), unique=unique)
        before = everything(corp)

        told = refused(api.delete(f"/api/user/{ANN}"), 409, "LAST_MEMBER")

        assert told["groups"] == [GROUP]
        assert everything(corp) == before

    @pytest.mark.parametrize("unique", [False, True], ids=["groupOfNames", "groupOfUniqueNames"])
    def test_others_keep_a_group_alive(self, api: Client, corp: World, *, unique: bool) -> None:
        plant_group(corp, corp.tree.user(ANN), corp.tree.user(BOB), unique=unique)

        done(api.delete(f"/api/user/{ANN}"))

        attribute = "uniqueMember" if unique else "member"
        assert corp.attributes(GROUP)[attribute] == {corp.tree.user(BOB)}

    def test_owners_managers_and_roles_lose_who_goes(self, api: Client, corp: World) -> None:
        """As members do: an account of the same name would be taken for them."""
        ann, bob = map(corp.tree.user, (ANN, BOB))
        plant_group(corp, bob)
        corp.set(GROUP, owner=[ann, bob], seeAlso=ann)
        corp.set(bob, manager=ann, secretary=[ann, bob], seeAlso=bob)
        role = f"cn=head,domainName={OTHER},o=domains,{SUFFIX}"
        corp.add(role, objectClass="organizationalRole", cn="head", roleOccupant=[ann])

        done(api.delete(f"/api/user/{ANN}"))

        assert corp.attributes(GROUP)["owner"] == {bob}
        assert "seeAlso" not in corp.attributes(GROUP)
        left = corp.attributes(bob)
        assert "manager" not in left
        assert (left["secretary"], left["seeAlso"]) == ({bob}, {bob})
        assert "roleOccupant" not in corp.attributes(role)
        assert not [one for one in examine(corp.tree, corp.find()) if one.rule == "dn-dangling"]

    def test_a_member_with_an_identifier_goes_with_its_domain(
        self, api: Client, corp: World
    ) -> None:
        """Slapd finds no such value by its DN alone: of a single account the doctor names it."""
        done(api.post(f"/api/user/cid@{OTHER}", password=PASSWORD))
        ann, bob, cid = map(corp.tree.user, (ANN, BOB, f"cid@{OTHER}"))
        plant_group(corp, *(f"{dn}#'01'B" for dn in (ann, bob)), cid, unique=True)

        done(api.delete(f"/api/user/{ANN}"))
        told = [one.dn for one in examine(corp.tree, corp.find())
                if one.rule == "member-dn-dangling"]  # fmt: skip
        assert told == [GROUP]
        done(api.delete(f"/api/domain/{CORP}"))

        assert corp.attributes(GROUP)["uniqueMember"] == {cid}

    def test_a_domain_leaves_the_persons_of_others(self, api: Client, corp: World) -> None:
        done(api.post(f"/api/user/cid@{OTHER}", password=PASSWORD))
        cid = corp.tree.user(f"cid@{OTHER}")
        corp.set(cid, manager=[corp.tree.user(ANN)], seeAlso=[f"ou=Users,{DOMAIN}", cid])

        done(api.delete(f"/api/domain/{CORP}"))

        assert "manager" not in corp.attributes(cid)
        assert corp.attributes(cid)["seeAlso"] == {cid}

    def test_an_alias_object_keeps_what_it_stands_for(self, api: Client, corp: World) -> None:
        """Its class requires the name; a rename is followed."""
        pointer = f"cn=pointer,domainName={OTHER},o=domains,{SUFFIX}"
        classes = ["alias", "extensibleObject"]
        ann = corp.tree.user(ANN)
        corp.add(pointer, objectClass=classes, cn="pointer", aliasedObjectName=ann)

        assert refused(api.delete(f"/api/user/{ANN}"), 409, "LAST_MEMBER")["groups"] == [pointer]
        done(api.post(f"/api/user/{ANN}/change_email/anna@{CORP}"))

        named = corp.attributes(pointer)["aliasedObjectName"]
        assert named == {corp.tree.user(f"anna@{CORP}")}

    def test_a_domain_with_a_last_member_of_a_group_elsewhere_stays(
        self, api: Client, corp: World
    ) -> None:
        plant_group(corp, corp.tree.user(ANN), corp.tree.user(BOB))
        before = everything(corp)

        told = refused(api.delete(f"/api/domain/{CORP}"), 409, "LAST_MEMBER")

        assert told["groups"] == [GROUP]
        assert everything(corp) == before

    def test_a_group_in_a_domain_goes_with_it(self, api: Client, corp: World) -> None:
        plant_group(corp, corp.tree.user(ANN))

        done(api.delete(f"/api/domain/{OTHER}"))

        assert GROUP not in everything(corp)

    def test_a_group_follows_a_rename(self, api: Client, corp: World) -> None:
        plant_group(corp, corp.tree.user(ANN))

        done(api.post(f"/api/user/{ANN}/change_email/anna@{OTHER}"))

        assert corp.attributes(GROUP)["member"] == {corp.tree.user(f"anna@{OTHER}")}


class TestGroupsOfWhatLiesBelow:
    """A group may name what lies below an account: its DN goes, or follows, as the account's."""

    def account(self, api: Client, world: World, kind: str) -> tuple[str, str]:
        """Path and DN of an account of a kind."""
        mail = {"user": ANN, "admin": "a@helpers.test"}.get(kind, f"a@{CORP}")
        if kind in {"alias", "maillist"}:
            done(api.post(f"/api/{kind}/{mail}"))
        if kind == "admin":
            done(api.post(f"/api/admin/{mail}", password=PASSWORD))
        dns = {"user": world.tree.user, "alias": world.tree.alias, "admin": world.tree.admin}
        return f"/api/{kind}/{mail}", dns.get(kind, world.tree.maillist)(mail)

    @pytest.mark.parametrize("unique", [False, True], ids=["groupOfNames", "groupOfUniqueNames"])
    @pytest.mark.parametrize("kind", ["user", "alias", "maillist", "admin"])
    def test_it_leaves_a_group_with_its_account(
        self, api: Client, corp: World, kind: str, *, unique: bool
    ) -> None:
        path, dn = self.account(api, corp, kind)
        below = plant_address_book(corp, dn)
        plant_group(corp, *below, corp.tree.user(BOB), unique=unique)

        done(api.delete(path))

        attribute = "uniqueMember" if unique else "member"
        assert corp.attributes(GROUP)[attribute] == {corp.tree.user(BOB)}

    @pytest.mark.parametrize("kind", ["user", "alias", "maillist", "admin"])
    def test_the_last_member_keeps_its_account(self, api: Client, corp: World, kind: str) -> None:
        path, dn = self.account(api, corp, kind)
        below = plant_address_book(corp, dn)
        plant_group(corp, *below)
        before = everything(corp)

        told = refused(api.delete(path), 409, "LAST_MEMBER")

        assert told["groups"] == [GROUP]
        assert everything(corp) == before

    def test_more_than_a_filter_names_leave_too(self, api: Client, corp: World) -> None:
        ann, bob = map(corp.tree.user, (ANN, BOB))
        contacts = [f"cn=c{number},{ann}" for number in range(101)]
        for number, dn in enumerate(contacts):
            corp.add(dn, objectClass="organizationalRole", cn=f"c{number}")
        plant_group(corp, contacts[-1], bob)

        done(api.delete(f"/api/user/{ANN}"))

        assert corp.attributes(GROUP)["member"] == {bob}

    def test_the_catchall_leaves_a_group(self, api: Client, corp: World) -> None:
        done(api.put(f"/api/domain/{CORP}", catchall=BOB))
        catchall, bob = corp.tree.catchall(CORP), corp.tree.user(BOB)
        plant_group(corp, catchall, *plant_address_book(corp, catchall), bob)

        done(api.put(f"/api/domain/{CORP}", catchall=""))

        assert corp.attributes(GROUP)["member"] == {bob}

    def test_it_leaves_a_group_with_its_domain(self, api: Client, corp: World) -> None:
        done(api.post(f"/api/user/eve@{OTHER}", password=PASSWORD))
        below = plant_address_book(corp, corp.tree.user(ANN))
        plant_group(corp, *below, corp.tree.user(f"eve@{OTHER}"))

        done(api.delete(f"/api/domain/{CORP}"))

        assert corp.attributes(GROUP)["member"] == {corp.tree.user(f"eve@{OTHER}")}

    @pytest.mark.parametrize("place", [CORP, OTHER])
    def test_it_follows_a_rename(self, api: Client, corp: World, place: str) -> None:
        """Also in a group below the account itself."""
        ann, anna = corp.tree.user(ANN), corp.tree.user(f"anna@{place}")
        below = plant_address_book(corp, ann)
        plant_group(corp, *below)
        corp.add(f"cn=own,{ann}", objectClass="groupOfNames", cn="own", member=[*below, ann])

        done(api.post(f"/api/user/{ANN}/change_email/anna@{place}"))

        there = {names.renamed_dn(dn, ann, anna) for dn in below}
        assert corp.attributes(GROUP)["member"] == there <= set(everything(corp))
        assert corp.attributes(f"cn=own,{anna}")["member"] == {*there, anna}

    def test_a_rename_that_broke_off_lets_them_follow(self, api: Client, corp: World) -> None:
        """The account has its new name already, and the mark of the rename."""
        ann, anna = corp.tree.user(ANN), corp.tree.user(f"anna@{CORP}")
        below = plant_address_book(corp, ann)
        plant_group(corp, *below)
        corp.modify(ann, (ldap.MOD_ADD, "shadowAddress", [ANN.encode(), f"anna@{CORP}".encode()]))
        connection = corp.connect()
        connection.rename_s(ann, names.rdn(anna))
        connection.unbind_s()

        done(api.post(f"/api/user/{ANN}/change_email/anna@{CORP}"))

        there = {names.renamed_dn(dn, ann, anna) for dn in below}
        assert corp.attributes(GROUP)["member"] == there <= set(everything(corp))


class TestContainers:
    """A domain of another tool may lack some."""

    @pytest.mark.parametrize(
        ("unit", "call", "made"),
        [
            ("Users", ("POST", f"/api/user/new@{OTHER}", {"password": PASSWORD}), "mail=new@"),
            ("Users", ("PUT", f"/api/domain/{OTHER}", {"catchall": ANN}), "mail=@"),
            ("Users", ("POST", f"/api/user/{ANN}/change_email/new@{OTHER}", {}), "mail=new@"),
            ("Aliases", ("POST", f"/api/alias/new@{OTHER}", {}), "mail=new@"),
            ("Groups", ("POST", f"/api/maillist/new@{OTHER}", {}), "mail=new@"),
            (
                "Externals",
                ("POST", f"/api/maillist/new@{OTHER}", {"members": "x@elsewhere.test"}),
                "memberOfGroup=new@",
            ),
        ],
    )
    def test_a_missing_one_is_made(
        self, api: Client, corp: World, unit: str, call: Any, made: str
    ) -> None:
        container = corp.tree.container(OTHER, unit)
        connection = corp.connect()
        connection.delete_s(container)
        connection.unbind_s()
        method, path, parameters = call

        done(api.call(method, path, **parameters))

        assert corp.attributes(container) == {
            "objectClass": {"organizationalUnit", "top"},
            "ou": {unit},
        }
        assert f"{made}{OTHER},{container}" in everything(corp)

    def test_none_is_made_for_what_is_refused(self, api: Client, corp: World) -> None:
        connection = corp.connect()
        connection.delete_s(corp.tree.container(OTHER, "Users"))
        connection.unbind_s()
        before = everything(corp)

        refused(api.post(f"/api/user/new@{OTHER}", password="x"), 422, "PW_SHORTER_THAN_MIN_LENGTH")
        refused(api.post("/api/user/new@nowhere.test", password=PASSWORD), 404, "NO_SUCH_ACCOUNT")

        assert everything(corp) == before


class TestReferrals:
    REFERRAL = f"ou=elsewhere,{DOMAIN}"

    @pytest.fixture
    def split(self, corp: World) -> World:
        """A domain with a referral object."""
        connection = corp.connect()
        connection.add_ext_s(
            self.REFERRAL,
            [
                ("objectClass", [b"referral", b"extensibleObject"]),
                ("ou", [b"elsewhere"]),
                ("ref", [b"ldap://127.0.0.1:1/ou=elsewhere,dc=nowhere"]),
            ],
            [MANAGE],
        )
        connection.unbind_s()
        return corp

    def test_hinder_nothing(self, api: Client, split: World) -> None:
        """What stops at them is neither a search nor a change."""
        for path in (
            f"/api/domain/{CORP}", f"/api/users/{CORP}", f"/api/user/{ANN}",
            f"/api/aliases/{CORP}",
        ):  # fmt: skip
            assert api.get(path).status_code == 200, path
        done(api.post(f"/api/alias/all@{CORP}", members=f"{ANN},{BOB}"))
        done(api.post(f"/api/maillist/list@{CORP}", members=ANN))
        done(api.put(f"/api/domain/{CORP}", accountStatus="disabled"))
        done(api.put(f"/api/domain/{CORP}", accountStatus="active"))
        done(api.put(f"/api/domain/{CORP}", addAliasDomain="alias.test"))
        done(api.post(f"/api/user/{BOB}/change_email/bert@{CORP}"))
        done(api.delete(f"/api/user/{ANN}"))
        assert self.REFERRAL in everything(split)

    def test_are_exported_deleted_and_restored_with_their_domain(
        self, api: Client, split: World
    ) -> None:
        exported = api.get(f"/api/ldif/domain/{CORP}")
        assert exported.status_code == 200
        text = exported.json()["_data"]
        assert f"dn: {self.REFERRAL}\n" in text
        assert "ref: ldap://127.0.0.1:1/ou=elsewhere,dc=nowhere\n" in text

        done(api.delete(f"/api/domain/{CORP}"))
        assert dns_below(split, DOMAIN) == set()

        restored = api.send_file("/api/ldif", text.encode())
        assert restored.json()["_success"], restored.text
        assert api.get(f"/api/ldif/domain/{CORP}").json()["_data"] == text


class TestSchema:
    def test_what_the_classes_of_an_entry_forbid_is_named(self, api: Client, corp: World) -> None:
        """A user that another tool made of another class."""
        dn = corp.tree.user(f"odd@{CORP}")
        corp.add(dn, objectClass=["account", "mailUser"], mail=f"odd@{CORP}", uid="odd",
                 accountStatus="active", shadowAddress=f"o@{CORP}")  # fmt: skip
        done(api.post(f"/api/alias/all@{CORP}", members=f"o@{CORP}"))
        before = everything(corp)

        for parameters in ({"sn": "Odd"}, {"sn": "Odd", "removeAlias": f"o@{CORP}"}):
            refused(api.put(f"/api/user/odd@{CORP}", **parameters), 422, "SCHEMA_VIOLATION")

            assert everything(corp) == before

    @pytest.mark.parametrize(
        ("stored", "sent", "left"),
        [
            ({"telephoneNumber": "+1 555"}, {"telephoneNumber": "+1555"}, {"+1555"}),
            ({"mobile": "+1-555"}, {"mobile": "+1 555,+1555, +15-55"}, {"+1 555"}),
            ({"enabledService": "MAIL"}, {"addService": "mail,Mail"}, {"MAIL"}),
            ({"enabledService": ["MAIL", "imap"]}, {"services": "mail"}, {"MAIL"}),
            (
                {"mailForwardingAddress": f"  Bob@{CORP}"},
                {"addForwarding": f"{BOB},{BOB.upper()}"},
                {f"  Bob@{CORP}"},
            ),
            ({"mailForwardingAddress": f" Bob@{CORP}"}, {"removeForwarding": BOB}, None),
        ],
    )
    def test_values_that_are_one_by_rule_are_one(
        self, api: Client, corp: World, stored: Any, sent: Any, left: set[str] | None
    ) -> None:
        """Sent twice, or in another spelling than the one that stands there."""
        dn = corp.tree.user(ANN)
        corp.set(dn, **stored)
        (attribute,) = stored

        done(api.put(f"/api/user/{ANN}", **sent))

        assert corp.attributes(dn).get(attribute) == left


@pytest.fixture
def another(tmp_path: Path) -> Iterator[Any]:
    """Start a directory of its own: ``another(maxsize=…)``; it has the first admin."""
    running: list[Slapd] = []

    def start(**options: Any) -> Slapd:
        tree = Tree(SUFFIX)
        home = tmp_path / f"slapd{len(running)}"
        server = Slapd(
            home=home, suffix=SUFFIX, schema_dir=shipped("schema"), port=free_port(), **options
        )
        admin = base.global_admin_entry(tree, ADMIN, salted(ADMIN_PASSWORD), "20000")
        made = base.entries(tree, salted(READER_PASSWORD), salted(WRITER_PASSWORD))
        server.prepare(base.ldif(iter([*made, admin])))
        running.append(started(server))
        return server

    yield start
    for server in running:
        server.stop()


def test_a_full_database_is_named(serve: Any, another: Any) -> None:
    """Reads go on; what was refused is not there."""
    directory = another(maxsize=640 * 1024)
    client = serve(ldap={"uri": [directory.uri]}).client().log_in()
    answer = None
    for number in range(400):
        answer = client.post(f"/api/domain/d{number}.test", name="x" * 1000)
        if answer.status_code != 200:
            break
    assert answer is not None
    assert (answer.status_code, answer.json()["_msg"]) == (507, "DIRECTORY_FULL")
    assert client.get("/api/domain/d0.test").status_code == 200


class Full:
    """A directory whose database is full, but for some room, with a domain that shall go."""

    SIZE = 1536 * 1024
    USERS = 30

    def __init__(self, serve: Any, another: Any) -> None:
        self.slapd: Slapd = another(maxsize=self.SIZE)
        self.served: Served = serve(ldap={"uri": [self.slapd.uri]})
        self.api = self.served.client().log_in()
        self.world = World(self.slapd, Tree(SUFFIX))
        for name in (CORP, OTHER):
            done(self.api.post(f"/api/domain/{name}"))
        for number in range(self.USERS):
            done(self.api.post(f"/api/user/u{number}@{CORP}", password=PASSWORD))
        for number in range(10):
            members = f"u{number}@{CORP},x@far.test"
            done(self.api.post(f"/api/alias/a{number}@{OTHER}", members=members))

    def fill(self, size: int = 3000) -> None:
        """Add entries of another tool until there is no room for one more."""
        connection = self.world.connect()
        for number in itertools.count():
            dn = f"ou=f{number}-{size},{self.world.tree.domain(OTHER)}"
            entry = {"objectClass": b"organizationalUnit", "description": b"x" * size}
            try:
                connection.add_s(dn, [(name, [value]) for name, value in entry.items()])
            except ldap.OTHER:
                break
        connection.unbind_s()

    def enlarge(self, more: int) -> None:
        """Raise `maxsize` by some bytes, as whoever runs the directory does."""
        self.slapd.stop()
        self.slapd._maxsize += more
        self.slapd.start(PATIENCE)

    def broken_rules(self, but: str = "cn=nothing") -> set[str]:
        """What the doctor finds, also below the domain that goes or, with its DN, but for that."""
        connection = self.world.connect()
        found = connection.search_s(SUFFIX, ldap.SCOPE_SUBTREE)
        connection.unbind_s()
        entries = (Entry(dn, values) for dn, values in found)
        return {
            violation.rule
            for violation in examine(self.world.tree, entries)
            if not names.is_within(violation.dn, but)
        }


@pytest.fixture
def full(serve: Any, another: Any) -> Full:
    return Full(serve, another)


def test_a_domain_goes_from_a_database_that_is_nearly_full(full: Full) -> None:
    """Or nothing is changed: what each deletion gives back is room for the next but one."""
    assert full.broken_rules() == set()
    full.fill()
    before = everything(full.world)
    refused(full.api.delete(f"/api/domain/{CORP}"), 507, "DIRECTORY_FULL")
    assert everything(full.world) == before

    for _ in range(20):
        full.enlarge(64 * 1024)
        before = everything(full.world)
        answer = full.api.delete(f"/api/domain/{CORP}")
        if answer.status_code == 200:
            break
        refused(answer, 507, "DIRECTORY_FULL")
        assert everything(full.world) == before

    done(answer)
    assert dns_below(full.world, full.world.tree.domain(CORP)) == set()
    assert full.broken_rules() == set()


def test_a_deletion_that_found_no_room_is_finished_when_there_is(
    full: Full, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else has filled the database in the middle of it; what is left is consistent."""
    forgetting = full.served.gateways.outside.forgetting_domains

    def filling(_: OutsideSystems, *domains: str) -> Outside:
        def work() -> None:
            forgetting(*domains).work()
            full.fill()
            full.fill(size=10)

        return replace(forgetting(*domains), work=work)

    monkeypatch.setattr(OutsideSystems, "forgetting_domains", filling)
    told = refused(full.api.delete(f"/api/domain/{CORP}"), 507, "DIRECTORY_FULL")
    monkeypatch.undo()
    assert told["done"][0] == f"modify {DOMAIN}"
    assert told["not_done"][-1] == f"delete {DOMAIN}"
    assert full.world.attributes(DOMAIN)["accountStatus"] == {"disabled"}
    assert full.broken_rules(but=DOMAIN) == set()
    assert full.broken_rules() <= {"domain-status", "container-missing"}

    full.enlarge(full.SIZE)
    done(full.api.delete(f"/api/domain/{CORP}"))

    assert dns_below(full.world, DOMAIN) == set()
    assert full.broken_rules() == set()
    for number in range(10):
        alias = full.world.tree.alias(f"a{number}@{OTHER}")
        assert full.world.attributes(alias)["mailForwardingAddress"] == {"x@far.test"}


def test_a_directory_that_takes_no_changes_is_named(serve: Any, another: Any) -> None:
    directory = another(extra="readonly on")
    client = serve(ldap={"uri": [directory.uri]}).client().log_in()
    for _ in range(2):
        refused(client.post("/api/domain/d.test"), 503, "DIRECTORY_READ_ONLY")
