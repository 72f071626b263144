"""Collect the rows that a step outside the directory changes, while it changes them.

The gateways report what they write; whoever carries out the step collects it. Without a collector
nothing is reported, and nothing is read for it. While a step is only tried, databases roll back
what it writes, and programs are not called.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from iredldap.dit.change_log import Row, TouchedRows

_collector: ContextVar[list[TouchedRows] | None] = ContextVar("collector", default=None)
_about: ContextVar[str] = ContextVar("about", default="")
_is_trial: ContextVar[bool] = ContextVar("is_trial", default=False)


class NotTried(Exception):
    """A step cannot be tried: what it writes could not be rolled back."""


@contextmanager
def collected() -> Iterator[list[TouchedRows]]:
    """Collect what the gateways change during the block, in that order.

    Of a block that fails, the list has what was changed before. A block within another one reports
    to both.
    """
    rows: list[TouchedRows] = []
    outer = _collector.get()
    token = _collector.set(rows)
    try:
        yield rows
    finally:
        _collector.reset(token)
        if outer is not None:
            outer.extend(rows)


@contextmanager
def tried() -> Iterator[list[TouchedRows]]:
    """Collect what the gateways would change in the block; they change nothing.

    Each write is tried on the data as it is, not as earlier ones of the block would leave it.

    Raises:
        NotTried: From the block, if a database cannot roll back.
    """
    token = _is_trial.set(True)
    try:
        with collected() as rows:
            yield rows
    finally:
        _is_trial.reset(token)


def are_tried() -> bool:
    """Return whether writes are only tried at present."""
    return _is_trial.get()


@contextmanager
def about(name: str) -> Iterator[None]:
    """Name the account or domain that the changes of the block are about."""
    token = _about.set(name)
    try:
        yield
    finally:
        _about.reset(token)


def are_collected() -> bool:
    """Return whether changes of rows are collected at present."""
    return _collector.get() is not None


def report(system: str, table: str, before: Iterable[Row] = (), after: Iterable[Row] = ()) -> None:
    """Report rows that were changed: the first one before became the first one after, and so on."""
    collector = _collector.get()
    if collector is not None:
        rows = TouchedRows(system, table, tuple(before), tuple(after), _about.get())
        if rows.before != rows.after:
            collector.append(rows)
