"""Accept values that the directory has although no new entry may have them.

The grammar of addresses is for new values. What another tool has stored may be sent again and
stays, may be removed by its exact value, and an account with such an address may be referred to.

Source: `docs/decisions/0037-the-grammar-is-for-what-is-new.md`.
"""

from collections.abc import Iterable

from iredldap import finders
from iredldap.dit import kinds, maillist, references
from iredldap.dit.entry import Entry, folded
from iredldap.dit.fields import FieldChange, Parsed, StoredAttribute, Verb
from iredldap.dit.filters import either, equals
from iredldap.dit.form_parser import settled
from iredldap.dit.plan import Query, Scope
from iredldap.dit.request import Request
from iredldap.gateways.directory import Directory

_EVERYWHERE = ("shadowAddress", *sorted(references.ADDRESSES))


def resolve(directory: Directory, wanted: Request) -> Parsed:
    """Resolve the odd values of a request by the values that the entries of its path have.

    It costs a search or two, and only where there are such values.

    Raises:
        InvalidMail, InvalidParameter: If no value of a parameter is left.
    """
    parsed = wanted.parsed
    if not parsed.odd:
        return parsed
    found = directory.find(_query(directory, wanted))
    referred = {
        value
        for change in parsed.odd
        if change.verb is not Verb.REMOVE and change.field.kind.read is not kinds.ACCOUNTS.read
        for value in change.values
        if "@" in value
    }
    accounts = finders.holders(directory, referred, ("objectClass",))

    def accepted(change: FieldChange, value: str) -> str | None:
        for stored in _stored(wanted, change, found):
            if folded(stored) == value:
                return stored if isinstance(change.field.stored_as, StoredAttribute) else value
        if value in referred & accounts.keys():
            return value
        otherwise = change.field.older_kind and change.field.older_kind.otherwise
        return otherwise(value) if otherwise else None

    return settled(parsed, accepted)


def _query(directory: Directory, wanted: Request) -> Query:
    """Search for the entries that a path names, with what belongs to them."""
    terms = []
    if mail := wanted.names.get("mail"):
        terms += [finders.own_address(mail), equals(maillist.GROUP, mail)]
    if domain := wanted.names.get("domain"):
        terms += [equals("domainName", domain), equals("mail", f"@{domain}")]
    attributes = (
        "objectClass",
        "mail",
        maillist.GROUP,
        "domainName",
        *_EVERYWHERE,
        *_plain(wanted),
    )
    return Query(directory.tree.base, Scope.SUBTREE, either(*terms), attributes)


def _plain(wanted: Request) -> set[str]:
    """Return the attributes that the odd values of a request are stored in."""
    rows = (change.field.stored_as for change in wanted.parsed.odd)
    return {storage.name for storage in rows if isinstance(storage, StoredAttribute)}


def _stored(wanted: Request, change: FieldChange, found: Iterable[Entry]) -> Iterable[str]:
    """Yield the values that a parameter has in the entries that were found."""
    storage, name = change.field.stored_as, wanted.names.get("mail") or wanted.names["domain"]
    for entry in found:
        if storage == maillist.MEMBERS:
            if entry.has(maillist.GROUP, name):
                yield from entry.texts("mail")
        elif change.field.name == "catchall":
            if entry.has("mail", f"@{name}"):
                yield from entry.texts("mailForwardingAddress")
        elif entry.has("mail", name) or entry.has("domainName", name):
            attributes = (storage.name,) if isinstance(storage, StoredAttribute) else _EVERYWHERE
            for attribute in attributes:
                yield from entry.texts(attribute)
