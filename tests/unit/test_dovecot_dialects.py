"""Both releases of Dovecot are configured to the same look-ups; the mail tests run one of them."""

import re
from pathlib import Path

import pytest

from tests.support.dovecot_dialects import Dialect, Dovecot23, Dovecot24, Mailbox, Site, dialect
from tests.support.mail_lookups import ALL_USERS, ONE_USER

SECRET = 'a "b" \\c %{user}'
SITE = Site(Path("/m"), Path("/m/run"), "ldap://ldap.test", "dc=example,dc=com", SECRET)
DIALECTS: list[Dialect] = [Dovecot23(), Dovecot24()]

# As the releases' documents have it: %L lowers what follows, a filter what precedes.
VARIABLES = {
    "%u": "ann@here.test",
    "%Ls": "imap",
    "%Lc": "tls",
    "%{user}": "ann@here.test",
    "%{protocol | lower}": "imap",
    "%{secured | lower}": "tls",
}


def written(dialect: Dialect) -> str:
    return "\n".join(line for lines in dialect.files(SITE).values() for line in lines)


@pytest.mark.parametrize("dialect", DIALECTS, ids=["2.3", "2.4"])
def test_filters_are_those_of_the_table(dialect: Dialect) -> None:
    """Log-in and look-up search by one filter, the list of users by its own."""
    filters = re.findall(r'filter = "?(\(.*\))"?$', written(dialect), re.MULTILINE)
    expanded = [
        re.sub(r"%(?:\{[^}]*\}|L?[a-z])", lambda found: VARIABLES[found[0]], filter_)
        for filter_ in filters
    ]

    one = ONE_USER.substitute(user="ann@here.test", protocol="imap", security="tls")
    assert sorted(expanded) == sorted([one, one, ALL_USERS])


def test_shown_fields_mean_the_same() -> None:
    """What each release shows of the same user is the same mailbox."""
    mailbox = Mailbox("ann@here.test", "/v/ann/", "maildir", "/v/ann/Maildir", 1024)
    older = {"home": "/v/ann/", "mail": "maildir:~/Maildir/", "quota_rule": "*:bytes=1024"}
    newer = {
        "home": "/v/ann/",
        "mail_driver": "maildir",
        "mail_path": "/v/ann//Maildir",
        "quota_storage_size": "1024B",
    }

    assert Dovecot23().mailbox("ann@here.test", older) == mailbox
    assert Dovecot24().mailbox("ann@here.test", newer) == mailbox
    asked = {"user": "ann@here.test"}
    assert Dovecot23().mailbox("a.nn@here.test", older | asked) == mailbox
    assert Dovecot24().mailbox("a.nn@here.test", newer | asked) == mailbox


def test_no_quota_is_no_limit() -> None:
    fields = {"home": "/v/ann/", "mail": "mdbox:~/Mails/"}

    assert Dovecot23().mailbox("ann@here.test", fields).quota == 0


def test_secret_with_marks_of_the_format() -> None:
    """The older format takes a value as it is, up to the line's end; the newer one quotes it."""
    assert f"dnpass = {SECRET}\n" in written(Dovecot23())
    quoted = '"a \\"b\\" \\\\c %{literal(\'%\')}{user}"'
    assert f"ldap_auth_dn_password = {quoted}\n" in written(Dovecot24())


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2.3.19.1 (9b53102964)", Dovecot23),
        ("2.4.1-4 (7d8c0e5759)", Dovecot24),
        ("2.4.0", Dovecot24),
        ("2.2.36", type(None)),
        ("2.40.1", type(None)),
        ("", type(None)),
    ],
)
def test_release(version: str, expected: type) -> None:
    assert type(dialect(version)) is expected
