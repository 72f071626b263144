"""Rows of a desired state: what a snapshot has, and how a state is applied."""

from iredldap.dit import kinds
from iredldap.dit.fields import Elsewhere, Field, Table

STATE_WORDS = ("domain", "admin", "user", "maillist", "ml", "alias", "policies")
"""Kinds of things; the word for all kinds of policies is `policies`."""

_STATE = Elsewhere("the state")


def _switch(name: str, meaning: str, default: str = "no") -> Field:
    return Field(
        name=name, stored_as=_STATE, kind=kinds.YES_NO, meaning=meaning, default=default, era="ours"
    )


SNAPSHOT: Table = (
    Field(
        name="domains",
        stored_as=_STATE,
        kind=kinds.DOMAINS,
        meaning="Only these domains, with what is in them; without it all, and what is for"
        " everybody.",
        era="ours",
    ),
    Field(
        name="kinds",
        stored_as=_STATE,
        kind=kinds.ATTRIBUTES,
        meaning=f"Only some of the kinds {', '.join(STATE_WORDS)}; without it all that the caller"
        " may read.",
        era="ours",
    ),
    _switch(
        "hashes",
        "`yes` writes the hashes of passwords, which `apply` puts back; for global admins, and"
        " tokens that may read passwords.",
    ),
    _switch("ids", "`no` leaves the ids out, which differ from server to server.", "yes"),
)

APPLY: Table = (
    _switch("dry_run", "`yes` changes nothing, and answers with what would become of each line."),
    _switch(
        "prune",
        "`yes` deletes what the file covers and does not name: of a snapshot the kinds and domains"
        " of its first line, of another file the kinds of accounts that it has in a domain.",
    ),
    Field(
        name="format",
        stored_as=_STATE,
        kind=kinds.choice("ndjson", "yaml", "toml"),
        meaning="Form of the file: objects of JSON, one a line, or an array of them; or a list in"
        " YAML, or tables `[[state]]` in TOML, for small files that are written by hand.",
        default="ndjson",
        era="ours",
    ),
)
