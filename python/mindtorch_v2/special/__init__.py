"""Special functions of mathematics, elementwise: of the gamma, error and Bessel families, orthogonal
polynomials, and logarithms and entropies that keep their accuracy near 0 and 1."""

from .. import _C

_made = {
    name.removeprefix("special_"): function
    for space in (_C._VariableFunctions, _C._special)
    for name, function in vars(space).items()
    if name.startswith("special_")
}
globals().update(_made)
__all__ = sorted(_made)
