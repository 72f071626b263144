"""Giving a mail user or a mail alias another address, also in another domain.

An account under way carries both addresses, the old and the new one, among its `shadowAddress`
values: mail to either arrives before, between and after the steps, and both together are the mark
of a rename that is not finished. Asked for again, it goes on where it broke off, also when the
entry has its new name already. The last step takes the mark away; from then on the old address is
nobody's.

Source: iRedMail's directory, referential rules, user rename and alias rename.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from iredldap import finders
from iredldap.dit import domain, domain_entry, kinds, names, references, settings, user
from iredldap.dit.entry import Entry, encoded
from iredldap.dit.fields import Parsed
from iredldap.dit.filters import either, ends_with, equals, every, negated
from iredldap.dit.names import Tree
from iredldap.dit.plan import (
    Correction,
    Mod,
    Modify,
    Op,
    Plan,
    Query,
    Recheck,
    Rename,
    Scope,
    Step,
    UndoLog,
)
from iredldap.errors import (
    AlreadyExists,
    AmbiguousAccount,
    ExceededDomainAccountLimit,
    ExceededDomainQuotaSize,
    ExceededMaxUserQuota,
    NoSuchAccount,
    NotAllowed,
    PermissionDenied,
    PermissionDeniedUpdateGlobalAdminProfile,
    PreconditionFailed,
    Refusal,
    raise_all,
)
from iredldap.gateways.directory import Directory
from iredldap.operations import list_mentions, rights
from iredldap.operations.context import Context, PathVariables
from iredldap.operations.login import Caller
from iredldap.operations.mail_databases import Records
from iredldap.operations.users import users


@dataclass(frozen=True)
class Kind:
    """A kind of account: its class, its container, and the domain's setting that limits it."""

    object_class: str
    unit: str
    limit: str


USER = Kind("mailUser", "Users", "numberOfUsers")
ALIAS = Kind("mailAlias", "Aliases", "numberOfAliases")


@dataclass(frozen=True)
class Course:
    """From which address to which, and the alias domains on either side."""

    old: str
    new: str
    alias_domains_left: tuple[str, ...] = ()
    alias_domains_entered: tuple[str, ...] = ()

    @property
    def crosses(self) -> bool:
        """Whether the account leaves its domain."""
        return names.domain_of(self.old) != names.domain_of(self.new)

    @property
    def coming(self) -> tuple[str, ...]:
        """Names in alias domains that go with the new address."""
        local = names.local_part(self.new)
        return tuple(f"{local}@{name}" for name in self.alias_domains_entered)

    @property
    def going(self) -> frozenset[str]:
        """Names in alias domains that went with the old address."""
        local = names.local_part(self.old)
        return frozenset(f"{local}@{name}" for name in self.alias_domains_left)

    def dropped(self, held: set[str]) -> set[str]:
        """Further addresses that an account cannot take along into another domain.

        They lie in the old one or its alias domains, where an account of another domain may
        hold none.
        """
        if not self.crosses:
            return set()
        left = {names.domain_of(self.old), *self.alias_domains_left}
        return {a for a in held if names.domain_of(a) in left} - self.going - {self.old}

    def renamed(self, held: set[str]) -> dict[str, str]:
        """What stands for each address that is lost; `held` are the further ones it has."""
        lost = (self.going & held) | self.dropped(held)
        return {self.old: self.new} | {address: self._heir(address, held) for address in lost}

    def _heir(self, address: str, held: set[str]) -> str:
        sibling = f"{names.local_part(self.new)}@{names.domain_of(address)}"
        return sibling if sibling in held and not self.crosses else self.new


def rename_user(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan another address for a mail user, as `rename` does."""
    return rename(context, USER, path["mail"], path["new_mail"])


def rename_alias(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan another address for a mail alias, as `rename` does."""
    return rename(context, ALIAS, path["mail"], path["new_mail"])


def rename(context: Context, kind: Kind, mail: str, new_mail: str) -> Plan:
    """Plan another address for an account. Every mention of the old one follows; mailbox stays.

    Within its domain an account keeps its place and its further addresses. Into another one it does
    not take those of the old domain, which would then be out of the hands of its admins: they are
    dropped, named in `X-Ignored-Values`, and mentions of them become the new address. A name in an
    alias domain that belongs to another account is left to that, and named too.

    Global admins may rename their own account. Their cookie names the old address and ends with it.

    A second rename to yet another address, before the first is finished, leaves the first one's
    address with the account, as a further one.

    Raises:
        NoSuchAccount: If there is no such account, or no domain of the new address; an alias
            domain is none.
        AlreadyExists: If the new address belongs to another account, or is the old one.
        PermissionDeniedUpdateGlobalAdminProfile: If a normal admin names a global one.
        PermissionDenied: If the caller, or the last active global admin, would come into a
            disabled domain; or if a domain that the caller does not manage names the new address
            as its admin.
        NotAllowed, ExceededDomainAccountLimit: If another domain takes no more such accounts.
        ExceededMaxUserQuota, ExceededDomainQuotaSize: If it has not that much space; a mailbox
            without limit needs a domain without.
        ServerDown: If a database does not answer.
        MlmmjadminUnavailable: If there are subscribable lists, and mlmmjadmin does not answer.
    """
    directory, records, caller = context.directory, context.records, context.caller
    records.ask()
    found = directory.find(
        finders.domain_and_holders(directory, new_mail, mail, rights=kind is USER)
    )
    target, holders = finders.domain_and_accounts(found, new_mail)
    entry = finders.choose_account(directory, holders, mail, kind.object_class)
    # One that another tool had named keeps its old address for a moment longer than its old name.
    has_moved = entry is None or (mail != new_mail and names.is_named(entry.dn, "mail", new_mail))
    if has_moved:
        entry = _unfinished(directory, kind, holders, mail, new_mail)
    entry = finders.require(entry, kind.object_class, mail)
    if user.is_global_admin(entry) and not caller.is_global:
        raise PermissionDeniedUpdateGlobalAdminProfile(entry.dn)
    if target is None:
        raise NoSuchAccount(f"no domain {names.domain_of(new_mail)}")
    held = entry.lowered("shadowAddress")
    course = _course(directory, mail, new_mail, target, held)
    if has_moved:
        old_dn = _former_dn(directory, kind, mail, entry)
        steps = _follow(directory, records, kind, course, old_dn, entry.dn, held, UndoLog())
        ignored = tuple(sorted(course.dropped(held)))
        return Plan(entry.dn, steps, entry.csn, ignored, _touched(course, entry))
    if mail == new_mail or _contested(entry.dn, holders, {new_mail}):
        raise AlreadyExists(f"{new_mail} is taken")
    named_by = [] if new_mail in held else rights.naming(found, new_mail)
    rights.refuse_inheritance(caller, new_mail, named_by)
    if course.crosses:
        _keep_admins(directory, caller, entry, target)
        raise_all(_excess(directory, kind, entry, target))
    withdrawal = _withdrawal(directory, new_mail, named_by)
    return _begin(directory, records, kind, course, entry, target, withdrawal)


def _former_dn(directory: Directory, kind: Kind, old: str, entry: Entry) -> str:
    """DN that an account had before it was moved; what another tool had named it nobody knows."""
    left = names.domain_of(old)
    if finders.domain_name(directory, entry.dn) == left:
        return names.sibling_dn(entry.dn, "mail", old)
    home = finders.domain_or_none(directory, left)
    return names.account_in(home.dn if home else directory.tree.domain(left), kind.unit, old)


def _withdrawal(directory: Directory, new_mail: str, named_by: list[Entry]) -> tuple[Modify, ...]:
    """Take the new address off the domains that name it: what they say is about nobody.

    Only until the account is marked: later they may name the account itself.
    """
    if not rights.are_left_behind(directory, new_mail, named_by):
        return ()
    return tuple(change for home in named_by for change in rights.withdraw(home, new_mail))


def _unfinished(
    directory: Directory, kind: Kind, holders: list[Entry], old: str, new: str
) -> Entry | None:
    """The account that has its new name already, and the mark of a rename from the old one."""
    entry = finders.choose_account(directory, holders, new, kind.object_class)
    if entry is None or not _is_under_way(entry) or not entry.has("shadowAddress", old):
        return None
    return None if _contested(entry.dn, holders, {old}) else entry


def _course(
    directory: Directory, mail: str, new_mail: str, target: Entry, held: set[str]
) -> Course:
    entered = tuple(domain.alias_domains(target))
    left = names.domain_of(mail)
    if left == names.domain_of(new_mail):
        return Course(mail, new_mail, entered, entered)
    home = finders.domain_or_none(directory, left)
    # An alias domain that is being added has given names to accounts before it is one.
    known = (
        {*domain.alias_domains(home), *home.lowered("domainPendingAliasName")} if home else set()
    )
    # One whose removal broke off, or whose domain was deleted while the rename was unfinished, is
    # nobody's any more: the account would have an address of whoever hosts it next.
    places = {names.domain_of(address) for address in held} - known - {left}
    nobodys = places - finders.hosted_domains(directory, places)
    return Course(mail, new_mail, tuple(sorted(known | nobodys)), entered)


def _keep_admins(directory: Directory, caller: Caller, entry: Entry, target: Entry) -> None:
    if target.is_active:
        return
    if names.same_dn(entry.dn, caller.dn):
        raise PermissionDenied("the caller's own account would be disabled")
    if user.is_global_admin(entry):
        finders.require_another_global_admin(directory, entry.dn)


def _begin(
    directory: Directory,
    records: Records,
    kind: Kind,
    course: Course,
    entry: Entry,
    target: Entry,
    left_behind: tuple[Modify, ...],
) -> Plan:
    """Mark the account, which makes the new address its own, look again, and do the rest."""
    coming = set(course.coming)
    taken = _contested(entry.dn, _flat(finders.holders(directory, coming)), coming)
    held = entry.lowered("shadowAddress")
    wanted = (course.old, course.new, *(a for a in course.coming if a not in taken))
    added = encoded(address for address in wanted if address not in held)
    mods = (Mod(Op.ADD, "shadowAddress", added),) if added else ()
    withdrawal = (Modify(entry.dn, (Mod(Op.DELETE, "shadowAddress", added),)),) if added else ()
    held |= set(wanted)
    to = names.account_in(target.dn, kind.unit, course.new)
    move = Rename(
        entry.dn,
        names.rdn(to),
        names.parent(to) if course.crosses else None,
        domain_entry.new_container(target.dn, kind.unit),
        keeps_values=not names.is_named(entry.dn, "mail", course.old),
    )
    undo_log = UndoLog()

    def back() -> Iterator[Step]:
        """Until the account has its new name, everything can be taken back, the mark last."""
        returned = {new: old for old, new in reversed(course.renamed(held).items())}
        yield from list_mentions.moving(directory, records, entry.dn, returned)
        yield from undo_log.undo()
        for change in left_behind:
            yield Modify(change.dn, tuple(replace(mod, op=Op.ADD) for mod in change.mods))
        yield from withdrawal

    steps: tuple[Step, ...] = (
        Modify(entry.dn, mods, expect=(entry.csn,) if entry.csn else ()),
        _recheck_addresses(directory, entry.dn, wanted[1:], withdrawal),
        *_recheck_limits(directory, kind, entry, target, withdrawal, crosses=course.crosses),
        *left_behind,
        *_follow(directory, records, kind, course, entry.dn, move.new_dn, held, undo_log, move),
    )
    ignored = tuple(sorted(taken | course.dropped(held)))
    return Plan(entry.dn, steps, entry.csn, ignored, _touched(course, entry), back)


def _touched(course: Course, entry: Entry) -> frozenset[str]:
    """Return the names that a rename touches.

    They are the domains of all addresses before and after it, and the global admins, of whom one
    may come into a disabled domain.
    """
    return users.touched(entry) | {*course.alias_domains_left, *course.alias_domains_entered}


def _follow(
    directory: Directory,
    records: Records,
    kind: Kind,
    course: Course,
    old_dn: str,
    new_dn: str,
    held: set[str],
    undo_log: UndoLog,
    *move: Rename,
) -> tuple[Step, ...]:
    """Let others follow, rename, let the account itself follow, and take the mark away."""
    mark = Mod(Op.DELETE, "shadowAddress", encoded((course.old, course.new)))
    renamed = course.renamed(held)
    there = old_dn if move else new_dn
    below = (names.renamed_dn(dn, there, old_dn) for dn in finders.dns_below(directory, there))
    mentions = references.replace_addresses(directory.tree, old_dn, new_dn, renamed, below)
    return (
        *list_mentions.moving(directory, records, old_dn, renamed),
        *map(undo_log.recording, mentions),
        *move,
        _conform(directory, kind, course, new_dn),
        records.moving(course.old, course.new),
        Modify(new_dn, (mark,)),
    )


def _recheck_addresses(
    directory: Directory, dn: str, wanted: tuple[str, ...], withdrawal: tuple[Modify, ...]
) -> Recheck:
    """Another may have taken an address, or the domain away, while this account was marked.

    Then the mark goes again, and the plan is made anew: it finds out who was quicker.
    """

    def judge(entries: Iterable[Entry]) -> Correction:
        try:
            home, holders = finders.domain_and_accounts(entries, wanted[0])
        except AmbiguousAccount as ex:
            return Correction(withdrawal, ex)
        if home and not _contested(dn, holders, set(wanted)):
            return Correction()
        return Correction(withdrawal, PreconditionFailed(f"{wanted[0]} is wanted by others too"))

    query = finders.domain_and_holders(directory, *wanted)
    return Recheck("are the new addresses nobody else's", query, judge)


def _recheck_limits(
    directory: Directory,
    kind: Kind,
    entry: Entry,
    target: Entry,
    withdrawal: tuple[Modify, ...],
    *,
    crosses: bool,
) -> tuple[Recheck, ...]:
    if not crosses or not _is_counted(kind, domain.limits(target)):
        return ()

    def judge(entries: Iterable[Entry]) -> Correction:
        if not _excess_among(kind, entry, target, entries):
            return Correction()
        return Correction(withdrawal, PreconditionFailed("others wanted the last place too"))

    query = _comers(kind, directory.tree, target)
    return (Recheck("is the domain still within its limits", query, judge),)


def _excess(directory: Directory, kind: Kind, entry: Entry, target: Entry) -> list[Refusal]:
    """What the limits of another domain have against an account; it is counted only if it must."""
    if not _is_counted(kind, domain.limits(target)):
        return _excess_among(kind, entry, target, ())
    others = directory.stream(_comers(kind, directory.tree, target))
    return _excess_among(kind, entry, target, others)


def _is_counted(kind: Kind, limits: settings.Settings) -> bool:
    has_ceiling = kind is USER and settings.domain_quota(limits) > 0
    return settings.number(limits, kind.limit) > 0 or has_ceiling


def _comers(kind: Kind, tree: Tree, target: Entry) -> Query:
    """Search for the accounts of a domain, and for those with an address in it."""
    place = f"@{target.text('domainName')}"
    filter_ = every(
        equals("objectClass", kind.object_class),
        either(ends_with("mail", place), ends_with("shadowAddress", place)),
        negated(equals("mail", place)),
    )
    return Query(tree.base, Scope.SUBTREE, filter_, ("mail", "shadowAddress", "mailQuota"))


def _excess_among(
    kind: Kind, entry: Entry, target: Entry, comers: Iterable[Entry]
) -> list[Refusal]:
    """What the limits say when those who are there, or on their way, are counted."""
    limits = domain.limits(target)
    most = settings.number(limits, kind.limit)
    others = (
        other
        for other in comers
        if not names.same_dn(other.dn, entry.dn)
        and (names.is_within(other.dn, target.dn) or _is_under_way(other))
    )
    number, used = finders.count_users(others)
    refusals: list[Refusal] = []
    if most == -1:
        refusals.append(NotAllowed(f"{kind.limit} is -1"))
    if 0 < most <= number:
        refusals.append(ExceededDomainAccountLimit(f"{number} of {most}"))
    return [*refusals, *_lack_of_space(entry, limits, used)] if kind is USER else refusals


def _lack_of_space(entry: Entry, limits: settings.Settings, used: int) -> Iterator[Refusal]:
    size = user.quota(entry)
    ceiling = kinds.bytes_of(settings.domain_quota(limits))
    largest = kinds.bytes_of(settings.number(limits, "maxUserQuota"))
    if ceiling and (not size or used + size > ceiling):
        yield ExceededDomainQuotaSize(f"{size} bytes, and {used} of {ceiling} used")
    if largest > 0 and (not size or size > largest):
        yield ExceededMaxUserQuota(f"{size} bytes, at most {largest}")


def _conform(directory: Directory, kind: Kind, course: Course, dn: str) -> Recheck:
    """Take what is left of the old name from the renamed account, as it and its domain are now."""

    def judge(entries: Iterable[Entry]) -> Correction:
        home, holders = finders.domain_and_accounts(entries, course.new)
        entry = _at(dn, holders)
        if home is None or entry is None:
            raise NoSuchAccount(f"{dn} is gone")
        mods = (*_own_mods(kind, course, entry), *_status(entry, home))
        return Correction((Modify(dn, mods),) if mods else ())

    query = finders.domain_and_holders(directory, course.new)
    return Recheck("what the account itself says of its old name", query, judge)


def _own_mods(kind: Kind, course: Course, entry: Entry) -> Iterator[Mod]:
    held = entry.lowered("shadowAddress")
    renamed = course.renamed(held)
    yield from references.replacements(entry, renamed)
    lost = renamed.keys() & held - {course.old}
    if lost:
        yield Mod(Op.DELETE, "shadowAddress", encoded(sorted(lost)))
    if entry.has("mail", course.old) and entry.has("mail", course.new):
        yield Mod(Op.DELETE, "mail", encoded((course.old,)))
    before, now = names.local_part(course.old), names.local_part(course.new)
    for attribute in ("cn", "sn", "givenName"):
        yield from references.exchange(entry, attribute, lambda v: now if v == before else v)
    if kind is USER and entry.texts("uid") != [now]:
        yield Mod(Op.REPLACE, "uid", encoded((now,)))


def _status(entry: Entry, home: Entry) -> Iterator[Mod]:
    if entry.has("domainStatus", "disabled") == home.is_active:
        yield Mod(Op.REPLACE, "domainStatus", () if home.is_active else (b"disabled",))


def _contested(dn: str, holders: Iterable[Entry], wanted: set[str]) -> set[str]:
    """Which addresses belong to another account."""
    return {
        address
        for holder in holders
        if not names.same_dn(holder.dn, dn)
        for address in (holder.lowered("mail") | holder.lowered("shadowAddress")) & wanted
    }


def _flat(held: dict[str, list[Entry]]) -> list[Entry]:
    return [holder for holders in held.values() for holder in holders]


def _at(dn: str, entries: Iterable[Entry]) -> Entry | None:
    return next((entry for entry in entries if names.same_dn(entry.dn, dn)), None)


def _is_under_way(entry: Entry) -> bool:
    """Whether an account carries the mark: its own address among the further ones."""
    return bool(entry.lowered("mail") & entry.lowered("shadowAddress"))
