"""Find out what refers to an account or a domain, and what would become of it.

Nothing here knows where references can be: the deletion and the rename are planned as their calls
plan them, and what these plans would write into other entries is shown (`changes/forecast.py`).

Source: `docs/decisions/0056-lookups.md`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

from iredldap import finders
from iredldap.changes import apply, dry_run
from iredldap.changes.forecast import Forecast
from iredldap.changes.progress import Progress
from iredldap.dit import mail_names, mailbox, names
from iredldap.dit.entry import Entry, folded
from iredldap.dit.fields import Parsed
from iredldap.dit.mailbox import PathSet
from iredldap.dit.plan import (
    Add,
    Delete,
    Modify,
    Op,
    Operation,
    Outside,
    Plan,
    Rename,
    describe,
)
from iredldap.dit.request import Request
from iredldap.errors import Conflict, Forbidden, NoSuchAccount, Unacceptable
from iredldap.operations import aliases, dispatch, list_mentions, standalone_admins
from iredldap.operations.context import Context, PathVariables, Shown
from iredldap.operations.context import Operation as MakePlan
from iredldap.operations.domains import domains
from iredldap.operations.lists import maillists, subscribable
from iredldap.operations.near_mailboxes import owners_of
from iredldap.operations.renames import rename
from iredldap.operations.users import protected, users

MOST_SHOWN = 1000
"""References that an answer lists; the others are counted."""

_NEW_NAME = "the-new-address-of-a-look-up"
"""Local part that an account would get: only that it changes is shown."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of account, and the calls that delete and rename it."""

    name: str
    delete: tuple[str, MakePlan]
    rename: tuple[str, MakePlan] | None = None


_KINDS: Mapping[str, _Kind] = {
    "mailuser": _Kind(
        "user", ("user_delete", users.delete), ("user_change_email", rename.rename_user)
    ),
    "mailalias": _Kind(
        "alias", ("alias_delete", aliases.delete), ("alias_change_email", rename.rename_alias)
    ),
    "maillist": _Kind("maillist", ("maillist_delete", maillists.delete)),
    "mlmmj": _Kind("ml", ("ml_delete", subscribable.delete)),
    "mailadmin": _Kind("admin", ("admin_delete", standalone_admins.delete)),
}

Place = tuple[str, str, str]
"""DN of an entry, attribute and value."""


@dataclass
class _Outcome:
    """What a plan would do to the references to an account.

    `refused` are the codes of its refusal, `report` what that says beside; `fates` tells what
    becomes of each reference, and `gaining` which attributes of which entries get other values.
    `own` are changes of the account itself, `entries` the entries that
    are deleted with it.
    """

    refused: tuple[str, ...] = ()
    report: Mapping[str, object] | None = None
    steps: tuple[str, ...] = ()
    fates: dict[Place, str] = field(default_factory=dict)
    gaining: set[tuple[str, str]] = field(default_factory=set)
    own: list[Modify] = field(default_factory=list)
    entries: int = 0

    def as_json(self) -> dict[str, object]:
        """Return it without the references."""
        return {"refused": [*self.refused], "report": self.report, "outside": [*self.steps]}


def of_account(context: Context, path: PathVariables, parsed: Parsed) -> Shown:
    """Show what refers to an account, and what would become of it.

    Raises:
        NoSuchAccount: If there is none.
        PermissionDeniedUpdateGlobalAdminProfile: If a normal admin asks for a global one.
        ServerDown, MlmmjadminUnavailable: If a part of it cannot be read.
    """
    mail = path["mail"]
    entry, kind = _find(context, mail)
    deletion = _outcome(context, entry, *kind.delete, {"mail": mail})
    new_mail = f"{_NEW_NAME}@{mail_names.domain_of(mail)}"
    renaming = kind.rename and _outcome(
        context, entry, *kind.rename, {"mail": mail, "new_mail": new_mail}, new_mail
    )
    addresses = sorted(entry.lowered("mail") | entry.lowered("shadowAddress"))
    shown = {
        "mail": mail,
        "kind": kind.name,
        "deletion": deletion.as_json(),
        "rename": renaming.as_json() if renaming else None,
        **_references(context, deletion, renaming),
        "addresses": [*_addresses(entry, renaming, new_mail)],
        "lists": [
            {"list": name, "role": role}
            for name, role in list_mentions.places(context, entry.dn, addresses)
            if context.caller.manages(mail_names.domain_of(name))
        ],
        "rows": context.outside.count(mail),
        "mailbox": _mailbox(context, entry) if kind.name == "user" else None,
    }
    return Shown(shown)


def of_domain(context: Context, path: PathVariables, parsed: Parsed) -> Shown:
    """Show what refers to a domain and its accounts from outside, and what would become of it.

    Raises:
        NoSuchAccount: If there is none; that of an alias domain is that of its primary domain.
        ServerDown, MlmmjadminUnavailable: If a part of it cannot be read.
    """
    entry = domains.get(context.directory, path["domain"])
    name = entry.folded("domainName")
    deletion = _outcome(context, entry, "domain_delete", domains.delete, {"domain": name})
    shown = {
        "domain": name,
        "alias_domains": sorted(entry.lowered("domainAliasName")),
        "deletion": deletion.as_json(),
        **_references(context, deletion, None),
        "entries": deletion.entries,
        "rows": context.outside.count_domain(name),
    }
    return Shown(shown)


def _find(context: Context, mail: str) -> tuple[Entry, _Kind]:
    """Find an account of any kind; of a standalone admin only a global one learns."""
    directory, caller = context.directory, context.caller
    found = directory.find(finders.account_query(directory, mail))
    # Two accounts of one address are the doctor's business; the one that is looked at is that of
    # the call which a client would use.
    for object_class in ("mailUser", "mailAlias", "mailList"):
        entry = finders.choose_account(directory, found, mail, object_class)
        if entry:
            protected.refuse_global_admin(caller, entry)
            is_mlmmj = object_class == "mailList" and entry.has("enabledService", "mlmmj")
            return entry, _KINDS["mlmmj" if is_mlmmj else object_class.lower()]
    if caller.is_global and (entry := finders.standalone_admin(directory, mail)):
        return entry, _KINDS["mailadmin"]
    raise NoSuchAccount(f"no account {mail}")


def _outcome(
    context: Context,
    entry: Entry,
    endpoint: str,
    operation: MakePlan,
    path: PathVariables,
    new_mail: str = "",
) -> _Outcome:
    """Plan a change of an account, have it judged, and find out what it would do.

    Again, as the change itself, if another client has changed the account meanwhile.
    """
    directory = context.directory

    def judged(plan: Plan, progress: Progress) -> Plan:
        dry_run.judge(directory, plan, progress.fail)
        return plan

    make = partial(dispatch.plan, context, operation, Request(endpoint, path))
    try:
        # Judged by slapd as the call itself would be, under the No-Op control: what it would refuse
        # (a last member, a child) is part of the answer.
        plan = apply.repeated(directory, make, judged)
    except (Conflict, Forbidden, Unacceptable) as refusal:
        return _Outcome(refused=refusal.codes, report=refusal.report)
    outcome = _Outcome(
        steps=tuple(describe(step) for step in plan.steps if isinstance(step, Outside))
    )
    forecast = Forecast(directory)
    # The forecast expands sweeps on the directory as it is, so there is no second list of places
    # where references can be.
    for operation_ in chain.from_iterable(map(forecast.operations, plan.steps)):
        _note(outcome, entry.dn, operation_, new_mail)
    return outcome


def _note(outcome: _Outcome, dn: str, operation: Operation, new_mail: str) -> None:
    is_renamed = bool(new_mail) and names.is_named(operation.dn, "mail", new_mail)
    # What a rename writes into the account itself is no reference of others to it.
    if is_renamed or names.is_within(operation.dn, dn):
        if isinstance(operation, Modify) and new_mail:
            outcome.own.append(operation)
        outcome.entries += isinstance(operation, Delete)
        return
    match operation:
        case Modify(mods=mods):
            for mod in mods:
                for value in mod.values if mod.op is Op.DELETE else ():
                    place = (operation.dn, mod.attribute, value.decode("utf-8", "replace"))
                    outcome.fates[place] = "removed"
                if mod.values and mod.op is not Op.DELETE:
                    outcome.gaining.add((operation.dn, mod.attribute))
        case Delete():
            outcome.fates[operation.dn, "", ""] = "deleted"
        case Add() | Rename():
            # An entry of external members that is split, or follows: its values are kept.
            pass


def _references(
    context: Context, deletion: _Outcome, renaming: _Outcome | None
) -> dict[str, object]:
    """Return the references that the caller may see, and how many there are beside."""
    places = [*dict.fromkeys((*deletion.fates, *(renaming.fates if renaming else ())))]
    seen = [place for place in places if context.caller.manages_place(place[0])]
    listed = [
        {
            "dn": dn,
            "attribute": attribute or None,
            "value": value or None,
            "on_deletion": _fate_in(deletion, (dn, attribute, value)),
            "on_rename": _fate_in(renaming, (dn, attribute, value)) if renaming else None,
        }
        for dn, attribute, value in seen[:MOST_SHOWN]
    ]
    return {
        "references": listed,
        "left_out": len(seen) - len(listed),
        "in_other_domains": len(places) - len(seen),
    }


def _fate_in(outcome: _Outcome, place: Place) -> str | None:
    if outcome.refused:
        return None
    fate = outcome.fates.get(place, "stays")
    # Another value takes its place, in the same write or, for the last owner of a list, in another.
    return "replaced" if fate == "removed" and place[:2] in outcome.gaining else fate


def _addresses(
    entry: Entry, renaming: _Outcome | None, new_mail: str
) -> Iterator[dict[str, object]]:
    """Yield the further addresses of an account; a deletion frees them all."""
    held = entry.lowered("shadowAddress")
    kept = {*held}
    for operation in renaming.own if renaming else ():
        for mod in operation.mods:
            if mod.attribute == "shadowAddress" and mod.op is Op.DELETE:
                kept -= {folded(value.decode()) for value in mod.values}
    for address in sorted(held):
        fate = None
        if renaming and not renaming.refused:
            fate = "stays" if address in kept else "removed"
        yield {"address": address, "on_rename": fate}


def _mailbox(context: Context, entry: Entry) -> dict[str, object]:
    """Return the directory of a user's mailbox, and the other accounts that use it."""
    directory, path = context.directory, mailbox.location(entry)
    if not path:
        return {"path": None, "shared_with": [], "shared_in_other_domains": 0}
    path_set = PathSet([path])
    found = directory.stream(mailbox.overlap_query(directory.tree.base, (path,)))
    others = [
        (dn, address)
        for dn, address, _ in owners_of(found, path_set)
        if not names.same_dn(dn, entry.dn)
    ]
    seen = [address for dn, address in others if context.caller.manages_place(dn)]
    return {
        "path": mailbox.stored_path(entry),
        "shared_with": sorted(seen),
        "shared_in_other_domains": len(others) - len(seen),
    }
