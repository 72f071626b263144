"""What stands before a round and after it: entries written and read beside the API."""

import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import ldap
import ldap.modlist
from ldap.ldapobject import SimpleLDAPObject

from iredldap.dit import admin, domain_entry, user, user_entry
from iredldap.dit.entry import Entry, encoded
from iredldap.dit.mail_names import domain_of, local_part
from iredldap.dit.names import Tree
from iredldap.ldif import writer
from tests.races.pair import Admin, Domain, Names, Plant, Subscribers, User
from tests.support.mlmmjadmin import MlmmjadminServer
from tests.support.world import ADMIN, World, salted

PASSWORD = "a good password"
Made = tuple[str, dict[str, tuple[bytes, ...]]]
Picture = Mapping[str, Mapping[str, tuple[str, ...]]]
"""DN → attributes → values, sorted; all of it as texts."""

DELETED = "maildir"
"""Under this name stand the paths of deleted mailboxes."""

_ROWS = (
    ("iredadmin", DELETED, "SELECT maildir FROM deleted_mailboxes WHERE domain LIKE ?"),
    ("iredapd", "throttle", "SELECT account || ' ' || kind FROM throttle WHERE account LIKE ?"),
    ("iredapd", "greylisting", "SELECT account FROM greylisting WHERE account LIKE ?"),
    ("amavisd", "users", "SELECT CAST(email AS TEXT) FROM users WHERE CAST(email AS TEXT) LIKE ?"),
)
"""Database, name under which values stand, and query for what ends with the name of a domain."""

_STAMP = re.compile(r"-\d{4}(?:\.\d\d){5}[^/]*/$")
# Of these each creation has others.
_VOLATILE = frozenset({"userPassword", "mailingListID"})


@dataclass
class Stage:
    """The directory, the mailing lists and the databases that races are held on.

    Args:
        world: The directory.
        lists: The stand-in for mlmmjadmin.
        databases: Folder of the three databases of iRedMail in SQLite.
    """

    world: World
    lists: MlmmjadminServer
    databases: Path
    connection: SimpleLDAPObject = field(init=False)

    def __post_init__(self) -> None:
        """Bind, and compute the one stored password that all accounts have."""
        self.connection = self.world.connect()
        self._stored = salted(PASSWORD)

    def close(self) -> None:
        self.connection.unbind_s()

    @property
    def tree(self) -> Tree:
        return self.world.tree

    def make(self, step: Plant | Subscribers, names: Names) -> None:
        """Write what a row names to the directory, or to the control files of a list."""
        if isinstance(step, Subscribers):
            self._subscribe(names.fill(step.mail), step.count)
            return
        for dn, attributes in self._made(step, names):
            given = {name: list(values) for name, values in attributes.items()}
            self.connection.add_s(dn, ldap.modlist.addModlist(given))

    def ldif(self, steps: tuple[Plant, ...], names: Names) -> bytes:
        """Return what rows name as an LDIF file."""
        made = (entry for step in steps for entry in self._made(step, names))
        return b"version: 1\n\n" + b"".join(writer.record(dn, dict(each)) for dn, each in made)

    def switch_root(self, status: str) -> None:
        """Switch the global admin of the installation on or off."""
        self.world.set(self.tree.admin(ADMIN), accountStatus=status)

    def picture(self, names: Names) -> Picture:
        """Return all entries, members of subscribable lists and rows in SQL of a round."""
        return {
            dn: attributes
            for name in list(names.values())
            for found in (
                self._domain(name),
                self._admins(name),
                self._members(name),
                self._rows(name),
            )
            for dn, attributes in found
        }

    def entries(self) -> Iterator[Entry]:
        """Give every entry below the domains and the standalone admins."""
        for base in (self.tree.base, self.tree.admin_base):
            for dn, attributes in self.connection.search_s(base, ldap.SCOPE_SUBTREE):
                yield Entry(dn, attributes)

    def wipe(self) -> None:
        """Take away every domain, admin and mailing list but the first admin."""
        self.world.wipe()
        for mail in self.lists.lists():
            shutil.rmtree(self.lists.folder(mail))

    def _made(self, step: Plant, names: Names) -> list[Made]:
        match step:
            case Domain():
                return self._new_domain(step, names)
            case User():
                return [self._new_user(step, names)]
            case Admin():
                return [self._new_admin(step, names)]

    def _new_domain(self, step: Domain, names: Names) -> list[Made]:
        name = names.fill(step.name)
        further = {
            "domainAdmin": tuple(map(names.fill, step.admins)),
            "accountSetting": tuple(map(names.fill, step.settings)),
            "accountStatus": ("active" if step.is_active else "disabled",),
        }
        given = {key: encoded(values) for key, values in further.items() if values}
        entry = {**domain_entry.new(name, (), "dovecot", ()), **given}
        containers = domain_entry.new_containers(self.tree.domain(name))
        return [(self.tree.domain(name), entry), *((c.dn, dict(c.attributes)) for c in containers)]

    def _new_user(self, step: User, names: Names) -> Made:
        mail = names.fill(step.mail)
        local, name = local_part(mail), domain_of(mail)
        rights = step.is_global or step.is_admin
        given = {
            "userPassword": (self._stored,),
            "enabledService": (*user_entry.SERVICES, *((user.ROLE,) if rights else ())),
            "mailQuota": ("104857600",),
            "preferredLanguage": ("en_US",),
            "homeDirectory": (f"/var/vmail/vmail1/{name}/{local}-2026.01.01.00.00.00/",),
            "mailForwardingAddress": tuple(map(names.fill, step.forwarding)),
            "domainGlobalAdmin": ("yes",) if step.is_global else (),
        }
        return self.tree.user(mail), user_entry.new(mail, (), given)

    def _new_admin(self, step: Admin, names: Names) -> Made:
        mail = names.fill(step.mail)
        given = {
            "userPassword": (self._stored,),
            "accountSetting": step.settings,
            "domainGlobalAdmin": ("yes" if step.is_global else "no",),
        }
        made = admin.new(mail, (), {key: values for key, values in given.items() if values})
        return self.tree.admin(mail), made

    def _subscribe(self, mail: str, count: int) -> None:
        path = self.lists.folder(mail) / "subscribers.d" / "m"
        path.write_text("".join(f"m{number:04d}@elsewhere.test\n" for number in range(count)))

    def _domain(self, name: str) -> Iterator[tuple[str, dict[str, tuple[str, ...]]]]:
        return self._search(self.tree.domain(name), "(objectClass=*)")

    def _admins(self, name: str) -> Iterator[tuple[str, dict[str, tuple[str, ...]]]]:
        return self._search(self.tree.admin_base, f"(mail=*@{name})")

    def _members(self, name: str) -> Iterator[tuple[str, dict[str, tuple[str, ...]]]]:
        for folder in sorted(self.lists.spool.glob(f"{name}/*")):
            mail = f"{folder.name}@{name}"
            members = sorted(f"{kind} {address}" for address, kind in self.lists.members(mail))
            yield f"mlmmj {mail}", {"members": tuple(members)}

    def _rows(self, name: str) -> Iterator[tuple[str, dict[str, tuple[str, ...]]]]:
        for database, attribute, query in _ROWS:
            with closing(sqlite3.connect(self.databases / f"{database}.sqlite3")) as connection:
                rows = connection.execute(query, [f"%{name}"])
                found = tuple(sorted(str(value) for (value,) in rows))
            if found:
                yield f"{database} {attribute} {name}", {attribute: found}

    def _search(self, base: str, filter_: str) -> Iterator[tuple[str, dict[str, tuple[str, ...]]]]:
        try:
            found = self.connection.search_s(base, ldap.SCOPE_SUBTREE, filter_)
        except ldap.NO_SUCH_OBJECT:
            return
        for dn, attributes in found:
            yield (
                dn,
                {
                    name: tuple(sorted(value.decode() for value in values))
                    for name, values in attributes.items()
                },
            )


def comparable(picture: Picture, names: Names) -> Picture:
    """Return a picture in which rounds are alike: without their names, salts and time stamps."""

    def plain(text: str) -> str:
        return _STAMP.sub("/", text.replace(names.token, "*"))

    return {
        plain(dn): {
            name: tuple(sorted(map(plain, values)))
            for name, values in attributes.items()
            if name not in _VOLATILE
        }
        for dn, attributes in picture.items()
    }


def difference(one: Picture, other: Picture) -> list[str]:
    """Say in which values two pictures differ: what only the first has, what only the second."""
    said = []
    for dn in sorted(one.keys() | other.keys()):
        left, right = one.get(dn), other.get(dn)
        if left is None or right is None:
            said.append(f"{'-' if right is None else '+'} {dn}")
            continue
        for name in sorted(left.keys() | right.keys()):
            ours, theirs = set(left.get(name, ())), set(right.get(name, ()))
            said += [f"- {dn} {name}: {value}" for value in sorted(ours - theirs)]
            said += [f"+ {dn} {name}: {value}" for value in sorted(theirs - ours)]
    return said
