"""Builds what lies in this folder: the core as libmindtorch.a, the Python module `_C` on top of it.

    python -m csrc.build            in place, for development: python/mindtorch_v2/_C.<abi>.so
    python -m csrc.build --check    says what this machine lacks for a build
    python -m csrc.build --help     the rest

The path of a build: run the generator (csrc/gen), compile every source of csrc/ and of the
generated folder with its own command line on all cores, archive the core, link. An object is made
again when its source, a header it read (the compiler lists them, -MMD), its command line or the
compiler itself has changed, so a rebuild costs what changed. Nothing here needs more than the
standard library; setup.py calls `build()`.

Folders decide what a source may see: sources in a `python/` folder get the interpreter's headers
and go into the module only; everything else is the core and compiles without them. `*.k.c` files
hold kernels and are compiled once per instruction set with MT_ISA_NAME set to baseline, avx2 or
avx512. Two comments near the top of a source change its command:

    /* mt-isas: baseline avx2 */        only these instruction sets
    /* mt-flags: -O2 -fwrapv */         added last, so they win

Environment: CC, CFLAGS, LDFLAGS, MAX_JOBS as usual; MINDTORCH_SANITIZE ("address,undefined") makes
an instrumented build with assertions on, in a folder of its own; MINDTORCH_WERROR=1 turns warnings
into errors; MINDTORCH_DEBUG=1 compiles for a debugger.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import fcntl
import functools
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CSRC = ROOT / "csrc"
PACKAGE = ROOT / "python" / "mindtorch_v2"

# One copy of the same arithmetic for every compiler and instruction set: contraction to fused
# multiply-add is off unless a kernel asks for it, and the two `no` flags only drop errno and
# floating-point traps, which nobody reads.
FLAGS = """-std=gnu11 -fPIC -pthread -fvisibility=hidden -ftls-model=initial-exec
           -fno-math-errno -fno-trapping-math -ffp-contract=off""".split()
# Tables leave out fields that are zero; pragmas for one compiler are nothing to the other.
WARNINGS = (
    "-Wall -Wextra -Wshadow -Wstrict-prototypes"
    " -Wno-missing-field-initializers -Wno-unknown-pragmas"
).split()

# clang has no such flag and does more work for the same complex products instead.
GCC_ONLY = {"-fcx-limited-range"}

ISAS: dict[str, list[str]] = {"baseline": []}
if platform.machine() in ("x86_64", "AMD64"):
    ISAS["avx2"] = "-mavx2 -mfma -mf16c".split()
    ISAS["avx512"] = (
        "-mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c -mprefer-vector-width=512"
    ).split()

LIBRARIES = ["-pthread", "-lm", *(["-ldl"] if sys.platform.startswith("linux") else [])]
MODULE = "_C" + (sysconfig.get_config_var("EXT_SUFFIX") or ".so")


class BuildError(Exception):
    """What went wrong, in words for the person who started the build."""


@dataclass
class Config:
    """One way to build: its folder, compiler and flags."""

    develop: bool = True
    sanitize: str = field(default_factory=lambda: os.environ.get("MINDTORCH_SANITIZE", ""))
    debug: bool = field(default_factory=lambda: flag("MINDTORCH_DEBUG"))
    werror: bool = field(default_factory=lambda: flag("MINDTORCH_WERROR"))
    cc: list[str] = field(default_factory=lambda: find_compiler())

    @functools.cached_property
    def compiler(self) -> str:
        """Name and version, as the compiler says it."""
        return run([*self.cc, "--version"], "the compiler does not run").splitlines()[0]

    @property
    def name(self) -> str:
        if self.sanitize:
            return "sanitize-" + self.sanitize.replace(",", "-")
        return "debug" if self.debug else "develop" if self.develop else "release"

    @property
    def folder(self) -> Path:
        return ROOT / "build" / f"{self.name}-{sys.implementation.cache_tag}"

    @property
    def generated(self) -> Path:
        return self.folder / "gen"

    @property
    def library(self) -> Path:
        return self.folder / "libmindtorch.a"

    @property
    def flags(self) -> list[str]:
        out = [*FLAGS, *WARNINGS, f"-I{local(CSRC)}", f"-I{local(self.generated)}"]
        if self.sanitize:
            out += ["-O1", "-g", "-fno-omit-frame-pointer", *self.sanitizer_flags]
        elif self.debug:
            out += ["-Og", "-g3"]
        else:
            out += ["-O3", "-DNDEBUG"]
        if self.werror:
            out.append("-Werror")
        return out + shlex.split(os.environ.get("CFLAGS", ""))

    @property
    def sanitizer_flags(self) -> list[str]:
        if not self.sanitize:
            return []
        return [f"-fsanitize={self.sanitize}", "-fno-sanitize-recover=all"]

    @property
    def link_flags(self) -> list[str]:
        if sys.platform == "darwin":
            out = ["-bundle", "-undefined", "dynamic_lookup"]
        else:
            out = ["-shared", "-Wl,-O1", "-Wl,-z,relro,-z,now"]
            if not (self.develop or self.debug or self.sanitize):
                out.append("-Wl,-s")
        return out + self.sanitizer_flags + shlex.split(os.environ.get("LDFLAGS", ""))


@dataclass
class Unit:
    """One compiler run."""

    source: Path
    object: Path
    command: list[str]
    is_core: bool


def local(path: Path) -> str:
    """The path as the compiler sees it: all commands run in ROOT, so that nothing made carries the
    place of the source folder."""
    return os.path.relpath(path, ROOT)


def flag(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


def find_compiler() -> list[str]:
    if os.environ.get("CC"):
        return shlex.split(os.environ["CC"])
    for name in ("gcc", "clang", "cc"):
        if shutil.which(name):
            return [name]
    return ["gcc"]


def missing() -> list[str]:
    """What a build needs and this machine lacks, one line each, with the remedy."""
    out = []
    if sys.version_info < (3, 10):
        out.append(f"Python 3.10 or newer (this is {platform.python_version()}; set PYTHON=...)")
    cc = find_compiler()
    if not shutil.which(cc[0]):
        out.append(
            f"a C compiler: {cc[0]!r} is not there (Debian/Ubuntu: apt install gcc; or set CC)"
        )
    include = Path(sysconfig.get_path("include"))
    if not (include / "Python.h").exists():
        out.append(
            f"Python's C headers: no Python.h in {include} (Debian/Ubuntu: apt install python3-dev)"
        )
    return out


def missing_for_venv() -> list[str]:
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return ["Python's venv module (Debian/Ubuntu: apt install python3-venv)"]
    return []


def generate(config: Config, python_out: Path) -> None:
    """Runs the generator unless nothing it reads has changed since the last run."""
    digest = hashlib.sha256(str(python_out).encode())
    for source in sorted([*(CSRC / "gen").rglob("*.py"), *(CSRC / "ops" / "table").rglob("*.py")]):
        digest.update(str(source).encode() + b"\0" + source.read_bytes() + b"\0")
    stamp = config.folder / "gen.stamp"
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    config.generated.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    command = [sys.executable, "-m", "csrc.gen", "--out", str(config.generated)]
    run([*command, "--python", str(python_out)], "the generator failed")
    stamp.write_text(digest.hexdigest())


def directive(head: str, name: str) -> list[str] | None:
    found = re.search(rf"/\* mt-{name}:(.*?)\*/", head)
    return found[1].split() if found else None


def units(config: Config) -> list[Unit]:
    """Every compiler run of the build, the longest first."""
    common = config.flags
    unknown = GCC_ONLY if "clang" in config.compiler else set()
    python_include = [
        f"-isystem{path}"
        for path in sorted({sysconfig.get_path("include"), sysconfig.get_path("platinclude")})
    ]
    out = []
    for top in (CSRC, config.generated):
        for source in sorted(top.rglob("*.c")):
            relative = source.relative_to(top)
            with source.open(encoding="utf-8") as file:
                head = file.read(2000)
            is_core = relative.parts[0] != "python"
            kernel = source.name.endswith(".k.c")
            wanted = directive(head, "isas") or (list(ISAS) if kernel else ["baseline"])
            for isa in wanted:
                if isa not in ISAS:
                    if isa not in ("avx2", "avx512"):
                        raise BuildError(f"{source}: mt-isas names {isa!r}, expected {list(ISAS)}")
                    continue
                flags = [*common, *ISAS[isa], *(() if is_core else python_include)]
                if kernel:
                    flags.append(f"-DMT_ISA_NAME={isa}")
                flags += [f for f in directive(head, "flags") or [] if f not in unknown]
                stem = ".".join(relative.parts)[: -len(".c")]
                place = config.folder / "obj" / ("gen" if top is not CSRC else "csrc")
                object_ = place / (f"{stem}.{isa}.o" if kernel else f"{stem}.o")
                command = [*config.cc, *flags, "-c", local(source), "-o", local(object_)]
                out.append(Unit(source, object_, command, is_core))
    out.sort(key=lambda u: (not u.source.name.endswith(".k.c"), -u.source.stat().st_size))
    return out


class Freshness:
    """Tells whether an object is up to date: same command, same compiler, no newer input."""

    def __init__(self, compiler: str):
        self.compiler = compiler
        self.times: dict[str, float] = {}

    def time(self, path: str) -> float:
        if path not in self.times:
            try:
                self.times[path] = os.stat(ROOT / path).st_mtime_ns
            except OSError:
                self.times[path] = float("inf")
        return self.times[path]

    def record(self, unit: Unit) -> str:
        return f"{shlex.join(unit.command)}\n{self.compiler}\n"

    def holds(self, unit: Unit) -> bool:
        try:
            made = os.stat(unit.object).st_mtime_ns
            if unit.object.with_suffix(".cmd").read_text() != self.record(unit):
                return False
            depends = unit.object.with_suffix(".d").read_text()
        except OSError:
            return False
        names = depends.split(":", 1)[1].replace("\\\n", " ").replace("\\ ", "\0").split()
        return all(self.time(name.replace("\0", " ")) < made for name in names)


def compile_unit(unit: Unit, record: str) -> str:
    """Runs one command; returns the compiler's remarks. The object carries the time of the start,
    so a source edited meanwhile counts as newer."""
    started = time.time_ns()
    unit.object.with_suffix(".cmd").unlink(missing_ok=True)
    depends = ["-MMD", "-MF", local(unit.object.with_suffix(".d"))]
    done = subprocess.run([*unit.command, *depends], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise BuildError(f"{shlex.join(unit.command)}\n{done.stderr}")
    os.utime(unit.object, ns=(started, started))
    unit.object.with_suffix(".cmd").write_text(record)
    return done.stderr


def compile_all(config: Config, work: list[Unit]) -> int:
    """Brings all objects up to date; returns how many were made."""
    fresh = Freshness(config.compiler)
    stale = [unit for unit in work if not fresh.holds(unit)]
    for folder in {unit.object.parent for unit in stale}:
        folder.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(jobs()) as pool:
        runs = [pool.submit(compile_unit, unit, fresh.record(unit)) for unit in stale]
        try:
            for count, run_ in enumerate(concurrent.futures.as_completed(runs), 1):
                remarks = run_.result()
                if sys.stdout.isatty():
                    print(
                        f"\r[{count}/{len(runs)}]",
                        end="" if count < len(runs) else "\n",
                        flush=True,
                    )
                if remarks:
                    print(remarks, file=sys.stderr)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return len(stale)


def jobs() -> int:
    if os.environ.get("MAX_JOBS"):
        return max(1, int(os.environ["MAX_JOBS"]))
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(command: list[str], otherwise: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    except OSError as error:
        raise BuildError(f"{otherwise}: {error}") from None
    if done.returncode:
        raise BuildError(f"{otherwise}:\n{shlex.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def drop_leftovers(config: Config, work: list[Unit]) -> bool:
    """Removes objects whose source is gone; true when there were any."""
    wanted = {unit.object for unit in work}
    gone = [path for path in (config.folder / "obj").rglob("*.o") if path not in wanted]
    for path in gone:
        path.unlink()
    return bool(gone)


def older(product: Path, work: list[Unit]) -> bool:
    """Whether a product is missing or older than one of the objects."""
    if not product.exists():
        return True
    made = product.stat().st_mtime_ns
    return any(unit.object.stat().st_mtime_ns >= made for unit in work)


def archive(config: Config, core: list[Unit]) -> None:
    config.library.unlink(missing_ok=True)
    objects = [local(unit.object) for unit in core]
    run(["ar", "qcs", local(config.library), *objects], "making the static library failed")


def link(config: Config, work: list[Unit], module: Path) -> None:
    """Links beside the old module and moves it over: a running interpreter keeps its own."""
    module.parent.mkdir(parents=True, exist_ok=True)
    part = module.with_suffix(".part")
    objects = config.folder / "objects.txt"
    objects.write_text("\n".join(local(unit.object) for unit in work))
    run(
        [*config.cc, f"@{local(objects)}", *config.link_flags, *LIBRARIES, "-o", str(part)],
        "linking failed",
    )
    part.replace(module)


def build_library(
    config: Config, python_out: Path | None = None, core_only: bool = True
) -> tuple[list[Unit], int]:
    """Brings the static library up to date, and without `core_only` the module's objects; returns
    all compiler runs concerned and how many were needed."""
    lacking = missing()
    if lacking:
        raise BuildError("mindtorch_v2 cannot be built here. Missing: " + "; ".join(lacking))
    with alone(config):
        generate(config, python_out or PACKAGE)
        everything = units(config)
        core = [unit for unit in everything if unit.is_core]
        work = core if core_only else everything
        made = compile_all(config, work)
        if drop_leftovers(config, everything) or older(config.library, core):
            archive(config, core)
    return work, made


def build(config: Config, module: Path | None = None, python_out: Path | None = None) -> Path:
    """Brings library and module up to date; returns the module's path.

    A sanitizer build does not replace the module in the source folder: it makes a package folder of
    its own, with links to the Python files, to be put on PYTHONPATH (`config.folder / "python"`).
    """
    started = time.perf_counter()
    package = mirror_package(config) if config.sanitize else PACKAGE
    module = module or package / MODULE
    work, made = build_library(config, python_out, core_only=False)
    with alone(config):
        if older(module, work) or module.stat().st_mtime < config.library.stat().st_mtime:
            link(config, work, module)
    seconds = time.perf_counter() - started
    print(f"{config.name}: {made} of {len(work)} objects made, {seconds:.1f} s, {local(module)}")
    return module


@contextlib.contextmanager
def alone(config: Config) -> Iterator[None]:
    """Keeps two builds out of one folder at a time."""
    config.folder.mkdir(parents=True, exist_ok=True)
    with (config.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def mirror_package(config: Config) -> Path:
    package = config.folder / "python" / "mindtorch_v2"
    package.mkdir(parents=True, exist_ok=True)
    for entry in package.iterdir():
        if entry.is_symlink():
            entry.unlink()
    for entry in PACKAGE.iterdir():
        if not entry.name.startswith("_C.") and entry.name != "__pycache__":
            (package / entry.name).symlink_to(entry)
    return package


def build_c_program(config: Config, source: Path) -> Path:
    """Compiles one C program (a test, a fuzz target) with assertions and links it with the core,
    which must have been built."""
    program = config.folder / "c" / source.stem
    object_ = program.with_suffix(".o")
    flags = [part for part in config.flags if part not in ("-DNDEBUG", "-O3")]
    unit = Unit(
        source, object_, [*config.cc, *flags, "-g", "-c", local(source), "-o", local(object_)], True
    )
    with alone(config):
        made = compile_all(config, [unit])
        library = config.library.stat().st_mtime
        if made or not program.exists() or program.stat().st_mtime < library:
            command = [*config.cc, str(object_), str(config.library), *config.sanitizer_flags]
            run([*command, *LIBRARIES, "-o", str(program)], f"linking {source.name} failed")
    return program


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m csrc.build", description="Builds core and module.")
    parser.add_argument("--check", action="store_true", help="only say what the machine lacks")
    parser.add_argument("--release", action="store_true", help="as for a wheel, under build/")
    parser.add_argument("--python-path", action="store_true", help="print where to import from")
    parser.add_argument("--gen", action="store_true", help="run the generator, compile nothing")
    options = parser.parse_args()
    if options.check:
        lacking = missing() + missing_for_venv()
        if lacking:
            print("mindtorch_v2 needs " + "; ".join(lacking), file=sys.stderr)
        return 1 if lacking else 0
    try:
        config = Config(develop=not options.release)
        if options.python_path:
            print(config.folder / "python" if config.sanitize else PACKAGE.parent)
        elif options.gen:
            (config.folder / "gen.stamp").unlink(missing_ok=True)
            generate(config, PACKAGE)
        else:
            build(config, config.folder / MODULE if options.release else None)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
