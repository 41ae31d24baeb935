"""torch.cuda in a build without CUDA: questions are answered, everything else is refused."""

from .. import _absent_device
from .._errors import AcceleratorError, OutOfMemoryError  # noqa: F401

globals().update(_absent_device.functions("CUDA"))
globals().update(_absent_device.dummies("CUDA", ["CUDAGraph", "Event", "MemPool"]))
device, device_of = _absent_device.device_context("CUDA", "cuda")
default_generators = ()
has_half = True
has_magma = False


class Stream:
    """A stream of work on a device. Raises RuntimeError: there is none."""

    def __new__(cls, *args, **kwargs):
        raise RuntimeError("torch.cuda.Stream requires CUDA support")


class StreamContext:
    """Chooses a stream for a block; None changes nothing."""

    def __init__(self, stream):
        self.stream = stream

    def __enter__(self):
        if self.stream is not None:
            init()  # noqa: F821

    def __exit__(self, kind, value, traceback):
        return False


def stream(stream):
    """A StreamContext."""
    return StreamContext(stream)


class DeferredCudaCallError(Exception):
    """An error of a call that waited for the device."""


class CudaError(RuntimeError):
    """An error of the CUDA runtime with its code."""

    def __init__(self, code):
        super().__init__(f"CUDA error ({code})")


def is_current_stream_capturing() -> bool:
    """Whether work is being recorded into a graph. RuntimeError: there is no stream."""
    raise RuntimeError("Tried to instantiate dummy base class _cuda_isCurrentStreamCapturing")


def ipc_collect():
    """Raises AssertionError: CUDA is not part of this build."""
    init()  # noqa: F821


def __getattr__(name):
    import importlib

    if name in ("amp", "nvtx", "random", "memory"):
        return importlib.import_module(f"{__name__}.{name}")
    if name.endswith("Tensor") and name[:-6] in (
        "Float Double Half BFloat16 Byte Char Short Int Long Bool".split()
    ):
        globals()[name] = _missing_type(name)
        return globals()[name]
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def _missing_type(name):
    def __new__(cls, *args, **kwargs):
        raise TypeError(
            f"type torch.cuda.{name} not available. Torch not compiled with CUDA enabled."
        )

    class meta(type):
        def __instancecheck__(cls, instance):
            return False

    return meta(name, (), {"__new__": __new__, "__doc__": "A legacy class of the device."})
