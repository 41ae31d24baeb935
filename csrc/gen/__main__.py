"""Command line of the generator.

``python -m csrc.gen --out DIR [--python DIR]`` writes the C sources (and stubs); a file whose
text would not change is left alone, so that only what changed is compiled.
``python -m csrc.gen --show add`` prints everything that follows from one operator.
"""

from __future__ import annotations

import argparse
import pathlib
import sys

from . import emit_core, emit_docs, emit_loops, emit_python, emit_stubs
from .table import Entry, load

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOOPS_PER_FILE = 10


def write(path: pathlib.Path, text: str) -> None:
    """Writes unless the file already says the same."""
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def generate(entries: list[Entry], out: pathlib.Path) -> None:
    """All C sources into `out`; files of earlier runs that no longer follow are removed."""
    ops = emit_core.op_map(entries)
    groups = sorted({e.group for e in entries})
    files: dict[str, str] = {"ops_gen.h": emit_core.emit_header(entries, groups),
                             "registry.c": emit_core.emit_registry(groups)}
    for g in groups:
        files[f"ops_{g}.c"] = emit_core.emit_group(g, entries, ops)
        own = [e for e in entries if e.group == g and e.family == "pointwise" and e.variant == "functional"]
        for i in range(0, len(own), LOOPS_PER_FILE):
            files[f"loops_{g}_{i // LOOPS_PER_FILE}.k.c"] = emit_loops.emit_loops(
                own[i:i + LOOPS_PER_FILE], f"csrc/ops/table/{g}.py")
    files["python/signatures.c"] = emit_python.emit_signatures(entries)
    for name, text in files.items():
        write(out / name, text)
    for old in [*out.glob("*.[ch]"), *out.glob("python/*.[ch]")]:
        if str(old.relative_to(out)) not in files:
            old.unlink()


def show(entries: list[Entry], name: str) -> None:
    """Prints what follows from the operators of this name."""
    ops = emit_core.op_map(entries)
    for e in entries:
        if e.schema.name.rstrip("_") != name.rstrip("_"):
            continue
        print(f"==== {e.schema.text()}\n     {e.where}, {e.family}, {e.variant}")
        print(emit_core.args_array(e))
        if e.family == "op":
            print(emit_core.adapter_structured(e, "meta") + emit_core.adapter_structured(e, "impl"))
        if e.family == "pointwise":
            print(emit_core.pointwise_spec(e))
            if e.variant == "functional":
                print(emit_loops.emit_loops([e], e.where))
        elif e.body is not None:
            print(emit_core.composite_body(e, ops))
        deriv = bool((e.functional or e).grad) and e.variant != "out" and e.family not in ("composite", "alias")
        if deriv:
            print(emit_core.Derivative(e, ops).emit())
        print(emit_core.wrapper(e, 0))
        print(emit_core.record(e, deriv))
    for ns, table in emit_python.packets(entries).items():
        for n, sigs in table.items():
            if n.rstrip("_") == name.rstrip("_"):
                print(f"{emit_python.NAMESPACES[ns]}.{n}")
                for s in sigs:
                    print(f"    {s.text()} -> {s.entry.schema.full_name}" + (" (deprecated)" if s.deprecated else ""))


def main(argv: list[str]) -> int:
    """Runs the command; exit status 1 when an operator is unknown."""
    ap = argparse.ArgumentParser(prog="python -m csrc.gen", description=__doc__)
    ap.add_argument("--out", type=pathlib.Path, help="folder for the C sources")
    ap.add_argument("--python", type=pathlib.Path, help="package folder for the stubs")
    ap.add_argument("--tables", type=pathlib.Path, default=ROOT / "ops" / "table")
    ap.add_argument("--show", metavar="OP", help="print what follows from one operator")
    ap.add_argument("--docs", type=pathlib.Path, help="folder for the operator reference")
    ap.add_argument("--list", action="store_true", help="print the schemas of all operators")
    args = ap.parse_args(argv)
    entries = load(args.tables)
    if args.list:
        print("\n".join(e.schema.text() for e in entries))
    if args.show:
        if not any(e.schema.name.rstrip("_") == args.show.rstrip("_") for e in entries):
            print(f"no operator {args.show!r} in the table", file=sys.stderr)
            return 1
        show(entries, args.show)
    if args.out:
        generate(entries, args.out)
    if args.python:
        for name, text in emit_stubs.emit_stubs(entries).items():
            write(args.python / name, text)
    if args.docs:
        args.docs.mkdir(parents=True, exist_ok=True)
        for name, text in emit_docs.emit_docs(entries).items():
            write(args.docs / name, text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
