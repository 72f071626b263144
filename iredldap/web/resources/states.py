"""`/api/snapshot` and `/api/apply`: the state that there is, and one that is wanted."""

import tempfile
from dataclasses import dataclass, replace

import falcon

from iredldap.desired import lines
from iredldap.desired.applying import Applying
from iredldap.desired.gate import Gate
from iredldap.desired.snapshots import Snapshot, SnapshotOptions
from iredldap.dit.fields import Parsed
from iredldap.dit.states import STATE_WORDS
from iredldap.errors import InvalidParameter
from iredldap.web import dry_runs, forms
from iredldap.web.downloads import send
from iredldap.web.endpoints.states import NDJSON
from iredldap.web.head import is_head
from iredldap.web.local_calls import advance_of
from iredldap.web.resources.base import Resource
from iredldap.web.resources.state_work import calls_of, sealed

_MOST_BYTES = 256 * 1024 * 1024
"""Bytes of a file: as a job it is stored in one value, compressed."""


@dataclass(frozen=True)
class SnapshotResource(Resource):
    """The state that there is."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        options = _options(request.context.parsed)
        context = self.context(request)
        calls = calls_of(self.config, context.caller)
        snapshot = Snapshot(context, calls, self.asked(request), options)
        response.content_type = NDJSON
        if is_head(request):
            response.stream = ()
            return
        if options.hashes:
            self.note(request)
        send(request, response, (lines.encoded(one) for one in snapshot.lines()))


def _options(parsed: Parsed) -> SnapshotOptions:
    values = {change.field.name: change.values for change in parsed.changes}
    words = values.get("kinds", ())
    if unknown := [word for word in words if word not in STATE_WORDS]:
        raise InvalidParameter(f"no kinds: {', '.join(unknown)[:200]}", parameter="kinds")
    return SnapshotOptions(
        domains=values.get("domains", ()),
        kinds=words,
        hashes=parsed.value("hashes") == "yes",
        ids=parsed.value("ids") != "no",
    )


@dataclass(frozen=True)
class ApplyResource(Resource):
    """A state that is wanted, at once or as a job."""

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        parsed = request.context.parsed
        dry_run = parsed.value("dry_run") == "yes"
        largest = min(_MOST_BYTES, self.config.api.max_upload)
        with tempfile.TemporaryFile() as saved:
            forms.save_file(request, largest, saved, dry_runs.refuse_part)
            state = lines.read(saved, parsed.value("format"))
            context, asked = self.context(request), self.asked(request)
            if forms.is_asynchronous(request) and not dry_run:
                self.promise(request, response, replace(asked, document=sealed(state)))
                return
        gate = Gate(
            context,
            self.change_log,
            calls_of(self.config, context.caller),
            asked,
            request_id=request.context.id,
            dry_run=dry_run,
        )
        report = Applying(
            gate, state, prune=parsed.value("prune") == "yes", advance=advance_of(request)
        ).run()
        shown = report.as_json(dry_run=dry_run, has_details=context.caller.is_global)
        if shown["changes"] and not dry_run:
            self.note(request)
        self.responses.done(response, shown, read=True)
