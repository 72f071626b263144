"""Give desired states the calls of the API, and apply those that run as jobs."""

import base64
import tempfile
import zlib
from collections.abc import Mapping
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
from iredldap.desired.lines import WantedState
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


def sealed(file: IO[bytes], state: WantedState) -> str:
    """Return a file as it may be stored.

    Raises:
        InvalidFile: If it has a password in clear text.
    """
    if state.has_password:
        raise InvalidFile(
            f"line {state.has_password}: a password in clear text is not stored for a job: send a"
            " password_hash, or the file without respond-async",
            parameter="password",
        )
    file.seek(0)
    packer = zlib.compressobj()
    packed = b"".join(map(packer.compress, iter(lambda: file.read(_PART), b""))) + packer.flush()
    return base64.b64encode(packed).decode("ascii")


def _unsealed(document: str, target: IO[bytes]) -> None:
    unpacker, packed = zlib.decompressobj(), base64.b64decode(document)
    while packed:
        target.write(unpacker.decompress(packed, _PART))
        packed = unpacker.unconsumed_tail
    target.write(unpacker.flush())


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
            state = lines.read(file, wanted.parsed.value("format"))
        applying = Applying(
            gate,
            state,
            prune=wanted.parsed.value("prune") == "yes",
            advance=lambda done, total: run.advance(done, total, ""),
        )
        return applying.run().as_json(dry_run=False, has_details=caller.is_global)
