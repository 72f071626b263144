"""The cases of a parametrized test come in one order, in every process that collects them.

pytest-xdist refuses to run tests that two processes collected in different orders. The order of a
set differs with the hash seed, and even one of integers with whether its module was compiled or
read from the cache: only a first run fails.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "tests").rglob("*.py"))


def _is_set(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in {"set", "frozenset"}
    return isinstance(node, (ast.Set, ast.SetComp))


def _constants(module: ast.Module) -> dict[str, ast.AST]:
    """Map the module's own names to the expressions that define them."""
    found: dict[str, ast.AST] = {}
    for statement in module.body:
        if isinstance(statement, ast.Assign):
            names: list[ast.expr] = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            names = [statement.target]
        else:
            continue
        if statement.value is not None:
            found |= {name.id: statement.value for name in names if isinstance(name, ast.Name)}
    return found


def _iterated_sets(source: str) -> Iterator[int]:
    """Yield the lines of parametrizations whose comprehensions go through something with sets."""
    module = ast.parse(source)
    constants = _constants(module)
    for call in ast.walk(module):
        if not (isinstance(call, ast.Call) and ast.unparse(call.func).endswith("parametrize")):
            continue
        iterated = [node.iter for node in ast.walk(call) if isinstance(node, ast.comprehension)]
        for node in (node for expression in iterated for node in ast.walk(expression)):
            origin = constants.get(node.id, node) if isinstance(node, ast.Name) else node
            if any(_is_set(part) for part in ast.walk(origin)):
                yield call.lineno


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_parametrization_iterates_over_a_set(path: Path) -> None:
    lines = list(_iterated_sets(path.read_text(encoding="utf-8")))
    assert not lines, f"{path.relative_to(ROOT)}: lines {lines}: a tuple keeps its order"


@pytest.mark.parametrize(
    ("iterated", "found"),
    [
        ("CODES", True),
        ("{1, 2}", True),
        ("{code for code in range(3)}", True),
        ("frozenset(range(3))", True),
        ("TABLE.items()", True),
        ("ROWS", False),
        ("range(3)", False),
    ],
)
def test_iterated_sets_are_seen(iterated: str, found: bool) -> None:
    """In the comprehension itself and in a constant that it goes through; a value may be a set."""
    source = (
        "CODES = {1, 2}\n"
        "TABLE: dict[int, set[int]] = {400: {1, 2}}\n"
        "ROWS = (1, 2)\n"
        f"parametrize('code, others', [(code, {{1, 2}}) for code in {iterated}])\n"
    )
    assert bool(list(_iterated_sets(source))) == found
