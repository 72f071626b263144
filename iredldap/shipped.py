"""Find the files that travel with the program: schema, templates, gunicorn's configuration.

In a checkout they stand beside the package; an installed wheel has put them below
``share/iredldap`` and remembers where.
"""

from importlib import metadata
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parent.parent


def shipped(name: str) -> Path:
    """Path of a shipped file or directory, named as in the checkout (`schema`, say).

    Raises:
        FileNotFoundError: If the installation has lost it.
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
