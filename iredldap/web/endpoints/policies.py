"""Endpoints of the policies: each for everybody, for a domain and for one account."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from iredldap.dit import greylisting, spam_policy, throttle, wblist
from iredldap.dit.views.rows import VIEW
from iredldap.operations.policies import greylisting as greylisting_operations
from iredldap.operations.policies import spam_policies, throttling
from iredldap.operations.policies.wblists import Wblist
from iredldap.operations.views import policies
from iredldap.web.endpoints.endpoint import ADMINS, NAMING, Endpoint


@dataclass(frozen=True)
class _Target:
    """The target of a policy: `word` is part of ids, `place` of paths, behind `folder` in some."""

    word: str
    folder: str
    place: str
    auth: tuple[str, ...]
    errors: tuple[str, ...]
    profiles: str = ""


_TARGETS = (
    _Target("global", "", "global", ("global_admin",), ()),
    _Target(
        "domain",
        "domain/",
        "{domain}",
        ADMINS,
        ("INVALID_DOMAIN_NAME", *NAMING),
        "disabledDomainProfile",
    ),
    _Target("user", "user/", "{mail}", ADMINS, ("INVALID_MAIL", *NAMING), "disabledUserProfile"),
)


def _everywhere(row: Endpoint, *, in_folders: bool = False) -> Iterator[Endpoint]:
    """Yield an endpoint for each target.

    Args:
        row: Has `*` in id, path and summary, for the target.
        in_folders: Whether the path itself distinguishes domains and accounts.
    """
    # Three rows from one: everybody, a domain and an account differ in who may call, and in what
    # the path names.
    for target in _TARGETS:
        place = target.folder + target.place if in_folders else target.place
        yield replace(
            row,
            id=row.id.replace("*", target.word),
            path=row.path.replace("*", place),
            route=row.path.replace("*", place if in_folders else "{account}"),
            summary=row.summary.replace("*", target.word),
            auth=target.auth,
            errors=tuple(dict.fromkeys((*target.errors, *row.errors))),
            profiles=target.profiles,
            profile=row.profile if target.profiles else None,
        )


def _throttles(kind: str) -> Iterator[Endpoint]:
    path = f"/api/throttle/*/{kind}"
    yield from _everywhere(
        Endpoint(
            id=f"throttle_*_{kind}_get",
            read=policies.throttle(partial(throttling.get, kind=kind), kind),
            table=(VIEW,),
            view="throttle",
            method="GET",
            path=path,
            auth=(),
            summary=f"Read the * {kind} throttle.",
            returns="account, kind, priority, period, msg_size, max_msgs, max_quota, and max_rcpts"
            " where iRedAPD knows it, as numbers where they are; nothing when none is set.",
            shape="Throttle",
            profile="throttle",
        )
    )
    yield from _everywhere(
        Endpoint(
            id=f"throttle_*_{kind}_set",
            operation=partial(throttling.put, kind=kind),
            method="POST",
            path=path,
            auth=(),
            summary=f"Set the * {kind} throttle, replacing the old one; period=0 removes it.",
            table=throttle.SET,
            takes="ThrottleSet",
            errors=(
                "INVALID_PARAMETER",
                "MISSING_PARAMETER",
                "NEVER_APPLIES",
                "PERMISSION_DENIED",
            ),
            profile="throttle",
        )
    )


def _greylisting() -> Iterator[Endpoint]:
    path = "/api/greylisting/*"
    yield Endpoint(
        id="greylisting_all_get",
        read=greylisting_operations.every,
        method="GET",
        path="/api/greylisting/all",
        auth=("global_admin",),
        summary="List all greylisting settings.",
        returns="account, sender, active (0 or 1) and priority of each.",
        shape="GreylistingSettings",
        errors=("PERMISSION_DENIED",),
        era="later",
    )
    for row in (
        Endpoint(
            id="greylisting_*_get",
            read=policies.greylisting(greylisting_operations.get),
            table=(VIEW,),
            view="greylisting",
            method="GET",
            path=path,
            auth=(),
            summary="Read the * greylisting setting.",
            returns="account, active (0 or 1), status (enable or disable); nothing when unset.",
            shape="Greylisting",
            profile="greylisting",
            errors=("PERMISSION_DENIED",),
            era="later",
        ),
        Endpoint(
            id="greylisting_*_set",
            operation=greylisting_operations.put,
            method="POST",
            path=path,
            auth=(),
            summary="Set the * greylisting setting.",
            table=greylisting.SET,
            takes="GreylistingSet",
            profile="greylisting",
            errors=("NEVER_APPLIES", "PERMISSION_DENIED"),
            era="later",
        ),
        Endpoint(
            id="greylisting_*_delete",
            operation=greylisting_operations.drop,
            method="DELETE",
            path=path,
            auth=(),
            summary="Delete the * greylisting setting, so that a wider one applies.",
            profile="greylisting",
            errors=("PERMISSION_DENIED",),
            era="later",
        ),
        Endpoint(
            id="greylisting_*_whitelists_get",
            read=policies.listed(greylisting_operations.exempt, greylisting.WHITELISTS),
            table=(VIEW,),
            view="greylisting_senders",
            method="GET",
            path=f"{path}/whitelists",
            auth=(),
            summary="List the * senders that are exempt from greylisting.",
            returns="Senders, sorted.",
            shape="Texts",
            profile="greylisting",
            errors=("PERMISSION_DENIED",),
            era="later",
        ),
        Endpoint(
            id="greylisting_*_whitelists_set",
            operation=greylisting_operations.change_exempt,
            method="POST",
            path=f"{path}/whitelists",
            auth=(),
            summary="Change the * senders that are exempt from greylisting.",
            table=greylisting.WHITELISTS,
            takes="GreylistingWhitelistsSet",
            profile="greylisting",
            errors=("NEVER_APPLIES", "PERMISSION_DENIED", "PARAMETER_CONFLICT"),
            era="later",
        ),
    ):
        yield from _everywhere(row)
    yield Endpoint(
        id="greylisting_spf_domains_set",
        operation=greylisting_operations.change_spf_domains,
        method="POST",
        path="/api/greylisting/whitelist_spf_domains",
        auth=("global_admin",),
        summary="Change the sender domains whose SPF and MX hosts are exempt from greylisting;"
        " a periodic job of iRedAPD resolves them.",
        table=greylisting.SPF_DOMAINS,
        errors=("PERMISSION_DENIED", "PARAMETER_CONFLICT"),
        era="later",
    )
    yield Endpoint(
        id="greylisting_spf_domains_get",
        read=policies.listed(greylisting_operations.spf_domains, greylisting.SPF_DOMAINS),
        table=(VIEW,),
        view="greylisting_domains",
        method="GET",
        path="/api/greylisting/whitelist_spf_domains",
        auth=("global_admin",),
        summary="List the sender domains whose SPF and MX hosts are exempt from greylisting.",
        returns="Domain names, sorted.",
        shape="Texts",
        era="ours",
    )


def _wblist(direction: wblist.Direction, colour: wblist.Colour) -> Iterator[Endpoint]:
    which, operations = f"{direction.value} {colour.word}", Wblist(direction, colour)
    row = Endpoint(
        id=f"wblist_{direction.value}_{colour.word}_*_get",
        read=policies.listed(operations.get, wblist.ADDED[direction]),
        table=(VIEW,),
        view="wblist",
        method="GET",
        path=f"/api/wblist/{direction.value}/{colour.word}/*",
        auth=(),
        summary=f"Read the * {which}.",
        errors=("PERMISSION_DENIED",),
        returns="Addresses, sorted.",
        shape="Texts",
        profile="wblist",
        era="later",
    )
    # The reference has POST add, PUT remove and DELETE empty a list; ids say so.
    stem = row.id.removesuffix("get")
    add = replace(
        row,
        id=f"{stem}add",
        read=None,
        view="",
        operation=operations.add,
        method="POST",
        summary=f"Add to the * {which}; an address on the other list is removed there.",
        table=wblist.ADDED[direction],
        takes=f"Wblist{direction.value.capitalize()}Add",
        errors=(*row.errors, "NEVER_APPLIES"),
        returns=None,
    )
    remove = replace(
        row,
        id=f"{stem}remove",
        read=None,
        view="",
        operation=operations.remove,
        method="PUT",
        summary=f"Remove addresses from the * {which}.",
        table=wblist.REMOVED,
        takes="WblistRemove",
        returns=None,
    )
    clear = replace(
        row,
        read=None,
        view="",
        operation=operations.clear,
        id=f"{stem}clear",
        method="DELETE",
        table=(),
        summary=f"Remove all addresses from the * {which}.",
        returns=None,
    )
    for each in (row, add, remove, clear):
        yield from _everywhere(each)


def _spam_policy() -> Iterator[Endpoint]:
    get = Endpoint(
        id="spampolicy_*_get",
        read=policies.spam_policy(spam_policies.get),
        table=(VIEW,),
        view="spampolicy",
        method="GET",
        path="/api/spampolicy/*",
        auth=(),
        summary="Read the * spam policy.",
        errors=("PERMISSION_DENIED",),
        returns="Values by the names of the parameters, yes or no, spam_score a number; what a"
        " wider policy decides is left out.",
        shape="SpamPolicy",
        profile="spampolicy",
        era="later",
    )
    put = replace(
        get,
        id="spampolicy_*_set",
        read=None,
        view="",
        operation=spam_policies.put,
        method="PUT",
        summary="Change the * spam policy; what is not sent stays as it is.",
        table=spam_policy.SET,
        takes="SpamPolicySet",
        returns=None,
    )
    drop = replace(
        get,
        id="spampolicy_*_delete",
        read=None,
        view="",
        operation=spam_policies.drop,
        method="DELETE",
        table=(),
        summary="Delete the * spam policy.",
        returns=None,
    )
    for row in (get, put, drop):
        yield from _everywhere(row, in_folders=True)


POLICIES: tuple[Endpoint, ...] = (
    *(row for kind in throttle.KINDS for row in _throttles(kind)),
    *_greylisting(),
    *(
        row
        for direction in wblist.Direction
        for colour in wblist.Colour
        for row in _wblist(direction, colour)
    ),
    *_spam_policy(),
)
