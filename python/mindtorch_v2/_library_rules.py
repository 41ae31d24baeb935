"""What `torch.library` registers for the layers above the kernels: vmap, autocast, fake kernels.

library.py has the functions that programs call; this is loaded when one of them is used.
"""

from collections import namedtuple
from contextlib import contextmanager

from . import _C
from ._dispatch import _dispatch_has_computed_kernel_for_dispatch_key, _parse_dispatch_key

VmapInfo = namedtuple("VmapInfo", "batch_size randomness")


# ---- vmap -----------------------------------------------------------------------------------


# the key of batched tensors; it lies below autograd (csrc/autograd/vmap.c)
VMAP_KEY = "FuncTorchDynamicLayerBackMode"


def make_vmap(overload, function):
    """The kernel for batched tensors: takes the batch of the highest level off, asks `function`, puts
    it back on."""
    from .utils._pytree import tree_flatten, tree_unflatten

    F = _C._functorch

    def kernel(*args, **kwargs):
        leaves, spec = tree_flatten((args, kwargs))
        batches = [F._batch_of(x) if isinstance(x, _C.TensorBase) else None for x in leaves]
        level = max(b[1] for b in batches if b is not None)
        here = [b if b is not None and b[1] == level else None for b in batches]
        values = [x if b is None else b[0] for x, b in zip(leaves, here)]
        dims = [None if b is None else b[2] for b in here]
        plain_args, plain_kwargs = tree_unflatten(values, spec)
        in_dims, _ = tree_unflatten(dims, spec)
        info = VmapInfo(*F._vmap_info(level))
        # without this level, and with the layers above it: the values may need gradients outside
        result = F._outside(
            level,
            _C.is_grad_enabled(),
            len(F._forward_levels()),
            lambda: function(info, in_dims, *plain_args, **plain_kwargs),
        )
        if not isinstance(result, tuple) or len(result) != 2:
            raise RuntimeError(
                f"register_vmap: the rule of {overload} must return (results, out_dims), got {type(result)}"
            )
        outputs, out_dims = result
        flat, out_spec = tree_flatten(outputs)
        if isinstance(out_dims, (tuple, list)):
            where = tree_flatten(tuple(out_dims), is_leaf=lambda d: d is None)[0]
        else:
            where = [out_dims] * len(flat)
        if len(where) != len(flat):
            raise RuntimeError(
                f"register_vmap: the rule of {overload} returned {len(flat)} results but {len(where)} out_dims"
            )
        made = [
            x if d is None or not isinstance(x, _C.TensorBase) else F._add_batch_dim(x, d, level)
            for x, d in zip(flat, where)
        ]
        return tree_unflatten(made, out_spec)

    return kernel


# ---- autocast -------------------------------------------------------------------------------


def make_autocast(overload, device_type, dtype):
    """The kernel under autocast: casts, then runs the operator without autocast."""
    from .utils._pytree import tree_map

    key = f"Autocast{device_type.upper()}"

    def cast(x):
        fits = isinstance(x, _C.TensorBase) and x.is_floating_point() and x.device.type == device_type
        return x.to(dtype) if fits and x.dtype is not _float64() else x

    def kernel(*args, **kwargs):
        args, kwargs = tree_map(cast, (args, kwargs))
        with _C._ExcludeDispatchKeyGuard(_C.DispatchKeySet(_C.DispatchKey.__members__[key])):
            return overload(*args, **kwargs)

    return kernel


def _float64():
    return _C.float64


# ---- fake kernels ---------------------------------------------------------------------------

_inside = []  # the operators whose fake kernel runs


@contextmanager
def fake_kernel(operator):
    _inside.append(operator)
    try:
        yield
    finally:
        _inside.pop()


def context():
    if _inside:
        function = _inside[-1]._fake
        place = f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}" if hasattr(function, "__code__") else ""
        raise RuntimeError(
            f"{_inside[-1]._qualname} ({place}): You're trying to run this operator with meta Tensors (as opposed to "
            "FakeTensors), but this operator may return an output Tensor with data-dependent shape. Meta Tensors don't "
            "support operators with outputs that have data-dependent shapes but FakeTensors do. If your operator does "
            "not return an output with data-dependent shape, make sure the FakeTensor and/or meta kernel does not call "
            "torch.library.get_ctx(). Otherwise, please use FakeTensors."
        )
    return None


# ---- kernels --------------------------------------------------------------------------------


class Kernel:
    """The kernel of an operator for a dispatch key."""

    def __init__(self, overload, key):
        found = _parse_dispatch_key(key) if isinstance(key, str) else key
        if found is None:
            raise ValueError(f"Invalid dispatch key: {key}")
        if not _dispatch_has_computed_kernel_for_dispatch_key(overload.name(), found):
            raise RuntimeError(f"no kernel for {found.name} is registered for {overload.name()}")
        self._overload, self._key = overload, found

    def call_boxed(self, keys, /, *args, **kwargs):
        """Runs the kernel; `keys` is the DispatchKeySet that it sees."""
        return self._overload.redispatch(keys, *args, **kwargs)

    def __repr__(self):
        return f"SafeKernelFunction(debug='{self._overload.name()} for {self._key.name}')"


@contextmanager
def kernel_enabled(operator, device_type, enabled):
    before = set(operator._disabled)
    if device_type not in operator._kernels:
        import logging

        logging.getLogger(__name__).warning(
            "Attempted to %s kernel for %s but no kernel was registered for this device type.",
            "enable" if enabled else "disable",
            device_type,
        )
    if enabled:
        operator._disabled.discard(device_type)
    else:
        operator._disabled.add(device_type)
    try:
        yield
    finally:
        operator._disabled = before
