"""The default device: a mode that adds ``device=`` to calls that make tensors.

``with torch.device("meta"):`` puts the mode on top of the stack for a block,
`torch.set_default_device` at its bottom for the rest of the thread. Where no device was ever set, none
of this is loaded.
"""

from .. import _C
from ..overrides import TorchFunctionMode, _get_current_function_mode_stack, _pop_mode, _push_mode

# Functions that make a tensor from no tensor; those that are not built are left out.
_NAMES = (
    "empty empty_permuted empty_strided empty_quantized ones arange bartlett_window blackman_window "
    "eye full fill hamming_window hann_window kaiser_window linspace logspace nested_tensor rand "
    "randn randint randperm range sparse_coo_tensor sparse_compressed_tensor sparse_csr_tensor "
    "sparse_csc_tensor sparse_bsr_tensor sparse_bsc_tensor tril_indices triu_indices zeros asarray "
    "tensor as_tensor scalar_tensor"
).split()
_constructors = None


def _device_constructors():
    """The functions that take the default device."""
    global _constructors
    if _constructors is None:
        import mindtorch_v2 as torch

        found = {getattr(torch, name, None) for name in _NAMES}
        for space, names in (("fft", ("fftfreq", "rfftfreq")),):
            home = getattr(torch, space, None)
            found.update(getattr(home, name, None) for name in names)
        _constructors = found - {None}
    return _constructors


class DeviceContext(TorchFunctionMode):
    """Gives constructors that were called without a device the device of this context."""

    def __init__(self, device):
        self.device = _C.device(device)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if kwargs.get("device") is None and func in _device_constructors():
            kwargs = {**kwargs, "device": self.device}
        return func(*args, **kwargs)


# torch.device's own methods call these

_local = None


def _open():
    """The contexts of the calling thread that `with device` opened, innermost last."""
    global _local
    if _local is None:
        import threading

        _local = threading.local()
    if not hasattr(_local, "stack"):
        _local.stack, _local.default = [], None
    return _local


def _enter(device, unused=None):
    """``device.__enter__``."""
    mode = DeviceContext(device)
    mode.__enter__()
    _open().stack.append(mode)
    return device


def _exit(device, error=None):
    """``device.__exit__``."""
    _open().stack.pop().__exit__(None, None, None)


def _decorate(device, function):
    """``device(function)``: runs the function with the device as default."""
    import functools

    @functools.wraps(function)
    def decorated(*args, **kwargs):
        with device:
            return function(*args, **kwargs)

    return decorated


def set_device(device):
    """Puts the device below all modes of this thread; None takes it away again."""
    local = _open()
    modes = [_pop_mode() for _ in _get_current_function_mode_stack()]  # innermost first
    if local.default is not None:
        modes = [mode for mode in modes if mode is not local.default]
    local.default = None if device is None else DeviceContext(device)
    if local.default is not None:
        _push_mode(local.default)
    for mode in reversed(modes):
        _push_mode(mode)


def current_device():
    """The device that constructors take by default."""
    for mode in reversed(_get_current_function_mode_stack()):
        if isinstance(mode, DeviceContext):
            if mode.device.index is not None:
                return mode.device
            return _C.tensor([], device=mode.device).device
    return _C.device("cpu")
