"""Pairs about a domain, its alias domains and its state."""

from tests.races.pair import (
    Admin,
    Domain,
    Ending,
    Judge,
    Pair,
    User,
    codes,
    delete,
    new_user,
    post,
    put,
    rename,
    restore,
)

_D, _E = Domain("{d}"), Domain("{e}")
_A, _B, _U = User("a@{d}"), User("b@{d}"), User("u@{d}")
_LIST = post("/maillist/ml@{d}", members="a@{d},s@{o}")
_JOIN, _LEAVE = (
    put("/domain/{d}", addAliasDomain="{x}"),
    put("/domain/{d}", removeAliasDomain="{x}"),
)
_ON, _OFF = (put("/domain/{d}", accountStatus=word) for word in ("active", "disabled"))
_TAKEN = codes("ALREADY_EXISTS")


def _one_domain(name: str) -> Judge:
    """Judge that a domain name has one holder."""

    def judge(ending: Ending) -> list[str]:
        word = ending.names.fill(name)
        holders = ending.holding("domainName", word) + ending.holding("domainAliasName", word)
        return [] if holders == 1 else [f"{holders} holders of {name}"]

    return judge


ALIAS_DOMAINS = (
    Pair(
        "addAliasDomain, rename",
        (_D, _A),
        (_JOIN, rename("a@{d}", "c@{d}")),
        is_short=True,
    ),
    Pair(
        "removeAliasDomain, rename",
        (_D, _A, _JOIN),
        (_LEAVE, rename("a@{d}", "c@{d}")),
    ),
    Pair(
        "addAliasDomain, removeAliasDomain",
        (_D, _A, _LIST),
        (_JOIN, _LEAVE),
        is_short=True,
    ),
    Pair(
        "removeAliasDomain, addAliasDomain again",
        (_D, _A, _LIST, _JOIN),
        (_LEAVE, _JOIN),
    ),
    Pair(
        "removeAliasDomain, list addMember",
        (_D, _A, _U, _LIST, _JOIN),
        (_LEAVE, put("/maillist/ml@{d}", addMember="u@{d},t@{o}")),
    ),
    Pair(
        "addAliasDomain, list addMember",
        (_D, _A, _U, _LIST),
        (_JOIN, put("/maillist/ml@{d}", addMember="u@{d},t@{o}")),
    ),
    Pair(
        "addAliasDomain, POST user",
        (_D, _A),
        (_JOIN, new_user("u@{d}")),
    ),
    Pair(
        "addAliasDomain, POST alias",
        (_D, _A),
        (_JOIN, post("/alias/al@{d}", members="a@{d}")),
    ),
    Pair(
        "addAliasDomain, POST list with members",
        (_D, _A),
        (_JOIN, post("/maillist/ml@{d}", members="a@{d},s@{o}")),
    ),
    Pair(
        "removeAliasDomain, POST user",
        (_D, _A, _JOIN),
        (_LEAVE, new_user("u@{d}")),
    ),
    Pair(
        "removeAliasDomain, addAlias in it",
        (_D, _A, _JOIN),
        (_LEAVE, put("/user/a@{d}", addAlias="z@{x}")),
    ),
    Pair(
        "addAliasDomain, catchall",
        (_D, _A),
        (_JOIN, put("/domain/{d}", catchall="a@{d}")),
    ),
    Pair(
        "addAliasDomain, services set",
        (_D, _A),
        (_JOIN, put("/domain/services/{d}", services="mail,own")),
    ),
    Pair(
        "one alias domain for two domains",
        (_D, _E, _A),
        (_JOIN, put("/domain/{e}", addAliasDomain="{x}")),
        _TAKEN,
        judge=_one_domain("{x}"),
        is_short=True,
    ),
    Pair(
        "addAliasDomain=x, POST domain x",
        (_D, _A),
        (_JOIN, post("/domain/{x}")),
        _TAKEN,
        judge=_one_domain("{x}"),
    ),
    Pair(
        "addAliasDomain=x by an admin, POST standalone admin of x",
        (Domain("{d}", admins=("m@{d}",)), User("m@{d}", is_admin=True)),
        (_JOIN.by("m@{d}"), post("/admin/chief@{x}", password="a good password")),
        codes("CAN_NOT_BE_LOCAL_DOMAIN", "PERMISSION_DENIED"),
        winners=1,
    ),
    Pair(
        "addAliasDomain=x, DELETE domain",
        (_D, _A),
        (_JOIN, delete("/domain/{d}")),
    ),
)

WHOLE = (
    Pair(
        "POST domain twice",
        (),
        (post("/domain/{d}", name="one"), post("/domain/{d}", name="other")),
        _TAKEN,
        winners=1,
    ),
    Pair(
        "POST domain by an admin, POST standalone admin of it",
        (Admin("maker@{o}", ("create_new_domains:yes", "create_max_domains:5")),),
        (
            post("/domain/{d}").by("maker@{o}"),
            post("/admin/chief@{d}", password="a good password"),
        ),
        codes("CAN_NOT_BE_LOCAL_DOMAIN", "PERMISSION_DENIED"),
        winners=1,
    ),
    Pair(
        "DELETE domain, users and lists come",
        (_D, _A),
        (
            delete("/domain/{d}"),
            new_user("x@{d}"),
            new_user("y@{d}"),
            post("/maillist/ml@{d}", members="a@{d},s@{o}"),
        ),
        codes("INVALID_DOMAIN_NAME"),
        is_short=True,
    ),
    Pair(
        "DELETE domain, POST user",
        (_D,),
        (delete("/domain/{d}"), new_user("x@{d}")),
        codes("INVALID_DOMAIN_NAME"),
    ),
    Pair(
        "DELETE domain, POST alias",
        (_D, _A),
        (delete("/domain/{d}"), post("/alias/al@{d}", members="a@{d}")),
        codes("INVALID_DOMAIN_NAME"),
    ),
    Pair(
        "DELETE domain, POST it again",
        (_D, _A),
        (delete("/domain/{d}"), post("/domain/{d}")),
        _TAKEN,
    ),
    Pair(
        "DELETE domain, rename into it",
        (_D, _E, _A),
        (rename("a@{d}", "b@{e}"), delete("/domain/{e}")),
    ),
    Pair(
        "DELETE domain, rename out of it",
        (_D, _E, _A),
        (rename("a@{d}", "b@{e}"), delete("/domain/{d}")),
    ),
    Pair(
        "DELETE domain, restore a user of it from LDIF",
        (_D, _A),
        (delete("/domain/{d}"), restore(User("x@{d}"))),
        codes("INVALID_LDIF"),
    ),
    Pair(
        "DELETE domain twice",
        (_D, _A, _LIST),
        (delete("/domain/{d}"), delete("/domain/{d}")),
    ),
)

STATES = (
    Pair("accountStatus disabled, active", (_D, _A, _B, _LIST), (_OFF, _ON), is_short=True),
    Pair(
        "accountStatus active, disabled",
        (Domain("{d}", is_active=False), post("/user/a@{d}", password="a good password"), _LIST),
        (_ON, _OFF),
    ),
    Pair("domain disabled, POST user", (_D, _A), (_OFF, new_user("x@{d}"))),
    Pair(
        "domain disabled, POST list, POST alias",
        (_D, _A),
        (_OFF, post("/maillist/ml@{d}", members="a@{d},s@{o}"), post("/alias/al@{d}")),
    ),
    Pair(
        "domain disabled, rename into it", (_D, _E, User("b@{e}")), (_OFF, rename("b@{e}", "b@{d}"))
    ),
    Pair("domain disabled, rename out of it", (_D, _E, _A), (_OFF, rename("a@{d}", "a@{e}"))),
    Pair(
        "domain disabled, external members join",
        (_D, _A, post("/maillist/ml@{d}", members="a@{d}")),
        (_OFF, put("/maillist/ml@{d}", addMember="s@{o}")),
    ),
    Pair(
        "domain disabled, catchall",
        (_D, _A),
        (_OFF, put("/domain/{d}", catchall="a@{d}")),
    ),
    Pair(
        "all users disabled, one enabled",
        (_D, _A, _B),
        (put("/users/{d}", accountStatus="disabled"), put("/user/a@{d}", accountStatus="active")),
    ),
    Pair(
        "all users changed, one deleted",
        (_D, _A, _B),
        (put("/users/{d}", language="de_DE"), delete("/user/a@{d}")),
    ),
    Pair(
        "all users changed, one renamed away",
        (_D, _E, _A, _B),
        (put("/users/{d}", transport="smtp:[relay.test]"), rename("a@{d}", "a@{e}")),
    ),
    Pair(
        "services set, services added",
        (_D,),
        (
            put("/domain/services/{d}", services="mail,one"),
            put("/domain/services/{d}", enableService="other"),
        ),
    ),
    Pair(
        "services of a user set, addAlias",
        (_D, _A),
        (put("/user/a@{d}", services="mail,smtp"), put("/user/a@{d}", addAlias="x@{d}")),
    ),
)

JOBS = (
    Pair("disabled as a job, active directly", (_D, _A, _B, _LIST), (_OFF.later(), _ON)),
    Pair(
        "DELETE domain as a job, POST user directly",
        (_D, _A),
        (delete("/domain/{d}").later(), new_user("x@{d}")),
        codes("INVALID_DOMAIN_NAME"),
    ),
    Pair(
        "addAliasDomain as a job, removeAliasDomain directly",
        (_D, _A),
        (_JOIN.later(), _LEAVE),
    ),
    Pair(
        "two renames as jobs, one into the other's place",
        (_D, _A, _B),
        (rename("a@{d}", "c@{d}").later(), rename("b@{d}", "c@{d}").later()),
        _TAKEN,
        winners=1,
    ),
)

DOMAINS = (*ALIAS_DOMAINS, *WHOLE, *STATES, *JOBS)
