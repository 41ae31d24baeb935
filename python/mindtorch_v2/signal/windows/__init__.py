"""Window functions of M points, symmetric or periodic (sym=False, the first M of M + 1 points).

Every function returns a 1-D tensor of shape (M,), float32 or float64 (`dtype`, default: the default
dtype), and raises ValueError for a negative M, another dtype or layout. Reference behaviour:
torch.signal.windows; the cosine sums follow F. Harris, "On the use of windows for harmonic analysis
with the discrete Fourier transform" (1978), and A. Nuttall (1981).
"""

from math import pi as _pi

from ... import _C

_VF = _C._VariableFunctions

__all__ = [
    "bartlett", "blackman", "cosine", "exponential", "gaussian", "general_cosine", "general_hamming",
    "hamming", "hann", "kaiser", "nuttall",
]  # fmt: skip


def _begin(name, M, dtype, layout, device, requires_grad):
    """Checks the arguments. Returns how to make tensors, and the window where M says all of it."""
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    if layout is not _C.strided:
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    dtype = dtype or _C.get_default_dtype()
    if dtype not in (_C.float32, _C.float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtype}")
    made = dict(dtype=dtype, layout=layout, device=device, requires_grad=requires_grad)
    if M == 0:
        return made, _VF.empty((0,), **made)
    if M == 1:
        return made, _VF.ones((1,), **made)
    return made, None


def exponential(M, *, center=None, tau=1.0, sym=True, dtype=None, layout=_C.strided, device=None, requires_grad=False):
    """exp(-|n - center| / tau); center: the middle unless given, which needs sym=False."""
    made, window = _begin("exponential", M, dtype, layout, device, requires_grad)
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    if window is not None:
        return window
    if center is None:
        center = (M - 1 if sym else M) / 2.0
    step = 1 / tau
    at = _VF.linspace(-center * step, (-center + (M - 1)) * step, M, **made)
    return _VF.exp(-_VF.abs(at))


def cosine(M, *, sym=True, dtype=None, layout=_C.strided, device=None, requires_grad=False):
    """Half a period of a sine."""
    made, window = _begin("cosine", M, dtype, layout, device, requires_grad)
    if window is not None:
        return window
    step = _pi / (M if sym else M + 1)
    return _VF.sin(_VF.linspace(0.5 * step, (0.5 + (M - 1)) * step, M, **made))


def gaussian(M, *, std=1.0, sym=True, dtype=None, layout=_C.strided, device=None, requires_grad=False):
    """exp(-((n - middle) / std)^2 / 2)."""
    made, window = _begin("gaussian", M, dtype, layout, device, requires_grad)
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    if window is not None:
        return window
    first = -(M if not sym else M - 1) / 2.0
    step = 1 / (std * 2**0.5)
    at = _VF.linspace(first * step, (first + (M - 1)) * step, M, **made)
    return _VF.exp(-(at**2))


def kaiser(M, *, beta=12.0, sym=True, dtype=None, layout=_C.strided, device=None, requires_grad=False):
    """I0(beta sqrt(1 - t^2)) / I0(beta) for t from -1 to 1."""
    made, window = _begin("kaiser", M, dtype, layout, device, requires_grad)
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    if window is not None:
        return window
    plain = dict(dtype=made["dtype"], device=device)
    whole = _C.tensor(float(beta), **plain)
    # the ends are made so that rounding cannot push |t| beyond 1
    first = -whole
    step = 2.0 * whole / (M - 1 if sym else M)
    last = _VF.minimum(whole, first + (M - 1) * step)
    at = _VF.linspace(first, last, M, **made)
    return _VF.i0(_VF.sqrt(whole * whole - _VF.pow(at, 2))) / _VF.i0(whole)


def general_cosine(M, *, a, sym=True, dtype=None, layout=_C.strided, device=None, requires_grad=False):
    """The sum of (-1)^i a[i] cos(i t) for t from 0 to 2 pi. TypeError where `a` is no sequence,
    ValueError where it is empty."""
    made, window = _begin("general_cosine", M, dtype, layout, device, requires_grad)
    if window is not None:
        return window
    if not isinstance(a, (list, tuple)):
        try:
            a = list(a)
        except TypeError:
            raise TypeError("Coefficients must be a list/tuple") from None
    if not a:
        raise ValueError("Coefficients cannot be empty")
    step = 2 * _pi / (M - 1 if sym else M)
    at = _VF.linspace(0, (M - 1) * step, M, **made)
    weights = _C.tensor([(-1) ** i * w for i, w in enumerate(a)], dtype=made["dtype"], device=device, requires_grad=requires_grad)
    order = _VF.arange(len(a), dtype=made["dtype"], device=device, requires_grad=requires_grad)
    return (weights.unsqueeze(-1) * _VF.cos(order.unsqueeze(-1) * at)).sum(0)


def general_hamming(M, *, alpha=0.54, sym=True, dtype=None, layout=_C.strided, device=None, requires_grad=False):
    """alpha - (1 - alpha) cos(t)."""
    return general_cosine(M, a=[alpha, 1.0 - alpha], sym=sym, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad)


def hamming(M, *, sym=True, dtype=None, layout=_C.strided, device=None, requires_grad=False):
    """general_hamming with alpha 0.54."""
    return general_hamming(M, sym=sym, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad)


def hann(M, *, sym=True, dtype=None, layout=_C.strided, device=None, requires_grad=False):
    """general_hamming with alpha 0.5."""
    return general_hamming(M, alpha=0.5, sym=sym, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad)


def blackman(M, *, sym=True, dtype=None, layout=_C.strided, device=None, requires_grad=False):
    """0.42 - 0.5 cos(t) + 0.08 cos(2 t)."""
    _begin("blackman", M, dtype, layout, device, requires_grad)
    return general_cosine(M, a=[0.42, 0.5, 0.08], sym=sym, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad)


def bartlett(M, *, sym=True, dtype=None, layout=_C.strided, device=None, requires_grad=False):
    """A triangle from 0 to 1 to 0."""
    made, window = _begin("bartlett", M, dtype, layout, device, requires_grad)
    if window is not None:
        return window
    step = 2 / (M - 1 if sym else M)
    return 1 - _VF.abs(_VF.linspace(-1, -1 + (M - 1) * step, M, **made))


def nuttall(M, *, sym=True, dtype=None, layout=_C.strided, device=None, requires_grad=False):
    """Four cosines with a fast decay of the side lobes."""
    return general_cosine(M, a=[0.3635819, 0.4891775, 0.1365995, 0.0106411], sym=sym, dtype=dtype, layout=layout,
                          device=device, requires_grad=requires_grad)  # fmt: skip
