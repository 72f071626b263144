"""Files without a name that are read more than once."""

import tempfile

from ldif_export.ldif.files import UnnamedFile


def test_each_reading_has_its_own_place() -> None:
    """From the beginning, also while another one goes on; the file itself stays where it is."""
    with tempfile.TemporaryFile() as file:
        file.write(b"one\ntwo\nthree\n" * 10_000)
        file.flush()
        unnamed, place = UnnamedFile(file), file.tell()
        with unnamed.open("rb") as first, unnamed.open("rb") as second:
            assert [first.readline(), first.readline(), second.readline()] == [
                b"one\n", b"two\n", b"one\n",
            ]  # fmt: skip
            assert first.readline() == b"three\n"
            assert len(second.read()) == 140_000 - 4
        with unnamed.open("rb") as again:
            assert again.read(5) == b"one\nt"
        assert file.tell() == place
