"""Entries such as nobody would write by hand: right ones, odd ones, and ones that slapd refuses."""

import re
from dataclasses import dataclass

from hypothesis import strategies as st


@dataclass(frozen=True)
class Draft:
    """An entry: first component of its DN, and attributes with their values."""

    rdn: str
    attributes: tuple[tuple[str, tuple[bytes, ...]], ...]

    def gathered(self) -> dict[str, list[bytes]]:
        """Its attributes; what stands in it twice under one name is one."""
        found: dict[str, list[bytes]] = {}
        for name, values in self.attributes:
            found.setdefault(name, []).extend(values)
        return found


CLASSES = (
    ("device",),
    ("inetOrgPerson",),
    ("inetOrgPerson", "mailUser", "shadowAccount", "amavisAccount"),
    ("top", "person", "organizationalPerson", "inetOrgPerson", "mailUser"),
    ("device", "extensibleObject"),
    ("organizationalUnit",),
    ("mailAlias",),
    ("mailList",),
    ("groupOfNames",),
    ("groupOfUniqueNames",),
    ("device", "person"),
    ("mailDomain", "inetOrgPerson"),
    ("inetOrgPerson", "posixAccount"),
    ("2.5.6.14",),
    ("DEVICE", "Top"),
    ("device", "Device"),
    ("device", "2.5.6.14"),
    ("mailUser",),
    ("top",),
    ("extensibleObject",),
    ("device", "nosuch"),
    ("device", "dynamicObject"),
    ("referral", "extensibleObject"),
    ("alias", "extensibleObject"),
)
USUAL = 10
"""So many of them, the first ones, go together."""
_HALVES = re.compile(rb"\xed[\xa0-\xbf]|[\xf4-\xff]")
"""What slapd takes for characters and Unicode does not."""
TEXTS = st.sampled_from(
    [
        *("a", "A", " a ", "a  b", "A B", "é", "e\u0301", "É", "\u3000", "ﬁ", "Σ", "ß", "x" * 80),
        *(
            "a,b",
            "a+b",
            "#a",
            "a\\b",
            '"',
            "<a",
            "a=b",
            "a;b",
            "\x00",
            "\x7f",
            "a\nb",
            " ",
            "ü" * 40,
        ),
        *("x" * 242, "x" * 243, "X" * 250, "\U0001f600"),
    ]
).map(str.encode) | st.binary(max_size=4).filter(lambda value: not _HALVES.search(value))
ASCII = st.sampled_from(
    [
        b"a@a.test",
        b"A@a.test",
        b"a@a.test ",
        b" b@a.test",
        b"o'neil@a.test",
        b"a..b@a.test",
        b"",
        b" ",
    ]
) | st.text("ab@. \t", max_size=6).map(str.encode)
DNS = st.sampled_from(
    [
        *(
            "cn=a,o=x",
            "CN = A , O=X",
            "commonName=a,o=x",
            "cn=a+sn=b",
            "sn=b+cn=a",
            "nosuch=a",
            "a",
            "",
        ),
        *(
            "cn=a\\20,o=x",
            "cn=a;o=x",
            "cn=",
            "cn=a+cn=b",
            "uidNumber=x",
            "cn=#040161",
            "cn=\\ff",
            "1.2=x",
        ),
        *("jpegPhoto=a", "mail=é", "cn=é", "cn=\\C3\\A9", "cn;lang-de=a,o=x"),
    ]
).map(str.encode)
VALUES: dict[str, st.SearchStrategy[bytes]] = {
    "cn": TEXTS,
    "sn": TEXTS,
    "title": TEXTS,
    "description": TEXTS,
    "displayName": TEXTS,
    "ou": TEXTS,
    "commonName": TEXTS,
    "labeledURI": TEXTS,
    "preferredLanguage": TEXTS,
    "mail": ASCII,
    "shadowAddress": ASCII,
    "mailForwardingAddress": ASCII,
    "homeDirectory": ASCII,
    "domainName": ASCII,
    "enabledService": ASCII,
    "member": DNS,
    "seeAlso": DNS,
    "aliasedObjectName": DNS,
    "uniqueMember": DNS | DNS.map(lambda dn: dn + b"#'01'B"),
    "telephoneNumber": st.sampled_from(
        [b"+1 555", b"+1555", b"1-2", b"-", b"", b"x_y", b"\xc3\xa9"]
    ),
    "mailQuota": st.sampled_from([b"0", b"1", b"01", b"-1", b"-0", b"", b"x", b"1" * 30]),
    "uidNumber": st.sampled_from([b"1", b"2", b"+1"]),
    "x121Address": st.sampled_from([b"1 2", b"12", b"x", b" "]),
    "postalAddress": st.sampled_from([b"a$b", b"A $ B", b"\\24", b"\\zz", b"", b"\xff"]),
    "facsimileTelephoneNumber": st.sampled_from([b"1", b"1$foo", b"", b"\xff"]),
    "preferredDeliveryMethod": st.sampled_from([b"mhs", b"mhs $ any", b"foo"]),
    "expiredDate": st.sampled_from(
        [b"20240101000000Z", b"20230229000000Z", b"2024", b"2024010100+0100"]
    ),
    "c": st.sampled_from([b"DE", b"DEU", b"de"]),
    "serialNumber": st.sampled_from([b"a b", b"A  B", b"_", b""]),
    "jpegPhoto": st.binary(max_size=3),
    "userPassword": st.binary(max_size=3) | st.just(b"{SSHA}x"),
    "userCertificate": st.just(b"x"),
    "userSMIMECertificate": st.just(b"x"),
    "ref": st.just(b"ldap://x/o=x"),
    "x500UniqueIdentifier": st.sampled_from([b"'01'B", b"01"]),
    "nosuch": st.just(b"x"),
    "photo": st.just(b"x"),
}
NAMED = ("cn", "mail", "ou", "sn", "title", "uid", "description", "jpegPhoto", "CN", "nosuch")
OPTIONS = st.sampled_from(["", *[""] * 12, ";lang-de", ";lang-fr;lang-de", ";binary", ";x-foo"])
SUITABLE = {
    "device": {"cn"},
    "2.5.6.14": {"cn"},
    "DEVICE": {"cn"},
    "inetOrgPerson": {"cn", "sn"},
    "mailUser": {"mail", "uid"},
    "mailAlias": {"mail"},
    "mailList": {"mail"},
    "organizationalUnit": {"ou"},
    "groupOfNames": {"cn", "member"},
    "groupOfUniqueNames": {"cn", "uniqueMember"},
    "referral": {"ref"},
    "alias": {"aliasedObjectName"},
}
GOOD = {
    "ref": b"ldap://x/o=x",
    "member": b"cn=a,o=x",
    "uniqueMember": b"cn=a,o=x",
    "aliasedObjectName": b"o=x",
    "mail": b"a@a.test",
}


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    """Make entries; about a third are such as slapd takes."""
    classes = draw(st.sampled_from(CLASSES[:USUAL]) | st.sampled_from(CLASSES))
    attributes: list[tuple[str, tuple[bytes, ...]]] = [
        ("objectClass", tuple(name.encode() for name in classes))
    ]
    must = sorted(set().union(*(SUITABLE.get(name, set()) for name in classes)))
    attributes += [(name, (GOOD.get(name, b"a"),)) for name in must if draw(st.integers(0, 15))]
    for name in draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=2, unique=True)):
        values = draw(st.lists(VALUES[name], min_size=1, max_size=2))
        attributes.append((name + draw(OPTIONS), tuple(values)))
    named = draw(
        st.sampled_from([n for n in must if n in NAMED] or ["cn"]) | st.sampled_from(NAMED)
    )
    own = [v for name, values in attributes if name == named for v in values]
    value = draw(st.sampled_from(own or [b"a"]) | TEXTS)
    rdn = f"{named}={escaped(value)}"
    if not draw(st.integers(0, 9)):
        rdn += draw(st.sampled_from(["+l=b", "+cn=z", "+description=a", " "]))
    return Draft(rdn, tuple(attributes))


def escaped(value: bytes) -> str:
    """Write a value into a DN, all but letters and digits in hexadecimal."""
    plain = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@."
    return "".join(chr(byte) if byte in plain else f"\\{byte:02x}" for byte in value)
