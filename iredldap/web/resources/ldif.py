"""`/api/ldif/…`: entries as LDIF, in the envelope or as the bare file."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from typing import cast

import falcon
import structlog

from iredldap.changes.recording import Recording
from iredldap.dit import mail_names, names, token_scopes
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Parsed
from iredldap.errors import InvalidLdif
from iredldap.operations.domains import domains
from iredldap.operations.login import Caller
from iredldap.operations.users import protected
from iredldap.web import dry_runs, forms
from iredldap.web.downloads import held
from iredldap.web.head import is_head
from iredldap.web.resources.base import Resource
from iredldap.web.responses import JSON, json_text
from ldif_export import child_process
from ldif_export.backup import full, small
from ldif_export.ldif import parser
from ldif_export.ldif.decompression import decompressed
from ldif_export.ldif.files import Openable, UnnamedFile
from ldif_export.restore import execution
from ldif_export.restore.execution import planned_changes
from ldif_export.restore.mailboxes import mailbox_path
from ldif_export.restore.plan import RestorePlan, plan_restore
from ldif_export.restore.validation import RestoreOptions
from ldif_export.selection import AccountKind, Selection, SelectionKind

LDIF = "text/ldif; charset=utf-8"

log = structlog.get_logger("iredldap.export")


class ExportStream:
    """Bytes of an export that are sent to the client; closing it ends the child process."""

    def __init__(self, export: child_process.ExportProcess, *, bare: bool) -> None:
        self._export = export
        self._chunks = iter(export) if bare else json_text(export)

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        """End the source; called by the server when the client has everything, or has gone."""
        self._export.close()


class _LdifResource(Resource):
    def _selection(
        self, request: falcon.Request, kind: SelectionKind, name: str, hidden: tuple[str, ...] = ()
    ) -> Selection:
        caller: Caller = request.context.caller
        parsed = request.context.parsed
        wanted = parsed.value("passwords") != "no"
        omit = () if caller.is_global else hidden
        selection = Selection(
            kind=kind,
            name=name,
            subtree=parsed.value("subtree") != "no",
            omit=frozenset(attribute.lower() for attribute in omit),
            # Only global admins, as a hash of any account could be tried at leisure outside of the
            # server.
            passwords=wanted and caller.is_global and self._gives_hashes(caller),
            only=_only(parsed),
            global_admins=caller.is_global,
        )
        # An export of which no byte is sent is none to be logged.
        if is_head(request):
            return selection
        log.info(
            "export",
            who=caller.address,
            kind=kind,
            name=name,
            passwords=selection.has_passwords,
        )
        self.note(request)
        return selection

    def _gives_hashes(self, caller: Caller) -> bool:
        return self.config.api.ldif_passwords and caller.may(token_scopes.HASHES)

    def _send_account(
        self,
        request: falcon.Request,
        response: falcon.Response,
        kind: SelectionKind,
        name: str,
        hidden: tuple[str, ...],
    ) -> None:
        anywhere = request.context.caller.is_global
        entries = small.entries(self.directory, kind, name, anywhere=anywhere)
        chosen = self._selection(request, kind, name, hidden)
        self._send_entries(request, response, chosen, *entries)

    def _send_entries(
        self, request: falcon.Request, response: falcon.Response, chosen: Selection, *entries: Entry
    ) -> None:
        found = [(entry.dn, chosen.thinned(_stored(entry))) for entry in entries]
        text = b"".join(full.text(found, passwords=chosen.has_passwords))
        if self._wants_file(request, response, chosen):
            response.data = text
        else:
            self.responses.done(response, text.decode("ascii"), read=True)

    def _send_subtree(
        self, request: falcon.Request, response: falcon.Response, chosen: Selection
    ) -> None:
        if is_head(request):
            self.directory.ask()
            self._wants_file(request, response, chosen)
            response.stream = ()
            return
        holding = held(request)
        # Before the child process is started: a refused download must not cost one.
        holding.place(request.context.caller.address)
        export = child_process.start(self.directory.settings_for_reads(), chosen)
        holding.until_the_end(export.close)
        bare = self._wants_file(request, response, chosen)
        response.stream = ExportStream(export, bare=bare)

    def _wants_file(
        self, request: falcon.Request, response: falcon.Response, chosen: Selection
    ) -> bool:
        asked = request.context.parsed.value("format")
        # The parameter wins: browsers send an `Accept` of their own.
        bare = asked == "ldif" if asked else forms.wants(request, "text/ldif")
        response.content_type = LDIF if bare else JSON
        if bare:
            # A name may have quotes or slashes, which would end the header's value, or name another
            # folder.
            name = re.sub(r"[^A-Za-z0-9@._-]", "_", chosen.name or chosen.kind)
            response.set_header("Content-Disposition", f'attachment; filename="{name}.ldif"')
        return bare


class LdifAllResource(_LdifResource):
    """All domains and admins: export, and restore of a file."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        chosen = self._selection(request, "all", "", self.config.api.api_hidden_user_profiles)
        self._send_subtree(request, response, chosen)

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        parsed = request.context.parsed
        options = RestoreOptions(
            old_suffix=parsed.value("old_suffix") or "",
            overwrite=parsed.value("overwrite") == "yes",
            clear_text=parsed.value("clear_text") == "yes",
            leave_out=_listed(parsed, "leave_out"),
            verified=self.config.passwords.verified_schemes,
        )
        with ExitStack() as stack:
            # Without a name: it has hashes of passwords, and would remain after a process that was
            # killed.
            saved = stack.enter_context(tempfile.TemporaryFile())
            forms.save_file(request, self.config.api.max_upload, saved, dry_runs.refuse_part)
            # It is read again by its descriptor, past the buffer of this object.
            saved.flush()
            file = UnnamedFile(saved)
            is_rehearsal = parsed.value("dry_run") == "yes"
            if not is_rehearsal:
                # From the check to the last entry: what was checked must not change meanwhile.
                stack.enter_context(self.outside.turns.take(_domains(file)))
            plan = plan_restore(file, self.directory, options)
            if not plan.ok:
                raise InvalidLdif(f"{plan.refused_count} faults", report=plan.as_json())
            if is_rehearsal:
                self._show(response, plan, stack, as_ldif=parsed.value("format") == "ldif")
            else:
                with self.recording(request, response, self.asked(request)) as recording:
                    # Mailboxes of restored users may be recorded for removal. Twice: a deletion in
                    # between that searches for existing accounts finds only those restored by then.
                    self._keep_mailboxes(file, recording)
                    with self.directory.change():
                        outcome = execution.execute(plan, self.directory, recording=recording)
                    self._keep_mailboxes(file, recording)
                self.note(request)
                self.responses.done(response, outcome.as_json(), read=True)

    def _keep_mailboxes(self, file: Openable, recording: Recording) -> None:
        recording.announce_outside("keep the mailboxes")
        self.outside.iredadmin.reclaim_mailboxes(_mailboxes(file))

    def _show(
        self, response: falcon.Response, plan: RestorePlan, stack: ExitStack, *, as_ldif: bool
    ) -> None:
        if not as_ldif:
            self.responses.done(response, plan.as_json(), read=True)
            return
        response.content_type = LDIF
        # The file is needed until the last record is sent, long after this method.
        response.stream = ChangeRecordStream(planned_changes(plan, self.directory), stack.pop_all())


class ChangeRecordStream:
    """Change records that are sent to the client; closing them releases the file."""

    def __init__(self, chunks: Iterator[bytes], file: ExitStack) -> None:
        self._chunks = chunks
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        """End the source; called by the server when the client has everything, or has gone."""
        self._file.close()


class LdifDomainResource(_LdifResource):
    """A domain."""

    def on_get(self, request: falcon.Request, response: falcon.Response, domain: str) -> None:
        entry = domains.get(self.directory, domain)
        chosen = self._selection(
            request,
            "domain",
            entry.text("domainName") or domain,
            self.config.api.api_hidden_user_profiles,
        )
        if chosen.subtree:
            self._send_subtree(request, response, chosen)
        else:
            self._send_entries(request, response, chosen, entry)


class LdifUserResource(_LdifResource):
    """A mail user."""

    def on_get(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        caller: Caller = request.context.caller
        (entry,) = small.entries(self.directory, "user", mail, anywhere=caller.is_global)
        protected.refuse_global_admin(caller, entry)
        hidden = self.config.api.api_hidden_user_profiles
        chosen = self._selection(request, "user", mail, hidden)
        self._send_entries(request, response, chosen, entry)


class LdifCatchallResource(_LdifResource):
    """The catch-all account of a domain."""

    def on_get(self, request: falcon.Request, response: falcon.Response, domain: str) -> None:
        name = domains.get(self.directory, domain).text("domainName") or domain
        hidden = self.config.api.api_hidden_user_profiles
        self._send_account(request, response, "catchall", name, hidden)


class LdifAdminResource(_LdifResource):
    """A standalone admin."""

    def on_get(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        hidden = self.config.api.api_hidden_admin_profiles
        self._send_account(request, response, "admin", mail, hidden)


class LdifMaillistResource(_LdifResource):
    """A mailing list, with its external members."""

    def on_get(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        hidden = self.config.api.api_hidden_user_profiles
        self._send_account(request, response, "maillist", mail, hidden)


class LdifAliasResource(_LdifResource):
    """A mail alias."""

    def on_get(self, request: falcon.Request, response: falcon.Response, mail: str) -> None:
        hidden = self.config.api.api_hidden_user_profiles
        self._send_account(request, response, "alias", mail, hidden)


def _domains(file: Openable) -> set[str]:
    """Return the domains that the entries of a file lie in, or have addresses in.

    Lines that are no LDIF are left out here: the plan of the restore reports them.
    """
    found: set[str] = set()
    with file.open("rb") as opened:
        for item in parser.read(decompressed(opened)):
            if isinstance(item, parser.ParsedRecord) and names.is_dn(item.dn):
                # By DN and by addresses: an entry of another tool may lie in another domain than
                # its address.
                found.update(filter(None, (names.domain_name_in(item.dn),)))
                entry = Entry(item.dn, {n.lower(): [*v] for n, v in item.attributes.items()})
                found |= mail_names.domains_of(
                    (*entry.texts("mail"), *entry.texts("shadowaddress"))
                )
                found |= entry.lowered("domainname") | entry.lowered("domainaliasname")
    return found


def _mailboxes(file: Openable) -> Iterator[str]:
    """Yield the directories of the mailboxes in a file; of entries without one, nothing."""
    with file.open("rb") as opened:
        for item in parser.read(decompressed(opened)):
            if isinstance(item, parser.ParsedRecord):
                yield mailbox_path({name.lower(): v for name, v in item.attributes.items()})


def _only(parsed: Parsed) -> frozenset[AccountKind]:
    return frozenset(cast("tuple[AccountKind, ...]", _listed(parsed, "only")))


def _listed(parsed: Parsed, parameter: str) -> tuple[str, ...]:
    sent = (change.values for change in parsed.changes if change.field.name == parameter)
    return next(sent, ())


def _stored(entry: Entry) -> dict[str, list[bytes]]:
    return {name: values for name, values in entry.attributes.items() if name != "entryCSN"}
