"""Domains of more users than slapd gives at once: each operation, with a size limit and without.

700 users under `sizelimit 500`, slapd's default, and 10 300 under 10 000, which stood in iRedMail's
slapd.conf up to 0.9.8. gunicorn runs as it is shipped, on a directory with the limit and on one
like it without. After each operation both are judged by `cn=vmail`, whom no limit holds: by
counting what should have changed, and by a search of everything for what was exported. `iredldap
doctor` then has to see every entry, and to find no error. Writes do not wait for the disk
(`dbnosync`), which would hide what the limit costs.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import ldap
import requests
from click.testing import CliRunner

from benchmarks.figures import Result, Row
from benchmarks.ground import PASSWORD, SUFFIX, directory
from benchmarks.served import Api, served, sqlite
from iredldap.cli import main
from iredldap.dit.filters import equals, every
from iredldap.dit.names import Tree
from iredldap.embedded.slapd import Slapd
from iredldap.installation import configuration
from ldif_export.ldif import parser
from ldif_export.restore.verify import verify

NAME = "large.test"
ALIAS = "alias.test"
TREE = Tree(SUFFIX)

_USERS = equals("objectClass", "mailUser")
_UNFLUSHED = "dbnosync"
_JUDGE = f'limits dn.exact="cn=vmail,{SUFFIX}" size=unlimited'


@dataclass(frozen=True)
class _Case:
    users: int
    limit: int
    rounds: int


CASES = (_Case(700, 500, 5), _Case(10_300, 10_000, 1))


def run() -> Iterator[Result]:
    """Do each operation with a limit and without one, and judge both."""
    for case in CASES:
        domains = {NAME: case.users, "small.test": 10}
        with ExitStack() as stack:
            limited, free = (
                _Side.opened(stack, domains, extra)
                for extra in (f"sizelimit {case.limit}\n{_JUDGE}\n{_UNFLUSHED}", _UNFLUSHED)
            )
            _insist_on_limit(limited.slapd)
            steps = [*(_lasting(case) * case.rounds), _doctor(case), _deletion()]
            for step in steps:
                ours, theirs = limited.timed(step), free.timed(step)
                what = f"{case.users} users under sizelimit {case.limit}: {step.what}"
                yield Row(what, "without a limit", ours, theirs, step.judged)


@dataclass(frozen=True)
class _Side:
    """A directory, and the API on it."""

    slapd: Slapd
    api: Api

    @classmethod
    def opened(cls, stack: ExitStack, domains: dict[str, int], extra: str) -> "_Side":
        slapd = stack.enter_context(directory(domains, extra))
        return cls(slapd, stack.enter_context(served(slapd, stack.enter_context(sqlite()))))

    def timed(self, step: "_Step") -> float:
        """Return the seconds that an operation took, after it was judged."""
        began = time.perf_counter()
        found = step.act(self)
        took = time.perf_counter() - began
        step.judge(self, found)
        return took

    def dns(self, filter_: str, base: str | None = None) -> list[str]:
        """Search as somebody whom no limit holds; nothing is found below what is not there."""
        connection = ldap.initialize(self.slapd.ldapi)
        connection.simple_bind_s(f"cn=vmail,{SUFFIX}", PASSWORD)
        try:
            where = base or TREE.domain(NAME)
            found = connection.search_s(where, ldap.SCOPE_SUBTREE, filter_, ["1.1"])
        except ldap.NO_SUCH_OBJECT:
            return []
        finally:
            connection.unbind_s()
        return [dn for dn, _ in found]


@dataclass(frozen=True)
class _Step:
    """An operation, and how it is judged.

    Args:
        what: For the table.
        act: Does it.
        judge: Raises unless it is done in full; gets what `act` returned.
        judged: How, for the table.
    """

    what: str
    act: Callable[[_Side], object]
    judge: Callable[[_Side, object], None]
    judged: str


def _lasting(case: _Case) -> list[_Step]:
    """Operations that leave all users there, in an order that can be repeated."""
    domain, users = f"/domain/{NAME}", f"/users/{NAME}"
    marked, named = equals("domainStatus", "disabled"), f"(shadowAddress=*@{ALIAS})"
    return [
        _change("disable the domain", domain, {"accountStatus": "disabled"}, marked, case.users),
        _change("enable the domain", domain, {"accountStatus": "active"}, "(domainStatus=*)", 0),
        _change("add an alias domain", domain, {"addAliasDomain": ALIAS}, named, case.users),
        _change("remove the alias domain", domain, {"removeAliasDomain": ALIAS}, named, 0),
        *(
            _change(f"PUT /api/users, {field}={value}", users, {field: value}, filter_, case.users)
            for field, value, filter_ in (
                ("language", "de_DE", equals("preferredLanguage", "de_DE")),
                ("accountStatus", "disabled", equals("accountStatus", "disabled")),
                ("accountStatus", "active", equals("accountStatus", "active")),
                ("language", "en_US", equals("preferredLanguage", "en_US")),
            )
        ),
        _Step("list the users", _listed, lambda _, found: _insist(found, case.users), "each once"),
        _Step(
            "export the domain", _exported, _judge_export, "the entries that are there; verified"
        ),
    ]


def _change(what: str, path: str, form: dict[str, str], filter_: str, wanted: int) -> _Step:
    def judge(side: _Side, _: object) -> None:
        _insist(len(side.dns(every(_USERS, filter_))), wanted)

    return _Step(
        what,
        lambda side: side.api.request("PUT", path, data=form),
        judge,
        f"{filter_}: {wanted} users",
    )


def _listed(side: _Side) -> int:
    answer = side.api.request("GET", f"/users/{NAME}", params={"email_only": "yes"})
    mails = answer.json()["_data"]
    _insist(len(set(mails)), len(mails))
    return len(mails)


def _exported(side: _Side) -> bytes:
    return side.api.request("GET", f"/ldif/domain/{NAME}", params={"format": "ldif"}).content


def _judge_export(side: _Side, found: object) -> None:
    assert isinstance(found, bytes)
    records = [
        item for item in parser.read(BytesIO(found)) if isinstance(item, parser.ParsedRecord)
    ]
    _insist(sorted(record.dn for record in records), sorted(side.dns("(objectClass=*)")))
    _insist(verify(BytesIO(found)).faults, ())


def _doctor(case: _Case) -> _Step:
    def judge(side: _Side, found: object) -> None:
        there = (side.dns("(objectClass=*)", base) for base in (TREE.base, TREE.admin_base))
        _insist(found, {"entries": sum(map(len, there)), "errors": 0})

    return _Step("iredldap doctor", _diagnosed, judge, f"no error; it sees all {case.users} users")


def _diagnosed(side: _Side) -> dict[str, int]:
    ldap_ = {"uri": [side.slapd.ldapi], "suffix": SUFFIX, "bind_dn": f"cn=vmailadmin,{SUFFIX}"}
    secrets = {"IREDLDAP_LDAP_BIND_PASSWORD": PASSWORD, "IREDLDAP_SESSION_KEYS": "k" * 32}
    with TemporaryDirectory(prefix="iredldap-bench-") as folder:
        path = Path(folder, "iredldap.toml")
        path.write_text(configuration({"ldap": ldap_}), "utf-8")
        words = ["doctor", "--json", "--config", str(path)]
        ran = CliRunner().invoke(main, words, env=secrets)
    summary = json.loads(ran.output.splitlines()[-1])["summary"]
    return {name: summary[name] for name in ("entries", "errors")}


def _deletion() -> _Step:
    def judge(side: _Side, found: object) -> None:
        assert isinstance(found, requests.Response)
        _insist(side.dns("(objectClass=*)"), [])

    return _Step(
        "delete the domain",
        lambda side: side.api.request("DELETE", f"/domain/{NAME}"),
        judge,
        "nothing is left below it",
    )


def _insist_on_limit(slapd: Slapd) -> None:
    connection = ldap.initialize(slapd.ldapi)
    connection.simple_bind_s(f"cn=vmailadmin,{SUFFIX}", PASSWORD)
    try:
        connection.search_s(TREE.domain(NAME), ldap.SCOPE_SUBTREE, attrlist=["1.1"])
    except ldap.SIZELIMIT_EXCEEDED:
        return
    finally:
        connection.unbind_s()
    raise AssertionError("the directory has no limit")


def _insist(found: object, wanted: object) -> None:
    if found != wanted:
        raise AssertionError(f"{found!r:.200} instead of {wanted!r:.200}")
