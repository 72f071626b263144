"""A whole cluster under load while a part of it is broken: nothing that was acknowledged is lost.

The short form of `python -m benchmarks cluster`, which breaks more, for longer, and measures times.
What happens without the line between the servers, and without PostgreSQL, is in
`test_agreed_writer.py`.
"""

from collections.abc import Iterator

import pytest

from tests.faults.scenes import SCENES, Tempo, play
from tests.faults.site import Site, cluster

SHORT = {
    "kill -9 of the writer, back after 12 s": 0.7,
    "kill -9 of an API node, back after 12 s": 0.3,
}
"""Scenes, and the part of the time for which their fault lasts."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with cluster(tmp_path_factory.mktemp("faults") / "cluster", 1) as running:
        yield running


@pytest.mark.parametrize("name", SHORT)
def test_what_is_acknowledged_stays(site: Site, name: str) -> None:
    """On both servers, once, and for every reader; what fails succeeds when it is repeated."""
    ((number, scene),) = [found for found in enumerate(SCENES) if found[1].name == name]
    tempo = Tempo(SHORT[name], pause=0.15, before=1.0, after=1.5, judged=None)

    outcome = play(site, scene, f"s{number}", tempo)

    assert outcome.verdict.all() == [], str(outcome)
    assert outcome.tally.successes, str(outcome)
    assert outcome.tally.reads, str(outcome)
