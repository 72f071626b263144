"""Locate the data files of the program: schema, templates, gunicorn's configuration.

In a checkout they are beside the package; an installed wheel has them below ``share/iredldap``, and
its metadata says where.
"""

from importlib import metadata
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parent.parent


def shipped(name: str) -> Path:
    """Return the path of a data file or directory, named as in the checkout, such as `schema`.

    Raises:
        FileNotFoundError: If it is missing from the installation.
    """
    beside = _CHECKOUT / name
    if (_CHECKOUT / "setup.cfg").exists() and beside.exists():
        return beside
    wanted = ("share", "iredldap", *name.split("/"))
    for file in metadata.files("iredldap") or ():
        for length in range(len(file.parts) + 1):
            if file.parts[:length][-len(wanted) :] == wanted:
                located = Path(str(file.locate()))
                return Path(*located.parts[: len(located.parts) - (len(file.parts) - length)])
    raise FileNotFoundError(f"{name} is missing from this installation of iredldap")
