"""Functions of the top level that take tensors in ways no operator does: any number of them, or
results that depend on flags. Reference behaviour: torch.functional."""

from . import _C

_VF = _C._VariableFunctions
_overridden = _C._has_torch_function

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "broadcast_shapes", "broadcast_tensors",
    "cartesian_prod", "einsum", "lu", "meshgrid", "norm", "split", "tensordot", "unique", "unique_consecutive",
    "unravel_index",
]  # fmt: skip


def _handle(function, tensors, *args, **kwargs):
    from .overrides import handle_torch_function

    return handle_torch_function(function, tensors, *args, **kwargs)


def _many(tensors):
    """f(a, b) and f([a, b]) are the same call."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        return tensors[0]
    return tensors


def broadcast_tensors(*tensors):
    """All tensors expanded to one shape, as a tuple of views. RuntimeError where shapes do not agree."""
    if _overridden(tensors):
        return _handle(broadcast_tensors, tensors, *tensors)
    return _VF.broadcast_tensors(tensors)


def broadcast_shapes(*shapes):
    """The shape (torch.Size) to which shapes (ints or sequences of ints) broadcast; RuntimeError if
    they do not."""
    shapes = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    result = [1] * max(map(len, shapes), default=0)
    for shape in shapes:
        for i in range(-1, -1 - len(shape), -1):
            if shape[i] < 0:
                raise RuntimeError(
                    f"Trying to create tensor with negative dimension ({shape[i]}): ({shape[i]})"
                )
            if shape[i] == 1 or shape[i] == result[i]:
                continue
            if result[i] != 1:
                raise RuntimeError(
                    "Shape mismatch: objects cannot be broadcast to a single shape: "
                    f"{', '.join(str(list(s)) for s in shapes)}"
                )
            result[i] = shape[i]
    return _C.Size(result)


def _atleast(name):
    def function(*tensors):
        if _overridden(tensors):
            return _handle(function, tensors, *tensors)
        return getattr(_VF, name)(tensors[0] if len(tensors) == 1 else tensors)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The tensor, or each of several (a tuple), with at least {name[8]} dimensions."
    return function


atleast_1d, atleast_2d, atleast_3d = map(_atleast, ("atleast_1d", "atleast_2d", "atleast_3d"))


def block_diag(*tensors):
    """A matrix with the given matrices (at most 2-D tensors) along its diagonal, zeros elsewhere."""
    if _overridden(tensors):
        return _handle(block_diag, tensors, *tensors)
    return _VF.block_diag(tensors)


def cartesian_prod(*tensors):
    """All combinations of the elements of 1-D tensors: one row each; one tensor is returned as it is."""
    if _overridden(tensors):
        return _handle(cartesian_prod, tensors, *tensors)
    return _VF.cartesian_prod(tensors)


def meshgrid(*tensors, indexing=None):
    """Coordinates of a grid over 1-D tensors: a tuple of views, one per tensor.

    indexing: "ij" (matrix order, the default, with a warning) or "xy" (the first two swapped).
    """
    tensors = _many(tensors)
    if _overridden(tensors):
        return _handle(meshgrid, tensors, *tensors, **({} if indexing is None else {"indexing": indexing}))
    if indexing is None:
        import warnings

        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing argument.",
            stacklevel=2,
        )
        return _VF.meshgrid(tensors)
    return _VF.meshgrid(tensors, indexing=indexing)


def einsum(*args):
    """Sum of products of operands, in Einstein's notation.

    einsum("ij,jk->ik", a, b), or with lists of ints in [0, 52): einsum(a, [0, 1], b, [1, 2], [0, 2]).
    ValueError for arguments that fit neither, RuntimeError for equations that do not fit the operands.
    """
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one "
            "operand and its subscripts list"
        )
    if isinstance(args[0], _C.TensorBase):
        parts = [_subscripts(s) for s in args[1::2]]
        operands = args[: len(args) // 2 * 2 : 2]
        equation = ",".join(parts[: len(operands)])
        if len(args) % 2:
            equation += "->" + _subscripts(args[-1])
        return einsum(equation, *operands)
    equation, operands = args[0], args[1:]
    if _overridden(operands):
        return _handle(einsum, operands, equation, *operands)
    return _VF.einsum(equation, _many(operands))


def _subscripts(places):
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    text = ""
    for place in places:
        if place is Ellipsis:
            text += "..."
        elif 0 <= place < 52:
            text += letters[place]
        else:
            raise ValueError("einsum(): subscript in subscript list is not within the valid range [0, 52)")
    return text


def split(tensor, split_size_or_sections, dim=0):
    """Views along `dim`: of a given size (the last may be smaller), or of a list of sizes."""
    if _overridden((tensor,)):
        return _handle(split, (tensor,), tensor, split_size_or_sections, dim=dim)
    return tensor.split(split_size_or_sections, dim)


def tensordot(a, b, dims=2, out=None):
    """Sum of products over dimensions of two tensors.

    dims: how many of a's last and b's first dimensions, or a pair of lists of dimensions of a and b.
    """
    if _overridden((a, b)):
        return _handle(tensordot, (a, b), a, b, dims=dims, out=out)
    if not isinstance(dims, (tuple, list, _C.TensorBase, int)):
        raise RuntimeError(
            "tensordot expects dims to be int or "
            + "tuple[list[int], list[int]] or "
            + "list[list[int]] containing two lists, but got "
            + f"dims={dims}"
        )
    if isinstance(dims, _C.TensorBase):
        if dims.numel() > 1:
            dims = dims.tolist()
        else:
            dims = int(dims.item())
    if isinstance(dims, (tuple, list)):
        dims_a, dims_b = (list(d) if isinstance(d, (tuple, list)) else [int(d)] for d in dims)
    else:
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.dim(), b.dim()):
            raise RuntimeError(
                f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}"
            )
        dims_a, dims_b = list(range(-dims, 0)), list(range(dims))
    if out is None:
        return _VF.tensordot(a, b, dims_a, dims_b)
    return _VF.tensordot(a, b, dims_a, dims_b, out=out)


def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The unique elements (1-D, sorted), or with `dim` the unique slices along it.

    return_inverse: also the place of each input element in them (int64, of the input's shape, or 1-D
    with dim). return_counts: also how often each occurs (int64). A tuple where one of these is given.
    """
    if _overridden((input,)):
        return _handle(
            unique, (input,), input, sorted=sorted, return_inverse=return_inverse,
            return_counts=return_counts, dim=dim,
        )  # fmt: skip
    if dim is not None:
        made = _VF.unique_dim(
            input, dim, sorted=sorted, return_inverse=return_inverse, return_counts=return_counts
        )
    else:
        made = _VF._unique2(
            input, sorted=sorted, return_inverse=return_inverse, return_counts=return_counts
        )
    return _chosen(made, return_inverse, return_counts)


def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """The first of each run of equal elements (or slices along `dim`); see `unique` for the flags."""
    if _overridden((input,)):
        return _handle(
            unique_consecutive, (input,), input, return_inverse=return_inverse,
            return_counts=return_counts, dim=dim,
        )  # fmt: skip
    made = _VF.unique_consecutive(
        input, return_inverse=return_inverse, return_counts=return_counts, dim=dim
    )
    return _chosen(made, return_inverse, return_counts)


def _chosen(made, inverse, counts):
    chosen = (made[0], *([made[1]] if inverse else []), *([made[2]] if counts else []))
    return chosen if len(chosen) > 1 else chosen[0]


def norm(input, p="fro", dim=None, keepdim=False, out=None, dtype=None):
    """Norm of vectors or matrices (deprecated in favour of linalg.vector_norm and matrix_norm).

    p: "fro" (root of the sum of squares), "nuc" (sum of singular values), or the order of a vector
    norm. dim: dimensions to reduce, all by default.
    """
    if _overridden((input,)):
        return _handle(norm, (input,), input, p=p, dim=dim, keepdim=keepdim, out=out, dtype=dtype)
    vector_norm = _C._linalg.linalg_vector_norm
    if p == "fro" and (dim is None or isinstance(dim, int) or len(dim) <= 2):
        return vector_norm(input, 2, [dim] if isinstance(dim, int) else dim, keepdim, dtype=dtype, out=out)
    dims = [dim] if isinstance(dim, int) else dim
    if isinstance(p, str):
        if p == "fro":
            raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {' '.join(map(str, dims))}")
        if p == "nuc":
            if dims is None:
                dims = list(range(input.dim()))
            from .linalg import matrix_norm

            return matrix_norm(input, "nuc", dims, keepdim, dtype=dtype, out=out)
        raise RuntimeError(f"only valid string values are 'fro' and 'nuc', found {p}")
    return vector_norm(input, 2.0 if p is None else p, dims, keepdim, dtype=dtype, out=out)


def lu(A, pivot=True, get_infos=False, out=None):
    """LU factorization of A [..., m, n] in compact form: factors, pivots (int32, from 1) and, where
    asked for, LAPACK's info per matrix. Warns that torch.linalg.lu_factor takes its place; TypeError
    where `out` has another length."""
    if _overridden((A,)):
        return _handle(lu, (A,), A, pivot=pivot, get_infos=get_infos, out=out)
    import warnings

    warnings.warn(
        "torch.lu is deprecated in favor of torch.linalg.lu_factor / torch.linalg.lu_factor_ex and will be "
        "removed in a future PyTorch release.\nLU, pivots = torch.lu(A, compute_pivots)\nshould be replaced "
        "with\nLU, pivots = torch.linalg.lu_factor(A, compute_pivots)\nand\nLU, pivots, info = torch.lu(A, "
        "compute_pivots, get_infos=True)\nshould be replaced with\nLU, pivots, info = "
        "torch.linalg.lu_factor_ex(A, compute_pivots)",
        stacklevel=2,
    )
    made = _VF._lu_with_info(A, pivot=pivot, check_errors=not get_infos)
    wanted = 3 if get_infos else 2
    if out is None:
        return made if get_infos else (made[0], made[1])
    if not isinstance(out, (tuple, list)):
        raise TypeError(f"argument 'out' must be tuple of Tensors, not {type(out).__name__}")
    if len(out) != wanted:
        raise TypeError(f"expected tuple of {wanted} elements but got {len(out)}")
    for given, value in zip(out, made, strict=False):
        given.resize_as_(value).copy_(value)
    return out


def unravel_index(indices, shape):
    """Coordinates, one int64 tensor per dimension, of flat places in an array of a shape.

    ValueError for negative sizes or places outside; TypeError for indices that are no integers.
    """
    if _overridden((indices,)):
        return _handle(unravel_index, (indices,), indices, shape=shape)
    dtype = indices.dtype
    if dtype.is_floating_point or dtype.is_complex or str(dtype) == "torch.bool":
        raise ValueError(f"expected 'indices' to be integer dtype, but got {dtype}")
    if not isinstance(shape, (int, tuple, list)):
        raise ValueError(f"expected 'shape' to be int or sequence of ints, but got {type(shape)}")
    if isinstance(shape, int):
        shape = (shape,)
    else:
        for size in shape:
            if not isinstance(size, int):
                raise ValueError(f"expected 'shape' sequence to only contain ints, but got {type(size)}")
        shape = _C.Size(shape)
    if any(size < 0 for size in shape):
        raise ValueError(f"'shape' cannot have negative values, but got {tuple(shape)}")
    made, step = [], 1
    for size in reversed(shape):
        made.append((indices.div(step, rounding_mode="floor") % size).long())
        step *= size
    return tuple(reversed(made))
