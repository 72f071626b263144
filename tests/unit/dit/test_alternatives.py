"""The terms of a choice, for searches that several plans share."""

import pytest

from iredldap.dit.filters import alternatives, either, equals, every, negated

A, B, C, D = (equals(name, ")(|x(\\") for name in "abcd")


@pytest.mark.parametrize(
    ("filter_", "terms"),
    [
        (A, [A]),
        (every(A, B), [every(A, B)]),
        (negated(either(A, B)), [negated(either(A, B))]),
        (either(A), [A]),
        (either(A, B, A), [A, B, A]),
        (either(A, every(either(B, C), D)), [A, every(either(B, C), D)]),
        (either(either(A, either(B)), C, negated(D)), [A, B, C, negated(D)]),
    ],
)
def test_choices_within_choices_are_one(filter_: str, terms: list[str]) -> None:
    assert [*alternatives(filter_)] == terms
