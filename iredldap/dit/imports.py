"""Rows of an import: how a file of users is read, and what is done with accounts that exist."""

from iredldap.dit import kinds
from iredldap.dit.fields import Elsewhere, Field, Table

PRESETS = ("iredmail", "mailcow", "postfixadmin", "zimbra", "google", "microsoft")
"""Programs whose exports are read; `none`: only the columns of our own form."""

ENCODINGS = ("utf-8", "utf-16", "windows-1252", "iso-8859-1", "iso-8859-2", "iso-8859-15")
"""Encodings that may be named."""

_FILE = Elsewhere("what is done with the file")


def _switch(name: str, meaning: str) -> Field:
    return Field(
        name=name, stored_as=_FILE, kind=kinds.YES_NO, meaning=meaning, default="no", era="ours"
    )


USERS: Table = (
    Field(
        name="preset",
        stored_as=_FILE,
        kind=kinds.choice("none", *PRESETS),
        meaning="Program that the file comes from. Without it the file has columns named as the"
        " parameters of a user, or it is recognised by its header where that leaves no doubt;"
        " `none`: only our own columns.",
        era="ours",
    ),
    Field(
        name="encoding",
        stored_as=_FILE,
        kind=kinds.choice(*ENCODINGS),
        meaning="Encoding of a file that is neither UTF-8 nor UTF-16.",
        era="ours",
    ),
    _switch("dry_run", "`yes`: nothing is changed; the answer says what would become of each row."),
    _switch(
        "update",
        "`yes`: accounts that exist and differ are made as the file has them, but for passwords.",
    ),
    _switch("passwords", "`yes`: with `update`, they get the passwords of the file, too."),
)
