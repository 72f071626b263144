"""Names of accounts in alias domains."""

from iredldap.dit.alias_domain import foreign_names
from iredldap.dit.entry import Entry


def test_members_elsewhere_carry_the_names_of_each_list_here() -> None:
    """Of any list of the domain, not of lists elsewhere; the members' own names are no matter."""
    entry = Entry(
        "memberOfGroup=a@x.test,ou=Externals,domainName=x.test,o=domains,dc=example,dc=com",
        {
            "objectClass": [b"mailExternalUser"],
            "mail": [b"far@far.test"],
            "memberOfGroup": [b"a@x.test", b"B@X.test", b"c@other.test"],
            "shadowAddress": [
                *(b"a@gone.test", b"b@lost.test", b"b@alias.test"),
                *(b"c@others.test", b"d@own.test", b"far@far2.test"),
            ],
        },
    )
    assert foreign_names(entry, {"x.test", "alias.test"}) == {"gone.test", "lost.test"}
