"""The old name of tensors, and the engine behind it."""

from .. import _C
from .._tensor import Tensor

__all__ = ["Variable"]


class _Engine:
    """The backward engine."""

    def queue_callback(self, callback):
        """Calls `callback()` when the running backward is through. Raises RuntimeError outside."""
        _C._queue_callback(callback)

    def is_checkpoint_valid(self):
        """Whether the running backward computes the gradients of every leaf; True outside."""
        return _C._is_checkpoint_valid()

    def run_backward(self, *args, **kwargs):
        return _C._run_backward(*args, **kwargs)


class _VariableMeta(type):
    def __instancecheck__(cls, instance):
        return isinstance(instance, Tensor)


class Variable(metaclass=_VariableMeta):
    """`Variable(tensor, requires_grad=False)` is the tensor's data with that flag."""

    _execution_engine = _Engine()

    def __new__(cls, data, requires_grad=False):
        return data.detach().requires_grad_(requires_grad)
