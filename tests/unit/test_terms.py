"""The field's terms: names that were given up do not come back, and one name means one thing."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("iredldap", "ldif_export")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])

OLD_TERMS = {
    "he": "they, the admin, the user",
    "him": "them, the admin, the user",
    "himself": "their own account",
    "his": "their, the admin's, the user's",
    "subjects": "target",
    "carry_out": "execute",
    "comes too near": "is a global admin's",
    "amendment": "correction",
    "keep_mailbox_at_home": "require_mailbox_in_domain",
    "list_members": "subscribable_members",
    "taken_back": "undo_modify",
    "is_at_home": "is_in_own_domain",
    "comes of it": "has no effect",
    "ledger": "file index",
    "spool": "record store",
    "turnover": "entry diff",
    "telling": "progress, manifest writer",
    "outlines": "entry templates",
    "goodbye": "unbind",
    "let be": "left alone",
    "told_to_go": "members_to_remove",
    "told_apart": "split_members, classify",
    "newcomer": "new account",
    "foresight": "dry run",
    "preflight": "dry run",
    "jobless": "admins of no other domain",
    "homeless": "moved",
    "astray": "foreign",
    "dismissal": "revoke_role",
    "spare_global_admins": "refuse_global_admins",
    "keep_a_global_admin": "require_active",
    "admins_elsewhere": "admins_of_other_domains",
    "is_owed_nothing": "drops_old_rights",
}
"""Words and phrases that were replaced, in lower case, each with the term that took their place.

Whoever replaces another one adds it here. A word that is an ordinary one elsewhere is listed with
what made it odd: ``comes too near``, not ``near``.
"""

VAGUE_WORDS = {
    "anybody": "any sender, all",
    "heed": "ignore, take into account",
    "heeds": "ignores, takes into account",
    "nobody": "no account, no one",
    "somebody": "an account, another client",
    "stand": "be in, lie in",
    "standing": "stored",
    "stands": "is in, lies in",
    "strangers": "non-members, external senders",
    "tell": "return, report, name",
    "tells": "returns, reports, names",
    "told": "notified, reported",
    "whoever": "who, the client that",
    "whom": "that, the target",
}
"""Words that name no operation, state or role: the packages in `PLAIN` do without them."""

PLAIN = (
    *sorted((ROOT / "iredldap" / "dit").rglob("*.py")),
    ROOT / "iredldap" / "finders.py",
)
"""Sources that have been written in the field's words; each package that follows is added."""


# This one names the terms.
TESTS = sorted({*(ROOT / "tests").rglob("*.py")} - {Path(__file__)})


def described(path: Path) -> str:
    """Return the names and docstrings of the module, the classes and the functions of a file."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, kinds)]
    return "\n".join(f"{getattr(node, 'name', '')}\n{ast.get_docstring(node)}" for node in nodes)


def occurrences(term: str, text: str) -> Iterator[int]:
    """Yield the numbers of the lines that hold a term as a whole word, in any case.

    A name is one word with each of its parts: ``his_domains`` holds ``his``.
    """
    words = r"\s+".join(map(re.escape, term.split()))
    pattern = re.compile(rf"(?<![a-z]){words}(?![a-z])", re.IGNORECASE)
    for found in pattern.finditer(text):
        yield text.count("\n", 0, found.start()) + 1


def _public_classes(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]


@pytest.mark.parametrize("term", OLD_TERMS)
def test_an_old_term_is_used_no_more(term: str) -> None:
    uses = [
        f"{path.relative_to(ROOT)}:{line}: {OLD_TERMS[term]!r} instead of {term!r}"
        for path in (*SOURCES, *PAGES)
        for line in occurrences(term, path.read_text(encoding="utf-8"))
    ]
    assert not uses, "\n".join(uses)


def test_old_terms_are_not_used_in_tests() -> None:
    """Neither in a name nor in a docstring; the data of a test may hold any word."""
    uses = [
        f"{path.relative_to(ROOT)}: {OLD_TERMS[term]!r} instead of {term!r}: {lines[line - 1]}"
        for path in TESTS
        for lines in [described(path).splitlines()]
        for term in OLD_TERMS
        for line in occurrences(term, "\n".join(lines))
    ]
    assert not uses, "\n".join(uses)


@pytest.mark.parametrize("word", VAGUE_WORDS)
def test_a_vague_word_is_not_used_in_plain_sources(word: str) -> None:
    uses = [
        f"{path.relative_to(ROOT)}:{line}: {VAGUE_WORDS[word]!r} instead of {word!r}"
        for path in PLAIN
        for line in occurrences(word, path.read_text(encoding="utf-8"))
    ]
    assert not uses, "\n".join(uses)


@pytest.mark.parametrize(
    ("term", "text", "lines"),
    [
        ("his", "one\nHis own", [2]),
        ("his", "his_domains = 1", [1]),
        ("his", "this history", []),
        ("come by", "a job that has come\nby now", [1]),
    ],
)
def test_a_term_is_found_as_a_whole_word(term: str, text: str, lines: list[int]) -> None:
    assert list(occurrences(term, text)) == lines


def test_no_two_public_classes_have_one_name() -> None:
    """One concept has one name, and a name one concept."""
    names = Counter(name for path in SOURCES for name in _public_classes(path))
    assert [name for name, count in names.items() if count > 1] == []
