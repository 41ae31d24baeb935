"""Helpers below many modules: what pickles of tensors call to make them again, exceptions that
travel between processes, conversions of devices and dotted names.

The `_rebuild_*` functions are named by files and pickles (in files of torch.save under `torch.`),
so their names and parameters are part of the format.
"""

from . import _C

# ---- tensors out of pickles ----


def _empty(dtype, device):
    import mindtorch_v2 as torch

    return torch.empty((0,), dtype=dtype, device=device)


def _rebuild_tensor(storage, storage_offset, size, stride):
    """A tensor that is a window on a typed storage."""
    untyped = storage._untyped_storage
    return _empty(storage.dtype, untyped.device).set_(untyped, storage_offset, size, stride)


def _rebuild_tensor_v2(
    storage, storage_offset, size, stride, requires_grad, backward_hooks, metadata=None
):
    """Like _rebuild_tensor, with what autograd keeps of a leaf and the lazy bits in `metadata`."""
    untyped = storage._untyped_storage
    tensor = _empty(storage.dtype, untyped.device).set_(untyped, storage_offset, size, stride)
    return _finish(tensor, requires_grad, backward_hooks, metadata)


def _rebuild_tensor_v3(
    storage, storage_offset, size, stride, requires_grad, backward_hooks, dtype, metadata=None
):
    """Like _rebuild_tensor_v2 for dtypes that storages in files cannot name (uint16 and so on)."""
    untyped = getattr(storage, "_untyped_storage", storage)
    tensor = _empty(dtype, untyped.device).set_(untyped, storage_offset, size, stride)
    return _finish(tensor, requires_grad, backward_hooks, metadata)


def _finish(tensor, requires_grad, backward_hooks, metadata):
    if requires_grad is not False:
        tensor.requires_grad = requires_grad
    if metadata:
        set_tensor_metadata(tensor, metadata)
    if backward_hooks:
        tensor._backward_hooks = backward_hooks
    return tensor


def _rebuild_meta_tensor_no_storage(dtype, size, stride, requires_grad):
    import mindtorch_v2 as torch

    return torch.empty_strided(
        size, stride, dtype=dtype, device="meta", requires_grad=requires_grad
    )


def _rebuild_device_tensor_from_numpy(data, dtype, device, requires_grad):
    import mindtorch_v2 as torch

    tensor = torch.from_numpy(data).to(dtype=dtype, device=device)
    tensor.requires_grad = requires_grad
    return tensor


def _rebuild_device_tensor_from_cpu_tensor(data, dtype, device, requires_grad):
    tensor = data.to(dtype=dtype, device=device)
    tensor.requires_grad = requires_grad
    return tensor


def _rebuild_parameter(data, requires_grad, backward_hooks):
    from .nn.parameter import Parameter

    parameter = Parameter(data, requires_grad)
    if backward_hooks:
        parameter._backward_hooks = backward_hooks
    return parameter


def _rebuild_parameter_with_state(data, requires_grad, backward_hooks, state):
    return _set_obj_state(_rebuild_parameter(data, requires_grad, backward_hooks), state)


def _rebuild_from_type_v2(func, new_type, args, state):
    """A tensor of a subclass, or one with attributes of its own: `func(*args)` as `new_type`,
    given `state` by its __setstate__ or attribute by attribute."""
    import mindtorch_v2 as torch

    made = func(*args)
    if type(made) is not new_type:
        made = made.as_subclass(new_type)
    setstate = getattr(new_type, "__setstate__", None)
    if setstate is not None and setstate is not getattr(torch.Tensor, "__setstate__", None):
        made.__setstate__(state)
        return made
    return _set_obj_state(made, state)


def get_tensor_metadata(tensor):
    """The lazy bits of a tensor that are set: {"conj": True, "neg": True}."""
    metadata = {}
    if tensor.is_conj():
        metadata["conj"] = True
    if tensor.is_neg():
        metadata["neg"] = True
    return metadata


def set_tensor_metadata(tensor, metadata):
    """Sets the lazy bits that get_tensor_metadata reports."""
    for name, value in metadata.items():
        if name not in ("conj", "neg"):
            raise RuntimeError(f"Unexpected key `{name}` passed to set_tensor_metadata")
        getattr(_C, f"_set_{name}")(tensor, value)


# ---- tensors into pickles ----


def _get_obj_state(obj):
    """What __setstate__ would take: the attributes, or (attributes, slots) where a class has
    slots with values; None for nothing."""
    state = getattr(obj, "__dict__", None) or None
    slots = {}
    for cls in type(obj).__mro__:
        names = cls.__dict__.get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            if name in ("__dict__", "__weakref__"):
                continue
            if name.startswith("__") and not name.endswith("__"):
                name = f"_{cls.__name__.lstrip('_')}{name}"
            if hasattr(obj, name):
                slots[name] = getattr(obj, name)
    return (state, slots) if slots else state


def _set_obj_state(obj, state):
    """Undoes _get_obj_state; returns obj."""
    if isinstance(state, tuple):
        if len(state) != 2:
            raise RuntimeError(f"Invalid serialized state: {state}")
        attributes, slots = state
    else:
        attributes, slots = state, None
    for part in (attributes, slots):
        if part:
            for name, value in part.items():
                setattr(obj, name, value)
    return obj


def _leaf_arguments(tensor, typed_storage):
    """(rebuild function, its arguments) for a dense tensor; `typed_storage(untyped, dtype)` makes
    what stands for the storage."""
    from collections import OrderedDict

    from .storage import _dtype_to_storage_type_map

    dtype = tensor.dtype
    args = (
        typed_storage(tensor.untyped_storage(), dtype),
        tensor.storage_offset(),
        tuple(tensor.size()),
        tensor.stride(),
        tensor.requires_grad,
        OrderedDict(),
    )
    metadata = get_tensor_metadata(tensor)
    if dtype in _dtype_to_storage_type_map():
        return _rebuild_tensor_v2, args + (metadata,) if metadata else args
    return _rebuild_tensor_v3, args + ((dtype, metadata) if metadata else (dtype,))


def _reduce_tensor(tensor, protocol):
    """Tensor.__reduce_ex__: how copy and pickle take a tensor apart. Non-leaves lose their history
    and keep requires_grad; hooks are not kept, with a warning."""
    import mindtorch_v2 as torch

    from .storage import _wrap

    if tensor._backward_hooks:
        from .utils.hooks import warn_if_has_hooks

        warn_if_has_hooks(tensor)
    if tensor.device.type == "meta":
        func = _rebuild_meta_tensor_no_storage
        args = (tensor.dtype, tuple(tensor.size()), tensor.stride(), tensor.requires_grad)
    else:
        func, args = _leaf_arguments(tensor, _wrap)
    state = _get_obj_state(tensor)
    cls = type(tensor)
    if cls is torch.Tensor and not state:
        return func, args
    getstate = getattr(cls, "__getstate__", None)
    if getstate is not None and getstate is not getattr(object, "__getstate__", None):
        state = tensor.__getstate__()
    return _rebuild_from_type_v2, (func, cls, args, state)


# ---- exceptions ----


class KeyErrorMessage(str):
    """A message that KeyError shows as it is, line breaks and all."""

    def __repr__(self):
        return self


class ExceptionWrapper:
    """An exception on its way to another thread or process: type and formatted traceback, since
    the traceback itself cannot travel.

    `exc_info` is what sys.exc_info() gives, by default the exception being handled; `where` says
    in words where it happened.
    """

    def __init__(self, exc_info=None, where="in background"):
        from traceback import format_exception

        if exc_info is None:
            from sys import exc_info as current

            exc_info = current()
        self.exc_type = exc_info[0]
        self.exc_msg = "".join(format_exception(*exc_info))
        self.where = where

    def reraise(self):
        """Raises an exception of the same type with the original traceback in its text; a
        RuntimeError where that type cannot be made from a text."""
        text = f"Caught {self.exc_type.__name__} {self.where}.\nOriginal {self.exc_msg}"
        if self.exc_type is KeyError:
            text = KeyErrorMessage(text)
        elif getattr(self.exc_type, "message", None):
            # Such types take their text by name.
            raise self.exc_type(message=text)
        try:
            exception = self.exc_type(text)
        except Exception:
            raise RuntimeError(text) from None
        raise exception


# ---- names, devices, conversions ----


def _import_dotted_name(name):
    """The object behind "package.module.attribute"; `torch` stands for this package."""
    first, *rest = name.split(".")
    if first == "torch":
        first = __name__.split(".")[0]
    obj = __import__(first)
    for part in rest:
        obj = getattr(obj, part)
    return obj


def _element_size(dtype):
    """Bytes per element."""
    import mindtorch_v2 as torch

    if not isinstance(dtype, torch.dtype):
        raise RuntimeError(f"expected torch.dtype, but got {type(dtype)}")
    return dtype.itemsize


def _handle_complex(tensor):
    """A complex tensor as pairs of reals, any other as it is."""
    import mindtorch_v2 as torch

    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def _get_device_index(device, optional=False, allow_cpu=False):
    """The index in a device, string or int; -1 for the CPU where that is allowed; None for no
    index where that is `optional`, else ValueError."""
    import mindtorch_v2 as torch

    if isinstance(device, str):
        device = torch.device(device)
    index = None
    if isinstance(device, torch.device):
        if device.type == "cpu":
            if not allow_cpu:
                raise ValueError(f"Expected a non cpu device, but got: {device}")
            return -1
        index = device.index
    elif isinstance(device, int):
        index = device
    if index is None and not optional:
        raise ValueError(
            f"Expected a torch.device with a specified index or an integer, but got:{device}"
        )
    return index


def _get_available_device_type():
    """The kind of accelerator; None, for there is none."""
    return None


def _get_all_device_indices():
    return None


def _get_async_or_non_blocking(function_name, non_blocking, kwargs):
    """The value of `non_blocking`, from its old name `async` with a warning."""
    if not kwargs:
        return non_blocking
    if len(kwargs) != 1 or "async" not in kwargs:
        name = list(kwargs.keys()).pop() if len(kwargs) == 1 else ", ".join(kwargs)
        raise TypeError(f"{function_name}() got an unexpected keyword argument '{name}'")
    import warnings

    warnings.warn("'async' is deprecated; use 'non_blocking'")
    return kwargs["async"]


class classproperty:
    """A read-only property of a class, from a function of the class."""

    def __init__(self, func):
        self.fget = func

    def __get__(self, instance, owner=None):
        return self.fget(type(instance) if owner is None else owner)


# ---- lists of tensors ----


def _flatten_dense_tensors(tensors):
    """One contiguous one-dimensional tensor with the elements of all (same dtype)."""
    import mindtorch_v2 as torch

    return torch.cat([t.contiguous().view(-1) for t in tensors])


def _unflatten_dense_tensors(flat, tensors):
    """Views on `flat` with the shapes of `tensors`: undoes _flatten_dense_tensors."""
    out, start = [], 0
    for tensor in tensors:
        out.append(flat.narrow(0, start, tensor.numel()).view(tensor.shape))
        start += tensor.numel()
    return tuple(out)


def _reorder_tensors_as(tensors, ordered_tensors):
    """`tensors`, grouped by type, in the order of `ordered_tensors`' types."""
    by_type = {}
    for tensor in tensors:
        by_type.setdefault(tensor.type(), []).append(tensor)
    queues = {kind: iter(group) for kind, group in by_type.items()}
    return tuple(next(queues[tensor.type()]) for tensor in ordered_tensors)


def _take_tensors(tensors, size_limit):
    """Yields lists of tensors of one type with at most `size_limit` bytes together (a larger
    tensor comes alone)."""
    pending = {}
    for tensor in tensors:
        size = tensor.numel() * tensor.element_size()
        group, taken = pending.get(tensor.type(), ([], 0))
        if taken + size > size_limit and taken > 0:
            yield group
            group, taken = [], 0
        group.append(tensor)
        pending[tensor.type()] = (group, taken + size)
    for group, _ in pending.values():
        if group:
            yield group


def is_compiling():
    """Whether a compiler is tracing this code: never, for there is none."""
    return False
