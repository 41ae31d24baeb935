"""Taking batch normalisation into the weights of the layer before it, for evaluation."""

import copy

import mindtorch_v2 as torch

from ..parameter import Parameter

__all__ = [
    "fuse_conv_bn_eval",
    "fuse_conv_bn_weights",
    "fuse_linear_bn_eval",
    "fuse_linear_bn_weights",
]


def _require(condition, text):
    if not condition:
        raise AssertionError(text)


def fuse_conv_bn_eval(conv, bn, transpose=False):
    """A copy of the convolution ``conv`` that computes ``bn(conv(x))``.

    ``transpose`` says that it is a transposed one. AssertionError unless both are in evaluation
    mode and ``bn`` has running statistics.
    """
    _require(not (conv.training or bn.training), "Fusion only for eval!")
    _require(
        bn.running_mean is not None and bn.running_var is not None,
        "bn.running_mean and bn.running_var must not be None",
    )
    fused = copy.deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight,
        fused.bias,
        bn.running_mean,
        bn.running_var,
        bn.eps,
        bn.weight,
        bn.bias,
        transpose,
    )
    return fused


def fuse_conv_bn_weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, transpose=False):
    """Weight and bias of a convolution with the normalisation taken in, as parameters.

    ``conv_w``, ``conv_b`` are those of the convolution; ``bn_rm``, ``bn_rv``, ``bn_eps``, ``bn_w``,
    ``bn_b`` running mean and variance, epsilon, weight and bias of the normalisation. All but
    ``conv_w`` may be None where the layers have none.
    """
    if conv_b is None:
        conv_b = torch.zeros_like(bn_rm)
    if bn_w is None:
        bn_w = torch.ones_like(bn_rm)
    if bn_b is None:
        bn_b = torch.zeros_like(bn_rm)
    scale = bn_w * torch.rsqrt(bn_rv + bn_eps)
    # the channels of the output: first dimension of the weight, second if transposed
    shape = [1] * conv_w.dim()
    shape[1 if transpose else 0] = -1
    weight = (conv_w * scale.reshape(shape)).to(dtype=conv_w.dtype)
    bias = ((conv_b - bn_rm) * scale + bn_b).to(dtype=conv_b.dtype)
    return Parameter(weight, conv_w.requires_grad), Parameter(bias, conv_b.requires_grad)


def fuse_linear_bn_eval(linear, bn):
    """A copy of the linear layer ``linear`` that computes ``bn(linear(x))``.

    AssertionError unless both are in evaluation mode, ``bn`` has running statistics, and its number
    of features is that of the output, or 1.
    """
    _require(not (linear.training or bn.training), "Fusion only for eval!")
    _require(
        bn.running_mean is not None and bn.running_var is not None,
        "bn.running_mean and bn.running_var must not be None",
    )
    _require(
        linear.out_features == bn.num_features or bn.num_features == 1,
        "To fuse, linear.out_features == bn.num_features or bn.num_features == 1, "
        f"got linear.out_features={linear.out_features} and bn.num_features={bn.num_features}",
    )
    fused = copy.deepcopy(linear)
    fused.weight, fused.bias = fuse_linear_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return fused


def fuse_linear_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b):
    """Weight and bias of a linear layer with the normalisation taken in, as parameters.

    The arguments are those of `fuse_conv_bn_weights`; only ``linear_b`` may be None.
    """
    if linear_b is None:
        linear_b = torch.zeros_like(bn_rm)
    scale = bn_w * torch.rsqrt(bn_rv + bn_eps)
    weight = linear_w * scale.unsqueeze(-1).to(dtype=linear_w.dtype)
    bias = ((linear_b - bn_rm) * scale + bn_b).to(dtype=linear_b.dtype)
    return Parameter(weight, linear_w.requires_grad), Parameter(bias, linear_b.requires_grad)
