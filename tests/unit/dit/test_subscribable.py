"""Rows of subscribable lists, their kinds, and what becomes of them in the directory."""

import pytest

from iredldap.dit import list_kinds, subscribable
from iredldap.dit.entry import Entry
from iredldap.dit.form_parser import parse
from iredldap.dit.kinds import Kind
from iredldap.dit.modlist import modlist
from iredldap.dit.plan import Mod, Op
from iredldap.dit.subscribable import CREATE, UPDATE
from iredldap.errors import InvalidMail, InvalidParameter, Malformed

NEWS = "news@corp.test"


def entry(**attributes: list[str]) -> Entry:
    return Entry("mail=x", {k: [v.encode() for v in vs] for k, vs in attributes.items()})


@pytest.mark.parametrize(
    ("kind", "text", "values", "dropped"),
    [
        (list_kinds.HEADERS, "A: b, c\r\nD:e\n\nnone\nList-ID: x", ("A: b, c", "D: e"),
         ("none", "List-ID: x")),
        (list_kinds.HEADERS, "A: b\rC: d\nE:", ("E:",), ("A: b\rC: d",)),
        (list_kinds.HEADER_NAMES, "Received, x-y:,RECEIVED", ("Received:", "x-y:"), ()),
        (list_kinds.PREFIX, "  [x]  ", ("[x]  ",), ()),
        (list_kinds.LINES, " a\r\n\tb ", ("a\n\tb",), ()),
        (list_kinds.SIZE, "0", ("0",), ()),
        (list_kinds.ADDRESSES, "A@b.test,=x@b.test,a@b.muchtoolongforthat,a+b@c.test",
         ("a@b.test", "a+b@c.test"), ("=x@b.test", "a@b.muchtoolongforthat")),
        (list_kinds.DEPARTING, "ALL", ("ALL",), ()),
    ],
)  # fmt: skip
def test_kinds(kind: Kind, text: str, values: tuple[str, ...], dropped: tuple[str, ...]) -> None:
    """What mlmmjadmin would drop in silence is dropped here, and named."""
    reading = kind.read(text)
    assert (reading.values, reading.dropped) == (values, dropped)


@pytest.mark.parametrize(
    ("kind", "text", "refusal"),
    [
        (list_kinds.HEADERS, "Precedence: bulk", InvalidParameter),
        (list_kinds.HEADERS, "two words: x", InvalidParameter),
        (list_kinds.HEADER_NAMES, "two words", InvalidParameter),
        (list_kinds.PREFIX, "a\nb", InvalidParameter),
        (list_kinds.LINES, "a\x00b", InvalidParameter),
        (list_kinds.SIZE, "-1", InvalidParameter),
        (list_kinds.SIZE, "1k", InvalidParameter),
        (list_kinds.ADDRESSES, "ALL", InvalidMail),
        (list_kinds.DEPARTING, "all", InvalidMail),
    ],
)
def test_bad_values(kind: Kind, text: str, refusal: type[Malformed]) -> None:
    with pytest.raises(refusal):
        kind.read(text)


def test_new_list() -> None:
    """What Postfix looks for is there when it is finished, and not before."""
    wanted = parse(CREATE, {"owner": ["Ann@corp.test"], "is_newsletter": ["yes"]}).changes

    made, unfinished = (
        subscribable.new(
            NEWS, wanted, "id", ["news@a.test"], is_marked=True, is_finished=is_finished
        )
        for is_finished in (True, False)
    )

    assert made == {
        "objectClass": (b"mailList",),
        "mail": (NEWS.encode(),),
        "accountStatus": (b"active",),
        "enabledService": (b"mail", b"deliver", b"mlmmj", b"newsletter"),
        "mtaTransport": (b"mlmmj:corp.test/news",),
        "mailingListID": (b"id",),
        "shadowAddress": (b"news@a.test",),
        "domainStatus": (b"disabled",),
        "listOwner": (b"ann@corp.test",),
        "listAllowedUser": (b"ann@corp.test",),
    }
    assert unfinished["enabledService"] == (b"deliver", b"mlmmj", b"newsletter")


@pytest.mark.parametrize(
    ("attributes", "is_list", "is_unfinished"),
    [
        (
            {"objectClass": ["mailList"], "enabledService": ["mail", "deliver", "mlmmj"]},
            True,
            False,
        ),
        ({"objectClass": ["mailList"], "enabledService": ["deliver", "MLMMJ"]}, True, True),
        ({"objectClass": ["mailList"], "enabledService": ["deliver"]}, False, False),
        ({"objectClass": ["mailUser"], "enabledService": ["mlmmj"]}, False, False),
    ],
)
def test_what_is_a_list(
    attributes: dict[str, list[str]], is_list: bool, is_unfinished: bool
) -> None:
    found = entry(**attributes)
    assert subscribable.is_subscribable_list(found) == is_list
    assert subscribable.is_unfinished(found) == is_unfinished


def mods(held: Entry, **form: str) -> set[Mod]:
    wanted = parse(UPDATE, {name: [value] for name, value in form.items()}).changes
    return {*modlist(subscribable.in_directory(wanted, held), held),
            *subscribable.newsletter_mods(wanted, held)}  # fmt: skip


def test_changes_of_the_entry() -> None:
    """Owners and moderators together may always post; others who may are left alone."""
    held = entry(
        listOwner=["A@corp.test"],
        listModerator=["a@corp.test", "b@corp.test"],
        listAllowedUser=["A@corp.test", "b@corp.test", "corp.test"],
        enabledService=["mail", "newsletter"],
        description=["old"],
    )
    assert mods(held, owner="c@corp.test") == {
        Mod(Op.DELETE, "listOwner", (b"A@corp.test",)),
        Mod(Op.ADD, "listOwner", (b"c@corp.test",)),
        Mod(Op.ADD, "listAllowedUser", (b"c@corp.test",)),
    }
    assert mods(held, moderators="") == {
        Mod(Op.DELETE, "listModerator", (b"a@corp.test", b"b@corp.test")),
        Mod(Op.DELETE, "listAllowedUser", (b"b@corp.test",)),
    }
    assert mods(held, is_newsletter="no", newsletter_description="new") == {
        Mod(Op.DELETE, "enabledService", (b"newsletter",)),
        Mod(Op.REPLACE, "description", (b"new",)),
    }
    assert mods(held, close_list="yes", subject_prefix="x", add_subscribers="a@b.test") == set()
