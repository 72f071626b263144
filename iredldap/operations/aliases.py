"""Plan changes of mail aliases, and show them."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from iredldap import finders
from iredldap.dit import alias, domain, domain_entry, mail_names, names
from iredldap.dit.entry import Entry
from iredldap.dit.fields import FieldChange, Parsed, Verb, show
from iredldap.dit.filters import equals
from iredldap.dit.modlist import modlist
from iredldap.dit.plan import Add, Modify, Plan, Query, Scope
from iredldap.errors import InvalidMail
from iredldap.operations import account_deletion, targets, uniqueness
from iredldap.operations.context import Context, PathVariables, Shown
from iredldap.operations.domains.account_limits import Limit


def get(context: Context, mail: str) -> Entry:
    """Read an alias.

    Raises:
        NoSuchAccount: If there is none.
    """
    anywhere = context.caller.is_global
    found = finders.account(context.directory, mail, "mailAlias", anywhere=anywhere)
    return finders.require(found, "alias", mail)


def profile(context: Context, path: PathVariables, parsed: Parsed) -> Shown:
    """Show an alias, as `shown` does."""
    entry = get(context, path["mail"])
    return Shown(shown(entry, context.config.api.api_hidden_user_profiles), entry.csn)


def shown(entry: Entry, hidden: Iterable[str]) -> dict[str, Any]:
    """Return an alias as answers show it, with the sorted addresses that it expands to."""
    return {**show(entry, hidden), "members": sorted(entry.texts(alias.MEMBERS))}


def create(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan a new alias.

    Raises:
        NoSuchAccount: If its domain does not exist.
        AlreadyExists: If the address belongs to any account.
        InvalidMail: If members were asked for, and none of them can be one.
        NotAllowed, ExceededDomainAccountLimit: If the domain takes no more aliases.
    """
    directory, mail = context.directory, path["mail"]
    home = uniqueness.home_of(directory.find(finders.domain_and_holders(directory, mail)), mail)
    limit = _limit(context, home)
    limit.refuse_another()
    shadows = uniqueness.in_alias_domains(home, mail)
    taken = uniqueness.taken(directory, shadows)
    ours = [address for address in shadows if address not in taken]
    judge = targets.Judge.of(directory, context.caller, context.coming)
    changes, ignored = _with_reachable(judge, {mail, *ours}, parsed)
    # In the entry from the first moment: an alias added to a disabled domain must not deliver until
    # a sweep comes by.
    is_marked = not home.is_active
    dn = names.account_in(home.dn, "Aliases", mail)
    new_account = uniqueness.NewAccount(dn=dn, mail=mail, aliases=shadows, is_marked=is_marked)
    return Plan(
        dn,
        (
            Add(
                dn,
                alias.new(mail, changes, ours, is_marked=is_marked),
                container=domain_entry.new_container(home.dn, "Aliases"),
            ),
            # After the write: slapd accepts the same address in two entries, and two requests that
            # add it at once both find it free before.
            uniqueness.recheck(directory, new_account),
            *limit.recheck(new_account),
        ),
        ignored=(*parsed.dropped, *ignored, *sorted(taken)),
        found=judge.found,
    )


def _limit(context: Context, home: Entry) -> Limit:
    aliases = Query(home.dn, Scope.SUBTREE, equals("objectClass", "mailAlias"), ("1.1",))
    return Limit.of(context, domain.limits(home), "numberOfAliases", aliases)


def _with_reachable(
    judge: targets.Judge, own: Collection[str], parsed: Parsed, held: Collection[str] = ()
) -> tuple[list[FieldChange], list[str]]:
    """Leave out new members that are the alias itself, or no account in a domain of the caller.

    Present members are not judged again.

    Raises:
        InvalidMail: If nothing is left of those that were sent.
    """
    sent = _sent(parsed) - set(held)
    unreachable = judge.unreachable(sent) | sent.intersection(own)
    changes, ignored = [], []
    for change in parsed.changes:
        kept = tuple(member for member in change.values if member not in unreachable)
        if not _adds(change) or kept == change.values:
            changes.append(change)
            continue
        dropped = [member for member in change.values if member in unreachable]
        if not kept:
            words = f"nobody else has {', '.join(dropped)[:200]}"
            raise InvalidMail(words, parameter=change.field.name)
        changes.append(replace(change, values=kept))
        ignored += dropped
    return changes, ignored


def _sent(parsed: Parsed) -> set[str]:
    return {member for change in parsed.changes if _adds(change) for member in change.values}


def _adds(change: FieldChange) -> bool:
    return _is_of_members(change) and change.verb is not Verb.REMOVE


def _is_of_members(change: FieldChange) -> bool:
    return change.field.name in {"members", "addMember", "removeMember"}


def update(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan a change of an alias.

    Raises:
        NoSuchAccount: If there is none.
        InvalidMail: If members were asked for, and none of them can be one.
    """
    directory, mail = context.directory, path["mail"]
    judge = targets.Judge.of(directory, context.caller, context.coming)
    found = judge.find_with(finders.account_query(directory, mail), _sent(parsed))
    chosen = finders.choose_account(
        directory, found, mail, "mailAlias", anywhere=context.caller.is_global
    )
    entry = finders.require(chosen, "alias", mail)
    changes, ignored = [*parsed.changes], list[str]()
    if any(_adds(change) and change.values for change in changes):
        held = entry.lowered(alias.MEMBERS)
        changes, ignored = _with_reachable(judge, alias.addresses(entry), parsed, held)
    mods = modlist(changes, entry)
    # Adding and removing single members does not depend on the others, so it asserts no state.
    depends = not all(_is_of_members(c) and c.verb is not Verb.SET for c in changes)
    expect = (entry.csn,) if depends and entry.csn else ()
    steps = (Modify(entry.dn, mods, expect),) if mods else ()
    ignored = [*parsed.dropped, *ignored]
    return Plan(entry.dn, steps, entry.csn, tuple(ignored), found=judge.found)


def delete(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan the deletion of an alias: disable it, clear its mentions, delete the entry.

    Raises:
        NoSuchAccount: If there is none.
        ServerDown: If a database does not answer.
        MlmmjadminUnavailable: If there are subscribable lists, and mlmmjadmin does not answer.
    """
    outside, mail = context.outside, path["mail"]
    entry = get(context, mail)
    outside.ask()
    addresses = alias.addresses(entry)
    return Plan(
        entry.dn,
        account_deletion.steps(context, entry.dn, addresses, records=(outside.forgetting(mail),)),
        entry.csn,
        touches=mail_names.domains_of(addresses),
    )
