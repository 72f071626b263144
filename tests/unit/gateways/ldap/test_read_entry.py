"""The entry that comes with a write, as pyasn1 encodes and decodes it too."""

from importlib import import_module
from typing import Any

import pytest
from ldap.controls.readentry import PostReadControl, PreReadControl

from iredldap.gateways.ldap.read_entry import POST_READ, PRE_READ, ReadControl, decoded


def encoded(dn: str, attributes: dict[str, list[bytes]]) -> bytes:
    rfc2251: Any = import_module("pyasn1_modules.rfc2251")
    encoder: Any = import_module("pyasn1.codec.ber.encoder")
    entry, listed = rfc2251.SearchResultEntry(), rfc2251.PartialAttributeList()
    entry["objectName"] = rfc2251.LDAPDN(dn)
    for number, (name, values) in enumerate(attributes.items()):
        listed[number]["type"] = rfc2251.AttributeDescription(name)
        for position, value in enumerate(values):
            listed[number]["vals"][position] = rfc2251.AttributeValue(value)
    entry["attributes"] = listed
    data: bytes = encoder.encode(entry)
    return data


@pytest.mark.parametrize(
    "attributes",
    [
        {"cn": [b"Ann"], "mail": [b"a@b.test", b"\xff\x00"], "description": [b"x" * 300]},
        {"jpegPhoto": [b"y" * 70_000, b""]},
    ],
)
def test_attributes_are_decoded(attributes: dict[str, list[bytes]]) -> None:
    data = encoded("mail=ann@b.test", attributes)
    assert decoded(data) == attributes
    with pytest.raises(IndexError):
        decoded(data[:-1])


@pytest.mark.parametrize("names", [["entryCSN"], ["*", "entryUUID"], [f"a{n}" for n in range(40)]])
def test_the_request_is_the_one_of_python_ldap(names: list[str]) -> None:
    for oid, known in ((PRE_READ, PreReadControl), (POST_READ, PostReadControl)):
        theirs = known(False, names)
        ours = ReadControl(oid, names)
        assert ours.encodeControlValue() == theirs.encodeControlValue()
        assert (ours.controlType, ours.criticality) == (theirs.controlType, False)
