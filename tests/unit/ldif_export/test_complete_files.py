"""Files that appear when they are complete."""

import os
from pathlib import Path

import pytest

from ldif_export.complete_files import complete_file


@pytest.mark.parametrize("has_unnamed", [True, False])
def test_an_output_has_no_name_before_it_is_whole(
    tmp_path: Path, has_unnamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the file system has files without a name, and where not."""
    if not has_unnamed:
        monkeypatch.delattr("os.O_TMPFILE")
    target = tmp_path / "out.ldif"
    target.write_bytes(b"yesterday")
    with complete_file(target) as descriptor:
        os.write(descriptor, b"today")
        assert target.read_bytes() == b"yesterday"
        assert ({*tmp_path.iterdir()} == {target}) is has_unnamed
    assert target.read_bytes() == b"today"
    assert [*tmp_path.iterdir()] == [target]
    assert target.stat().st_mode & 0o777 == 0o600

    def broken() -> None:
        with complete_file(target) as descriptor:
            os.write(descriptor, b"tomorrow")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert target.read_bytes() == b"today"
    assert [*tmp_path.iterdir()] == [target]
