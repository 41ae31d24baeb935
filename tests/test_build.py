"""The build script remakes what has to be remade, and nothing else."""

import os
import subprocess
import time

import pytest

from csrc import build

SOURCES = {
    "base/base.h": "#pragma once\nint mt_base(void);\n",
    "base/base.c": '#include "base/base.h"\nint mt_base(void) { return BASE; }\n',
    "kernels/loop.k.c": (
        "/* mt-flags: -DEXTRA */\n#define NAME(isa) NAME_(isa)\n#define NAME_(isa) mt_loop_##isa\n"
        "int NAME(MT_ISA_NAME)(void);\nint NAME(MT_ISA_NAME)(void) { return 1; }\n"
        "#ifndef EXTRA\n#error flags\n#endif\n"
    ),
    "kernels/plain.k.c": (
        "/* mt-isas: baseline */\nint mt_plain(void);\nint mt_plain(void) { return 2; }\n"
    ),
    "python/module.c": (
        '#include <Python.h>\n#include "base/base.h"\n'
        'static PyModuleDef d = {PyModuleDef_HEAD_INIT, "_C", NULL, 0};\n'
        "PyMODINIT_FUNC PyInit__C(void) { return mt_base() ? PyModule_Create(&d) : NULL; }\n"
    ),
    "gen/__main__.py": (
        "import pathlib, sys\nout = pathlib.Path(sys.argv[sys.argv.index('--out') + 1])\n"
        "(out / 'made.c').write_text('int mt_made(void);\\nint mt_made(void) { return 3; }\\n')\n"
    ),
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of a few sources in a folder of its own, and what to build it with."""
    for name, text in SOURCES.items():
        path = tmp_path / "csrc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    package = tmp_path / "python" / "mindtorch_v2"
    package.mkdir(parents=True)
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "CSRC", tmp_path / "csrc")
    monkeypatch.setattr(build, "PACKAGE", package)
    monkeypatch.setenv("CFLAGS", "-DBASE=1")
    for name in ("MINDTORCH_SANITIZE", "MINDTORCH_DEBUG", "MINDTORCH_WERROR", "LDFLAGS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def made(config=None):
    """Builds; returns the names of the objects that were compiled."""
    config = config or build.Config()
    before = {path: path.stat().st_mtime_ns for path in config.folder.rglob("*.o")}
    build.build(config)
    return {
        path.name
        for path in config.folder.rglob("*.o")
        if before.get(path) != path.stat().st_mtime_ns
    }


def touch(path):
    now = time.time_ns()
    os.utime(path, ns=(now, now))


def test_everything_once_then_nothing(project):
    names = made()
    loops = {f"kernels.loop.k.{isa}.o" for isa in build.ISAS}
    plain = {"base.base.o", "kernels.plain.k.baseline.o", "python.module.o", "made.o"}
    assert names == loops | plain
    assert made() == set()
    assert (build.PACKAGE / build.MODULE).exists()


def test_a_header_remakes_what_reads_it(project):
    made()
    touch(project / "csrc" / "base" / "base.h")
    assert made() == {"base.base.o", "python.module.o"}


def test_other_flags_remake_all(project, monkeypatch):
    count = len(made())
    monkeypatch.setenv("CFLAGS", "-DBASE=2")
    assert len(made()) == count


def test_the_library_holds_the_core_alone(project):
    made()
    listed = subprocess.run(
        ["nm", "--defined-only", build.Config().library], capture_output=True, text=True, check=True
    ).stdout
    assert " T mt_base" in listed and " T mt_made" in listed
    assert "PyInit__C" not in listed


def test_a_removed_source_leaves_library_and_module(project):
    made()
    (project / "csrc" / "kernels" / "plain.k.c").unlink()
    assert made() == set()
    listed = subprocess.run(
        ["nm", build.Config().library], capture_output=True, text=True, check=True
    ).stdout
    assert "mt_plain" not in listed


def test_the_core_cannot_see_the_interpreter(project):
    (project / "csrc" / "base" / "base.c").write_text("#include <Python.h>\n")
    with pytest.raises(build.BuildError, match=r"base\.c"):
        made()


def test_an_error_names_the_place_and_mends(project):
    made()
    source = project / "csrc" / "base" / "base.c"
    text = source.read_text()
    source.write_text(text + "int y\n")
    with pytest.raises(build.BuildError, match=r"csrc/base/base\.c:3"):
        made()
    source.write_text(text)
    assert made() == {"base.base.o"}


def test_a_missing_compiler_is_said(project, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(build.BuildError, match="no-such-compiler.*is not there"):
        build.build(build.Config())


def test_a_module_is_replaced_not_rewritten(project):
    """A running interpreter has the old file mapped; writing into it would crash it."""
    made()
    module = build.PACKAGE / build.MODULE
    before = module.stat().st_ino
    with module.open("rb") as kept:
        text = kept.read()
        touch(project / "csrc" / "base" / "base.h")
        made()
        assert module.stat().st_ino != before
        kept.seek(0)
        assert kept.read() == text
