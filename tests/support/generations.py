"""Directories as the installers of iRedMail's releases made them: schema, settings and first tree.

The schemas are made of today's, `schema/`, and of what `iredldap.dit.generations` says about each
release. What else an installer left otherwise stands here, in our own words.
"""

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from iredldap.dit.generations import GENERATIONS, TODAY, Generation, extent
from iredldap.dit.names import CONTAINERS, Tree
from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from iredldap.ldif import writer
from iredldap.shipped import shipped

POSTMASTER = "postmaster@kit.test"

_FILE = "iredmail.schema"

_FORMER = {
    "lastLoginDate": (
        "1.3.6.1.4.1.32349.1.2.2.15",
        "EQUALITY generalizedTimeMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.24 SINGLE-VALUE",
    ),
    "lastLoginIP": (
        "1.3.6.1.4.1.32349.1.2.2.16",
        "EQUALITY caseIgnoreIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 SINGLE-VALUE",
    ),
    "lastLoginProtocol": (
        "1.3.6.1.4.1.32349.1.2.2.17",
        "EQUALITY caseIgnoreIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 SINGLE-VALUE",
    ),
}
"""Attributes that today's schema does not know any more: number and definition."""

_FIRST_LIST_ID = "1.3.6.1.4.1.32349.1.2.3.5"
"""Number of mailingListID before that was given to listOwner."""


@dataclass(frozen=True)
class _Settings:
    """What an installer wrote into slapd.conf, and the words of the first user's services."""

    size_limit: str = "unlimited"
    unindexed: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    domain_services: tuple[str, ...] = ("mail",)
    parts_of_path: bool = True


_SERVICES = (
    "mail", "internal", "doveadm", "smtp", "smtpsecured", "pop3", "pop3secured", "imap",
    "imapsecured", "deliver", "lda", "lmtp", "forward", "senderbcc", "recipientbcc", "managesieve",
    "managesievesecured", "sieve", "sievesecured", "displayedInGlobalAddressBook", "shadowaddress",
    "lib-storage", "indexer-worker", "dsync", "domainadmin",
)  # fmt: skip
_SINCE_0_9_5 = (*_SERVICES, "sogo")
_SINCE_0_9_9 = (*_SINCE_0_9_5, "imaptls", "pop3tls", "sievetls", "smtptls")
_SINCE_1_4 = (*_SINCE_0_9_9, "sogoactivesync", "sogocalendar", "sogowebmail")
_NEVER_INDEXED = ("employeeNumber", "departmentNumber", "mobile")
_NO_MEMBERS = ("member", "uniqueMember", "mailingListID", *_NEVER_INDEXED)
_NO_STATES = ("entryCSN", "entryUUID", *_NO_MEMBERS)

_MADE = {
    "0.9.0": _Settings("10000", _NO_STATES, _SERVICES, ("mail", "senderbcc", "recipientbcc")),
    "0.9.5": _Settings("10000", _NO_STATES, _SINCE_0_9_5),
    "0.9.6": _Settings("10000", _NO_MEMBERS, _SINCE_0_9_5),
    "0.9.7": _Settings("10000", _NO_MEMBERS, _SINCE_0_9_5),
    "0.9.8-beta1": _Settings("10000", _NEVER_INDEXED, _SINCE_0_9_5),
    "0.9.9": _Settings(unindexed=("employeeNumber",), services=_SINCE_0_9_9),
    "1.4.0": _Settings(unindexed=("employeeNumber",), services=_SINCE_1_4),
    "1.4.2": _Settings(unindexed=("employeeNumber",), services=_SINCE_1_4),
    "1.7.2": _Settings(unindexed=("employeeNumber",), services=_SINCE_1_4, parts_of_path=False),
    "1.7.3": _Settings(services=_SINCE_1_4, parts_of_path=False),
}
"""By the first release of a generation."""


def write_schema(generation: Generation, folder: Path) -> None:
    """Write the files that `Slapd` reads, as a generation has them."""
    for file in shipped("schema").glob("*"):
        shutil.copy(file, folder)
    schema = folder / _FILE
    schema.write_text(_schema(generation, schema.read_text("utf-8")), "utf-8")
    configuration = folder / "slapd.conf"
    configuration.write_text(_configuration(generation, configuration.read_text("utf-8")), "utf-8")


def _schema(generation: Generation, text: str) -> str:
    wanted = extent(generation)
    for name in TODAY.defined - wanted.defined:
        text, count = re.subn(_definition(name), "", text, flags=re.IGNORECASE | re.DOTALL)
        assert count == 1, name
    classes = text.index("#\n# Object classes")
    former = (
        f"attributetype ( {number} NAME '{name}' DESC 'Former' {rest} )\n\n"
        for name, (number, rest) in _FORMER.items()
        if name.lower() in wanted.defined
    )
    text = text[:classes] + "".join(former) + text[classes:]
    if "listowner" not in wanted.defined:
        text = re.sub(r"\S+(?=\n    NAME 'mailingListID')", _FIRST_LIST_ID, text)
    for class_, name in TODAY.held - wanted.held:
        text = _held(text, class_, gone=name)
    for class_, name in wanted.held - TODAY.held:
        text = _held(text, class_, added=name)
    return text


def _definition(name: str) -> str:
    return rf"attributetype \( \S+\n    NAME '{name}'.*?\n\n"


def _held(text: str, class_: str, *, gone: str = "", added: str = "") -> str:
    """Change what a class may have."""
    found = re.search(rf"NAME '{class_}'.*?MAY \((.*?)\) \)", text, flags=re.IGNORECASE | re.DOTALL)
    assert found
    names = [name.strip() for name in found[1].split("$")]
    left = [name for name in (*names, added) if name and name.lower() != gone]
    return text[: found.start(1)] + f" {' $ '.join(left)} " + text[found.end(1) :]


def _configuration(generation: Generation, text: str) -> str:
    made = _MADE[generation.first]
    unknown = TODAY.defined - extent(generation).defined
    unindexed = unknown | {name.lower() for name in made.unindexed}
    text = text.replace("sizelimit unlimited", f"sizelimit {made.size_limit}")
    text = re.sub(
        r"^index (\S+) (.*)\n", lambda f: _thinned("index ", f, unindexed), text, flags=re.MULTILINE
    )
    return re.sub(r"(?<=access to attrs=)(\S+)()", lambda f: _thinned("", f, unknown), text)


def _thinned(word: str, found: "re.Match[str]", gone: Iterable[str]) -> str:
    left = ",".join(name for name in found[1].split(",") if name.lower() not in gone)
    if not word:
        return left
    return f"{word}{left} {found[2]}\n" if left else ""


def tree(generation: Generation, suffix: str, hashes: tuple[str, str, str]) -> bytes:
    """Print what an installer left: service accounts, one domain, and its postmaster.

    Args:
        generation: Of whose installer.
        suffix: Of the tree.
        hashes: Stored passwords of vmail, vmailadmin and postmaster.
    """
    made, place = _MADE[generation.first], Tree(suffix)
    label = suffix.partition(",")[0].partition("=")[2]
    entries: list[tuple[str, dict[str, tuple[str, ...]]]] = [
        (suffix, {"objectClass": ("dcObject", "organization"), "dc": (label,), "o": (label,)})
    ]
    for name, stored in zip(("vmail", "vmailadmin"), hashes, strict=False):
        classes = ("person", "shadowAccount", "top")
        entry = {"objectClass": classes, "cn": (name,), "sn": (name,), "uid": (name,)}
        entries.append((f"cn={name},{suffix}", entry | {"userPassword": (stored,)}))
    entries += [
        (place.base, {"objectClass": ("Organization",), "o": ("domains",)}),
        (place.admin_base, {"objectClass": ("Organization",), "o": ("domainAdmins",)}),
        (
            place.domain("kit.test"),
            {
                "objectClass": ("mailDomain",),
                "domainName": ("kit.test",),
                "mtaTransport": ("dovecot",),
                "accountStatus": ("active",),
                "accountSetting": ("minPasswordLength:8", "defaultQuota:1024"),
                "enabledService": made.domain_services,
            },
        ),
        *(
            (
                place.container("kit.test", unit),
                {"objectClass": ("organizationalUnit", "top"), "ou": (unit,)},
            )
            for unit in CONTAINERS
        ),
        (place.user(POSTMASTER), _postmaster(made, hashes[2])),
    ]
    return b"".join(
        writer.record(dn, {n: [v.encode() for v in values] for n, values in attributes.items()})
        for dn, attributes in entries
    )


def _postmaster(made: _Settings, stored: str) -> dict[str, tuple[str, ...]]:
    path = "vmail1/kit.test/p/o/s/postmaster-2016.01.01.00.00.00/"
    parts = {"storageBaseDirectory": ("/var/vmail",), "mailMessageStore": (path,)}
    return {
        "objectClass": ("inetOrgPerson", "shadowAccount", "amavisAccount", "mailUser", "top"),
        **dict.fromkeys(("cn", "sn", "uid", "givenName"), ("postmaster",)),
        "mail": (POSTMASTER,),
        "accountStatus": ("active",),
        "homeDirectory": (f"/var/vmail/{path}",),
        "mailQuota": ("104857600",),
        "userPassword": (stored,),
        "enabledService": made.services,
        "domainGlobalAdmin": ("yes",),
        **(parts if made.parts_of_path else {}),
    }


def slapd(generation: Generation, home: Path, suffix: str, hashes: tuple[str, str, str]) -> Slapd:
    """Prepare a server as an installer left it; it is not started yet."""
    folder = home / "schema"
    folder.mkdir()
    write_schema(generation, folder)
    server = Slapd(home=home / "slapd", suffix=suffix, schema_dir=folder, port=free_port())
    server.prepare(tree(generation, suffix, hashes))
    return server


FIRST = tuple(generation.first for generation in GENERATIONS)
"""Names of the generations, for tests: their first releases."""
