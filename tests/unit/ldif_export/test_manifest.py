"""The record of an export, there and back."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iredldap.dit.csn import CsnVector
from ldif_export import entry_list
from ldif_export.entry_kinds import KINDS
from ldif_export.entry_list import EntryListWriter, ListedEntry
from ldif_export.manifest import FORMAT, Manifest, ManifestBuilder, dump, load

CSN = "20260101000000.{:06d}Z#000000#000#000000"
BASE = "domainName=a.test,o=domains,dc=x"

counts = st.integers(min_value=0)
states = st.none() | st.text()
manifests = st.builds(
    Manifest,
    format=st.just(FORMAT),
    mode=st.sampled_from(["fuzzy", "exact"]),
    suffix=st.text(),
    selections=st.lists(st.text()).map(tuple),
    passwords=st.booleans(),
    began=st.text(),
    ended=st.text(),
    entries=counts,
    kinds=st.dictionaries(st.sampled_from(KINDS), counts),
    first_csn=states,
    last_csn=states,
    size=counts,
    sha256=st.text(),
)


def builder(of: EntryListWriter | None = None) -> ManifestBuilder:
    return ManifestBuilder(
        mode="fuzzy",
        suffix="dc=x",
        selections=["domain a.test"],
        passwords=True,
        began="2026-01-01T00:00:00Z",
        entry_list=of,
    )


@given(manifests)
def test_what_is_dumped_is_loaded(manifest: Manifest) -> None:
    """Any text in any field survives."""
    assert load(dump(manifest)) == manifest
    assert load(dump(manifest).encode()) == manifest


@given(manifests, st.dictionaries(st.text(), st.integers() | st.text()))
def test_what_later_programs_add_is_passed_over(
    manifest: Manifest, more: dict[str, object]
) -> None:
    """An older program reads what it knows."""
    values = json.loads(dump(manifest))
    assert load(json.dumps(more | values)) == manifest


def test_a_manifest_of_the_first_format_is_read() -> None:
    """It has no state of each server, and its list no states of entries."""
    values = json.loads(dump(builder().finished("now"))) | {"format": 1, "last_csn": CSN.format(1)}
    del values["csns"]

    found = load(json.dumps(values))

    assert (found.format, found.csns, found.last_csn) == (1, (), CSN.format(1))


def test_a_list_of_the_first_format_is_read(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("a ou=x y,o=z\n")

    read = entry_list.read_entries(tmp_path / "lines", has_csns=False)

    assert list(read) == [ListedEntry("a", "ou=x y,o=z")]


def test_the_newest_change_of_each_server_is_kept() -> None:
    """Also that of one whose last change was a deletion, which only the state itself shows."""
    own, other, third = (CSN.format(9).replace("#000#", f"#{sid:03x}#") for sid in (0, 1, 2))
    seen = builder()
    seen.entry(BASE, [b"mailDomain"], CSN.format(5))
    seen.entry(BASE, [b"mailDomain"], other)
    assert seen.finished("now").csns == (CSN.format(5), other)

    seen.state(CsnVector.of([own, third]))

    assert seen.finished("now").csns == (own, other, third)


def test_a_later_kind_is_passed_on() -> None:
    """A count of something unknown here is no fault."""
    text = dump(builder().finished("now")).replace('"kinds": {}', '"kinds": {"resource": 1}')
    assert load(text).kinds == {"resource": 1}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "1", '"x"', "{}", '{"format": 1}', b"\xff", "[" * 100_000],
)
def test_what_is_no_manifest_is_refused(text: str | bytes) -> None:
    """A ValueError, whatever is wrong."""
    with pytest.raises(ValueError, match="manifest"):
        load(text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", FORMAT + 1),
        ("format", "1"),
        ("mode", "rough"),
        ("suffix", None),
        ("selections", "domain a.test"),
        ("selections", [1]),
        ("passwords", "yes"),
        ("entries", -1),
        ("entries", 1.5),
        ("entries", True),
        ("kinds", {"user": "1"}),
        ("kinds", []),
        ("last_csn", 1),
        ("csns", [CSN.format(1), "17"]),
        ("csns", CSN.format(1)),
        ("size", None),
        ("sha256", 1),
    ],
)
def test_a_malformed_field_is_refused(field: str, value: object) -> None:
    """By its name."""
    values = json.loads(dump(builder().finished("now"))) | {field: value}
    with pytest.raises(ValueError, match=field):
        load(json.dumps(values))


def test_a_builder_counts_what_passes() -> None:
    """Kinds, the window of states, bytes and their digest."""
    seen = builder()
    seen.chunk(b"version: 1\n")
    seen.entry(BASE, [b"mailDomain"], CSN.format(5))
    seen.entry(f"ou=Users,{BASE}", [b"organizationalUnit", b"top"], CSN.format(2))
    for name in ("ann@a.test", "@a.test", "bo@a.test"):
        seen.entry(f"mail={name},ou=Users,{BASE}", [b"inetOrgPerson", b"MAILUSER"])
    seen.entry(f"mail=l@a.test,ou=Groups,{BASE}", [b"mailList"], CSN.format(9))
    seen.entry(f"cn=x,{BASE}", [b"device"])
    seen.chunk(b"more")

    manifest = seen.finished("2026-01-01T00:01:00Z")

    once = ("catchall", "container", "domain", "maillist", "other")
    assert manifest.kinds == {"user": 2, **dict.fromkeys(once, 1)}
    assert (manifest.entries, manifest.size) == (7, 15)
    assert (manifest.first_csn, manifest.last_csn) == (CSN.format(2), CSN.format(9))
    assert manifest.sha256 == hashlib.sha256(b"version: 1\nmore").hexdigest()
    assert (manifest.began, manifest.ended) == ("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z")
    assert replace(manifest, mode="exact").mode == "exact"


def test_an_export_without_states_says_so() -> None:
    """No entryCSN seen: no window."""
    manifest = builder().finished("now")
    assert (manifest.first_csn, manifest.last_csn, manifest.entries) == (None, None, 0)


dns = st.text(st.characters(codec="utf-8"), min_size=1)


@given(st.dictionaries(st.uuids().map(str), st.tuples(dns, st.sampled_from(["", CSN.format(1)]))))
def test_the_companion_is_sorted_and_read_back(
    tmp_path_factory: pytest.TempPathFactory, found: dict[str, tuple[str, str]]
) -> None:
    """One line each, whatever the name; in the order of the entryUUID."""
    path = tmp_path_factory.mktemp("entry_list") / "lines"
    with_lines = EntryListWriter()
    seen = builder(with_lines)
    for uuid, (dn, csn) in found.items():
        seen.entry(dn, [b"mailUser"], csn=csn, uuid=uuid)
    with path.open("w", encoding="utf-8") as out:
        with_lines.write(out)

    read = list(entry_list.read_entries(path))

    escaped = {
        uuid: (dn.replace("\n", "\\0a").replace("\r", "\\0d"), csn)
        for uuid, (dn, csn) in found.items()
    }
    assert read == sorted(ListedEntry(uuid, *entry) for uuid, entry in escaped.items())


@pytest.mark.parametrize(
    "text",
    [
        "b - o=x\na - o=y\n",
        "a - o=x\na - o=y\n",
        "a\n",
        "a -\n",
        "a - o=x",
        "a o=x\n",
        "a ou=x y,o=z\n",
    ],
)
def test_a_changed_companion_is_refused(tmp_path: Path, text: str) -> None:
    """Out of order, doubled, malformed or cut."""
    (tmp_path / "lines").write_text(text)
    with pytest.raises(ValueError, match="is not as it was written"):
        list(entry_list.read_entries(tmp_path / "lines"))
