"""Layers and losses as functions, which take their weights as arguments.

Operators of the core stand here under the same name; the functions that check or arrange arguments
before they call an operator are written in ``_functional``, one file per family.
"""

import mindtorch_v2 as _torch

from .. import overrides as _overrides
from ..overrides import has_torch_function_variadic as _has_torch_function_variadic
from ._functional import (
    activation as _activation,
)
from ._functional import (
    attention as _attention,
)
from ._functional import (
    dropout as _dropout,
)
from ._functional import (
    embedding as _embedding,
)
from ._functional import (
    linear_cross_entropy as _linear_cross_entropy,
)
from ._functional import (
    loss as _loss,
)
from ._functional import (
    norm as _norm,
)
from ._functional import (
    pooling as _pooling,
)
from ._functional import (
    vision as _vision,
)

Tensor = _torch.Tensor

# Operators as they are: name here -> where they live.
_OPERATORS = {
    _torch: "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d conv_tbc "
    "avg_pool1d adaptive_avg_pool1d bilinear celu_ channel_shuffle cosine_similarity hardshrink "
    "native_channel_shuffle pairwise_distance pdist pixel_shuffle pixel_unshuffle prelu relu_ "
    "rrelu_ selu_ threshold_",
    _torch._C._nn: "avg_pool2d avg_pool3d elu_ gelu hardtanh_ leaky_relu_ linear one_hot "
    "scaled_dot_product_attention softplus softshrink",
}


def _gather():
    """Put every family's functions here, as if they had been defined in this file."""
    here = globals()
    for family in (
        _activation,
        _attention,
        _dropout,
        _embedding,
        _linear_cross_entropy,
        _loss,
        _norm,
        _pooling,
        _vision,
    ):
        for name, value in vars(family).items():
            home = getattr(value, "__module__", None)
            if home == family.__name__ and callable(value):
                value.__module__ = __name__
                here[name] = value
            elif name.isupper() and name[0] != "_":
                here[name] = value
    for place, names in _OPERATORS.items():
        for name in names.split():
            if hasattr(place, name):
                here[name] = getattr(place, name)
    if hasattr(_torch._C._nn, "log_sigmoid"):
        here["logsigmoid"] = _torch._C._nn.log_sigmoid


_gather()
del _gather

# Names that stand in PyTorch's module, too.
_ELSEWHERE = {"DType": int, "torch": _torch}


def __getattr__(name):
    if name in _ELSEWHERE:
        return _ELSEWHERE[name]
    if name == "grad":
        from . import grad

        return grad
    if name.endswith(("_torch_function", "_unary", "_variadic")) and hasattr(_overrides, name):
        return getattr(_overrides, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


if hasattr(_torch, "_grouped_mm"):

    def grouped_mm(mat_a, mat_b, *, offs=None, bias=None, out_dtype=None):
        """Several matrix products at once.

        Args:
            mat_a, mat_b: (M, K) or (G, M, K), and (K, N) or (G, K, N).
            offs: (G,) int32, where the groups of the 2-d operands' shared or outer dimension end.
            bias: not supported by the operator.
            out_dtype: dtype of the result, that of the operands by default.
        """
        if _has_torch_function_variadic(mat_a, mat_b, offs, bias):
            return _activation.redirect(grouped_mm, locals())
        return _torch._grouped_mm(mat_a, mat_b, offs=offs, bias=bias, out_dtype=out_dtype)
