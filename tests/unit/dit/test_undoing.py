"""What reverts a change is computed from the log's values and the entry as it is."""

from collections.abc import Mapping

import pytest

from iredldap.dit.change_log import Sealed, TouchedEntry, Value, ValueChanges
from iredldap.dit.entry import Entry
from iredldap.dit.plan import Mod, Op
from iredldap.dit.schema import Schema
from iredldap.dit.undoing.net_changes import EntryChange, entry_changes
from iredldap.dit.undoing.reversals import CHANGED, is_unchanged, reverse

DN = "mail=ann@corp.test,ou=Users,domainName=corp.test,o=domains,dc=example,dc=com"
NEW_DN = DN.replace("ann@", "anne@")
IA5 = "1.3.6.1.4.1.1466.115.121.1.26"
SCHEMA = Schema({
    "attributeTypes": [
        f"( 1.9.{number} NAME '{name}' EQUALITY caseIgnoreIA5Match SYNTAX {IA5} )".encode()
        for number, name in enumerate((
            "accountSetting", "accountStatus", "cn", "enabledService", "mailForwardingAddress",
            "preferredLanguage", "sn", "userPassword",
        ))
    ],
})  # fmt: skip

Changes = Mapping[str, tuple[str, str]]
"""Values removed and added of each attribute, words."""
NONE: Changes = {}


def touched(event: str, changes: Changes = NONE, dn: str = DN, new_dn: str = "") -> TouchedEntry:
    def values(words: str) -> tuple[Value, ...]:
        return tuple(word.encode() for word in words.split())

    return TouchedEntry(
        event,  # type: ignore[arg-type]
        dn,
        new_dn,
        attributes={
            name: ValueChanges(values(removed), values(added))
            for name, (removed, added) in changes.items()
        },
    )


def net(*writes: TouchedEntry) -> list[EntryChange]:
    return entry_changes(writes, SCHEMA.equality_of)


def entry(**attributes: str) -> Entry:
    return Entry(DN, {n: [v.encode() for v in words.split()] for n, words in attributes.items()})


def reversed_(changes: Changes, now: Entry) -> tuple[list[Mod], list[tuple[str, str]]]:
    (change,) = net(touched("modify", changes))
    mods, left = reverse(change, now, SCHEMA, lambda _name, _value: "")
    return [*mods], [(one.what, one.why) for one in left]


def shown(change: EntryChange) -> dict[str, tuple[set[bytes], set[bytes]]]:
    return {
        attribute.name: ({*attribute.removed.values()}, {*attribute.added.values()})
        for attribute in change.attributes.values()
        if not attribute.is_none
    }


def test_several_writes_of_an_entry_are_one_change() -> None:
    """What came and went again is no part of it."""
    (change,) = net(
        touched("modify", {"accountStatus": ("active", "disabled"), "cn": ("", "x")}),
        touched("modify", {"cn": ("x", "y"), "sn": ("", "z")}),
        touched("delete", {"accountStatus": ("disabled", ""), "cn": ("y", ""), "sn": ("z q", "")}),
    )

    assert (change.before, change.after) == (DN, None)
    assert shown(change) == {"accountStatus": ({b"active"}, set()), "sn": ({b"q"}, set())}


def test_what_was_there_for_a_while_only_is_no_change() -> None:
    assert net(touched("add", {"cn": ("", "x")}), touched("delete", {"cn": ("x", "")})) == []
    assert net(touched("modify", {"cn": ("a", "b")}), touched("modify", {"cn": ("b", "a")})) == []


def test_an_entry_that_was_added_again_is_compared_with_the_one_before() -> None:
    (change,) = net(
        touched("delete", {"cn": ("a", ""), "sn": ("b", "")}),
        touched("add", {"cn": ("", "a"), "sn": ("", "c")}),
    )

    assert (change.before, change.after) == (DN, DN)
    assert shown(change) == {"sn": ({b"b"}, {b"c"})}


def test_a_renamed_entry_is_followed_and_so_is_what_lies_below() -> None:
    below, new_below = f"cn=x,{DN}", f"cn=x,{NEW_DN}"
    first, second = net(
        touched("modify", {"cn": ("a", "b")}, below),
        touched("rename", {}, DN, NEW_DN),
        touched("modify", {"cn": ("b", "c")}, new_below),
        touched("modify", {"sn": ("", "c")}, NEW_DN),
    )

    assert (first.before, first.after) == (below, new_below)
    assert shown(first) == {"cn": ({b"a"}, {b"c"})}
    assert (second.before, second.after) == (DN, NEW_DN)


@pytest.mark.parametrize(
    ("changes", "now", "mods", "left"),
    [
        # A single value.
        ({"preferredLanguage": ("de", "fr")}, {"preferredLanguage": "fr"},
         [Mod(Op.REPLACE, "preferredLanguage", (b"de",))], []),
        ({"preferredLanguage": ("de", "fr")}, {"preferredLanguage": "it"},
         [], [("preferredLanguage", CHANGED)]),
        ({"preferredLanguage": ("de", "fr")}, {}, [], [("preferredLanguage", CHANGED)]),
        ({"preferredLanguage": ("de", "fr")}, {"preferredLanguage": "de"}, [], []),
        ({"preferredLanguage": ("de", "")}, {}, [Mod(Op.ADD, "preferredLanguage", (b"de",))], []),
        ({"preferredLanguage": ("de", "")}, {"preferredLanguage": "it"},
         [], [("preferredLanguage", CHANGED)]),
        ({"preferredLanguage": ("", "fr")}, {"preferredLanguage": "fr"},
         [Mod(Op.DELETE, "preferredLanguage", (b"fr",))], []),
        ({"preferredLanguage": ("", "fr")}, {"preferredLanguage": "it"}, [], []),
        # A list: what others added stays, and what they removed too.
        ({"enabledService": ("smtp", "vpn")}, {"enabledService": "mail vpn xmpp"},
         [Mod(Op.DELETE, "enabledService", (b"vpn",)), Mod(Op.ADD, "enabledService", (b"smtp",))],
         []),
        ({"enabledService": ("smtp imap", "vpn")}, {"enabledService": "vpn imap"},
         [Mod(Op.DELETE, "enabledService", (b"vpn",)), Mod(Op.ADD, "enabledService", (b"smtp",))],
         []),
        ({"enabledService": ("", "vpn xmpp")}, {"enabledService": "mail xmpp"},
         [Mod(Op.DELETE, "enabledService", (b"xmpp",))], []),
        ({"enabledService": ("smtp", "")}, {"enabledService": "mail"},
         [Mod(Op.ADD, "enabledService", (b"smtp",))], []),
        ({"enabledService": ("a b", "c d")}, {"enabledService": "e"},
         [], [("enabledService", CHANGED)]),
        # Another spelling is the same value.
        ({"mailForwardingAddress": ("", "x@y.test")}, {"mailForwardingAddress": "X@y.test"},
         [Mod(Op.DELETE, "mailForwardingAddress", (b"X@y.test",))], []),
        ({"mailForwardingAddress": ("X@y.test", "x@y.test")},
         {"mailForwardingAddress": "x@y.test"},
         [Mod(Op.REPLACE, "mailForwardingAddress", (b"X@y.test",))], []),
        # Packed settings are changed each by itself.
        ({"accountSetting": ("defaultQuota:1 maxUserQuota:2", "defaultQuota:3 maxUserQuota:4")},
         {"accountSetting": "defaultQuota:3 maxUserQuota:5 other:6"},
         [Mod(Op.DELETE, "accountSetting", (b"defaultQuota:3",)),
          Mod(Op.ADD, "accountSetting", (b"defaultQuota:1",))],
         [("accountSetting", CHANGED)]),
    ],
)  # fmt: skip
def test_values_go_back_unless_others_have_changed_them(
    changes: Changes, now: dict[str, str], mods: list[Mod], left: list[tuple[str, str]]
) -> None:
    assert reversed_(changes, entry(**now)) == (mods, left)


def test_a_value_that_must_not_come_back_is_named() -> None:
    (change,) = net(touched("modify", {"mailForwardingAddress": ("x@y.test z@y.test", "")}))

    mods, left = reverse(
        change, entry(), SCHEMA, lambda _, value: "gone" if value == b"x@y.test" else ""
    )

    assert mods == (Mod(Op.ADD, "mailForwardingAddress", (b"z@y.test",)),)
    assert [(one.why, one.values) for one in left] == [("gone", ("x@y.test",))]


def test_what_the_log_does_not_know_is_left_alone() -> None:
    unknown = TouchedEntry("modify", DN, attributes={"cn": ValueChanges(None, (b"x",))})
    secret = TouchedEntry(
        "modify", DN, attributes={"userPassword": ValueChanges((Sealed(),), (Sealed(),))}
    )
    for write in (unknown, secret):
        (change,) = net(write)
        mods, left = reverse(change, entry(cn="x"), SCHEMA, lambda _name, _value: "")
        assert mods == ()
        assert [one.where for one in left] == [DN]


def test_a_new_entry_is_unchanged_by_its_state_or_by_its_values() -> None:
    added = TouchedEntry(
        "add",
        DN,
        after="state 1",
        attributes={"cn": ValueChanges((), (b"x",)), "userPassword": ValueChanges((), (Sealed(),))},
    )
    (change,) = net(added)

    assert is_unchanged(change, entry(cn="other", entryCSN="state"), SCHEMA) is False
    assert is_unchanged(change, Entry(DN, {"cn": [b"y"], "entryCSN": [b"state 1"]}), SCHEMA)
    assert is_unchanged(change, entry(cn="x", userPassword="y", entryCSN="state"), SCHEMA)
    assert not is_unchanged(change, entry(cn="x", sn="y"), SCHEMA)
