"""The floors of docs/architecture.md, as the contracts of setup.cfg state them.

Beside these: no package has a cycle, and no folder and no module is large.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import grimp
import pytest
from importlinter.application.use_cases import read_user_options
from importlinter.configuration import configure
from importlinter.contracts.layers import LayersContract

ROOT = Path(__file__).resolve().parents[2]

configure()
_OPTIONS = read_user_options(str(ROOT / "setup.cfg"))
_LAYERS = {
    str(options["name"]): options
    for options in _OPTIONS.contracts_options
    if options["type"] == "layers"
}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("iredldap", "ldif_export", cache_dir=None)


def _contract(name: str) -> LayersContract:
    options = dict(_LAYERS[name])
    return LayersContract(name, _OPTIONS.session_options, options)


def _floors(name: str) -> Iterator[tuple[list[str], list[str]]]:
    """Yield each floor with the one below it, as names of modules."""
    options = _LAYERS[name]
    containers = options.get("containers")
    prefix = f"{next(iter(containers))}." if containers else ""
    layers = [
        [f"{prefix}{module.strip()}" for module in layer.split("|")] for layer in options["layers"]
    ]
    yield from pairwise(layers)


@pytest.mark.parametrize("name", _LAYERS)
def test_an_import_from_a_floor_above_breaks_the_contract(
    name: str, graph: grimp.ImportGraph
) -> None:
    """Each floor is entered from above only, and a stray import is noticed wherever it is made."""
    contract = _contract(name)
    assert contract.check(graph, verbose=False).kept
    for above, below in _floors(name):
        for upper in above:
            for lower in below:
                graph.add_import(importer=lower, imported=upper)
                broken = not contract.check(graph, verbose=False).kept
                graph.remove_import(importer=lower, imported=upper)
                assert broken, f"{lower} may import {upper}"


@pytest.mark.parametrize("name", [name for name in _LAYERS if "exhaustive" in _LAYERS[name]])
def test_a_new_module_must_have_a_floor(name: str, graph: grimp.ImportGraph) -> None:
    container = next(iter(_LAYERS[name]["containers"]))
    graph.add_module(f"{container}.without_a_floor")
    try:
        assert not _contract(name).check(graph, verbose=False).kept
    finally:
        graph.remove_module(f"{container}.without_a_floor")


def test_no_package_has_a_cycle(graph: grimp.ImportGraph) -> None:
    """Neither the packages among themselves nor the modules of any of them."""
    packages = sorted(module for module in graph.modules if graph.find_children(module))
    assert {"iredldap.dit", "ldif_export"} <= {*packages}
    cycles = {package: graph.nominate_cycle_breakers(package) for package in packages}
    assert not {package: found for package, found in cycles.items() if found}


def test_folders_are_small(graph: grimp.ImportGraph) -> None:
    """No folder but that of the directory's attributes has more than 20 modules on one level."""
    for package in graph.modules:
        modules = {one for one in graph.find_children(package) if not graph.find_children(one)}
        assert len(modules) <= 20 or package == "iredldap.dit", package


def test_modules_are_small() -> None:
    """Each of the packages is read at one sitting: it has at most 400 lines."""
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for package in ("iredldap", "ldif_export")
        for path in (ROOT / package).rglob("*.py")
    }
    assert {path: count for path, count in lines.items() if count > 400} == {}
