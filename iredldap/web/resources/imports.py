"""`/api/import`: users from a CSV file."""

import tempfile
from dataclasses import dataclass, replace
from functools import partial

import falcon

from iredldap.desired.batches import Batches
from iredldap.desired.imports import Import, Options
from iredldap.desired.reports import Report
from iredldap.web import dry_runs, forms
from iredldap.web.local_calls import advance_of
from iredldap.web.planner import permit_request
from iredldap.web.resources.base import Resource

_MOST_BYTES = 64 * 1024 * 1024
"""Bytes of a file: it is held in memory."""


@dataclass(frozen=True)
class ImportResource(Resource):
    """An import, at once or as a job."""

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        options = Options.of(request.context.parsed)
        largest = min(_MOST_BYTES, self.config.api.max_upload)
        with tempfile.TemporaryFile() as saved:
            forms.save_file(request, largest, saved, dry_runs.refuse_part)
            saved.seek(0)
            read = Import.of(saved.read(), options)
        context, caller = self.context(request), request.context.caller
        permit = partial(permit_request, self.config, caller)
        if forms.is_asynchronous(request) and not options.dry_run:
            sealed = read.sealed(context, permit, options)
            wanted = replace(self.asked(request), document=sealed)
            self.promise(request, response, wanted)
            return
        batches = Batches(
            context,
            self.change_log,
            permit,
            self.asked(request),
            request_id=request.context.id,
            dry_run=options.dry_run,
            updates=options.updates,
            passwords=options.passwords,
        )
        report = Report(has_details=caller.is_global)
        with read.told(report):
            read.run(batches, report, advance_of(request))
        if report.changes and not options.dry_run:
            self.note(request)
        self.responses.done(response, read.described(report, dry_run=options.dry_run), read=True)
