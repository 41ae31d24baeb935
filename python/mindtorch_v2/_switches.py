"""Switches of the process at the top level: precision, determinism, warnings, threads."""

from . import _C

__all__ = [
    "set_float32_matmul_precision", "get_float32_matmul_precision", "use_deterministic_algorithms",
    "are_deterministic_algorithms_enabled", "is_deterministic_algorithms_warn_only_enabled",
    "set_deterministic_debug_mode", "get_deterministic_debug_mode", "set_warn_always", "is_warn_always_enabled",
    "set_num_interop_threads", "get_num_interop_threads", "compiled_with_cxx11_abi", "get_file_path",
]  # fmt: skip


def set_float32_matmul_precision(precision):
    """How float32 products may round: "highest", "high" or "medium".

    This build always multiplies in float32, which every setting allows. A word that is none of
    these is warned about and ignored. Reference: torch.set_float32_matmul_precision.
    """
    from .backends import _precision

    _precision.set_matmul(precision)


def get_float32_matmul_precision():
    """What `set_float32_matmul_precision` said, "highest" at first.

    RuntimeError where `torch.backends` was told something that contradicts it.
    """
    from .backends import _precision

    return _precision.get_matmul()


_determinism = {"mode": 0, "fill": True}  # 0 off, 1 warnings, 2 errors


def _set_determinism(**changes):
    _determinism.update(changes)
    _C._set_determinism(_determinism["mode"], _determinism["fill"])


def use_deterministic_algorithms(mode, *, warn_only=False):
    """Whether operators without a deterministic way raise RuntimeError (or warn, warn_only).

    While it is on, new memory (`torch.empty`) is filled with NaN, the greatest integer or True,
    unless `torch.utils.deterministic.fill_uninitialized_memory` is False. TypeError where mode or
    warn_only is no bool.
    """
    for i, (name, value) in enumerate((("mode", mode), ("warn_only", warn_only))):
        if not isinstance(value, bool):
            place = "" if i else " (position 1)"
            raise TypeError(
                f"_set_deterministic_algorithms(): argument '{name}'{place} must be bool, not {type(value).__name__}"
            )
    _set_determinism(mode=(1 if warn_only else 2) if mode else 0)


def are_deterministic_algorithms_enabled():
    """Whether `use_deterministic_algorithms` is on."""
    return _determinism["mode"] > 0


def is_deterministic_algorithms_warn_only_enabled():
    """Whether it is on and only warns."""
    return _determinism["mode"] == 1


def set_deterministic_debug_mode(debug_mode):
    """The same switch as one number or word: 0 "default" (off), 1 "warn", 2 "error".

    TypeError for other types, RuntimeError for other values.
    """
    if not isinstance(debug_mode, (int, str)):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    if isinstance(debug_mode, str):
        if debug_mode not in ("default", "warn", "error"):
            raise RuntimeError(
                f"invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got {debug_mode}"
            )
        debug_mode = ("default", "warn", "error").index(debug_mode)
    if debug_mode not in (0, 1, 2):
        raise RuntimeError(f"invalid value of debug_mode, expected 0, 1, or 2, but got {debug_mode}")
    _set_determinism(mode=int(debug_mode))


def get_deterministic_debug_mode():
    """0, 1 or 2; see `set_deterministic_debug_mode`."""
    return _determinism["mode"]


_warn_always = False


def set_warn_always(b, /):
    """Whether warnings that appear once per process appear every time.

    Warnings of this library go through Python's `warnings`, whose filters decide how often one is
    shown; the switch is kept for programs that ask for it. TypeError where b is no bool.
    """
    global _warn_always
    if not isinstance(b, bool):
        raise TypeError(f"setWarnOnlyOnce expects a bool, but got {type(b).__name__}")
    _warn_always = b


def is_warn_always_enabled():
    """What `set_warn_always` said."""
    return _warn_always


_interop = None


def set_num_interop_threads(number):
    """How many operators may run beside each other; can be set once.

    Operators of this build run one after the other in the thread that calls them: the number is
    kept for `get_num_interop_threads`. RuntimeError for what is no positive integer, and the second
    time.
    """
    global _interop
    if not isinstance(number, int) or isinstance(number, bool):
        raise RuntimeError(f"set_num_interop_threads expects an int, but got {type(number).__name__}")
    if number <= 0:
        raise RuntimeError("set_num_interop_threads expects a positive integer")
    if _interop is not None:
        raise RuntimeError(
            "Error: cannot set number of interop threads after parallel work has started or set_num_interop_threads called"
        )
    _interop = number


def get_num_interop_threads():
    """What `set_num_interop_threads` said; the number of CPUs where it was not called."""
    return _C._build_facts()[3] if _interop is None else _interop


def compiled_with_cxx11_abi():
    """True: what programs ask of libstdc++ holds (this library has no C++ interface)."""
    return True


def get_file_path(*path_components):
    """The path of a file in the folder of the package."""
    import os

    return os.path.join(os.path.dirname(__file__), *path_components)
