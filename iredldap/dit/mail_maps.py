"""Answer the look-ups of Postfix and Dovecot on an iRedMail server from entries.

Each function gets the entries that have a key among their addresses or groups, or the entry of a
domain, and returns what the look-up of that name gives. Keys are in lower case.

Source: iRedMail's Postfix and Dovecot configuration; the tests compare with both programs.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from iredldap.dit import names
from iredldap.dit.entry import Entry

ACCOUNT_ATTRIBUTES = (
    "objectClass", "mail", "shadowAddress", "memberOfGroup", "mailForwardingAddress",
    "accountStatus", "domainStatus", "enabledService", "mtaTransport", "homeDirectory",
    "mailboxFormat", "mailboxFolder", "userRecipientBccAddress", "userSenderBccAddress",
    "senderRelayHost",
)  # fmt: skip
DOMAIN_ATTRIBUTES = (
    "objectClass", "domainName", "domainAliasName", "domainBackupMX", "accountStatus",
    "enabledService", "mtaTransport", "domainRecipientBccAddress", "domainSenderBccAddress",
    "senderRelayHost",
)  # fmt: skip

VIRTUAL_TRANSPORT = "dovecot"
"""Transport of mailboxes, where neither account nor domain has another."""

Rule = Literal["alias", "forwarding", "list", "subscribable list", "further address", "mailbox",
               "catch-all"]  # fmt: skip
"""Why an address is replaced: what its entry is to Postfix."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What one entry makes of an address."""

    rule: Rule
    entry: Entry
    targets: tuple[str, ...]


def is_named(entry: Entry, key: str) -> bool:
    """Return whether an entry has a key as its own address, or as a further one."""
    return entry.has("mail", key) or entry.has("shadowAddress", key)


def is_living(entry: Entry) -> bool:
    """Return whether an account is active and has the service `mail`."""
    return entry.is_active and entry.has("enabledService", "mail")


def _delivers(entry: Entry) -> bool:
    return is_living(entry) and entry.has("enabledService", "deliver")


def _is(entry: Entry, *classes: str) -> bool:
    return any(entry.has("objectClass", name) for name in classes)


def _is_mlmmj(entry: Entry) -> bool:
    return _is(entry, "mailList") and entry.has("enabledService", "mlmmj")


def rewrites(entries: Sequence[Entry], key: str) -> list[Rewrite]:
    """Return what the first of the maps of virtual aliases that knows a key makes of it.

    The maps are, in their order: aliases and forwardings, members of lists, users, and forwardings
    without a test of services, the catch-all account's among them.
    """
    # Postfix asks the tables of virtual_alias_maps in turn, and the first one that has an answer
    # ends the look-up.
    for look_up in (_forwardings, _members, _users, _catchall):
        found = [rewrite for rewrite in look_up(entries, key) if rewrite.targets]
        if found:
            return found
    return []


def _forwardings(entries: Iterable[Entry], key: str) -> Iterator[Rewrite]:
    for entry in entries:
        if not (_delivers(entry) and is_named(entry, key)):
            continue
        if _is(entry, "mailAlias"):
            yield Rewrite("alias", entry, _split(entry, "mailForwardingAddress"))
        elif _is(entry, "mailUser") and entry.has("enabledService", "forward"):
            rule: Rule = "catch-all" if key.startswith("@") else "forwarding"
            yield Rewrite(rule, entry, _split(entry, "mailForwardingAddress"))


def _members(entries: Iterable[Entry], key: str) -> Iterator[Rewrite]:
    for entry in filter(_delivers, entries):
        is_member = entry.has("memberOfGroup", key)
        has_further = entry.has("shadowAddress", key)
        if _is_mlmmj(entry) and is_named(entry, key):
            yield Rewrite("subscribable list", entry, _split(entry, "mail"))
        elif _is(entry, "mailUser", "mailExternalUser"):
            if is_member or (has_further and _is(entry, "mailExternalUser")):
                yield Rewrite("list", entry, _split(entry, "mail"))
            elif has_further:
                yield Rewrite("further address", entry, _split(entry, "mail"))
        elif _is(entry, "mailAlias", "mailList") and is_member and not has_further:
            yield Rewrite("list", entry, _split(entry, "mail"))


def _users(entries: Iterable[Entry], key: str) -> Iterator[Rewrite]:
    for entry in entries:
        if _is(entry, "mailUser") and _delivers(entry) and is_named(entry, key):
            rule: Rule = "mailbox" if entry.has("mail", key) else "further address"
            yield Rewrite(rule, entry, _split(entry, "mail"))


def _catchall(entries: Iterable[Entry], key: str) -> Iterator[Rewrite]:
    for entry in entries:
        if _is(entry, "mailUser") and is_named(entry, key) and entry.is_active:
            rule: Rule = "catch-all" if key.startswith("@") else "forwarding"
            yield Rewrite(rule, entry, _split(entry, "mailForwardingAddress"))


def _split(entry: Entry, attribute: str) -> tuple[str, ...]:
    """Return the addresses of an attribute; Postfix takes a comma for the end of one."""
    # Results of a look-up are joined by commas before they are read as addresses, so one within a
    # value divides it too.
    words = (word for value in entry.texts(attribute) for word in value.split(","))
    return tuple(word.strip().lower() for word in words if word.strip())


def mailbox(entries: Iterable[Entry], address: str) -> Entry | None:
    """Return the user whose mailbox an address names: the map of mailboxes."""
    users = (entry for entry in entries if _is(entry, "mailUser") and _delivers(entry))
    return next(
        (user for user in users if is_named(user, address) and user.values("homeDirectory")), None
    )


def account_transport(entries: Iterable[Entry], address: str, home: str) -> str | None:
    """Return the transport of an account.

    Args:
        entries: As for `rewrites`.
        address: The address, by which the account is found.
        home: DN that its domain has by default: only there Postfix looks.
    """
    for entry in entries:
        is_routed = (_is(entry, "mailUser") or _is_mlmmj(entry)) and is_living(entry)
        transport = entry.text("mtaTransport")
        if transport and is_routed and is_named(entry, address) and names.is_within(entry.dn, home):
            return transport
    return None


def is_hosted(domain: Entry, name: str) -> bool:
    """Return whether mail for a domain, or for its alias domain of that name, is accepted."""
    by_alias = domain.has("enabledService", "domainalias") and domain.has("domainAliasName", name)
    return is_served(domain) and (domain.has("domainName", name) or by_alias)


def is_served(domain: Entry) -> bool:
    """Return whether a domain is active and has the service `mail`."""
    is_active = domain.has("accountStatus", "active")
    return _is(domain, "mailDomain") and is_active and domain.has("enabledService", "mail")


def is_backup(domain: Entry) -> bool:
    """Return whether this server is only a backup MX of a domain."""
    return domain.has("domainBackupMX", "yes")


def domain_transport(domain: Entry) -> str | None:
    """Return the transport of a domain, which its alias domains have too."""
    return domain.text("mtaTransport") if is_served(domain) else None


@dataclass(frozen=True, slots=True)
class PerSender:
    """An attribute that Postfix looks up for a user first, and then for their domain.

    `service` must be among the services of either; empty: none is asked for. `by_further`: a
    further address of the user names them too.
    """

    of_user: str
    of_domain: str
    service: str = ""
    by_further: bool = True


RECIPIENT_BCC = PerSender("userRecipientBccAddress", "domainRecipientBccAddress", "recipientbcc")
SENDER_BCC = PerSender("userSenderBccAddress", "domainSenderBccAddress", "senderbcc")
RELAY_HOST = PerSender("senderRelayHost", "senderRelayHost", by_further=False)


def per_user(
    wanted: PerSender, entries: Iterable[Entry], address: str, container: str
) -> str | None:
    """Return the value for a user.

    Args:
        wanted: The look-up.
        entries: As for `rewrites`.
        address: The user's.
        container: DN of the entry that users of the address's domain are below: only there, and
            not deeper, Postfix looks.
    """
    for entry in entries:
        is_theirs = entry.has("mail", address) or (
            wanted.by_further and entry.has("shadowAddress", address)
        )
        if not (_is(entry, "mailUser") and is_living(entry) and is_theirs):
            continue
        if wanted.service and not entry.has("enabledService", wanted.service):
            continue
        value = entry.text(wanted.of_user)
        if value and names.same_dn(names.parent(entry.dn), container):
            return value
    return None


def per_domain(wanted: PerSender, domain: Entry) -> str | None:
    """Return the value for a domain; its alias domains have it too."""
    has_service = not wanted.service or domain.has("enabledService", wanted.service)
    return domain.text(wanted.of_domain) if is_served(domain) and has_service else None


def dovecot_service(transport: str) -> str | None:
    """Return the service that Dovecot delivers by with a transport; None: another program does."""
    word = transport.partition(":")[0]
    # The service decides which filter Dovecot's user database uses for the delivery.
    return {"dovecot": "lda", "lmtp": "lmtp"}.get(word)


def dovecot_user(entries: Iterable[Entry], address: str, service: str) -> Entry | None:
    """Return the user that Dovecot finds for an address: its user database."""
    for entry in entries:
        by_further = entry.has("enabledService", "shadowaddress")
        is_theirs = entry.has("mail", address) or (
            by_further and entry.has("shadowAddress", address)
        )
        is_user = _is(entry, "mailUser") and is_living(entry)
        if is_user and is_theirs and entry.has("enabledService", service):
            return entry
    return None


def location(user: Entry) -> tuple[str, str]:
    """Return home and mail location of a user, as Dovecot has them."""
    kind = (user.text("mailboxFormat") or "maildir").lower()
    # What Dovecot's configuration of iRedMail has for accounts without the attributes, which older
    # schemas lack.
    folder = user.text("mailboxFolder") or "Maildir"
    return (user.text("homeDirectory") or "").lower(), f"{kind}:~/{folder}/"


def obstacles(entry: Entry) -> list[str]:
    """Return why an account that has an address gets no mail for it."""
    found = []
    if not entry.has("accountStatus", "active"):
        found.append("disabled")
    if entry.has("domainStatus", "disabled"):
        found.append("its domain is disabled")
    found += [
        f"without service {service}"
        for service in ("mail", "deliver")
        if not entry.has("enabledService", service)
    ]
    if _is(entry, "mailAlias") and not entry.values("mailForwardingAddress"):
        found.append("no members")
    if _is(entry, "mailList") and not _is_mlmmj(entry):
        found.append("no members that get mail")
    return found
