"""Rows of a spam policy: what Amavisd does with unwanted mail, and what it does not look for.

Amavisd takes each column from the nearest policy where it is not NULL: a user's before the
domain's before everybody's, and in the end from its configuration. There iRedMail has unwanted
mail discarded, except for a *lover* of it, and quarantines mail for which a destination is set. So
a lover gets the message, with or without a copy in quarantine; for any other recipient it is in
quarantine, or lost: the pair of columns that loses it must never be stored. Three rules prevent it,
here and with wider policies behind:

- whatever sets a quarantine sets its lover too, so both always come from the same policy;
- without quarantine the recipient is a lover;
- so is one without the check, which is made all the same if another recipient wants it.

A check that is not bypassed must not deliver as if it were, because a wider policy bypasses it and
has made the recipient a lover. Such a row gets the lover and the quarantine that it would have
without that (`pinned`).

Source: REST API reference, "Spam policy"; iRedMail's SQL databases, `policy`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from iredldap.dit import kinds
from iredldap.dit.fields import Column, Field, FieldChange, Parsed, Table

Value = str | float | None
Row = Mapping[str, Any]
"""A policy by the names of its columns."""

_EVERY_MESSAGE = -100.0
"""A score below that of any message."""


_NO_BYPASS = "no: make it, whatever a wider policy has."


def _row(name: str, meaning: str, column: str = "") -> Field:
    stored_as = Column("policy", column or name)
    return Field(name=name, stored_as=stored_as, kind=kinds.YES_NO, meaning=meaning, era="later")


SET: Table = (
    _row("bypass_spam_checks", f"Skip the check for spam, and deliver all; {_NO_BYPASS}"),
    _row("bypass_virus_checks", f"Skip the check for viruses, and deliver all; {_NO_BYPASS}"),
    _row(
        "bypass_banned_checks",
        f"Skip the check for banned file types, and deliver all; {_NO_BYPASS}",
    ),
    _row("bypass_header_checks", f"Skip the check for bad headers, and deliver all; {_NO_BYPASS}"),
    _row("quarantine_spam", "Quarantine spam; no: deliver it.", "spam_quarantine_to"),
    _row(
        "quarantine_virus",
        "Quarantine infected messages; no: deliver them, wrapped in a warning.",
        "virus_quarantine_to",
    ),
    _row(
        "quarantine_banned",
        "Quarantine messages with banned file types; no: deliver them.",
        "banned_quarantine_to",
    ),
    _row(
        "quarantine_bad_header",
        "Quarantine messages with bad headers; no: deliver them.",
        "bad_header_quarantine_to",
    ),
    _row("prefix_spam_in_subject", "Put a prefix before the subject of spam.", "spam_subject_tag2"),
    _row(
        "always_insert_x_spam_headers",
        "Put X-Spam headers into every message; no: as in a wider policy.",
        "spam_tag_level",
    ),
    _row("spam_score", "Score from which a message is spam.", "spam_tag2_level").but(
        kind=kinds.DECIMAL, empty="as in a wider policy"
    ),
    _row(
        "banned_rulenames",
        "Names of rules for banned file types, such as `ALLOW_MS_OFFICE`; 64 characters together.",
    ).but(kind=kinds.RULE_NAMES, empty="as in a wider policy"),
)


@dataclass(frozen=True, slots=True)
class _Check:
    """One of Amavisd's checks; the parameter that bypasses it is named like its column."""

    stem: str
    bypass: str
    lover: str

    @property
    def quarantine(self) -> str:
        """Return the parameter."""
        return f"quarantine_{self.stem}"

    @property
    def quarantine_to(self) -> str:
        """Return the column: empty, or where such messages go."""
        return f"{self.stem}_quarantine_to"

    @property
    def place(self) -> str:
        """Return where they go, as iRedMail's configuration names it."""
        return f"{self.stem.replace('_', '-')}-quarantine"


_CHECKS = (
    _Check("spam", "bypass_spam_checks", "spam_lover"),
    _Check("virus", "bypass_virus_checks", "virus_lover"),
    _Check("banned", "bypass_banned_checks", "banned_files_lover"),
    _Check("bad_header", "bypass_header_checks", "bad_header_lover"),
)

COLUMNS = (
    *(name for check in _CHECKS for name in (check.bypass, check.lover, check.quarantine_to)),
    *("spam_subject_tag2", "spam_tag_level", "spam_tag2_level", "spam_kill_level"),
    "banned_rulenames",
)
"""Columns of `policy` that the parameters are about."""


def columns(parsed: Parsed, stored: Row, prefix: str) -> dict[str, Value]:
    """Return the columns that a change sets; None: as in a wider policy.

    Args:
        parsed: What was sent; what was not is left alone.
        stored: The row as it is; empty for a new one.
        prefix: What is put before the subject of spam, blank at its end included.
    """
    new: dict[str, Value] = {}
    for check in _CHECKS:
        new |= _of_check(check, parsed, stored)
    for change in parsed.changes:
        new |= _of_scores_and_names(change, prefix)
    return new


def pinned(row: Row, wider: Sequence[Row]) -> dict[str, Value]:
    """Return the columns without which a check that a row wants would be bypassed all the same.

    A row wants a check if it sets it, or puts what is found in quarantine. Where a wider policy
    bypasses it, the row itself sets whether that policy's lover counts: it gets the quarantine
    of the nearest policy now, in the end iRedMail's configuration. Afterwards
    that looks like a value that was sent, so it does not follow wider policies later.

    Args:
        row: A policy.
        wider: Those behind it, the nearest first.
    """
    new: dict[str, Value] = {}
    for check in _CHECKS:
        bypass, quarantine_to = row.get(check.bypass), row.get(check.quarantine_to)
        loving = next((other for other in wider if other.get(check.lover) is not None), {})
        if bypass is None and quarantine_to and _is_set(_first(check.bypass, wider)):
            new[check.bypass] = "N"
        elif _is_unset(bypass) and quarantine_to is None and _is_set(loving.get(check.bypass)):
            inherited = _first(check.quarantine_to, wider)
            new[check.quarantine_to] = check.place if inherited is None else inherited
            new[check.lover] = "N" if new[check.quarantine_to] else "Y"
    return new


def bypasses(parsed: Parsed) -> bool:
    """Return whether a change makes a lover who narrower policies inherit."""
    return any(parsed.value(check.bypass) == "yes" for check in _CHECKS)


def _first(column: str, rows: Sequence[Row]) -> Any:
    """Return what Amavisd takes from some policies, the nearest first; None: none has a value."""
    return next((row[column] for row in rows if row.get(column) is not None), None)


def _of_check(check: _Check, parsed: Parsed, stored: Row) -> dict[str, Value]:
    new: dict[str, Value] = {}
    if bypass := parsed.value(check.bypass):
        new[check.bypass] = "Y" if bypass == "yes" else "N"
    if quarantine := parsed.value(check.quarantine):
        new[check.quarantine_to] = check.place if quarantine == "yes" else ""
    # Both parameters decide about the lover, and only one of them may have been sent.
    after = {**stored, **new}
    was_bypassed = _is_set(stored.get(check.bypass))
    # Where none of this holds, a lover that another client has set may stay one.
    if new and (quarantine or was_bypassed or _lover(check, after) == "Y"):
        new[check.lover] = _lover(check, after)
    return new


def _lover(check: _Check, row: Row) -> str | None:
    """Return what the two parameters mean for the lover; None: neither is set."""
    quarantine_to = row.get(check.quarantine_to)
    if _is_set(row.get(check.bypass)) or quarantine_to == "":
        return "Y"
    return "N" if quarantine_to else None


def _of_scores_and_names(change: FieldChange, prefix: str) -> dict[str, Value]:
    value = ",".join(change.values)
    match change.field.name:
        case "prefix_spam_in_subject":
            return {"spam_subject_tag2": prefix if value == "yes" else ""}
        case "always_insert_x_spam_headers":
            return {"spam_tag_level": _EVERY_MESSAGE if value == "yes" else None}
        case "spam_score":
            score = float(value) if value else None
            # Both: the first one marks a message as spam, the second one is where quarantine
            # begins. Apart from one another there are messages that are marked and not put aside.
            return {"spam_tag2_level": score, "spam_kill_level": score}
        case "banned_rulenames":
            return {"banned_rulenames": value or None}
    return {}


def show(row: Row) -> dict[str, Any]:
    """Return a row of `policy` by the names of parameters; columns that are NULL are left out."""
    shown: dict[str, Any] = {}
    for field in SET:
        match field.stored_as:
            case Column(name=name) if row.get(name) is not None:
                shown[field.name] = _shown(field.name, row[name])
    return shown


def _shown(name: str, value: Any) -> Any:
    match name:
        case "spam_score":
            return float(value)
        case "banned_rulenames":
            return value
        case "always_insert_x_spam_headers":
            # Other panels write other low scores, which have the same effect.
            return _yes_no(value <= _EVERY_MESSAGE)
        case _ if name.startswith("bypass_"):
            return _yes_no(_is_set(value))
    return _yes_no(bool(value))


def _is_set(flag: str | None) -> bool:
    return flag in {"Y", "y", "1"}


def _is_unset(flag: str | None) -> bool:
    """Return whether a flag is no; one that is NULL is not set."""
    return flag is not None and not _is_set(flag)


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"
