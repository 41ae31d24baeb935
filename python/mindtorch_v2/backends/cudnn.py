"""Switches of cuDNN, which is not part of this build: they keep what is set."""

import contextlib

from . import _checked_bool, _FP32Precision, _Flag, _flag, _precision, _with_flags
from . import __dict__ as _backends

_state = {
    "enabled": True, "benchmark": False, "benchmark_limit": None, "deterministic": False, "depthwise_kernel": "auto",
}  # fmt: skip
_LABEL = "torch.backends.cudnn"


def version():
    """None: no cuDNN."""
    return None


def is_available():
    """False."""
    return False


def is_acceptable(tensor):
    """Whether cuDNN computes with the tensor: False."""
    return False


def _depthwise(value):
    if value not in ("auto", "cudnn", "native"):
        raise RuntimeError(f"Unknown cuDNN depthwise kernel mode: {value}. Expected one of: auto, cudnn, native")
    return value


def set_flags(
    _enabled=None,
    _benchmark=None,
    _benchmark_limit=None,
    _deterministic=None,
    _allow_tf32=None,
    _fp32_precision="none",
    _depthwise_kernel=None,
):
    """Sets the switches that are not None; returns what all were."""
    before = (
        _state["enabled"],
        _state["benchmark"],
        None,
        _state["deterministic"],
        _precision.get_cudnn_tf32(),
        _precision.get("cuda", "all"),
        _state["depthwise_kernel"],
    )
    for name, value in (("enabled", _enabled), ("benchmark", _benchmark), ("deterministic", _deterministic)):
        if value is not None:
            _state[name] = _checked_bool(value, f"set_{name}_cudnn")
    if _allow_tf32 is not None:
        _precision.set_cudnn_tf32(_checked_bool(_allow_tf32, "set_allow_tf32_cublas"))
    if _fp32_precision is not None:
        _precision.put("cuda", "all", _fp32_precision)
    if _depthwise_kernel is not None:
        _state["depthwise_kernel"] = _depthwise(_depthwise_kernel)
    return before


@contextlib.contextmanager
def flags(
    enabled=False,
    benchmark=False,
    benchmark_limit=10,
    deterministic=False,
    allow_tf32=True,
    fp32_precision="none",
    depthwise_kernel="auto",
):
    """Other switches inside a `with`."""
    free = _backends["__allow_nonbracketed_mutation"]
    with free():
        before = set_flags(
            enabled, benchmark, benchmark_limit, deterministic, allow_tf32, fp32_precision, depthwise_kernel
        )
    try:
        yield
    finally:
        with free():
            set_flags(*before)


conv = _FP32Precision("cuda", "conv", _LABEL)
rnn = _FP32Precision("cuda", "rnn", _LABEL)

_with_flags(
    __name__,
    _flag(_state, "enabled", _LABEL, "set_enabled_cudnn"),
    _flag(_state, "benchmark", _LABEL, "set_benchmark_cudnn"),
    _flag(_state, "deterministic", _LABEL, "set_deterministic_cudnn"),
    _flag(_state, "benchmark_limit", _LABEL),
    _flag(_state, "depthwise_kernel", _LABEL, check=_depthwise),
    _Flag(
        "allow_tf32",
        _precision.get_cudnn_tf32,
        lambda v: _precision.set_cudnn_tf32(_checked_bool(v, "set_allow_tf32_cublas")),
        _LABEL,
    ),
    _Flag("fp32_precision", lambda: _precision.get("cuda", "all"), lambda v: _precision.put("cuda", "all", v), _LABEL),
)
