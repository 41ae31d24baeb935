"""Modules as functions of their parameters."""

from .. import _C

__all__ = ["functional_call", "stack_module_state"]


def functional_call(module, parameter_and_buffer_dicts, args=None, kwargs=None, *, tie_weights=True, strict=False):
    """module(*args, **kwargs) with the given tensors in the place of its parameters and buffers.

    parameter_and_buffer_dicts: a dict from names to tensors, or a sequence of them without common
    names (ValueError). Reference: torch.func.functional_call.
    """
    if isinstance(parameter_and_buffer_dicts, (list, tuple)):
        merged = {}
        for part in parameter_and_buffer_dicts:
            if not isinstance(part, dict):
                raise ValueError("Expected all elements of parameter_and_buffer_dicts to be dictionaries")
            repeated = [k for k in part if k in merged]
            if repeated:
                raise ValueError(
                    f"{repeated} appeared in multiple dictionaries; behavior of functional call is ambiguous"
                )
            merged.update(part)
    elif isinstance(parameter_and_buffer_dicts, dict):
        merged = parameter_and_buffer_dicts
    else:
        raise ValueError(
            "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got "
            f"{type(parameter_and_buffer_dicts)}"
        )
    from ..nn.utils import stateless

    call = getattr(stateless, "_functional_call", None) or stateless.functional_call
    return call(module, merged, args, kwargs, tie_weights=tie_weights, strict=strict)


def _stack(tensors):
    made = _C._VariableFunctions.stack([t.detach() for t in tensors])
    return made.requires_grad_(tensors[0].requires_grad)


def stack_module_state(models):
    """(parameters, buffers) of models of one class, stacked along a new first dimension: dicts from names
    to tensors, parameters as leaves. RuntimeError for no models, mixed classes or mixed training modes.
    Reference: torch.func.stack_module_state."""
    if len(models) == 0:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if not (all(m.training for m in models) or all(not m.training for m in models)):
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")
    if not all(type(m) is type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    parameters = [dict(m.named_parameters()) for m in models]
    buffers = [dict(m.named_buffers()) for m in models]
    return (
        {k: _stack([p[k] for p in parameters]) for k in parameters[0]},
        {k: _stack([b[k] for b in buffers]) for k in buffers[0]},
    )
