"""Run benchmarks by name, or all of them."""

import importlib
import sys

from benchmarks.ground import HEAD

NAMES = ("rivals", "sweeps", "users", "domains", "wblist")


def main(wanted: list[str]) -> None:
    """Print one table; each row is one round."""
    if strange := set(wanted) - set(NAMES):
        sys.exit(f"no benchmark {', '.join(strange)}; there are: {', '.join(NAMES)}")
    print(HEAD, flush=True)
    for name in wanted or NAMES:
        for row in importlib.import_module(f"benchmarks.{name}").run():
            print(row, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
