"""Forward mode: tensors that carry a tangent, which operators carry on.

Reference behaviour: PyTorch 2.13's `torch.autograd.forward_ad`. One level can be open at a time;
`torch.func.jvp` nests.
"""

from collections import namedtuple

from .. import _C
from ..utils._contextlib import _DecoratorContextManager

__all__ = [
    "UnpackedDualTensor", "enter_dual_level", "exit_dual_level", "make_dual", "unpack_dual", "dual_level",
]

_F = _C._functorch
_current_level = -1
_number = None  # the core's number of the open level

UnpackedDualTensor = namedtuple("UnpackedDualTensor", ["primal", "tangent"])
UnpackedDualTensor.__doc__ = "A tensor and its tangent (None: it has none)."


def enter_dual_level():
    """Opens a level and gives its number, 0. RuntimeError while one is open."""
    global _current_level, _number

    if _current_level != -1:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    _number = _F._fw_enter()
    _current_level = 0
    return _current_level


def exit_dual_level(*, level=None):
    """Closes the level; tangents made in it are gone. RuntimeError for another than the open one."""
    global _current_level, _number

    if level is None:
        level = _current_level
    if level != _current_level:
        raise RuntimeError("Trying to exit a forward AD level that was not the last one that was created. This "
                           "is not supported.")
    if level < 0:
        raise RuntimeError("Dual level must be a positive number.")
    _F._fw_exit()
    _current_level, _number = -1, None


def make_dual(tensor, tangent, *, level=None):
    """A view of `tensor` that carries `tangent`, of the same size, both floating point or complex.

    Raises RuntimeError without an open level, for another size, or where there is a tangent already;
    ValueError for other dtypes. Reference: torch.autograd.forward_ad.make_dual.
    """
    if level is None:
        level = _current_level
    if level < 0:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to "
            "enter_dual_level() first."
        )
    if not (tensor.is_floating_point() or tensor.is_complex()):
        raise ValueError(f"Expected primal to be floating point or complex, but got: {tensor.dtype}")
    if not (tangent.is_floating_point() or tangent.is_complex()):
        raise ValueError(f"Expected tangent to be floating point or complex, but got: {tangent.dtype}")
    if level != _current_level:
        raise RuntimeError("Invalid level given to _make_dual")
    if _F._tangent_of(tensor, _number) is not None:
        raise RuntimeError(
            "Making a dual Tensor based on a Tensor that already has a forward gradient at the same level "
            f"{level} is not supported."
        )
    _check_size(tensor, tangent)
    return _F._make_dual(tensor, tangent, _number)


def _check_size(tensor, tangent):
    if tensor.shape != tangent.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original Tensor, "
            f"this is not supported. Tensor is of size {list(tensor.shape)} while the given forward gradient "
            f"is of size {list(tangent.shape)}."
        )


def unpack_dual(tensor, *, level=None):
    """(primal, tangent) of `tensor`; the tangent is None where there is none."""
    if level is None:
        level = _current_level
    if not isinstance(tensor, _C.TensorBase):
        raise TypeError(
            f"_unpack_dual(): argument 'dual' (position 1) must be Tensor, not {type(tensor).__name__}"
        )
    if level < 0 or _number is None:
        return UnpackedDualTensor(tensor, None)
    tangent = _F._tangent_of(tensor, _number)
    primal = tensor.view_as(tensor) if tangent is not None else tensor
    if tangent is not None:
        _F._set_tangent(primal, None, _number)
    return UnpackedDualTensor(primal, tangent)


class dual_level(_DecoratorContextManager):
    """Context manager and decorator: a level of forward mode is open inside."""

    def __enter__(self):
        return enter_dual_level()

    def __exit__(self, exc_type, exc_value, traceback):
        exit_dual_level()


class _set_fwd_grad_enabled(_DecoratorContextManager):
    """Switches forward mode at once; as a context manager, until its end."""

    def __init__(self, mode):
        self.prev = _C._is_fwd_grad_enabled()
        _C._set_fwd_grad_enabled(mode)
        self.mode = mode

    def __enter__(self):
        pass

    def __exit__(self, exc_type, exc_value, traceback):
        _C._set_fwd_grad_enabled(self.prev)

    def clone(self):
        return self.__class__(self.mode)


def _is_fwd_grad_enabled():
    """Whether operators carry tangents on."""
    return _C._is_fwd_grad_enabled()
