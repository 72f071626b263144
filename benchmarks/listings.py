"""The users of a domain as JSON by `GET /api/users/{domain}`, against `ldapsearch` of the same.

gunicorn runs as it is shipped, under iRedMail's access rules; client, gunicorn and slapd share the
cores. Both go to /dev/null, and the times are those of whole processes, start included. A page is
a search through all users, of whom the smallest keys are kept. Who asks for one user meanwhile may
meet the worker that writes the listing, and share its interpreter, or another one.
"""

from collections.abc import Iterator
from itertools import count

import ldap
from ldap.ldapobject import SimpleLDAPObject

from benchmarks import peers
from benchmarks.figures import Reading, Result, Row
from benchmarks.ground import PASSWORD, SUFFIX, directory
from benchmarks.meanwhile import meanwhile
from benchmarks.served import Api, served, sqlite
from benchmarks.stopwatch import lap
from iredldap.dit.names import Tree
from iredldap.embedded.slapd import Slapd

ROUNDS = 9
USERS = 10_000
PAGE = 1000
DOMAIN = "home.test"
SHARE = 0.25
"""Of the speed of ldapsearch; every profile is decoded, shaped and written as JSON."""

MOST_GROWTH = 16
"""Megabytes."""

_PATH = f"/users/{DOMAIN}"
_NAMES = f"{_PATH}?email_only=yes"
_FIRST = f"{_PATH}?limit={PAGE}"


def run() -> Iterator[Result]:
    """List all users, their addresses, and a page of them, each beside its own search."""
    with directory({DOMAIN: USERS}) as slapd, sqlite() as urls, served(slapd, urls) as api:
        _insist_on_everybody(api)
        for _ in range(ROUNDS):
            before = api.peaks()
            yield _beside(slapd, api, "profiles", _PATH)
            grown = max(held - before.get(pid, 0) for pid, held in api.peaks().items())
            note = "by how much the peak of any worker grows"
            yield Reading(f"{USERS} users: memory of a listing", grown, "MB", MOST_GROWTH, note)
            yield _beside(slapd, api, "addresses", _NAMES, "mail")
            yield _beside(slapd, api, f"a page of {PAGE}", _FIRST)
            yield Reading(f"{USERS} users: searches of a listing", _searches(slapd, api), "", 1)
            what = f"{USERS} users: GET of one of them during a listing"
            yield meanwhile(api, what, f"/user/user000002@{DOMAIN}", _PATH)


def _beside(slapd: Slapd, api: Api, what: str, path: str, *attributes: str) -> Row:
    ours = lap("null", api.fetching(path)).seconds
    theirs = lap("null", [*_search(slapd), *attributes]).seconds
    peer = " ".join(["`ldapsearch -LLL`", *attributes])
    return Row(f"{USERS} users: {what}", peer, ours, theirs, wanted=SHARE)


def _search(slapd: Slapd) -> list[str]:
    base = Tree(SUFFIX).container(DOMAIN, "Users")
    where = ["-LLL", "-b", base, "-s", "one", "(objectClass=mailUser)"]
    return [*peers.client("ldapsearch", slapd, "vmailadmin"), *where]


def _insist_on_everybody(api: Api) -> None:
    everybody = {f"user{number:06d}@{DOMAIN}" for number in range(USERS)}
    if everybody != {*api.request("GET", _PATH).json()["_data"]}:
        raise AssertionError("the listing does not hold everybody")
    cursor, found = "", set()
    for _ in count():
        answer = api.request("GET", f"{_FIRST}&cursor={cursor}&fields=mail")
        found |= answer.json()["_data"].keys()
        if "X-Next-Cursor" not in answer.headers:
            break
        cursor = answer.headers["X-Next-Cursor"]
    if everybody != found:
        raise AssertionError("the pages do not hold everybody")


def _searches(slapd: Slapd, api: Api) -> int:
    """How many searches a listing makes, as slapd counts them."""
    connection = ldap.initialize(slapd.ldapi)
    connection.simple_bind_s(f"cn=vmailadmin,{SUFFIX}", PASSWORD)
    # On the same connection the same worker answers, who has just seen whom he answers.
    api.request("GET", "/domains?name_only=yes")
    before = _counted(connection)
    api.request("GET", _PATH)
    made = _counted(connection) - before
    connection.unbind_s()
    # A look at the counter is a search, too.
    return made - 1


def _counted(connection: SimpleLDAPObject) -> int:
    dn = "cn=Search,cn=Operations,cn=Monitor"
    ((_, values),) = connection.search_s(dn, ldap.SCOPE_BASE, attrlist=["monitorOpInitiated"])
    return int(values["monitorOpInitiated"][0])
