"""The beginning of a logged change: who asked for what, without secrets."""

import time
from collections.abc import Iterator

from iredldap.dit import mail_names
from iredldap.dit.change_ids import new_id
from iredldap.dit.change_log import REDACTED, LoggedChange
from iredldap.dit.request import Request

_TARGETS = ("mail", "domain")


def logged(
    wanted: Request,
    admin: str,
    *,
    request_id: str = "",
    job: str = "",
    steps: tuple[str, ...] = (),
    number: str | None = None,
) -> LoggedChange:
    """Return the change that a request asks for.

    Args:
        wanted: The request.
        admin: Who asks: an address, or ``unix:NAME``.
        request_id: Its `X-Request-Id`.
        job: Id of the background job.
        steps: What it does, where no single plan says so.
        number: Its id; None: one of this moment.
    """
    mail = wanted.names.get("mail", "")
    return LoggedChange(
        id=number or new_id(),
        began=time.time_ns() // 1_000_000,
        admin=admin,
        endpoint=wanted.endpoint,
        token=wanted.token or None,
        client=wanted.client,
        request=request_id,
        account=mail.lower(),
        domain=(wanted.names.get("domain") or (mail_names.domain_of(mail) if mail else "")).lower(),
        parameters=dict(_parameters(wanted)),
        steps=steps,
        job=job,
    )


def _parameters(wanted: Request) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the parameters, and the variables of the path that do not name the target."""
    for name, value in wanted.names.items():
        if name not in _TARGETS:
            yield name, (value,)
    for change in (*wanted.parsed.changes, *wanted.parsed.odd):
        secret = change.field.kind.secret
        yield change.field.name, (REDACTED,) if secret else change.values
