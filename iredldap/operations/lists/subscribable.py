"""Plan changes of subscribable mailing lists, and show them.

The directory has an entry, mlmmjadmin keeps the list itself. It is called before the first write:
what fails there is not begun here. Its part is a step of the plan, which may be repeated. A deleted
list is disabled, loses its folder and, last, its entry: a repeat finishes what broke off.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from iredldap import finders
from iredldap.dit import (
    domain,
    list_profile,
    mail_names,
    references,
    subscribable,
    user_entry,
)
from iredldap.dit.entry import Entry
from iredldap.dit.fields import FieldChange, Parsed, show
from iredldap.dit.modlist import modlist
from iredldap.dit.plan import Modify, Outside, Plan, Step, UndoLog
from iredldap.dit.subscribable import (
    ADD_SUBSCRIBERS,
    EXTRA_ADDRESSES,
    JOIN_MODERATORS,
    MODERATORS,
    OWNER,
)
from iredldap.errors import InvalidMail, NoSuchAccount
from iredldap.gateways.directory import Directory
from iredldap.gateways.mlmmjadmin import Settings
from iredldap.operations import account_deletion, external_members, list_membership, list_mentions
from iredldap.operations.context import Context, PathVariables, Shown
from iredldap.operations.lists import subscribable_members
from iredldap.operations.mlmmj_calls import MailingLists
from iredldap.operations.targets import Judge
from iredldap.operations.users import address_rules
from iredldap.operations.users.user_update import follow_removed, recheck_addresses


def _read(context: Context, mail: str) -> Entry:
    entry = finders.account(context.directory, mail, "mailList", anywhere=context.caller.is_global)
    is_one = entry is not None and subscribable.is_subscribable_list(entry)
    return finders.require(entry if is_one else None, "subscribable list", mail)


def _profile(lists: MailingLists, mail: str, entry: Entry) -> Settings:
    profile = lists.profile(mail)
    if profile is None:
        # As after a restore of the entry alone: it can be deleted, and the list created again.
        raise NoSuchAccount(f"mlmmj has no list {mail}", report={"without_list": entry.dn})
    return profile


def with_profile(context: Context, mail: str) -> tuple[Entry, Settings]:
    """Read the entry of a list, and its settings as mlmmjadmin has them.

    Raises:
        NoSuchAccount, MlmmjadminUnavailable: As `get`.
    """
    entry = _read(context, mail)
    return entry, _profile(context.outside.mlmmjadmin, mail, entry)


def get(context: Context, mail: str, *, with_members: bool) -> tuple[Entry, dict[str, Any]]:
    """Read a list: its entry, and its settings as answers show them.

    Raises:
        NoSuchAccount: If there is none, or it is an unsubscribable one; or if it has an entry
            alone, which the report names.
        MlmmjadminUnavailable: If its settings cannot be read.
    """
    lists = context.outside.mlmmjadmin
    entry, stored = with_profile(context, mail)
    settings = list_profile.shown(stored)
    settings["newsletter_description"] = entry.text("description") or ""
    if with_members:
        settings["subscribers"] = subscribable_members.read(context.directory, lists, entry, mail)
    return entry, settings


def profile(context: Context, path: PathVariables, parsed: Parsed) -> Shown:
    """Show a list with its settings, and with its subscribers where they are asked for."""
    with_members = parsed.value("with_subscribers") == "yes"
    entry, settings = get(context, path["mail"], with_members=with_members)
    shown = show(entry, context.config.api.api_hidden_user_profiles) | settings
    # mlmmj changes the settings without a new state of the entry.
    return Shown(shown, entry.csn, cacheable=False)


@dataclass(frozen=True)
class CheckedAddresses:
    """Changes with the allowed further addresses: all for the directory, fewer for mlmmj."""

    in_directory: tuple[FieldChange, ...]
    in_profile: tuple[FieldChange, ...]
    ignored: tuple[str, ...] = ()


def check_addresses(
    directory: Directory,
    entry: Entry,
    home: Callable[[], Entry],
    changes: Sequence[FieldChange],
    profile: Settings,
) -> CheckedAddresses:
    """Check further addresses as those of users are; names in alias domains stay.

    Raises:
        InvalidMail, AlreadyExists: As `address_rules.apply`.
    """
    asked = next((c for c in changes if c.field.name == EXTRA_ADDRESSES.name), None)
    if asked is None:
        return CheckedAddresses(tuple(changes), tuple(changes))
    own = entry.lowered("mail")
    wanted = replace(asked, values=tuple(v for v in asked.values if v not in own))
    (kept, *_), ignored = address_rules.apply(directory, entry, home, [wanted])
    given = user_entry.names_in(domain.alias_domains(home()), *own)
    # Names in alias domains are the directory's: Postfix hands their mail to the list by its entry.
    # In mlmmj's file they would stay when the alias domain goes.
    spared = given - {mail.lower() for mail in profile.get("extra_addresses") or ()}
    control = replace(kept, values=tuple(v for v in kept.values if v not in spared))
    others = [change for change in changes if change is not asked]
    return CheckedAddresses((*others, kept), (*others, control), tuple(ignored))


_LEADERS = {row.name for row in (OWNER, MODERATORS, JOIN_MODERATORS)}


def check_leaders(
    judge: Judge, changes: Iterable[FieldChange]
) -> tuple[tuple[FieldChange, ...], tuple[str, ...]]:
    """Leave out owners and moderators who do not exist, and name them.

    Postmaster is accepted in every domain, whether or not an account has that name.

    Args:
        judge: Finds out which addresses exist, as far as the caller may learn it.
        changes: What was sent.

    Raises:
        InvalidMail: If none of those that were sent is left.
    """
    kept, ignored = [], list[str]()
    for change in changes:
        # The reference makes postmaster the owner where none is sent, whether or not the domain has
        # such an account.
        others = {v for v in change.values if mail_names.local_part(v) != "postmaster"}
        is_judged = change.field.name in _LEADERS
        missing = judge.unreachable(others) if is_judged else set[str]()
        values = tuple(value for value in change.values if value not in missing)
        if missing and not values:
            words = f"nobody has {', '.join(sorted(missing))[:200]}"
            raise InvalidMail(words, parameter=change.field.name)
        kept.append(replace(change, values=values))
        ignored += sorted(missing)
    return tuple(kept), tuple(ignored)


def update(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan a change of a list: its entry, then its settings, then its members.

    The entry is changed in any case, so that its state changes with settings and members.

    Raises:
        NoSuchAccount: As `get`.
        InvalidMail, AlreadyExists: As the further addresses are; and if the list itself is
            the only member to add.
        ParameterConflict: As `list_profile.agreed`.
        MlmmjadminUnavailable: If mlmmjadmin does not answer.
    """
    directory, outside, mail = context.directory, context.outside, path["mail"]
    entry, lists = _read(context, mail), outside.mlmmjadmin
    # mlmmjadmin is asked while the plan is made: if it does not answer, the entry has not been
    # changed yet.
    profile = _profile(lists, mail, entry)
    entry = list_mentions.with_leaders(directory, entry, profile)
    policy = entry.text("accessPolicy") or "public"
    judge = Judge.of(directory, context.caller, context.coming)
    changes, missing = check_leaders(judge, parsed.changes)
    kept = list_profile.with_moderators(mail, changes, profile)
    wanted = list_profile.agreed(kept.changes, policy, profile)
    home = cache(lambda: finders.domain_of_entry(directory, entry))
    settled = check_addresses(directory, entry, home, wanted.changes, profile)
    joining = subscribable_members.requested(parsed, ADD_SUBSCRIBERS, entry)
    mods = (
        *modlist(subscribable.in_directory(settled.in_directory, entry), entry),
        *subscribable.newsletter_mods(wanted.changes, entry),
    )
    rest = (
        *_setting(lists, mail, list_profile.forms(mail, settled.in_profile, profile)),
        *subscribable_members.unsubscribe(directory, lists, entry, mail, parsed),
        *subscribable_members.subscribe(lists, mail, joining),
    )
    # A change of settings alone does not depend on what was read of the entry.
    expect = (entry.csn,) if mods and entry.csn else ()
    removed = references.removed_addresses(entry, mods)
    undo_log = UndoLog()
    steps: tuple[Step, ...] = (
        # References first, as with users; the entry before mlmmj, so that a request whose state is
        # outdated is refused before the list changes.
        *follow_removed(context, entry, removed, undo_log),
        *((Modify(entry.dn, mods, expect),) if mods or rest else ()),
        *recheck_addresses(directory, mail, entry, mods),
        *rest,
    )
    ignored = (
        *parsed.dropped,
        *missing,
        *kept.overruled,
        *wanted.overruled,
        *settled.ignored,
        *joining.ignored,
    )
    touches = mail_names.domains_of(removed)
    return Plan(entry.dn, steps, entry.csn, ignored, touches, back=undo_log.undo, found=judge.found)


def _setting(lists: MailingLists, mail: str, forms: list[dict[str, str]]) -> Iterator[Outside]:
    def work() -> None:
        for form in forms:
            lists.update(mail, form)

    if forms:
        yield Outside("change the settings of the list", work)


def delete(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan the deletion of a list: disable it, clear its mentions, delete its folder and entry.

    Raises:
        NoSuchAccount: If there is none, or it is an unsubscribable one.
        ServerDown: If a database does not answer.
        MlmmjadminUnavailable: If mlmmjadmin does not answer.
    """
    directory, outside, mail = context.directory, context.outside, path["mail"]
    archive = parsed.value("keep_archive") != "no"
    entry, lists = _read(context, mail), outside.mlmmjadmin
    outside.ask()
    lists.ask()
    addresses = list_membership.all_addresses(directory, entry)
    externals = list_membership.externals_of(directory, entry, addresses)
    words = "archive the list" if archive else "remove the list for good"
    return Plan(
        entry.dn,
        account_deletion.steps(
            context,
            entry.dn,
            addresses,
            settings=(references.clear_default_lists(directory.tree, addresses),),
            records=(outside.forgetting(mail),),
            own=(
                *external_members.without_list(externals, addresses),
                # Before the entry, which is what a repeat knows the folder by.
                Outside(f"{words} {mail}", lambda: lists.delete(mail, archive=archive)),
            ),
            afterwards=(list_membership.recheck_members(directory, addresses),),
        ),
        entry.csn,
        touches=mail_names.domains_of(addresses),
    )
