"""Switches and facts of computing backends: torch.backends.

The libraries of other devices are not part of this build: their switches keep what is set and
change nothing, questions have the answer "not available". Reference behaviour: torch.backends.
"""

import types
from contextlib import contextmanager

from . import _precision

__all__ = ["disable_global_flags", "flags", "flags_frozen", "set_flags", "fp32_precision"]

_frozen = False
_inside_flags = False


def disable_global_flags():
    """From now on switches change only inside a flags() context."""
    global _frozen
    _frozen = True


def flags_frozen():
    """Whether disable_global_flags() was called."""
    return _frozen


@contextmanager
def __allow_nonbracketed_mutation():
    global _frozen
    before = _frozen
    _frozen = False
    try:
        yield
    finally:
        _frozen = before


globals()["__allow_nonbracketed_mutation"] = __allow_nonbracketed_mutation


class _Flag:
    """A switch of a module: a property whose assignment obeys disable_global_flags()."""

    def __init__(self, name, getter, setter=None, label=None):
        self.name, self.getter, self.setter, self.label = name, getter, setter, label

    def __get__(self, module, owner=None):
        return self if module is None else self.getter()

    def __set__(self, module, value):
        if self.setter is None:
            raise RuntimeError("Assignment not supported")
        if _frozen and self.label is not None:
            raise RuntimeError(
                f"not allowed to set {self.label} flags after disable_global_flags; please use flags() context manager "
                "instead"
            )
        self.setter(value)


def _checked_bool(value, name):
    if not isinstance(value, bool):
        raise RuntimeError(f"{name} expects a bool, but got {type(value).__name__}")
    return value


def _flag(state, name, label, setter_name=None, check=None):
    """A switch that lives in the dict `state`; what is assigned must be a bool (setter_name is in
    the error) or pass `check`."""

    def set_value(value):
        if setter_name:
            _checked_bool(value, setter_name)
        state[name] = value if check is None else check(value)

    return _Flag(name, lambda: state[name], set_value, label)


def _with_flags(module_name, *switches):
    """Turns a module into one whose switches are properties."""
    import sys

    module = sys.modules[module_name]
    cls = type("BackendModule", (types.ModuleType,), {f.name: f for f in switches})
    for f in switches:
        module.__dict__.pop(f.name, None)
    module.__class__ = cls


class _FP32Precision:
    """The precision of float32 work of one backend and kind of operator: `fp32_precision` is
    "none" (as the level above says), "ieee", "tf32" or "bf16"."""

    def __init__(self, backend, op, label):
        self.__dict__.update(_backend=backend, _op=op, _label=label)

    @property
    def fp32_precision(self):
        return _precision.get(self._backend, self._op)

    @fp32_precision.setter
    def fp32_precision(self, value):
        if _frozen:
            raise RuntimeError(
                f"not allowed to set {self._label} flags after disable_global_flags; please use flags() context manager "
                "instead"
            )
        _precision.put(self._backend, self._op, value)

    def __setattr__(self, name, value):
        if name != "fp32_precision":
            raise AttributeError("Unknown attribute " + name)
        super().__setattr__(name, value)


def set_flags(_fp32_precision="none"):
    """Sets fp32_precision; returns what it was, in a tuple."""
    before = (_precision.get("generic", "all"),)
    if _fp32_precision is not None:
        _precision.put("generic", "all", _fp32_precision)
    return before


@contextmanager
def flags(fp32_precision="none"):
    """Other switches inside a `with`."""
    with __allow_nonbracketed_mutation():
        before = set_flags(fp32_precision)
    try:
        yield
    finally:
        with __allow_nonbracketed_mutation():
            set_flags(*before)


_MODULES = frozenset(
    "cpu cuda cudnn cusparselt kleidiai mha miopen mkl mkldnn mps nnpack openmp opt_einsum quantized".split()
)


class _Backends(types.ModuleType):
    fp32_precision = _Flag(
        "fp32_precision",
        lambda: _precision.get("generic", "all"),
        lambda value: _precision.put("generic", "all", value),
        "torch.backends",
    )

    def __getattr__(self, name):
        if name in _MODULES:
            import importlib

            return importlib.import_module(f"{__name__}.{name}")
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")

    def __dir__(self):
        return sorted({*self.__dict__, *_MODULES, "fp32_precision"})


def _become():
    import sys

    sys.modules[__name__].__class__ = _Backends


_become()
