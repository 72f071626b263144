"""Files without a name that are read more than once."""

import tempfile
from pathlib import Path

import pytest

from ldif_export.cli import export
from ldif_export.ldif.files import Unnamed


def test_each_reading_has_its_own_place() -> None:
    """From the beginning, also while another one goes on; the file itself stays where it is."""
    with tempfile.TemporaryFile() as file:
        file.write(b"one\ntwo\nthree\n" * 10_000)
        file.flush()
        unnamed, place = Unnamed(file), file.tell()
        with unnamed.open("rb") as first, unnamed.open("rb") as second:
            assert [first.readline(), first.readline(), second.readline()] == [
                b"one\n", b"two\n", b"one\n",
            ]  # fmt: skip
            assert first.readline() == b"three\n"
            assert len(second.read()) == 140_000 - 4
        with unnamed.open("rb") as again:
            assert again.read(5) == b"one\nt"
        assert file.tell() == place


@pytest.mark.parametrize("has_unnamed", [True, False])
def test_an_output_has_no_name_before_it_is_whole(
    tmp_path: Path, has_unnamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the file system has files without a name, and where not."""
    if not has_unnamed:
        monkeypatch.delattr("os.O_TMPFILE")
    output = tmp_path / "out.ldif"
    output.write_bytes(b"yesterday")
    with export.whole(output) as descriptor:
        export._write(descriptor, b"today")
        assert output.read_bytes() == b"yesterday"
        assert ({*tmp_path.iterdir()} == {output}) is has_unnamed
    assert output.read_bytes() == b"today"
    assert [*tmp_path.iterdir()] == [output]
    assert output.stat().st_mode & 0o777 == 0o600

    def broken() -> None:
        with export.whole(output) as descriptor:
            export._write(descriptor, b"tomorrow")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert output.read_bytes() == b"today"
    assert [*tmp_path.iterdir()] == [output]
