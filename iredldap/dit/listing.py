"""Rows of the listings.

Source: REST API reference, listings of domains, users, aliases and mailing lists; pages and the
choice of attributes are ours.
"""

from dataclasses import dataclass
from urllib.parse import unquote

from iredldap.dit import kinds, value_readers
from iredldap.dit.fields import Elsewhere, Field, Parsed, Table
from iredldap.dit.kinds import Kind, Reading
from iredldap.dit.views.rows import VIEW
from iredldap.errors import ParameterConflict

MOST = 1000
"""Entries of a page."""

_IN_THE_ANSWER = Elsewhere("the answer")


def _page_size(text: str) -> Reading:
    return Reading((str(value_readers.whole_number(text, least=1, most=MOST)),))


def _key(text: str) -> Reading:
    """Read a cursor: what a header cannot carry of it is percent-encoded."""
    # Keys are compared in lower case, so a cursor that a client has changed in that way is the same
    # one.
    return Reading((unquote(value_readers.text(text)).lower(),))


def _switch(name: str, meaning: str) -> Field:
    return Field(
        name=name,
        stored_as=_IN_THE_ANSWER,
        kind=kinds.YES_NO,
        meaning=meaning,
        default="no",
        era="later",
    )


_PAGES: Table = (
    Field(
        name="limit",
        stored_as=_IN_THE_ANSWER,
        kind=Kind("int_count", _page_size, {"type": "integer", "minimum": 1, "maximum": MOST}),
        meaning="Most entries of the answer, which is then sorted; if there are more, the headers"
        " `X-Next-Cursor` and `Link` lead to them.",
        era="ours",
    ),
    Field(
        name="cursor",
        stored_as=_IN_THE_ANSWER,
        # In the query string a character of four bytes takes twelve, and gunicorn 8 KiB of all.
        kind=kinds.up_to(500, Kind("string", _key)),
        meaning="The last name or address of the page before, as `X-Next-Cursor` has it; the page"
        " begins behind it.",
        required_with=("limit",),
        era="ours",
    ),
    Field(
        name="fields",
        stored_as=_IN_THE_ANSWER,
        kind=kinds.ATTRIBUTES,
        meaning="Names of attributes, separated by commas: no others are in the profiles. Unknown"
        " and hidden ones are ignored. With `view=params` names of parameters; what identifies an"
        " entry is always there. Not with a list of names.",
        era="ours",
    ),
    VIEW,
    Field(
        name="search",
        stored_as=_IN_THE_ANSWER,
        kind=kinds.up_to(100, kinds.TEXT),
        meaning="Only those that have this text, in any letter case, in their name or address,"
        " their display name or a further name or address.",
        era="ours",
    ),
)

_EMAIL_ONLY = _switch("email_only", "`yes`: a sorted list of addresses instead of profiles.")


def _disabled_only(things: str) -> Field:
    return _switch(
        "disabled_only", f"`yes`: only {things} whose own `accountStatus` is not active."
    )


DOMAINS: Table = (
    _switch("name_only", "`yes`: a sorted list of names instead of profiles."),
    _disabled_only("domains"),
    *_PAGES,
)
USERS: Table = (_EMAIL_ONLY, _disabled_only("users"), *_PAGES)
ALIASES: Table = (_EMAIL_ONLY, _disabled_only("aliases"), *_PAGES)
LISTS: Table = (_EMAIL_ONLY, *_PAGES)
ADMINS: Table = (_EMAIL_ONLY, _disabled_only("admins"), *_PAGES)


@dataclass(frozen=True)
class ListingOptions:
    """What of a listing was asked for.

    Args:
        names_only: Names or addresses instead of profiles.
        disabled_only: None that are switched on.
        limit: Most entries of a page; None: all of them.
        cursor: Key that the page begins behind.
        fields: Names of attributes, as sent; empty: all.
        view: Parameters instead of attributes.
        search: Text that names, addresses or display names have; empty: all.
    """

    names_only: bool = False
    disabled_only: bool = False
    limit: int | None = None
    cursor: str = ""
    fields: tuple[str, ...] = ()
    view: bool = False
    search: str = ""

    @classmethod
    def read(cls, parsed: Parsed) -> "ListingOptions":
        """Read the parameters of a listing.

        Raises:
            ParameterConflict: For a choice of what is shown where there are only names.
        """
        values = {change.field.name: change.values for change in parsed.changes}
        names_only = ("yes",) in (values.get("name_only"), values.get("email_only"))
        # Refused rather than ignored: who asks for attributes and gets names would miss them
        # without knowing why.
        for name in ("fields", "view"):
            if names_only and name in values:
                raise ParameterConflict("names alone have nothing else", parameter=name)
        return cls(
            names_only=names_only,
            disabled_only=values.get("disabled_only") == ("yes",),
            limit=int(parsed.value("limit") or 0) or None,
            cursor=parsed.value("cursor") or "",
            fields=values.get("fields", ()),
            view="view" in values,
            search=parsed.value("search") or "",
        )
