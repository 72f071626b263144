"""Read policies as requests would set them."""

from collections.abc import Callable

from iredldap.dit.fields import Parsed, Table
from iredldap.dit.views import policies
from iredldap.dit.views.params import View
from iredldap.operations.context import Context, PathVariables, Read, Shown
from iredldap.operations.policies import target


def _viewed(otherwise: Read, view: Callable[[Context, PathVariables, Parsed], View]) -> Read:
    def read(context: Context, path: PathVariables, parsed: Parsed) -> Shown:
        if parsed.value("view") is None:
            return otherwise(context, path, parsed)
        return Shown(view(context, path, parsed))

    return read


def _key(context: Context, path: PathVariables) -> str:
    return target.find(context, path, reading=True).key


def listed(otherwise: Read, table: Table) -> Read:
    """Return a read of a list that also answers with its view: the list as a parameter."""

    def view(context: Context, path: PathVariables, parsed: Parsed) -> View:
        values = otherwise(context, path, parsed).data
        assert isinstance(values, list)
        name = table[0].name
        return {name: list[str]()} | policies.of_texts(table, {name: values})

    return _viewed(otherwise, view)


def throttle(otherwise: Read, kind: str) -> Read:
    """Return a read of a throttle that also answers with its view."""

    def view(context: Context, path: PathVariables, parsed: Parsed) -> View:
        return policies.of_throttle(context.outside.iredapd.throttle(_key(context, path), kind))

    return _viewed(otherwise, view)


def greylisting(otherwise: Read) -> Read:
    """Return a read of a greylisting setting that also answers with its view."""

    def view(context: Context, path: PathVariables, parsed: Parsed) -> View:
        return policies.of_greylisting(context.outside.iredapd.greylisting(_key(context, path)))

    return _viewed(otherwise, view)


def spam_policy(otherwise: Read) -> Read:
    """Return a read of a spam policy that also answers with its view."""

    def view(context: Context, path: PathVariables, parsed: Parsed) -> View:
        prefix = context.config.amavisd.spam_subject_prefix
        row = context.outside.amavisd.policy(_key(context, path))
        return policies.of_spam_policy(row, prefix)

    return _viewed(otherwise, view)
