"""Read a file of users as rows of what is wanted."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, zip_longest

from iredldap.desired.files import presets, tables
from iredldap.desired.files.hashes import recognized
from iredldap.desired.files.presets import Given, Preset
from iredldap.desired.files.tables import Cells
from iredldap.desired.rows import LISTS, USER, UserRow
from iredldap.dit import kinds, mail_names
from iredldap.dit.fields import Field, known_names
from iredldap.dit.form_parser import parse, refuse_leftovers
from iredldap.errors import InvalidFile, InvalidMail, InvalidParameter, Refusal, raise_all

REASON, LINE, PARAMETERS = "reason", "line", "parameters"
"""Columns of a file of refused rows; where they are read, they are left out."""

ADDRESS, HASH = "address", "password_hash"
_ADDRESS = {ADDRESS, "mail", "email"}
_HASH = {HASH, "hash"}
_OWN = known_names(USER) | _ADDRESS | _HASH
_NOTES = frozenset({REASON, LINE, PARAMETERS})
_NAMELESS = ""
"""Name of a column without one, which a separator at the end of each line makes."""
_ROWS = {name: row for row in USER for name in (row.name, *row.aliases)}

MOST_ROWS = 100_000
"""Rows of a file. Who has more divides it: all of them are held in memory."""


@dataclass(frozen=True)
class UsersFile:
    """A file of users, and how its columns are read.

    Args:
        columns: As the file has them, or the names of a preset without a header.
        preset: Whose form it has; None: our own.
        rows: What is behind the header.
    """

    columns: tuple[str, ...]
    preset: Preset | None
    rows: Sequence[Cells]

    @classmethod
    def of(cls, data: bytes, preset: str | None = None, encoding: str | None = None) -> "UsersFile":
        """Read a file.

        Args:
            data: Its bytes.
            preset: Name of the program that it comes from; ``none``: our own columns; None: it is
                recognised by the header, where that leaves no doubt.
            encoding: One of `tables.ENCODINGS`; None: UTF-8, or UTF-16 where it shows.

        Raises:
            InvalidFile: If it is no table, has no column with addresses, or columns that nobody
                knows, or too many of them, or of rows.
        """
        read = tables.read(tables.decoded(data, encoding))
        # One more with the header, and one that is too many: the rest of the file is not read.
        found = [*islice(read, MOST_ROWS + 2)]
        chosen = presets.by_name(preset) if preset else None
        is_bare = bool(chosen and chosen.positions)
        if len(found) > MOST_ROWS + (not is_bare):
            raise InvalidFile(f"more than {MOST_ROWS} rows")
        if not found:
            raise InvalidFile("the file is empty")
        if chosen and is_bare:
            return cls((*chosen.positions, REASON), chosen, found)
        header, rows = found[0], found[1:]
        if chosen is None and preset is None:
            chosen = presets.of_header(header.cells)
        file = cls(header.cells, chosen, rows)
        file._check()
        return file

    @property
    def left_out(self) -> tuple[str, ...]:
        """Columns that a preset knows and that have no meaning here."""
        preset = self.preset
        if preset is None:
            return ()
        return tuple(
            name
            for name in self.columns
            if preset.column(name) in preset.columns and not preset.columns[preset.column(name)]
        )

    @property
    def has_header(self) -> bool:
        """Whether the form of the file has one."""
        return not (self.preset and self.preset.positions)

    def _check(self) -> None:
        names = [self.name_of(name) for name in self.columns]
        known = {*self.preset.columns} if self.preset else set[str]()
        ours = {*_OWN, *_NOTES, _NAMELESS}
        meant = Counter(map(self._meant, filter(None, names)))
        if ADDRESS not in meant:
            # The first line may be a row, so that no cell is told: one of them is a password.
            expected = {ADDRESS, *(self.preset.addresses if self.preset else ())}
            words = " or ".join(f"`{name}`" for name in sorted(expected))
            raise InvalidFile(f"no column {words}: the first line has to name the columns")
        twice = sorted(name for name, times in meant.items() if times > 1)
        if twice:
            raise InvalidFile(f"columns that are there twice: {', '.join(twice)[:200]}")
        strange = [name for name in names if name not in known and name not in ours]
        if strange:
            raise InvalidFile(
                f"columns that are not known: {', '.join(map(repr, strange))[:200]}"
                f" (read as {self.preset.name if self.preset else 'our own'})"
            )

    def _meant(self, name: str) -> str:
        """Return the parameter that a column is, of which several names may be known."""
        if self.preset and name in self.preset.columns:
            return "address" if name in self.preset.addresses else f"{name} of the preset"
        if name in _ADDRESS:
            return "address"
        if name in _HASH:
            return "password_hash"
        return _ROWS[name].name if name in _ROWS else name

    def name_of(self, column: str) -> str:
        """Return the name of a column: that of the preset, or ours, in our spelling."""
        if self.preset and self.preset.column(column) in self.preset.columns:
            return self.preset.column(column)
        folded = column.strip().lower()
        if folded in _ADDRESS:
            return ADDRESS
        if folded in _HASH:
            return HASH
        return next((name for name in _OWN if name.lower() == folded), folded)

    def users(self) -> Iterator[tuple[UserRow, Cells]]:
        """Yield what each row wants, beside its cells; of one that says nonsense, the refusal."""
        seen: dict[str, int] = {}
        names = [*map(self.name_of, self.columns)]
        for cells in self.rows:
            row = self._user(names, cells)
            if row.mail in seen and row.refusal is None:
                words = f"line {seen[row.mail]} has it, too"
                row = replace(row, refusal=InvalidMail(words, parameter="address"))
            seen.setdefault(row.mail, row.line)
            yield row, cells

    def _user(self, names: Sequence[str], cells: Cells) -> UserRow:
        mail = ""
        try:
            found = [*zip_longest(names, cells.cells, fillvalue=_NAMELESS)]
            if any(cell for name, cell in found if name == _NAMELESS):
                columns = len(names) - names.count(_NAMELESS)
                raise InvalidParameter(f"a cell behind the {columns} columns")
            given, refusals = self._given(dict(found))
            mail = given.pop(ADDRESS, "")
            mail = _address(mail)
            raise_all(refusals)
            return _row(cells.line, mail, given)
        except Refusal as refusal:
            return UserRow(cells.line, mail.lower(), refusal=refusal)

    def _given(self, cells: Mapping[str, str]) -> tuple[Given, list[Refusal]]:
        preset = self.preset
        known = preset.columns if preset else {}
        own = {k: v for k, v in cells.items() if k in known}
        given, refusals = preset.read(own) if preset else ({}, [])
        for name, cell in cells.items():
            if name in known or name in _NOTES or not cell:
                continue
            if name == HASH:
                parameter, value = recognized(cell)
                given[parameter] = value
            else:
                given[name] = cell
        return given, refusals


def _address(text: str) -> str:
    try:
        return mail_names.new_address(text)
    except Refusal as refusal:
        refusal.parameter = "address"
        raise


def _row(line: int, mail: str, given: Given) -> UserRow:
    form = {name: [_listed(_ROWS[name], cell)] for name, cell in given.items()}
    parsed = parse(USER, form)
    refuse_leftovers(parsed)
    lists = next((one.values for one in parsed.changes if one.field.name == LISTS.name), ())
    changes = tuple(one for one in parsed.changes if one.field.name != LISTS.name)
    return UserRow(line, mail, replace(parsed, changes=changes), lists)


def _listed(row: Field, cell: str) -> str:
    """Return a cell with several values as a form has them."""
    if not row.kind.many:
        return cell
    for separator in (";", "|", "\r\n", "\n"):
        cell = cell.replace(separator, ",")
    # Telephone numbers have blanks, addresses and services have none.
    return cell if row.kind.read is kinds.STRINGS.read else ",".join(cell.split())
