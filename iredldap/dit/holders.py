"""Search filters for the accounts that addresses belong to."""

from iredldap.dit.filters import either, equals, every

ACCOUNTS = either(
    equals("objectClass", "mailUser"),
    equals("objectClass", "mailList"),
    equals("objectClass", "mailAlias"),
)


def holders_filter(*addresses: str) -> str:
    """Return the filter for the accounts that any of some addresses belong to."""
    terms = (equals(name, mail) for mail in addresses for name in ("mail", "shadowAddress"))
    # Addresses first: where no account has any of them, slapd stops there. The index of classes,
    # which it would read first otherwise, names all accounts.
    return every(either(*terms), ACCOUNTS)
