"""Checks of gradients against finite differences.

The numerical derivative is the central difference (f(x + eps) - f(x - eps)) / (2 eps) of every output
element by every input element; complex numbers are moved along both axes and compared in PyTorch's
convention, the conjugate Wirtinger derivative. The analytical one runs backward once per output
element.
"""

from .. import _C

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """A gradient is wrong."""


def _tuple(value):
    if isinstance(value, _C.TensorBase):
        return (value,)
    return tuple(value)


def _outputs(fn, inputs):
    found = fn(*inputs)
    if not isinstance(found, (tuple, list)):
        if not isinstance(found, _C.TensorBase):
            raise AttributeError(f"'{type(found).__name__}' object has no attribute 'requires_grad'")
        found = (found,)
    return [
        o for o in found
        if isinstance(o, _C.TensorBase) and (o.is_floating_point() or o.is_complex())
    ]


def _is_checked(x):
    return isinstance(x, _C.TensorBase) and x.requires_grad


def _places(x):
    import itertools

    return list(itertools.product(*(range(n) for n in x.shape)))


def _flat(x):
    """The elements as Python numbers."""
    found = x.detach().tolist()
    for _ in range(x.dim() - 1):
        found = [v for row in found for v in row]
    return found if x.dim() else [found]


def _numerical(fn, inputs, x, eps):
    """Per output, a table [element of x][element of the output]; complex x: the pair of
    derivatives along the real and the imaginary axis."""
    from . import no_grad

    tables = None
    for place in _places(x):
        value = x.detach()[place].item()
        rows = []
        for step in (eps, eps * 1j) if x.is_complex() else (eps,):
            sides = []
            for sign in (1, -1):
                with no_grad():
                    x.data[place] = value + sign * step
                try:
                    with no_grad():
                        sides.append([_flat(o) for o in _outputs(fn, inputs)])
                finally:
                    with no_grad():
                        x.data[place] = value
            rows.append([
                [(p - m) / (2 * eps) for p, m in zip(plus, minus)] for plus, minus in zip(*sides)
            ])
        if tables is None:
            tables = [[] for _ in rows[0]]
        for k, table in enumerate(tables):
            table.append([row[k] for row in rows])
    return tables


def _analytical(output, x, weight):
    """Gradient of x for `weight` at each element of the output: [output element][x element]."""
    from . import grad

    rows = []
    for place in _places(output):
        v = _C._VariableFunctions.zeros_like(output)
        v[place] = weight
        (g,) = grad(output, x, v, retain_graph=True, allow_unused=True)
        rows.append(None if g is None else _flat(g))
        if g is not None and g.shape != x.shape:
            raise GradcheckError(f"grad has incorrect size: got {tuple(g.shape)}, not {tuple(x.shape)}")
    return rows


def _near(a, b, atol, rtol):
    if a == b or (a != a and b != b):
        return True
    return abs(a - b) <= atol + rtol * abs(b)


def _forward(fn, inputs, which, number, x):
    """Products of the Jacobian with the axes of x in forward mode: [element of x][axis][output element]."""
    from . import forward_ad

    table = []
    for place in _places(x):
        rows = []
        for step in (1, 1j) if x.is_complex() else (1,):
            v = _C._VariableFunctions.zeros_like(x)
            v[place] = step
            with forward_ad.dual_level():
                args = [forward_ad.make_dual(x.detach(), v) if k == which else _bare(a) for k, a in enumerate(inputs)]
                out, tangent = forward_ad.unpack_dual(_outputs(fn, args)[number])
                rows.append([0.0] * out.numel() if tangent is None else _flat(tangent))
        table.append(rows)
    return table


def _bare(a):
    return a.detach() if isinstance(a, _C.TensorBase) else a


def _matrix(rows, x):
    """[element of x, element of the output] as a tensor, for comparison and error texts."""
    if not rows or not rows[0]:
        return _C._VariableFunctions.zeros([len(rows), 0], dtype=x.dtype)
    return _C.tensor(rows, dtype=x.dtype)


def _along(table, weight, x):
    """The part Re(conj(weight) * output) of a table by axes, as gradients of x are written."""
    w = complex(weight).conjugate()
    made = []
    for steps in table:
        axes = [[(w * complex(v)).real for v in step] for step in steps]
        made.append([complex(re, im) for re, im in zip(*axes)] if x.is_complex() else axes[0])
    return _matrix(made, x)


def _compare(numerical, analytical, output, number, which, weight, atol, rtol, how=""):
    if all(_near(a, b, atol, rtol) for a, b in zip(_elements(analytical), _elements(numerical))):
        return
    part = ""
    if output.is_complex():
        part = f"While considering the {'imaginary' if weight == 1j else 'real'} part of complex outputs only, "
    raise GradcheckError(
        f"{part}Jacobian {how}mismatch for output {number} with respect to input {which},\n"
        f"numerical:{numerical}\nanalytical:{analytical}\n"
    )


def _elements(matrix):
    return [v for row in matrix.tolist() for v in row]


def _weights(output):
    return (1j, 1) if output.is_complex() else (1,)


def _check_pair(output, x, table, number, which, atol, rtol, nondet_tol):
    for weight in _weights(output):
        rows = _analytical(output, x, weight)
        again = _analytical(output, x, weight)
        n = x.numel()
        columns = [[0.0] * n if r is None else r for r in rows]
        analytical = _matrix([[c[j] for c in columns] for j in range(n)], x)
        _compare(_along(table, weight, x), analytical, output, number, which, weight, atol, rtol)
        for r, s in zip(rows, again):
            if r and any(not _near(a, b, nondet_tol, 0) for a, b in zip(r, s)):
                raise GradcheckError(
                    "Backward is not reentrant, i.e., running backward with same input and "
                    "grad_output multiple times gives different values, although analytical gradient "
                    f"matches numerical gradient.The tolerance for nondeterminism was {nondet_tol}."
                )


def _check_batched(output, number, checked, inputs):
    """The rows of a Jacobian in one backward by vmap, against one backward each."""
    from . import grad

    weights = [_C._VariableFunctions.ones_like(output) * (0.3 + k) for k in range(2)]
    one = [grad(output, checked, w, retain_graph=True, allow_unused=True) for w in weights]
    try:
        every = grad(
            output, checked, _C._VariableFunctions.stack(weights), retain_graph=True, allow_unused=True,
            is_grads_batched=True,
        )
    except RuntimeError as error:
        raise GradcheckError(
            "While computing batched gradients, got: " + str(error)
        ) from error
    for x, found, a, b in zip(checked, every, *one):
        if found is None:
            continue
        expected = _C._VariableFunctions.stack([_C._VariableFunctions.zeros_like(x) if g is None else g for g in (a, b)])
        if any(not _near(p, q, 1e-8, 1e-5) for p, q in zip(_flat(found), _flat(expected))):
            which = next(k for k, i in enumerate(inputs) if i is x)
            raise GradcheckError(
                f"For output {number} and input {which}:\n\nBatched gradients differ from those taken one by one."
                f"\n\nGot:\n{found}\n\nExpected:\n{expected}\n"
            )


def _check_undefined(fn, inputs, checked):
    from . import grad

    outputs = [o for o in _outputs(fn, inputs) if o.requires_grad]
    for _ in outputs:
        found = grad(
            outputs, checked, [_C._VariableFunctions.zeros_like(p) for p in outputs],
            allow_unused=True, retain_graph=True,
        )
        for g in found:
            if g is not None and any(v != 0 for v in _flat(g)):
                raise GradcheckError("backward not multiplied by grad_output")


def gradcheck(
    func, inputs, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True, nondet_tol=0.0,
    check_undefined_grad=True, check_grad_dtypes=False, check_batched_grad=False,
    check_batched_forward_grad=False, check_forward_ad=False, check_backward_ad=True, fast_mode=False,
    masked=None,
):
    """Compares backward of `func` at `inputs` with finite differences; True where they agree.

    inputs: a tensor or a tuple of arguments; those that require gradients are checked and should be
    float64 or complex128. nondet_tol: how far two runs of backward may differ. check_forward_ad: forward
    mode too. check_batched_grad: backward under vmap too. fast_mode is taken as the full comparison.
    Raises GradcheckError on a mismatch (False without raise_exception), ValueError where no input
    requires a gradient, NotImplementedError for batched forward mode. Reference:
    torch.autograd.gradcheck.
    """
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError(
            "Expected at least one of check_forward_ad or check_backward_ad to be True, but both are False"
        )
    if check_batched_grad and not check_backward_ad:
        raise AssertionError("Setting check_batched_grad=True requires check_backward_ad to be True")
    if check_batched_forward_grad and not check_forward_ad:
        raise AssertionError("Setting check_batched_forward_grad=True requires check_forward_ad to be True")
    if check_batched_forward_grad:
        raise NotImplementedError("gradcheck: check_batched_forward_grad=True is not built")
    inputs = _tuple(inputs)
    try:
        checked = [x for x in inputs if _is_checked(x)]
        if not checked:
            raise ValueError(
                "gradcheck expects at least one input tensor to require gradient, but none of them "
                "have requires_grad=True."
            )
        for i, x in enumerate(inputs):
            if _is_checked(x) and x.dtype.itemsize != (16 if x.is_complex() else 8):
                import warnings

                warnings.warn(
                    f"Input #{i} requires gradient and is not a double precision floating point or "
                    "complex. This check will likely fail if all the inputs are not of double "
                    "precision floating point or complex. ",
                    stacklevel=2,
                )
            if _is_checked(x) and any(st == 0 and n > 1 for st, n in zip(x.stride(), x.shape)):
                raise RuntimeError(
                    f"The {i}th input has a dimension with stride 0. gradcheck only supports inputs that are "
                    "non-overlapping to be able to compute the numerical gradients correctly. You should call "
                    ".contiguous on the input before passing it to gradcheck."
                )
        outputs = _outputs(func, inputs)
        which = -1
        for x in inputs:
            which += 1
            if not _is_checked(x):
                continue
            tables = _numerical(func, inputs, x, eps)
            for number, output in enumerate(outputs):
                if tables is None:
                    continue
                if not any(o.requires_grad for o in outputs):
                    if any(abs(v) > atol for steps in tables[number] for step in steps for v in step):
                        raise GradcheckError("Numerical gradient for function expected to be zero")
                    continue
                if check_forward_ad:
                    forward = _forward(func, inputs, which, number, x)
                    for weight in _weights(output):
                        _compare(
                            _along(tables[number], weight, x), _along(forward, weight, x), output, number, which, weight,
                            atol, rtol, "computed with forward mode ",
                        )
                if not check_backward_ad or not output.requires_grad:
                    continue
                _check_pair(output, x, tables[number], number, which, atol, rtol, nondet_tol)
        if not check_backward_ad or not any(o.requires_grad for o in outputs):
            return True
        if check_batched_grad:
            for number, o in enumerate(outputs):
                if o.requires_grad:
                    _check_batched(o, number, checked, inputs)
        if check_grad_dtypes:
            from . import grad

            for o in outputs:
                if not o.requires_grad:
                    continue
                for x, g in zip(
                    checked,
                    grad(o, checked, _C._VariableFunctions.ones_like(o), retain_graph=True,
                         allow_unused=True),
                ):
                    if g is not None and g.dtype != x.dtype:
                        raise GradcheckError("Gradient has dtype mismatch")
        if check_undefined_grad:
            _check_undefined(func, inputs, checked)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func, inputs, grad_outputs=None, *, eps=1e-6, atol=1e-5, rtol=1e-3,
    gen_non_contig_grad_outputs=False, raise_exception=True, nondet_tol=0.0,
    check_undefined_grad=True, check_grad_dtypes=False, check_batched_grad=False,
    check_fwd_over_rev=False, check_rev_over_rev=True, fast_mode=False, masked=False,
):
    """Compares the second derivatives of `func` with finite differences of the first.

    grad_outputs: weights of the outputs; left out, random ones. Otherwise as `gradcheck`.
    Reference: torch.autograd.gradgradcheck.
    """
    if not (check_fwd_over_rev or check_rev_over_rev):
        raise AssertionError(
            "Expected at least one of check_fwd_over_rev or check_rev_over_rev to be True"
        )
    if gen_non_contig_grad_outputs:
        raise NotImplementedError("gradgradcheck: gen_non_contig_grad_outputs=True is not built")
    inputs = _tuple(inputs)
    if grad_outputs is None:
        weights = []
        for k, o in enumerate(_outputs(func, inputs)):
            w = _C._VariableFunctions.zeros_like(o.detach())
            for n, place in enumerate(_places(w)):
                w[place] = ((n * 7 + k * 3 + 1) % 11) / 5 - 1 + (
                    ((n * 5 + k + 2) % 7) / 4 * 1j if o.is_complex() else 0
                )
            weights.append(w.requires_grad_())
    else:
        weights = [w.detach().requires_grad_() for w in _tuple(grad_outputs)]
    n = len(weights)

    def first(*args):
        from . import grad

        ins, outs_grad = args[:-n], args[-n:]
        ins = tuple(
            x.requires_grad_() if isinstance(x, _C.TensorBase) and y.requires_grad else x
            for x, y in zip(ins, inputs)
        )
        from . import enable_grad

        with enable_grad():
            outs = _outputs(func, ins)
            pairs = [(o, w) for o, w in zip(outs, outs_grad) if o.requires_grad]
            found = grad(
                [o for o, _ in pairs], [x for x in ins if _is_checked(x)], [w for _, w in pairs],
                create_graph=True, allow_unused=True,
            )
        return tuple(g for g in found if g is not None)

    return gradcheck(
        first, (*inputs, *weights), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception,
        nondet_tol=nondet_tol, check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes, check_batched_grad=check_batched_grad,
        check_forward_ad=check_fwd_over_rev, check_backward_ad=check_rev_over_rev,
        fast_mode=fast_mode, masked=masked,
    )
