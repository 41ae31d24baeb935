"""The folders of csrc/ include downwards only, and only csrc/python knows the interpreter.

`python tests/test_layers.py` draws which folder includes which.
"""

import re
from pathlib import Path

CSRC = Path(__file__).resolve().parent.parent / "csrc"

# What each folder may include besides itself. Kernels see pointers and sizes, nothing above.
BELOW = {
    "base": [],
    "kernels": ["base"],
    "tensor": ["base", "kernels"],
    "dispatch": ["base", "tensor"],
    "autograd": ["base", "tensor", "dispatch"],
    "ops": ["base", "kernels", "tensor", "dispatch", "autograd"],
    "profiler": ["base", "tensor", "dispatch"],
    "serialize": ["base", "tensor", "dispatch", "ops"],
}

# Headers that stand on base alone and may be included from below their own folder: the recording
# calls of the profiler, which the dispatcher and the engine make.
EVERYWHERE = {"profiler/profiler.h"}

INTERPRETER = re.compile(r"Python\.h|structmember\.h|frameobject\.h|pythread\.h|numpy/|cpython/")


def includes(source):
    text = source.read_text(encoding="utf-8")
    return re.findall(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^">]+)[">]', text, re.MULTILINE)


def sources(folder):
    return sorted([*(CSRC / folder).rglob("*.c"), *(CSRC / folder).rglob("*.h")])


def edges():
    """(folder, source, included header of the core) for every include of one of our headers."""
    for folder in sorted(path.name for path in CSRC.iterdir() if path.is_dir()):
        for source in sources(folder):
            for header in includes(source):
                if header.split("/")[0] in (*BELOW, "python"):
                    yield folder, source.relative_to(CSRC).as_posix(), header


def test_folders_include_downwards_only():
    wrong = [
        f"{source} includes {header}"
        for folder, source, header in edges()
        if folder in BELOW
        and header.split("/")[0] not in (folder, *BELOW[folder])
        and header not in EVERYWHERE
    ]
    assert not wrong, "\n".join(wrong)


def test_headers_for_everyone_stand_on_base():
    wrong = [
        f"{source} includes {header}"
        for _, source, header in edges()
        if source in EVERYWHERE and not header.startswith("base/")
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_binding_knows_the_interpreter():
    wrong = [
        f"{folder}: {source.name} includes {header}"
        for folder in BELOW
        for source in sources(folder)
        for header in includes(source)
        if INTERPRETER.search(header)
    ]
    assert not wrong, "\n".join(wrong)


def test_headers_are_guarded():
    wrong = [
        source.relative_to(CSRC).as_posix()
        for folder in (*BELOW, "python")
        for source in sources(folder)
        if source.name.endswith(".h") and not source.name.endswith(".tmpl.h")
        if "#pragma once" not in source.read_text(encoding="utf-8")
    ]
    assert not wrong, "\n".join(wrong)


if __name__ == "__main__":
    drawn = {}
    for folder, _, header in edges():
        below = header.split("/")[0]
        if below != folder:
            drawn.setdefault(folder, {}).setdefault(below, []).append(header)
    for folder, below in drawn.items():
        print(folder, "->", ", ".join(f"{name} ({len(used)})" for name, used in below.items()))
