"""Rows of the LDIF exports; all are ours, the public reference gives them no parameters."""

from iredldap.dit import kinds
from iredldap.dit.fields import Elsewhere, Field, Table

# These parameters shape an answer and are stored nowhere.
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
    meaning="`ldif` streams the bare file, as `Accept: text/ldif` does unless it prefers JSON.",
    default="json",
    era="ours",
)

_ONLY = Field(
    name="only",
    stored_as=_IN_THE_ANSWER,
    kind=kinds.profiles("user", "maillist", "alias"),
    meaning="Kinds of account below the domains, separated by commas; without it all.",
    era="ours",
)

ENTRY: Table = (_PASSWORDS, _FORMAT)

ALL: Table = (_ONLY, *ENTRY)


def _switch(name: str, meaning: str) -> Field:
    return Field(
        name=name,
        stored_as=Elsewhere("what is done with the file"),
        kind=kinds.YES_NO,
        meaning=meaning,
        default="no",
        era="ours",
    )


RESTORE: Table = (
    _switch("dry_run", "`yes` changes nothing and answers with the plan."),
    _switch("overwrite", "`yes` makes entries that exist and differ as the file has them."),
    _switch("clear_text", "`yes` takes passwords in clear text."),
    Field(
        name="leave_out",
        stored_as=Elsewhere("what is done with the file"),
        kind=kinds.ATTRIBUTES,
        meaning="Attributes that are left out, as though the file did not have them, separated by"
        " commas: those that the directory's schema does not know, say.",
        era="ours",
    ),
    Field(
        name="old_suffix",
        stored_as=Elsewhere("what is done with the file"),
        kind=kinds.DN,
        meaning="Suffix of the DNs in the file, where it is not the directory's.",
        era="ours",
    ),
    _FORMAT.but(
        meaning="With `dry_run`, `ldif` answers with the plan as LDIF change records instead."
    ),
)

DOMAIN: Table = (
    Field(
        name="subtree",
        stored_as=_IN_THE_ANSWER,
        kind=kinds.YES_NO,
        meaning="`no` exports the domain's own entry alone.",
        default="yes",
        era="ours",
    ),
    *ALL,
)
