"""Plan the creation of a subscribable list.

It gets its folder, then its entry, then its members. Only then the entry gets the service that
Postfix looks for. Without that, a repeat recognizes a creation that broke off, and finishes it.
"""

import uuid
from collections.abc import Iterator

from iredldap import finders
from iredldap.dit import domain_entry, filters, list_profile, mail_names, names, subscribable
from iredldap.dit.entry import Entry, encoded
from iredldap.dit.fields import Parsed
from iredldap.dit.filters import equals
from iredldap.dit.modlist import service_mods
from iredldap.dit.plan import Add, Modify, Outside, Plan, Query, Recheck, Scope, Step, reset_entry
from iredldap.dit.subscribable import SUBSCRIBERS
from iredldap.gateways.directory import Directory
from iredldap.operations import list_mentions, uniqueness
from iredldap.operations.context import Context, PathVariables
from iredldap.operations.domains.account_limits import Limit
from iredldap.operations.lists import maillists, subscribable_members
from iredldap.operations.lists.subscribable import check_addresses, check_leaders
from iredldap.operations.lists.subscribable_members import NewSubscribers
from iredldap.operations.mlmmj_calls import MailingLists
from iredldap.operations.targets import Judge
from iredldap.operations.users import address_rules

_LASTING = ("objectClass", "mail", "mailingListID")


def create(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan a new list, or the rest of one whose creation broke off.

    Raises:
        InvalidMail: If the address is none that mlmmjadmin takes, or a further one lies elsewhere;
            or if the list itself is its only member.
        NoSuchAccount: If its domain does not exist.
        AlreadyExists: If the address belongs to any account.
        ParameterConflict: As `list_profile.agreed`.
        NotAllowed, ExceededDomainAccountLimit: If the domain takes no more lists.
        MlmmjadminUnavailable: If mlmmjadmin does not answer.
    """
    directory, lists, mail = context.directory, context.outside.mlmmjadmin, path["mail"]
    home, begun = _place(directory, mail_names.subscriber(mail))
    dn = begun.dn if begun else names.account_in(home.dn, "Groups", mail)
    limit = maillists.limit_of(context, home)
    # The entry of a creation that broke off is counted already.
    # A repeat must not be refused for the limit that its own first half has used up.
    if begun is None:
        limit.refuse_another()
    account, taken = _account(directory, home, dn, mail)
    judge = Judge.of(directory, context.caller, context.coming)
    changes, missing = check_leaders(judge, parsed.changes)
    wanted = list_profile.completed(mail, changes)
    settled = check_addresses(directory, account, lambda: home, wanted.changes, {})
    members = subscribable_members.requested(parsed, SUBSCRIBERS, account)
    lists.ask()
    attributes = subscribable.new(
        mail,
        settled.in_directory,
        # The id of the first attempt stays: a client may have read it by now.
        (begun and begun.text("mailingListID")) or _new_id(context),
        account.texts("shadowAddress"),
        is_marked=not home.is_active,
        # Marked as unfinished until its members are there, so that a repeat finds the rest to do.
        is_finished=not members.addresses,
    )
    made = Entry(dn, {name: [*values] for name, values in attributes.items()})
    profile = list_profile.parameters(mail, settled.in_profile, {})
    steps: tuple[Step, ...] = (
        # The folder before the entry: Postfix must not hand mail to a list that mlmmj lacks.
        _create_folder(directory, lists, dn, mail, profile),
        reset_entry(begun, attributes, _LASTING)
        if begun
        else Add(dn, attributes, container=domain_entry.new_container(home.dn, "Groups")),
        *_rechecks(directory, home, made, limit),
        *_finish(lists, made, members),
    )
    ignored = (
        *parsed.dropped,
        *missing,
        *wanted.overruled,
        *settled.ignored,
        *members.ignored,
        *taken,
    )
    return Plan(dn, steps, begun.csn if begun else None, ignored, found=judge.found)


def _place(directory: Directory, mail: str) -> tuple[Entry, Entry | None]:
    """Find the domain, and the list itself if its creation broke off."""
    found = directory.find(finders.domain_and_holders(directory, mail))
    begun = finders.choose_account(
        directory, filter(subscribable.is_unfinished, found), mail, "mailList"
    )
    return uniqueness.home_of((entry for entry in found if entry is not begun), mail), begun


def _account(directory: Directory, home: Entry, dn: str, mail: str) -> tuple[Entry, list[str]]:
    """Return the list with its names in alias domains, and the names that other accounts have."""
    account = Entry(dn, {"mail": [mail.encode()]})
    aliases = uniqueness.in_alias_domains(home, mail)
    taken = address_rules.taken(directory, account, set(aliases))
    shadows = encoded(alias for alias in aliases if alias not in taken)
    return Entry(dn, {**account.attributes, "shadowAddress": [*shadows]}), sorted(taken)


def _new_id(context: Context) -> str:
    """Return a random id that no other list has."""
    # Lists are subscribed to by a URL with this id: two of one id would get each other's members. A
    # second round is improbable, and costs a search.
    while True:
        number = str(uuid.UUID(bytes=context.salt(), version=4))
        same = filters.every(list_mentions.LISTS, equals("mailingListID", number))
        query = Query(context.directory.tree.base, Scope.SUBTREE, same, ("1.1",))
        if not context.directory.find(query):
            return number


def _create_folder(
    directory: Directory, lists: MailingLists, dn: str, mail: str, profile: dict[str, str]
) -> Outside:
    """Return the step that creates the folder of a list.

    A folder without an entry is archived before: its members subscribed to another list.
    """

    def has_no_entry() -> bool:
        entry = directory.read(dn)
        return entry is None or not subscribable.is_subscribable_list(entry)

    def make() -> None:
        if has_no_entry() and lists.profile(mail) is not None:
            lists.delete(mail, archive=True)
        lists.create(mail, profile)

    def undo() -> None:
        # If another request added the entry first, the folder belongs to its list.
        if has_no_entry():
            lists.delete(mail, archive=False)

    return Outside(f"make the list {mail}", make, undo)


def _rechecks(directory: Directory, home: Entry, made: Entry, limit: Limit) -> Iterator[Recheck]:
    mail = made.text("mail") or ""
    aliases = uniqueness.in_alias_domains(home, mail)
    new_account = uniqueness.NewAccount(
        dn=made.dn,
        mail=mail,
        aliases=aliases,
        further=tuple(sorted(made.lowered("shadowAddress").difference(aliases))),
        is_marked=not home.is_active,
    )
    yield uniqueness.recheck(directory, new_account)
    # After the entry: two clients that add one list each may both have found room for it.
    yield from limit.recheck(new_account)


def _finish(lists: MailingLists, made: Entry, members: NewSubscribers) -> Iterator[Step]:
    for step in subscribable_members.subscribe(lists, made.text("mail") or "", members):
        yield step
        # Last: from here on Postfix hands mail to the list.
        yield Modify(made.dn, service_mods(subscribable.FINISHED, made))
