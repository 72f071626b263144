"""Files of users as other programs export them, made in their published forms."""

import csv
import io
from collections.abc import Iterable, Sequence

from iredldap.dit import passwords

DOMAIN = "moved.test"
PASSWORD = "correct horse"
# One for all: what is tried is the form of the file.
HASH = passwords.hashed(PASSWORD, "SSHA512", b"saltsalt")
BCRYPT = "{BLF-CRYPT}$2y$04$saltsaltsaltsaltsaltsOzcwBWcmM7eqs5wmYVbMKmw4WGFhNBOC"

PRESETS = ("iredmail", "mailcow", "postfixadmin", "zimbra", "google", "microsoft")


def exported(preset: str, number: int, domain: str = DOMAIN) -> bytes:
    """Return an export with so many users; `user7@…` has 7 as part of all that is its own."""
    return _MAKERS[preset](number, domain)


def _text(rows: Iterable[Sequence[object]], separator: str = ",") -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator).writerows(rows)
    return text.getvalue()


def _iredmail(number: int, domain: str) -> bytes:
    return "".join(
        f"{domain}, user{n}, {PASSWORD}, User {n} of Test, {(n + 1) * 1048576}, \r\n"
        for n in range(number)
    ).encode()


_MAILCOW = (
    "username", "password", "name", "description", "mailbox_path_prefix", "quota", "local_part",
    "domain", "attributes", "custom_attributes", "kind", "multiple_bookings", "created",
    "modified", "active", "authsource",
)  # fmt: skip


def _mailcow(number: int, domain: str) -> bytes:
    rows: list[Sequence[object]] = [_MAILCOW]
    rows += (
        (
            *(f"user{n}@{domain}", HASH, f"User {n} of Test", "", "/var/vmail/"),
            *((n + 1) * 1048576, f"user{n}", domain, "{}", "{}", "", -1),
            *("2024-01-01 00:00:00", "NULL", n % 10 and 1, "mailcow"),
        )
        for n in range(number)
    )
    return "\n".join("\t".join(map(str, row)) for row in rows).encode()


_POSTFIXADMIN = (
    "username", "password", "name", "maildir", "quota", "local_part", "domain", "created",
    "modified", "active", "phone", "email_other", "token", "token_validity", "password_expiry",
)  # fmt: skip


def _postfixadmin(number: int, domain: str) -> bytes:
    rows: list[Sequence[object]] = [_POSTFIXADMIN]
    rows += (
        (
            *(f"user{n}@{domain}", HASH, f"User {n} of Test", f"{domain}/user{n}/"),
            *((n + 1) * 1024000, f"user{n}", domain, "2024-01-01", "2024-01-01", n % 10 and 1),
            *("", "", "", "2000-01-01", "2030-01-01"),
        )
        for n in range(number)
    )
    return _text(rows).encode()


_ZIMBRA = (
    "name", "displayName", "givenName", "sn", "userPassword", "zimbraMailQuota",
    "zimbraAccountStatus", "zimbraMailAlias", "zimbraPrefLocale", "telephoneNumber", "zimbraId",
)  # fmt: skip


def _zimbra(number: int, domain: str) -> bytes:
    rows: list[Sequence[object]] = [_ZIMBRA]
    rows += (
        (
            *(f"user{n}@{domain}", f"User {n} of Test", f"User {n}", "of Test", HASH),
            *((n + 1) * 1048576, "active" if n % 10 else "locked", f"also{n}@{domain}"),
            *("de", f"+49 30 {n}", f"00000000-0000-0000-0000-{n:012}"),
        )
        for n in range(number)
    )
    return _text(rows).encode()


_GOOGLE = (
    "First Name [Required]", "Last Name [Required]", "Email Address [Required]",
    "Password [Required]", "Password Hash Function [UPLOAD ONLY]", "Org Unit Path [Required]",
    "New Primary Email [UPLOAD ONLY]", "Status [READ ONLY]", "Last Sign In [READ ONLY]",
    "Recovery Email", "Home Secondary Email", "Work Secondary Email",
    "Recovery Phone [MUST BE IN THE E.164 FORMAT]", "Work Phone", "Home Phone", "Mobile Phone",
    "Work Address", "Home Address", "Employee ID", "Employee Type", "Employee Title",
    "Manager Email", "Department", "Cost Center", "2sv Enrolled [READ ONLY]",
    "2sv Enforced [READ ONLY]", "Building ID", "Floor Name", "Floor Section",
    "Email Usage [READ ONLY]", "Change Password at Next Sign-In", "New Status [UPLOAD ONLY]",
)  # fmt: skip


def _google(number: int, domain: str) -> bytes:
    """As the console downloads them, with stars for passwords; a column of ours beside."""
    rows: list[Sequence[object]] = [(*_GOOGLE, "password_hash")]
    for n in range(number):
        cells = dict.fromkeys(_GOOGLE, "")
        cells |= {
            "First Name [Required]": f"User {n}",
            "Last Name [Required]": "of Test",
            "Email Address [Required]": f"user{n}@{domain}",
            "Password [Required]": "****",
            "Org Unit Path [Required]": "/",
            "Status [READ ONLY]": "Active" if n % 10 else "Suspended",
            "Employee ID": str(n),
            "Email Usage [READ ONLY]": "0.1GB",
        }
        rows.append((*cells.values(), HASH))
    return _text(rows).encode("utf-8-sig")


_MICROSOFT = (
    "Block credential", "City", "Country", "Department", "DirSyncEnabled", "Display name", "Fax",
    "First name", "Last dirsync time", "Last name", "Last password change time stamp",
    "License assignment details", "Licenses", "Mobile phone", "OAuth token metadata", "Object Id",
    "Office", "Password never expires", "Phone number", "Postal code", "Preferred data location",
    "Preferred language", "Proxy addresses", "Release track", "Soft deletion time stamp", "State",
    "Street address", "Strong password required", "Title", "Usage location",
    "User principal name", "When created",
)  # fmt: skip


def _microsoft(number: int, domain: str) -> bytes:
    rows: list[Sequence[object]] = [(*_MICROSOFT, "password_hash")]
    for n in range(number):
        cells = dict.fromkeys(_MICROSOFT, "")
        cells |= {
            "Block credential": str(n % 10 == 0),
            "Display name": f"User {n} of Test",
            "First name": f"User {n}",
            "Last name": "of Test",
            "Licenses": "Office 365 E3",
            "Preferred language": "de-DE",
            "Proxy addresses": f"SMTP:user{n}@{domain}+smtp:also{n}@{domain}"
            f"+smtp:user{n}@firm.onmicrosoft.com",
            "User principal name": f"user{n}@{domain}",
            "When created": "2024-01-01 00:00:00Z",
        }
        rows.append((*cells.values(), HASH))
    return _text(rows).encode("utf-8-sig")


_MAKERS = {
    "iredmail": _iredmail,
    "mailcow": _mailcow,
    "postfixadmin": _postfixadmin,
    "zimbra": _zimbra,
    "google": _google,
    "microsoft": _microsoft,
}
