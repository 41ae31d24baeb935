"""Losses: how far a prediction is from its target.

Common to all: ``reduction`` is "none" (one value per element or sample), "sum" or "mean"; anything
else raises ValueError. ``size_average`` and ``reduce`` are its deprecated predecessors. Unless said
otherwise, prediction and target have the same shape and a floating point dtype.
"""

import math
import warnings

from ...overrides import has_torch_function_variadic
from .. import _reduction as _Reduction
from .common import Tensor, nn_ops, redirect, torch


def _enum(reduction, size_average=None, reduce=None):
    if size_average is not None or reduce is not None:
        return _Reduction.legacy_get_enum(size_average, reduce)
    return _Reduction.get_enum(reduction)


def _name(reduction, size_average, reduce):
    if size_average is not None or reduce is not None:
        return _Reduction.legacy_get_string(size_average, reduce)
    return reduction


def _reduce(loss, reduction, complaint="{} is not valid"):
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(complaint.format(reduction))


# ----------------------------------------------------------------------------- classification


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor,
    target_lengths: Tensor,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Negative log-likelihood of label sequences over all their alignments. Graves et al., 2006.

    Args:
        log_probs: (T, N, C) or (T, C), log-probabilities per step.
        targets: (N, S) or, one after the other, (sum of lengths,), without blanks.
        input_lengths, target_lengths: (N,), or a scalar without batch; tensors or tuples.
        blank: class that stands for no label.
        zero_infinity: turn infinite losses (targets that do not fit) and their gradients to zero.

    "mean" divides each loss by its target's length before taking the mean over the batch.
    """
    if has_torch_function_variadic(log_probs, targets, input_lengths, target_lengths):
        return redirect(ctc_loss, locals())
    return torch.ctc_loss(
        log_probs,
        targets,
        input_lengths,
        target_lengths,
        blank,
        _Reduction.get_enum(reduction),
        zero_infinity,
    )


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``-weight[y] * input[y]`` for the target class y of each sample.

    Args:
        input: (C,), (N, C) or (N, C, ...), log-probabilities.
        target: the shape of ``input`` without C, int64 class numbers.
        weight: (C,), 1 by default. "mean" divides by the sum of the weights in use.
        ignore_index: target value that does not count.
    """
    if has_torch_function_variadic(input, target, weight):
        return redirect(nll_loss, locals())
    return nn_ops.nll_loss_nd(
        input, target, weight, _enum(reduction, size_average, reduce), ignore_index
    )


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross entropy between the softmax of ``input`` and the target distribution.

    Args:
        input: (C,), (N, C) or (N, C, ...), unnormalised scores.
        target: class numbers as for `nll_loss`, or probabilities of the shape of ``input``.
        weight, ignore_index: as for `nll_loss`.
        label_smoothing: in [0, 1], the share of the uniform distribution mixed into the target.
    """
    if has_torch_function_variadic(input, target, weight):
        return redirect(cross_entropy, locals())
    return nn_ops.cross_entropy_loss(
        input,
        target,
        weight,
        _enum(reduction, size_average, reduce),
        ignore_index,
        label_smoothing,
    )


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``-(t * log(x) + (1 - t) * log(1 - x))`` for probabilities x, logarithms clamped at -100.

    ``weight``, broadcast to the target, scales each term. ValueError if the shapes differ.
    """
    if has_torch_function_variadic(input, target, weight):
        return redirect(binary_cross_entropy, locals())
    enum = _enum(reduction, size_average, reduce)
    if target.size() != input.size():
        raise ValueError(
            f"Using a target size ({target.size()}) that is different to the input size "
            f"({input.size()}) is deprecated. Please ensure they have the same size."
        )
    if weight is not None:
        weight = weight.expand(torch.broadcast_shapes(target.size(), weight.size()))
    return nn_ops.binary_cross_entropy(input, target, weight, enum)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """`binary_cross_entropy` of ``sigmoid(input)``, without loss of precision.

    ``pos_weight``, broadcast, scales the term of positive targets. ValueError if the shapes differ.
    """
    if has_torch_function_variadic(input, target, weight, pos_weight):
        return redirect(binary_cross_entropy_with_logits, locals())
    enum = _enum(reduction, size_average, reduce)
    if target.size() != input.size():
        raise ValueError(
            f"Target size ({target.size()}) must be the same as input size ({input.size()})"
        )
    return torch.binary_cross_entropy_with_logits(input, target, weight, pos_weight, enum)


def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Sum of ``max(0, 1 - (x[y] - x[i])) / C`` over the target classes y and all others i.

    ``input`` is (C,) or (N, C); ``target`` of that shape lists int64 class numbers up to the first
    -1. The result is one value per sample.
    """
    if has_torch_function_variadic(input, target):
        return redirect(multilabel_margin_loss, locals())
    return nn_ops.multilabel_margin_loss(input, target, _enum(reduction, size_average, reduce))


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Mean over classes of the binary cross entropy with logits; ``input`` is (..., C)."""
    if has_torch_function_variadic(input, target, weight):
        return redirect(multilabel_soft_margin_loss, locals())
    reduction = _name(reduction, size_average, reduce)
    loss = -(target * nn_ops.log_sigmoid(input) + (1 - target) * nn_ops.log_sigmoid(-input))
    if weight is not None:
        loss = loss * weight
    last = input.dim() - 1
    return _reduce(loss.sum(dim=last) / input.size(last), reduction)


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Sum of ``max(0, margin - x[y] + x[i]) ** p / C`` over the classes i other than the target y.

    ``input`` is (C,) or (N, C), ``target`` int64 class numbers () or (N,), ``weight`` (C,), ``p`` 1
    or 2. The result is one value per sample.
    """
    if has_torch_function_variadic(input, target, weight):
        return redirect(multi_margin_loss, locals())
    enum = _enum(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.dim() != 1:
        raise ValueError("weight must be one-dimensional")
    return nn_ops.multi_margin_loss(input, target, p, margin, weight, enum)


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``log(1 + exp(-target * input))`` for targets 1 and -1."""
    if has_torch_function_variadic(input, target):
        return redirect(soft_margin_loss, locals())
    return nn_ops.soft_margin_loss(input, target, _enum(reduction, size_average, reduce))


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``input`` where the target is 1, ``max(0, margin - input)`` where it is -1."""
    if has_torch_function_variadic(input, target):
        return redirect(hinge_embedding_loss, locals())
    return torch.hinge_embedding_loss(input, target, margin, _enum(reduction, size_average, reduce))


# ------------------------------------------------------------------------------ distributions


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood of counts under a Poisson distribution.

    ``exp(input) - target * input`` if ``log_input``, else ``input - target * log(input + eps)``;
    ``full`` adds Stirling's approximation of ``log(target!)`` for targets above 1.
    """
    if has_torch_function_variadic(input, target):
        return redirect(poisson_nll_loss, locals())
    reduction = _name(reduction, size_average, reduce)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return torch.poisson_nll_loss(
        input, target, log_input, full, eps, _Reduction.get_enum(reduction)
    )


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """``(log(var) + (input - target) ** 2 / var) / 2``, ``full`` adding ``log(2 pi) / 2``.

    Args:
        var: positive, a number or a tensor of the shape of ``input``, without its last dimension or
            with 1 there. Clamped at ``eps``, which the gradient does not see. Nix & Weigend, 1994.

    Raises:
        ValueError: for a negative or wrongly shaped ``var``.
    """
    if has_torch_function_variadic(input, target, var):
        return redirect(gaussian_nll_loss, locals())
    if isinstance(var, float):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = var * torch.ones_like(input)
    elif torch.any(var < 0):
        raise ValueError("var has negative entry/entries")
    if var.size() != input.size():
        if input.size()[:-1] == var.size():
            # one variance for all of the last dimension
            var = var.unsqueeze(-1)
        elif input.ndim != var.ndim or not _broadcasts_in_one_dim(input.size(), var.size()):
            raise ValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(reduction + " is not valid")
    var = var.clone()
    with torch.no_grad():
        var.clamp_(min=eps)
    loss = 0.5 * (torch.log(var) + (input - target) ** 2 / var)
    if full:
        loss += 0.5 * math.log(2 * math.pi)
    return _reduce(loss, reduction)


def _broadcasts_in_one_dim(size, other):
    return sum(y for x, y in zip(size, other, strict=True) if x != y) == 1


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """Kullback-Leibler divergence, ``target * (log(target) - input)`` for log-probabilities input.

    With ``log_target`` the target is given as log-probabilities too. The further reduction
    "batchmean" divides the sum by the batch size, which is the divergence's proper mean.
    """
    if has_torch_function_variadic(input, target):
        return redirect(kl_div, locals())
    if size_average is not None or reduce is not None:
        enum = _Reduction.legacy_get_enum(size_average, reduce)
    else:
        if reduction == "mean":
            warnings.warn(
                "reduction: 'mean' divides the total loss by both the batch size and the support "
                "size.'batchmean' divides only by the batch size, and aligns with the KL div math "
                "definition.'mean' will be changed to behave the same as 'batchmean' in the next "
                "major release.",
                stacklevel=2,
            )
        enum = _Reduction.get_enum("sum" if reduction == "batchmean" else reduction)
    loss = torch.kl_div(input, target, enum, log_target=log_target)
    if reduction == "batchmean" and input.dim() != 0:
        loss = loss / input.size()[0]
    return loss


# --------------------------------------------------------------------------------- regression


def _broadcast(input, target):
    if target.size() != input.size():
        warnings.warn(
            f"Using a target size ({target.size()}) that is different to the input size "
            f"({input.size()}). This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.",
            stacklevel=3,
        )
    return torch.broadcast_tensors(input, target)


def _weighted(loss, weight, input, reduction):
    if weight.size() != input.size():
        raise ValueError("Weights and input must have the same size.")
    loss = loss * weight
    if reduction == "mean":
        return loss.sum() / weight.sum()
    return _reduce(
        loss, reduction, "Invalid reduction mode: {}. Expected one of 'none', 'mean', 'sum'."
    )


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """``|input - target|``.

    ``weight`` of the same shape scales each element; "mean" then divides by its sum. Shapes that
    differ are broadcast, with a warning.
    """
    if has_torch_function_variadic(input, target, weight):
        return redirect(l1_loss, locals())
    reduction = _name(reduction, size_average, reduce)
    input, target = _broadcast(input, target)
    if weight is None:
        return nn_ops.l1_loss(input, target, _Reduction.get_enum(reduction))
    return _weighted(nn_ops.l1_loss(input, target, 0), weight, input, reduction)


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """``(input - target) ** 2``; ``weight`` and broadcasting as for `l1_loss`."""
    if has_torch_function_variadic(input, target, weight):
        return redirect(mse_loss, locals())
    reduction = _name(reduction, size_average, reduce)
    input, target = _broadcast(input, target)
    if weight is None:
        return nn_ops.mse_loss(input, target, _Reduction.get_enum(reduction))
    return _weighted(nn_ops.mse_loss(input, target, 0), weight, input, reduction)


def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """``d ** 2 / 2`` for differences d up to ``delta``, ``delta * (|d| - delta / 2)`` beyond.

    ``weight`` and broadcasting as for `l1_loss`. Huber, 1964.
    """
    if has_torch_function_variadic(input, target, weight):
        return redirect(huber_loss, locals())
    input, target = _broadcast(input, target)
    if weight is None:
        return nn_ops.huber_loss(input, target, _Reduction.get_enum(reduction), delta)
    return _weighted(nn_ops.huber_loss(input, target, 0, delta), weight, input, reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """``d ** 2 / (2 beta)`` for differences d below ``beta``, ``|d| - beta / 2`` beyond.

    With ``beta`` 0 it is `l1_loss`. Broadcasting as there.
    """
    if has_torch_function_variadic(input, target):
        return redirect(smooth_l1_loss, locals())
    enum = _enum(reduction, size_average, reduce)
    input, target = _broadcast(input, target)
    if beta == 0.0:
        return nn_ops.l1_loss(input, target, enum)
    return nn_ops.smooth_l1_loss(input, target, enum, beta)


# ------------------------------------------------------------------------------------ ranking


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``max(0, -target * (input1 - input2) + margin)``; target 1 wants input1 the greater, -1 the
    smaller. RuntimeError if the numbers of dimensions differ."""
    if has_torch_function_variadic(input1, input2, target):
        return redirect(margin_ranking_loss, locals())
    enum = _enum(reduction, size_average, reduce)
    if not input1.dim() == input2.dim() == target.dim():
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.size()}, input2: {input2.size()}, target: {target.size()} "
        )
    return torch.margin_ranking_loss(input1, input2, target, margin, enum)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``1 - cos`` of the angle of the vectors for target 1, ``max(0, cos - margin)`` for -1.

    The inputs are (N, D) or (D,), ``target`` (N,) or ().
    """
    if has_torch_function_variadic(input1, input2, target):
        return redirect(cosine_embedding_loss, locals())
    return torch.cosine_embedding_loss(
        input1, input2, target, margin, _enum(reduction, size_average, reduce)
    )


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``max(0, d(anchor, positive) - d(anchor, negative) + margin)``, d the p-norm distance.

    The inputs are (N, D) or (D,). ``swap`` takes the distance from positive to negative if that is
    smaller. ValueError unless ``margin`` is above zero. Balntas et al., 2016.
    """
    if has_torch_function_variadic(anchor, positive, negative):
        return redirect(triplet_margin_loss, locals())
    enum = _enum(reduction, size_average, reduce)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    return torch.triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap, enum)


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function=None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` with a distance of one's own; by default the Euclidean one."""
    if has_torch_function_variadic(anchor, positive, negative):
        return redirect(triplet_margin_with_distance_loss, locals())
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    distance = torch.pairwise_distance if distance_function is None else distance_function
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have "
            f"the same number of dimensions, but got: anchor {anchor.ndim}D, "
            f"positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )
    near = distance(anchor, positive)
    far = distance(anchor, negative)
    if swap:
        far = torch.minimum(far, distance(positive, negative))
    return _reduce(torch.clamp_min(margin + near - far, 0), reduction)
