"""Functions of the top level that are no operators."""

from . import _C

__all__ = ["is_tensor", "is_storage", "numel", "set_default_dtype", "typename", "is_floating_point", "is_complex",
           "is_nonzero", "nonzero", "is_conj", "is_neg", "is_signed", "is_inference"]


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
