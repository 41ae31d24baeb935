"""Cross entropy of scores that are a linear function of the input."""

from ...overrides import has_torch_function_variadic
from .. import _reduction as _Reduction
from .common import Tensor, nn_ops, redirect


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options=None,
) -> Tensor:
    """`cross_entropy` of ``linear(input, linear_weight, linear_bias)``.

    Args:
        input: (N, in_features) or (in_features,).
        linear_weight: (C, in_features), or (C, d1, ..., in_features) for scores (N, C, d1, ...).
        target: class numbers (N, d1, ...), or probabilities of the shape of the scores.
        linear_bias: the shape of ``linear_weight`` without its last dimension.
        weight, reduction, ignore_index, label_smoothing: as for `cross_entropy`.
        options: a `LinearCrossEntropyOptions`. The scores are computed at once, so those that bound
            memory make no difference; ``acc_dtype`` float32 has half precision input summed up in
            it.

    Raises:
        RuntimeError: if shapes or dtypes do not fit together.
    """
    if has_torch_function_variadic(input, linear_weight, target, linear_bias, weight):
        return redirect(linear_cross_entropy, locals())
    if input.dim() not in (1, 2):
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {input.dim()}")
    if linear_weight.dim() < 2:
        raise RuntimeError(
            f"expected linear_weight with dimensionality at least 2, got {linear_weight.dim()}"
        )
    features = linear_weight.size(-1)
    if input.size(-1) != features:
        raise RuntimeError(
            "expected equal input and linear_weight last dimensions (in_features), got "
            f"{input.size(-1)} and {features}, respectively"
        )
    shape = tuple(linear_weight.shape[:-1])
    if len(shape) > 1 and input.dim() == 1:
        raise RuntimeError(
            "K-dimensional loss defined by linear_weight shape "
            f"{tuple(linear_weight.shape)} requires batched input, (N, {features}), "
            f"got unbatched input with shape {tuple(input.shape)}"
        )
    if ignore_index is not None and target.is_floating_point():
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    if linear_bias is not None and tuple(linear_bias.shape) != shape:
        raise RuntimeError(f"expected linear_bias shape {shape}, got {tuple(linear_bias.shape)}")
    dtype = input.dtype
    wide = None
    if options is not None:
        options._check_input(dtype)
        if options.acc_dtype is not None and options.acc_dtype != dtype:
            wide = options.acc_dtype
    matrix = linear_weight.reshape(-1, features)
    bias = None if linear_bias is None else linear_bias.reshape(-1)
    if wide is not None:
        input, matrix = input.to(wide), matrix.to(wide)
        bias = None if bias is None else bias.to(wide)
        weight = None if weight is None else weight.to(wide)
        target = target.to(wide) if target.is_floating_point() else target
    scores = nn_ops.linear(input, matrix, bias)
    if len(shape) > 1:
        scores = scores.view(*input.shape[:-1], *shape)
    loss = nn_ops.cross_entropy_loss(
        scores,
        target,
        weight,
        _Reduction.get_enum(reduction),
        -100 if ignore_index is None else ignore_index,
        label_smoothing,
    )
    return loss if wide is None else loss.to(dtype)
