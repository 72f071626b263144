"""Carry out imports that run as jobs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from iredldap.changes.change_log import ChangeLog
from iredldap.changes.job_run import JobRun
from iredldap.config.sections import Config
from iredldap.desired.batches import Batches
from iredldap.desired.imports import Options, run_stored
from iredldap.dit.request import Request
from iredldap.gateways.directory import Directory
from iredldap.operations.access.api_tokens import TokenManager
from iredldap.operations.context import Context
from iredldap.operations.outside_systems import OutsideSystems
from iredldap.web.planner import caller_of, permit_request

_PATIENCE = 3600.0
"""Seconds for which a batch waits for its turn; long, because no client waits for it."""


@dataclass(frozen=True)
class ImportWork:
    """Carries out stored imports."""

    config: Config
    directory: Directory
    outside: OutsideSystems
    change_log: ChangeLog
    tokens: TokenManager

    def __call__(self, wanted: Request, owner: str, run: JobRun) -> Mapping[str, object]:
        """Carry out a stored import, from where an earlier run has come to; return the report.

        Raises:
            Refusal: As `run_stored`.
        """
        caller = caller_of(self.directory, self.tokens, wanted, owner)
        options = Options.of(wanted.parsed)
        batches = Batches(
            Context(self.directory, self.config, caller, self.outside),
            self.change_log,
            partial(permit_request, self.config, caller),
            wanted,
            job=run.job.id,
            updates=options.updates,
            passwords=options.passwords,
            patience=_PATIENCE,
            check=run.check,
        )
        return run_stored(
            wanted.document, batches, run.state.work, run.advance, has_details=caller.is_global
        )
