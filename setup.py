"""Stamp what is built with the commit that it is made from; all else is in setup.cfg."""

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
# A build does not import from the directory that it builds.
sys.path.insert(0, str(ROOT))

from iredldap import version  # noqa: E402


class StampedBuild(build_py):
    """Build the package anew and stamp it, unless it stays in its checkout."""

    def run(self) -> None:
        if self.editable_mode:
            super().run()
            return
        # pip builds in the checkout: modules that an earlier build left there would be taken along.
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        version.stamp(ROOT, Path(self.build_lib))


class StampedSdist(sdist):
    """Stamp the sources."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        version.stamp(ROOT, Path(base_dir))


setup(cmdclass={"build_py": StampedBuild, "sdist": StampedSdist})
