"""grad, vjp, jvp and what is made of them.

Reference behaviour: PyTorch 2.13's `torch.func`. A transform takes its inputs as fresh leaves at the
open vmap level (or as views of them where something outside is to be differentiated too), records,
and cuts from its results the history that leads to those leaves alone.
"""

import functools

from .. import _C
from ..utils._pytree import tree_flatten as flatten
from ..utils._pytree import tree_map, treespec_pprint
from ..utils._pytree import tree_unflatten as unflatten
from ._vmap import _name, vmap

__all__ = [
    "grad", "grad_and_value", "vjp", "jvp", "jacrev", "jacfwd", "hessian", "linearize",
]

_F = _C._functorch
_V = _C._VariableFunctions


def _is_tensor(x):
    return isinstance(x, _C.TensorBase)


class _Transform:
    """Recording is on, and what functions under transforms must not do is refused."""

    def __enter__(self):
        self.before = _C.is_grad_enabled()
        _C._set_grad_enabled(True)
        _F._differentiating(1)

    def __exit__(self, *error):
        _F._differentiating(-1)
        _C._set_grad_enabled(self.before)


class _Level:
    """The inputs of one gradient transform."""

    def __init__(self):
        self.tracked = _C.is_grad_enabled()
        self.leaves = ()

    def take(self, value):
        """`value` with tensors that gradients can be taken of."""

        def one(x):
            if not _is_tensor(x):
                raise ValueError(f"Thing passed to transform API must be Tensor, got {type(x)}")
            if not (x.is_floating_point() or x.is_complex()):
                raise RuntimeError("only Tensors of floating point dtype can require gradients")
            made = _F._grad_input(x, self.tracked)
            self.leaves += (made,)
            return made

        return tree_map(one, value)

    def give(self, value):
        """`value` as the outside sees it."""

        def one(x):
            if not _is_tensor(x):
                raise RuntimeError(f"Expected tensors, got unsupported type {type(x)}")
            return _F._grad_output(x, self.leaves, self.tracked)

        return tree_map(one, value)


def _autograd_grad(outputs, inputs, grads=None):
    """Gradients with zeros for what does not matter; recorded, since an outer transform may want it."""
    from ..autograd import grad as autograd_grad

    if grads is None:
        pairs = [(o, None) for o in outputs if o.requires_grad]
    else:
        pairs = [(o, g) for o, g in zip(outputs, grads) if o.requires_grad]
    if not pairs:
        return tuple(_V.zeros_like(x) for x in inputs)
    found = autograd_grad(
        [o for o, _ in pairs], inputs, [g for _, g in pairs], retain_graph=True, create_graph=True,
        allow_unused=True,
    ) if inputs else ()
    return tuple(_V.zeros_like(x) if g is None else g for g, x in zip(found, inputs))


def _check_argnums(argnums, count):
    if not isinstance(argnums, (int, tuple)):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    if isinstance(argnums, tuple) and len(argnums) == 0:
        raise RuntimeError("argnums must be non-empty")
    for n in (argnums,) if isinstance(argnums, int) else argnums:
        if not isinstance(n, int):
            raise RuntimeError(f"argnum must be int, got: {type(n)}")
        if not -count <= n < count:
            raise RuntimeError(f"Got argnum={n}, but only {count} positional inputs")
    if isinstance(argnums, tuple):
        positive = [n % count for n in argnums]
        if len(set(positive)) != len(positive):
            raise RuntimeError(f"argnums elements must be unique, got {tuple(positive)}")


def _pick(args, argnums):
    _check_argnums(argnums, len(args))
    return args[argnums] if isinstance(argnums, int) else tuple(args[n] for n in argnums)


def _replace(args, argnums, new):
    made = list(args)
    if isinstance(argnums, int):
        made[argnums] = new
    else:
        for n, value in zip(argnums, new):
            made[n] = value
    return tuple(made)


def grad_and_value(func, argnums=0, has_aux=False):
    """Like `grad`; gives (gradients, value), or (gradients, (value, aux)) with has_aux."""

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        level = _Level()
        with _Transform():
            taken = level.take(_pick(args, argnums))
            output = func(*_replace(args, argnums, taken), **kwargs)
            if has_aux:
                if not (isinstance(output, tuple) and len(output) == 2):
                    raise RuntimeError(
                        "grad_and_value(f)(*args): output of function f should be a tuple: "
                        "(output, aux) if has_aux is True"
                    )
                output, aux = output
            if not _is_tensor(output):
                raise RuntimeError(
                    f"grad_and_value(f)(*args): Expected f(*args) to return a Tensor, got {type(output)}"
                )
            if output.dim() != 0:
                raise RuntimeError(
                    "grad_and_value(f)(*args): Expected f(*args) to return a scalar Tensor, got tensor with "
                    f"{output.dim()} dims. Maybe you wanted to use the vjp or jacrev APIs instead?"
                )
            leaves, structure = flatten(taken)
            where = [i for i, x in enumerate(leaves) if _is_tensor(x)]
            found = _autograd_grad([output], [leaves[i] for i in where])
            for i, g in zip(where, found):
                leaves[i] = g
            gradients = level.give(unflatten(leaves, structure))
            output = level.give(output)
            if has_aux:
                return gradients, (output, level.give(aux))
            return gradients, output

    return wrapper


def grad(func, argnums=0, has_aux=False):
    """A function that gives the gradients of `func`, which returns a 0-dim tensor, with respect to the
    arguments `argnums` (an int, or a tuple of them for a tuple of gradients).

    has_aux: `func` returns (output, aux), and the result is (gradients, aux). Raises RuntimeError for
    an output that is no 0-dim tensor or an argument that is not there. Reference: torch.func.grad.
    """

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        gradients, value = grad_and_value(func, argnums, has_aux)(*args, **kwargs)
        return (gradients, value[1]) if has_aux else gradients

    return wrapper


def vjp(func, *primals, has_aux=False):
    """The value of `func` and a function of cotangents that gives their products with its Jacobian.

    Returns (output, vjp_fn), with has_aux (output, vjp_fn, aux). vjp_fn(*cotangents) takes what
    `output` is made of and gives a tuple, a single one for a single primal. Raises RuntimeError for
    outputs that are no tensors and cotangents of another structure. Reference: torch.func.vjp.
    """
    level = _Level()
    with _Transform():
        taken = level.take(primals)
        output = func(*taken)
        if has_aux:
            if not (isinstance(output, tuple) and len(output) == 2):
                raise RuntimeError(
                    "vjp(f, *primals): output of function f should be a tuple: (output, aux) if "
                    "has_aux is True"
                )
            output, aux = output
        outs, out_structure = flatten(output)
        for o in outs:
            if not _is_tensor(o):
                raise RuntimeError(
                    f"vjp(f, *primals): expected f(*primals) to return only tensors, got unsupported type {type(o)}"
                )
        if not outs:
            raise RuntimeError(
                "vjp(f, *primals): Expected f to be a function that has non-empty output (got output = "
                f"{outs})"
            )
        shown = level.give(output)
        ins, in_structure = flatten(taken)
        where = [i for i, x in enumerate(ins) if _is_tensor(x)]

    def vjp_fn(*cotangents, retain_graph=True, create_graph=None):
        given = cotangents[0] if len(cotangents) == 1 else cotangents
        weights, structure = flatten(given)
        if structure != out_structure and len(weights) != len(outs):
            raise RuntimeError(
                f"Expected pytree structure of cotangents to be the same as pytree structure of outputs to "
                f"the function. cotangents: {treespec_pprint(structure)}, primal output: "
                f"{treespec_pprint(out_structure)}"
            )
        again = _Level()
        again.tracked, again.leaves = level.tracked or _C.is_grad_enabled(), level.leaves
        with _Transform():
            found = _autograd_grad(outs, [ins[i] for i in where], weights)
            gradients = list(ins)
            for i, g in zip(where, found):
                gradients[i] = g
            made = again.give(unflatten(gradients, in_structure))
        return made

    if has_aux:
        return shown, vjp_fn, level.give(aux)
    return shown, vjp_fn


def jvp(func, primals, tangents, *, strict=False, has_aux=False):
    """The value of `func` at `primals` (a tuple) and the product of its Jacobian with `tangents`, of
    the same structure.

    Returns (output, jvp_out), with has_aux (output, jvp_out, aux). strict: RuntimeError for outputs that
    do not depend on the inputs. Reference: torch.func.jvp.
    """
    if not isinstance(primals, tuple):
        raise RuntimeError(
            f"jvp(f, primals, tangents): Expected primals to be a tuple. E.g. it should be "
            "valid to call f(*primals)."
        )
    ins, structure = flatten(primals)
    along, other = flatten(tangents)
    if structure != other:
        raise RuntimeError(
            f"jvp(f, primals, tangents): Expected primals and tangents to have the same python "
            f"structure. For example, if primals is a tuple of 3 tensors, tangents also must be. Got primals "
            f"with structure {structure} and tangents with structure {other}"
        )
    for name, values in (("primals", ins), ("tangents", along)):
        if len(values) == 0:
            raise RuntimeError(f"jvp(f, primals, tangents): Expected {name} to contain at least one Tensor.")
        for x in values:
            if not _is_tensor(x):
                raise RuntimeError(
                    f"jvp(f, primals, tangents): Expected {name} to only contain Tensors, got {type(x)}"
                )
    from ..autograd.forward_ad import _check_size

    for x, t in zip(ins, along):
        if not (x.is_floating_point() or x.is_complex()):
            raise ValueError(f"Expected primal to be floating point or complex, but got: {x.dtype}")
        _check_size(x, t)
    before = _C._is_fwd_grad_enabled()
    number = _F._fw_enter()
    _C._set_fwd_grad_enabled(True)
    try:
        duals = [_F._make_dual(x, t, number) for x, t in zip(ins, along)]
        output = func(*unflatten(duals, structure))
        aux = None
        if has_aux:
            if not (isinstance(output, tuple) and len(output) == 2):
                raise RuntimeError(
                    f"jvp(f, primals, tangents): output of function f should be a tuple: (output, "
                    "aux) if has_aux is True"
                )
            output, aux = output
        outs, made = flatten(output)
        values, found = [], []
        for o in outs:
            if not _is_tensor(o):
                raise RuntimeError(
                    f"jvp(f, primals, tangents): expected f(*primals) to return only tensors, got "
                    f"unsupported type {type(o)}"
                )
            tangent = _F._tangent_of(o, number)
            if tangent is None:
                if strict:
                    raise RuntimeError(
                        "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. "
                        "This is not allowed with strict=True."
                    )
                tangent = _V.zeros_like(o)
            found.append(tangent)
            values.append(o)
    finally:
        _F._fw_exit()
        _C._set_fwd_grad_enabled(before)
    shown, slopes = unflatten(values, made), unflatten(found, made)
    return (shown, slopes, aux) if has_aux else (shown, slopes)


def _basis(tensors):
    """For each tensor, the unit vectors of all of them: [total, *shape], as parts of one identity."""
    counts = [t.numel() for t in tensors]
    total, start, made = sum(counts), 0, []
    for t, n in zip(tensors, counts):
        chunk = _V.zeros([total, n], dtype=t.dtype, device=t.device)
        chunk.diagonal(-start).fill_(1)
        made.append(chunk.view([total, *t.shape]))
        start += n
    return made, counts


def jacrev(func, argnums=0, *, has_aux=False, chunk_size=None, _preallocate_and_copy=False):
    """The Jacobian of `func` by reverse mode: for each output (tensor) and each of the arguments
    `argnums` a tensor of shape (*output, *argument), as the output's structure of the arguments'.

    has_aux: (jacobian, aux). chunk_size: how many rows at a time. Reference: torch.func.jacrev.
    """
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        picked = _pick(args, argnums)
        single = isinstance(argnums, int)

        def inner(*chosen):
            return func(*_replace(args, argnums, chosen[0] if single else chosen), **kwargs)

        primals = (picked,) if single else picked
        if has_aux:
            output, vjp_fn, aux = vjp(inner, *primals, has_aux=True)
        else:
            output, vjp_fn = vjp(inner, *primals)
        outs, out_structure = flatten(output)
        weights, counts = _basis(outs)
        rows = vmap(lambda *w: vjp_fn(unflatten(w, out_structure)), chunk_size=chunk_size, randomness="same")(*weights)
        ins, in_structure = flatten(rows)
        table = []
        for k, o in enumerate(outs):
            start = sum(counts[:k])
            parts = [x.narrow(0, start, counts[k]).reshape([*o.shape, *x.shape[1:]]) for x in ins]
            made = unflatten(parts, in_structure)
            table.append(made[0] if single else made)
        jacobian = unflatten(table, out_structure)
        return (jacobian, aux) if has_aux else jacobian

    return wrapper


def jacfwd(func, argnums=0, has_aux=False, *, randomness="error"):
    """The Jacobian of `func` by forward mode; see `jacrev`. randomness: of the vmap over directions.
    Reference: torch.func.jacfwd."""

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        picked = _pick(args, argnums)
        single = isinstance(argnums, int)
        primals = (picked,) if single else picked
        ins, in_structure = flatten(primals)
        directions, counts = _basis(ins)

        def inner(*chosen):
            return func(*_replace(args, argnums, chosen[0] if single else chosen), **kwargs)

        def along(*tangents):
            found = jvp(inner, primals, unflatten(tangents, in_structure), has_aux=has_aux)
            return (found[1], found[2]) if has_aux else found[1]

        found = vmap(along, randomness=randomness)(*directions)
        columns, aux = found if has_aux else (found, None)
        if has_aux:
            aux = tree_map(lambda x: x[0] if _is_tensor(x) else x, aux)
        outs, out_structure = flatten(columns)
        table = []
        for o in outs:
            parts = []
            for k, x in enumerate(ins):
                part = o.narrow(0, sum(counts[:k]), counts[k]).movedim(0, -1)
                parts.append(part.reshape([*o.shape[1:], *x.shape]))
            made = unflatten(parts, in_structure)
            table.append(made[0] if single else made)
        jacobian = unflatten(table, out_structure)
        return (jacobian, aux) if has_aux else jacobian

    return wrapper


def hessian(func, argnums=0):
    """The second derivatives of `func` with respect to `argnums`: jacfwd of jacrev.
    Reference: torch.func.hessian."""
    return jacfwd(jacrev(func, argnums), argnums)


def linearize(func, *primals):
    """The value of `func` at `primals`, and the linear function of tangents that is its derivative
    there. Each call of the latter runs `func` again in forward mode. Reference: torch.func.linearize."""
    output = func(*primals)
    ins, structure = flatten(primals)

    def jvp_fn(*tangents):
        along, other = flatten(tangents)
        if other != structure:
            raise RuntimeError(
                f"Expected the tangents {other} to have the same argspec as the primals {structure}"
            )
        for k, (x, t) in enumerate(zip(ins, along)):
            if x.shape != t.shape:
                raise RuntimeError(
                    f"tangent:{k} with shape {t.shape} in flattened pytree doesn't match the shape "
                    f"{x.shape} of the corresponding primal."
                )
            if x.device != t.device:
                raise RuntimeError(
                    f"tangent:{k} with device {t.device} in flattened pytree doesn't match the device "
                    f"{x.device} of the corresponding primal."
                )
            if x.dtype != t.dtype:
                raise RuntimeError(
                    f"tangent:{k} with dtype {t.dtype} in flattened pytree doesn't match the dtype "
                    f"{x.dtype} of the corresponding primal."
                )
        return jvp(func, primals, tangents)[1]

    return output, jvp_fn
