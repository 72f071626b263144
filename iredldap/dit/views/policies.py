"""Make the views of policies, which are rows of tables and not entries."""

from collections.abc import Mapping, Sequence
from typing import Any

from iredldap.dit import greylisting, spam_policy, throttle
from iredldap.dit.fields import Table, Verb
from iredldap.dit.form_parser import parse
from iredldap.dit.views.params import ABSENT, LEFT_OUT, View, form_of, shown_value
from iredldap.errors import Malformed

Row = Mapping[str, Any]


def of_texts(table: Table, texts: Mapping[str, Sequence[str]]) -> View:
    """Return the view of stored texts, by the names of parameters; other parameters are not set."""
    view: View = {}
    left_out: list[str] = []
    for row in table:
        if row.verb is not Verb.SET:
            continue
        try:
            value = shown_value(row, [*texts.get(row.name, ())])
        except Malformed:
            left_out.append(row.name)
        else:
            view |= {} if value is ABSENT else {row.name: value}
    return view | ({LEFT_OUT: left_out} if left_out else {})


def of_throttle(row: Row) -> View:
    """Return the view of a row of `throttle`; of none, the period by which there is none."""
    stored = throttle.show(row) or {"period": 0}
    return of_texts(throttle.SET, {name: [str(value)] for name, value in stored.items()})


def of_greylisting(row: Row) -> View:
    """Return the view of a row of `greylisting`; empty for none, which no request could set."""
    shown = greylisting.show(row)
    return of_texts(greylisting.SET, {"status": [shown["status"]]} if shown else {})


def of_spam_policy(row: Row, prefix: str) -> View:
    """Return the view of a row of `policy`, without what a request with it would change.

    Args:
        row: The row; empty: there is none.
        prefix: What the server puts before the subject of spam.
    """
    shown = spam_policy.show(row)
    texts = {
        name: value.split(",")
        if name == "banned_rulenames"
        else [f"{value:g}"]
        if isinstance(value, float)
        else [str(value)]
        for name, value in shown.items()
    }
    view = of_texts(spam_policy.SET, texts)
    left_out = [*view.pop(LEFT_OUT, ())]
    for name in [*view]:
        sent = parse(spam_policy.SET, form_of({name: view[name]}))
        columns = spam_policy.columns(sent, row, prefix)
        if any(row.get(column) != value for column, value in columns.items()):
            del view[name]
            left_out.append(name)
    return view | ({LEFT_OUT: sorted(left_out)} if left_out else {})
