"""Draw the packages and their imports for docs/architecture.md.

The layers are those of the contracts in setup.cfg, the arrows those of the imports themselves.
"""

import ast
import configparser
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
CONTRACTS = {
    "iredldap": "importlinter:contract:floors",
    "ldif_export": "importlinter:contract:exporter_floors",
}
"""Sections of setup.cfg with the layers of each top-level package."""

Imports = Mapping[str, frozenset[str]]


def layers(package: str) -> Iterator[tuple[str, ...]]:
    """Yield the layers of a top-level package, the highest first: full names of its members."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    for line in settings[CONTRACTS[package]]["layers"].split("\n"):
        if names := [name.strip() for name in line.split("|") if name.strip()]:
            yield tuple(f"{package}.{name}" for name in names)


@cache
def imports() -> Imports:
    """Find which members of the layers each of them imports itself."""
    graph = grimp.build_graph(*CONTRACTS, cache_dir=None)
    members = [name for package in CONTRACTS for layer in layers(package) for name in layer]
    for name in members:
        if graph.find_children(name):
            graph.squash_module(name)
    return {
        name: frozenset(graph.find_modules_directly_imported_by(name)) & {*members}
        for name in members
    }


def reduced(arrows: Imports) -> Imports:
    """Leave out arrows that a longer way says too; there must be no cycle."""
    reached: dict[str, frozenset[str]] = {}

    def reach(name: str) -> frozenset[str]:
        if name not in reached:
            reached[name] = arrows[name].union(*map(reach, arrows[name]))
        return reached[name]

    return {
        name: frozenset(
            target
            for target in targets
            if not any(target in reach(other) for other in targets if other != target)
        )
        for name, targets in arrows.items()
    }


def figure() -> str:
    """Draw the members of the layers as a Mermaid flowchart, arrows from importer to imported."""
    arrows = reduced(imports())
    lines = ["```mermaid", "flowchart TD"]
    for package in CONTRACTS:
        lines.append(f"    subgraph {package}")
        for layer in layers(package):
            lines.extend(
                f'        {_identifier(n)}["{n.removeprefix(package)[1:]}"]' for n in layer
            )
        lines.append("    end")
    lines.extend(
        f"    {_identifier(name)} --> {_identifier(target)}"
        for name, targets in arrows.items()
        for target in sorted(targets)
    )
    return "\n".join([*lines, "```", ""])


def _identifier(name: str) -> str:
    return name.replace(".", "_")


def members(package: str) -> Iterator[tuple[str, str, str]]:
    """Yield for each member of the layers its name, its number of modules, and what it is for."""
    for layer in layers(package):
        for name in sorted(layer):
            path = ROOT / name.replace(".", "/")
            modules = _modules(path)
            yield f"`{name}`", str(len(modules)), _purpose(path)


def _modules(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path.with_suffix(".py")]
    return [file for file in path.rglob("*.py") if file.name != "__init__.py"]


def _purpose(path: Path) -> str:
    """Return the first line of a docstring."""
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]
