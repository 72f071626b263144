"""Pairs of a policy in SQL, and the end or a new name of the account that it is for."""

from tests.races.pair import Call, Domain, Pair, User, delete, post, put, rename

_D, _E = Domain("{d}"), Domain("{e}")
_U = User("u@{d}")


def _throttle(account: str) -> Call:
    return post(f"/throttle/{account}/outbound", period="60", max_msgs="10")


def _greylist(account: str) -> Call:
    return post(f"/greylisting/{account}", status="enable")


def _whitelist(account: str) -> Call:
    return post(f"/wblist/inbound/whitelist/{account}", addresses="s@elsewhere.test")


POLICIES = (
    Pair("throttle of u, DELETE user u", (_D, _U), (_throttle("u@{d}"), delete("/user/u@{d}"))),
    Pair("throttle of u, rename u", (_D, _U), (_throttle("u@{d}"), rename("u@{d}", "v@{d}"))),
    Pair("throttle of a domain, DELETE it", (_D, _U), (_throttle("{d}"), delete("/domain/{d}"))),
    Pair("greylisting of u, rename u", (_D, _U), (_greylist("u@{d}"), rename("u@{d}", "v@{d}"))),
    Pair(
        "greylisting of u, DELETE the domain",
        (_D, _U),
        (_greylist("u@{d}"), delete("/domain/{d}")),
    ),
    Pair("whitelist of u, DELETE user u", (_D, _U), (_whitelist("u@{d}"), delete("/user/u@{d}"))),
    Pair(
        "whitelist of u, rename u into another domain",
        (_D, _E, _U),
        (_whitelist("u@{d}"), rename("u@{d}", "u@{e}")),
    ),
    Pair(
        "spam policy of u, DELETE user u",
        (_D, _U),
        (put("/spampolicy/user/u@{d}", spam_score="7"), delete("/user/u@{d}")),
    ),
)
