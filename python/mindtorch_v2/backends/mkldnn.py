"""Switches of oneDNN. This build computes with its own kernels on the CPU: `is_available()` is
False, the switches keep what is set."""

import contextlib

from . import _checked_bool, _FP32Precision, _Flag, _flag, _precision, _with_flags
from . import __dict__ as _backends

VERBOSE_OFF = 0
VERBOSE_ON = 1
VERBOSE_ON_CREATION = 2

_state = {"enabled": True, "deterministic": False, "allow_tf32": None}
_LABEL = "torch.backends.mkldnn"


def is_available():
    """False: oneDNN is not part of this build."""
    return False


def is_acl_available():
    """False: the Arm Compute Library is not part of this build."""
    return False


class verbose:
    """Context manager that would make oneDNN report its calls; entering it with anything but
    VERBOSE_OFF raises AssertionError, as there is nothing that could report."""

    def __init__(self, level):
        self.level = level

    def __enter__(self):
        if self.level != VERBOSE_OFF:
            raise AssertionError("Failed to set MKLDNN into verbose mode. Please consider to disable this verbose scope.")
        return self

    def __exit__(self, exc_type, exc_val, exc_tb):
        return False


def set_flags(_enabled=None, _deterministic=None, _allow_tf32=None, _fp32_precision="none"):
    """Sets the switches that are not None; returns what all were."""
    before = (_state["enabled"], _state["deterministic"], _state["allow_tf32"], _precision.get("mkldnn", "all"))
    if _enabled is not None:
        _state["enabled"] = _checked_bool(_enabled, "set_enabled_mkldnn")
    if _deterministic is not None:
        _state["deterministic"] = _checked_bool(_deterministic, "set_deterministic_mkldnn")
    if _fp32_precision is not None:
        _precision.put("mkldnn", "all", _fp32_precision)
    return before


@contextlib.contextmanager
def flags(enabled=False, deterministic=False, allow_tf32=True, fp32_precision="none"):
    """Other switches inside a `with`."""
    free = _backends["__allow_nonbracketed_mutation"]
    with free():
        before = set_flags(enabled, deterministic, allow_tf32, fp32_precision)
    try:
        yield
    finally:
        with free():
            set_flags(*before)


matmul = _FP32Precision("mkldnn", "matmul", _LABEL)
conv = _FP32Precision("mkldnn", "conv", _LABEL)
rnn = _FP32Precision("mkldnn", "rnn", _LABEL)

_with_flags(
    __name__,
    _flag(_state, "enabled", _LABEL, "set_enabled_mkldnn"),
    _flag(_state, "deterministic", _LABEL, "set_deterministic_mkldnn"),
    _Flag("allow_tf32", lambda: None, lambda v: _checked_bool(v, "set_allow_tf32_mkldnn"), _LABEL),
    _Flag("fp32_precision", lambda: _precision.get("mkldnn", "all"), lambda v: _precision.put("mkldnn", "all", v), _LABEL),
)
