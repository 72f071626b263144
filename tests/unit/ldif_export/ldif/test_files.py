"""Files without a name that are read more than once."""

import os
import tempfile
from pathlib import Path
from threading import Thread

from ldif_export.ldif.files import UnnamedFile, rereadable


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


def test_a_pipe_is_read_once_and_then_as_often_as_wanted(tmp_path: Path) -> None:
    """A file on the disk is read where it is."""
    pipe, text = tmp_path / "pipe", b"one\ntwo\n" * 100_000
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_bytes, args=(text,))
    writer.start()
    with rereadable(pipe) as source:
        writer.join()
        for _ in range(2):
            with source.open("rb") as opened:
                assert opened.read() == text
    kept = tmp_path / "file"
    kept.write_bytes(text)
    with rereadable(kept) as source:
        assert source is kept
