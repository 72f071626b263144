"""Rows as a JSON schema."""

from iredldap.dit import kinds
from iredldap.dit.field_schemas import properties
from tests.support.rows import row


def test_rows_are_described_for_the_openapi_document() -> None:
    """Older names are deprecated; what may be empty says so, and takes what clears it."""
    table = (
        row("name", aliases=("cn",), empty="no name"),
        row("status", kinds.STATUS, empty="none", who="global_admin", profile="bcc"),
        row("words", kinds.up_to(64, kinds.SERVICES), empty="none", default="a,b"),
        row("size", kinds.MEGABYTES, default="5", conflicts_with=("x",), required_with=("y",)),
    )
    described = properties(table)
    assert described["name"] == {
        "type": "string",
        "maxLength": 1024,
        "description": "… Empty: no name.",
    }
    assert described["cn"]["deprecated"] is True
    assert described["status"]["enum"] == ["active", "disabled", ""]
    assert described["status"]["description"].endswith(
        "Global admins only. Normal admins: unless the profile bcc is disabled."
    )
    assert described["size"]["type"] == "integer"
    assert described["size"]["description"] == "… Excludes x. Goes with y. Default: 5."
    assert described["words"] == {
        "type": "array",
        "items": {"type": "string", "maxLength": 64},
        "description": "… Empty: none. Default: a,b.",
    }
