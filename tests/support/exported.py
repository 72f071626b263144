"""Small directories to export from, and what may happen to them meanwhile."""

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import ldif

from iredldap.config.ldap import LdapSettings
from iredldap.config.settings import Secret
from iredldap.dit import base, passwords
from iredldap.dit.entry import encoded
from iredldap.dit.mail_names import domain_of
from iredldap.dit.names import CONTAINERS, Tree
from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from iredldap.gateways.ldap import servers
from iredldap.ldif.writer import record
from iredldap.shipped import shipped
from ldif_export.backup import full
from ldif_export.manifest import Manifest
from ldif_export.readers import choice
from ldif_export.readers.base import Projection
from ldif_export.selection import Search, Selection, searches
from tests.support.patience import PATIENCE, started

SUFFIX = "dc=example,dc=org"
TREE = Tree(SUFFIX)
SECRET = "reads and writes"

Entry = tuple[str, dict[str, list[bytes]]]


def hashed(word: str) -> bytes:
    return passwords.hashed(word, "SSHA", b"pepper-pepper-pp").encode()


def account(dn: str, kind: str, attribute: str, value: str, **more: list[bytes]) -> Entry:
    return dn, {"objectClass": [kind.encode()], attribute: [value.encode()], **more}


def domain(name: str, **more: list[bytes]) -> list[Entry]:
    return [
        account(TREE.domain(name), "mailDomain", "domainName", name, **more),
        *(account(TREE.container(name, u), "organizationalUnit", "ou", u) for u in CONTAINERS),
    ]


def user(mail: str, **more: list[bytes]) -> Entry:
    local = mail.partition("@")[0].encode() or b"catch-all"
    return TREE.user(mail), {
        "objectClass": [b"inetOrgPerson", b"mailUser", b"shadowAccount", b"amavisAccount"],
        "mail": [mail.encode()],
        **{attribute: [local] for attribute in ("cn", "sn", "uid")},
        "userPassword": [hashed(mail)],
        "enabledService": [b"mail", b"deliver", b"smtp", b"imap"],
        "accountStatus": [b"active"],
        **more,
    }


def settings(server: Slapd, name: str = "vmail") -> LdapSettings:
    return LdapSettings(
        uri=(server.ldapi,),
        suffix=SUFFIX,
        bind_dn=f"cn={name},{SUFFIX}",
        bind_password=Secret(SECRET),
        network_timeout=PATIENCE,
        operation_timeout=PATIENCE,
    )


@contextmanager
def connected(server: Slapd, name: str = "vmailadmin") -> Iterator[Any]:
    connection = servers.connect(settings(server, name))
    try:
        yield connection
    finally:
        connection.unbind_ext()


@contextmanager
def running(
    home: Path,
    more: Iterable[Entry],
    *,
    syncprov: bool = False,
    extra: str = "",
    states: Sequence[str] = (),
) -> Iterator[Slapd]:
    """Run a server with a tree; `states` are what replication has come to, in its `contextCSN`."""
    server = Slapd(
        home=home,
        suffix=SUFFIX,
        schema_dir=shipped("schema"),
        port=free_port(),
        syncprov=syncprov,
        extra=extra,
    )
    (suffix, top), *others = base.entries(TREE, hashed(SECRET).decode(), hashed(SECRET).decode())
    if states:
        top["contextCSN"] = encoded(states)
    installation = base.ldif(iter([(suffix, top), *others]))
    server.prepare(installation + b"".join(record(*entry) for entry in more))
    started(server)
    try:
        yield server
    finally:
        server.stop()


def located(selection: Selection) -> tuple[Search, ...]:
    """Give the searches of a selection, where iRedMail's own tools have made the domain."""
    return searches(selection, TREE, TREE.domain(domain_of(selection.name)))


def plain(server: Slapd, selection: Selection, searches: Iterable[Search]) -> bytes:
    """What a plain export of a directory gives that nobody writes to."""
    with closing(choice.connect(settings(server), Projection(selection))) as reader:
        return b"".join(full.export(reader, searches, passwords=selection.has_passwords))


def parsed(text: bytes) -> list[Entry]:
    reader = ldif.LDIFRecordList(io.BytesIO(text))
    reader.parse()
    return list(reader.all_records)


def first_format(manifest: Manifest, entries: Path) -> tuple[Manifest, Path]:
    """What a version with format 1 would have written: no CSN but the largest of all servers."""
    lines = entries.read_text().splitlines()
    listed = [f"{uuid} {dn}\n" for uuid, _, dn in (line.split(" ", 2) for line in lines)]
    path = entries.with_suffix(".first")
    path.write_text("".join(listed))
    return replace(manifest, format=1, csns=()), path
