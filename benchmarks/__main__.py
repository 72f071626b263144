"""Run benchmarks by name, or all of them."""

import importlib
import os
import sys

from benchmarks import page

NAMES = (
    "exports",
    "downloads",
    "restores",
    "listings",
    "rivals",
    "sweeps",
    "users",
    "domains",
    "wblist",
)


def main(arguments: list[str]) -> None:
    """Say each result as it comes; with ``--page`` write docs/performance.md, too."""
    wanted = [argument for argument in arguments if argument != "--page"]
    if strange := set(wanted) - set(NAMES):
        sys.exit(f"no benchmark {', '.join(strange)}; there are: {', '.join(NAMES)}")
    for name in wanted or NAMES:
        load, results = os.getloadavg()[0], []
        for result in importlib.import_module(f"benchmarks.{name}").run():
            print(f"{name}: {result}", flush=True)
            results.append(result)
        if "--page" in arguments:
            page.write(name, results, load)


if __name__ == "__main__":
    main(sys.argv[1:])
