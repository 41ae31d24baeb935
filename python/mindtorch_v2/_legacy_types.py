"""torch.FloatTensor and its siblings: constructors of tensors of one dtype, and what isinstance
checks against. They make plain tensors; no tensor has one of them as its class."""

from . import _C

_DTYPES = {
    "FloatTensor": "float32", "DoubleTensor": "float64", "HalfTensor": "float16", "BFloat16Tensor": "bfloat16",
    "LongTensor": "int64", "IntTensor": "int32", "ShortTensor": "int16", "CharTensor": "int8",
    "ByteTensor": "uint8", "BoolTensor": "bool", "ComplexFloatTensor": "complex64",
    "ComplexDoubleTensor": "complex128",
}  # fmt: skip


class tensortype(type):
    """The class of the legacy constructors."""

    def __instancecheck__(cls, instance):
        return isinstance(instance, _C.TensorBase) and instance.dtype == cls.dtype and instance.device.type == "cpu"

    def __repr__(cls):
        return f"<class 'torch.{cls.__name__}'>"

    def __call__(cls, *args, **kwargs):
        return _C._legacy_new(cls.dtype, args, kwargs)


for _name, _dtype in _DTYPES.items():
    globals()[_name] = tensortype(
        _name, (), {"dtype": getattr(_C, _dtype), "__module__": __package__, "is_cuda": False, "is_sparse": False}
    )
