"""Look at processes that a test started, and at no others of the machine."""

from pathlib import Path


def descendants(pid: int) -> set[int]:
    """Return the children of a process, their children and so on."""
    found = {
        int(child)
        for task in Path(f"/proc/{pid}/task").glob("*/children")
        for child in _read(task).split()
    }
    return found.union(*map(descendants, found))


def command(pid: int) -> bytes:
    """Return the command line of a process, its words ended by null bytes; none if it is gone."""
    return _read(Path(f"/proc/{pid}/cmdline"))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def holds_file_in(pid: int, directory: Path) -> bool:
    """Return whether a process has a file of a directory open, be it one without a name."""
    return any(_target(entry).startswith(f"{directory}/") for entry in _descriptors(pid))


def _descriptors(pid: int) -> list[Path]:
    try:
        return [*Path(f"/proc/{pid}/fd").iterdir()]
    except FileNotFoundError:
        return []


def _target(entry: Path) -> str:
    try:
        return str(entry.readlink())
    except FileNotFoundError:
        return ""
