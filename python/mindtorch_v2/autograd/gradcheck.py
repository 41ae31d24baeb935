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
    found = _tuple(fn(*inputs))
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


def _check_pair(output, x, table, number, which, atol, rtol, nondet_tol):
    for weight in (1, 1j) if output.is_complex() else (1,):
        rows = _analytical(output, x, weight)
        again = _analytical(output, x, weight)
        for r, s in zip(rows, again):
            if r and any(not _near(a, b, nondet_tol, 0) for a, b in zip(r, s)):
                raise GradcheckError(
                    "Backward is not reentrant, i.e., running backward with same input and "
                    "grad_output multiple times gives different values, although analytical gradient "
                    f"matches numerical gradient.The tolerance for nondeterminism was {nondet_tol}."
                )
        for i, row in enumerate(rows):
            for j, steps in enumerate(table):
                # Re(conj(weight) * d output) along each axis of x
                w = complex(weight).conjugate()
                along = [(w * complex(step[i])).real for step in steps]
                want = complex(*along) if x.is_complex() else along[0]
                got = 0.0 if row is None else row[j]
                if not _near(got, want, atol, rtol):
                    raise GradcheckError(
                        f"Jacobian mismatch for output {number} with respect to input {which},\n"
                        f"numerical:{want} at element {j} of the input and {i} of the output\n"
                        f"analytical:{got}\n"
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
    float64 or complex128. nondet_tol: how far two runs of backward may differ. fast_mode is taken as
    the full comparison. Raises GradcheckError on a mismatch (False without raise_exception),
    ValueError where no input requires a gradient, NotImplementedError for batched and forward-mode
    checks. Reference: torch.autograd.gradcheck.
    """
    for name, on in (
        ("check_batched_grad", check_batched_grad),
        ("check_batched_forward_grad", check_batched_forward_grad),
        ("check_forward_ad", check_forward_ad),
    ):
        if on:
            raise NotImplementedError(f"gradcheck: {name}=True is not built")
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
        if not check_backward_ad:
            return True
        outputs = _outputs(func, inputs)
        which = -1
        for x in inputs:
            which += 1
            if not _is_checked(x):
                continue
            tables = _numerical(func, inputs, x, eps)
            for number, output in enumerate(outputs):
                if tables is None or not output.requires_grad:
                    continue
                _check_pair(output, x, tables[number], number, which, atol, rtol, nondet_tol)
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
    if check_fwd_over_rev:
        raise NotImplementedError("gradgradcheck: check_fwd_over_rev=True is not built")
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
        fast_mode=fast_mode, masked=masked,
    )
