"""Modes that see every operator below autograd, and helpers for subclasses with __torch_dispatch__."""

import contextlib

from .. import _C
from .._C import (
    _get_dispatch_stack_at,
    _len_torch_dispatch_stack,
    _pop_torch_dispatch_stack,
    _push_on_torch_dispatch_stack,
)


class TorchDispatchMode:
    """Takes over every operator called inside its ``with`` block, below autograd.

    Subclasses define ``__torch_dispatch__(self, func, types, args=(), kwargs=None)``: `func` is the
    `OpOverload`, `types` the classes of the arguments that have a `__torch_dispatch__`, and the
    result is the operator's. While the method runs the mode is off: operators called inside reach
    the next mode outward.
    """

    def __init__(self, _dispatch_key=None):
        if _dispatch_key is not None:
            raise NotImplementedError("TorchDispatchMode: _dispatch_key is not supported")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        raise NotImplementedError

    def __enter__(self):
        _push_mode(self)
        return self

    def __exit__(self, exc_type, exc_val, exc_tb):
        _pop_mode()

    @classmethod
    def push(cls, *args, **kwargs):
        """The mode itself; ``with Mode():`` is enough."""
        return cls(*args, **kwargs)


class BaseTorchDispatchMode(TorchDispatchMode):
    """The mode that changes nothing: runs the operator."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


def _get_current_dispatch_mode():
    """The innermost mode, None outside."""
    n = _len_torch_dispatch_stack()
    return _get_dispatch_stack_at(n - 1) if n else None


def _get_current_dispatch_mode_stack():
    """The modes, outermost first."""
    return [_get_dispatch_stack_at(i) for i in range(_len_torch_dispatch_stack())]


def is_in_torch_dispatch_mode(include_infra_modes=True):
    """Whether a mode is active."""
    return _len_torch_dispatch_stack() > 0


def _push_mode(mode):
    _push_on_torch_dispatch_stack(mode)


def _pop_mode(k=None):
    return _pop_torch_dispatch_stack()


@contextlib.contextmanager
def _pop_mode_temporarily(k=None):
    """The innermost mode is off the stack and handed to the block."""
    mode = _pop_mode()
    try:
        yield mode
    finally:
        _push_mode(mode)


@contextlib.contextmanager
def _disable_current_modes():
    """No mode is active inside; yields those that were, outermost first."""
    modes = [_pop_mode() for _ in range(_len_torch_dispatch_stack())][::-1]
    try:
        yield modes
    finally:
        for mode in modes:
            _push_mode(mode)


# ---- subclasses that wrap tensors -----------------------------------------------------------


def is_traceable_wrapper_subclass_type(t):
    """Whether the class can be taken apart: it has __tensor_flatten__ and __tensor_unflatten__."""
    from .._tensor import Tensor

    return (
        t is not Tensor and issubclass(t, Tensor) and hasattr(t, "__tensor_flatten__") and hasattr(t, "__tensor_unflatten__")
    )


def is_traceable_wrapper_subclass(t):
    """Whether `t` is a tensor of such a class."""
    return is_traceable_wrapper_subclass_type(type(t))


def transform_subclass(t, callback, outer_size=None, outer_stride=None):
    """The subclass tensor with each tensor inside replaced by ``callback(name, tensor)``."""
    names, context = t.__tensor_flatten__()
    inner = {name: callback(name, getattr(t, name)) for name in names}
    made = type(t).__tensor_unflatten__(
        inner, context, t.size() if outer_size is None else outer_size, t.stride() if outer_stride is None else outer_stride
    )
    return made


def _alias_sets(argument):
    return argument.alias_info.after_set if argument.alias_info else set()


def return_and_correct_aliasing(func, args, kwargs, out):
    """What a wrapper subclass returns from ``__torch_dispatch__``.

    For a view the result shares the storage of the wrapped argument, as the schema says; for an
    operator that writes in place the argument itself is returned, not a new wrapper.
    """
    from .._tensor import Tensor

    schema = func._schema
    given = {}  # alias name -> argument
    for i, argument in enumerate(schema.arguments):
        value = args[i] if i < len(args) else (kwargs or {}).get(argument.name)
        for name in _alias_sets(argument):
            given[name] = (argument, value)
    results = list(out) if len(schema.returns) > 1 else [out]
    for i, returned in enumerate(schema.returns):
        for name in _alias_sets(returned):
            if name not in given:
                continue
            argument, value = given[name]
            if argument.is_write:
                results[i] = value
                continue
            for t in results[i] if isinstance(results[i], (tuple, list)) else (results[i],):
                if isinstance(t, Tensor) and isinstance(value, Tensor) and t is not value:
                    with _C._DisableTorchDispatch(), _C.DisableTorchFunctionSubclass():
                        _C._share_storage(t, value)
    if len(schema.returns) > 1:
        return type(out)(results)
    return results[0]
