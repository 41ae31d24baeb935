"""Batch normalisation, and what it shares with instance normalisation."""

import mindtorch_v2 as torch

from .. import functional as F
from .. import init
from ..parameter import Parameter, UninitializedBuffer, UninitializedParameter
from .lazy import LazyModuleMixin
from .module import Module

__all__ = [
    "BatchNorm1d",
    "LazyBatchNorm1d",
    "BatchNorm2d",
    "LazyBatchNorm2d",
    "BatchNorm3d",
    "LazyBatchNorm3d",
    "SyncBatchNorm",
]

Tensor = torch.Tensor


def _check_dims(input, allowed):
    """ValueError unless the number of dimensions of ``input`` is one of ``allowed``."""
    if input.dim() not in allowed:
        want = " or ".join(f"{n}D" for n in allowed)
        raise ValueError(f"expected {want} input (got {input.dim()}D input)")


class _NormBase(Module):
    """Parameters and running statistics per channel.

    Version 2 of the state has the buffer ``num_batches_tracked``.
    """

    _version = 2
    __constants__ = ["track_running_stats", "momentum", "eps", "num_features", "affine"]
    num_features: int
    eps: float
    momentum: float | None
    affine: bool
    track_running_stats: bool

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device=None,
        dtype=None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        place = {"device": device, "dtype": dtype}
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            empty = Parameter(torch.empty(num_features, **place)) if wanted else None
            self.register_parameter(name, empty)
        if track_running_stats:
            self.register_buffer("running_mean", torch.zeros(num_features, **place))
            self.register_buffer("running_var", torch.ones(num_features, **place))
            count = torch.tensor(0, dtype=torch.long, device=device)
            self.register_buffer("num_batches_tracked", count)
        else:
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                self.register_buffer(name, None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Set the running mean to 0, the variance to 1 and the count of batches to 0."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Set weight to 1, bias to 0, and the statistics to their start."""
        self.reset_running_stats()
        if self.affine:
            init.ones_(self.weight)
            if self.bias is not None:
                init.zeros_(self.bias)

    def _check_input_dim(self, input):
        raise NotImplementedError

    def extra_repr(self):
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )

    def _load_from_state_dict(
        self,
        state_dict,
        prefix,
        local_metadata,
        strict,
        missing_keys,
        unexpected_keys,
        error_msgs,
    ) -> None:
        version = local_metadata.get("version", None)
        if (version is None or version < 2) and self.track_running_stats:
            key = prefix + "num_batches_tracked"
            if key not in state_dict:
                own = self.num_batches_tracked
                usable = own is not None and own.device != torch.device("meta")
                state_dict[key] = own if usable else torch.tensor(0, dtype=torch.long)
        super()._load_from_state_dict(
            state_dict,
            prefix,
            local_metadata,
            strict,
            missing_keys,
            unexpected_keys,
            error_msgs,
        )


class _BatchNorm(_NormBase):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device=None,
        dtype=None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        training = self.training
        held = self._buffers
        # see Linear.forward
        plain = type(self) in _PLAIN
        if plain and "running_mean" in held and "running_var" in held:
            mean, var = held["running_mean"], held["running_var"]
        else:
            mean, var = self.running_mean, self.running_var
        held = self._parameters
        if plain and "weight" in held and "bias" in held:
            weight, bias = held["weight"], held["bias"]
        else:
            weight, bias = self.weight, self.bias
        momentum = 0.0 if self.momentum is None else self.momentum
        if training and self.track_running_stats:
            count = self.num_batches_tracked
            if count is not None:
                count.add_(1)
                if self.momentum is None:
                    # the plain average over all batches so far
                    momentum = 1.0 / float(count)
        elif training:
            mean = var = None
        return F.batch_norm(
            input,
            mean,
            var,
            weight,
            bias,
            # without running statistics the batch's own are used in evaluation mode, too
            training or (mean is None and var is None),
            momentum,
            self.eps,
        )


class _LazyNormBase(LazyModuleMixin, _NormBase):
    weight: UninitializedParameter
    bias: UninitializedParameter

    def __init__(
        self,
        eps=1e-5,
        momentum=0.1,
        affine=True,
        track_running_stats=True,
        device=None,
        dtype=None,
        *,
        bias=True,
    ) -> None:
        # the shell has neither parameters nor statistics; placeholders for them come below
        super().__init__(0, eps, momentum, False, False, device, dtype, bias=bias)
        self.affine = affine
        self.track_running_stats = track_running_stats
        place = {"device": device, "dtype": dtype}
        if affine:
            self.weight = UninitializedParameter(**place)
            if bias:
                self.bias = UninitializedParameter(**place)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(**place)
            self.running_var = UninitializedBuffer(**place)
            self.num_batches_tracked = torch.tensor(0, dtype=torch.long, device=device)

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params() and self.num_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input) -> None:
        if not self.has_uninitialized_params():
            return
        self.num_features = input.shape[1]
        shape = (self.num_features,)
        if self.affine:
            self.weight.materialize(shape)
            if self.bias is not None:
                self.bias.materialize(shape)
        if self.track_running_stats:
            self.running_mean.materialize(shape)
            self.running_var.materialize(shape)
        self.reset_parameters()


_ARGUMENTS = """ Ioffe & Szegedy, 2015.

    Args:
        num_features: number of channels C.
        eps: added to the variance.
        momentum: share of the new in the running statistics; None for their plain average.
        affine: whether there are ``weight`` and ``bias`` (C,), ones and zeros at first.
        track_running_stats: keep mean and variance for use in evaluation mode, in the buffers
            ``running_mean``, ``running_var`` (C,) and ``num_batches_tracked`` ().
        device, dtype: of the parameters.
        bias: whether there is a ``bias``.

    In training the batch's own (biased) variance is used and the unbiased one kept. ValueError for
    a wrong number of dimensions, or a single value per channel in training.
    """


class BatchNorm1d(_BatchNorm):
    __doc__ = "Normalises the channels of (N, C) or (N, C, L)." + _ARGUMENTS

    def _check_input_dim(self, input):
        _check_dims(input, (2, 3))


class LazyBatchNorm1d(_LazyNormBase, _BatchNorm):
    """A `BatchNorm1d` that takes ``num_features`` from the first input it sees."""

    cls_to_become = BatchNorm1d

    def _check_input_dim(self, input):
        _check_dims(input, (2, 3))


class BatchNorm2d(_BatchNorm):
    __doc__ = "Normalises the channels of (N, C, H, W)." + _ARGUMENTS

    def _check_input_dim(self, input):
        _check_dims(input, (4,))


class LazyBatchNorm2d(_LazyNormBase, _BatchNorm):
    """A `BatchNorm2d` that takes ``num_features`` from the first input it sees."""

    cls_to_become = BatchNorm2d

    def _check_input_dim(self, input):
        _check_dims(input, (4,))


class BatchNorm3d(_BatchNorm):
    __doc__ = "Normalises the channels of (N, C, D, H, W)." + _ARGUMENTS

    def _check_input_dim(self, input):
        _check_dims(input, (5,))


class LazyBatchNorm3d(_LazyNormBase, _BatchNorm):
    """A `BatchNorm3d` that takes ``num_features`` from the first input it sees."""

    cls_to_become = BatchNorm3d

    def _check_input_dim(self, input):
        _check_dims(input, (5,))


_PLAIN = frozenset((BatchNorm1d, BatchNorm2d, BatchNorm3d))


class SyncBatchNorm(_BatchNorm):
    """Batch normalisation whose statistics are those of all processes of a group.

    Input has two dimensions or more, channels second. Where no group is set up, in evaluation mode
    with running statistics, or in a group of one, it is plain batch normalisation. The CPU cannot
    gather the statistics: ValueError in a larger group.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group=None,
        device=None,
        dtype=None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )
        self.process_group = process_group

    def _check_input_dim(self, input):
        if input.dim() < 2:
            raise ValueError(f"expected at least 2D input (got {input.dim()}D input)")

    def _group_size(self):
        distributed = getattr(torch, "distributed", None)
        if distributed is None or not (
            distributed.is_available() and distributed.is_initialized()
        ):
            return 1
        return distributed.get_world_size(self.process_group)

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() > 1 and input.size(1) == 0:
            raise ValueError("SyncBatchNorm number of input channels should be non-zero")
        if self.training and self._group_size() > 1:
            self._check_input_dim(input)
            raise ValueError(
                "SyncBatchNorm expected input tensor to be on GPU or HPU or XPU or privateuseone"
            )
        return super().forward(input)

    @classmethod
    def convert_sync_batchnorm(cls, module, process_group=None):
        """`module` with every batch normalisation inside replaced by one of this class, which has the
        same parameters and statistics; a new module where `module` is one itself."""
        made = module
        if isinstance(module, _BatchNorm):
            made = cls(
                module.num_features,
                module.eps,
                module.momentum,
                module.affine,
                module.track_running_stats,
                process_group,
                bias=module.bias is not None,
            )
            if module.affine:
                with torch.no_grad():
                    made.weight = module.weight
                    made.bias = module.bias
            made.running_mean = module.running_mean
            made.running_var = module.running_var
            made.num_batches_tracked = module.num_batches_tracked
            made.training = module.training
        for name, child in module.named_children():
            made.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return made
