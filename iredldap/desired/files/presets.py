"""The forms in which other programs export their users, as rows.

A preset says what each column of such a file means. Columns that it does not know, and that are
none of ours, are refused: one that is misspelt must not be ignored. Our own columns may stand in
any file: exports without passwords get one so.

Source: the documentation of each program, as each preset says.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from iredldap.desired.files import hashes
from iredldap.dit.kinds import LANGUAGES
from iredldap.errors import InvalidParameter, Refusal

Given = dict[str, str]
"""Parameters of a row by their names, as a form has them; `address` is the address."""

Read = Callable[[str, Given], Given]
"""Reads a cell that is not empty, beside all cells of the row; returns parameters."""

_MEGABYTE = 1024 * 1024
_LOCAL_PART, _DOMAIN = "local part", "domain"


def _to(name: str) -> Read:
    return lambda cell, _: {name: cell}


_ADDRESS = _to("address")


def _bytes(cell: str, _: Given) -> Given:
    """Read a quota in bytes, to the nearest megabyte; 0 and -1 are none of its own."""
    size = _whole(cell)
    return {"quota": str(max(1, round(size / _MEGABYTE)))} if size > 0 else {}


def _whole(cell: str) -> int:
    try:
        return int(cell)
    except ValueError as ex:
        raise InvalidParameter(f"{cell[:80]!r} is no number of bytes", parameter="quota") from ex


def _hash(cell: str, _: Given) -> Given:
    name, value = hashes.recognized(cell)
    return {name: value}


def _switch(on: Iterable[str], off: Iterable[str]) -> Read:
    """Return what reads a status from its words."""
    states = dict.fromkeys(on, "active") | dict.fromkeys(off, "disabled")

    def read(cell: str, _: Given) -> Given:
        try:
            return {"accountStatus": states[cell.lower()]}
        except KeyError as ex:
            raise InvalidParameter(f"{cell[:80]!r} is no status", parameter="accountStatus") from ex

    return read


_FLAG = _switch(("1", "true", "t", "yes", "y"), ("0", "false", "f", "no", "n", "2"))


def _language(cell: str, _: Given) -> Given:
    """Read a language with or without a country, such as `de` or `de-DE`; others are left out."""
    word = cell.replace("-", "_")
    for known in LANGUAGES:
        if known.lower() == word.lower():
            return {"language": known}
    short = word.partition("_")[0].lower()
    found = [known for known in LANGUAGES if known.lower().startswith(f"{short}_")]
    own = f"{short}_{short}"
    return {"language": next((k for k in found if k.lower() == own), found[0])} if found else {}


def _proxy_addresses(cell: str, given: Given) -> Given:
    """Read Exchange's addresses: ``SMTP:`` is the main one, ``smtp:`` a further one."""
    found = [
        word.partition(":")[2]
        for word in cell.replace("+", " ").replace(";", " ").replace(",", " ").split()
        if word.startswith("smtp:")
    ]
    # Every account of a tenant has one there, which is none of ours.
    wanted = [mail for mail in found if not mail.lower().endswith(".onmicrosoft.com")]
    return {"aliases": ",".join(wanted)} if wanted else {}


def _google_password(cell: str, given: Given) -> Given:
    if set(cell) == {"*"}:
        # The console shows none, and takes these for "unchanged".
        return {}
    name, value = hashes.of_function(cell, given.get("password hash function", ""))
    return {name: value}


def _groups(cell: str, given: Given) -> Given:
    """Read the lists of iRedMail's script: names in the domain of the user."""
    home = given.get(_DOMAIN, "")
    names = [word for word in cell.replace(",", ":").split(":") if word.strip()]
    return {"lists": ",".join(n.strip() if "@" in n else f"{n.strip()}@{home}" for n in names)}


def _ignored(names: str) -> dict[str, None]:
    """Return columns that are left out; `names` are separated by semicolons."""
    return dict.fromkeys(name.strip() for name in names.split(";"))


@dataclass(frozen=True)
class Preset:
    """The form of one program's export.

    Args:
        name: By which it is chosen.
        meaning: Where such a file comes from.
        columns: What reads each column, by its name in lower case; None: it is left out.
        marks: Columns that only this form has, all of them; none: it cannot be recognised.
        positions: Names of the columns, where the file has no header.
        completed: Makes a row whole of what was read.
        named: Returns the name of a column without what a program adds to it.
        null: What a cell without a value has; empty: nothing.
    """

    name: str
    meaning: str
    columns: Mapping[str, Read | None]
    marks: frozenset[str] = frozenset()
    positions: tuple[str, ...] = ()
    completed: Callable[[Given], Given] = field(default=lambda given: given)
    named: Callable[[str], str] = field(default=lambda name: name)
    null: str = ""

    def fits(self, header: Iterable[str]) -> bool:
        """Return whether a header can only be that of this form."""
        return bool(self.marks) and self.marks <= {self.column(name) for name in header}

    @property
    def addresses(self) -> frozenset[str]:
        """Return the columns that are the address."""
        return frozenset(name for name, read in self.columns.items() if read is _ADDRESS)

    def column(self, name: str) -> str:
        """Return the name of a column as `columns` has it."""
        return self.named(name.strip().lower())

    def read(self, cells: Mapping[str, str]) -> tuple[Given, list[Refusal]]:
        """Read a row; `cells` are those of its own columns, by name.

        Returns:
            What it says, and a refusal for each cell that is none of its column.
        """
        given: Given = {}
        refusals: list[Refusal] = []
        for name, cell in cells.items():
            reader = self.columns[name]
            if reader and cell and cell != self.null:
                try:
                    given |= reader(cell, dict(cells))
                except Refusal as refusal:
                    refusals.append(refusal)
        return self.completed(given), refusals


def _with_address(given: Given) -> Given:
    """Join the parts of an address."""
    local, home = given.pop(_LOCAL_PART, ""), given.pop(_DOMAIN, "")
    if "address" not in given and local:
        given["address"] = local if "@" in local else f"{local}@{home}"
    return given


def _with_name(given: Given) -> Given:
    """Name an account without a display name by its given and family names."""
    whole = " ".join(filter(None, (given.get("gn"), given.get("sn"))))
    return {"name": whole, **given} if whole else given


def _google_column(name: str) -> str:
    return name.partition(" [")[0]


_OF_MAILBOX_TABLE: dict[str, Read | None] = {
    "username": _ADDRESS,
    "password": _hash,
    "name": _to("name"),
    **_ignored("maildir; local_part; domain; created; modified"),
}

_NULL = "NULL"
"""What `mysql --batch` prints for no value."""

PRESETS: Sequence[Preset] = (
    Preset(
        "iredmail",
        "The file of iRedMail's script that creates many users: domain, user name, password, name,"
        " quota in bytes and groups, without a header.",
        {
            "domain": _to(_DOMAIN),
            "username": _to(_LOCAL_PART),
            "password": lambda cell, _: (
                _hash(cell, {}) if cell.startswith("{") else {"password": cell}
            ),
            "name": _to("name"),
            "quota": _bytes,
            "groups": _groups,
        },
        positions=("domain", "username", "password", "name", "quota", "groups"),
        completed=_with_address,
    ),
    Preset(
        "mailcow",
        "The table `mailbox` of mailcow: dockerized, as `mysql --batch` prints it.",
        _OF_MAILBOX_TABLE
        | {
            "quota": _bytes,
            "active": _FLAG,
            **_ignored(
                "description; mailbox_path_prefix; attributes; custom_attributes; "
                "kind; multiple_bookings; authsource; active_int"
            ),
        },
        frozenset({"username", "local_part", "kind"}),
        null=_NULL,
    ),
    Preset(
        "postfixadmin",
        "The table `mailbox` of PostfixAdmin.",
        _OF_MAILBOX_TABLE
        | {
            "quota": _bytes,
            "active": _FLAG,
            "phone": _to("mobile"),
            **_ignored(
                "email_other; token; token_validity; password_expiry; totp_secret; smtp_active"
            ),
        },
        frozenset({"username", "maildir", "local_part"}),
        null=_NULL,
    ),
    Preset(
        "zimbra",
        "Accounts of Zimbra, with the names of its LDAP attributes as columns.",
        {
            "name": _ADDRESS,
            "displayname": _to("name"),
            "givenname": _to("gn"),
            "sn": _to("sn"),
            "userpassword": _hash,
            "zimbramailquota": _bytes,
            "zimbraaccountstatus": _switch(
                ("active",), ("closed", "locked", "lockout", "maintenance", "pending")
            ),
            "zimbramailalias": _to("aliases"),
            "zimbraprefmailforwardingaddress": _to("forwarding"),
            "zimbraprefmaillocaldeliverydisabled": _to("no copy"),
            "zimbrapreflocale": _language,
            "telephonenumber": _to("telephoneNumber"),
            "mobile": _to("mobile"),
            "employeenumber": _to("employeeid"),
            **_ignored(
                "zimbraid; zimbracosid; zimbralastlogontimestamp; "
                "zimbracreatetimestamp; zimbraisadminaccount; description; company; "
                "title; zimbramailhost"
            ),
        },
        frozenset({"zimbraaccountstatus"}),
        completed=lambda given: _with_copy(_with_name(given)),
    ),
    Preset(
        "google",
        "Users of Google Workspace, as the admin console downloads them, or its template.",
        {
            "first name": _to("gn"),
            "last name": _to("sn"),
            "email address": _ADDRESS,
            "password": _google_password,
            "work phone": _to("telephoneNumber"),
            "mobile phone": _to("mobile"),
            "employee id": _to("employeeid"),
            "status": _switch(("active",), ("suspended", "archived")),
            "new status": _switch(("active",), ("suspended", "archived")),
            **_ignored(
                "password hash function; org unit path; new primary email; "
                "recovery email; home secondary email; work secondary email; "
                "recovery phone; home phone; work address; home address; "
                "employee type; employee title; manager email; department; "
                "cost center; building id; floor name; floor section; "
                "change password at next sign-in; last sign in; email usage; "
                "drive usage; photos usage; storage limit; storage used; 2sv enrolled; "
                "2sv enforced; advanced protection program enrollment; licenses; "
                "new licenses"
            ),
        },
        frozenset({"email address", "org unit path"}),
        completed=_with_name,
        named=_google_column,
    ),
    Preset(
        "microsoft",
        "Users of Microsoft 365, as its admin center exports them, or its template.",
        {
            "user principal name": _ADDRESS,
            "username": _ADDRESS,
            "first name": _to("gn"),
            "last name": _to("sn"),
            "display name": _to("name"),
            "proxy addresses": _proxy_addresses,
            "mobile phone": _to("mobile"),
            "phone number": _to("telephoneNumber"),
            "office phone": _to("telephoneNumber"),
            "preferred language": _language,
            "block credential": _switch(("false",), ("true",)),
            **_ignored(
                "city; country; country or region; department; dirsyncenabled; fax; "
                "last dirsync time; last password change time stamp; "
                "license assignment details; licenses; oauth token metadata; "
                "object id; office; office number; password never expires; "
                "postal code; zip or postal code; preferred data location; "
                "release track; soft deletion time stamp; state; state or province; "
                "street address; address; strong password required; title; job title; "
                "usage location; when created; alternate email address; alias"
            ),
        },
        frozenset({"display name", "first name", "last name"}),
        completed=_with_name,
    ),
)


def _with_copy(given: Given) -> Given:
    """Keep a copy in the mailbox of what is forwarded, unless that was switched off."""
    switched_off = given.pop("no copy", "").lower() == "true"
    if "forwarding" in given and not switched_off and "address" in given:
        given["forwarding"] += f",{given['address']}"
    return given


def by_name(name: str) -> Preset | None:
    """Return a preset by its name."""
    return next((preset for preset in PRESETS if preset.name == name), None)


def of_header(header: Sequence[str]) -> Preset | None:
    """Return the only preset that a header fits; None: none does, or several."""
    found = [preset for preset in PRESETS if preset.fits(header)]
    return found[0] if len(found) == 1 else None
