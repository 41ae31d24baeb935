"""Memory formats of convolution weights."""

import mindtorch_v2 as torch

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]


def _convert(module, kinds, memory_format):
    if isinstance(module, kinds):
        # a copy, so that a weight shared with something else is not touched
        weight = module.weight.detach().clone()
        module.weight.data = weight.contiguous(memory_format=memory_format)
    for child in module.children():
        _convert(child, kinds, memory_format)
    return module


def convert_conv2d_weight_memory_format(module, memory_format):
    """Bring the weights of all 2-d convolutions in ``module`` to ``memory_format``, in place."""
    nn = torch.nn
    return _convert(module, (nn.Conv2d, nn.ConvTranspose2d), memory_format)


def convert_conv3d_weight_memory_format(module, memory_format):
    """Bring the weights of all 3-d convolutions in ``module`` to ``memory_format``, in place."""
    nn = torch.nn
    return _convert(module, (nn.Conv3d, nn.ConvTranspose3d), memory_format)
