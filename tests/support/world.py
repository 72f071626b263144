"""The directory under test: names and passwords in it, and reading and writing beside the API."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import ldap
from ldap.ldapobject import SimpleLDAPObject

from iredldap.dit import base, passwords
from iredldap.dit.entry import Entry
from iredldap.dit.names import Tree
from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from iredldap.shipped import shipped
from tests.support.patience import PATIENCE

SUFFIX = "dc=example,dc=com"
ADMIN = "root@admins.test"
ADMIN_PASSWORD = "correct horse battery"
READER_PASSWORD = "reader's secret"
WRITER_PASSWORD = "writer's secret"

UNFLUSHED = "dbnosync"
"""A line for slapd.conf: writes need not survive the machine, only the server."""


def salted(password: str) -> str:
    return passwords.hashed(password, "SSHA", os.urandom(16))


def new_server(home: Path) -> Slapd:
    """Make a slapd, not started, with nothing in its directory but the first admin."""
    server = Slapd(
        home=home,
        suffix=SUFFIX,
        schema_dir=shipped("schema"),
        port=free_port(),
        extra=UNFLUSHED,
    )
    server.prepare(first_tree())
    return server


def first_tree() -> bytes:
    """Give the LDIF of a directory with nothing in it but the first admin."""
    tree = Tree(SUFFIX)
    admin = base.global_admin_entry(tree, ADMIN, salted(ADMIN_PASSWORD), "20000")
    made = [*base.entries(tree, salted(READER_PASSWORD), salted(WRITER_PASSWORD)), admin]
    return base.ldif(iter(made))


@dataclass
class World:
    """The directory under test, as somebody beside the API sees it."""

    slapd: Slapd
    tree: Tree
    made: list[str] = field(default_factory=list)

    @property
    def reader(self) -> tuple[str, str]:
        """Bind DN and password of Postfix and Dovecot."""
        return f"cn=vmail,{SUFFIX}", READER_PASSWORD

    def connect(self, dn: str | None = None, password: str = WRITER_PASSWORD) -> SimpleLDAPObject:
        """Bind, as cn=vmailadmin unless said otherwise."""
        connection = ldap.initialize(self.slapd.uri)
        connection.timeout = PATIENCE
        connection.simple_bind_s(dn or f"cn=vmailadmin,{SUFFIX}", password)
        return connection

    def entry(self, dn: str) -> Entry | None:
        """Read an entry with its operational attributes."""
        connection = self.connect()
        try:
            found = connection.search_s(dn, ldap.SCOPE_BASE, "(objectClass=*)", ["*", "+"])
        except ldap.NO_SUCH_OBJECT:
            return None
        finally:
            connection.unbind_s()
        return Entry(*found[0])

    def attributes(self, dn: str) -> dict[str, set[str]]:
        """Read an entry as sets of texts, without operational attributes."""
        connection = self.connect()
        try:
            (_, found), *_ = connection.search_s(dn, ldap.SCOPE_BASE)
        finally:
            connection.unbind_s()
        return {name: {value.decode() for value in values} for name, values in found.items()}

    def find(self, filter_: str = "(objectClass=*)", base_dn: str | None = None) -> list[Entry]:
        """Search below the domains."""
        connection = self.connect()
        try:
            found = connection.search_s(base_dn or self.tree.base, ldap.SCOPE_SUBTREE, filter_)
        except ldap.NO_SUCH_OBJECT:
            return []
        finally:
            connection.unbind_s()
        return [Entry(dn, attributes) for dn, attributes in found]

    def modify(self, dn: str, *changes: tuple[int, str, list[bytes] | None]) -> None:
        connection = self.connect()
        connection.modify_s(dn, list(changes))
        connection.unbind_s()

    def set(self, dn: str, **attributes: str | list[str] | None) -> None:
        """Replace attributes; None removes one."""
        self.modify(dn, *(
            (ldap.MOD_REPLACE, name, [v.encode() for v in _listed(value)] or None)
            for name, value in attributes.items()
        ))  # fmt: skip

    def add(self, dn: str, **attributes: str | list[str]) -> None:
        connection = self.connect()
        connection.add_s(
            dn, [(name, [v.encode() for v in _listed(value)]) for name, value in attributes.items()]
        )
        connection.unbind_s()

    def snapshot(self) -> dict[str, dict[str, list[bytes]]]:
        """Everything below the suffix that a client can change, to compare."""
        connection = self.connect()
        try:
            return {
                dn: {name: sorted(values) for name, values in attributes.items()}
                for parent in (self.tree.base, self.tree.admin_base)
                for dn, attributes in connection.search_s(parent, ldap.SCOPE_SUBTREE)
            }
        finally:
            connection.unbind_s()

    def wipe(self) -> None:
        """Take away every domain and admin but the first one, who is made active again."""
        first = (self.tree.base, self.tree.admin_base, self.tree.admin(ADMIN))
        kept = {dn.lower() for dn in first}
        connection = self.connect()
        for parent in (self.tree.base, self.tree.admin_base):
            found = connection.search_s(parent, ldap.SCOPE_SUBTREE, attrlist=["1.1"])
            for dn in sorted((dn for dn, _ in found), key=lambda dn: -len(ldap.dn.str2dn(dn))):
                if dn.lower() not in kept:
                    connection.delete_s(dn)
        connection.unbind_s()
        self.set(self.tree.admin(ADMIN), accountStatus="active")


def _listed(value: str | list[str] | None) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else value
