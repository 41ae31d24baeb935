"""torch.jit with the compiler switched off.

PyTorch runs in this way where the environment says PYTORCH_JIT=0: `script` and `trace` hand back what
they were given, the program runs eagerly and computes the same values. It is the only way here.
Compiled programs cannot be loaded or saved: `torch.jit.load` and `save` are absent.
"""

from typing import Final  # noqa: F401

from ..nn import Module as _Module


class Error(RuntimeError):
    """An error in a compiled program."""


class ScriptModule(_Module):
    """Base class of modules written for the compiler; without it a Module like any other."""


class ScriptFunction:
    """The class of compiled functions; nothing is of it here."""


class Attribute:
    """A value with its type. With the compiler off `Attribute(value, type)` is the value itself."""

    def __new__(cls, value, type):
        return value


def script(obj, optimize=None, _frames_up=0, _rcb=None, example_inputs=None):
    """Returns `obj` (a module, function or class), which runs eagerly."""
    return obj


def trace(
    func,
    example_inputs=None,
    optimize=None,
    check_trace=True,
    check_inputs=None,
    check_tolerance=1e-05,
    strict=True,
    _force_outplace=False,
    _module_class=None,
    _compilation_unit=None,
    example_kwarg_inputs=None,
    _store_inputs=True,
):
    """Returns `func`, which runs eagerly; the examples are not looked at."""
    return func


def trace_module(mod, inputs, *args, **kwargs):
    """Returns `mod`, which runs eagerly."""
    return mod


def script_method(fn):
    """Returns `fn`."""
    return fn


def script_if_tracing(fn):
    """Returns `fn`: there is no tracing."""
    return fn


def export(fn):
    """Marks a method for the compiler; returns it."""
    return fn


def unused(fn):
    """Marks a function that the compiler leaves out; returns it."""
    return fn


def ignore(drop=False, **kwargs):
    """Marks a function that the compiler leaves to Python; with or without arguments."""
    if callable(drop):
        return drop
    if not isinstance(drop, bool):
        raise RuntimeError(f"Argument to @torch.jit.ignore must be a bool or a function but got {drop}")
    return lambda fn: fn


def interface(obj):
    """Marks a class as an interface for the compiler; returns it."""
    return obj


def annotate(the_type, the_value):
    """Returns `the_value`; `the_type` is for the compiler."""
    return the_value


def isinstance(obj, target_type):
    """Whether `obj` is of a type, or of one of a tuple of types; containers may name the types of
    their items (`List[int]`, `Optional[Tensor]`), which are looked at too."""
    import builtins
    import typing

    if builtins.isinstance(target_type, tuple):
        return any(isinstance(obj, each) for each in target_type)
    origin, inner = typing.get_origin(target_type), typing.get_args(target_type)
    if origin is None:
        return builtins.isinstance(obj, target_type)
    if origin is typing.Union:
        return any(isinstance(obj, each) for each in inner)
    if not builtins.isinstance(obj, origin):
        return False
    if origin is list:
        return all(isinstance(item, inner[0]) for item in obj)
    if origin is tuple:
        return len(obj) == len(inner) and all(map(isinstance, obj, inner))
    if origin is dict:
        return all(isinstance(k, inner[0]) and isinstance(v, inner[1]) for k, v in obj.items())
    return True


def is_scripting() -> bool:
    """False: nothing is being compiled."""
    return False


def is_tracing() -> bool:
    """False: nothing is being traced."""
    return False


class optimized_execution:
    """A block with the compiler's optimisations on or off: no difference here."""

    def __init__(self, should_optimize):
        self.should_optimize = should_optimize

    def __enter__(self):
        return None

    def __exit__(self, kind, value, traceback):
        return False
