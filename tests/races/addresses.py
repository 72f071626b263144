"""Pairs in which two calls want the same address, or the last place that a limit leaves."""

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

_D, _E, _F = Domain("{d}"), Domain("{e}"), Domain("{f}")
_A, _B = User("a@{d}"), User("b@{d}")
_TAKEN = codes("ALREADY_EXISTS")
_FULL = codes("EXCEEDED_DOMAIN_ACCOUNT_LIMIT")


def _one_holder(address: str) -> Judge:
    """Judge that an address has one holder."""

    def judge(ending: Ending) -> list[str]:
        mail = ending.names.fill(address)
        holders = ending.holding("mail", mail) + ending.holding("shadowAddress", mail)
        return [] if holders == 1 else [f"{holders} holders of {address}"]

    return judge


CLAIMS = (
    Pair(
        "the same alias on two users",
        (_D, _A, _B),
        (put("/user/a@{d}", addAlias="x@{d}"), put("/user/b@{d}", addAlias="x@{d}")),
        _TAKEN,
        judge=_one_holder("x@{d}"),
        is_short=True,
    ),
    Pair(
        "addAlias=x, POST user x",
        (_D, _A),
        (put("/user/a@{d}", addAlias="x@{d}"), new_user("x@{d}")),
        _TAKEN,
        judge=_one_holder("x@{d}"),
    ),
    Pair(
        "POST user twice",
        (_D,),
        (new_user("x@{d}", name="one"), new_user("x@{d}", name="other")),
        _TAKEN,
        winners=1,
    ),
    Pair(
        "POST user, POST alias, POST list of one address",
        (_D,),
        (new_user("x@{d}"), post("/alias/x@{d}"), post("/maillist/x@{d}")),
        _TAKEN,
        winners=1,
    ),
    Pair(
        "rename a to b, POST user b",
        (_D, _A),
        (rename("a@{d}", "b@{d}"), new_user("b@{d}")),
        _TAKEN,
        winners=1,
        is_short=True,
    ),
    Pair(
        "rename a to b, POST alias b",
        (_D, _A),
        (rename("a@{d}", "b@{d}"), post("/alias/b@{d}")),
        _TAKEN,
        winners=1,
    ),
    Pair(
        "rename a to b, addAlias=b on another user",
        (_D, _A, User("c@{d}")),
        (rename("a@{d}", "b@{d}"), put("/user/c@{d}", addAlias="b@{d}")),
        _TAKEN,
        judge=_one_holder("b@{d}"),
    ),
    Pair(
        "rename a to b@e, rename a to c@f",
        (_D, _E, _F, _A),
        (rename("a@{d}", "b@{e}"), rename("a@{d}", "c@{f}")),
        _TAKEN,
        winners=1,
        is_short=True,
    ),
    Pair(
        "rename a to c, rename b to c",
        (_D, _A, _B),
        (rename("a@{d}", "c@{d}"), rename("b@{d}", "c@{d}")),
        _TAKEN,
        winners=1,
    ),
    Pair(
        "rename a to b, DELETE user a",
        (_D, _A),
        (rename("a@{d}", "b@{d}"), delete("/user/a@{d}")),
    ),
    Pair(
        "rename a to b, PUT user a",
        (_D, _A),
        (rename("a@{d}", "b@{d}"), put("/user/a@{d}", addAlias="x@{d}", name="x")),
    ),
    Pair(
        "restore user x from LDIF, POST alias x",
        (_D,),
        (restore(User("x@{d}")), post("/alias/x@{d}")),
        codes("ALREADY_EXISTS", "INVALID_LDIF"),
        winners=1,
    ),
    Pair(
        "restore user x from LDIF, DELETE user x",
        (_D, User("x@{d}")),
        (restore(User("x@{d}")), delete("/user/x@{d}")),
    ),
)

LIMITS = (
    Pair(
        "three users for one place",
        (post("/domain/{d}", numberOfUsers="2"), _A),
        tuple(new_user(f"{name}@{{d}}") for name in "xyz"),
        _FULL,
        winners=1,
    ),
    Pair(
        "three aliases for one place",
        (post("/domain/{d}", numberOfAliases="1"),),
        tuple(post(f"/alias/{name}@{{d}}") for name in "xyz"),
        _FULL,
        winners=1,
    ),
    Pair(
        "three lists for one place",
        (post("/domain/{d}", numberOfLists="1"),),
        tuple(post(f"/maillist/{name}@{{d}}") for name in "xyz"),
        _FULL,
        winners=1,
    ),
    Pair(
        "POST user, rename into the domain, for one place",
        (post("/domain/{d}", numberOfUsers="1"), _E, User("b@{e}")),
        (new_user("x@{d}"), rename("b@{e}", "b@{d}")),
        _FULL,
        winners=1,
    ),
    Pair(
        "two mailboxes for the space of one",
        (post("/domain/{d}", quota="300"),),
        (new_user("x@{d}", quota="200"), new_user("y@{d}", quota="200")),
        codes("EXCEEDED_DOMAIN_QUOTA_SIZE"),
        judge=lambda ending: (
            []
            if ending.holding("mailQuota", str(200 * 2**20)) <= 1
            else ["400 of 300 MB are handed out"]
        ),
    ),
    Pair(
        "two mailboxes that grow",
        (
            post("/domain/{d}", quota="300"),
            new_user("x@{d}", quota="100"),
            new_user("y@{d}", quota="100"),
        ),
        (put("/user/x@{d}", quota="200"), put("/user/y@{d}", quota="200")),
        codes("EXCEEDED_DOMAIN_QUOTA_SIZE"),
        winners=1,
    ),
    Pair(
        "three domains of an admin who may have one",
        (Admin("chief@{o}", ("create_new_domains:yes", "create_max_domains:1")),),
        tuple(post(f"/domain/{{{letter}}}").by("chief@{o}") for letter in "def"),
        codes("EXCEED_LIMIT_DOMAIN"),
        winners=1,
        is_short=True,
    ),
)

_MANAGED = Domain("{d}", admins=("m@{d}",))
_MANAGER = User("m@{d}", is_admin=True)
_PLACE = "/var/vmail/vmail1/{d}/place/"

MAILBOXES = (
    Pair(
        "one maildir for two users, by an admin of their domain",
        (_MANAGED, _MANAGER, _A, _B),
        (
            put("/user/a@{d}", maildir=_PLACE).by("m@{d}"),
            put("/user/b@{d}", maildir=_PLACE).by("m@{d}"),
        ),
        codes("MAILBOX_IN_USE"),
        winners=1,
    ),
    Pair(
        "maildir of a user, a new user below it, by an admin of their domain",
        (_MANAGED, _MANAGER, _A),
        (
            put("/user/a@{d}", maildir=_PLACE).by("m@{d}"),
            new_user("b@{d}", maildir=f"{_PLACE}below/").by("m@{d}"),
        ),
        codes("MAILBOX_IN_USE"),
        winners=1,
    ),
    Pair(
        "rename away, POST user of the old name",
        (_D, new_user("a@{d}")),
        (rename("a@{d}", "b@{d}"), new_user("a@{d}")),
        _TAKEN,
    ),
    Pair(
        "DELETE user with keep_mailbox_days, POST it again",
        (_D, new_user("a@{d}")),
        (delete("/user/a@{d}/keep_mailbox_days/7"), new_user("a@{d}")),
        _TAKEN,
    ),
)

ADDRESSES = (*CLAIMS, *LIMITS, *MAILBOXES)
