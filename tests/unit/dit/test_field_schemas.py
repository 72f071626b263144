"""Rows as a JSON schema."""

from iredldap.dit import kinds
from iredldap.dit.field_schemas import properties
from tests.support.rows import row


def test_rows_are_described_for_the_openapi_document() -> None:
    """An older name is deprecated; what may be empty says so."""
    table = (
        row("name", aliases=("cn",), empty="no name"),
        row("status", kinds.STATUS, empty="none", who="global_admin", profile="bcc"),
        row("size", kinds.MEGABYTES, default="5", conflicts_with=("x",), required_with=("y",)),
    )
    described = properties(table)
    assert described["name"] == {
        "anyOf": [{"const": ""}, {"type": "string", "maxLength": 1024}],
        "description": "… Empty: no name.",
    }
    assert described["cn"]["deprecated"] is True
    assert described["status"]["enum"] == ["active", "disabled"]
    assert described["status"]["description"].endswith(
        "Global admins only. Normal admins: unless the profile bcc is disabled."
    )
    assert (described["size"]["type"], described["size"]["default"]) == ("integer", 5)
    assert described["size"]["description"] == "… Excludes x. Goes with y."
