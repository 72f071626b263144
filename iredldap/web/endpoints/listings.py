"""Endpoints of the listings."""

from iredldap.dit import listing
from iredldap.dit.fields import Table
from iredldap.web.endpoints.endpoint import ADMINS, NAMING, Endpoint, Load

NDJSON = "application/x-ndjson"
"""A JSON value on each line: names, or profiles with the name or address of each."""

_TOO_MANY = "EXCEEDED_LDAP_SERVER_SIZELIMIT"
_ADDRESSES = "or a sorted list of addresses."


def _of_a_domain(
    word: str,
    things: str,
    table: Table,
    shape: str,
    *,
    returns: str,
    but: str = "",
    profiles: str = "",
    era: str = "later",
) -> Endpoint:
    """Return the row of a listing of accounts.

    Args:
        word: In its path and id.
        things: What is listed.
        table: Its parameters.
        shape: Schema of the answer.
        returns: What is shown of each.
        but: What is not listed.
        profiles: As for `Endpoint`.
        era: As for `Endpoint`.
    """
    return Endpoint(
        id=f"{word}_list",
        method="GET",
        path=f"/api/{word}/{{domain}}",
        auth=ADMINS,
        summary=f"List the {things} of a domain, by its name or that of one of its alias"
        f" domains{but}.",
        table=table,
        bare=(NDJSON,),
        errors=("INVALID_DOMAIN_NAME", *NAMING, _TOO_MANY),
        returns=returns,
        profiles=profiles,
        shape=shape,
        era=era,
        load=Load.HEAVY,
    )


LISTINGS: tuple[Endpoint, ...] = (
    Endpoint(
        id="domains_list",
        method="GET",
        path="/api/domains",
        auth=ADMINS,
        summary="List domains: for a normal admin those that they manage.",
        table=listing.DOMAINS,
        bare=(NDJSON,),
        errors=("LOGIN_REQUIRED", _TOO_MANY),
        returns="Profiles, as a read of one domain has them, by name; or a sorted list of names.",
        shape="Domains",
        era="later",
        load=Load.HEAVY,
    ),
    _of_a_domain(
        "users",
        "mail users",
        listing.USERS,
        "Users",
        returns=f"Profiles, as a read of one user has them, by address; {_ADDRESSES} The catch-all"
        " account is not among them.",
        but="; to a normal admin without global ones",
        profiles="disabledUserProfile",
    ),
    _of_a_domain(
        "aliases",
        "mail aliases",
        listing.ALIASES,
        "Aliases",
        returns=f"Profiles, as a read of one alias has them, by address; {_ADDRESSES}",
    ),
    _of_a_domain(
        "mls",
        "subscribable mailing lists",
        listing.LISTS,
        "SubscribableLists",
        returns=f"Attributes of each list as the directory has them, by address; {_ADDRESSES}",
    ),
    _of_a_domain(
        "maillists",
        "unsubscribable mailing lists",
        listing.LISTS,
        "Maillists",
        returns=f"Attributes of each list as the directory has them, by address; {_ADDRESSES}"
        " Members are shown with `view=params`.",
        era="ours",
    ),
    Endpoint(
        id="admins_list",
        method="GET",
        path="/api/admins",
        auth=("global_admin",),
        summary="List the standalone admins; mail users with rights are none.",
        table=listing.ADMINS,
        bare=(NDJSON,),
        errors=("PERMISSION_DENIED", _TOO_MANY),
        returns="Profiles, as a read of one admin has them, but without managed_domains, by"
        f" address; {_ADDRESSES}",
        shape="Admins",
        era="ours",
        load=Load.HEAVY,
    ),
)
