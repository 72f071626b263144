"""Plan another address for a mail user or a mail alias, also in another domain.

An account that is being renamed carries both addresses, the old and the new one, among its
`shadowAddress` values: mail to either arrives before, between and after the steps, and both
together are the mark of an unfinished rename. A repeat of the request continues where the first one
broke off, also when the entry has its new name already. The last step removes the mark; from then
on the old address belongs to no account.

Source: iRedMail's directory, referential rules, user rename and alias rename.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from iredldap import finders
from iredldap.directory_errors import AmbiguousAccount
from iredldap.dit import domain_entry, mail_names, names, references, user
from iredldap.dit.entry import Entry, distinct, encoded, folded
from iredldap.dit.fields import Parsed
from iredldap.dit.plan import (
    Correction,
    Mod,
    Modify,
    Op,
    Plan,
    Recheck,
    Rename,
    Step,
    UndoLog,
)
from iredldap.errors import (
    AlreadyExists,
    NoSuchAccount,
    PermissionDenied,
    PermissionDeniedUpdateGlobalAdminProfile,
    PreconditionFailed,
    raise_all,
)
from iredldap.gateways.directory import Directory
from iredldap.operations import list_mentions, rights
from iredldap.operations.context import Context, PathVariables
from iredldap.operations.domains import global_admins
from iredldap.operations.login import Caller
from iredldap.operations.renames import domain_limits
from iredldap.operations.renames.address_change import (
    ALIAS,
    USER,
    AccountType,
    Renaming,
    addresses_of_others,
    find_change,
    is_being_renamed,
)
from iredldap.operations.users import users


def rename_user(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan another address for a mail user, as `rename` does."""
    return rename(context, USER, path["mail"], path["new_mail"])


def rename_alias(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan another address for a mail alias, as `rename` does."""
    return rename(context, ALIAS, path["mail"], path["new_mail"])


def rename(context: Context, account_type: AccountType, mail: str, new_mail: str) -> Plan:
    """Plan another address for an account. Every mention of the old one follows; mailbox stays.

    Within its domain an account keeps its place and its further addresses. Into another one it does
    not take those of the old domain, which its admins would no longer control: they are dropped,
    named in `X-Ignored-Values`, and mentions of them become the new address. A name in an alias
    domain that belongs to another account stays with that account, and is named too.

    Global admins may rename their own account. Their cookie names the old address and ends with it.

    A second rename to yet another address, before the first is finished, leaves the first one's
    address with the account, as a further one.

    Raises:
        NoSuchAccount: If there is no such account, or no domain of the new address; an alias
            domain is none.
        AlreadyExists: If the new address belongs to another account, or is the old one.
        PermissionDeniedUpdateGlobalAdminProfile: If a normal admin names a global one.
        PermissionDenied: If the caller, or the last active global admin, would move to a
            disabled domain; or if a domain that the caller does not manage names the new address
            as its admin.
        NotAllowed, ExceededDomainAccountLimit: If another domain takes no more such accounts.
        ExceededMaxUserQuota, ExceededDomainQuotaSize: If it has not that much space; a mailbox
            without limit needs a domain without.
        ServerDown: If a database does not answer.
        MlmmjadminUnavailable: If there are subscribable lists, and mlmmjadmin does not answer.
    """
    directory, outside, caller = context.directory, context.outside, context.caller
    # First of all: a database that is down would let the rename stop half way, after the account
    # has its new name.
    outside.ask()
    found = directory.find(
        # One search for the domain, both addresses and the rights: each of them would cost another
        # one.
        finders.domain_and_holders(directory, new_mail, mail, rights=account_type is USER)
    )
    target, holders = finders.domain_and_accounts(found, new_mail)
    entry = finders.choose_account(
        directory, holders, mail, account_type.object_class, anywhere=caller.is_global
    )
    # One that another tool had named keeps its old address for a moment longer than its old name.
    has_moved = entry is None or (mail != new_mail and names.is_named(entry.dn, "mail", new_mail))
    if has_moved:
        entry = _find_unfinished(directory, account_type, holders, mail, new_mail)
    entry = finders.require(entry, account_type.object_class, mail)
    if user.is_global_admin(entry) and not caller.is_global:
        raise PermissionDeniedUpdateGlobalAdminProfile(entry.dn)
    if target is None:
        raise NoSuchAccount(f"no domain {mail_names.domain_of(new_mail)}")
    held = entry.lowered("shadowAddress")
    change = find_change(directory, mail, new_mail, target, held)
    renaming = Renaming(account_type, change, entry, target)
    if has_moved:
        steps = _follow(context, renaming, held, UndoLog())
        ignored = tuple(sorted(change.addresses_dropped(held)))
        return Plan(entry.dn, steps, entry.csn, ignored, _touched(renaming))
    # Not for a rename that goes on, which has the new address already.
    if mail == new_mail or addresses_of_others(entry.dn, holders, {new_mail}):
        raise AlreadyExists(f"{new_mail} is taken")
    # An address that the account has already carries its own rights, not those of another account.
    named_by = [] if new_mail in held else rights.naming(found, new_mail)
    rights.refuse_inheritance(caller, new_mail, named_by)
    if change.crosses_domains:
        _require_admins_left(directory, caller, renaming)
        # Within the domain neither its number of accounts nor its space changes.
        raise_all(domain_limits.find_excess(directory, renaming))
    return _begin(context, renaming, _withdraw_rights(directory, new_mail, named_by))


def _find_unfinished(
    directory: Directory, account_type: AccountType, holders: list[Entry], old: str, new: str
) -> Entry | None:
    """Find the account that has its new name already, and the mark of a rename from the old one."""
    entry = finders.choose_account(directory, holders, new, account_type.object_class)
    if entry is None or not is_being_renamed(entry) or not entry.has("shadowAddress", old):
        return None
    return None if addresses_of_others(entry.dn, holders, {old}) else entry


def _require_admins_left(directory: Directory, caller: Caller, renaming: Renaming) -> None:
    """Refuse to move the caller, or the last active global admin, to a disabled domain."""
    if renaming.target.is_active:
        return
    if names.same_dn(renaming.entry.dn, caller.dn):
        raise PermissionDenied("the caller's own account would be disabled")
    if user.is_global_admin(renaming.entry):
        global_admins.require_another(directory, renaming.entry.dn)


def _withdraw_rights(
    directory: Directory, new_mail: str, named_by: list[Entry]
) -> tuple[Modify, ...]:
    """Return the steps that take the new address off the domains that name it as their admin.

    They are valid only until the account is marked: later a domain may name the account itself.
    """
    if not rights.are_left_behind(directory, new_mail, named_by):
        return ()
    return tuple(change for home in named_by for change in rights.withdraw(home, new_mail))


def _begin(context: Context, renaming: Renaming, left_behind: tuple[Modify, ...]) -> Plan:
    """Plan a rename from its first step: mark the account, check again, do the rest.

    Args:
        context: The context of the request.
        renaming: The account under its old name.
        left_behind: Withdraws rights that the new address has from before.
    """
    directory, entry, change = context.directory, renaming.entry, renaming.change
    gained = set(change.names_gained)
    taken = addresses_of_others(entry.dn, _flat(finders.holders(directory, gained)), gained)
    held = entry.lowered("shadowAddress")
    wanted = (change.old, change.new, *(a for a in change.names_gained if a not in taken))
    added = encoded(address for address in wanted if address not in held)
    mods = (Mod(Op.ADD, "shadowAddress", added),) if added else ()
    withdrawal = (Modify(entry.dn, (Mod(Op.DELETE, "shadowAddress", added),)),) if added else ()
    # As the account will be once it has the mark: what follows is planned for that state.
    held |= set(wanted)
    move = _move(renaming)
    undo_log = UndoLog()

    def back() -> Iterator[Step]:
        # Everything can be reverted until the account has its new name. The mark is removed last:
        # with it, a repeat of the request finds what is left to revert or to do.
        # Reversed: where several addresses become the same one, its return is to the first, the old
        # address.
        returned = {new: old for old, new in reversed(change.replacements(held).items())}
        yield from list_mentions.replace_addresses(context, entry.dn, returned)
        yield from undo_log.undo()
        # Rights that were withdrawn for the rename return with it.
        for modify in left_behind:
            yield Modify(modify.dn, tuple(replace(mod, op=Op.ADD) for mod in modify.mods))
        yield from withdrawal

    steps: tuple[Step, ...] = (
        # The mark is first: it makes the new address belong to this account, so that a competing
        # request is refused, and a crash at any later step leaves an account that has both.
        Modify(entry.dn, mods, expect=(entry.csn,) if entry.csn else ()),
        # Before anything else changes, while removing the mark reverts all that was done.
        _recheck_addresses(directory, entry.dn, wanted[1:], withdrawal),
        *domain_limits.recheck(directory, renaming, withdrawal),
        *left_behind,
        *_follow(context, renaming, held, undo_log, move),
    )
    ignored = tuple(sorted(taken | change.addresses_dropped(held)))
    return Plan(entry.dn, steps, entry.csn, ignored, _touched(renaming), back)


def _move(renaming: Renaming) -> Rename:
    entry, target, change = renaming.entry, renaming.target, renaming.change
    unit = renaming.account_type.unit
    to = names.account_in(target.dn, unit, change.new)
    return Rename(
        entry.dn,
        names.rdn(to),
        names.parent(to) if change.crosses_domains else None,
        domain_entry.new_container(target.dn, unit),
        keeps_values=not names.is_named(entry.dn, "mail", change.old),
    )


def _touched(renaming: Renaming) -> frozenset[str]:
    """Return the names that a rename touches.

    They are the domains of all addresses before and after it, and the global admins, of whom one
    may move to a disabled domain.
    """
    change = renaming.change
    alias_domains = {*change.alias_domains_left, *change.alias_domains_entered}
    return users.touched(renaming.entry) | alias_domains


def _follow(
    context: Context,
    renaming: Renaming,
    held: set[str],
    undo_log: UndoLog,
    move: Rename | None = None,
) -> tuple[Step, ...]:
    """Return the steps after the mark: references, the account's name, the account, the databases.

    Args:
        context: The context of the request.
        renaming: The account.
        held: Its further addresses, those of the mark among them.
        undo_log: Records what reverts the change of references.
        move: Gives the entry its new name; None: it has it already.
    """
    directory, entry, change = context.directory, renaming.entry, renaming.change
    old_dn = entry.dn if move else _former_dn(directory, renaming)
    new_dn = move.new_dn if move else entry.dn
    mark = Mod(Op.DELETE, "shadowAddress", encoded((change.old, change.new)))
    renamed = change.replacements(held)
    below = (
        names.renamed_dn(dn, entry.dn, old_dn) for dn in finders.dns_below(directory, entry.dn)
    )
    # Entries below the account move along in slapd, and groups of other tools may name these by DN
    # too.
    mentions = references.replace_addresses(directory.tree, old_dn, new_dn, renamed, below)
    return (
        # References change before the name does: until then all of it can be reverted. Lists are
        # first, as mlmmjadmin is what fails most likely.
        *list_mentions.replace_addresses(context, old_dn, renamed),
        *map(undo_log.recording, mentions),
        *((move,) if move else ()),
        _conform(directory, renaming, old_dn, _moved(renaming, held, move) if move else entry),
        # The databases follow the name: a crash before leaves rows under the old address, which the
        # repeat moves as long as the mark is there.
        context.outside.moving(change.old, change.new),
        # Last: without the mark a repeat finds no rename to finish.
        Modify(new_dn, (mark,)),
    )


def _former_dn(directory: Directory, renaming: Renaming) -> str:
    """Return the DN that an account had before it was moved.

    It is computed from the address: a different name that another tool had given is not recorded.
    """
    dn, old = renaming.entry.dn, renaming.change.old
    left = mail_names.domain_of(old)
    if finders.domain_name(directory, dn) == left:
        return names.sibling_dn(dn, "mail", old)
    home = finders.domain_or_none(directory, left)
    base = home.dn if home else directory.tree.domain(left)
    return names.account_in(base, renaming.account_type.unit, old)


def _recheck_addresses(
    directory: Directory, dn: str, wanted: tuple[str, ...], withdrawal: tuple[Modify, ...]
) -> Recheck:
    """Return the recheck of the new addresses and their domain after the account was marked.

    If another client took an address or deleted the domain meanwhile, the mark is removed and the
    plan is made again, which then finds out who was first.
    """

    def judge(entries: Iterable[Entry]) -> Correction:
        try:
            home, holders = finders.domain_and_accounts(entries, wanted[0])
        except AmbiguousAccount as ex:
            return Correction(withdrawal, ex)
        if home and not addresses_of_others(dn, holders, set(wanted)):
            return Correction()
        return Correction(withdrawal, PreconditionFailed(f"{wanted[0]} is wanted by others too"))

    query = finders.domain_and_holders(directory, *wanted)
    return Recheck("check that no other account has the new addresses", query, judge)


def _moved(renaming: Renaming, held: set[str], move: Rename) -> Entry:
    """Return the account as it is once it was marked and has its new name."""
    entry, change = renaming.entry, renaming.change
    mails = [
        mail for mail in entry.texts("mail") if move.keeps_values or folded(mail) != change.old
    ]
    own = {
        "mail": [*encoded(distinct((*mails, change.new)))],
        "shadowAddress": [*encoded(distinct((*entry.texts("shadowAddress"), *sorted(held))))],
    }
    return Entry(move.new_dn, {**entry.attributes, **own})


def _conform(directory: Directory, renaming: Renaming, old_dn: str, moved: Entry) -> Recheck:
    """Return the recheck that removes the old name from the account's own attributes.

    It reads the account and its domain after the move, so that it also adopts what other clients
    changed meanwhile, and the state of the new domain.

    Args:
        directory: Where.
        renaming: The account.
        old_dn: Its name before.
        moved: As it will be found, if no other client changes it.
    """
    dn = moved.dn

    def changes(entry: Entry, home: Entry) -> tuple[Modify, ...]:
        mods = (*_own_mods(renaming, entry, (old_dn, dn)), *_status(entry, home))
        return (Modify(dn, mods),) if mods else ()

    def judge(entries: Iterable[Entry]) -> Correction:
        home, holders = finders.domain_and_accounts(entries, renaming.change.new)
        entry = next((entry for entry in holders if names.same_dn(entry.dn, dn)), None)
        if home is None or entry is None:
            raise NoSuchAccount(f"{dn} is gone")
        return Correction(changes(entry, home))

    query = finders.domain_and_holders(directory, renaming.change.new)
    words = "replace the old name in the account itself"
    return Recheck(words, query, judge, changes(moved, renaming.target))


def _own_mods(renaming: Renaming, entry: Entry, dns: tuple[str, str]) -> Iterator[Mod]:
    change, held = renaming.change, entry.lowered("shadowAddress")
    renamed = change.replacements(held)
    yield from references.replacements(entry, renamed, dns)
    lost = renamed.keys() & held - {change.old}
    if lost:
        yield Mod(Op.DELETE, "shadowAddress", encoded(sorted(lost)))
    if entry.has("mail", change.old) and entry.has("mail", change.new):
        # The new name has removed it already, except from an entry that another tool had named by
        # another attribute.
        yield Mod(Op.DELETE, "mail", encoded((change.old,)))
    before, now = mail_names.local_part(change.old), mail_names.local_part(change.new)
    # iRedMail's tools fill these with the local part where no name is given; a real name stays.
    for attribute in ("cn", "sn", "givenName"):
        yield from references.exchange(entry, attribute, lambda v: now if v == before else v)
    if renaming.account_type is USER and entry.texts("uid") != [now]:
        yield Mod(Op.REPLACE, "uid", encoded((now,)))


def _status(entry: Entry, home: Entry) -> Iterator[Mod]:
    if entry.has("domainStatus", "disabled") == home.is_active:
        yield Mod(Op.REPLACE, "domainStatus", () if home.is_active else (b"disabled",))


def _flat(held: dict[str, list[Entry]]) -> list[Entry]:
    return [holder for holders in held.values() for holder in holders]
