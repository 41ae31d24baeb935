"""Functions of the top level that are no operators."""

from . import _C

__all__ = ["is_tensor", "is_storage", "numel", "set_default_dtype", "typename", "is_floating_point", "is_complex",
           "is_nonzero", "nonzero", "asarray", "is_conj", "is_neg", "is_signed", "is_inference",
           "set_default_device", "get_default_device",
           "is_autocast_cpu_enabled", "set_autocast_cpu_enabled", "get_autocast_cpu_dtype", "set_autocast_cpu_dtype",
           "get_autocast_gpu_dtype", "set_autocast_gpu_dtype"]


def is_tensor(obj, /):
    """True for tensors."""
    return isinstance(obj, _C.TensorBase)


def is_storage(obj, /):
    """True for storages."""
    import sys

    storage = sys.modules.get("mindtorch_v2.storage")
    return storage is not None and isinstance(obj, (storage.UntypedStorage, storage.TypedStorage))


def set_default_dtype(d, /):
    """Sets the dtype of floats without one; `d` must be a floating point dtype (TypeError)."""
    _C._set_default_dtype(d)


def set_default_device(device):
    """Makes tensors on `device` where a call names none; None: on the CPU again.

    Holds for the calling thread. Slows every call down a little while it is set; ``with
    torch.device(...)`` does the same for a block. Reference: torch.set_default_device.
    """
    from .utils._device import set_device

    set_device(device)


def get_default_device():
    """The device on which tensors are made where a call names none."""
    if not _C._len_torch_function_stack():
        return _C.device("cpu")
    from .utils._device import current_device

    return current_device()


def typename(obj, /):
    """The type of an object as text, tensors as 'torch.FloatTensor'."""
    if isinstance(obj, _C.TensorBase):
        return obj.type()
    module = getattr(obj, "__module__", "") or ""
    qualname = getattr(obj, "__qualname__", None)
    if qualname is None:
        module = type(obj).__module__ or ""
        qualname = type(obj).__qualname__
    return qualname if module in ("", "builtins") else f"{module}.{qualname}"


def _method(name):
    def function(input):
        if _C._has_torch_function_unary(input):
            return _C._handle_torch_function(function, (input,), (input,), {})
        return getattr(input, name)()

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"See Tensor.{name}."
    return function


numel = _method("numel")
is_floating_point = _method("is_floating_point")
is_complex = _method("is_complex")
is_conj = _method("is_conj")
is_neg = _method("is_neg")
is_signed = _method("is_signed")
is_inference = _method("is_inference")


def is_nonzero(input):
    """Whether a tensor of one element is not zero; RuntimeError for other tensors."""
    return bool(input)


def nonzero(input, *, out=None, as_tuple=False):
    """Places of the elements that are not zero: int64 of shape (n, dim), or with as_tuple one 1-D
    tensor per dimension, fit for indexing."""
    if as_tuple:
        return _C._VariableFunctions.nonzero_numpy(input)
    return _C._VariableFunctions.nonzero(input, out=out)


_asarray_warned = False


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=None):
    """A tensor of `obj`: a tensor, NumPy array, buffer, DLPack producer, number or sequence.

    copy: None shares memory where it can, True always copies, False raises ValueError where memory
    cannot be shared. requires_grad: of the result; None takes over that of a tensor.
    """
    global _asarray_warned

    if _C._has_torch_function_unary(obj):
        return _C._handle_torch_function(
            asarray, (obj,), (obj,), dict(dtype=dtype, device=device, copy=copy, requires_grad=requires_grad)
        )
    shared = True
    if isinstance(obj, _C.TensorBase):
        made = obj
    elif type(obj).__module__ == "numpy" and hasattr(obj, "__array_interface__"):
        made = _C.as_tensor(obj) if hasattr(obj, "strides") and type(obj).__name__ == "ndarray" else _C.tensor(obj)
    elif hasattr(obj, "__dlpack__"):
        from .utils.dlpack import from_dlpack

        made = from_dlpack(obj)
    elif not isinstance(obj, (list, tuple, int, float, complex, str)) and _has_buffer(obj):
        made = _C.frombuffer(obj, dtype=dtype or _C.get_default_dtype())
        if copy:
            made = made.clone()
            copy = None
    else:
        shared = False
        if copy is False:
            raise ValueError("can't alias arbitrary sequence into a tensor.")
        made = _C.tensor(obj, dtype=dtype, device=device)
    if shared:
        wanted = _C.device(device) if device is not None else made.device
        if copy is False and wanted.type != made.device.type:
            raise ValueError(f"can't alias tensor from device '{made.device}' to '{wanted}'.")
        if copy is False and dtype is not None and made.dtype != dtype:
            names = [_scalar_name(made.dtype), _scalar_name(dtype)]
            raise ValueError(f"can't alias tensor with dtype '{names[0]}' into dtype '{names[1]}'.")
        if copy:
            made = made.clone()
        if (dtype is not None and made.dtype != dtype) or wanted.type != made.device.type:
            made = _C._VariableFunctions._to_copy(made, dtype=dtype, device=wanted)
    if isinstance(obj, _C.TensorBase) and requires_grad is None and made is obj and made.requires_grad:
        if not _asarray_warned:
            import warnings

            _asarray_warned = True
            warnings.warn(
                "torch.asarray: unspecified requires_grad now defaults to obj.requires_grad instead of "
                "False. Pass requires_grad=False explicitly to get the old behavior and silence this warning.",
                stacklevel=2,
            )
        return made
    if requires_grad is not None:
        if not requires_grad and made.requires_grad:
            made = made.requires_grad_(False) if made.is_leaf else made.detach()
        elif requires_grad and not made.requires_grad:
            made.requires_grad_(True)
    return made


def _has_buffer(obj):
    try:
        memoryview(obj).release()
    except TypeError:
        return False
    return True


def _scalar_name(dtype):
    names = {
        "uint8": "Byte", "int8": "Char", "int16": "Short", "int32": "Int", "int64": "Long", "float16": "Half",
        "float32": "Float", "float64": "Double", "complex64": "ComplexFloat", "complex128": "ComplexDouble",
        "bool": "Bool", "bfloat16": "BFloat16", "uint16": "UInt16", "uint32": "UInt32", "uint64": "UInt64",
    }  # fmt: skip
    return names[str(dtype).removeprefix("torch.")]


def _old_autocast(old, new, device):
    """A function of one device type, spelled the old way."""
    takes = old.startswith("set_")
    key = "is_autocast_enabled" if "is_" in new else new

    def function(*args):
        import warnings

        shown = f"'{device}', dtype" if "set_" in new and "dtype" in new else (
            f"'{device}', enabled" if takes else f"'{device}'")
        warnings.warn(
            f"torch.{old}({'dtype' if 'dtype' in new and takes else 'enabled' if takes else ''}) is deprecated. "
            f"Please use torch.{new}({shown}) instead.", DeprecationWarning, stacklevel=2)
        return getattr(_C, key)(device, *args)

    function.__name__ = function.__qualname__ = old
    function.__doc__ = f"Deprecated: {new}('{device}', ...)."
    return function


is_autocast_cpu_enabled = _old_autocast("is_autocast_cpu_enabled", "is_autocast_enabled", "cpu")
set_autocast_cpu_enabled = _old_autocast("set_autocast_cpu_enabled", "set_autocast_enabled", "cpu")
get_autocast_cpu_dtype = _old_autocast("get_autocast_cpu_dtype", "get_autocast_dtype", "cpu")
set_autocast_cpu_dtype = _old_autocast("set_autocast_cpu_dtype", "set_autocast_dtype", "cpu")
get_autocast_gpu_dtype = _old_autocast("get_autocast_gpu_dtype", "get_autocast_dtype", "cuda")
set_autocast_gpu_dtype = _old_autocast("set_autocast_gpu_dtype", "set_autocast_dtype", "cuda")
