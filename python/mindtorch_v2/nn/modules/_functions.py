"""Autograd functions that modules are built on."""

import mindtorch_v2 as torch

__all__ = ["BackwardHookFunction"]


class BackwardHookFunction(torch.autograd.Function):
    """Identity on any number of tensors: a place in the graph to hang module hooks on."""

    @staticmethod
    def forward(ctx, *args):
        ctx.mark_non_differentiable(*[a for a in args if not a.requires_grad])
        return args

    @staticmethod
    def backward(ctx, *args):
        return args
