"""The figure of packages in docs/architecture.md, and the walks in docs/walks.md."""

import re
from collections.abc import Iterator

from tools import layers
from tools.document import DOCS

ROOT = layers.ROOT


def test_every_arrow_leads_to_a_lower_layer() -> None:
    """Within a top-level package; between the two, none leads from the API's packages back up."""
    for package in layers.CONTRACTS:
        depth = {name: n for n, layer in enumerate(layers.layers(package)) for name in layer}
        arrows = [(name, to) for name in depth for to in layers.imports()[name] if to in depth]

        assert arrows
        assert [(name, to) for name, to in arrows if depth[name] >= depth[to]] == []


def test_an_arrow_that_follows_from_others_is_left_out() -> None:
    none: frozenset[str] = frozenset()
    arrows = {"a": frozenset("bcd"), "b": frozenset("c"), "c": frozenset("d"), "d": none}

    assert layers.reduced(arrows) == {
        "a": frozenset("b"),
        "b": frozenset("c"),
        "c": frozenset("d"),
        "d": none,
    }


def test_the_figure_has_every_package() -> None:
    drawn = set(re.findall(r"^        (\w+)\[", layers.figure(), re.MULTILINE))

    assert drawn == {name.replace(".", "_") for name in layers.imports()}


def _walked() -> Iterator[str]:
    """Yield the modules that docs/walks.md names."""
    page = (DOCS / "walks.md").read_text(encoding="utf-8")
    for layer, modules in re.findall(r"^\| `([\w.]+)` \| (.+) \|$", page, re.MULTILINE):
        for name in re.findall(r"`([\w.]+)`", modules):
            yield layer if layer.endswith(f".{name}") else f"{layer}.{name}"
    for way in re.findall(r"^`.+`.*$", page, re.MULTILINE):
        yield from re.findall(r"`([\w.]+)`", way)


def test_the_modules_of_the_walks_exist() -> None:
    """After a change of names or of ways, `python -m tools.walks VAR` writes the page."""
    paths = {name: ROOT / name.replace(".", "/") for name in _walked()}

    assert len(paths) > 50
    assert [
        name
        for name, path in paths.items()
        if not path.with_suffix(".py").exists() and not path.is_dir()
    ] == []
