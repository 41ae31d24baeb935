"""Hands the compiling to csrc/build.py; everything else is in pyproject.toml."""

import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

sys.path.insert(0, str(Path(__file__).resolve().parent))

from csrc import build


class BuildModule(build_ext):
    def run(self):
        """A wheel gets a stripped module and stubs in setuptools' build folder, a development
        install (`pip install -e .`) the module and stubs beside the Python sources."""
        develop = bool(self.inplace or self.editable_mode)
        package = build.PACKAGE if develop else Path(self.build_lib).resolve() / "mindtorch_v2"
        package.mkdir(parents=True, exist_ok=True)
        try:
            build.build(build.Config(develop=develop), package / build.MODULE, package)
        except build.BuildError as error:
            raise SystemExit(str(error)) from None


setup(
    ext_modules=[Extension("mindtorch_v2._C", sources=[])],
    cmdclass={"build_ext": BuildModule},
)
