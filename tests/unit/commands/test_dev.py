"""What `iredldap cluster-fault` says of its targets."""

import re

import click
from click.testing import CliRunner

from iredldap.cli import main
from iredldap.commands.dev import cluster_fault
from iredldap.embedded.cluster_parts import TARGETS


def test_the_help_names_each_target() -> None:
    said = CliRunner().invoke(main, ["cluster-fault", "--help"]).stdout
    assert {*TARGETS} - {*re.findall(r"[A-Za-z-]+", said)} == set()


def test_a_target_is_completed() -> None:
    (target,) = (option for option in cluster_fault.params if option.name == "target")
    context = click.Context(cluster_fault)
    offered = [item.value for item in target.shell_complete(context, "state")]
    assert offered == ["state-A", "state-B"]
