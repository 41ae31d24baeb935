"""Products with derivatives of functions, and whole Jacobians and Hessians.

Reference behaviour: PyTorch 2.13's `torch.autograd.functional`. Functions take and give tensors or
tuples of tensors; results have the structure of what they belong to.
"""

from .. import _C

__all__ = ["vjp", "jvp", "vhp", "hvp", "jacobian", "hessian"]

_V = _C._VariableFunctions


def _tuple(value, what, name):
    """`value` as a tuple of tensors, and whether it was one. TypeError for what holds anything else."""
    was_tuple = isinstance(value, tuple)
    made = value if was_tuple else (value,)
    for i, x in enumerate(made):
        if isinstance(x, _C.TensorBase):
            continue
        if what == "outputs of the user-provided function":
            given = "the given outputs of the user-provided function"
            start = f"The {what} given to {name} must be either a Tensor or a tuple of Tensors but "
        else:
            given = f"the given {what}"
            start = f"The {what} given to {name} must be either a Tensor or a tuple of Tensors but "
        if was_tuple:
            raise TypeError(f"{start}the value at index {i} has type {type(x)}.")
        raise TypeError(f"{start}{given} has type {type(x)}.")
    return made, was_tuple


def _inputs(inputs, create_graph, name):
    """The inputs as what gradients can be taken of: views with create_graph, else fresh leaves."""
    inputs, was_tuple = _tuple(inputs, "inputs", name)
    if create_graph:
        made = tuple(x.view_as(x) if x.requires_grad else x.detach().requires_grad_() for x in inputs)
    else:
        made = tuple(x.detach().requires_grad_() for x in inputs)
    return made, was_tuple


def _outputs(func, inputs, name):
    return _tuple(func(*inputs), "outputs of the user-provided function", name)


def _check_v(v, other, other_is_tuple):
    if len(other) != len(v):
        if other_is_tuple:
            raise RuntimeError(f"v is a tuple of invalid length: should be {len(other)} but got {len(v)}.")
        raise RuntimeError("The given v should contain a single Tensor.")
    for i, (x, y) in enumerate(zip(v, other)):
        if x.size() != y.size():
            prefix = f"Entry {i} in " if other_is_tuple else ""
            raise RuntimeError(f"{prefix}v has invalid size: should be {y.size()} but got {x.size()}.")


def _weights(v, like, is_tuple, missing, create_graph, name):
    if v is not None:
        v, _ = _tuple(v, "v", name)
        v = tuple(x if create_graph else x.detach() for x in v)
        _check_v(v, like, is_tuple)
        return v
    if len(like) != 1 or like[0].nelement() != 1:
        raise RuntimeError(missing)
    return (_V.ones_like(like[0]),)


def _require_graph(outputs, strict, text):
    if strict:
        for i, o in enumerate(outputs):
            if not o.requires_grad:
                raise RuntimeError(text.format(i=i))


_OUTPUT = (
    "Output {i} of the user-provided function does not require gradients. The outputs must be computed in a "
    "differentiable manner from the input when running in strict mode."
)


def _gradients(outputs, inputs, weights, create_graph=False):
    """Gradients, None where an input does not matter."""
    from . import grad

    pairs = [(o, w) for o, w in zip(outputs, weights) if o is not None and o.requires_grad]
    if not pairs:
        return (None,) * len(inputs)
    return grad(
        [o for o, _ in pairs], inputs, [w for _, w in pairs], allow_unused=True,
        create_graph=create_graph, retain_graph=True,
    )


_LINEAR = (
    "While computing the hessian, found that the jacobian of the user-provided function with respect to input {i} "
    "is independent of the input. This is not allowed in strict mode. You should ensure that your function is "
    "twice differentiable and that the jacobian depends on the inputs (this would be violated by a linear "
    "function for example)."
)


def _filled(found, inputs, strict, second=False):
    made = []
    for i, (g, x) in enumerate(zip(found, inputs)):
        if g is None and strict and second:
            raise RuntimeError(_LINEAR.format(i=i))
        if g is None and strict:
            raise RuntimeError(
                f"The output of the user-provided function is independent of input {i}. This is not allowed in "
                "strict mode."
            )
        made.append(_V.zeros_like(x) if g is None else g)
    return tuple(made)


def _finish(value, was_tuple, create_graph):
    if not create_graph:
        value = tuple(x.detach() for x in value)
    return value if was_tuple else value[0]


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(*inputs), product of `v` with the Jacobian): `v` has the structure of the outputs, and may be
    left out for one output of one element. strict: RuntimeError where outputs do not depend on inputs.
    Reference: torch.autograd.functional.vjp."""
    from . import enable_grad

    with enable_grad():
        ins, ins_tuple = _inputs(inputs, create_graph, "vjp")
        outs, outs_tuple = _outputs(func, ins, "vjp")
        _require_graph(outs, strict, _OUTPUT)
        v = _weights(
            v, outs, outs_tuple,
            "The vector v can only be None if the user-provided function returns a single Tensor with a "
            "single element.", create_graph, "vjp",
        )
        found = _filled(_gradients(outs, ins, v, create_graph), ins, strict)
    return _finish(outs, outs_tuple, create_graph), _finish(found, ins_tuple, create_graph)


def _twice(outs, ins, v, create_graph, strict):
    """Jacobian times v, by differentiating the product of the Jacobian with a stand-in."""
    stand_ins = tuple(_V.zeros_like(o).requires_grad_() for o in outs)
    back = _gradients(outs, ins, stand_ins, create_graph=True)
    kept = [(g, w) for g, w in zip(back, v) if g is not None and g.requires_grad]
    found = _gradients([g for g, _ in kept], stand_ins, [w for _, w in kept], create_graph)
    if strict and any(g is None for g in found):
        i = next(k for k, g in enumerate(found) if g is None)
        raise RuntimeError(
            _OUTPUT.format(i=i)
        )
    return tuple(_V.zeros_like(o) if g is None else g for g, o in zip(found, outs))


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(*inputs), product of the Jacobian with `v`): `v` has the structure of the inputs, and may be
    left out for one input of one element. Reference: torch.autograd.functional.jvp."""
    from . import enable_grad

    with enable_grad():
        ins, ins_tuple = _inputs(inputs, create_graph, "jvp")
        v = _weights(
            v, ins, ins_tuple,
            "The vector v can only be None if the input to the user-provided function is a single Tensor "
            "with a single element.", create_graph, "jvp",
        )
        outs, outs_tuple = _outputs(func, ins, "jvp")
        _require_graph(outs, strict, _OUTPUT)
        found = _twice(outs, ins, v, create_graph, strict)
    return _finish(outs, outs_tuple, create_graph), _finish(found, outs_tuple, create_graph)


def _single(outs, was_tuple, name):
    if was_tuple or not isinstance(outs[0], _C.TensorBase):
        raise RuntimeError(f"The function given to {name} should return a single Tensor")
    if outs[0].nelement() != 1:
        raise RuntimeError(f"The Tensor returned by the function given to {name} should contain a single element")


def _second(func, inputs, v, create_graph, strict, name):
    ins, ins_tuple = _inputs(inputs, create_graph, name)
    v = _weights(
        v, ins, ins_tuple,
        "The vector v can only be None if the input to the user-provided function is a single Tensor with a "
        "single element.", create_graph, name,
    )
    outs, outs_tuple = _outputs(func, ins, name)
    _single(outs, outs_tuple, name)
    _require_graph(outs, strict, _OUTPUT)
    first = _gradients(outs, ins, (_V.ones_like(outs[0]),), create_graph=True)
    first = _filled(first, ins, strict)
    _require_graph(first, strict, _LINEAR)
    return ins, ins_tuple, v, outs, first


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(*inputs), product of `v` with the Hessian of a function with one output element).
    Reference: torch.autograd.functional.vhp."""
    from . import enable_grad

    with enable_grad():
        ins, ins_tuple, v, outs, first = _second(func, inputs, v, create_graph, strict, "vhp")
        found = _filled(_gradients(first, ins, v, create_graph), ins, strict, second=True)
    return _finish(outs, False, create_graph), _finish(found, ins_tuple, create_graph)


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(*inputs), product of the Hessian of a function with one output element with `v`).
    Reference: torch.autograd.functional.hvp."""
    from . import enable_grad

    with enable_grad():
        ins, ins_tuple, v, outs, first = _second(func, inputs, v, create_graph, strict, "hvp")
        found = _twice(first, ins, v, create_graph, False)
    return _finish(outs, False, create_graph), _finish(found, ins_tuple, create_graph)


def _reverse_rows(outs, ins, create_graph, vectorize, strict):
    """Per output, per input: [output element, *input]."""
    table = []
    for number, o in enumerate(outs):
        n = o.nelement()
        if vectorize and n:
            from . import grad

            basis = _V.eye(n, dtype=o.dtype).reshape([n, *o.shape])
            found = (None,) * len(ins)
            if o.requires_grad:
                found = grad(
                    o, ins, basis, create_graph=create_graph, retain_graph=True, allow_unused=True,
                    is_grads_batched=True,
                )
            table.append([_V.zeros([n, *x.shape], dtype=x.dtype) if g is None else g for g, x in zip(found, ins)])
            continue
        columns = [[] for _ in ins]
        flat = o.reshape(-1)
        for j in range(n):
            found = _gradients((flat[j],), ins, (_V.ones_like(flat[j]),), create_graph)
            for k, (g, x) in enumerate(zip(found, ins)):
                if strict and g is None:
                    raise RuntimeError(
                        f"Output {number} of the user-provided function is independent of input {k}. This is not "
                        "allowed in strict mode."
                    )
                if strict and create_graph and not g.requires_grad:
                    raise RuntimeError(
                        f"The jacobian of the user-provided function is independent of input {k}. This is not "
                        "allowed in strict mode when create_graph=True."
                    )
                columns[k].append(_V.zeros_like(x) if g is None else g)
        table.append([
            _V.stack(c) if c else _V.zeros([0, *x.shape], dtype=x.dtype) for c, x in zip(columns, ins)
        ])
    return table


def _forward_jacobian(func, inputs, create_graph):
    from ..func import jacfwd

    ins, ins_tuple = _tuple(inputs, "inputs", "jacobian")
    shape = []

    def checked(*args):
        outs, was_tuple = _outputs(func, args, "jacobian")
        shape.append(was_tuple)
        return outs

    if not create_graph:
        ins = tuple(x.detach() for x in ins)
    table = jacfwd(checked, argnums=tuple(range(len(ins))))(*ins)
    if not create_graph:
        table = tuple(tuple(x.detach() for x in row) for row in table)
    rows = tuple(list(row) if ins_tuple else row[0] for row in table)
    if not shape[0]:
        return rows[0]
    return list(rows) if ins_tuple else rows


def _check_strategy(strategy):
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more '
            'outputs than inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use '
            '"reverse-mode".'
        )


def jacobian(func, inputs, create_graph=False, strict=False, vectorize=False, strategy="reverse-mode"):
    """The Jacobian of `func`: a tensor (*output, *input), or tuples of them, by output and by input.

    vectorize: all rows in one backward by vmap. strategy: "reverse-mode", or "forward-mode" with
    vectorize. strict: RuntimeError where outputs do not depend on inputs. Reference:
    torch.autograd.functional.jacobian.
    """
    from . import enable_grad

    _check_strategy(strategy)
    if strategy == "forward-mode":
        if strict:
            raise RuntimeError(
                "torch.autograd.functional.jacobian: `strict=True` "
                'and `strategy="forward-mode"` are not supported together (yet). '
                "Please either set `strict=False` or "
                '`strategy="reverse-mode"`.'
            )
        if not vectorize:
            raise NotImplementedError(
                "Computing Jacobian using forward-AD or forward-over-reverse Hessian isonly implemented for "
                "`vectorize=True`."
            )
        return _forward_jacobian(func, inputs, create_graph)
    if strict and vectorize:
        raise RuntimeError(
            "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not supported together. "
            "Please either set `strict=False` or `vectorize=False`."
        )
    with enable_grad():
        ins, ins_tuple = _inputs(inputs, create_graph, "jacobian")
        outs, outs_tuple = _outputs(func, ins, "jacobian")
        _require_graph(outs, strict, _OUTPUT)
        table = _reverse_rows(outs, ins, create_graph, vectorize, strict)
        made = []
        for o, row in zip(outs, table):
            parts = tuple(g.reshape([*o.shape, *x.shape]) for g, x in zip(row, ins))
            if not create_graph:
                parts = tuple(p.detach() for p in parts)
            made.append(parts if ins_tuple else parts[0])
    return tuple(made) if outs_tuple else made[0]


def hessian(
    func, inputs, create_graph=False, strict=False, vectorize=False, outer_jacobian_strategy="reverse-mode"
):
    """The Hessian of a function with one output element: a tensor (*input, *input), or tuples of tuples
    of them. outer_jacobian_strategy: "forward-mode" (with vectorize) differentiates the gradient in
    forward mode. Reference: torch.autograd.functional.hessian."""
    ins, ins_tuple = _tuple(inputs, "inputs", "hessian")
    if outer_jacobian_strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')

    def scalar(*args):
        outs, was_tuple = _outputs(func, args, "hessian")
        _single(outs, was_tuple, "hessian")
        return outs[0].squeeze()

    if outer_jacobian_strategy == "forward-mode":
        from ..func import jacfwd, jacrev

        if not vectorize:
            raise NotImplementedError(
                "Computing Jacobian using forward-AD or forward-over-reverse Hessian isonly implemented for "
                "`vectorize=True`."
            )
        every = tuple(range(len(ins)))
        plain = ins if create_graph else tuple(x.detach() for x in ins)
        table = [list(row) for row in jacfwd(jacrev(scalar, argnums=every), argnums=every)(*plain)]
    else:
        def gradient(*args):
            rows = jacobian(scalar, args, create_graph=True, strict=False)
            if strict:
                outs = scalar(*args)
                _require_graph((outs,), True, _OUTPUT)
                _filled(_gradients((outs,), args, (_V.ones_like(outs),)), args, True)
                _require_graph(rows, True, _LINEAR)
            return rows

        table = jacobian(gradient, ins, create_graph=create_graph, strict=strict, vectorize=vectorize)
    return table if ins_tuple else table[0][0]
