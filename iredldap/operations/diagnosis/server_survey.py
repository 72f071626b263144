"""Find out what each server of `ldap.uri` is, and whether they go together.

A server shows most of it by how it takes an entry: a consumer refuses it, a provider gives it an
entryCSN with its server id and the time of its clock, and replication brings it to the others. The
entry is a disabled admin of a random name, and is deleted again.
"""

import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime

from iredldap.config.ldap import LdapSettings
from iredldap.directory_errors import DirectoryDenies, DirectoryReadOnly
from iredldap.dit import csn
from iredldap.dit.plan import Delete, Mod, Modify, Op
from iredldap.errors import NoSuchAccount, Refusal
from iredldap.gateways.directory import Directory
from iredldap.operations.diagnosis.findings import Finding
from iredldap.operations.diagnosis.probe import probe_entry

PATIENCE = 5.0
"""Seconds that a change may take to another server."""

_POLL = 0.01
_SERVICE_ACCOUNTS = ("vmail", "vmailadmin")
_WHY_IT_LACKS = (
    "a server that replicates as cn=vmail or cn=vmailadmin may not read the other service accounts,"
    " nor their new passwords. Let it replicate as an account that may read everything"
)
_SHADOW = "shadow context"
"""What a consumer without `updateref` says; of one that an admin has made read-only it is not."""
_REFERRAL = re.compile(r"ldap[si]?://[^\s/,]*")


@dataclass
class ServerFacts:
    """What was found out about a server.

    Attributes:
        uri: Its address.
        directory: What to reach it by, and no other.
        refusal: Why it could not be asked; None: it could.
        refers_to: Of a consumer the provider that it names; empty: none. None: it is a provider.
        server_id: Of a provider; None: not known.
        ahead: Seconds by which its clock is ahead of ours; None: not known.
        lags: Of each other server, seconds after which it had the change; None: not in time.
        accounts: Service accounts, and whether they exist there.
    """

    uri: str
    directory: Directory
    refusal: Refusal | None = None
    refers_to: str | None = None
    server_id: int | None = None
    ahead: float | None = None
    lags: dict[str, float | None] = field(default_factory=dict)
    accounts: dict[str, bool] = field(default_factory=dict)

    @property
    def is_provider(self) -> bool:
        """Whether it accepts writes."""
        return self.refusal is None and self.refers_to is None


@dataclass(frozen=True)
class ServerSurvey:
    """The result: the findings, and the server to ask for everything else.

    Args:
        findings: A line for each server, then what is wrong.
        provider: The first server that accepts writes; None: none does.
    """

    findings: tuple[Finding, ...]
    provider: str | None


def survey(settings: LdapSettings, patience: float = PATIENCE) -> ServerSurvey:
    """Write an entry to each server, wait for it on the others, and delete it.

    Args:
        settings: The servers, and the service account.
        patience: Seconds that a change may take to another server.
    """
    with ExitStack() as stack:
        servers = [
            ServerFacts(uri, stack.enter_context(closing(Directory(settings.only(uri)))))
            for uri in settings.uri
        ]
        for server in servers:
            _ask(server, servers, patience)
    provider = next((server.uri for server in servers if server.is_provider), None)
    return ServerSurvey((*_findings(servers, settings),), provider)


def _ask(server: ServerFacts, every: list[ServerFacts], patience: float) -> None:
    try:
        _write(server, every, patience)
        server.accounts = dict(_accounts(server.directory))
    except DirectoryReadOnly as ex:
        found = _REFERRAL.search(ex.detail)
        if found or _SHADOW in ex.detail:
            server.refers_to = found[0] if found else ""
        else:
            server.refusal = ex
    except Refusal as ex:
        server.refusal = ex


def _write(server: ServerFacts, every: list[ServerFacts], patience: float) -> None:
    directory = server.directory
    # The first request also opens the connection, and would spoil the comparison of clocks.
    directory.ask()
    entry = probe_entry(directory.tree, "made to see what this server is; may be deleted")
    began = datetime.now(UTC)
    state = directory.write(entry)
    middle = began + (datetime.now(UTC) - began) / 2
    try:
        if state and csn.is_csn(state):
            server.server_id = csn.server_id(state)
            server.ahead = (csn.time(state) - middle).total_seconds()
        server.lags = dict(_lags(server, every, entry.dn, patience))
    finally:
        directory.write(Delete(entry.dn))


def server_id_of(directory: Directory) -> int | None:
    """Return the server id that a server gives to what is written to it; None: it shows none.

    An entry is made for that, and deleted again.

    Raises:
        Refusal: If it does not answer, or takes no writes.
    """
    entry = probe_entry(directory.tree, "made to see which server this is; may be deleted")
    state = directory.write(entry)
    directory.write(Delete(entry.dn))
    return csn.server_id(state) if state and csn.is_csn(state) else None


def _lags(
    server: ServerFacts, every: list[ServerFacts], dn: str, patience: float
) -> Iterator[tuple[str, float | None]]:
    """Wait for an entry on all other servers that answer."""
    began = time.monotonic()
    for other in every:
        if other is server or other.refusal:
            continue
        lag: float | None = None
        try:
            while lag is None and time.monotonic() - began < patience:
                if other.directory.read(dn, ("1.1",)):
                    lag = time.monotonic() - began
                else:
                    time.sleep(_POLL)
        except Refusal as ex:
            other.refusal = ex
        else:
            yield other.uri, lag


def _accounts(directory: Directory) -> Iterator[tuple[str, bool]]:
    """Find out which service accounts exist, though the access rules show none of them.

    slapd finds an entry before it judges the right to change it: a change of a missing one is
    refused for that. It is only judged, and would change nothing.
    """
    clear = (Mod(Op.REPLACE, "description"),)
    tree = directory.tree
    asked = {f"cn={name},{tree.suffix}": f"cn={name}" for name in _SERVICE_ACCOUNTS}
    if directory.can_judge():
        for operation, verdict in directory.judged(Modify(dn, clear) for dn in asked):
            yield asked[operation.dn], not isinstance(verdict, NoSuchAccount)


def _findings(servers: list[ServerFacts], settings: LdapSettings) -> Iterator[Finding]:
    for server in servers:
        yield _described(server, servers)
    yield from _without_replication(servers)
    yield from _equal_ids(servers)
    yield from _lacking_accounts(servers)
    yield from clocks(servers, settings)


def _described(server: ServerFacts, every: list[ServerFacts]) -> Finding:
    uri, refusal = server.uri, server.refusal
    if refusal:
        words = f"{uri}: {refusal.code}: {refusal.detail}"
        is_right_elsewhere = any(other.refusal is None for other in every)
        if isinstance(refusal, DirectoryDenies) and is_right_elsewhere:
            words += f". Another server accepts it: {_WHY_IT_LACKS}"
        return Finding(words, is_fault=True)
    if server.refers_to is not None:
        refers = f", which refers to {server.refers_to}" if server.refers_to else ""
        return Finding(f"{uri} is a consumer{refers}: take it out of ldap.uri", is_fault=True)
    number = "" if server.server_id is None else f", server id {server.server_id:03x}"
    lags = [
        f"; {other} has its changes after {lag * 1000:.0f} ms"
        for other, lag in server.lags.items()
        if lag is not None
    ]
    return Finding(f"{uri}: provider{number}{''.join(lags)}", warns=False)


def _without_replication(servers: list[ServerFacts]) -> Iterator[Finding]:
    providers = {server.uri for server in servers if server.is_provider}
    for server in servers:
        for other, lag in server.lags.items():
            if lag is None and other in providers:
                yield Finding(
                    f"what is written to {server.uri} did not arrive on {other} in time:"
                    " they do not replicate one another, or replication is behind",
                    is_fault=True,
                )


def _equal_ids(servers: list[ServerFacts]) -> Iterator[Finding]:
    by_id: Mapping[int, list[str]] = defaultdict(list)
    for server in servers:
        if server.server_id is not None:
            by_id[server.server_id].append(server.uri)
    for number, uris in by_id.items():
        if len(uris) > 1:
            yield Finding(
                f"{' and '.join(uris)} have the same server id {number:03x}: give each its own"
                " `serverID` in slapd.conf (in cn=config: `olcServerID`). Or one of them is a"
                " consumer that passes changes on: take it out of ldap.uri",
                is_fault=True,
            )


def _lacking_accounts(servers: list[ServerFacts]) -> Iterator[Finding]:
    for name in (f"cn={name}" for name in _SERVICE_ACCOUNTS):
        have = [server.uri for server in servers if server.accounts.get(name)]
        lack = [server.uri for server in servers if server.accounts.get(name) is False]
        # An installation may name its accounts otherwise; then no server has one of this name.
        if have:
            for uri in lack:
                yield Finding(
                    f"{uri} does not have {name}, which {have[0]} has: {_WHY_IT_LACKS}",
                    is_fault=True,
                )


def clocks(servers: list[ServerFacts], settings: LdapSettings) -> Iterator[Finding]:
    """Report clocks, ours among them, that are further apart than a lease lasts."""
    ahead = {"this machine": 0.0}
    ahead |= {server.uri: server.ahead for server in servers if server.ahead is not None}
    first, last = min(ahead, key=ahead.__getitem__), max(ahead, key=ahead.__getitem__)
    apart = ahead[last] - ahead[first]
    if apart > settings.lease:
        yield Finding(
            f"the clock of {last} is {apart:.1f} s ahead of that of {first}; ldap.lease is"
            f" {settings.lease:g} s. Let NTP set the clocks"
        )
