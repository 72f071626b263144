"""Four clients changing one entry at once, 300 changes each, against one client making them all.

Every change must be there at the end; the peer has nobody to lose against.
"""

import threading
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.figures import Row
from benchmarks.ground import ADMIN, SUFFIX, configuration, directory, seconds, settings
from iredldap.changes.apply import execute
from iredldap.dit import domain, maillist
from iredldap.dit.fields import Table
from iredldap.dit.form_parser import parse
from iredldap.dit.names import Tree
from iredldap.dit.plan import Plan
from iredldap.dit.request import Request
from iredldap.gateways.directory import Directory
from iredldap.operations.context import Context
from iredldap.operations.dispatch import plan
from iredldap.operations.login import Caller
from iredldap.operations.outside_systems import OutsideSystems
from iredldap.web.endpoints.index import OPERATIONS

CLIENTS, CHANGES = 4, 300
CALLER = Caller(ADMIN, Tree(SUFFIX).admin(ADMIN), is_global=True, stored=())
LIST = "crew@home.test"


def run() -> Iterator[Row]:
    """Services and settings of a domain, members of a list."""
    with directory({"home.test": CLIENTS * CHANGES}) as slapd:
        gateway = Directory(settings(slapd))
        config = configuration(slapd)
        context = Context(gateway, config, CALLER, OutsideSystems.open(config))
        _execute(context, "maillist_create", maillist.CREATE, {}, {"mail": LIST})
        for what, change, kept in (
            ("services", _service, partial(_services, gateway)),
            ("settings", _setting, partial(_settings, gateway)),
            ("members", _member, partial(_members, gateway)),
        ):
            ours = seconds(partial(_together, context, change, "ours"))
            _insist(what, kept("ours"))
            theirs = seconds(partial(_alone, context, change, "peer"))
            _insist(what, kept("peer"))
            yield Row(
                f"{CLIENTS * CHANGES} changes of {what} by {CLIENTS} clients at once",
                "by one client",
                ours,
                theirs,
                "none lost",
            )
        gateway.close()


Change = Callable[[Context, str, int, int], None]


def _together(context: Context, change: Change, tag: str) -> None:
    failures: list[Exception] = []

    def work(client: int) -> None:
        try:
            for number in range(CHANGES):
                change(context, tag, client, number)
        except Exception as ex:  # noqa: BLE001 - told to the main thread
            failures.append(ex)

    threads = [threading.Thread(target=work, args=(client,)) for client in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _alone(context: Context, change: Change, tag: str) -> None:
    for client in range(CLIENTS):
        for number in range(CHANGES):
            change(context, tag, client, number)


def _execute(
    context: Context, endpoint: str, table: Table, form: dict[str, list[str]], names: dict[str, str]
) -> None:
    wanted = Request(endpoint, names, parse(table, form))

    def make() -> Plan:
        return plan(context, OPERATIONS[endpoint], wanted)

    execute(context.directory, make)


def _service(context: Context, tag: str, client: int, number: int) -> None:
    form = {"addService": [f"{tag}-{client}-{number}"]}
    _execute(context, "domain_update", domain.UPDATE, form, {"domain": "home.test"})


def _setting(context: Context, tag: str, client: int, number: int) -> None:
    names = ("defaultQuota", "maxUserQuota", "numberOfUsers", "numberOfLists")
    value = number + (1 if tag == "ours" else CHANGES + 1)
    form = {names[client]: [str(value)]}
    _execute(context, "domain_update", domain.UPDATE, form, {"domain": "home.test"})


def _member(context: Context, tag: str, client: int, number: int) -> None:
    form = {"addMember": [f"{tag}{client}-{number}@elsewhere.test"]}
    _execute(context, "maillist_update", maillist.UPDATE, form, {"mail": LIST})


def _services(gateway: Directory, tag: str) -> int:
    entry = gateway.read(gateway.tree.domain("home.test"))
    return sum(word.startswith(tag) for word in entry.texts("enabledService")) if entry else 0


def _settings(gateway: Directory, tag: str) -> int:
    entry = gateway.read(gateway.tree.domain("home.test"))
    last = CHANGES if tag == "ours" else 2 * CHANGES
    values = entry.texts("accountSetting") if entry else []
    return CHANGES * sum(value.endswith(f":{last}") for value in values)


def _members(gateway: Directory, tag: str) -> int:
    entry = gateway.read(gateway.tree.externals(LIST))
    return sum(mail.startswith(tag) for mail in entry.texts("mail")) if entry else 0


def _insist(what: str, kept: int) -> None:
    if kept != CLIENTS * CHANGES:
        raise AssertionError(f"{what}: {kept} of {CLIENTS * CHANGES} changes are left")
