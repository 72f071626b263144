"""Pairs about who manages what, and about subscribable lists."""

from tests.races.pair import (
    Admin,
    Domain,
    Pair,
    Subscribers,
    User,
    codes,
    delete,
    post,
    put,
    rename,
)

_D, _E = Domain("{d}"), Domain("{e}")
_U, _V = User("u@{d}"), User("v@{d}")
_ADMIN_OF_BOTH = (
    Domain("{d}", admins=("u@{d}",)),
    Domain("{e}", admins=("u@{d}",)),
    User("u@{d}", is_admin=True),
    _V,
)
_NOBODY = codes("NO_ADMINS")
_LOST = codes("PERMISSION_DENIED", "LOGIN_REQUIRED", "SESSION_EXPIRED", "INVALID_CREDENTIALS")
"""Answers to somebody who has just lost their rights."""
_TWO_GLOBAL = (_D, User("g@{d}", is_global=True), User("h@{d}", is_global=True))
_TWO_STANDALONE = (Admin("g@{o}", is_global=True), Admin("h@{o}", is_global=True))


ADMINS = (
    Pair(
        "addAdmin=u, DELETE user u",
        (_D, _U),
        (put("/domain/admins/{d}", addAdmin="u@{d}"), delete("/user/u@{d}")),
        _NOBODY,
        is_short=True,
    ),
    Pair(
        "addAdmin=u, rename u",
        (_D, _U),
        (put("/domain/admins/{d}", addAdmin="u@{d}"), rename("u@{d}", "w@{d}")),
        _NOBODY,
    ),
    Pair(
        "addAdmin=u, DELETE the domain of u",
        (_D, _E, User("u@{e}")),
        (put("/domain/admins/{d}", addAdmin="u@{e}"), delete("/domain/{e}")),
        _NOBODY,
    ),
    Pair(
        "addAdmin=u on one domain, removeAdmin=u on another",
        (_D, Domain("{e}", admins=("u@{d}",)), User("u@{d}", is_admin=True)),
        (
            put("/domain/admins/{d}", addAdmin="u@{d}"),
            put("/domain/admins/{e}", removeAdmin="u@{d}"),
        ),
        is_short=True,
    ),
    Pair(
        "addAdmin=v, removeAllAdmins on one domain",
        _ADMIN_OF_BOTH,
        (
            put("/domain/admins/{d}", addAdmin="v@{d}"),
            put("/domain/admins/{d}", removeAllAdmins="yes"),
        ),
    ),
    Pair(
        "removeAllAdmins on two domains of one admin",
        _ADMIN_OF_BOTH,
        (
            put("/domain/admins/{d}", removeAllAdmins="yes"),
            put("/domain/admins/{e}", removeAllAdmins="yes"),
        ),
    ),
    Pair(
        "removeAllAdmins on one domain, DELETE the other",
        _ADMIN_OF_BOTH,
        (put("/domain/admins/{d}", removeAllAdmins="yes"), delete("/domain/{e}")),
    ),
    Pair(
        "addAdmin=u, removeAdmin=u, addAdmin=u elsewhere",
        (Domain("{d}", admins=("u@{d}",)), _E, User("u@{d}", is_admin=True)),
        (
            put("/domain/admins/{d}", removeAdmin="u@{d}"),
            put("/domain/admins/{d}", addAdmin="u@{d}"),
            put("/domain/admins/{e}", addAdmin="u@{d}"),
        ),
    ),
    Pair(
        "addAdmin of a standalone admin, DELETE admin",
        (_D, Admin("chief@{o}")),
        (put("/domain/admins/{d}", addAdmin="chief@{o}"), delete("/admin/chief@{o}")),
        _NOBODY,
    ),
    Pair(
        "addAdmin=u, isGlobalAdmin=no for u",
        (_D, User("u@{d}", is_global=True)),
        (
            put("/domain/admins/{d}", addAdmin="u@{d}"),
            put("/user/u@{d}", isGlobalAdmin="no"),
        ),
        _NOBODY,
    ),
    Pair(
        "POST domain by an admin, DELETE of that admin",
        (Admin("chief@{o}", ("create_new_domains:yes", "create_max_domains:5")),),
        (post("/domain/{d}").by("chief@{o}"), delete("/admin/chief@{o}")),
        _LOST,
    ),
)

GLOBAL_ADMINS = (
    Pair(
        "two global admins demote each other",
        _TWO_GLOBAL,
        (
            put("/user/h@{d}", isGlobalAdmin="no").by("g@{d}"),
            put("/user/g@{d}", isGlobalAdmin="no").by("h@{d}"),
        ),
        _LOST,
        is_alone=True,
        is_short=True,
    ),
    Pair(
        "two global admins disable each other",
        _TWO_GLOBAL,
        (
            put("/user/h@{d}", accountStatus="disabled").by("g@{d}"),
            put("/user/g@{d}", accountStatus="disabled").by("h@{d}"),
        ),
        _LOST,
        is_alone=True,
    ),
    Pair(
        "two global admins delete each other",
        _TWO_GLOBAL,
        (delete("/user/h@{d}").by("g@{d}"), delete("/user/g@{d}").by("h@{d}")),
        _LOST,
        is_alone=True,
    ),
    Pair(
        "two standalone global admins delete each other",
        _TWO_STANDALONE,
        (delete("/admin/h@{o}").by("g@{o}"), delete("/admin/g@{o}").by("h@{o}")),
        _LOST,
        is_alone=True,
    ),
    Pair(
        "two standalone global admins demote each other",
        _TWO_STANDALONE,
        (
            put("/admin/h@{o}", isGlobalAdmin="no").by("g@{o}"),
            put("/admin/g@{o}", isGlobalAdmin="no").by("h@{o}"),
        ),
        _LOST,
        is_alone=True,
    ),
    Pair(
        "a global admin disables the domain of the other, who demotes the first",
        (*_TWO_GLOBAL[:2], _E, User("h@{e}", is_global=True)),
        (
            put("/domain/{e}", accountStatus="disabled").by("g@{d}"),
            put("/user/g@{d}", isGlobalAdmin="no").by("h@{e}"),
        ),
        _LOST,
        is_alone=True,
    ),
)

_MLMMJ = (_D, _U, _V, User("w@{d}"), post("/ml/ml@{d}"), Subscribers("ml@{d}", 200))
_SUBSCRIBED = put("/ml/ml@{d}", add_subscribers="u@{d},v@{d},w@{d}", require_confirm="no")

SUBSCRIBABLE = (
    Pair(
        "four calls add subscribers",
        _MLMMJ,
        tuple(
            put(
                "/ml/ml@{d}",
                add_subscribers=",".join(f"m{call}00{n}@elsewhere.test" for n in range(5)),
                require_confirm="no",
            )
            for call in range(6, 10)
        ),
        winners=4,
        is_short=True,
    ),
    Pair(
        "DELETE of three users, all members of one list",
        (*_MLMMJ, _SUBSCRIBED),
        tuple(delete(f"/user/{name}@{{d}}") for name in "uvw"),
        winners=3,
    ),
    Pair(
        "add_subscribers=u, DELETE user u",
        _MLMMJ,
        (
            put("/ml/ml@{d}", add_subscribers="u@{d}", require_confirm="no"),
            delete("/user/u@{d}"),
        ),
    ),
    Pair(
        "add_subscribers, remove_subscribers",
        (*_MLMMJ, _SUBSCRIBED),
        (
            put("/ml/ml@{d}", add_subscribers="m9000@elsewhere.test", require_confirm="no"),
            put("/ml/ml@{d}", remove_subscribers="m0000@elsewhere.test,m0001@elsewhere.test"),
        ),
    ),
    Pair(
        "rename of a member, add_subscribers",
        (*_MLMMJ, _SUBSCRIBED),
        (
            rename("u@{d}", "x@{d}"),
            put("/ml/ml@{d}", add_subscribers="m9000@elsewhere.test", require_confirm="no"),
        ),
    ),
    Pair(
        "DELETE subscribable list, add_subscribers",
        _MLMMJ,
        (delete("/ml/ml@{d}"), _SUBSCRIBED),
    ),
    Pair(
        "owner=u of a subscribable list, DELETE user u",
        _MLMMJ,
        (put("/ml/ml@{d}", owner="u@{d}", moderators="u@{d}"), delete("/user/u@{d}")),
    ),
    Pair(
        "owner=u of a subscribable list, rename u",
        _MLMMJ,
        (put("/ml/ml@{d}", owner="u@{d}", moderators="u@{d}"), rename("u@{d}", "x@{d}")),
    ),
    Pair(
        "POST subscribable list, DELETE domain",
        (_D,),
        (post("/ml/ml@{d}"), delete("/domain/{d}")),
        codes("INVALID_DOMAIN_NAME"),
    ),
)

RIGHTS = (*ADMINS, *GLOBAL_ADMINS, *SUBSCRIBABLE)
