"""Plan changes of domains, and show them."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from iredldap import finders
from iredldap.config.sections import Config
from iredldap.dit import (
    deletion,
    domain,
    domain_entry,
    filters,
    generations,
    mail_names,
    mailbox,
    names,
    references,
)
from iredldap.dit.entry import Entry
from iredldap.dit.fields import FieldChange, Parsed, show
from iredldap.dit.filters import either, equals, every
from iredldap.dit.modlist import modlist
from iredldap.dit.plan import (
    GLOBAL_ADMINS,
    Add,
    Correction,
    Delete,
    Mod,
    Modify,
    Op,
    Operation,
    Outside,
    Plan,
    Query,
    Recheck,
    Scope,
    Step,
    Sweep,
    everything_below,
    reset_entry,
)
from iredldap.errors import (
    AlreadyExists,
    PermissionDenied,
    PreconditionFailed,
)
from iredldap.gateways.directory import Directory
from iredldap.operations import deleted_mailboxes, list_mentions
from iredldap.operations.context import Context, PathVariables, Shown
from iredldap.operations.domains import (
    alias_domains,
    creation_limits,
    destinations,
    domain_admins,
    global_admins,
)
from iredldap.operations.login import Caller, find_admin
from iredldap.operations.targets import Judge

_MARKED = either(
    equals("objectClass", "mailUser"),
    equals("objectClass", "mailList"),
    equals("objectClass", "mailAlias"),
    equals("objectClass", "mailExternalUser"),
)

_ORIGIN = ("creatorsName", "createTimestamp", "modifyTimestamp")
_MADE = frozenset((
    "objectClass", "domainName", "cn", "mtaTransport", "accountStatus", "enabledService",
    "accountSetting", "domainAdmin", "domainSenderBccAddress", "domainRecipientBccAddress",
    "entryCSN",
))  # fmt: skip
"""Attributes that a creation writes."""


def get(directory: Directory, name: str) -> Entry:
    """Read a domain by its name or the name of one of its alias domains.

    Raises:
        NoSuchAccount: If there is none.
    """
    return finders.domain(directory, name, by_alias=True)


def profile(context: Context, path: PathVariables, parsed: Parsed) -> Shown:
    """Show a domain; its name may be that of one of its alias domains."""
    entry = get(context.directory, path["domain"])
    return Shown(show(entry, ()), entry.csn)


def services(context: Context, path: PathVariables, parsed: Parsed) -> Shown:
    """List the services of a domain, sorted."""
    entry = get(context.directory, path["domain"])
    return Shown(sorted(entry.texts("enabledService")), entry.csn)


def create(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan a new domain: its entry and the four containers.

    A creation that broke off leaves a domain without all of its containers; a repeat of the request
    finishes it, unless the domain was changed meanwhile. A domain of another tool that lacks some
    exists already: its containers are added with the first account that needs them.

    Raises:
        AlreadyExists: If the name is that of a domain or alias domain, also a pending one.
        ExceedLimitDomain, ExceedLimitQuota, ExceedLimitUsers, ExceedLimitAliases,
        ExceedLimitLists: If a normal admin would give out more than they may.
        PermissionDenied: If a normal admin names the domain of a standalone admin's address.
        InvalidMail: If copies of mail would be sent to an address in another domain hosted here
            that belongs to no account.
    """
    directory, config, caller = context.directory, context.config, context.caller
    name = path["domain"]
    taken = Query(directory.tree.base, Scope.ONE, filters.domain_filter(name, *alias_domains.NAMES))
    found = directory.find(taken)
    # Before the answer whether the name is taken: a normal admin who may add no domain does not
    # find out which ones others have.
    creation_limits.refuse(directory, caller, name, parsed)
    if not caller.is_global and find_admin(directory, caller.address) is None:
        # The account may have been deleted while the request waited for its turn: no account would
        # have the right to the new domain.
        raise PermissionDenied(f"{caller.address} is no admin any more")
    # The new domain has no accounts yet, so its own addresses are not judged.
    others = Judge(
        directory,
        lambda place: place != name and caller.manages(place, by_alias=True),
        context.coming,
    )
    destinations.refuse_unreachable_copies(others, parsed)
    attributes = domain_entry.new(
        name,
        parsed.changes,
        config.accounts.default_transport,
        config.accounts.additional_domain_services,
    )
    if not caller.is_global:
        # Without it they could neither use the new domain nor finish its creation if that breaks
        # off.
        attributes["domainAdmin"] = (caller.address.encode(),)
    # Limits and rights of a normal admin depend on all domains that they manage.
    touches = frozenset() if caller.is_global else mail_names.domains_of((caller.address,))
    if found and not _is_unfinished(directory, config, caller, found, name):
        raise AlreadyExists(f"domain {name}")
    dn = found[0].dn if found else directory.tree.domain(name)
    containers = domain_entry.new_containers(dn)
    if found:
        # The repeat may have other parameters than the creation that broke off: the last one
        # counts.
        unfinished = reset_entry(found[0], attributes, ("objectClass", "domainName"))
        steps: tuple[Step, ...] = (unfinished, *containers)
        return Plan(dn, steps, found[0].csn, parsed.dropped, touches)

    # Leaf first. Nothing else is in them yet, unless another client has used the domain already:
    # then the deletion is refused, and it stays.
    away = (*(Delete(container.dn, absent_ok=True) for container in containers), Delete(dn))

    def judge(entries: Iterable[Entry]) -> Correction:
        if all(entry.has("domainName", name) for entry in entries):
            return Correction()
        return Correction(away, AlreadyExists(f"domain {name}"))

    rechecks = (
        Recheck("check that no other domain has the name", taken, judge),
        *creation_limits.rechecks(directory, caller, name, parsed, away),
    )
    # The entry first, as its containers lie below it. The rechecks last: they may take all of it
    # back.
    steps = (Add(dn, attributes), *containers, *rechecks)
    return Plan(dn, steps, ignored=parsed.dropped, touches=touches)


def _is_unfinished(
    directory: Directory, config: Config, caller: Caller, found: list[Entry], name: str
) -> bool:
    """Return whether the creation of a domain by this caller, or any global admin, broke off.

    Domains of other tools may lack a container too. Finishing a creation resets the entry: so it
    has to be as our account added it, unchanged since, and without accounts.
    """
    if len(found) != 1 or not found[0].has("domainName", name):
        return False
    if not caller.is_global and not domain.is_managed_by(found[0], caller.address):
        return False
    is_container = equals("objectClass", "organizationalUnit")
    query = Query(found[0].dn, Scope.ONE, is_container, ("ou",))
    present = {entry.folded("ou") for entry in directory.find(query)}
    is_whole = present.issuperset(unit.lower() for unit in names.CONTAINERS)
    if is_whole or not _is_as_made(directory, config, found[0]):
        return False
    return not directory.find(Query(found[0].dn, Scope.SUBTREE, _MARKED, ("1.1",)))


def _is_as_made(directory: Directory, config: Config, entry: Entry) -> bool:
    """Return whether our account added a domain, and it was not changed since."""
    origin = directory.read(entry.dn, _ORIGIN)
    return (
        entry.attributes.keys() <= _MADE
        and origin is not None
        and origin.text("createTimestamp") == origin.text("modifyTimestamp")
        and names.same_dn(origin.text("creatorsName") or "", config.ldap.bind_dn)
    )


def update(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan a change of a domain: its own entry first, then the accounts that depend on it.

    Raises:
        NoSuchAccount: If there is none of this name; that of an alias domain is none.
        PermissionDenied: If it would disable the caller, or the last global admin; if a normal
            admin names the domain of a standalone admin's address as an alias domain.
        AlreadyExists: If every alias domain that was sent is taken.
        InvalidMail: If no destination of the catch-all exists, or one of copies does not.
        NoAdmins: If admins were sent, and none of them may be one.
        MlmmjadminUnavailable: If an alias domain is removed, the domain has subscribable lists, and
            mlmmjadmin does not answer.
    """
    directory, caller = context.directory, context.caller
    entry = finders.domain(directory, path["domain"])
    aliases = alias_domains.requested(directory, caller, entry, parsed)
    admins = domain_admins.requested(context, entry, parsed)
    mods = (
        *modlist(
            (
                *_with_alias_service(parsed.changes, entry, aliases),
                *alias_domains.services(entry, parsed, aliases),
            ),
            entry,
        ),
        *domain_entry.backup_mx(parsed, entry, context.config.accounts.default_transport),
        *alias_domains.claim_mods(entry, aliases),
        *admins.mods,
    )
    status = parsed.value("accountStatus")
    # In an older schema some kinds of accounts have no attribute for the mark.
    marks = status if generations.marks_accounts(directory.schema()) else None
    if status == "disabled":
        _require_admins_left(directory, caller, entry)
    judge = Judge.of(directory, context.caller, context.coming)
    destinations.refuse_unreachable_copies(judge, parsed, entry)
    catchall, dropped = destinations.change_catchall(directory, judge, entry, parsed)
    steps: tuple[Step, ...] = (
        # Outside first, as it is what may fail: then the domain is as it was, and a repeat finds
        # the same to do. The entry next, and its accounts after it:
        # `docs/decisions/0003-changes-are-plans.md`.
        *_external_steps(context, entry, parsed, aliases),
        *admins.roles,
        *((Modify(entry.dn, mods, expect=(entry.csn,) if entry.csn else ()),) if mods else ()),
        # Before the sweeps: a new catch-all account is one of those that they mark and name.
        *catchall,
        *((mark(entry.dn), _recheck_status(entry, marks)) if marks == "disabled" else ()),
        *((unmark(entry.dn), _recheck_status(entry, marks)) if marks == "active" else ()),
        *alias_domains.steps(directory, caller, entry, aliases),
    )
    ignored = (*parsed.dropped, *aliases.taken, *admins.ignored, *dropped)
    alone = {GLOBAL_ADMINS} if status == "disabled" else set[str]()
    touches = frozenset({*aliases.removed, *admins.touches, *alone})
    return Plan(entry.dn, steps, entry.csn, ignored, touches, found=judge.found)


def _external_steps(
    context: Context, entry: Entry, parsed: Parsed, aliases: alias_domains.AliasDomainChanges
) -> Iterator[Outside]:
    """Yield the steps outside the directory: rows of removed names, mailboxes of enabled users.

    The mailboxes of a domain whose deletion broke off may be recorded as deleted. The steps come
    first: a repeat finds them only while the domain is as it was. Names that are no alias domains
    of this one may be another domain's, and are left out.
    """
    directory, outside = context.directory, context.outside
    removed = sorted(set(aliases.removed) & set(domain.alias_domains(entry)))
    if removed:
        outside.ask()
        yield from list_mentions.remove_alias_domains(context, entry.dn, removed)
        yield outside.forgetting_domains(*removed)
    # Before users may log in again: the job that removes deleted mailboxes must not remove theirs.
    if parsed.value("accountStatus") == "active" and not entry.is_active:
        outside.ask()
        yield outside.reclaiming(lambda: directory.stream(_mailboxes(entry)))


def _with_alias_service(
    changes: Iterable[FieldChange], entry: Entry, aliases: alias_domains.AliasDomainChanges
) -> Iterator[FieldChange]:
    """Yield the changes; a new set of services keeps `domainalias` if there are alias domains."""
    present = set(domain.alias_domains(entry)) | set(aliases.added)
    kept = ("domainalias",) if present - set(aliases.removed) else ()
    for change in changes:
        if change.field.name == "removeAllServices":
            yield FieldChange(domain.ALL_SERVICES, kept)
        elif change.field.name == "services":
            yield FieldChange(change.field, (*change.values, *kept))
        else:
            yield change


def _require_admins_left(directory: Directory, caller: Caller, entry: Entry) -> None:
    if names.is_within(caller.dn, entry.dn):
        raise PermissionDenied("the caller's own account is in this domain")
    global_admins.require_another(directory, entry.dn, below=True)


def _refuse_global_admins(directory: Directory, entry: Entry) -> None:
    global_admins = every(equals("objectClass", "mailUser"), equals("domainGlobalAdmin", "yes"))
    if directory.find(Query(entry.dn, Scope.SUBTREE, global_admins, ("1.1",))):
        raise PermissionDenied(f"a global admin's account is in {entry.dn}")


def mark(dn: str) -> Sweep:
    """Return the sweep that marks every account of a disabled domain.

    The domain's entry is disabled before: an account that is added meanwhile is either found by the
    sweep, or its own recheck finds the domain disabled.
    """
    unmarked = every(_MARKED, filters.negated(equals("domainStatus", "disabled")))
    return _status_sweep(dn, "disable the accounts", unmarked, (b"disabled",))


def unmark(dn: str) -> Sweep:
    """Return the sweep that removes the mark from every account of an enabled domain."""
    marked = every(_MARKED, equals("domainStatus", "disabled"))
    return _status_sweep(dn, "enable the accounts", marked, ())


def _status_sweep(dn: str, meaning: str, which: str, status: tuple[bytes, ...]) -> Sweep:
    def change(entry: Entry) -> Iterator[Operation]:
        yield Modify(entry.dn, (Mod(Op.REPLACE, "domainStatus", status),), absent_ok=True)

    query = Query(dn, Scope.SUBTREE, which, ("1.1",))
    # Without a state to compare: the mark is one value that nothing else is computed from, and the
    # sweep selects entries that lack it.
    return Sweep(meaning, query, change)


def _recheck_status(entry: Entry, wanted: str) -> Recheck:
    """Return the recheck of the domain's status, which other programs may have changed meanwhile.

    Accounts and domain would disagree. The plan is then made again, as if the request had come
    after the other change.
    """

    def judge(found: Iterable[Entry]) -> Correction:
        if all(home.is_active == (wanted == "active") for home in found):
            return Correction()
        return Correction(refusal=PreconditionFailed(f"others have switched {entry.dn}"))

    query = Query(entry.dn, Scope.BASE, equals("objectClass", "mailDomain"), ("accountStatus",))
    return Recheck("check that the domain has the status of its accounts", query, judge)


def _mailboxes(entry: Entry) -> Query:
    return replace(finders.users_query(entry.dn), attributes=mailbox.ATTRIBUTES)


def delete(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan the deletion of a domain: disable it, clear its mentions, delete it leaf first.

    Raises:
        NoSuchAccount: If there is none of this name; that of an alias domain is none.
        PermissionDenied: If the caller's own account or the last global admin is in it; to a
            normal admin, if any global admin is.
        ServerDown: If a database does not answer.
        MlmmjadminUnavailable: If there are subscribable lists, and mlmmjadmin does not answer.
    """
    directory, outside, caller = context.directory, context.outside, context.caller
    name, days = path["domain"], deleted_mailboxes.days_kept(context, path)
    entry = finders.domain(directory, name)
    _require_admins_left(directory, caller, entry)
    if not caller.is_global:
        _refuse_global_admins(directory, entry)
    outside.ask_for_mailboxes(days)
    domains = [name, *domain.alias_domains(entry)]

    users = partial(directory.stream, _mailboxes(entry))
    return Plan(
        entry.dn,
        deletion.steps(
            entry.dn,
            references=(
                *list_mentions.remove_domain(context, entry.dn, domains),
                references.clear_domains(directory.tree, entry.dn, domains),
                references.clear_default_lists(directory.tree, [f"@{gone}" for gone in domains]),
            ),
            records=(
                # While the entries of the users can still be read.
                deleted_mailboxes.record_deleted(context, users, entry.dn, days),
                outside.forgetting_domains(*domains),
            ),
            own=(replace(everything_below(entry.dn), meaning="delete everything in the domain"),),
            # One of the admins may be the caller, who needs the right to repeat the request.
            late=domain_admins.revoke_role(directory, entry.dn, entry.lowered("domainAdmin")),
        ),
        entry.csn,
        touches=frozenset(
            {*domains, *mail_names.domains_of(entry.texts("domainAdmin")), GLOBAL_ADMINS}
        ),
    )
