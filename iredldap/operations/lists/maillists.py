"""Plan changes of unsubscribable mailing lists, and show them.

Members are written before the list's own entry: a creation that broke off leaves no entry, and a
repeat finishes it. Every change of members ends with a change of the list's entry, so that its
state changes with them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from iredldap import finders
from iredldap.dit import domain, domain_entry, mail_names, maillist, names, references
from iredldap.dit.entry import Entry, encoded
from iredldap.dit.fields import Parsed, Verb, show
from iredldap.dit.filters import either, equals
from iredldap.dit.maillist import GROUP
from iredldap.dit.modlist import modlist
from iredldap.dit.plan import (
    Add,
    Delete,
    Mod,
    Modify,
    Op,
    Operation,
    Plan,
    Query,
    Scope,
    Step,
)
from iredldap.gateways.directory import Directory
from iredldap.operations import (
    account_deletion,
    external_members,
    list_membership,
    uniqueness,
)
from iredldap.operations.context import Context, PathVariables, Shown
from iredldap.operations.domains.account_limits import Limit
from iredldap.operations.uniqueness import NewAccount


def get(context: Context, mail: str) -> tuple[Entry, list[str]]:
    """Read a list and the sorted addresses of its members.

    Raises:
        NoSuchAccount: If there is none, or it is one that mlmmj runs.
    """
    found = list_membership.read(context, mail, with_members=True)
    return found.entry, list_membership.member_addresses(found.externals, found.members)


def profile(context: Context, path: PathVariables, parsed: Parsed) -> Shown:
    """Show a list with its members."""
    entry, members = get(context, path["mail"])
    shown = show(entry, context.config.api.api_hidden_user_profiles)
    # Membership is stored in the members' entries: other tools change it without a new state here.
    return Shown({**shown, "members": members}, entry.csn, cacheable=False)


def create(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan a new list with the members that were asked for.

    Accounts that another tool has marked as members before there was a list stay members, and are
    named: they get the mail to the address already.

    Raises:
        NoSuchAccount: If its domain does not exist.
        AlreadyExists: If the address belongs to any account.
        InvalidMail: If members were asked for, and none of them can be one.
        NotAllowed, ExceededDomainAccountLimit: If the domain takes no more lists.
    """
    directory, mail = context.directory, path["mail"]
    # One search for what any creation asks, and for members of a list that is not there: a creation
    # that broke off left its members, which must not be taken for new ones.
    leftovers, others = _find_leftovers(directory, mail)
    home = uniqueness.home_of(others, mail)
    limit = limit_of(context, home)
    limit.refuse_another()
    aliases = uniqueness.in_alias_domains(home, mail)
    taken = uniqueness.taken(directory, aliases)
    addresses = (mail, *(alias for alias in aliases if alias not in taken))
    asked = list_membership.requested(parsed, Verb.SET)
    externals = [entry for entry in leftovers if maillist.is_externals(entry)]
    # What other tools have marked as external stays so, also where a domain is hosted here by now.
    classified = list_membership.classify(
        context, asked, addresses, "members", external_members.held(externals)
    )
    marked = [entry for entry in leftovers if not maillist.is_externals(entry)]
    wanted = {entry.dn for entry in classified.accounts}
    # Marked before there was a list, by another tool: they get its mail, and lose nothing by that.
    members = replace(
        classified, accounts=(*classified.accounts, *(e for e in marked if e.dn not in wanted))
    )
    attributes = maillist.new(
        mail,
        parsed.changes,
        addresses[1:],
        maillist.member_dn_mods(Entry("", {}), members.users, ()),
        is_marked=not home.is_active,
    )
    dn = names.account_in(home.dn, "Groups", mail)
    made = Entry(dn, {name: [*values] for name, values in attributes.items()})
    new_account = _new_account(directory, made, aliases, members, externals)
    kept = {mail for entry in marked if entry.dn not in wanted for mail in entry.texts("mail")[:1]}
    kept |= external_members.held(externals) - {*asked}
    return Plan(
        dn,
        (
            # Members first: without the entry there is no list yet, and the repeat after a crash
            # finds the members as leftovers.
            *list_membership.join(directory, made, members.accounts),
            *external_members.change(directory, made, externals, members.externals),
            Add(dn, attributes, container=domain_entry.new_container(home.dn, "Groups")),
            uniqueness.recheck(directory, new_account),
            *limit.recheck(new_account),
        ),
        ignored=(*parsed.dropped, *members.ignored, *sorted(taken)),
        touches=list_membership.domains_of_members(directory, (*members.accounts, *leftovers)),
        kept=tuple(sorted(kept)),
        found=members.found,
    )


def _find_leftovers(directory: Directory, mail: str) -> tuple[list[Entry], list[Entry]]:
    """Find the members of a list that does not exist, and all that any new account looks for.

    Such members are left by a creation or deletion that broke off, or by another tool.
    """
    query = finders.domain_and_holders(directory, mail)
    leftovers, others = list[Entry](), list[Entry]()
    for entry in directory.find(replace(query, filter=either(query.filter, equals(GROUP, mail)))):
        is_holder = entry.has("mail", mail) or entry.has("shadowAddress", mail)
        is_leftover = entry.has(GROUP, mail) and (maillist.is_externals(entry) or not is_holder)
        (leftovers if is_leftover else others).append(entry)
    return leftovers, others


def limit_of(context: Context, home: Entry) -> Limit:
    """Return the limit on the lists of a domain, of any type."""
    lists = Query(home.dn, Scope.SUBTREE, equals("objectClass", "mailList"), ("1.1",))
    return Limit.of(context, domain.limits(home), "numberOfLists", lists)


def _new_account(
    directory: Directory,
    made: Entry,
    aliases: tuple[str, ...],
    members: list_membership.Classified,
    before: Sequence[Entry],
) -> NewAccount:
    """Describe a new list; the marks that its members had before are not removed with it."""
    addresses = maillist.addresses(made)
    mail = addresses[0]
    externals = external_members.dn_of(directory, made)

    def beside(lost: tuple[str, ...]) -> Iterator[Operation]:
        for member in members.accounts:
            held = member.lowered(GROUP)
            # Only what this request has written: a mark that was there before is another tool's.
            theirs = encoded(a for a in addresses if a in lost and a not in held)
            if theirs:
                yield Modify(member.dn, (Mod(Op.DELETE, GROUP, theirs),), absent_ok=True)
        if before or not members.externals:
            return
        if mail in lost:
            yield Delete(externals, absent_ok=True, with_children=True)
        elif gone := encoded(address for address in addresses if address in lost):
            yield Modify(externals, (Mod(Op.DELETE, "shadowAddress", gone),), absent_ok=True)

    return NewAccount(
        dn=made.dn,
        mail=mail,
        aliases=aliases,
        is_marked=made.has("domainStatus", "disabled"),
        parts=(externals,) if members.externals else (),
        beside=lambda lost: tuple(beside(lost)),
    )


def update(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan a change of a list.

    Raises:
        NoSuchAccount: If there is none, or it is one that mlmmj runs.
        InvalidMail: If members were asked for, and none of them can be one.
    """
    directory, mail = context.directory, path["mail"]
    sets_all = any(change.field.name == "members" for change in parsed.changes)
    found = list_membership.read(context, mail, with_members=sets_all)
    entry, own = found.entry, maillist.addresses(found.entry)
    verb, parameter = (Verb.SET, "members") if sets_all else (Verb.ADD, "addMember")
    asked, held = list_membership.requested(parsed, verb), external_members.held(found.externals)
    added = list_membership.classify(context, asked, own, parameter, held, found.members)
    removed = list_membership.members_to_remove(directory, found, parsed, sets_all=sets_all)
    staying = {member.dn for member in added.accounts}
    joining = [member for member in added.accounts if maillist.is_partial_member(member, own)]
    steps: tuple[Step, ...] = (
        *list_membership.join(directory, entry, joining),
        *list_membership.leave(
            directory, entry, [member for member in removed.accounts if member.dn not in staying]
        ),
        *external_members.change(
            directory, entry, found.externals, added.externals, removed.externals
        ),
    )
    if joining or {*added.externals} - external_members.held(
        external_members.complete(entry, found.externals)
    ):
        steps += (list_membership.recheck_list(directory, found, joining),)
    # All DNs, also of accounts that are gone: a whole set of members leaves nothing of the old one.
    gone = entry.texts("member") if sets_all else [member.dn for member in removed.accounts]
    # Without a place for them there is nothing to write: the same members leave the same state.
    is_placed = directory.schema().holds(("mailList",), "member")
    dns = maillist.member_dn_mods(entry, added.users, gone) if is_placed else ()
    mods = (*modlist(parsed.changes, entry), *dns)
    if steps or mods:
        # Which members are removed depends on those that were read.
        # A change of single members does not depend on the others, and two at once must not refuse
        # one another.
        expect = (entry.csn,) if sets_all and entry.csn else ()
        steps += (Modify(entry.dn, mods, expect),)
    # Removed members in other domains may be renamed at the same time.
    touches = list_membership.domains_of_members(directory, (*added.accounts, *removed.accounts))
    return Plan(
        entry.dn,
        steps,
        entry.csn,
        (*parsed.dropped, *added.ignored),
        touches,
        found=added.found,
    )


def delete(context: Context, path: PathVariables, parsed: Parsed) -> Plan:
    """Plan the deletion of a list: disable it, remove members and mentions, delete the entry.

    Raises:
        NoSuchAccount: If there is none, or it is one that mlmmj runs.
        ServerDown: If a database does not answer.
        MlmmjadminUnavailable: If there are subscribable lists, and mlmmjadmin does not answer.
    """
    directory, outside, mail = context.directory, context.outside, path["mail"]
    found = list_membership.read(context, mail, with_members=False)
    outside.ask()
    entry, addresses = found.entry, list_membership.all_addresses(directory, found.entry)
    externals = list_membership.externals_of(directory, entry, addresses)
    return Plan(
        entry.dn,
        account_deletion.steps(
            context,
            entry.dn,
            addresses,
            settings=(references.clear_default_lists(directory.tree, addresses),),
            records=(outside.forgetting(mail),),
            own=external_members.without_list(externals, addresses),
            # Members name the list in their own entries: an address added to them meanwhile would
            # make them members of the next list of this address.
            afterwards=(list_membership.recheck_members(directory, addresses),),
        ),
        entry.csn,
        touches=mail_names.domains_of(addresses),
    )
