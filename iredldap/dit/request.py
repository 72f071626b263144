"""A request for a change, as a value: what a plan is made from, now or again later.

Nothing in it belongs to HTTP, and it can be stored: a job is such a request that another process
may have to finish.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from iredldap.dit import mail_names
from iredldap.dit.fields import Field, FieldChange, Parsed, Table, Verb
from iredldap.dit.user import SEALED_PASSWORD

_CLEAR_TEXT = "password"


@dataclass(frozen=True, slots=True)
class Request:
    """One request for a change.

    `endpoint` is the id of its row in the index of the API, `names` are the variables of the path,
    read, and `if_match` the states of which the named entry must have one. `client` is the address
    of the machine that it came from. `older_names` are the names by which parameters were sent, by
    the names of their rows. `token` is the id of the API token that it was sent with; empty: none
    was. `document` is what it brings beside parameters, in a form that may be stored.
    """

    endpoint: str
    names: Mapping[str, str]
    parsed: Parsed = field(default_factory=Parsed)
    if_match: tuple[str, ...] = ()
    client: str = ""
    older_names: Mapping[str, str] = field(default_factory=dict)
    token: str = ""
    document: str = ""


def names_sent(older_names: Mapping[str, str], parameters: Iterable[str]) -> list[str]:
    """Return the names by which the client sent some parameters, which may be older ones."""
    return [older_names.get(parameter, parameter) for parameter in parameters]


def with_names_sent(older_names: Mapping[str, str], report: Any) -> Any:
    """Return the report of a refusal with the names by which the client sent its parameters."""
    match report:
        case Mapping():
            return {
                key: names_sent(older_names, [value])[0]
                if key == "parameter"
                else with_names_sent(older_names, value)
                for key, value in report.items()
            }
        case list() | tuple():
            return [with_names_sent(older_names, one) for one in report]
        case _:
            return report


def domains(request: Request) -> frozenset[str]:
    """Return the mail domains that a request mentions, in its path and in its values.

    Requests that mention the same domain are executed one at a time.
    """
    path = request.names
    addresses = (path[name] for name in ("mail", "new_mail") if name in path)
    mentioned = {mail_names.domain_of(address) for address in addresses}
    if "domain" in path:
        mentioned.add(path["domain"])
    # Odd values too: whether they become part of the change is decided under the lock.
    for change in (*request.parsed.changes, *request.parsed.odd):
        if domain := change.field.kind.domain:
            mentioned.update(domain(value) for value in change.values)
    return frozenset(filter(None, mentioned))


def sealed(request: Request, hashed: Callable[[str], str]) -> Request:
    """Replace a password in clear text by its hash.

    Args:
        request: The request.
        hashed: Gives the hash of a password; all accounts that the request names get the same.
    """
    changes = tuple(
        FieldChange(SEALED_PASSWORD, tuple(hashed(value) for value in change.values))
        if _is_clear_text(change.field)
        else change
        for change in request.parsed.changes
    )
    return replace(request, parsed=replace(request.parsed, changes=changes))


def dumped(request: Request) -> str:
    """Serialize a request as JSON in ASCII.

    Raises:
        ValueError: If a password in clear text is in it.
    """
    changes = request.parsed.changes
    if any(_is_clear_text(change.field) for change in changes):
        raise ValueError("a password in clear text is not written down")
    return json.dumps(
        {
            # What was asked for, not what would be done: the plan is made anew by the worker that
            # executes the job, on the directory as it is then.
            "endpoint": request.endpoint,
            "names": dict(request.names),
            "changes": _written(changes),
            "dropped": request.parsed.dropped,
            "odd": _written(request.parsed.odd),
            "if_match": request.if_match,
            "client": request.client,
            "older_names": dict(request.older_names),
            "token": request.token,
            **({"document": request.document} if request.document else {}),
            **({"is_view": True} if request.parsed.is_view else {}),
        }
    )


def loaded(text: str, tables: Mapping[str, Table]) -> Request:
    """Deserialize a request.

    Args:
        text: What `dumped` has written.
        tables: The rows of each endpoint.

    Raises:
        ValueError: If endpoint or parameter is unknown: another version wrote it.
    """
    written: dict[str, Any] = json.loads(text)
    endpoint = written["endpoint"]
    if endpoint not in tables:
        raise ValueError(f"no endpoint {endpoint!r}")
    rows = {row.name: row for row in (*tables[endpoint], SEALED_PASSWORD)}

    def changes(which: str) -> tuple[FieldChange, ...]:
        found = []
        # Jobs of a release before have no odd values, nor texts as they were sent.
        for name, values, verb, *sent in written.get(which, ()):
            # A clear password in a stored job was not written by us.
            if name not in rows or _is_clear_text(rows[name]):
                raise ValueError(f"{endpoint}: no parameter {name!r}")
            older, texts = sent or ("", ())
            found.append(FieldChange(rows[name], tuple(values), Verb(verb), older, tuple(texts)))
        return tuple(found)

    parsed = Parsed(
        changes("changes"),
        dropped=tuple(written["dropped"]),
        odd=changes("odd"),
        is_view=written.get("is_view", False),
    )
    if_match = tuple(written["if_match"])
    # Jobs of releases before have none of these.
    client, older_names = written.get("client", ""), written.get("older_names", {})
    token, document = written.get("token", ""), written.get("document", "")
    return Request(
        endpoint, written["names"], parsed, if_match, client, older_names, token, document
    )


def _written(changes: Iterable[FieldChange]) -> list[tuple[object, ...]]:
    return [
        (
            change.field.name,
            change.values,
            change.verb.value,
            *((change.name, change.texts) if change.texts else ()),
        )
        for change in changes
    ]


def _is_clear_text(row: Field) -> bool:
    return row.kind.type == _CLEAR_TEXT
