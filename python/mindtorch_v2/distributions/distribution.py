"""The base class of probability distributions."""

import warnings

import mindtorch_v2 as torch

from . import constraints
from .utils import _broadcast_shapes, _event, lazy_property

__all__ = ["Distribution"]


class Distribution:
    """A batch of distributions.

    A sample of shape `sample_shape` is a tensor sample_shape + batch_shape + event_shape; densities
    are sample_shape + batch_shape.

    Args:
        batch_shape: shape of the independent, differently parametrised distributions.
        event_shape: shape of one draw.
        validate_args: whether parameters and values are checked; None takes the default of all
            distributions (`set_default_validate_args`).

    Raises:
        ValueError: a parameter lies outside its constraint.
    """

    has_rsample = False
    has_enumerate_support = False
    _validate_args = __debug__

    @staticmethod
    def set_default_validate_args(value):
        """Turns the checks of all distributions on or off, except where `validate_args` was given.

        Raises:
            ValueError: `value` is no bool.
        """
        if value not in [True, False]:
            raise ValueError
        Distribution._validate_args = value

    def __init__(self, batch_shape=torch.Size(), event_shape=torch.Size(), validate_args=None):  # noqa: B008
        self._batch_shape = batch_shape
        self._event_shape = event_shape
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_parameters()
        super().__init__()

    def _check_parameters(self):
        try:
            arg_constraints = self.arg_constraints
        except NotImplementedError:
            warnings.warn(
                f"{self.__class__} does not define `arg_constraints`. Please set "
                "`arg_constraints = {}` or initialize the distribution with "
                "`validate_args=False` to turn off validation.",
                stacklevel=3,
            )
            return
        for name, constraint in arg_constraints.items():
            if constraints.is_dependent(constraint):
                continue
            if name not in self.__dict__ and isinstance(getattr(type(self), name), lazy_property):
                continue  # derived from another parameter, which is checked
            value = getattr(self, name)
            if not constraint.check(value).all():
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape "
                    f"{tuple(value.shape)}) of distribution {self!r} to satisfy the constraint "
                    f"{constraint!r}, but found invalid values:\n{value}"
                )

    def expand(self, batch_shape, _instance=None):
        """The same distribution with its parameters expanded to `batch_shape` (no memory is
        allocated). Subclasses that override `__init__` must override this too."""
        raise NotImplementedError

    def _expanded(self, cls, batch_shape, instance, **event_dims):
        """A copy as class `cls` whose named parameters have the new batch shape; of each the number
        says how many of its last dimensions belong to the event. Parameters not yet computed stay
        so."""
        new = self._get_checked_instance(cls, instance)
        batch_shape = torch.Size(batch_shape)
        for name, n in event_dims.items():
            if name in self.__dict__:
                value = self.__dict__[name]
                setattr(new, name, value.expand(batch_shape + _event(value, n)))
        return self._settled(new, batch_shape)

    def _settled(self, new, batch_shape):
        """Ends an expand: shapes and the choice of validation."""
        Distribution.__init__(new, batch_shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def batch_shape(self):
        """Shape over which the parameters are batched."""
        return self._batch_shape

    @property
    def event_shape(self):
        """Shape of one draw."""
        return self._event_shape

    @property
    def arg_constraints(self):
        """Constraints of the parameters by name."""
        raise NotImplementedError

    @property
    def support(self):
        """The constraint that samples satisfy."""
        raise NotImplementedError

    @property
    def mean(self):
        """Expected value."""
        raise NotImplementedError

    @property
    def mode(self):
        """Most likely value."""
        raise NotImplementedError(f"{self.__class__} does not implement mode")

    @property
    def variance(self):
        """Variance, per element of the event."""
        raise NotImplementedError

    @property
    def stddev(self):
        """Square root of the variance."""
        return self.variance.sqrt()

    def sample(self, sample_shape=torch.Size()):  # noqa: B008
        """Draws without gradients."""
        with torch.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape=torch.Size()):  # noqa: B008
        """Draws that are differentiable functions of the parameters (`has_rsample`)."""
        raise NotImplementedError

    def sample_n(self, n):
        """n draws: `sample((n,))`."""
        warnings.warn(
            "`sample_n(n)` will be deprecated. Use `sample((n,))` instead.",
            FutureWarning,
            stacklevel=2,
        )
        return self.sample(torch.Size((n,)))

    def log_prob(self, value):
        """Logarithm of the density, or of the probability, at `value`.

        Raises:
            ValueError: the value is no tensor, has the wrong shape, or lies outside the support.
        """
        raise NotImplementedError

    def cdf(self, value):
        """Probability of values up to `value`."""
        raise NotImplementedError

    def icdf(self, value):
        """Inverse of `cdf`."""
        raise NotImplementedError

    def enumerate_support(self, expand=True):
        """Every value of a discrete distribution along dimension 0; with `expand` over the whole
        batch shape, else with sizes 1 there."""
        raise NotImplementedError

    def entropy(self):
        """Entropy in nats, of shape batch_shape."""
        raise NotImplementedError

    def perplexity(self):
        """Exponential of the entropy."""
        return torch.exp(self.entropy())

    def _extended_shape(self, sample_shape=torch.Size()):  # noqa: B008
        """Shape of a sample: sample_shape + batch_shape + event_shape."""
        if not isinstance(sample_shape, torch.Size):
            sample_shape = torch.Size(sample_shape)
        return torch.Size(sample_shape + self._batch_shape + self._event_shape)

    def _enumerated(self, values, expand):
        """A vector of values along a new dimension left of the batch."""
        values = values.view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1,) + tuple(self._batch_shape)) if expand else values

    def _validate_sample(self, value):
        if not isinstance(value, torch.Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        event_start = len(value.size()) - len(self._event_shape)
        if value.size()[event_start:] != self._event_shape:
            raise ValueError(
                "The right-most size of value must match event_shape: "
                f"{value.size()} vs {self._event_shape}."
            )
        actual, expected = value.size(), self._batch_shape + self._event_shape
        for i, j in zip(reversed(actual), reversed(expected)):
            if i != 1 and j != 1 and i != j:
                raise ValueError(
                    f"Value is not broadcastable with batch_shape+event_shape: {actual} vs {expected}."
                )
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{self.__class__} does not define `support` to enable sample validation. Please "
                "initialize the distribution with `validate_args=False` to turn off validation.",
                stacklevel=2,
            )
            return
        if not support.check(value).all():
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) to "
                f"be within the support ({support!r}) of the distribution {self!r}, but found "
                f"invalid values:\n{value}"
            )

    def _get_checked_instance(self, cls, _instance=None):
        if _instance is None and type(self).__init__ != cls.__init__:
            raise NotImplementedError(
                f"Subclass {self.__class__.__name__} of {cls.__name__} that defines a custom "
                "__init__ method must also define a custom .expand() method."
            )
        return self.__new__(type(self)) if _instance is None else _instance

    def __repr__(self):
        shown = []
        for name in self.arg_constraints:
            if name in self.__dict__:
                value = self.__dict__[name]
                shown.append(f"{name}: {value if value.numel() == 1 else value.size()}")
        return f"{self.__class__.__name__}({', '.join(shown)})"


def _batch_shape_of(*parameters, values):
    """The batch shape of parameters given by the caller as `values`: all numbers make no batch."""
    if all(isinstance(v, (int, float)) for v in values):
        return torch.Size()
    return parameters[0].size()


def _one_of(probs, logits):
    """Complains unless exactly one of two parametrisations is there."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


def _broadcast_events(*tensors_and_dims):
    """Broadcasts the batch dimensions of (tensor, number of event dimensions) pairs; returns the
    batch shape and the expanded tensors."""
    batch = _broadcast_shapes(*(t.shape[: t.dim() - n] for t, n in tensors_and_dims))
    return batch, *(t.expand(batch + _event(t, n)) for t, n in tensors_and_dims)
