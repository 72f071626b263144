"""How many examples property tests try: a few, always the same; many new ones by ``make fuzz``."""

import os

from hypothesis import HealthCheck, Phase, settings

TIMES = int(os.environ.get("FUZZ") or 1)
"""How many times as many examples as usual."""


def examples(count: int) -> settings:
    """Give the settings of a test of so many examples.

    Args:
        count: Usually. One server serves them all: each puts back what it changes.
    """
    return settings(
        max_examples=count * TIMES,
        # A run of all tests judges a change: it must not fail by an example of this very day.
        derandomize=TIMES == 1,
        deadline=None,
        database=None,
        suppress_health_check=[*HealthCheck],
        # To find the smallest example that fails takes many more: for those who look for them.
        phases=(Phase.explicit, Phase.generate, *((Phase.shrink,) if TIMES > 1 else ())),
    )
