"""Pairs in which one call mentions what the other one takes away or renames."""

from tests.races.pair import Domain, Pair, User, codes, delete, new_user, post, put, rename

_D, _E = Domain("{d}"), Domain("{e}")
_A, _B, _U = User("a@{d}"), User("b@{d}"), User("u@{d}")
_ELSEWHERE = User("b@{e}")
_ALIAS = post("/alias/al@{d}", members="a@{d}")
_LIST = post("/maillist/ml@{d}", members="a@{d}")

FORWARDINGS = (
    Pair(
        "addForwarding=b, DELETE user b",
        (_D, _A, _B),
        (put("/user/a@{d}", addForwarding="b@{d}"), delete("/user/b@{d}")),
        is_short=True,
    ),
    Pair(
        "addForwarding=b, rename b",
        (_D, _A, _B),
        (put("/user/a@{d}", addForwarding="b@{d}"), rename("b@{d}", "c@{d}")),
    ),
    Pair(
        "forwarding to another domain, DELETE user there",
        (_D, _E, _A, _ELSEWHERE),
        (put("/user/a@{d}", addForwarding="b@{e}"), delete("/user/b@{e}")),
    ),
    Pair(
        "forwarding to another domain, DELETE that domain",
        (_D, _E, _A, _ELSEWHERE),
        (put("/user/a@{d}", forwarding="a@{d},b@{e}"), delete("/domain/{e}")),
    ),
    Pair(
        "forwarding to an alias, DELETE alias",
        (_D, _A, _B, _ALIAS),
        (put("/user/b@{d}", addForwarding="al@{d}"), delete("/alias/al@{d}")),
    ),
    Pair(
        "forwarding to another domain, rename there",
        (_D, _E, _A, _ELSEWHERE),
        (put("/user/a@{d}", addForwarding="b@{e}"), rename("b@{e}", "c@{e}")),
    ),
    Pair(
        "forwarding to b, rename of a, DELETE user b",
        (_D, _A, _B),
        (
            put("/user/a@{d}", addForwarding="b@{d}"),
            rename("a@{d}", "c@{d}"),
            delete("/user/b@{d}"),
        ),
    ),
    Pair(
        "senderBcc, recipientBcc of a user, DELETE the target",
        (_D, _A, _B),
        (
            put("/user/a@{d}", senderBcc="b@{d}", recipientBcc="b@{d}"),
            delete("/user/b@{d}"),
        ),
    ),
)

MEMBERS = (
    Pair(
        "alias addMember=u, rename u",
        (_D, _A, _U, _ALIAS),
        (put("/alias/al@{d}", addMember="u@{d}"), rename("u@{d}", "v@{d}")),
        is_short=True,
    ),
    Pair(
        "alias addMember=u, DELETE user u",
        (_D, _A, _U, _ALIAS),
        (put("/alias/al@{d}", addMember="u@{d}"), delete("/user/u@{d}")),
    ),
    Pair(
        "alias member of another domain, DELETE that domain",
        (_D, _E, _A, _ELSEWHERE, _ALIAS),
        (put("/alias/al@{d}", addMember="b@{e}"), delete("/domain/{e}")),
    ),
    Pair(
        "rename an alias, rename its member",
        (_D, _A, _ALIAS),
        (rename("al@{d}", "am@{d}", "alias"), rename("a@{d}", "c@{d}")),
        codes("ALREADY_EXISTS"),
    ),
    Pair(
        "list addMember=u, DELETE user u",
        (_D, _A, _U, _LIST),
        (put("/maillist/ml@{d}", addMember="u@{d}"), delete("/user/u@{d}")),
        is_short=True,
    ),
    Pair(
        "list addMember=u, rename u",
        (_D, _A, _U, _LIST),
        (put("/maillist/ml@{d}", addMember="u@{d}"), rename("u@{d}", "v@{d}")),
    ),
    Pair(
        "list member of another domain, DELETE that domain",
        (_D, _E, _A, _ELSEWHERE, _LIST),
        (put("/maillist/ml@{d}", addMember="b@{e}"), delete("/domain/{e}")),
    ),
    Pair(
        "list addMember=u, list removeMember=a, both at the same list",
        (_D, _A, _U, _LIST),
        (put("/maillist/ml@{d}", addMember="u@{d}"), put("/maillist/ml@{d}", removeMember="a@{d}")),
    ),
    Pair(
        "list members=u, list members=b",
        (_D, _A, _B, _U, _LIST),
        (put("/maillist/ml@{d}", members="u@{d}"), put("/maillist/ml@{d}", members="b@{d}")),
    ),
    Pair(
        "POST list with a member, DELETE user",
        (_D, _U),
        (post("/maillist/ml@{d}", members="u@{d}"), delete("/user/u@{d}")),
    ),
    Pair(
        "DELETE list, external members join",
        (_D, _A, _LIST),
        (delete("/maillist/ml@{d}"), put("/maillist/ml@{d}", addMember="x@{o},y@{o}")),
        is_short=True,
    ),
    Pair(
        "DELETE list, addMember=u",
        (_D, _A, _U, _LIST),
        (delete("/maillist/ml@{d}"), put("/maillist/ml@{d}", addMember="u@{d}")),
    ),
    Pair(
        "DELETE list, POST user who joins it by default",
        (Domain("{d}", settings=("defaultList:ml@{d}",)), _A, _LIST),
        (delete("/maillist/ml@{d}"), new_user("u@{d}")),
    ),
    Pair(
        "rename of a list's member, DELETE list",
        (_D, _A, _LIST),
        (rename("a@{d}", "c@{d}"), delete("/maillist/ml@{d}")),
    ),
)

OF_DOMAINS = (
    Pair(
        "catchall=u, DELETE user u",
        (_D, _U),
        (put("/domain/{d}", catchall="u@{d}"), delete("/user/u@{d}")),
    ),
    Pair(
        "catchall=u, rename u",
        (_D, _U),
        (put("/domain/{d}", catchall="u@{d}"), rename("u@{d}", "v@{d}")),
    ),
    Pair(
        "domain recipientBcc=u, DELETE user u",
        (_D, _U),
        (put("/domain/{d}", recipientBcc="u@{d}"), delete("/user/u@{d}")),
    ),
    Pair(
        "domain senderBcc=u, rename u",
        (_D, _U),
        (put("/domain/{d}", senderBcc="u@{d}"), rename("u@{d}", "v@{d}")),
    ),
    Pair(
        "domain senderBcc of another domain, DELETE that domain",
        (_D, _E, _ELSEWHERE),
        (put("/domain/{d}", senderBcc="b@{e}"), delete("/domain/{e}")),
    ),
    Pair(
        "POST domain with a recipientBcc, DELETE user",
        (_E, _ELSEWHERE),
        (post("/domain/{d}", recipientBcc="b@{e}"), delete("/user/b@{e}")),
    ),
)

REFERENCES = (*FORWARDINGS, *MEMBERS, *OF_DOMAINS)
