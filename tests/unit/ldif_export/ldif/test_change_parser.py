"""Change records are read as the operations that they were written of."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iredldap.dit.change_records import change_record
from iredldap.dit.plan import Add, Delete, Mod, Modify, Op, Operation, Rename
from iredldap.ldif.writer import VERSION
from ldif_export.ldif import change_parser
from ldif_export.ldif.change_parser import ChangeRecord
from ldif_export.ldif.parser import LineIssue

DN = "mail=ann@a.test,ou=Users,domainName=a.test,o=domains,dc=example,dc=org"

_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
_names = st.sampled_from(["cn", "mail", "userPassword", "jpegPhoto", "title;lang-de"])
_values = st.lists(st.binary(max_size=200), max_size=3).map(tuple)
_mods = st.builds(Mod, st.sampled_from(Op), _names, _values)
_operations = st.one_of(
    st.builds(Add, _text, st.dictionaries(_names, _values.filter(bool), min_size=1)),
    st.builds(Modify, _text, st.lists(_mods, min_size=1).map(tuple)),
    st.builds(Delete, _text),
    st.builds(Rename, _text, _text, st.none() | _text),
)


@given(st.lists(_operations, max_size=4))
def test_what_is_written_is_read(operations: list[Operation]) -> None:
    text = VERSION + b"".join(map(change_record, operations))

    *items, _ = change_parser.read(BytesIO(text))

    assert [item.operation for item in items if isinstance(item, ChangeRecord)] == operations
    assert len(items) == len(operations)


@pytest.mark.parametrize(
    ("lines", "line", "reason"),
    [
        ("cn: x", 3, "no known changetype"),
        ("changetype: burn", 3, "no known changetype"),
        ("# nothing", 2, "a change record without a changetype"),
        ("control: 1.2.3 true\nchangetype: delete", 3, "no known changetype"),
        ("changetype: delete\ncn: x", 4, "a deletion has further lines"),
        ("changetype: add", 3, "an entry without attributes"),
        ("changetype: add\n-", 4, "no attribute"),
        ("changetype: modify\ncn: x\n-", 4, "neither add: nor delete: nor replace:"),
        ("changetype: modify\nreplace: cn\ncn: x", 4, "a modification without its closing -"),
        ("changetype: modify\nadd: cn\nsn: x\n-", 5, "a value of another attribute than cn"),
        ("changetype: modify\nadd: cn\ncn:: %\n-", 5, "bad base64"),
        ("changetype: modrdn\nnewrdn: cn=x", 3, "newrdn:, deleteoldrdn: 1"),
        ("changetype: modrdn\nnewrdn: cn=x\ndeleteoldrdn: 0", 3, "newrdn:, deleteoldrdn: 1"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(lines: str, line: int, reason: str) -> None:
    text = f"version: 1\ndn: {DN}\n{lines}\n"

    faults = [
        item for item in change_parser.read(BytesIO(text.encode())) if isinstance(item, LineIssue)
    ]

    assert [fault.line for fault in faults] == [line]
    assert faults[0].reason.startswith(reason)
