"""Parameters that are computed from others.

A parametrised tensor of a module is a property that calls a `ParametrizationList`; the tensors that
it is computed from are parameters of that list, below ``module.parametrizations``. The module's
class is replaced by one of its own to hold the property.
"""

import copy
from contextlib import contextmanager, suppress

import mindtorch_v2 as torch

from ..modules.container import ModuleDict, ModuleList
from ..parameter import Parameter

__all__ = [
    "cached",
    "ParametrizationList",
    "register_parametrization",
    "is_parametrized",
    "remove_parametrizations",
    "type_before_parametrizations",
    "transfer_parametrizations_and_params",
]

Tensor = torch.Tensor

_cache_enabled = 0
_cache = {}


@contextmanager
def cached():
    """Compute every parametrised tensor at most once inside of the ``with`` statement.

    For tensors that are used several times per step, such as the weights of recurrent layers.
    """
    global _cache, _cache_enabled
    _cache_enabled += 1
    try:
        yield
    finally:
        _cache_enabled -= 1
        if not _cache_enabled:
            _cache = {}


def _register_parameter_or_buffer(module, name, X) -> None:
    if isinstance(X, Parameter):
        module.register_parameter(name, X)
    else:
        module.register_buffer(name, X)


def _maybe_set(dest: Tensor, src: Tensor) -> None:
    """Let ``dest`` hold the values of ``src``, in the memory of ``src``."""
    dest.data = src


def _is_sequence(x):
    from collections.abc import Sequence

    return isinstance(x, Sequence)


def _same(what, new, old, new_value, old_value):
    """ValueError if a property that only ``unsafe`` may change has changed."""
    if new_value != old_value:
        raise ValueError(
            f"Registering a parametrization may not change the {what} of the tensor, "
            "unless `unsafe` flag is enabled.\n"
            f"{old} {what}: {old_value}\n{new} {what}: {new_value}"
        )


class ParametrizationList(ModuleList):
    """Modules whose composition gives a tensor, and the tensors ``original`` it starts from.

    Args:
        modules: non-empty sequence of modules, applied in order. The first takes ``original``, or
            ``original0``, ``original1``, ... if the last inverse gives several tensors.
        original: parameter or buffer to be parametrised.
        unsafe: let shape and dtype change, and do not check anything.

    Attributes:
        is_tensor (bool): whether there is one original.
        ntensors (int): number of originals.
    """

    original: Tensor
    unsafe: bool

    def __init__(self, modules, original, unsafe: bool = False) -> None:
        if len(modules) == 0:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        shape, dtype = original.shape, original.dtype
        with torch.no_grad():
            new = original
            for module in reversed(self):
                if hasattr(module, "right_inverse"):
                    # a module without inverse is taken to start from the value itself
                    with suppress(NotImplementedError):
                        new = module.right_inverse(new)
        if not isinstance(new, Tensor) and not _is_sequence(new):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                f"Got {type(new).__name__}"
            )
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if self.is_tensor else len(new)
        if self.is_tensor:
            if original.dtype != new.dtype:
                raise ValueError(
                    "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
                    f"original.dtype: {original.dtype}\n"
                    f"right_inverse(original).dtype: {new.dtype}"
                )
            # the same parameter, so that optimizers keep their hold on it
            with torch.no_grad():
                _maybe_set(original, new)
            _register_parameter_or_buffer(self, "original", original)
        else:
            for i, value in enumerate(new):
                if not isinstance(value, Tensor):
                    raise ValueError(
                        "'right_inverse' must return a Tensor or a Sequence of tensors "
                        "(list, tuple...). "
                        f"Got element {i} of the sequence with type {type(value).__name__}."
                    )
                if isinstance(original, Parameter):
                    value = Parameter(value, original.requires_grad)
                value.requires_grad_(original.requires_grad)
                _register_parameter_or_buffer(self, f"original{i}", value)
        if not self.unsafe:
            result = self()
            if not isinstance(result, Tensor):
                raise ValueError(
                    f"A parametrization must return a tensor. Got {type(result).__name__}."
                )
            _same("dtype", "parametrized", "unparametrized", result.dtype, dtype)
            _same("shape", "parametrized", "unparametrized", result.shape, shape)

    def right_inverse(self, value: Tensor) -> None:
        """Set the originals so that the modules give ``value``, by their ``right_inverse``.

        RuntimeError if a module has none; ValueError if the result does not fit the originals.
        """
        with torch.no_grad():
            for module in reversed(self):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"parametrization {type(module).__name__} does not implement right_inverse."
                    )
                value = module.right_inverse(value)
            if self.is_tensor:
                if not isinstance(value, Tensor):
                    raise ValueError(
                        f"`right_inverse` should return a tensor. Got {type(value).__name__}"
                    )
                if value.dtype != self.original.dtype:
                    raise ValueError(
                        f"The tensor returned by `right_inverse` has dtype {value.dtype} "
                        f"while `original` has dtype {self.original.dtype}"
                    )
                _maybe_set(self.original, value)
                return
            if not _is_sequence(value):
                raise ValueError(
                    "'right_inverse' must return a sequence of tensors. "
                    f"Got {type(value).__name__}."
                )
            if len(value) != self.ntensors:
                raise ValueError(
                    "'right_inverse' must return a sequence of tensors of length "
                    f"{self.ntensors}. Got a sequence of length {len(value)}."
                )
            for i, tensor in enumerate(value):
                original = getattr(self, f"original{i}")
                if not isinstance(tensor, Tensor):
                    raise ValueError(
                        f"`right_inverse` must return a sequence of tensors. Got element {i} "
                        f"of type {type(tensor).__name__}"
                    )
                if original.dtype != tensor.dtype:
                    raise ValueError(
                        f"Tensor {i} returned by `right_inverse` has dtype {tensor.dtype} "
                        f"while `original{i}` has dtype {original.dtype}"
                    )
                _maybe_set(original, tensor)

    def forward(self) -> Tensor:
        first, *rest = self
        if self.is_tensor:
            x = first(self.original)
        else:
            x = first(*(getattr(self, f"original{i}") for i in range(self.ntensors)))
        for module in rest:
            x = module(x)
        return x


def _inject_new_class(module) -> None:
    """Give ``module`` a class of its own, which can hold properties."""
    cls = module.__class__

    def __deepcopy__(self, memo):
        # the default for objects whose class has no __deepcopy__, with the class kept
        if hasattr(cls, "__deepcopy__"):
            return cls.__deepcopy__(self, memo)
        twin = self.__new__(self.__class__)
        memo[id(self)] = twin
        twin.__dict__ = copy.deepcopy(self.__dict__, memo)
        return twin

    def __getstate__(self):
        raise RuntimeError(
            "Serialization of parametrized modules is only "
            "supported through state_dict(). See:\n"
            "https://pytorch.org/tutorials/beginner/saving_loading_models.html"
            "#saving-loading-a-general-checkpoint-for-inference-and-or-resuming-training"
        )

    module.__class__ = type(
        f"Parametrized{cls.__name__}",
        (cls,),
        {"__getstate__": __getstate__, "__deepcopy__": __deepcopy__},
    )


def _inject_property(module, tensor_name: str) -> None:
    """Make ``tensor_name`` a property of the module's class that computes the tensor."""

    def get(self):
        if not _cache_enabled:
            return self.parametrizations[tensor_name]()
        key = (id(self), tensor_name)
        tensor = _cache.get(key)
        if tensor is None:
            tensor = _cache[key] = self.parametrizations[tensor_name]()
        return tensor

    def set(self, value):
        self.parametrizations[tensor_name].right_inverse(value)

    setattr(module.__class__, tensor_name, property(get, set))


def register_parametrization(module, tensor_name, parametrization, *, unsafe=False):
    """Have a parameter or buffer of ``module`` computed by ``parametrization``; returns the module.

    Args:
        tensor_name: of the parameter or buffer.
        parametrization: module that is called with the tensor. Its method ``right_inverse(value)``,
            if there is one, gives the tensor or tensors to start from, at first and on assignment.
        unsafe: let the result have another shape or dtype.

    Registering again puts one parametrization after the other.

    Raises:
        ValueError: if there is no such tensor, or shape or dtype would change.
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            _check_next(getattr(module, tensor_name), tensor_name, parametrization)
        chain = module.parametrizations[tensor_name]
        chain.append(parametrization)
        chain.unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        original = getattr(module, tensor_name)
        # made first: if it fails the module is as it was
        chain = ParametrizationList([parametrization], original, unsafe=unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            _inject_new_class(module)
            module.parametrizations = ModuleDict()
        _inject_property(module, tensor_name)
        module.parametrizations[tensor_name] = chain
    else:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a "
            f"parametrized element with name '{tensor_name}'"
        )
    return module


def _check_next(value, name, parametrization):
    """ValueError if ``parametrization`` may not follow on what gives ``value``."""
    result = parametrization(value)
    if not isinstance(result, Tensor):
        raise ValueError(f"A parametrization must return a tensor. Got {type(result).__name__}.")
    for what in ("dtype", "shape"):
        a, b = getattr(value, what), getattr(result, what)
        if a != b:
            raise ValueError(
                f"Registering a parametrization may not change the {what} of the tensor, "
                "unless the `unsafe` flag is enabled.\n"
                f"module.{name}.{what}: {a}\nparametrization(module.{name}).{what}: {b}"
            )
    if not hasattr(parametrization, "right_inverse"):
        return
    try:
        back = parametrization.right_inverse(result)
    except NotImplementedError:
        return
    if not isinstance(back, Tensor):
        raise ValueError(
            f"parametrization.right_inverse must return a tensor. Got: {type(back).__name__}"
        )
    for what in ("dtype", "shape"):
        a, b = getattr(value, what), getattr(back, what)
        if a != b:
            raise ValueError(
                f"The tensor returned by parametrization.right_inverse must have the same {what} "
                f"as module.{name}, unless the `unsafe` flag is enabled.\n"
                f"module.{name}.{what}: {a}\nreturned {what}: {b}"
            )


def is_parametrized(module, tensor_name: str | None = None) -> bool:
    """Whether the tensor of that name, or any, is parametrised."""
    found = getattr(module, "parametrizations", None)
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(module, tensor_name: str, leave_parametrized: bool = True):
    """Make a parametrised tensor an ordinary one again; returns the module.

    ``leave_parametrized`` keeps its present value; otherwise it gets that of the original, of which
    there must be one. ValueError if the tensor is not parametrised or there are several originals.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    chain = module.parametrizations[tensor_name]
    if chain.is_tensor:
        original = chain.original
        if leave_parametrized:
            with torch.no_grad():
                value = getattr(module, tensor_name)
            # the same parameter, where its data may be exchanged
            with torch.no_grad():
                try:
                    original.data = value
                except RuntimeError as e:
                    raise RuntimeError(
                        "Calling remove_parametrizations() with leave_parametrized=True for a "
                        "parameter that is an instance of a tensor subclass requires set_() to be "
                        "implemented correctly for the tensor subclass."
                    ) from e
    else:
        if not leave_parametrized:
            raise ValueError(
                "Cannot leave unparametrized (`leave_parametrized=False`) a tensor "
                "that is parametrized in terms of a sequence of tensors."
            )
        value = getattr(module, tensor_name)
        original = Parameter(value) if value.requires_grad else value
    delattr(module.__class__, tensor_name)
    del module.parametrizations[tensor_name]
    _register_parameter_or_buffer(module, tensor_name, original)
    if not is_parametrized(module):
        delattr(module, "parametrizations")
        module.__class__ = module.__class__.__bases__[0]
    return module


def type_before_parametrizations(module) -> type:
    """The class that ``module`` had before any tensor of it was parametrised."""
    if is_parametrized(module):
        return module.__class__.__bases__[0]
    return type(module)


def transfer_parametrizations_and_params(from_module, to_module, tensor_name=None):
    """Give ``to_module`` the parametrizations of ``from_module``, and their originals; returns it.

    ``tensor_name`` restricts that to one tensor. The modules must be of the same class before any
    parametrization.
    """
    if not is_parametrized(from_module):
        return to_module
    names = from_module.parametrizations if tensor_name is None else [tensor_name]
    for name in names:
        # the tensor as the first parametrization takes it
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name)))
        for parametrization in from_module.parametrizations[name]:
            register_parametrization(to_module, name, parametrization)
        source, target = from_module.parametrizations[name], to_module.parametrizations[name]
        if hasattr(source, "original"):
            target.original = source.original
        else:
            i = 0
            while hasattr(source, f"original{i}"):
                setattr(target, f"original{i}", getattr(source, f"original{i}"))
                i += 1
    return to_module
