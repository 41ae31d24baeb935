"""Softmax over very many classes of uneven frequency. Grave et al., 2017."""

from collections import namedtuple

import mindtorch_v2 as torch

from ..functional import log_softmax
from .container import ModuleList, Sequential
from .linear import Linear
from .module import Module

__all__ = ["AdaptiveLogSoftmaxWithLoss"]

Tensor = torch.Tensor

_ASMoutput = namedtuple("_ASMoutput", ["output", "loss"])


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-softmax in two levels: frequent classes at once, rare ones by cluster.

    Args:
        in_features, n_classes: of the input and of the whole softmax. Classes are numbered by
            falling frequency.
        cutoffs: increasing class numbers where the clusters start; classes below the first are in
            the ``head``, together with one entry for each cluster.
        div_value: each further cluster has that many times less features inside.
        head_bias: whether the head has a bias.
        device, dtype: of the parameters.

    ``forward(input, target)`` with (N, in_features) and (N,), or without N, gives the named tuple
    of ``output``, the log-probability of each target, and ``loss``, their negative mean.

    ValueError for cutoffs that are no increasing numbers between 1 and n_classes - 1.
    """

    in_features: int
    n_classes: int
    cutoffs: list[int]
    div_value: float
    head_bias: bool
    head: Linear
    tail: ModuleList

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs,
        div_value: float = 4.0,
        head_bias: bool = False,
        device=None,
        dtype=None,
    ) -> None:
        place = {"device": device, "dtype": dtype}
        super().__init__()
        cutoffs = list(cutoffs)
        if len(cutoffs) == 0:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        if (
            cutoffs != sorted(cutoffs)
            or min(cutoffs) <= 0
            or max(cutoffs) > (n_classes - 1)
            or len(set(cutoffs)) != len(cutoffs)
            or any(int(c) != c for c in cutoffs)
        ):
            raise ValueError(
                "cutoffs should be a sequence of unique, positive "
                "integers sorted in an increasing order, where "
                "each value is between 1 and n_classes-1"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*cutoffs, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, **place)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            inner = int(in_features // (div_value ** (i + 1)))
            outer = self.cutoffs[i + 1] - self.cutoffs[i]
            self.tail.append(
                Sequential(
                    Linear(in_features, inner, bias=False, **place),
                    Linear(inner, outer, bias=False, **place),
                )
            )

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        self.head.reset_parameters()
        for first, second in self.tail:
            first.reset_parameters()
            second.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> _ASMoutput:
        dims = target_.dim()
        if dims == 1:
            if input_.size(0) != target_.size(0):
                raise RuntimeError(
                    "Input and target should have the same size in the batch dimension."
                )
            if input_.dim() != 2:
                raise RuntimeError(
                    "1D target tensor expects 2D input tensors, "
                    f"but found inputs with size {input_.size()}"
                )
        elif dims == 0:
            if input_.dim() != 1:
                raise RuntimeError(
                    "0D target tensor expects 1D input tensors, "
                    f"but found inputs with size {input_.size()}"
                )
        else:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        batched = dims > 0
        input = input_ if batched else input_.unsqueeze(0)
        target = target_ if batched else target_.unsqueeze(0)
        found = 0
        output = input.new_zeros(target.size(0))
        # the entry of the head for each target: its class, or that of its cluster
        entries = target.new_empty(target.size(0))
        limits = [0, *self.cutoffs]
        for i in range(len(limits) - 1):
            low, high = limits[i], limits[i + 1]
            rows = ((target >= low) & (target < high)).nonzero().squeeze(1)
            if rows.numel() == 0:
                continue
            if i == 0:
                entries.index_copy_(0, rows, target[rows])
            else:
                inside = (target[rows] - low).unsqueeze(1)
                scores = self.tail[i - 1](input.index_select(0, rows))
                entries.index_fill_(0, rows, self.cutoffs[0] + i - 1)
                logs = log_softmax(scores, dim=1).gather(1, inside)
                output.index_copy_(0, rows, logs.squeeze(1))
            found += rows.numel()
        if found != target.size(0):
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], "
                f"but values in range [{target.min().item()}, {target.max().item()}] "
                "were found. "
            )
        head = log_softmax(self.head(input), dim=1)
        output += head.gather(1, entries.unsqueeze(1)).squeeze()
        loss = (-output).mean()
        if not batched:
            output = output.squeeze(0)
        return _ASMoutput(output, loss)

    def _get_full_log_prob(self, input, head_output):
        """Log-probabilities (N, n_classes), given the scores of the head."""
        out = input.new_empty((head_output.size(0), self.n_classes))
        head = log_softmax(head_output, dim=1)
        first = self.shortlist_size
        out[:, :first] = head[:, :first]
        for i in range(self.n_clusters):
            start, stop = self.cutoffs[i], self.cutoffs[i + 1]
            inside = log_softmax(self.tail[i](input), dim=1)
            out[:, start:stop] = inside + head[:, first + i].unsqueeze(1)
        return out

    def log_prob(self, input: Tensor) -> Tensor:
        """Log-probabilities (N, n_classes) of all classes for ``input`` (N, in_features)."""
        return self._get_full_log_prob(input, self.head(input))

    def predict(self, input: Tensor) -> Tensor:
        """The most probable class (N,) for ``input`` (N, in_features).

        Cheaper than `log_prob`: clusters are computed only where the head chooses one.
        """
        scores = self.head(input)
        best = torch.argmax(scores, dim=1)
        rare = best >= self.shortlist_size
        if not rare.any():
            return best
        if rare.all():
            return torch.argmax(self._get_full_log_prob(input, scores), dim=1)
        full = self._get_full_log_prob(input[rare], scores[rare])
        best[rare] = torch.argmax(full, dim=1)
        return best
