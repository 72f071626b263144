"""Memberships that rows want, made list by list."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from iredldap import finders
from iredldap.desired.rows import LISTS, Outcome, StoredRefusal
from iredldap.dit import alias, maillist, subscribable
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Field, FieldChange, Parsed, Table
from iredldap.dit.request import Request
from iredldap.errors import MlmmjadminUnavailable, NoSuchAccount, Refusal
from iredldap.operations import aliases
from iredldap.operations.context import Context, Operation
from iredldap.operations.lists import maillists
from iredldap.operations.lists import subscribable as subscribable_lists


@dataclass(frozen=True, slots=True)
class _Kind:
    """How members of one type of list are added."""

    endpoint: str
    operation: Operation
    row: Field
    beside: tuple[FieldChange, ...] = ()


def _adding(table: Table) -> Field:
    return next(row for row in table if row.name == "addMember")


_ALIAS = _Kind("alias_update", aliases.update, _adding(alias.UPDATE))
_MAILLIST = _Kind("maillist_update", maillists.update, _adding(maillist.UPDATE))
_ML = _Kind(
    "ml_update",
    subscribable_lists.update,
    subscribable.ADD_SUBSCRIBERS,
    # Who makes the accounts vouches for them: nobody is asked whether they want to be a member.
    (FieldChange(subscribable.CONFIRM, ("no",)),),
)


@dataclass(frozen=True, slots=True)
class NewMembers:
    """The request that adds members to a list, and its operation."""

    wanted: Request
    operation: Operation
    members: tuple[str, ...]


class Lists:
    """The lists that rows name, found together.

    Args:
        context: Where, and for whom.
        wanted: Their addresses.
    """

    def __init__(self, context: Context, wanted: Iterable[str]) -> None:
        self._context = context
        self._found: dict[str, Entry] = {}
        for mail, entries in finders.holders(context.directory, wanted).items():
            lists = [entry for entry in entries if _kind_of(entry) and entry.has("mail", mail)]
            if lists:
                self._found[mail] = lists[0]

    def require(
        self, wanted: Sequence[str], permit: Callable[[Request], None], of: Request
    ) -> None:
        """Check that lists exist, and that the caller may add members to them.

        Args:
            wanted: Their addresses.
            permit: Refuses a request that the caller may not make.
            of: Who asks.

        Raises:
            NoSuchAccount: If one does not exist.
            PermissionDenied: If the caller may not change one, whether it exists or not.
        """
        for mail in wanted:
            # Before it is said that there is none: whoever may not read it learns nothing.
            entry = self._found.get(mail)
            kind = (_kind_of(entry) if entry else None) or _ALIAS
            try:
                permit(_adding_to(kind, mail, (), of))
            except Refusal as refusal:
                refusal.parameter = LISTS.name
                raise
        missing = [mail for mail in wanted if mail not in self._found]
        if missing:
            raise NoSuchAccount(f"no list {', '.join(missing)}", parameter=LISTS.name)

    def request(self, mail: str, members: Iterable[str], of: Request) -> NewMembers:
        """Return the request that adds members to a list."""
        entry = self._found[mail]
        kind = _kind_of(entry)
        assert kind
        addresses = tuple(members)
        return NewMembers(_adding_to(kind, mail, addresses, of), kind.operation, addresses)

    def _lacking(
        self, outcomes: Iterable[Outcome]
    ) -> Iterator[tuple[str, list[str], Refusal | None]]:
        """Yield lists with the members that they lack; or with all, and why that is not known."""
        wanted = {one.row.mail: one.row.lists for one in outcomes if one.row.lists}
        found = finders.holders(self._context.directory, wanted, (maillist.GROUP, "mail"))
        held = {
            mail: {group for entry in entries for group in entry.lowered(maillist.GROUP)}
            for mail, entries in found.items()
        }
        by_list = defaultdict[str, list[str]](list)
        for mail, lists in wanted.items():
            for name in lists:
                by_list[name].append(mail)
        for name, members in by_list.items():
            try:
                there = self._members(name, held)
            except MlmmjadminUnavailable as refusal:
                yield name, members, refusal
                continue
            lacking = [mail for mail in members if mail not in there]
            if lacking:
                yield name, lacking, None

    def joined(
        self,
        outcomes: Sequence[Outcome],
        of: Request,
        refused: Callable[[NewMembers], Refusal | None],
    ) -> dict[int, Outcome]:
        """Make the memberships that are missing; return what became of rows by then, by line.

        Args:
            outcomes: What became of rows whose accounts are there.
            of: Who asks.
            refused: Adds members to a list, and returns why not.
        """
        found = {one.row.mail: one for one in outcomes}
        for name, members, unknown in self._lacking(found.values()):
            refusal = unknown or refused(self.request(name, members, of))
            for mail in members:
                found[mail] = found[mail].with_list(name, refusal and refused_by(name, refusal))
        return {one.row.line: one for one in found.values()}

    def _members(self, name: str, held: Mapping[str, set[str]]) -> set[str]:
        entry = self._found[name]
        match _kind_of(entry):
            case kind if kind is _ALIAS:
                return entry.lowered(alias.MEMBERS)
            case kind if kind is _ML:
                lists = self._context.outside.mlmmjadmin
                subscribers = lists.subscribers(name).values()
                return {member for members in subscribers for member in members}
            case _:
                return {mail for mail, groups in held.items() if name in groups}


def _adding_to(kind: _Kind, mail: str, members: tuple[str, ...], of: Request) -> Request:
    changes = (FieldChange(kind.row, members, kind.row.verb), *kind.beside)
    return Request(kind.endpoint, {"mail": mail}, Parsed(changes), client=of.client, token=of.token)


def refused_by(name: str, refusal: Refusal) -> Refusal:
    """Return the refusal of a membership as one of a row: it names the parameter and the list."""
    return StoredRefusal(refusal.codes, (LISTS.name,), f"{name}: {refusal.detail}")


def _kind_of(entry: Entry) -> _Kind | None:
    if entry.has("objectClass", "mailAlias"):
        return _ALIAS
    if not entry.has("objectClass", "mailList"):
        return None
    return _MAILLIST if maillist.is_maillist(entry) else _ML
