"""Check the forwardings, further addresses and services that a mail user is given.

Single items that are not allowed are left out and named; a list of which none is left is refused.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

from iredldap import finders
from iredldap.dit import domain, names, user, user_entry
from iredldap.dit.entry import Entry, folded
from iredldap.dit.fields import FieldChange, StoredAttribute, Verb
from iredldap.errors import AlreadyExists, InvalidMail, InvalidParameter, Refusal, raise_all
from iredldap.gateways.directory import Directory
from iredldap.operations import targets

_DESTINATIONS = {"mailForwardingAddress", "userSenderBccAddress", "userRecipientBccAddress"}


@dataclass(frozen=True)
class Verdict:
    """Items left out of a list, the refusal if none remains, and items that a new list keeps.

    `why` says why none remains; the items follow.
    """

    left_out: Collection[str] = ()
    nothing_left: type[Refusal] = InvalidParameter
    preserved: Collection[str] = ()
    why: str = "nothing left of"


def apply(
    directory: Directory,
    entry: Entry,
    home: Callable[[], Entry],
    changes: Iterable[FieldChange],
    judge: targets.Judge | None = None,
) -> tuple[list[FieldChange], list[str]]:
    """Apply the rules to changes: return those that are allowed, and the items left out.

    Args:
        directory: Where.
        entry: The user.
        home: Returns the user's domain; called only where a rule depends on it.
        changes: What was sent.
        judge: Finds out which destinations exist; None: they are not checked.

    Raises:
        InvalidMail: For forwardings and copies none of which exist, for an address that lies
            neither in the user's domain nor in its alias domains, and for removing nothing but
            names that belong to an alias domain.
        AlreadyExists: If other accounts have every further address.
        InvalidParameter: If the role of an admin is the only service.
    """
    kept: list[FieldChange] = []
    ignored: list[str] = []
    refusals: list[Refusal] = []
    for change in changes:
        try:
            verdict = _verdict(directory, entry, home, change, judge)
            kept.append(_remaining(change, verdict))
            ignored += sorted(verdict.left_out)
        # Collected: a client that sends a whole profile learns of all that is wrong with it at
        # once.
        except (InvalidMail, AlreadyExists, InvalidParameter) as refusal:
            refusal.parameter = change.field.name
            refusals.append(refusal)
    raise_all(refusals)
    return kept, ignored


def _remaining(change: FieldChange, verdict: Verdict) -> FieldChange:
    values = tuple(value for value in change.values if value not in verdict.left_out)
    if change.values and not values:
        raise verdict.nothing_left(f"{verdict.why} {', '.join(change.values)[:200]}")
    # A parameter that replaces the whole list replaces what clients have set. Names in alias
    # domains, and the services of roles, belong to other parameters.
    preserved = sorted(verdict.preserved) if change.verb is Verb.SET else ()
    return replace(change, values=(*values, *preserved))


def _verdict(
    directory: Directory,
    entry: Entry,
    home: Callable[[], Entry],
    change: FieldChange,
    judge: targets.Judge | None,
) -> Verdict:
    match change.field.stored_as:
        case StoredAttribute(name=name) if name in _DESTINATIONS:
            return _destinations(entry, change, judge)
        case StoredAttribute(name="shadowAddress"):
            return _addresses(directory, entry, home(), change)
        case StoredAttribute(name="enabledService"):
            words = user.role_words(change, entry)
            return Verdict(words, InvalidParameter, user_entry.lasting_services(entry))
        case _:
            return Verdict()


def _destinations(entry: Entry, change: FieldChange, judge: targets.Judge | None) -> Verdict:
    """Leave out new addresses hosted here that belong to no account: mail to them would bounce."""
    storage = change.field.stored_as
    held = entry.lowered(storage.name) if isinstance(storage, StoredAttribute) else set()
    # What is stored already is not judged again: a profile can be sent back as it was read,
    # whatever became of its destinations since. The user's own address keeps a copy in the mailbox.
    others = {folded(value) for value in change.values} - entry.lowered("mail") - held
    if judge is None or change.verb is Verb.REMOVE or not others:
        return Verdict()
    return Verdict(judge.unreachable(others), InvalidMail, why="nobody has")


def _addresses(directory: Directory, entry: Entry, home: Entry, change: FieldChange) -> Verdict:
    own, held = entry.text("mail") or "", entry.lowered("shadowAddress")
    # Names in alias domains come and go with these. Were one removed here, mail to it would bounce
    # though the alias domain says that it is delivered.
    given = user_entry.names_in(domain.alias_domains(home), own.lower())
    if change.verb is Verb.REMOVE:
        words = "of an alias domain, with which it goes:"
        return Verdict(given.intersection(change.values), InvalidMail, why=words)
    wanted = set(change.values) - held
    foreign = sorted(mail for mail in wanted if not domain.has_address(home, mail))
    if foreign:
        raise InvalidMail(f"not of this domain: {', '.join(foreign)[:200]}")
    others = taken(directory, entry, wanted)
    return Verdict(others, AlreadyExists, given & held, why="an account has")


def taken(directory: Directory, entry: Entry, addresses: set[str]) -> set[str]:
    """Return those that another account has, and the account's own address."""
    found = finders.holders(directory, addresses, ())
    return {
        address
        for address, accounts in found.items()
        if any(not names.same_dn(account.dn, entry.dn) for account in accounts)
    } | (addresses & entry.lowered("mail"))
