"""Looking rows up in a table of embeddings."""

import warnings

from ...overrides import has_torch_function_variadic
from .common import Tensor, redirect, torch


def _no_grad_embedding_renorm_(weight, input, max_norm, norm_type):
    # in place and outside of the graph: the table itself is brought within the norm
    torch.embedding_renorm_(weight.detach(), input, max_norm, norm_type)


def _wrap_padding_idx(padding_idx, weight):
    if padding_idx is None:
        return -1
    rows = weight.size(0)
    if padding_idx != 0 and not -rows <= padding_idx < rows:
        raise AssertionError("Padding_idx must be within num_embeddings")
    return padding_idx + rows if padding_idx < 0 else padding_idx


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of ``weight`` by index.

    Args:
        input: indices, int32 or int64, any shape.
        weight: the table, (V, D).
        padding_idx: row that gets no gradient; may count from the end.
        max_norm: rows in use with a greater ``norm_type``-norm are scaled down to it, in place.
        scale_grad_by_freq: divide gradients by the number of times a row occurs in ``input``.
        sparse: have the gradient of ``weight`` as a sparse tensor.

    Returns:
        Tensor of the shape of ``input`` with D appended, dtype of ``weight``.
    """
    if has_torch_function_variadic(input, weight):
        return redirect(embedding, locals())
    padding_idx = _wrap_padding_idx(padding_idx, weight)
    if max_norm is not None:
        input = input.contiguous()
        _no_grad_embedding_renorm_(weight, input, max_norm, norm_type)
    return torch.embedding(weight, input, padding_idx, scale_grad_by_freq, sparse)


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sum, mean or maximum of the embeddings in each of several bags of indices.

    Args:
        input: indices, int32 or int64: (B, L) for B bags of L indices, or (N,) with ``offsets``.
        weight: the table, (V, D).
        offsets: (B,) positions where the bags start; with ``include_last_offset`` one more, N.
        mode: "sum", "mean" or "max".
        per_sample_weights: factors of the shape of ``input``, for mode "sum".
        padding_idx: index whose entries do not count and get no gradient.

    ``max_norm``, ``norm_type``, ``scale_grad_by_freq`` and ``sparse`` are those of `embedding`.

    Returns:
        Tensor (B, D), dtype of ``weight``; an empty bag gives zeros.
    """
    if has_torch_function_variadic(input, weight, offsets, per_sample_weights):
        return redirect(embedding_bag, locals())
    if weight.dtype == torch.long and input.is_floating_point():
        warnings.warn(
            "Argument order of nn.functional.embedding_bag was changed. "
            "Usage `embedding_bag(weight, input, ...)` is deprecated, "
            "and should now be `embedding_bag(input, weight, ...)`.",
            stacklevel=2,
        )
        weight, input = input, weight
    if per_sample_weights is not None and input.size() != per_sample_weights.size():
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not None, "
            f"then it must have the same shape as the input ({input.shape})"
        )
    if weight.dim() != 2:
        raise ValueError(
            f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.dim()}"
        )
    if input.dim() == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a "
                "mini-batch of fixed length sequences. However, found offsets of type "
                f"{type(offsets)}"
            )
        offsets = torch.arange(
            0, input.numel(), input.size(1), dtype=input.dtype, device=input.device
        )
        include_last_offset = False
        input = input.reshape(-1)
        if per_sample_weights is not None:
            per_sample_weights = per_sample_weights.reshape(-1)
    elif input.dim() == 1:
        if offsets is None:
            raise ValueError("offsets has to be a 1D Tensor but got None")
        if offsets.dim() != 1:
            raise ValueError("offsets has to be a 1D Tensor")
    else:
        raise ValueError(
            f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.dim()}"
        )
    if mode == "max":
        if scale_grad_by_freq:
            raise ValueError("max mode does not support scaling the gradient by the frequency")
        if sparse:
            raise ValueError("max mode does not support sparse weights")
    elif mode not in ("sum", "mean"):
        raise ValueError("mode has to be one of sum, mean or max")
    if max_norm is not None:
        _no_grad_embedding_renorm_(weight, input, max_norm, norm_type)
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. "
            "per_sample_weights is only supported for mode='sum' "
            f"(got mode='{mode}'). Please open a feature request on GitHub."
        )
    return torch.embedding_bag(
        weight,
        input,
        offsets,
        scale_grad_by_freq,
        ("sum", "mean", "max").index(mode),
        sparse,
        per_sample_weights,
        include_last_offset,
        padding_idx,
    )[0]
