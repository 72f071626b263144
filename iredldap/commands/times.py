"""Times on the command line."""

from datetime import UTC, datetime

import click

from iredldap.dit.change_query import milliseconds
from iredldap.errors import InvalidParameter


def moment(_: click.Context, __: click.Parameter, text: str | None) -> int | None:
    """Read the time of an option, in milliseconds since 1970."""
    try:
        return milliseconds(text, datetime.now(UTC)) if text else None
    except InvalidParameter as ex:
        raise click.BadParameter(ex.detail) from ex
