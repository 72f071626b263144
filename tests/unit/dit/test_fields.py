"""The tables of parameters, and entries as answers."""

import pytest

from iredldap.dit import domain, export, greylisting, spam_policy, throttle, user, wblist
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Table, show


def test_an_entry_is_shown_without_secrets() -> None:
    """Hidden attributes go in every spelling, options or not; so does what is no text."""
    entry = Entry(
        "o=x",
        {
            "cn": ["Zoë".encode()],
            "userPassword": [b"{SSHA}x"],
            "USERPASSWORD;lang-de": [b"{SSHA}y"],
            "jpegPhoto": [b"\xff\xd8"],
            "entryCSN": [b"1"],
            "accountSetting": [b"defaultQuota:5", b"disabledUserProfile:bcc", b"junk"],
        },
    )
    assert show(entry, ("userpassword",)) == {
        "cn": ["Zoë"],
        "accountSetting": {"defaultQuota": 5, "disabledUserProfile": ["bcc"]},
    }


@pytest.mark.parametrize(
    "table",
    [
        domain.CREATE,
        domain.UPDATE,
        user.CREATE,
        export.ENTRY,
        export.DOMAIN,
        throttle.SET,
        greylisting.SET,
        greylisting.WHITELISTS,
        greylisting.SPF_DOMAINS,
        wblist.ADDRESSES,
        spam_policy.SET,
    ],
)
def test_a_table_is_consistent(table: Table) -> None:
    """No name is used twice; exclusions are mutual; every row has a meaning."""
    named = [name for field in table for name in (field.name, *field.aliases)]
    rows = {field.name: field for field in table}
    assert len(named) == len(set(named))
    for field in table:
        assert field.meaning.strip()
        for other in field.conflicts_with:
            assert field.name in rows[other].conflicts_with
        assert set(field.required_with) <= set(rows)
        assert field.default is None or field.kind.read(field.default).values == (field.default,)
