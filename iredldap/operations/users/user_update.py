"""Plan the change of a mail user."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache

from iredldap import finders
from iredldap.directory_errors import AmbiguousAccount
from iredldap.dit import (
    domain,
    kinds,
    mail_names,
    mailbox,
    names,
    references,
    settings,
    user,
    user_entry,
)
from iredldap.dit.entry import Entry, encoded, folded
from iredldap.dit.fields import Parsed
from iredldap.dit.modlist import modlist
from iredldap.dit.plan import (
    GLOBAL_ADMINS,
    Correction,
    Mod,
    Modify,
    Op,
    Outside,
    Plan,
    Recheck,
    Step,
    UndoLog,
    undo_modify,
)
from iredldap.errors import PermissionDenied, PreconditionFailed, Refusal, raise_all
from iredldap.gateways.directory import Directory
from iredldap.limit_errors import ExceededDomainQuotaSize, ExceededMaxUserQuota
from iredldap.operations import list_mentions, mailboxes, targets
from iredldap.operations.context import Context, PathVariables
from iredldap.operations.domains import global_admins
from iredldap.operations.known.account_counts import Occupancy
from iredldap.operations.login import Caller
from iredldap.operations.mailboxes import MailboxAssignment
from iredldap.operations.outside_systems import OutsideSystems
from iredldap.operations.users import address_rules, protected, users


def update(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan a change of a mail user: one modification, and rechecks after it.

    Raises:
        NoSuchAccount: If there is none.
        PermissionDeniedUpdateGlobalAdminProfile: If a normal admin names a global one.
        PermissionDenied: If a normal admin asks for a mailbox path outside the domain's own, or
            sets the password of an admin of other domains; if a token sets the password of an
            admin without the scope for that; or the last active global admin would be disabled or
            demoted.
        MailboxInUse: If the mailbox path touches that of another account.
        WeakPassword, InvalidPasswordScheme: As the password is.
        ExceededDomainQuotaSize, ExceededMaxUserQuota: If the mailbox would grow too large.
        InvalidMail, AlreadyExists, InvalidParameter: As `address_rules.apply`.
        MlmmjadminUnavailable: If further addresses are removed, there are subscribable lists, and
            mlmmjadmin does not answer.
    """
    caller, mail = context.caller, path["mail"]
    entry = finders.user(context.directory, mail, anywhere=caller.is_global)
    return change(context, mail, entry, parsed)


def change(
    context: Context, mail: str, entry: Entry, parsed: Parsed, domain_entry: Entry | None = None
) -> Plan:
    """Plan a change of a mail user, as `update` does, that was read or is to be made.

    Args:
        context: As any operation gets it.
        mail: Address.
        entry: The user; without a state, if it is not there yet.
        parsed: What is to be changed.
        domain_entry: The user's domain; None: it is read where it matters.
    """
    directory, outside, caller = context.directory, context.outside, context.caller
    protected.refuse_global_admin(caller, entry)
    # Read by the rules that need it, and once: a change of a name or a password hash costs no
    # search for the domain.
    home = cache(lambda: domain_entry or finders.domain_of_entry(directory, entry))
    place = _place(context, entry, home, mail, parsed)
    _refuse_password_of_admin(directory, caller, mail, entry, parsed)

    def judges(name: str) -> bool:
        return caller.manages(name, by_alias=True) or domain.has_address(home(), f"@{name}")

    judge = targets.Judge(directory, judges, context.coming)
    changes, ignored = address_rules.apply(directory, entry, home, parsed.changes, judge)
    manages = _manages(directory, mail, parsed)
    mods = (
        *modlist(changes, entry),
        *_new_password(context, home, entry, mail, parsed),
        *_role(entry, parsed, manages=manages),
    )
    rechecks = (
        # The rights come first: of several rechecks that would refuse, the first one decides the
        # answer, and the last global admin is the one thing that no later request can repair.
        *global_admins.require_active(directory, entry, mods),
        *_size(context, entry, home, parsed, mods),
        *recheck_addresses(directory, mail, entry, mods),
        *_management(directory, mail, entry, mods, manages=manages),
        *_mailbox(directory, outside, entry, place, mods),
    )
    # All of it is one modification, which slapd carries out as a whole or not at all, under the
    # state from which it was computed. Where the server keeps no entryCSN (lastmod off) there is
    # nothing to compare.
    written = Modify(entry.dn, mods, expect=(entry.csn,) if entry.csn else ())
    steps: tuple[Step, ...] = ()
    removed = references.removed_addresses(entry, mods)
    undo_log = UndoLog()
    if mods:
        follow = follow_removed(context, entry, removed, undo_log)
        # The mailbox is kept before the account is active, references change before the addresses
        # that they name are removed: a repeat after a crash finds both still to do. The rechecks
        # compare with what was written, and revert it.
        steps = (*_reclaim(outside, entry, parsed), *follow, written, *rechecks)
    # The turn of all global admins is held only for what may take one away: otherwise every change
    # of a user, in whatever domain, would wait for every other.
    ends_a_role = any(map(global_admins.ends_a_role, mods)) and user.is_global_admin(entry)
    touches = mail_names.domains_of(removed)
    if ends_a_role:
        touches |= {GLOBAL_ADMINS}
    return Plan(
        entry.dn,
        steps,
        entry.csn,
        (*parsed.dropped, *ignored),
        touches,
        back=undo_log.undo,
        shared_with=place.shared_with if place else (),
        found=judge.found,
    )


def _place(
    context: Context, entry: Entry, home: Callable[[], Entry], mail: str, parsed: Parsed
) -> MailboxAssignment | None:
    """Check a new path of the mailbox; the present path is not checked."""
    path = parsed.value("maildir")
    if not path or mailbox.normalized(path) == mailbox.location(entry):
        return None

    def base() -> str:
        return mailboxes.storage_base(domain.limits(home()), context.config.accounts)

    return mailboxes.check_requested(context, base, mail, entry.dn, path)


def _mailbox(
    directory: Directory,
    outside: OutsideSystems,
    entry: Entry,
    place: MailboxAssignment | None,
    mods: tuple[Mod, ...],
) -> Iterator[Recheck]:
    if place:
        withdrawn = undo_modify(entry, mods, "homeDirectory")
        yield mailboxes.recheck(directory, outside, place, withdrawn)


def _reclaim(outside: OutsideSystems, entry: Entry, parsed: Parsed) -> Iterator[Outside]:
    """Yield the step that keeps the mailbox of a user who is enabled, or gets another path.

    If the user's deletion broke off, the mailbox may be recorded as one to be removed.
    """
    is_enabled = parsed.value("accountStatus") == "active" and not entry.has(
        "accountStatus", "active"
    )
    path = parsed.value("maildir")
    # The database is asked while the plan is made: if it is down, the user stays disabled. Enabled
    # with the row still there, they would lose their mail to the job that removes mailboxes.
    if is_enabled or path:
        outside.ask()
        taken = Entry(entry.dn, {"homeDirectory": [*encoded([path])]}) if path else entry
        yield outside.reclaiming(lambda: (taken,))


def _refuse_password_of_admin(
    directory: Directory, caller: Caller, mail: str, entry: Entry, parsed: Parsed
) -> None:
    if not (parsed.value("password") or parsed.value("password_hash")):
        return
    # Whoever sets the password of an admin can log in as that admin, and has more rights than the
    # caller was given.
    protected.refuse_password_by_token(caller, entry)
    if mail in protected.admins_of_other_domains(directory, caller):
        raise PermissionDenied(f"{mail} manages domains of others", parameter="password")


def _new_password(
    context: Context, home: Callable[[], Entry], entry: Entry, mail: str, parsed: Parsed
) -> tuple[Mod, ...]:
    if parsed.value("password") is None and parsed.value("password_hash") is None:
        return ()
    stored = users.hashed_password(context, lambda: domain.limits(home()), mail, parsed)
    return user_entry.new_password(entry, stored, context.now.date())


def _role(entry: Entry, parsed: Parsed, *, manages: bool) -> tuple[Mod, ...]:
    match parsed.value("isGlobalAdmin"):
        case "yes":
            return user_entry.promotion(entry)
        case "no":
            return user_entry.demotion(entry, manages=manages)
        case _:
            return ()


def _manages(directory: Directory, mail: str, parsed: Parsed) -> bool:
    """Return whether a domain names the user as its admin; only when they lose the global role."""
    asked = parsed.value("isGlobalAdmin") == "no"
    return asked and bool(directory.find(finders.managed_domains_query(directory, mail, ("1.1",))))


def _size(
    context: Context,
    entry: Entry,
    home: Callable[[], Entry],
    parsed: Parsed,
    mods: tuple[Mod, ...],
) -> Iterator[Recheck]:
    """Check a larger mailbox against the limits of the domain; a smaller one is not checked."""
    current, asked = user.quota(entry), parsed.value("quota")
    # A domain may be over its limit, as limits can be lowered below what is in use. Who sends a
    # profile back, or makes a mailbox smaller, must not be refused for that. 0 is no limit, so it
    # is the largest.
    if asked is None or int(asked) == current or 0 < int(asked) <= current:
        return
    limits, wanted = domain.limits(home()), int(asked)
    ceiling = kinds.bytes_of(settings.domain_quota(limits))
    largest = kinds.bytes_of(settings.number(limits, "maxUserQuota"))
    query = finders.users_query(home().dn)
    refusals: list[Refusal] = []
    directory, counts = context.directory, context.outside.counts
    if ceiling:

        def spare(used: int) -> int:
            # What the user has now is counted in `used`, and is free again with the change.
            return max(ceiling - (used - current), 0)

        if not 0 < wanted <= spare(counts.at_most(directory, query).size):
            left = spare(counts.exactly(directory, query).size)
            if not 0 < wanted <= left:
                refusals.append(ExceededDomainQuotaSize(f"{left} bytes left", parameter="quota"))
    if largest and not 0 < wanted <= largest:
        refusals.append(ExceededMaxUserQuota(f"at most {largest} bytes", parameter="quota"))
    raise_all(refusals)
    if not ceiling:
        return

    def judge(there: Occupancy) -> Correction:
        if there.size <= ceiling:
            return Correction()
        refusal = ExceededDomainQuotaSize(f"{there.size} of {ceiling} bytes", parameter="quota")
        return Correction(undo_modify(entry, mods, "mailQuota"), refusal)

    yield counts.recheck(directory, query, "check that the domain is within its quota", judge)


def follow_removed(
    context: Context, entry: Entry, removed: Mapping[str, str], undo_log: UndoLog
) -> tuple[Step, ...]:
    """Return the steps that replace removed further addresses, in references and on lists.

    The account's own address replaces them. The steps come before the change of the entry: as long
    as that has the address, a repeat of the request finds what is left to be done.

    Args:
        context: Knows the directory, and mlmmjadmin.
        entry: The account.
        removed: As `references.removed_addresses` returns them.
        undo_log: Records what reverts the steps.

    Raises:
        MlmmjadminUnavailable: If there are subscribable lists, and mlmmjadmin does not answer.
    """
    if not removed:
        return ()
    sweeps = references.follow_removed(context.directory.tree, entry.dn, removed)
    return (
        *list_mentions.replace_addresses(context, entry.dn, removed),
        *map(undo_log.recording, sweeps),
    )


def recheck_addresses(
    directory: Directory, mail: str, entry: Entry, mods: tuple[Mod, ...]
) -> Iterator[Recheck]:
    """Yield the rechecks of new addresses: no other account has them, and the domain has them.

    If not, the change is reverted and the plan made again, which then finds the address taken. Two
    competing requests may both revert, and one of them gets the address in the end.
    """
    added = [
        folded(value.decode())
        for mod in mods
        if mod.op is Op.ADD and mod.attribute == "shadowAddress"
        for value in mod.values
    ]
    # slapd evaluates a filter term by term: a request with hundreds of addresses is searched in
    # parts.
    for batch in finders.batches(added):
        yield _recheck_batch(directory, mail, entry, mods, batch)


def _recheck_batch(
    directory: Directory, mail: str, entry: Entry, mods: tuple[Mod, ...], addresses: list[str]
) -> Recheck:
    def judge(found: Iterable[Entry]) -> Correction:
        try:
            home, holders = finders.domain_and_accounts(found, mail)
        except AmbiguousAccount as ex:
            # Final, not a race: the domain or the address is there twice, and a repeat would find
            # the same.
            return Correction(undo_modify(entry, mods, "shadowAddress"), ex)
        theirs = {
            address
            for holder in holders
            if not names.same_dn(holder.dn, entry.dn)
            for address in holder.lowered("mail") | holder.lowered("shadowAddress")
        }
        if home and all(domain.has_address(home, a) and a not in theirs for a in addresses):
            return Correction()
        # The class decides that the plan is made anew, which then finds the address taken and says
        # so.
        refusal = PreconditionFailed(f"others were quicker: {', '.join(addresses)[:200]}")
        return Correction(undo_modify(entry, mods, "shadowAddress"), refusal)

    query = finders.domain_and_holders(directory, mail, *addresses)
    return Recheck("check that no other account has the addresses", query, judge, few=True)


def _management(
    directory: Directory, mail: str, entry: Entry, mods: tuple[Mod, ...], *, manages: bool
) -> Iterator[Recheck]:
    """Yield the recheck for domains that named the user as their admin while they lost the role."""
    # A global admin needs no service `domainadmin`; an admin of some domains cannot log in without
    # it. A domain that was given to them while they lost the global role would be one that they
    # cannot manage.
    if manages or not any(mod.attribute == "domainGlobalAdmin" and not mod.values for mod in mods):
        return
    role = Modify(entry.dn, (Mod(Op.ADD, "enabledService", encoded([user.ROLE])),), absent_ok=True)

    def judge(domains: Iterable[Entry]) -> Correction:
        return Correction((role,) if any(True for _ in domains) else ())

    query = finders.managed_domains_query(directory, mail, ("1.1",))
    yield Recheck("restore the role if a domain names the user as its admin", query, judge)
