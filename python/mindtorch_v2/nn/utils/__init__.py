"""Tools around modules: clipping, packing, parametrisation, pruning, functional calls."""

from .._lazy import attach as _attach

# These two are files and functions of one name, of which the function has to win. They are imported
# at once, since importing the file later would put it in the function's place.
from .spectral_norm import remove_spectral_norm, spectral_norm
from .weight_norm import remove_weight_norm, weight_norm

__getattr__, __dir__, __all__ = _attach(
    globals(),
    {
        "clip_grad": "clip_grad_norm clip_grad_norm_ clip_grad_value_ clip_grads_with_norm_ "
        "get_total_norm",
        "convert_parameters": "parameters_to_vector vector_to_parameters",
        "fusion": "fuse_conv_bn_eval fuse_conv_bn_weights fuse_linear_bn_eval "
        "fuse_linear_bn_weights",
        "init": "skip_init",
        "memory_format": "convert_conv2d_weight_memory_format convert_conv3d_weight_memory_format",
    },
    (
        "clip_grad",
        "convert_parameters",
        "fusion",
        "init",
        "memory_format",
        "parametrizations",
        "parametrize",
        "prune",
        "rnn",
        "stateless",
    ),
)
__all__ += ["remove_spectral_norm", "spectral_norm", "remove_weight_norm", "weight_norm"]
