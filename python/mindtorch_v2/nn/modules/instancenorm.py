"""Instance normalisation."""

import warnings

from .. import functional as F
from .batchnorm import _check_dims, _LazyNormBase, _NormBase
from .module import Tensor

__all__ = [
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LazyInstanceNorm1d",
    "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
]


class _InstanceNorm(_NormBase):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device=None,
        dtype=None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )

    def _check_input_dim(self, input):
        raise NotImplementedError

    def _get_no_batch_dim(self):
        """Number of dimensions of an input without batch."""
        raise NotImplementedError

    def _handle_no_batch_input(self, input):
        return self._apply_instance_norm(input.unsqueeze(0)).squeeze(0)

    def _apply_instance_norm(self, input):
        return F.instance_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
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
        if local_metadata.get("version", None) is None and not self.track_running_stats:
            # there was a time when statistics were tracked by default
            names = ("running_mean", "running_var")
            given = [prefix + n for n in names if prefix + n in state_dict]
            if given:
                name = type(self).__name__
                error_msgs.append(
                    "Unexpected running stats buffer(s) {names} for {klass} with "
                    "track_running_stats=False. If state_dict is a checkpoint saved before 0.4.0, "
                    "this may be expected because {klass} does not track running stats by default "
                    "since 0.4.0. Please remove these keys from state_dict. If the running stats "
                    "are actually needed, instead set track_running_stats=True in {klass} to "
                    "enable them. See the documentation of {klass} for details.".format(
                        names=" and ".join(f'"{k}"' for k in given), klass=name
                    )
                )
                for key in given:
                    state_dict.pop(key)
        super()._load_from_state_dict(
            state_dict,
            prefix,
            local_metadata,
            strict,
            missing_keys,
            unexpected_keys,
            error_msgs,
        )

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        without_batch = self._get_no_batch_dim()
        dim = input.dim() - without_batch
        if input.size(dim) != self.num_features:
            if self.affine:
                raise ValueError(
                    f"expected input's size at dim={dim} to match num_features"
                    f" ({self.num_features}), but got: {input.size(dim)}."
                )
            warnings.warn(
                f"input's size at dim={dim} does not match num_features. "
                "You can silence this warning by not passing in num_features, "
                "which is not used because affine=False",
                stacklevel=2,
            )
        if dim == 0:
            return self._handle_no_batch_input(input)
        return self._apply_instance_norm(input)


_ARGUMENTS = """ over space. Ulyanov et al., 2016.

    The arguments are those of `BatchNorm1d`, but by default there are neither parameters nor
    running statistics. ValueError for a wrong number of dimensions, of channels (if there are
    parameters), or a single spatial element.
    """


class InstanceNorm1d(_InstanceNorm):
    __doc__ = "Normalises each channel of each sample, (N, C, L) or (C, L)," + _ARGUMENTS

    def _get_no_batch_dim(self) -> int:
        return 2

    def _check_input_dim(self, input):
        _check_dims(input, (2, 3))


class LazyInstanceNorm1d(_LazyNormBase, _InstanceNorm):
    """An `InstanceNorm1d` that takes ``num_features`` from dimension 1 of its first input."""

    cls_to_become = InstanceNorm1d

    def _get_no_batch_dim(self) -> int:
        return 2

    def _check_input_dim(self, input):
        _check_dims(input, (2, 3))


class InstanceNorm2d(_InstanceNorm):
    __doc__ = "Normalises each channel of each sample, (N, C, H, W) or (C, H, W)," + _ARGUMENTS

    def _get_no_batch_dim(self) -> int:
        return 3

    def _check_input_dim(self, input):
        _check_dims(input, (3, 4))


class LazyInstanceNorm2d(_LazyNormBase, _InstanceNorm):
    """An `InstanceNorm2d` that takes ``num_features`` from dimension 1 of its first input."""

    cls_to_become = InstanceNorm2d

    def _get_no_batch_dim(self) -> int:
        return 3

    def _check_input_dim(self, input):
        _check_dims(input, (3, 4))


class InstanceNorm3d(_InstanceNorm):
    __doc__ = (
        "Normalises each channel of each sample, (N, C, D, H, W) or (C, D, H, W)," + _ARGUMENTS
    )

    def _get_no_batch_dim(self) -> int:
        return 4

    def _check_input_dim(self, input):
        _check_dims(input, (4, 5))


class LazyInstanceNorm3d(_LazyNormBase, _InstanceNorm):
    """An `InstanceNorm3d` that takes ``num_features`` from dimension 1 of its first input."""

    cls_to_become = InstanceNorm3d

    def _get_no_batch_dim(self) -> int:
        return 4

    def _check_input_dim(self, input):
        _check_dims(input, (4, 5))
