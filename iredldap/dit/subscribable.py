"""Rows of a subscribable mailing list, and a newly made one.

The entry in the directory lets mail reach the list; how it is distributed is settled by
control files, which mlmmjadmin keeps. Name, size, owners and moderators are in both.

Source: REST API reference, subscribable mailing lists; iRedMail's directory, subscribable list.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from iredldap.dit import kinds, list_kinds, mail_names, maillist
from iredldap.dit.entry import Entry, encoded, folded
from iredldap.dit.fields import Elsewhere, Field, FieldChange, Profile, StoredAttribute, Table, Verb
from iredldap.dit.modlist import new_attributes, service_mods
from iredldap.dit.plan import Mod

NEWSLETTER = "newsletter"
"""The service of a list that is offered on a web page."""

MEMBERS = Elsewhere("the subscribers, kept by mlmmj")


def _switch(name: str, meaning: str, default: str | None = None) -> Field:
    return Field(
        name=name,
        stored_as=Profile(name),
        kind=kinds.YES_NO,
        meaning=meaning,
        default=default,
        era="later",
    )


def _setting(name: str, kind: kinds.Kind, meaning: str, **more: Any) -> Field:
    storage = more.pop("stored_as", Profile(name))
    return Field(name=name, stored_as=storage, kind=kind, meaning=meaning, era="later", **more)


POLICY = _setting(
    "accessPolicy",
    kinds.choice(*kinds.POLICIES[:5], also=kinds.OLDER_POLICIES),
    "Who may post; membersonly and moderatorsonly are the same as only_subscriber_can_post and"
    " only_moderator_can_post.",
    stored_as=StoredAttribute("accessPolicy"),
)
BY_MODERATORS = _switch("only_moderator_can_post", "Only moderators may post.", "no")
BY_SUBSCRIBERS = _switch("only_subscriber_can_post", "Only members may post.", "yes")
IS_NEWSLETTER = _setting(
    "is_newsletter",
    kinds.YES_NO,
    "Whether joining and leaving are offered on a web page.",
    stored_as=Profile("enable_newsletter_subscription"),
    default="no",
)
DESCRIPTION = _setting(
    "newsletter_description",
    list_kinds.DESCRIPTION,
    "Text of that page.",
    stored_as=Elsewhere("description"),
    empty="removes it",
)
MODERATED = _switch(
    "moderated",
    "Posts wait for approval by moderators; where there are none, the owners become ones.",
    "no",
)
NON_MEMBERS_MODERATED = _switch(
    "moderate_non_subscriber_post",
    "Posts of non-members wait for approval by moderators, instead of being refused.",
    "no",
)
JOINS_MODERATED = _switch(
    "moderate_subscription",
    "Joins wait for approval by subscription_moderators, else by owners; no clears the former.",
    "no",
)
JOIN_MODERATORS = _setting(
    "subscription_moderators",
    list_kinds.ADDRESSES,
    "Who approves joins; this switches moderate_subscription on.",
    empty="removes all, and switches it off unless moderate_subscription is sent",
)
EXTRA_ADDRESSES = _setting(
    "extra_addresses",
    list_kinds.ADDRESSES,
    "Further addresses of the list, in its domain or an alias domain of that; the list's own"
    " address alone means none.",
    stored_as=StoredAttribute("shadowAddress", many=True),
)
OWNER = _setting(
    "owner",
    list_kinds.ADDRESSES,
    "Owners of the list; of a new one postmaster, unless they are named.",
    stored_as=StoredAttribute("listOwner", many=True),
)
MODERATORS = _setting(
    "moderators",
    list_kinds.ADDRESSES,
    "Moderators of posts; of a new list postmaster, unless they are named.",
    stored_as=StoredAttribute("listModerator", many=True),
    empty="removes all; the owners take the place where posts wait for one",
)
FOOTER_TEXT = _setting(
    "footer_text", list_kinds.LINES, "Plain-text footer of every post.", empty="removes it"
)
FOOTER_HTML = _setting(
    "footer_html",
    list_kinds.LINES,
    "HTML footer; without one the plain text is made into one.",
    empty="removes it",
)

_SETTINGS: Table = (
    maillist.NAME.but(meaning="Display name or short description.", era="later"),
    _setting(
        "accountStatus",
        kinds.STATUS,
        "Switches the list on (active) or off (disabled).",
        stored_as=StoredAttribute("accountStatus"),
    ),
    POLICY,
    IS_NEWSLETTER,
    DESCRIPTION,
    _switch("close_list", "No joining or leaving by mail.", "no"),
    BY_MODERATORS,
    BY_SUBSCRIBERS,
    _switch("disable_subscription", "No joining; leaving still works.", "no"),
    _switch("disable_subscription_confirm", "A new member is not asked to confirm; risky."),
    _switch("disable_digest_subscription", "No membership by digest."),
    _switch("disable_digest_text", "No summary of threads in digests."),
    _switch("disable_nomail_subscription", "No membership without mail."),
    MODERATED,
    NON_MEMBERS_MODERATED,
    _switch("disable_retrieving_old_posts", "No fetching of archived posts by mail."),
    _switch("only_subscriber_can_get_old_posts", "Only members may fetch archived posts.", "yes"),
    _switch(
        "disable_retrieving_subscribers", "Owners may not fetch the list of members by mail.", "yes"
    ),
    _switch("disable_send_copy_to_sender", "Who posts gets no copy of their own mail.", "yes"),
    _switch("notify_owner_when_sub_unsub", "Owners are notified of joins and leaves.", "no"),
    _switch(
        "notify_sender_when_moderated",
        "Who posts is notified that the mail waits for approval.",
        "no",
    ),
    _switch("disable_archive", "Posts are not archived.", "no"),
    JOINS_MODERATED,
    EXTRA_ADDRESSES,
    JOIN_MODERATORS,
    OWNER,
    MODERATORS,
    _setting(
        "max_message_size",
        list_kinds.SIZE,
        "Largest post, in bytes; 0: any.",
        aliases=("maxMailSize",),
        stored_as=StoredAttribute("maxMessageSize", zero_is_absent=True),
    ),
    _setting(
        "subject_prefix",
        list_kinds.PREFIX,
        "Text before every subject; blanks at its end are kept.",
        empty="removes it",
    ),
    _setting(
        "custom_headers",
        list_kinds.HEADERS,
        "Header lines that are added to every post, separated by line breaks.",
        empty="removes them",
    ),
    _setting(
        "remove_headers",
        list_kinds.HEADER_NAMES,
        "Names of headers that are taken from every post.",
        empty="removes them",
    ),
    FOOTER_TEXT,
    FOOTER_HTML,
)

SUBSCRIBERS = _setting(
    "subscribers", list_kinds.ADDRESSES, "Members to begin with.", stored_as=MEMBERS
)
ADD_SUBSCRIBERS = _setting(
    "add_subscribers",
    list_kinds.ADDRESSES,
    "Members to add.",
    stored_as=MEMBERS,
    verb=Verb.ADD,
)
REMOVE_SUBSCRIBERS = _setting(
    "remove_subscribers",
    list_kinds.DEPARTING,
    f"Members to remove, before others are added; {list_kinds.EVERYBODY}: everybody.",
    stored_as=MEMBERS,
    verb=Verb.REMOVE,
)
CONFIRM = _setting(
    "require_confirm",
    kinds.YES_NO,
    "Whether those added become members only when they have confirmed it by mail.",
    stored_as=MEMBERS,
    default="yes",
)
SUBSCRIPTION = _setting(
    "subscription",
    kinds.choice("normal", "digest", "nomail"),
    "Kind of membership of those added.",
    stored_as=MEMBERS,
    default="normal",
)

CREATE: Table = (*_SETTINGS, SUBSCRIBERS, CONFIRM, SUBSCRIPTION)

UPDATE: Table = (*_SETTINGS, ADD_SUBSCRIBERS, REMOVE_SUBSCRIBERS, CONFIRM, SUBSCRIPTION)

GET: Table = (
    _setting(
        "with_subscribers",
        kinds.YES_NO,
        "Whether the members are notified too.",
        stored_as=Elsewhere("the answer"),
        default="no",
    ),
)

DELETE: Table = (
    _setting(
        "keep_archive",
        kinds.YES_NO,
        "Whether settings, members and posts are kept in mlmmjadmin's archive.",
        aliases=("archive",),
        stored_as=Elsewhere("the archive"),
        default="yes",
    ),
)

_ALLOWED = _setting(
    "listAllowedUser",
    list_kinds.ADDRESSES,
    "Owners, moderators and others who may always post.",
    stored_as=StoredAttribute("listAllowedUser", many=True),
)
_STORED_DESCRIPTION = DESCRIPTION.but(stored_as=StoredAttribute("description"))


def is_subscribable_list(entry: Entry) -> bool:
    """Return whether an entry is a list that mlmmj runs."""
    return entry.has("objectClass", "mailList") and entry.has("enabledService", "mlmmj")


def is_unfinished(entry: Entry) -> bool:
    """Return whether the creation of a list broke off: Postfix knows it when it is finished."""
    return is_subscribable_list(entry) and not entry.has("enabledService", "mail")


FINISHED: Mapping[str, bool] = {"mail": True}
"""The services that a finished creation switches on."""


def new(
    mail: str,
    changes: Iterable[FieldChange],
    number: str,
    shadows: Iterable[str],
    *,
    is_marked: bool,
    is_finished: bool,
) -> dict[str, tuple[bytes, ...]]:
    """Make the attributes of a new list.

    Args:
        mail: Address.
        changes: What was asked for, with the owners and moderators.
        number: Its unique id.
        shadows: Its names in alias domains, unless further addresses are among the changes.
        is_marked: Whether the domain is disabled.
        is_finished: Whether nothing else is left to be done for it.
    """
    changes = [*changes]
    attributes: dict[str, tuple[str, ...]] = {
        "objectClass": ("mailList",),
        "mail": (mail,),
        "accountStatus": ("active",),
        # Postfix hands the mail to mlmmj by this, which names the folder of the list below mlmmj's
        # own.
        "mtaTransport": (f"mlmmj:{mail_names.domain_of(mail)}/{mail_names.local_part(mail)}",),
        "mailingListID": (number,),
        "shadowAddress": tuple(shadows),
        "domainStatus": ("disabled",) if is_marked else (),
        **new_attributes(in_directory(changes, Entry("", {}))),
    }
    # Without `mail` none of Postfix's maps has the list: that is the mark of an unfinished one.
    services = {"mail": is_finished, "deliver": True, "mlmmj": True} | services_of(changes)
    attributes["enabledService"] = tuple(word for word, wanted in services.items() if wanted)
    return {name: encoded(values) for name, values in attributes.items() if values}


def in_directory(changes: Iterable[FieldChange], entry: Entry) -> list[FieldChange]:
    """Return the changes of the list's entry: owners and moderators may always post."""
    wanted: list[FieldChange] = []
    for change in changes:
        if change.field.name == DESCRIPTION.name:
            wanted.append(FieldChange(_STORED_DESCRIPTION, change.values))
        elif isinstance(change.field.stored_as, StoredAttribute):
            wanted.append(change)
    roles = {row.name: entry.texts(_attribute(row)) for row in (OWNER, MODERATORS)}
    given = {c.field.name: [*c.values] for c in wanted if c.field.name in roles}
    if given:
        before = {folded(mail) for held in roles.values() for mail in held}
        # Who was allowed by another program, and not as an owner or moderator, stays.
        others = [a for a in entry.texts("listAllowedUser") if folded(a) not in before]
        now = [mail for held in (roles | given).values() for mail in held]
        wanted.append(FieldChange(_ALLOWED, tuple(dict.fromkeys((*others, *now)))))
    return wanted


def _attribute(row: Field) -> str:
    assert isinstance(row.stored_as, StoredAttribute)
    return row.stored_as.name


def services_of(changes: Iterable[FieldChange]) -> dict[str, bool]:
    """Return which services some changes switch on and off."""
    asked = next((c.values for c in changes if c.field.name == IS_NEWSLETTER.name), None)
    return {} if asked is None else {NEWSLETTER: asked == ("yes",)}


def newsletter_mods(changes: Iterable[FieldChange], entry: Entry) -> tuple[Mod, ...]:
    """Return the modifications of a list's services that some changes need."""
    return service_mods(services_of(changes), entry)
