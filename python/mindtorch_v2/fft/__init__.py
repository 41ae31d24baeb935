"""Discrete Fourier transforms of any length, along one dimension or several.

`norm` says where the factor 1/n goes: "backward" (the inverse, the default), "forward", or "ortho"
(1/sqrt(n) both ways). `n` and `s` cut the input or fill it up with zeros first."""

from .. import _C

_made = {
    name.removeprefix("fft_"): function
    for name, function in vars(_C._fft).items()
    if name.startswith("fft_")
}
globals().update(_made)
__all__ = sorted(_made)
