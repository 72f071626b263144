"""The page of numbers: docs/performance.md, a section for each benchmark.

Only the sections of what was measured are written anew; each says when and on what.
"""

import importlib
import os
import platform
import re
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import peers
from benchmarks.figures import Result, tables

PATH = Path(__file__).resolve().parent.parent / "docs" / "performance.md"

_HEAD = """\
# Performance

Every number stands beside a peer's from the same run: what else the machine does, and how fast it
is, cancels out. Where there were several rounds, both ran in turn; times are medians, and the ratio
is the median of the rounds' ratios, with the smallest and the largest. "Times as fast" above 1:
ours is quicker. What is wanted or allowed stands beside what was measured. Ours and the peers in
Python are compiled beforehand, as pip leaves what it installs.

`make bench` measures everything and writes this page; `python -m benchmarks --page NAME …` measures
some of it. BENCH_USERS=20000 takes smaller directories for `exports`, `downloads` and `restores`.
"""
_SECTION = re.compile(r"<!-- (\w+) -->\n.*?<!-- end of \1 -->\n", re.DOTALL)


def write(name: str, results: Iterable[Result], load: float) -> None:
    """Put what a benchmark gave in its place on the page.

    Args:
        name: Of the benchmark.
        results: All of them.
        load: Of the machine before it began.
    """
    page = PATH.read_text("utf-8") if PATH.exists() else ""
    sections = {found[1]: found[0] for found in _SECTION.finditer(page)}
    sections[name] = _section(name, results, load)
    PATH.write_text("\n".join([_HEAD, *(sections[key] for key in sorted(sections))]), "utf-8")


def _section(name: str, results: Iterable[Result], load: float) -> str:
    about = importlib.import_module(f"benchmarks.{name}").__doc__ or ""
    when = f"{datetime.now(UTC):%Y-%m-%d}, {_machine()}, load before it began {load:.1f}."
    parts = [f"## {name}", about.strip(), tables(results), when, f"`{_command(name)}`"]
    text = "\n\n".join(parts)
    return f"<!-- {name} -->\n{text}\n<!-- end of {name} -->\n"


def _command(name: str) -> str:
    users = os.environ.get("BENCH_USERS")
    return f"{f'BENCH_USERS={users} ' if users else ''}python -m benchmarks --page {name}"


def _machine() -> str:
    return (
        f"{os.cpu_count()} cores ({_processor()}), Linux {platform.release()},"
        f" {_slapd_version()}, Python {platform.python_version()}"
    )


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text("utf-8")
    found = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _slapd_version() -> str:
    said = subprocess.run(
        [peers.program("slapd"), "-VV"], stderr=subprocess.PIPE, text=True, check=False
    ).stderr
    found = re.search(r"OpenLDAP: slapd ([\d.]+\S*)", said)
    return f"slapd {found[1]}" if found else "slapd"
