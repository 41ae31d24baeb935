"""Automatic differentiation: running backward, switching recording on and off."""

from .. import _C
from .grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled

__all__ = ["backward", "enable_grad", "grad", "inference_mode", "no_grad", "set_grad_enabled"]


def _gradients(outputs, grads, is_grads_batched=False):
    """One gradient per output: the given ones checked, ones where an output has one element."""
    made = []
    for out, grad in zip(outputs, grads):
        if not isinstance(out, _C.TensorBase) and hasattr(out, "output_nr"):
            if grad is None:
                raise NotImplementedError("backward from a GradientEdge needs a gradient to start with")
            made.append(grad)
            continue
        if grad is not None:
            if not isinstance(grad, _C.TensorBase):
                raise TypeError(
                    "gradients can be either Tensors or None, but got " + type(grad).__name__
                )
            if not is_grads_batched and grad.shape != out.shape:
                raise RuntimeError(
                    f"Mismatch in shape: grad_output[{len(made)}] has a shape of {grad.shape} and "
                    f"output[{len(made)}] has a shape of {out.shape}."
                )
            if out.dtype.is_complex != grad.dtype.is_complex:
                raise RuntimeError(
                    "For complex Tensors, both grad_output and output are required to have the same "
                    f"dtype. Mismatch in dtype: grad_output[{len(made)}] has a dtype of {grad.dtype} and "
                    f"output[{len(made)}] has a dtype of {out.dtype}."
                )
            made.append(grad)
        elif out.requires_grad:
            if out.numel() != 1:
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
            if not out.dtype.is_floating_point:
                raise RuntimeError(
                    f"grad can be implicitly created only for real scalar outputs but got {out.dtype}"
                )
            made.append(_C._VariableFunctions.ones_like(out))
        else:
            made.append(None)
    return tuple(made)


def _tuple(value, none=()):
    if value is None:
        return none
    if isinstance(value, _C.TensorBase) or hasattr(value, "output_nr"):
        return (value,)  # a tensor or a GradientEdge
    return tuple(value)


def backward(
    tensors, grad_tensors=None, retain_graph=None, create_graph=False, grad_variables=None, inputs=None
):
    """Sums the gradients of `tensors` with respect to the graph's leaves into their `grad`.

    Arguments as `Tensor.backward`, for several outputs at once. Raises RuntimeError where a gradient
    cannot be made implicitly, or where the graph was freed. Reference: torch.autograd.backward.
    """
    if _C._functorch._active():
        raise RuntimeError("backward() called inside a functorch transform. This is not supported, please use functorch.grad or "
            "functorch.vjp instead or call backward() outside of functorch transforms.")
    if grad_variables is not None:
        import warnings

        warnings.warn(
            "`grad_variables` is deprecated. Use `grad_tensors` instead.", FutureWarning, stacklevel=2
        )
        if grad_tensors is not None:
            raise RuntimeError(
                "`grad_tensors` and `grad_variables` (deprecated) arguments both passed to `backward()`. "
                "Please only use `grad_tensors`."
            )
        grad_tensors = grad_variables
    if inputs is not None and not isinstance(inputs, _C.TensorBase) and len(inputs) == 0:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    inputs = _tuple(inputs)
    for x in inputs:
        if isinstance(x, _C.TensorBase):
            x.retain_grad()
    tensors = _tuple(tensors)
    grads = _gradients(tensors, _tuple(grad_tensors, (None,) * len(tensors)))
    if retain_graph is None:
        retain_graph = create_graph
    _C._run_backward(
        tensors, grads, retain_graph, create_graph, inputs, allow_unreachable=True,
        accumulate_grad=True,
    )


def grad(
    outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, only_inputs=True,
    allow_unused=None, is_grads_batched=False, materialize_grads=False,
):
    """The gradients of the sum of `outputs` with respect to `inputs`, as a tuple.

    grad_outputs: weights of the outputs (the vector in a vector-Jacobian product).
    allow_unused: give None for an input that does not matter instead of raising RuntimeError;
    materialize_grads: give zeros. Reference: torch.autograd.grad.
    """
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: "
            "allow_unused=False."
        )
    if allow_unused is None:
        allow_unused = materialize_grads
    outputs, inputs = _tuple(outputs), _tuple(inputs)
    if not only_inputs:
        import warnings

        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True). To accumulate "
            "gradient for other parts of the graph, please use torch.autograd.backward.",
            FutureWarning, stacklevel=2,
        )
    grads = _gradients(outputs, _tuple(grad_outputs, (None,) * len(outputs)), is_grads_batched)
    if retain_graph is None:
        retain_graph = create_graph
    if not inputs:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")

    def run(grads):
        return _C._run_backward(
            outputs, grads, retain_graph, create_graph, inputs, allow_unreachable=allow_unused,
            accumulate_grad=False,
        )

    if is_grads_batched:  # grad_outputs have one dimension more; so will the gradients
        from ..func._vmap import restore_vmap

        sizes = [g.shape[0] for g in grads if g is not None]
        if not sizes:
            raise ValueError("vmap: Expected at least one Tensor to vmap over")
        found, dims = restore_vmap(lambda *g: run(g), tuple(None if g is None else 0 for g in grads), sizes[0], "error")(*grads)
        found = tuple(
            g.expand(sizes[0], *g.shape) if g is not None and d is None else g for g, d in zip(found, dims)
        )
    else:
        found = run(grads)
    if materialize_grads:
        if any(g is None and not isinstance(x, _C.TensorBase) for g, x in zip(found, inputs)):
            raise RuntimeError(
                "materialize_grads cannot be used when the given input is a GradientEdge"
            )
        found = tuple(
            _C._VariableFunctions.zeros_like(x, requires_grad=create_graph) if g is None else g
            for g, x in zip(found, inputs)
        )
    return found


_LAZY = {"Function": "function", "gradcheck": "gradcheck", "gradgradcheck": "gradcheck",
         "detect_anomaly": "anomaly_mode", "set_detect_anomaly": "anomaly_mode",
         "Variable": "variable", "set_multithreading_enabled": "grad_mode"}


def _is_checkpoint_valid():
    """Whether the running backward computes the gradients of every leaf; True outside."""
    return _C._is_checkpoint_valid()


def __getattr__(name):
    import importlib

    if name in _LAZY:
        module = importlib.import_module(f"{__name__}.{_LAZY[name]}")
        # all names at once: the import has put the module itself where a function may belong
        globals().update({k: getattr(module, k) for k, v in _LAZY.items() if v == _LAZY[name]})
        return globals()[name]
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'") from None
