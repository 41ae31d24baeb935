"""Nodes and edges of the graph as objects."""

from collections import namedtuple

from .. import _C

__all__ = ["GradientEdge", "Node", "get_gradient_edge"]

Node = _C._Node

GradientEdge = namedtuple("GradientEdge", ["node", "output_nr"])
GradientEdge.__doc__ = """Where the gradient of a tensor arrives: a node and which of its outputs.

Stands for a tensor as an input or output of `autograd.grad` and `autograd.backward`.
"""


def get_gradient_edge(tensor):
    """The edge of `tensor`; for a leaf, that of its accumulator.

    Raises RuntimeError for a tensor that needs no gradient. Reference:
    torch.autograd.graph.get_gradient_edge.
    """
    if not tensor.requires_grad:
        raise RuntimeError(
            "It is not possible to get the gradient edge for a Tensor that does not require gradients"
        )
    if tensor.grad_fn is not None:
        return GradientEdge(tensor.grad_fn, tensor.output_nr)
    from . import enable_grad

    with enable_grad():
        return GradientEdge(tensor.view_as(tensor).grad_fn.next_functions[0][0], 0)
