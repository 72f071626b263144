"""The probe names the agreed writer, and warns of what a failover would not survive."""

from dataclasses import replace

import pytest

from iredldap.gateways.cluster.view import Mode, Sight, WriterRow
from iredldap.operations.diagnosis.writer_findings import writer_findings
from iredldap.operations.diagnosis.writer_status import ServerStatus, WriterStatus

ROW = WriterRow(17, 1, "ldap://a", usable=True, mode=Mode.TOGETHER, lease=2.0, wait=3.0)
SEEN = Sight(answered=1.0, is_provider=True)
SERVERS = (
    ServerStatus("ldap://a", "writer", 1, SEEN, "", 0.0, 0),
    ServerStatus("ldap://b", "standby", 2, SEEN, "", 0.0, 0),
)


def test_a_writer_with_a_standby_is_no_warning() -> None:
    (found,) = writer_findings(WriterStatus(ROW, None, SERVERS))

    assert (found.words, found.warns) == (
        "ldap://a: agreed writer of epoch 17, together",
        False,
    )


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (replace(ROW, mode=Mode.ALONE), "epoch 17, alone"),
        (replace(ROW, usable=False), "epoch 17, together, not usable yet"),
    ],
    ids=["alone", "not usable"],
)
def test_a_writer_that_could_not_be_replaced_is_one(row: WriterRow, words: str) -> None:
    (found,) = writer_findings(WriterStatus(row, None, SERVERS))

    assert found.words == f"ldap://a: agreed writer of {words}"
    assert found.warns


def test_strays_are_counted_for_each_server() -> None:
    servers = [SERVERS[0], replace(SERVERS[1], strays=3)]

    _, found = writer_findings(WriterStatus(ROW, None, servers))

    assert found.words.startswith("ldap://b: 3 entries were written by a server that was not")
    assert found.warns


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (replace(ROW, uri="ldap://x"), "`iredldap directory rename ldap://x NEW`"),
        (replace(ROW, standby="ldap://x"), "other nodes name ldap://x beside the writer"),
    ],
    ids=["the writer", "the other one"],
)
def test_a_server_that_only_other_nodes_name_is_a_fault(row: WriterRow, words: str) -> None:
    _, found = writer_findings(WriterStatus(row, None, SERVERS))

    assert words in found.words
    assert found.is_fault
    assert [*writer_findings(WriterStatus(replace(ROW, standby="ldap://b"), None, SERVERS))][
        1:
    ] == []


def test_nothing_is_agreed_before_the_first_start() -> None:
    (found,) = writer_findings(WriterStatus(None, None, SERVERS))

    assert (found.words.partition(":")[0], found.warns) == ("no writer is agreed yet", False)
