"""What distributions share: broadcasting of parameters, probabilities and log-odds, attributes that
are computed once, triangles as vectors.
"""

import mindtorch_v2 as torch

__all__ = [
    "broadcast_all",
    "clamp_probs",
    "lazy_property",
    "logits_to_probs",
    "probs_to_logits",
    "tril_matrix_to_vec",
    "vec_to_tril_matrix",
]

euler_constant = 0.57721566490153286060


def _is_tensor_like(value):
    return isinstance(value, torch.Tensor) or hasattr(type(value), "__torch_function__")


def _is_number(value):
    return isinstance(value, (int, float))


def _broadcast_shapes(*shapes):
    """The shape that all of `shapes` expand to."""
    sizes = [1] * max(map(len, shapes), default=0)
    for index, shape in enumerate(shapes):
        for i in range(1, len(shape) + 1):
            if shape[-i] == sizes[-i] or shape[-i] == 1:
                continue
            if sizes[-i] != 1:
                raise RuntimeError(
                    f"Attempting to broadcast a dimension of length {shape[-i]} at -{i}! Mismatching argument at "
                    f"index {index} had {shape}; but expected shape should be broadcastable to {sizes}"
                )
            sizes[-i] = shape[-i]
    return torch.Size(sizes)


def _diagonal_matrix(values):
    """Matrices (..., n, n) with the values (..., n) on their diagonals and 0 elsewhere."""
    matrix = values.new_zeros(values.shape + values.shape[-1:])
    matrix.diagonal(0, -2, -1).copy_(values)
    return matrix


def _broadcast_tensors(*tensors):
    try:
        shape = _broadcast_shapes(*(t.shape for t in tensors))
    except RuntimeError:  # in the words of operators on tensors
        total = tensors[0]
        for t in tensors[1:]:
            total = total + t
        raise
    return tuple(t.expand(shape) for t in tensors)


def broadcast_all(*values):
    """Broadcasts numbers and tensors to one shape.

    Numbers take dtype and device of the first tensor, or become tensors of the default dtype where
    there is no tensor.

    Returns:
        A tuple of tensors of the same shape.

    Raises:
        ValueError: a value is neither a number nor a tensor.
        RuntimeError: the shapes do not broadcast.
    """
    if not all(_is_number(v) or _is_tensor_like(v) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects "
            "implementing __torch_function__."
        )
    options = {"dtype": torch.get_default_dtype()}
    for v in values:
        if isinstance(v, torch.Tensor):
            options = {"dtype": v.dtype, "device": v.device}
            break
    return _broadcast_tensors(
        *(v if _is_tensor_like(v) else torch.tensor(v, **options) for v in values)
    )


def _standard_normal(shape, dtype, device):
    return torch.normal(
        torch.zeros(shape, dtype=dtype, device=device),
        torch.ones(shape, dtype=dtype, device=device),
    )


def _sum_rightmost(value, dim):
    """Sums over the last `dim` dimensions."""
    return value if dim == 0 else value.reshape(value.shape[:-dim] + (-1,)).sum(-1)


def _event(value, dim):
    """The last `dim` sizes of a tensor, or of a shape."""
    shape = getattr(value, "shape", value)
    return shape[len(shape) - dim :]


def logits_to_probs(logits, is_binary=False):
    """Probabilities of log-odds (`is_binary`), or of unnormalised log-probabilities over the last
    dimension. Same shape."""
    return torch.sigmoid(logits) if is_binary else torch.softmax(logits, dim=-1)


def clamp_probs(probs):
    """`probs` kept away from 0 and 1 by the dtype's epsilon, so that their logarithms are finite."""
    eps = torch.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs, is_binary=False):
    """The inverse of `logits_to_probs`, for probabilities clamped away from 0 and 1."""
    probs = clamp_probs(probs)
    return torch.log(probs) - torch.log1p(-probs) if is_binary else torch.log(probs)


class lazy_property:
    """An attribute computed when it is first read, with gradients enabled, then kept."""

    def __init__(self, wrapped):
        self.wrapped = wrapped
        self.__doc__ = wrapped.__doc__
        self.__name__ = wrapped.__name__

    def __get__(self, instance, obj_type=None):
        if instance is None:
            return _ClassSide(self.wrapped)
        with torch.enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value


class _ClassSide(lazy_property, property):
    """What the class shows of a lazy property: to tools it is a property."""

    def __init__(self, wrapped):
        property.__init__(self, wrapped)


def tril_matrix_to_vec(mat, diag=0):
    """The lower triangle of `mat` (..., n, n) row by row, up to the diagonal numbered `diag`, as a
    tensor (..., number of elements).

    Raises:
        ValueError: `diag` does not lie in [-n, n).
    """
    n = mat.shape[-1]
    if not -n <= diag < n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    arange = torch.arange(n, device=mat.device)
    return mat[..., arange < arange.view(-1, 1) + (diag + 1)]


def vec_to_tril_matrix(vec, diag=0):
    """The inverse of `tril_matrix_to_vec`: (..., D) to (..., n, n), zero elsewhere.

    Raises:
        ValueError: no n makes a triangle of D elements.
    """
    # a triangle up to diagonal d has n (n + 1) / 2 + n d - d (d + 1) / 2 elements (d <= 0), to be
    # solved for n
    count = vec.shape[-1]
    n = (
        -(1 + 2 * diag) + ((1 + 2 * diag) ** 2 + 8 * count + 4 * abs(diag) * (diag + 1)) ** 0.5
    ) / 2
    if round(n) - n > torch.finfo(vec.dtype).eps:
        raise ValueError(
            f"The size of last dimension is {count} which cannot be expressed as "
            "the lower triangular part of a square D x D matrix."
        )
    n = round(n)
    mat = vec.new_zeros(vec.shape[:-1] + (n, n))
    arange = torch.arange(n, device=vec.device)
    mat[..., arange < arange.view(-1, 1) + (diag + 1)] = vec
    return mat
