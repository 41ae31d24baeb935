"""vmap: a function of one example applied to a batch.

Reference behaviour: PyTorch 2.13's `torch.func.vmap`. Operators on batched tensors are the core's
(csrc/autograd/vmap.c); here are the arguments and results.
"""

import functools

from .. import _C
from ..utils._pytree import _broadcast_to_and_flatten as broadcast
from ..utils._pytree import tree_flatten as flatten
from ..utils._pytree import tree_unflatten as unflatten

__all__ = ["vmap", "restore_vmap"]

_F = _C._functorch


def _name(func):
    if hasattr(func, "__name__"):
        return func.__name__
    if isinstance(func, functools.partial):
        return f"functools.partial({_name(func.func)}, ...)"
    return repr(func)


def _check_randomness(randomness):
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}"
        )


def _mapped_size(dims, args):
    """The common size of the mapped dimensions."""
    sizes = [arg.size(dim) for dim, arg in zip(dims, args) if dim is not None]
    if len(sizes) == 0:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if any(size != sizes[0] for size in sizes):
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} "
            "for the mapped dimension"
        )
    return sizes[0]


def _prepare(in_dims, args, func):
    """Size of the batch, dimension per leaf (None: not mapped), leaves and structure of the arguments."""
    where = f"vmap({_name(func)}, in_dims={in_dims}, ...)(<inputs>): "
    if not isinstance(in_dims, int) and not isinstance(in_dims, tuple):
        raise ValueError(
            f"{where}expected `in_dims` to be int or a (potentially nested) tuple matching the structure of "
            f"inputs, got: {type(in_dims)}."
        )
    if len(args) == 0:
        raise ValueError(
            f"vmap({_name(func)})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are "
            "trying to vmap over a function with no inputs. The latter is unsupported."
        )
    leaves, structure = flatten(args)
    dims = broadcast(in_dims, structure)
    if dims is None:
        raise ValueError(
            f"{where}in_dims is not compatible with the structure of `inputs`. in_dims has structure "
            f"{flatten(in_dims)[1]} but inputs has structure {structure}."
        )
    for i, (arg, dim) in enumerate(zip(leaves, dims)):
        if dim is not None and not isinstance(dim, int):
            raise ValueError(
                f"{where}Got in_dim={dim} for an input but in_dim must be either an integer dimension or None."
            )
        if isinstance(dim, int) and not isinstance(arg, _C.TensorBase):
            raise ValueError(
                f"{where}Got in_dim={dim} for an input but the input is of type {type(arg)}. We cannot vmap "
                "over non-Tensor arguments, please use None as the respective in_dim"
            )
        if dim is not None and not -arg.dim() <= dim < arg.dim():
            raise ValueError(
                f"{where}Got in_dim={dim} for some input, but that input is a Tensor of dimensionality "
                f"{arg.dim()} so expected in_dim to satisfy -{arg.dim()} <= in_dim < {arg.dim()}."
            )
        if dim is not None and dim < 0:
            dims[i] = dim % arg.dim()
    return _mapped_size(dims, leaves), dims, leaves, structure


def _remove(result, out_dim, level, size, func):
    if not isinstance(result, _C.TensorBase):
        if out_dim is None:
            return result
        raise ValueError(
            f"vmap({_name(func)}, ...): `{_name(func)}` must only return Tensors, got type "
            f"{type(result)}. Did you mean to set out_dims= to None for output?"
        )
    if out_dim is None:
        bare = _F._unwrap_batched(result, level)
        if bare is None:
            raise ValueError(
                f"vmap({_name(func)}, ...): `{_name(func)}` can not return a BatchedTensor when out_dim is "
                "None"
            )
        return bare
    return _F._remove_batch_dim(result, level, size, out_dim)


def _check_out_dims(out_dims, func):
    if isinstance(out_dims, int):
        return
    for dim in flatten(out_dims)[0]:
        if not isinstance(dim, int) and dim is not None:
            raise ValueError(
                f"vmap({_name(func)}, ..., out_dims={out_dims}): `out_dims` must be an int, None or a python "
                "collection of ints representing where in the outputs the vmapped dimension should appear."
            )


def _unwrap(results, out_dims, level, size, func):
    leaves, structure = flatten(results)

    def incompatible():
        raise ValueError(
            f"vmap({_name(func)}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with the "
            f"structure of `outputs`. out_dims has structure {flatten(out_dims)[1]} but outputs has "
            f"structure {structure}."
        )

    if isinstance(results, _C.TensorBase):
        if isinstance(out_dims, int) or out_dims is None:
            dims = [out_dims]
        elif isinstance(out_dims, tuple) and len(out_dims) == 1:
            dims = list(out_dims)
        else:
            incompatible()
    else:
        dims = broadcast(out_dims, structure)
        if dims is None:
            incompatible()
    made = [_remove(r, d, level, size, func) for r, d in zip(leaves, dims)]
    return unflatten(made, structure)


def _run(func, size, dims, leaves, structure, out_dims, randomness, kwargs):
    level = _F._vmap_increment_nesting(size, randomness)
    try:
        batched = [
            x if d is None else _F._add_batch_dim(x, d, level) for x, d in zip(leaves, dims)
        ]
        results = func(*unflatten(batched, structure), **kwargs)
        return _unwrap(results, out_dims, level, size, func)
    finally:
        _F._vmap_decrement_nesting()


def _run_chunks(func, size, dims, leaves, structure, out_dims, randomness, chunk_size, kwargs):
    """Pieces of the batch one after the other, their results joined."""
    parts, made = [], None
    for start in range(0, size, chunk_size):
        n = min(chunk_size, size - start)
        piece = [x if d is None else x.narrow(d, start, n) for x, d in zip(leaves, dims)]
        results = _run(func, n, dims, piece, structure, out_dims, randomness, kwargs)
        flat, made = flatten(results)
        parts.append(flat)
    dims_out = broadcast(out_dims, made)
    for column in zip(*parts):
        for piece in column:
            if not isinstance(piece, _C.TensorBase):
                raise TypeError(f"expected Tensor as element 0 in argument 0, but got {type(piece).__name__}")
    joined = [
        _C._VariableFunctions.cat(list(column), 0 if d is None else d)
        for d, column in zip(dims_out, zip(*parts))
    ]
    return unflatten(joined, made)


def vmap(func, in_dims=0, out_dims=0, randomness="error", *, chunk_size=None):
    """`func` over a batch: a function that takes and gives tensors with one dimension more.

    in_dims: which dimension of each input to map over; an int, or a (nested) tuple matching the
    inputs with None for what stays the same. out_dims: where the dimension goes in the results.
    randomness: "error", "same" for all examples, or "different". chunk_size: how many examples at a
    time. Keyword arguments are mapped over dimension 0 where they are tensors' containers' leaves in
    `in_dims` only; they are passed on as they are. Raises ValueError for dimensions that do not fit the
    inputs, RuntimeError for what cannot be done on a batch (`.item()`, control flow on values).
    Reference: torch.func.vmap.
    """
    _check_randomness(randomness)
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def wrapped(*args, **kwargs):
        _check_out_dims(out_dims, func)
        size, dims, leaves, structure = _prepare(in_dims, args, func)
        if chunk_size is not None and chunk_size < size:
            return _run_chunks(
                func, size, dims, leaves, structure, out_dims, randomness, chunk_size, kwargs
            )
        return _run(func, size, dims, leaves, structure, out_dims, randomness, kwargs)

    return wrapped


def restore_vmap(func, in_dims, batch_size, randomness):
    """Like vmap with in_dims per flat argument and a given size; gives results and their out_dims."""

    def inner(*args, **kwargs):
        level = _F._vmap_increment_nesting(batch_size, randomness)
        try:
            leaves, structure = flatten(args)
            dims = broadcast(in_dims, structure)
            batched = [x if d is None else _F._add_batch_dim(x, d, level) for x, d in zip(leaves, dims)]
            results = func(*unflatten(batched, structure), **kwargs)
            flat, made = flatten(results)
            out, where = [], []
            for r in flat:
                bare = _F._unwrap_batched(r, level) if isinstance(r, _C.TensorBase) else r
                mapped = isinstance(r, _C.TensorBase) and bare is None
                out.append(_F._remove_batch_dim(r, level, batch_size, 0) if mapped else bare)
                where.append(0 if mapped else None)
            return unflatten(out, made), unflatten(where, made)
        finally:
            _F._vmap_decrement_nesting()

    return inner
