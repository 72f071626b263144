"""The commands of docs/cluster.md by which two directories become a pair."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import ldap

from iredldap.dit.names import Tree
from iredldap.embedded.child import ended_with_parent
from iredldap.embedded.ports import free_port
from iredldap.embedded.slapd import Slapd
from iredldap.shipped import shipped
from tests.support.mailservers import PATH
from tests.support.patience import wait_until
from tests.support.sqlservers import program
from tests.support.world import SUFFIX, World, new_server

GUIDE = (Path(__file__).parents[3] / "docs" / "cluster.md").read_text("utf-8")


def commands(first: str) -> str:
    """Return the block of the guide that has a line that begins so."""
    line = re.compile(rf"^ *{re.escape(first)}", re.MULTILINE)
    (block,) = filter(line.search, re.findall(r"```\n(.*?)```", GUIDE, re.DOTALL))
    return str(block)


class Machine:
    """A directory that is configured by hand, as on a server of its own."""

    def __init__(self, home: Path, number: int) -> None:
        self.home, self.number = home, number
        self.folder = home / "etc"
        self.slapd = Slapd(home=home, suffix=SUFFIX, schema_dir=shipped("schema"), port=free_port())
        (home / "database").mkdir(parents=True)
        self.folder.mkdir()

    def run(self, script: str, peer: "Machine") -> None:
        """Run commands of the guide with this machine's paths, as its only user."""
        for theirs, ours in (
            (r"runuser -u openldap -- ", ""),
            (r"^ *(systemctl|apt-get|chown) .*$", ""),
            (r" && systemctl .*$", ""),
            (r" --owner openldap --group openldap", ""),
            (r"/var/lib/ldap", str(self.home)),
            (r"/etc/ldap", str(self.folder)),
            (r"/root/|(?<=< )(?=all\.ldif)", f"{self.home.parent}/"),
            (r"ldap://192\.0\.2\.12", peer.slapd.uri),
            (r"\$\{server_id\}\|1", f"${{server_id}}|{self.number}"),
        ):
            script = re.sub(theirs, ours, script, flags=re.MULTILINE)
        variables = {"deploy": str(shipped("deploy")), "PATH": f"{os.environ['PATH']}:{PATH}"}
        subprocess.run(["bash", "-euc", script], env=os.environ | variables, check=True)

    def configure(self, text: str) -> None:
        """Put the lines of the guide into a configuration of iRedMail."""
        for line in re.findall(r"^ *(include /etc/ldap/\S+) +#", GUIDE, re.MULTILINE):
            place = {"1": "database mdb", "2": "access to", "3": "database monitor"}[
                line.split("iredldap-")[1][0]
            ]
            here = line.replace("/etc/ldap", str(self.folder))
            text = text.replace(f"\n{place}", f"\n{here}\n{place}", 1)
        (self.folder / "slapd.conf").write_text(text, "utf-8")

    @contextmanager
    def serving(self) -> Iterator[None]:
        conf = self.folder / "slapd.conf"
        process = subprocess.Popen(
            [program("slapd", PATH), "-d", "none", "-s", "0", "-f", conf, "-h", self.slapd.uri],
            preexec_fn=ended_with_parent(),  # noqa: PLW1509
        )
        try:
            wait_until(self._answers)
            yield
        finally:
            process.kill()
            process.wait()

    @property
    def world(self) -> World:
        return World(self.slapd, Tree(SUFFIX))

    def _answers(self) -> bool:
        try:
            self.world.connect().unbind_s()
        except ldap.SERVER_DOWN:
            return False
        return True


def test_the_steps_make_a_pair(tmp_path: Path) -> None:
    """With a directory that was there before, seeded into the second one."""
    former = new_server(tmp_path / "former")
    former.start()
    former.stop()
    text = (former.home / "slapd.conf").read_text("utf-8")
    a, b = Machine(tmp_path / "a", 1), Machine(tmp_path / "b", 2)
    for machine, peer in ((a, b), (b, a)):
        machine.run(commands("apt-get install --no-install-recommends slapd"), peer)
        machine.configure(text.replace(str(former.home), str(machine.home)))
    for name in ("data.mdb", "lock.mdb"):
        (former.home / "database" / name).rename(a.home / "database" / name)
    a.run(commands('sed -e "s|\\${suffix}|'), b)
    b.run(commands("runuser -u openldap -- slapadd -q -w"), a)

    with ExitStack() as running:
        for machine in (a, b):
            running.enter_context(machine.serving())
        for one, other in ((a, b), (b, a)):
            one.world.set(one.world.tree.base, description=f"by {one.number}")
            wait_until(partial(described, other, f"by {one.number}"))


def described(machine: Machine, words: str) -> bool:
    found = machine.world.attributes(machine.world.tree.base)
    return found.get("description") == {words}
