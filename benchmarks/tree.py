"""A large directory as a provider has it, the same at every run.

Users as a new one is made by the API, near half of them with names that LDIF writes as base64,
some with a portrait, a disclaimer, further addresses or a forwarding; lists with members here and
elsewhere, aliases, catch-all accounts, domains with settings and alias domains.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

import ldap

from benchmarks.ground import ADMIN, PASSWORD, SUFFIX, global_admin
from iredldap.config.accounts import AccountSettings
from iredldap.dit import alias, domain_entry, mail_names, mailbox, maillist, passwords, user_entry
from iredldap.dit.base import Made
from iredldap.dit.entry import Entry, encoded
from iredldap.dit.names import Tree
from iredldap.embedded.slapd import Slapd

DOMAINS, USERS = 100, 200_000

_PLAIN = ("Anna", "Peter", "Maria", "Thomas", "Julia", "Martin", "Laura", "David", "Emma", "Paul")
_FOREIGN = ("Zoë", "Jürgen", "José María", "Łukasz", "Дмитрий", "Ελένη", "美咲", "فاطمة", "Søren")
_SYLLABLES = ("ber", "hof", "mann", "len", "kov", "sen", "ri", "ta", "gar", "witz", "dor", "el")
_FOREIGN_SYLLABLES = ("ß", "ø", "čić", "ñez", "ová", "ский", "子", "ğlu")
_LANGUAGES = ("en_US", "en_US", "en_US", "de_DE", "fr_FR", "it_IT", "ja_JP", "ru_RU")
_QUOTAS = (1, 1, 1, 2, 5, 10)
_FOREIGN_SHARE = 0.44
_LEGAL = (
    "This message is meant for whom it is addressed to, and may hold what is nobody else's"
    " business. Diese Nachricht ist vertraulich. Ce message est confidentiel. "
)
_BEGIN = datetime(2020, 1, 1)  # noqa: DTZ001 - local, as paths of mailboxes have it


@dataclass(frozen=True)
class Size:
    """How large a directory is.

    Args:
        users: In all.
        domains: Which have the same number of them, or one less.
    """

    users: int
    domains: int

    @classmethod
    def wanted(cls, users: int = USERS) -> "Size":
        """What the variable BENCH_USERS asks for, or as many users as given here."""
        return cls.of(int(os.environ.get("BENCH_USERS", users)))

    @classmethod
    def of(cls, users: int) -> "Size":
        """A hundred domains, or fewer if they would have less than ten users."""
        return cls(users, max(2, min(DOMAINS, users // 10)))

    def __str__(self) -> str:
        return f"{self.users:,} users in {self.domains} domains".replace(",", " ")


def entries(size: Size) -> Iterator[Made]:
    """Make an admin, and all domains, each with what is below it."""
    chance = Random(f"{size.users} {size.domains}")
    yield global_admin()
    for number in range(size.domains):
        users = size.users // size.domains + (number < size.users % size.domains)
        yield from _Domain(chance, domain_name(number), users).entries()


def domain_name(number: int) -> str:
    """Name of a domain; the youngest has the highest number."""
    return f"company{number:03d}.test"


def move_one(slapd: Slapd, size: Size) -> None:
    """Move a user of the oldest domain to the youngest: slapd finds him before his new parent."""
    tree = Tree(SUFFIX)
    old, young = domain_name(0), domain_name(size.domains - 1)
    connection = ldap.initialize(slapd.ldapi)
    connection.simple_bind_s(f"cn=vmailadmin,{SUFFIX}", PASSWORD)
    there = tree.container(young, "Users")
    connection.rename_s(tree.user(f"user1@{old}"), f"mail=moved@{young}", there)
    connection.unbind_s()


class _Domain:
    """A domain in the making."""

    def __init__(self, chance: Random, name: str, users: int) -> None:
        self._tree = Tree(SUFFIX)
        self._chance = chance
        self._name = name
        self._users = users
        self._lists = tuple(f"team{number}@{name}" for number in range(1 + users // 200))
        # Every tenth domain has another name, and then each of its users as well.
        is_renamed = chance.random() < 0.1
        self._alias_domains = (f"alias-of-{name}",) if is_renamed else ()

    def entries(self) -> Iterator[Made]:
        yield self._tree.domain(self._name), self._domain()
        for container in domain_entry.new_containers(self._tree.domain(self._name)):
            yield container.dn, dict(container.attributes)
        yield self._tree.catchall(self._name), self._catchall()
        for number in range(self._users):
            mail = self._mail(number)
            yield self._tree.user(mail), self._user(mail)
        for mail in self._lists:
            yield from self._list(mail)
        for number in range(1 + self._users // 100):
            mail = f"office{number}@{self._name}"
            yield self._tree.alias(mail), self._alias(mail)

    def _mail(self, number: int) -> str:
        return f"user{number}@{self._name}"

    def _anybody(self) -> str:
        return self._mail(self._chance.randrange(self._users))

    def _domain(self) -> dict[str, tuple[bytes, ...]]:
        further = {
            "cn": (f"Company {self._name}, Gesellschaft für Beispiele",),
            "domainAdmin": (ADMIN,),
            "domainAliasName": self._alias_domains,
            "accountSetting": (
                "defaultQuota:1024",
                "maxUserQuota:10240",
                f"numberOfUsers:{2 * self._users}",
                "minPasswordLength:10",
                "defaultLanguage:en_US",
                "disabledMailService:pop3",
                "disabledMailService:pop3secured",
            ),
            "disclaimer": (_LEGAL * 4,),
        }
        services = ("domainalias",) if self._alias_domains else ()
        made = domain_entry.new(self._name, (), "dovecot", services)
        return made | {key: encoded(values) for key, values in further.items() if values}

    def _catchall(self) -> dict[str, tuple[bytes, ...]]:
        home = Entry("", {key: [*values] for key, values in self._domain().items()})
        return domain_entry.new_catchall(home, (ADMIN,), is_active=True)

    def _user(self, mail: str) -> dict[str, tuple[bytes, ...]]:
        chance = self._chance
        given, family = self._person()
        made = _BEGIN + timedelta(seconds=chance.randrange(6 * 365 * 86400))
        attributes = {
            "cn": (f"{given} {family}",),
            "sn": (family,),
            "givenName": (given,),
            "userPassword": (passwords.hashed(PASSWORD, "SSHA512", chance.randbytes(16)),),
            "shadowLastChange": (user_entry.days_since_epoch(made.date()),),
            "mailQuota": (str(chance.choice(_QUOTAS) * 1024**3),),
            "homeDirectory": (mailbox.path(mail, "/var/vmail/vmail1", AccountSettings(), made),),
            "enabledService": user_entry.SERVICES,
            "preferredLanguage": (chance.choice(_LANGUAGES),),
            "mailboxFormat": ("maildir",),
            "mailboxFolder": ("Maildir",),
            "shadowAddress": (*self._shadows(mail), *self._own_alias(mail)),
            **self._sometimes(mail),
        }
        everything = user_entry.new(mail, (), attributes)
        if chance.random() < 0.005:
            everything["jpegPhoto"] = (_portrait(chance),)
        return everything

    def _sometimes(self, mail: str) -> dict[str, tuple[str, ...]]:
        chance = self._chance
        local = mail_names.local_part(mail)
        possible = {
            "employeeNumber": (0.3, (f"E{chance.randrange(10**6):06d}",)),
            "telephoneNumber": (0.2, (f"+49 30 {chance.randrange(10**7):07d}",)),
            "mailForwardingAddress": (0.05, (mail, f"{local}@elsewhere.test")),
            "memberOfGroup": (0.15, (chance.choice(self._lists),)),
            "disclaimer": (0.01, (_LEGAL * chance.randrange(5, 30),)),
        }
        return {key: values for key, (share, values) in possible.items() if chance.random() < share}

    def _shadows(self, mail: str) -> tuple[str, ...]:
        return tuple(f"{mail_names.local_part(mail)}@{alias}" for alias in self._alias_domains)

    def _own_alias(self, mail: str) -> tuple[str, ...]:
        has_one = self._chance.random() < 0.08
        return (f"{mail_names.local_part(mail)}.family@{self._name}",) if has_one else ()

    def _person(self) -> tuple[str, str]:
        chance = self._chance
        syllables = "".join(chance.choices(_SYLLABLES, k=3)).capitalize()
        if chance.random() >= _FOREIGN_SHARE:
            return chance.choice(_PLAIN), syllables
        return chance.choice(_FOREIGN), syllables + chance.choice(_FOREIGN_SYLLABLES)

    def _list(self, mail: str) -> Iterator[Made]:
        made = maillist.new(mail, (), self._shadows(mail), (), is_marked=False)
        members = sorted({self._tree.user(self._anybody()) for _ in range(20)})
        yield self._tree.maillist(mail), {**made, "cn": (b"Team",), "member": encoded(members)}
        strangers = [f"friend{number}@elsewhere.test" for number in range(20)]
        made = maillist.new_externals(mail, self._shadows(mail), is_marked=False)
        yield self._tree.externals(mail), {**made, "mail": encoded(strangers)}

    def _alias(self, mail: str) -> dict[str, tuple[bytes, ...]]:
        made = alias.new(mail, (), self._shadows(mail), is_marked=False)
        members = sorted({self._anybody() for _ in range(5)})
        return {**made, alias.MEMBERS: encoded(members)}


def _portrait(chance: Random) -> bytes:
    """What slapd takes for a picture."""
    return b"\xff\xd8\xff\xe0" + chance.randbytes(chance.randrange(1_000, 8_000)) + b"\xff\xd9"
