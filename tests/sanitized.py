"""Runs the test suite on a module built with AddressSanitizer and UBSan.

    MINDTORCH_SANITIZE=address,undefined python tests/sanitized.py [pytest arguments]

The interpreter is not instrumented, so the sanitizer's library is loaded first, and Python's own
allocator is switched off: a tensor that is used after its end is then seen as such. The
interpreter leaks a little by design; of the leak reports only those count whose memory was
allocated by our code. (The interpreter has no frame pointers, so a stack ends where it begins:
Python objects that we lose are not seen here, but by the tests that count them.)
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from csrc import build  # noqa: E402

# Frames that allocate for somebody else.
ALLOCATORS = re.compile(
    r"\b(__interceptor_)?(malloc|calloc|realloc|posix_memalign|aligned_alloc)\b"
)


def library(config, name):
    return build.run([*config.cc, f"-print-file-name={name}"], "no sanitizer library").strip()


def our_leaks(logs):
    """The leak records that our module is to blame for."""
    out = []
    for log in logs:
        for record in re.findall(r"(?:Direct|Indirect) leak of .*?(?:\n\n|\Z)", log, re.DOTALL):
            frames = [line for line in record.splitlines() if re.match(r"\s+#\d+", line)]
            owners = [line for line in frames if not ALLOCATORS.search(line)]
            if owners and ("_C." in owners[0] or "csrc/" in owners[0]):
                out.append(record)
    return out


def main():
    config = build.Config()
    if "address" not in config.sanitize:
        sys.exit("set MINDTORCH_SANITIZE=address,undefined")
    build.build(config)
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "LD_PRELOAD": library(config, "libasan.so"),
            "PYTHONPATH": str(config.folder / "python"),
            "PYTHONMALLOC": "malloc",
            "ASAN_OPTIONS": f"detect_leaks=1:allocator_may_return_null=1:log_path={folder}/asan",
            "LSAN_OPTIONS": f"exitcode=0:log_path={folder}/lsan",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        }
        # UBSan ends the process at once: its last words must not lie in a capture file of pytest.
        command = [sys.executable, "-m", "pytest", "--capture=sys", *sys.argv[1:]]
        code = subprocess.run(command, env=environment, cwd=ROOT).returncode
        logs = [path.read_text(errors="replace") for path in Path(folder).iterdir()]
    leaks = our_leaks(logs)
    errors = [log for log in logs if "ERROR: AddressSanitizer" in log]
    for text in errors + leaks[:20]:
        print(text)
    print(f"sanitizers: {len(errors)} errors, {len(leaks)} leaks of ours")
    return code or bool(leaks or errors)


if __name__ == "__main__":
    sys.exit(main())
