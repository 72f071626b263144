"""Run benchmarks by name, or all of them."""

import compileall
import importlib
import os
import sys
from pathlib import Path

import benchmarks
import iredldap
import ldif_export
from benchmarks import page

NAMES = (
    "exports",
    "downloads",
    "restores",
    "listings",
    "rivals",
    "sweeps",
    "users",
    "members",
    "domains",
    "imports",
    "states",
    "wblist",
    "races",
    "turns",
    "cluster",
    "changes",
    "http_floor",
    "scale",
    "sizelimits",
    "slow_clients",
)


def main(arguments: list[str]) -> None:
    """Say each result as it comes; with ``--page`` write docs/performance.md, too."""
    wanted = [argument for argument in arguments if argument != "--page"]
    if strange := set(wanted) - set(NAMES):
        sys.exit(f"no benchmark {', '.join(strange)}; there are: {', '.join(NAMES)}")
    _compile()
    for name in wanted or NAMES:
        load, results = os.getloadavg()[0], []
        for result in importlib.import_module(f"benchmarks.{name}").run():
            print(f"{name}: {result}", flush=True)
            results.append(result)
        if "--page" in arguments:
            page.write(name, results, load)


def _compile() -> None:
    """Leave all programs, peers among them, as pip leaves an installed package."""
    for package in (benchmarks, iredldap, ldif_export):
        for folder in package.__path__:
            if not compileall.compile_dir(Path(folder), quiet=1):
                sys.exit(f"{folder} can not be compiled")


if __name__ == "__main__":
    main(sys.argv[1:])
