"""Choose the newest releases that setup.cfg takes, and write them with their digests.

`python -m tools.lock` writes `requirements/`, from which an installation takes nothing that was not
seen here; uv must be installed beside it. The digests are those of every file of a release, so that
they serve each Python and each kind of machine.
"""

import configparser
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = "requirements"
OLDEST_PYTHON = "3.11"
NOT_INSTALLED = {"test", "dev"}
"""Extras of those who change the program."""


def extras() -> list[str]:
    """Names of the extras that an installation may have."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    return [name for name in settings["options.extras_require"] if name not in NOT_INSTALLED]


def build_requirements() -> list[str]:
    """What a build of the program needs, and one of python-ldap, which has no wheels."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return list(project["build-system"]["requires"])


def main() -> None:
    """Write the three files."""
    (ROOT / FOLDER).mkdir(exist_ok=True)
    _write("build", "-", given="\n".join(build_requirements()))
    _write("program", "setup.cfg")
    wanted = [word for name in extras() for word in ("--extra", name)]
    _write("extras", "setup.cfg", "--constraint", f"{FOLDER}/program.txt", *wanted)


def _write(name: str, *words: str, given: str = "") -> None:
    path = ROOT / FOLDER / f"{name}.txt"
    listed = subprocess.run(
        [
            *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header"),
            *("--universal", "--python-version", OLDEST_PYTHON, "--generate-hashes"),
            *("--no-annotate", "--no-emit-index-url", *words),
        ],
        cwd=ROOT,
        input=given,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    path.write_text(f"# Made by `make lock`.\n{listed.stdout}", encoding="utf-8")


if __name__ == "__main__":
    main()
