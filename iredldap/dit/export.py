"""Rows of the LDIF exports; all are ours, the public reference gives them no parameters."""

from iredldap.dit import kinds
from iredldap.dit.fields import Elsewhere, Field, Table

_IN_THE_ANSWER = Elsewhere("the answer")

_PASSWORDS = Field(
    name="passwords",
    stored_as=_IN_THE_ANSWER,
    kind=kinds.YES_NO,
    meaning="Whether password hashes are in the export; only a global admin gets them.",
    default="yes",
    era="ours",
)
_FORMAT = Field(
    name="format",
    stored_as=_IN_THE_ANSWER,
    kind=kinds.choice("json", "ldif"),
    meaning="`ldif` streams the bare file, as `Accept: text/ldif` does.",
    default="json",
    era="ours",
)

ENTRY: Table = (_PASSWORDS, _FORMAT)

DOMAIN: Table = (
    Field(
        name="subtree",
        stored_as=_IN_THE_ANSWER,
        kind=kinds.YES_NO,
        meaning="`no` exports the domain's own entry alone.",
        default="yes",
        era="ours",
    ),
    *ENTRY,
)
