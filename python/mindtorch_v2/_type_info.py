"""Limits of number types: torch.finfo and torch.iinfo."""

from . import _C

# bits, eps, largest, smallest normal, digits. IEEE 754, and bfloat16 (8 bits of exponent, 7 of fraction).
_FLOATS = {
    "float16": (16, 2.0**-10, 65504.0, 2.0**-14, 0.001),
    "bfloat16": (16, 2.0**-7, (2 - 2.0**-7) * 2.0**127, 2.0**-126, 0.01),
    "float32": (32, 2.0**-23, (2 - 2.0**-23) * 2.0**127, 2.0**-126, 1e-06),
    "float64": (64, 2.0**-52, (2 - 2.0**-52) * 2.0**1023, 2.0**-1022, 1e-15),
}
_INTS = {f"{s}int{b}": (b, s) for b in (8, 16, 32, 64) for s in ("", "u")}


def _bare(dtype):
    return str(dtype).removeprefix("torch.")


def _g(value):
    """A number as C++ streams print it."""
    return f"{value:g}"


class _Info:
    __slots__ = ("_name", "bits")
    __module__ = "torch"

    def __eq__(self, other):
        return self._name == other._name if type(other) is type(self) else NotImplemented

    __hash__ = None

    @property
    def dtype(self):
        return self._name


class finfo(_Info):
    """Limits of a floating point dtype (of a complex one: of its parts; the default dtype if none).

    bits; eps: distance from 1 to the next number; max, min: finite extremes; tiny and
    smallest_normal: smallest positive number with full precision; resolution: 10**-digits; dtype: the
    name. TypeError for other dtypes.
    """

    __slots__ = ("eps", "max", "resolution", "tiny")
    __module__ = "torch"

    def __init__(self, type=None):
        if type is None:
            type = _C.get_default_dtype()
        if not isinstance(type, _C.dtype):
            raise TypeError(f"finfo(): argument 'type' (position 1) must be torch.dtype, not {_type_name(type)}")
        name = {"complex64": "float32", "complex128": "float64"}.get(_bare(type), _bare(type))
        if name not in _FLOATS:
            raise TypeError(
                "torch.finfo() requires a floating point input type. Use torch.iinfo to handle 'torch.finfo'"
            )
        self._name = name
        self.bits, self.eps, self.max, self.tiny, self.resolution = _FLOATS[name]

    @property
    def min(self):
        return -self.max

    @property
    def smallest_normal(self):
        return self.tiny

    def __repr__(self):
        return (
            f"finfo(resolution={_g(self.resolution)}, min={_g(self.min)}, max={_g(self.max)}, "
            f"eps={_g(self.eps)}, smallest_normal={_g(self.tiny)}, tiny={_g(self.tiny)}, dtype={self._name})"
        )


class iinfo(_Info):
    """Limits of an integer dtype: bits, min, max, dtype (the name). TypeError for other dtypes."""

    __slots__ = ("max", "min")
    __module__ = "torch"

    def __init__(self, type):
        if not isinstance(type, _C.dtype):
            raise TypeError(f"iinfo(): argument 'type' (position 1) must be torch.dtype, not {_type_name(type)}")
        name = _bare(type)
        if name not in _INTS:
            if name == "bool":
                raise TypeError("torch.bool is not supported by torch.iinfo")
            raise TypeError(
                "torch.iinfo() requires an integer input type. Use torch.finfo to handle 'torch.iinfo'"
            )
        self._name = name
        self.bits, sign = _INTS[name]
        self.min = 0 if sign else -(2 ** (self.bits - 1))
        self.max = 2**self.bits - 1 if sign else 2 ** (self.bits - 1) - 1

    def __repr__(self):
        return f"iinfo(min={_g(self.min)}, max={_g(self.max)}, dtype={self._name})"


def _type_name(value):
    return type(value).__name__
