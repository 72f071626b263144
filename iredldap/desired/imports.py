"""Import a file of users: at once, or as a job that goes on where another worker has stopped."""

import base64
import json
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from iredldap import finders
from iredldap.desired.batches import ROWS, Batches
from iredldap.desired.calls import Permit, may_compare
from iredldap.desired.files.tables import Cells
from iredldap.desired.files.users import UsersFile
from iredldap.desired.reports import Report, rejected, without_secrets
from iredldap.desired.rows import CREATE, USER, Outcome, StoredRefusal, UserRow
from iredldap.directory_errors import AmbiguousAccount
from iredldap.dit import domain, mail_names, passwords, request
from iredldap.dit.entry import Entry
from iredldap.dit.fields import FieldChange, Parsed
from iredldap.dit.request import Request
from iredldap.errors import Refusal, raise_all
from iredldap.operations import dispatch
from iredldap.operations.context import Context
from iredldap.operations.users import users

_FEW_HASHES = 64

_SHARE = 4
"""A report is stored again when its length has grown by one part in so many."""


@dataclass(frozen=True)
class Options:
    """What is done with the rows of a file."""

    preset: str | None = None
    encoding: str | None = None
    dry_run: bool = False
    updates: bool = False
    passwords: bool = False

    @classmethod
    def of(cls, parsed: Parsed) -> "Options":
        """Read them from the parameters of a request."""

        def is_on(name: str) -> bool:
            return parsed.value(name) == "yes"

        return cls(
            parsed.value("preset"),
            parsed.value("encoding"),
            is_on("dry_run"),
            is_on("update"),
            is_on("passwords"),
        )


@dataclass(frozen=True)
class Import:
    """A file that was read, and what its rows want."""

    file: UsersFile
    rows: Sequence[tuple[UserRow, Cells]]

    @classmethod
    def of(cls, data: bytes, options: Options) -> "Import":
        """Read a file.

        Raises:
            InvalidFile: As `UsersFile.of`.
        """
        file = UsersFile.of(data, options.preset, options.encoding)
        return cls(file, [*file.users()])

    def run(
        self,
        batches: Batches,
        report: Report,
        advance: Callable[[int, int], None] = lambda *_: None,
    ) -> None:
        """Bring all rows about; `advance` gets the number of those that are done, and of all.

        Raises:
            Refusal: As `Batches.run`; the report has what was done until then.
        """
        whole = replace(batches, broken=report.add)
        done = 0
        for outcomes in _expecting(whole, [row for row, _ in self.rows]):
            report.add(outcomes)
            done += len(outcomes)
            advance(done, len(self.rows))

    @contextmanager
    def told(self, report: Report) -> Iterator[None]:
        """Have a refusal during the block report what was done until then."""
        try:
            yield
        except Refusal as refusal:
            refusal.report = {
                **self.described(report, dry_run=False),
                **(refusal.report or {}),
            }
            raise

    def described(self, report: Report, *, dry_run: bool) -> dict[str, Any]:
        """Return the report of an answer."""
        rows = {cells.line: cells.cells for _, cells in self.rows}
        return {
            "dry_run": dry_run,
            "rows": len(self.rows),
            "preset": self.file.preset.name if self.file.preset else None,
            "columns_left_out": [*self.file.left_out],
            **report.as_json(),
            "rejected": "".join(self.rejected(report, rows)),
        }

    def rejected(self, report: Report, rows: Mapping[int, Sequence[str]]) -> Iterator[str]:
        """Yield the lines of the file of refused rows."""
        columns = self.file.columns
        return rejected(columns, rows, report.refused, has_header=self.file.has_header)

    def sealed(self, context: Context, permit: Permit, options: Options) -> str:
        """Return the import as it may be stored: with hashes for passwords, compressed.

        Passwords are judged here, as no hash tells how weak one is; and compared, as no hash is
        that of an account again. A right one is stored as the account has it.

        Args:
            context: Where, and for whom.
            permit: Refuses a request that the caller may not make.
            options: Whether accounts get passwords.
        """
        wanted = [row for row, _ in self.rows]
        is_compared = options.updates and options.passwords
        there = _verifiable(context, permit, wanted) if is_compared else {}
        rows = _sealed(context, wanted, there)
        written = {
            "columns": self.file.columns,
            "preset": self.file.preset.name if self.file.preset else None,
            "left_out": self.file.left_out,
            "has_header": self.file.has_header,
            "rows": [
                _written(row, without_secrets(self.file, cells))
                for row, (_, cells) in zip(rows, self.rows, strict=True)
            ],
        }
        packed = zlib.compress(json.dumps(written).encode(), level=1)
        return base64.b64encode(packed).decode()


def _expecting(
    batches: Batches, rows: Sequence[UserRow], done: int = 0, refused: Collection[int] = ()
) -> Iterator[list[Outcome]]:
    """Bring rows about, each of which may refer to the accounts of all others.

    Args:
        batches: Brings them about.
        rows: All rows.
        done: How many of them are done already.
        refused: Lines of rows of which no account came.
    """
    own = (row for row in rows if not row.refusal and row.line not in refused)
    claims = Counter(mail for row in own for mail in row.addresses)
    coming = {*claims}
    context = replace(batches.context, coming=coming)
    for outcomes in replace(batches, context=context).run(rows[done:], ROWS):
        for one in outcomes:
            if one.result == "refused" and not one.row.refusal:
                claims.subtract(one.row.addresses)
                coming.difference_update(mail for mail in one.row.addresses if not claims[mail])
        yield outcomes


def _sealed(context: Context, rows: Sequence[UserRow], there: Mapping[str, Entry]) -> list[UserRow]:
    """Replace passwords by hashes; refuse those that break the rules of their domains.

    Args:
        context: Where, and for whom.
        rows: The rows.
        there: Accounts whose passwords the caller may verify, by address.
    """

    @cache
    def policy(name: str) -> passwords.Policy:
        try:
            home = finders.domain_or_none(context.directory, name)
        except Refusal:
            home = None
        return users.policy(context.config, domain.limits(home) if home else {})

    def seal(row: UserRow) -> UserRow:
        password = row.parsed.value("password")
        if password is None:
            return row
        entry = there.get(row.mail)
        if entry and context.directory.verifies(entry.dn, password):
            return _with_hash(row, entry.texts("userPassword")[0])
        try:
            rules = policy(mail_names.domain_of(row.mail))
            raise_all(passwords.check(password, rules, row.mail))
        except Refusal as refusal:
            return UserRow(row.line, row.mail, refusal=refusal)
        wanted = dispatch.sealed(context, Request(CREATE, {"mail": row.mail}, row.parsed))
        return replace(row, parsed=wanted.parsed)

    if len(rows) < _FEW_HASHES:
        return [*map(seal, rows)]
    # Each may take a quarter of a second (BCRYPT), in which the library lets other threads run.
    with ThreadPoolExecutor() as pool:
        return [*pool.map(seal, rows)]


def _with_hash(row: UserRow, stored: str) -> UserRow:
    """Return a row with the hash of its password."""
    changes = tuple(
        FieldChange(_HASH, (stored,)) if one.field.name == "password" else one
        for one in row.parsed.changes
    )
    return replace(row, parsed=replace(row.parsed, changes=changes))


def _verifiable(context: Context, permit: Permit, rows: Iterable[UserRow]) -> dict[str, Entry]:
    """Find the accounts of rows with a password in clear text that the caller may verify."""
    mails = {
        row.mail
        for row in rows
        if row.parsed.value("password") and may_compare(permit, "user", row.mail)
    }
    directory, anywhere = context.directory, context.caller.is_global
    attributes = ("objectClass", "userPassword")
    found: dict[str, Entry] = {}
    for mail, entries in finders.holders(directory, mails, attributes).items():
        # Of two the row will be refused.
        with suppress(AmbiguousAccount):
            entry = finders.choose_account(directory, entries, mail, "mailUser", anywhere=anywhere)
            if entry and entry.texts("userPassword"):
                found[mail] = entry
    return found


def _written(row: UserRow, cells: Sequence[str]) -> dict[str, Any]:
    if row.refusal:
        why = StoredRefusal.dumped(row.refusal)
        return {"line": row.line, "mail": row.mail, "cells": cells, "refusal": why}
    wanted = Request(CREATE, {"mail": row.mail}, row.parsed)
    return {
        "line": row.line,
        "mail": row.mail,
        "lists": row.lists,
        "cells": cells,
        "wanted": request.dumped(wanted),
    }


def _read(written: Mapping[str, Any]) -> UserRow:
    line, mail = written["line"], written["mail"]
    if "refusal" in written:
        return UserRow(line, mail, refusal=StoredRefusal(*written["refusal"]))
    parsed = request.loaded(written["wanted"], {CREATE: USER}).parsed
    changes = tuple(map(_as_hash, parsed.changes))
    return UserRow(line, mail, replace(parsed, changes=changes), tuple(written["lists"]))


_HASH = next(row for row in USER if row.name == "password_hash")


def _as_hash(change: FieldChange) -> FieldChange:
    return replace(change, field=_HASH) if change.field.name == _HASH.name else change


def run_stored(
    document: str,
    batches: Batches,
    reached: str,
    advance: Callable[[int, int, str], None],
    *,
    has_details: bool,
) -> dict[str, Any]:
    """Bring about an import that was stored, from where it has come to.

    Args:
        document: What `Import.sealed` returned.
        batches: Brings rows about.
        reached: What `advance` got last; empty: nothing was done.
        advance: Called after each batch with the number of rows done, that of all, and how far
            the import has come.
        has_details: As for `Report`.

    Returns:
        The report.

    Raises:
        Refusal: As `Batches.run`, or of `advance`.
    """
    written = json.loads(zlib.decompress(base64.b64decode(document)))
    rows = [*map(_read, written["rows"])]
    done, total, report = 0, len(rows), Report(has_details=has_details)
    if reached:
        before = json.loads(reached)
        done, report = before["done"], Report.of(before["report"], has_details=has_details)
    refused = {one["line"] for one in report.refused if one["result"] == "refused"}
    due = 0
    for outcomes in _expecting(batches, rows, done, refused):
        report.add(outcomes)
        done += len(outcomes)
        # The larger the report is, the more rarely it is stored: a file of which every row is
        # refused would be written as often as it has batches.
        if done >= due or done == total:
            advance(done, total, json.dumps({"done": done, "report": report.as_json()}))
            due = done + report.listed // _SHARE
    cells = {one["line"]: one["cells"] for one in written["rows"]}
    lines: Iterable[str] = rejected(
        written["columns"], cells, report.refused, has_header=written["has_header"]
    )
    return {
        "dry_run": False,
        "rows": total,
        "preset": written["preset"],
        "columns_left_out": written["left_out"],
        **report.as_json(),
        "rejected": "".join(lines),
    }
