"""Which ways `scaled_dot_product_attention` may take.

On the CPU there are two: block by block (FLASH_ATTENTION), which never makes the matrix of scores,
and step by step (MATH). The other ways belong to devices that are not part of this build; they can
be named, and where nothing else is allowed attention raises RuntimeError.
"""

import contextlib
import enum

import mindtorch_v2 as _torch

__all__ = ["SDPBackend", "sdpa_kernel", "WARN_FOR_UNFUSED_KERNELS"]

WARN_FOR_UNFUSED_KERNELS = False


class SDPBackend(enum.Enum):
    """The ways, with PyTorch's numbers."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4

    def __int__(self):
        return self.value

    __index__ = __int__


_WAYS = [way for way in SDPBackend if way is not SDPBackend.ERROR]
_DEFAULT_PRIORITY = (
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.OVERRIDEABLE,
)
_priority = _DEFAULT_PRIORITY


def _cur_sdpa_kernel_backends(with_priority=False):
    allowed = [way for way in _DEFAULT_PRIORITY if _torch._C._get_sdp_enabled(way.value)]
    if with_priority:
        allowed.sort(key=_priority.index)
    return allowed


@contextlib.contextmanager
def sdpa_kernel(backends, set_priority=False):
    """Inside the ``with``, attention takes only the given ways.

    Args:
        backends (SDPBackend or list of SDPBackend): what is allowed.
        set_priority (bool): whether the order of the list is that of preference. The CPU prefers
            FLASH_ATTENTION where it is possible, whatever the order.

    Raises:
        AssertionError: `backends` is neither an SDPBackend nor a list.
        RuntimeError: from the attention inside, if no allowed way can do it.
    """
    global _priority
    assert isinstance(backends, (list, SDPBackend)), (
        "Backend must be an instance of SDPBackend or a list of SDPBackend instances, got "
        f"{type(backends).__name__}"
    )
    wanted = list(dict.fromkeys(backends if isinstance(backends, list) else [backends]))
    before = [_torch._C._get_sdp_enabled(way.value) for way in _WAYS]
    priority = _priority
    try:
        if set_priority:
            _priority = (*wanted, *(way for way in _DEFAULT_PRIORITY if way not in wanted))
        for way in _WAYS:
            _torch._C._set_sdp_enabled(way.value, way in wanted)
        yield {}
    finally:
        for way, enabled in zip(_WAYS, before, strict=True):
            _torch._C._set_sdp_enabled(way.value, enabled)
        _priority = priority


def __getattr__(name):
    if name == "bias":
        import importlib

        return importlib.import_module(f"{__name__}.bias")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
