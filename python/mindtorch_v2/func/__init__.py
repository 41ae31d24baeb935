"""Transforms of functions: gradients, Jacobians, batches."""

from ._modules import functional_call, stack_module_state
from ._transforms import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, vjp
from ._vmap import vmap

__all__ = [
    "grad", "grad_and_value", "vmap", "vjp", "jvp", "jacrev", "jacfwd", "hessian", "functional_call",
    "stack_module_state", "linearize",
]
