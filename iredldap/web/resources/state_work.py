"""Give desired states the calls of the API, and apply those that run as jobs."""

import base64
import json
import tempfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import IO

from iredldap.changes.change_log import ChangeLog
from iredldap.changes.job_run import JobRun
from iredldap.config.sections import Config
from iredldap.desired import lines
from iredldap.desired.applying import Applying
from iredldap.desired.calls import Calls
from iredldap.desired.gate import Gate
from iredldap.desired.lines import StateLine, WantedState
from iredldap.desired.rows import StoredRefusal
from iredldap.desired.state_kinds import BESIDE, ENTRY_KINDS, GLOBAL, POLICY_KINDS
from iredldap.dit.fields import known_names
from iredldap.dit.request import Request
from iredldap.errors import InvalidFile
from iredldap.gateways.directory import Directory
from iredldap.operations.access.api_tokens import TokenManager
from iredldap.operations.context import Context
from iredldap.operations.login import Caller
from iredldap.operations.outside_systems import OutsideSystems
from iredldap.web.endpoints.index import ENDPOINTS, OPERATIONS
from iredldap.web.planner import caller_of, permit_request

_PATIENCE = 3600.0
"""Seconds for which a change waits for its turn; long, because no client waits for it."""

_PART = 1024 * 1024

_TABLES = {endpoint.id: endpoint.table for endpoint in ENDPOINTS}
_READS = {endpoint.id: endpoint.read for endpoint in ENDPOINTS if endpoint.read}


def calls_of(config: Config, caller: Caller) -> Calls:
    """Return the calls of the API, with the rights of a caller."""
    return Calls(_TABLES, OPERATIONS, _READS, partial(permit_request, config, caller))


def dumped(state: WantedState, known: Mapping[str, Collection[str]]) -> Iterator[bytes]:
    """Yield a state as it may be stored, without the values of parameters that do not exist.

    These may be anything, such as a password under a misspelt name; they are refused by name in
    any case.

    Args:
        state: The lines, of which none has a password in clear text.
        known: Names of parameters by kinds.
    """
    addresses = sorted(state.addresses)
    yield lines.encoded(
        {"covers": state.covers, "addresses": addresses, "hashes": state.has_hashes}
    )
    for line in state.lines:
        names = {*known.get(line.word, ())}
        params = {name: one if name in names else "" for name, one in line.params.items()}
        why = StoredRefusal.dumped(line.refusal) if line.refusal else None
        named = {"number": line.number, "kind": line.word, "name": line.name, "id": line.id}
        yield lines.encoded(named | {"params": params, "refusal": why})


def loaded(file: IO[bytes]) -> WantedState:
    """Return a state that `dumped` has written."""
    texts, found_lines = lines.Texts(), list[StateLine]()
    head = json.loads(file.readline())
    for found in map(json.loads, file):
        refusal = StoredRefusal(*found["refusal"]) if found["refusal"] else None
        place = texts.add(json.dumps(found["params"]))
        named = (found["number"], lines.KINDS.get(found["kind"]), found["name"], found["id"])
        found_lines.append(StateLine(*named, texts, place, refusal))
    addresses = frozenset(head["addresses"])
    return WantedState(tuple(found_lines), head["covers"], addresses, head["hashes"])


def sealed(state: WantedState) -> str:
    """Return a state as it may be stored.

    Raises:
        InvalidFile: If it has a password in clear text.
    """
    if state.has_password:
        raise InvalidFile(
            f"line {state.has_password}: a password in clear text is not stored for a job: send a"
            " password_hash, or the file without respond-async",
            parameter="password",
        )
    packer = zlib.compressobj()
    packed = b"".join(map(packer.compress, dumped(state, _known()))) + packer.flush()
    return base64.b64encode(packed).decode("ascii")


def _unsealed(document: str, target: IO[bytes]) -> None:
    unpacker, packed = zlib.decompressobj(), base64.b64decode(document)
    while packed:
        target.write(unpacker.decompress(packed, _PART))
        packed = unpacker.unconsumed_tail
    target.write(unpacker.flush())
    target.seek(0)


def _known() -> dict[str, frozenset[str]]:
    """Return the names of the parameters that lines may have, by their kinds."""
    known: dict[str, frozenset[str]] = {}
    for kind in ENTRY_KINDS:
        tables = (*_TABLES[f"{kind.name}_create"], *_TABLES[f"{kind.name}_update"], *kind.further)
        known[kind.name] = known_names(tables) | {
            word for word, owner in BESIDE.items() if owner == kind.name
        }
    for policy in POLICY_KINDS:
        known[policy.name] = known_names(_TABLES[policy.call(GLOBAL, policy.ends[0])])
    return known


@dataclass(frozen=True)
class ApplyWork:
    """Applies stored states."""

    config: Config
    directory: Directory
    outside: OutsideSystems
    change_log: ChangeLog
    tokens: TokenManager

    def __call__(self, wanted: Request, owner: str, run: JobRun) -> Mapping[str, object]:
        """Apply a stored state; what an earlier run has done is left as it is. Return the report.

        Raises:
            Refusal: As `Applying.run`.
        """
        caller = caller_of(self.directory, self.tokens, wanted, owner)
        gate = Gate(
            Context(self.directory, self.config, caller, self.outside),
            self.change_log,
            calls_of(self.config, caller),
            wanted,
            job=run.job.id,
            patience=_PATIENCE,
            check=run.check,
        )
        with tempfile.TemporaryFile() as file:
            _unsealed(wanted.document, file)
            state = loaded(file)
        applying = Applying(
            gate,
            state,
            prune=wanted.parsed.value("prune") == "yes",
            advance=lambda done, total: run.advance(done, total, ""),
        )
        return applying.run().as_json(dry_run=False, has_details=caller.is_global)
