"""Convert parameters of a subscribable list to mlmmjadmin's profile, and back.

Some settings depend on one another, and mlmmjadmin's defaults are not those of the reference:
every setting is sent.

Source: mlmmjadmin 3.6, profile parameters and their interactions.
"""

import html
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from iredldap.dit import mail_names
from iredldap.dit.change_log import Row
from iredldap.dit.fields import FieldChange, Profile
from iredldap.dit.list_kinds import STANDARD_HEADERS
from iredldap.dit.subscribable import (
    BY_MODERATORS,
    BY_SUBSCRIBERS,
    CREATE,
    EXTRA_ADDRESSES,
    FOOTER_HTML,
    FOOTER_TEXT,
    IS_NEWSLETTER,
    JOIN_MODERATORS,
    JOINS_MODERATED,
    MODERATED,
    MODERATORS,
    NON_MEMBERS_MODERATED,
    OWNER,
    POLICY,
)
from iredldap.errors import InvalidMail, ParameterConflict

Held = Mapping[str, Any]
"""A profile as mlmmjadmin gives it."""

_IN_BOTH = {"name", "max_message_size", OWNER.name, MODERATORS.name}
_CLOSED = {BY_MODERATORS.name: "moderatorsonly", BY_SUBSCRIBERS.name: "membersonly"}
# Policies that iRedAPD judges before mlmmj sees the mail; to mlmmj a list with one of these is open
# to all.
_OPEN = ("public", "domain", "subdomain")
_NUMBERS = ("max_message_size", "smtp_port")
_ROLES = (OWNER, MODERATORS)
_HEADERS = "custom_headers"
_HOLDING = (MODERATED.name, NON_MEMBERS_MODERATED.name)
"""Switches by which posts wait for moderators: no one else is asked."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """Changes of which none contradicts another, and what of them was overruled."""

    changes: tuple[FieldChange, ...]
    overruled: tuple[str, ...] = ()


def completed(mail: str, changes: Iterable[FieldChange]) -> Agreed:
    """Complete the changes of a new list with the reference's defaults.

    There is nothing to clear, so what clears counts as not sent.

    Raises:
        ParameterConflict: As `agreed`.
    """
    # A new list has nothing to be cleared.
    sent = {change.field.name: change for change in changes if change.values}
    wanted = with_moderators(mail, [*sent.values()], {})
    posts = agreed(wanted.changes, "", {BY_SUBSCRIBERS.name: "yes"})
    defaults = [
        FieldChange(row, (row.default,))
        for row in CREATE
        if row.default and isinstance(row.stored_as, Profile)
    ] + [FieldChange(row, (postmaster(mail),)) for row in _ROLES]
    taken = {change.field.name for change in posts.changes}
    if JOIN_MODERATORS.name in taken:
        # Both are in one control file; the default of the switch would delete the moderators again.
        taken.add(JOINS_MODERATED.name)
    rest = (change for change in defaults if change.field.name not in taken)
    return Agreed((*posts.changes, *rest), posts.overruled)


def postmaster(mail: str) -> str:
    """Return the address that owns a list without other owners."""
    return f"postmaster@{mail_names.domain_of(mail)}"


def holds_posts(profile: Held) -> bool:
    """Return whether posts, of all or of non-members, wait for a moderator."""
    return any(profile.get(name) == "yes" for name in _HOLDING)


def with_moderators(mail: str, changes: Sequence[FieldChange], profile: Held) -> Agreed:
    """Add moderators where posts wait for them: the owners, else postmaster.

    mlmmj asks moderators alone. Without any it keeps each post for a week, notifies no one, and
    discards it.

    Args:
        mail: The list.
        changes: What was sent.
        profile: The settings so far.
    """
    sent = {change.field.name: change.values for change in changes}
    # A list that others have left without moderators is not put right by a change of its
    # description.
    if not sent.keys() & {*_HOLDING, MODERATORS.name}:
        return Agreed(tuple(changes))
    switches = {name: sent[name][0] for name in _HOLDING if sent.get(name)}
    moderators = sent.get(MODERATORS.name, profile.get(MODERATORS.name) or ())
    # Settings as they will be, from what is sent and what is there.
    if moderators or not holds_posts({**profile, **switches}):
        return Agreed(tuple(changes))
    held = sent.get(OWNER.name) or profile.get(OWNER.name) or ()
    owners = tuple(dict.fromkeys(owner.lower() for owner in held if _is_taken(owner)))
    others = [change for change in changes if change.field.name != MODERATORS.name]
    # A setting rather than a refusal: a post about which no one is asked is lost after a week.
    heirs = FieldChange(MODERATORS, owners or (postmaster(mail),))
    return Agreed((*others, heirs), (f"{MODERATORS.name}=",) if MODERATORS.name in sent else ())


def agreed(changes: Sequence[FieldChange], policy: str, profile: Held) -> Agreed:
    """Make accessPolicy and the two settings of who may post agree.

    Where they are sent and contradict one another accessPolicy counts, else the moderators do.

    Args:
        changes: What was sent.
        policy: The accessPolicy so far, of which iRedAPD enforces what mlmmj does not.
        profile: The settings so far.

    Raises:
        ParameterConflict: If moderators of joins are sent, and joins shall not be moderated.
    """
    sent = {c.field.name: c.values[0] for c in changes if c.values}
    if sent.get(JOINS_MODERATED.name) == "no" and JOIN_MODERATORS.name in sent:
        words = f"{JOIN_MODERATORS.name} switches {JOINS_MODERATED.name} on"
        raise ParameterConflict(words, parameter=JOIN_MODERATORS.name)
    posting = {name: sent[name] for name in (POLICY.name, *_CLOSED) if name in sent}
    before = _policy(profile, policy)
    now = posting.get(POLICY.name) or _policy(
        {name: profile.get(name) for name in _CLOSED} | _exclusive(posting), policy
    )
    is_new = not policy
    # Nothing but "no" to what is off already: the form of a page sends all its fields.
    if not is_new and now == before and set(posting.values()) <= {"no"}:
        return Agreed(tuple(changes))
    wanted = {name: "yes" if closed == now else "no" for name, closed in _CLOSED.items()}
    rows = (BY_MODERATORS, BY_SUBSCRIBERS)
    return Agreed(
        (
            *(change for change in changes if change.field.name not in posting),
            FieldChange(POLICY, (now,)),
            *(FieldChange(row, (wanted[row.name],)) for row in rows),
        ),
        tuple(f"{n}={sent[n]}" for n, value in wanted.items() if sent.get(n, value) != value),
    )


def _exclusive(posting: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of who may post: setting one of the two unsets the other."""
    chosen = next((name for name in _CLOSED if posting.get(name) == "yes"), None)
    if chosen:
        return {name: "yes" if name == chosen else "no" for name in _CLOSED}
    return {name: value for name, value in posting.items() if name in _CLOSED}


def _policy(profile: Held, policy: str) -> str:
    """Return the policy of a list: that of mlmmj if it has one, else that of iRedAPD."""
    for name, closed in _CLOSED.items():
        if profile.get(name) == "yes":
            return closed
    return policy if policy in _OPEN else "public"


def parameters(mail: str, changes: Iterable[FieldChange], profile: Held) -> dict[str, str]:
    """Convert changes to mlmmjadmin's parameters.

    Args:
        mail: The list.
        changes: Agreed ones; of further addresses only those that belong into a control file.
        profile: The settings so far.
    """
    found: dict[str, str] = {}
    for change in changes:
        # mlmmjadmin takes a form: lists are one text, with the separator of the parameter.
        text = change.field.kind.separator.join(change.values)
        storage, name = change.field.stored_as, change.field.name
        if isinstance(storage, Profile):
            found[storage.name] = text
        elif name in _IN_BOTH:
            found[name] = text
        elif name == EXTRA_ADDRESSES.name:
            # An empty list would take the list's own address away too.
            found[name] = text or mail
    # The moderators of joins and the switch share a control file: naming moderators switches
    # moderation on, an empty list switches it off unless the switch was sent too.
    if found.get(JOIN_MODERATORS.name):
        found.pop(JOINS_MODERATED.name, None)
    elif JOIN_MODERATORS.name in found:
        del found[JOIN_MODERATORS.name]
        found.setdefault(JOINS_MODERATED.name, "no")
    return found | _footer(found, profile)


def differing(mail: str, changes: Iterable[FieldChange], profile: Held) -> dict[str, str]:
    """Return the changes that are not in the profile yet, as mlmmjadmin's parameters."""
    wanted = parameters(mail, changes, profile)
    new = {name: text for name, text in wanted.items() if not _holds(mail, name, text, profile)}
    if new.get(FOOTER_TEXT.name) == "":
        # mlmmjadmin removes both footers if the text is empty and the HTML is not in the same form.
        html_after = wanted.get(FOOTER_HTML.name, profile.get(FOOTER_HTML.name))
        new |= {FOOTER_HTML.name: html_after} if html_after else {}
    return new


def forms(mail: str, changes: Sequence[FieldChange], profile: Held) -> list[dict[str, str]]:
    """Return what is not in the profile yet, as one form after the other.

    Joins that are moderated by the owners from now on take two: the first clears the moderators.
    """
    form = differing(mail, changes, profile)
    sent = {change.field.name: change.values for change in changes}
    is_for_owners = sent.get(JOINS_MODERATED.name) == ("yes",) and not sent.get(
        JOIN_MODERATORS.name, ("unchanged",)
    )
    if is_for_owners and profile.get(JOIN_MODERATORS.name):
        return [form | {JOINS_MODERATED.name: "no"}, {JOINS_MODERATED.name: "yes"}]
    return [form] if form else []


def _holds(mail: str, name: str, text: str, profile: Held) -> bool:
    held = profile.get(name)
    if name == _HEADERS:
        # Without the headers that mlmmj adds by itself, which a client does not send back.
        return {*filter(None, text.split("\n"))} == {*_own_headers(profile)}
    # mlmmjadmin keeps no order in these files.
    if isinstance(held, list):
        # The own address is always in the file, whether it was sent or not.
        return set(text.split(",")) - {mail, ""} == {*held} - {mail}
    if name in _NUMBERS:
        return int(text) == _number(held)
    return bool(text == held)


def _footer(found: Mapping[str, str], profile: Held) -> dict[str, str]:
    """Return a footer with its HTML form: mlmmj adds none without both."""
    if not found.keys() & {FOOTER_TEXT.name, FOOTER_HTML.name}:
        return {}
    before, held = (str(profile.get(row.name) or "") for row in (FOOTER_TEXT, FOOTER_HTML))
    # HTML that was made of the text follows it; HTML of the list's own stays.
    own = "" if held == _as_html(before) else held
    wanted = found.get(FOOTER_HTML.name, own) or _as_html(found.get(FOOTER_TEXT.name, before))
    return {FOOTER_HTML.name: wanted} if wanted != held else {}


def _as_html(text: str) -> str:
    return "<br>\n".join(html.escape(line) for line in text.splitlines())


def exchanged(
    profile: Held, successor: Callable[[str], str | None], heir: str = ""
) -> Iterator[dict[str, str]]:
    """Return the forms that replace owners and moderators, in order.

    Without its last owner the heir owns the list; without its last moderator, while posts wait
    for one, the owners moderate it. Without the last moderator of joins, joins stay moderated,
    by the owners: the settings of them share a file, so that it takes two forms.

    Args:
        profile: The settings so far.
        successor: Returns the address that replaces one, in lower case; None: it is removed.
        heir: Owns a list that loses its last owner; None: it has no owner.
    """
    form: dict[str, str] = {}
    after: dict[str, list[str]] = {}
    for name in (OWNER.name, MODERATORS.name, JOIN_MODERATORS.name):
        held = [address.lower() for address in profile.get(name, ())]
        after[name] = [*dict.fromkeys(filter(None, map(successor, held)))]
        if name != OWNER.name:
            # Of these mlmmjadmin drops without a word what it does not take for an address.
            after[name] = [address for address in after[name] if _is_taken(address)]
        if heir and name == OWNER.name and not after[name]:
            after[name] = [heir]
        if heir and name == MODERATORS.name and holds_posts(profile) and not after[name]:
            after[name] = [*filter(_is_taken, after[OWNER.name])] or [heir]
        # Only what differs is sent: each form writes control files, which mlmmj may be reading.
        if after[name] != held:
            form[name] = ",".join(after[name])
    if form.get(JOIN_MODERATORS.name) == "":
        del form[JOIN_MODERATORS.name]
        # "no" deletes the control file and the moderators in it, "yes" makes an empty one, by
        # which mlmmj asks the owners.
        yield form | {JOINS_MODERATED.name: "no"}
        yield {JOINS_MODERATED.name: "yes"}
    elif form:
        yield form


def _is_taken(address: str) -> bool:
    """Return whether mlmmjadmin takes a text for an address."""
    try:
        mail_names.subscriber(address)
    except InvalidMail:
        return False
    return True


def as_row(mail: str, profile: Held) -> dict[str, str]:
    """Return a profile as a row of texts, lists as forms have them: for the change log."""
    row = {
        name: ",".join(held) if isinstance(held, list) else str(held)
        for name, held in profile.items()
        if name != "owners"
    }
    return {"mail": mail, **row, _HEADERS: "\n".join(_own_headers(profile))}


def forms_back(wanted: Row, held: Row) -> list[dict[str, str]]:
    """Return the forms by which a list gets the settings of a row again, one after the other.

    Args:
        wanted: Those to have, as `as_row` gives them, or some of them; its address.
        held: Those that it has.
    """
    form = {
        name: str(text)
        for name, text in wanted.items()
        if name in held and held[name] != text and name != "mail"
    }
    footers = (FOOTER_TEXT.name, FOOTER_HTML.name)
    if form.keys() & {*footers}:
        # mlmmjadmin removes both if one is empty and the other is not in the same form.
        form |= {name: str(wanted.get(name, held.get(name, ""))) for name in footers}
    if form.get(EXTRA_ADDRESSES.name) == "":
        form[EXTRA_ADDRESSES.name] = str(wanted["mail"])
    moderators = form.pop(JOIN_MODERATORS.name, None)
    if moderators:
        form.pop(JOINS_MODERATED.name, None)
        return [form | {JOIN_MODERATORS.name: moderators}]
    if moderators is not None and wanted.get(JOINS_MODERATED.name) == "yes":
        # Of both in one control file "no" removes the moderators, "yes" leaves joins to the owners.
        return [form | {JOINS_MODERATED.name: "no"}, {JOINS_MODERATED.name: "yes"}]
    if moderators is not None:
        form[JOINS_MODERATED.name] = "no"
    return [form] if form else []


def without(mail: str, profile: Held, is_gone: Callable[[str], bool]) -> dict[str, str]:
    """Return the form by which a list loses some of its further addresses; empty: it has none."""
    held = [address.lower() for address in profile.get(EXTRA_ADDRESSES.name) or ()]
    kept = [address for address in held if not is_gone(address)]
    # An empty list would take the list's own address away too.
    return {EXTRA_ADDRESSES.name: ",".join(kept) or mail} if kept != held else {}


def shown(profile: Held) -> dict[str, Any]:
    """Return a profile as an answer, by the names of our parameters.

    Headers that mlmmj adds to every post of every list are left out.
    """
    answer = dict(profile)
    answer.pop("owners", None)
    for name in _NUMBERS:
        if name in answer:
            answer[name] = _number(answer[name])
    answer[_HEADERS] = _own_headers(profile)
    assert isinstance(IS_NEWSLETTER.stored_as, Profile)
    answer[IS_NEWSLETTER.name] = answer.pop(IS_NEWSLETTER.stored_as.name, "no")
    return answer


def _own_headers(profile: Held) -> list[str]:
    return [
        header
        for header in profile.get(_HEADERS) or ()
        if header.partition(":")[0].strip().lower() not in STANDARD_HEADERS
    ]


def _number(held: object) -> int:
    """Convert a number that mlmmjadmin sends as text; 0 where it is not set."""
    digits = str(held)
    return int(digits) if digits.isdecimal() else 0
