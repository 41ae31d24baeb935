"""Gradients of convolutions, computed without a graph.

The arguments are those of the convolution, with the gradient of its result, and the size of the
input or weight that the gradient is for.
"""

import mindtorch_v2 as torch

from .modules.utils import _pair, _single, _triple

__all__: list[str] = []


def _input(ntuple, input_size, weight, grad_output, stride, padding, dilation, groups):
    # the values of the input do not matter for its own gradient, only the shape
    input = grad_output.new_empty(1).expand(input_size)
    return torch.ops.aten.convolution_backward(
        grad_output,
        input,
        weight,
        None,
        ntuple(stride),
        ntuple(padding),
        ntuple(dilation),
        False,
        [0],
        groups,
        (True, False, False),
    )[0]


def _weight(ntuple, input, weight_size, grad_output, stride, padding, dilation, groups):
    weight = grad_output.new_empty(1).expand(weight_size)
    return torch.ops.aten.convolution_backward(
        grad_output,
        input,
        weight,
        None,
        ntuple(stride),
        ntuple(padding),
        ntuple(dilation),
        False,
        [0],
        groups,
        (False, True, False),
    )[1]


def conv1d_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """Gradient of ``conv1d`` for its input, of shape ``input_size``."""
    return _input(_single, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv1d_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """Gradient of ``conv1d`` for its weight, of shape ``weight_size``."""
    return _weight(_single, input, weight_size, grad_output, stride, padding, dilation, groups)


def conv2d_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """Gradient of ``conv2d`` for its input, of shape ``input_size``."""
    return _input(_pair, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv2d_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """Gradient of ``conv2d`` for its weight, of shape ``weight_size``."""
    return _weight(_pair, input, weight_size, grad_output, stride, padding, dilation, groups)


def conv3d_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """Gradient of ``conv3d`` for its input, of shape ``input_size``."""
    return _input(_triple, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv3d_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """Gradient of ``conv3d`` for its weight, of shape ``weight_size``."""
    return _weight(_triple, input, weight_size, grad_output, stride, padding, dilation, groups)
