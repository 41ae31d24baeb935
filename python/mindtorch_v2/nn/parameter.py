"""Parameters and buffers: tensors that a module takes up when they are assigned to it."""

from collections import OrderedDict

import mindtorch_v2 as torch

__all__ = [
    "Parameter",
    "UninitializedParameter",
    "is_lazy",
    "Buffer",
    "UninitializedBuffer",
    "UninitializedTensorMixin",
]

_TensorMeta = type(torch.Tensor)


class _ParameterMeta(_TensorMeta):
    # A tensor of another subclass can serve as a parameter and keep its type: it is then marked.
    def __instancecheck__(self, instance):
        if _TensorMeta.__instancecheck__(self, instance):
            return True
        return (
            self is Parameter
            and isinstance(instance, torch.Tensor)
            and getattr(instance, "_is_param", False)
        )


class Parameter(torch.Tensor, metaclass=_ParameterMeta):
    """A tensor that counts as a module's parameter.

    Assigned as an attribute of a `Module`, it appears in ``parameters()`` and ``state_dict()``.
    It shares memory with ``data`` and is a leaf of the graph.

    Args:
        data: tensor of any shape; floating point or complex if gradients are wanted. Default: an
            empty float tensor. A tensor of a user's subclass keeps its class and is marked as a
            parameter, so that ``isinstance(p, Parameter)`` holds.
        requires_grad: whether the parameter takes gradients.

    Raises:
        RuntimeError: if ``requires_grad`` is asked of integers, or if the ``detach()`` of a tensor
            subclass gives back another type.
    """

    def __new__(cls, data=None, requires_grad=True):
        if data is None:
            data = torch.empty(0)
        kind = type(data)
        if kind is torch.Tensor or kind is Parameter:
            return torch.Tensor._make_subclass(cls, data, requires_grad)
        t = data.detach().requires_grad_(requires_grad)
        if type(t) is not kind:
            raise RuntimeError(
                f"Creating a Parameter from an instance of type {kind.__name__} "
                "requires that detach() returns an instance of the same type, but return "
                f"type {type(t).__name__} was found instead. To use the type as a "
                "Parameter, please correct the detach() semantics defined by "
                "its __torch_dispatch__() implementation."
            )
        t._is_param = True
        return t

    # Mind: modules copy and pickle through the methods below, so attributes hung on a parameter
    # survive pickling but not copying, as in PyTorch.
    def __deepcopy__(self, memo):
        if id(self) not in memo:
            twin = self.data.clone(memory_format=torch.preserve_format)
            memo[id(self)] = type(self)(twin, self.requires_grad)
        return memo[id(self)]

    def __repr__(self):
        return "Parameter containing:\n" + super().__repr__()

    def __reduce_ex__(self, proto):
        from .. import _utils

        state = _utils._get_obj_state(self)
        core = (self.data, self.requires_grad, OrderedDict())
        if not state:
            return _utils._rebuild_parameter, core
        return _utils._rebuild_parameter_with_state, (*core, state)

    __torch_function__ = torch._C._disabled_torch_function_impl


class _BufferMeta(_TensorMeta):
    def __instancecheck__(self, instance):
        return _TensorMeta.__instancecheck__(self, instance) or (
            self is Buffer
            and isinstance(instance, torch.Tensor)
            and getattr(instance, "_is_buffer", False)
        )


class Buffer(torch.Tensor, metaclass=_BufferMeta):
    """A tensor that a module registers as a buffer when it is assigned to it.

    The result is ``data`` detached (of the same class), marked so that ``isinstance(b, Buffer)``
    holds.

    Args:
        data: tensor of any shape and dtype. Default: an empty float tensor.
        persistent: whether the buffer belongs to the module's ``state_dict``.
    """

    def __new__(cls, data=None, *, persistent=True):
        if data is None:
            data = torch.empty(0)
        t = data.detach().requires_grad_(data.requires_grad)
        t.persistent = persistent
        t._is_buffer = True
        return t

    __torch_function__ = torch._C._disabled_torch_function_impl


# What may be called on a tensor without a shape: moving it about, and asking what it is.
_LAZY_METHODS = (
    "__hash__ size copy_ is_complex is_floating_point half float double char short int long cuda "
    "cpu to get_device"
).split()


class UninitializedTensorMixin:
    """Behaviour of a parameter or buffer whose shape is not known yet.

    It can be moved, cast and given a shape with `materialize`; anything else raises ValueError.
    """

    _allowed_methods = [
        *(getattr(torch.Tensor, n) for n in _LAZY_METHODS if hasattr(torch.Tensor, n)),
        *(getattr(torch, n) for n in ("_has_compatible_shallow_copy_type",) if hasattr(torch, n)),
    ]

    def materialize(self, shape, device=None, dtype=None):
        """Turn in place into an ordinary tensor of ``shape`` with unspecified values.

        ``device`` and ``dtype`` default to those the placeholder was made with."""
        device = self.data.device if device is None else device
        dtype = self.data.dtype if dtype is None else dtype
        self.data = torch.empty(shape, device=device, dtype=dtype)
        self.__class__ = self.cls_to_become

    @property
    def shape(self):
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. "
            "This error usually happens in `load_state_dict` when trying to load "
            "an uninitialized parameter into an initialized one. "
            "Call `forward` to initialize the parameters before accessing their attributes."
        )

    def share_memory_(self):
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. "
            "Call `forward` to initialize the parameters before calling "
            "`module.share_memory()`."
        )

    def __repr__(self):
        return f"<{type(self).__name__}>"

    def __reduce_ex__(self, proto):
        # no values to keep: device and dtype are those of the place where it is rebuilt
        return type(self), (self.requires_grad,)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        # attribute access arrives as the bound __get__ or __set__ of a getter
        if func in cls._allowed_methods or type(func).__name__ == "method-wrapper":
            return super().__torch_function__(func, types, args, kwargs or {})
        raise ValueError(
            f"Attempted to use an uninitialized parameter in {func}. "
            "This error happens when you are using a `LazyModule` or "
            f"explicitly manipulating `torch.nn.parameter.{cls.__name__}` "
            "objects. When using LazyModules Call `forward` with a dummy batch "
            "to initialize the parameters before calling torch functions"
        )


def is_lazy(param):
    """Whether ``param`` is a parameter or buffer still without a shape."""
    return isinstance(param, UninitializedTensorMixin)


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A parameter whose shape will be known at the first forward call of its lazy module.

    Args:
        requires_grad: as for `Parameter`.
        device, dtype: of the parameter to be.
    """

    cls_to_become = Parameter

    def __new__(cls, requires_grad=True, device=None, dtype=None):
        data = torch.empty(0, device=device, dtype=dtype)
        return torch.Tensor._make_subclass(cls, data, requires_grad)

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.requires_grad, self.data.device, self.data.dtype)
        return memo[id(self)]


class UninitializedBuffer(UninitializedTensorMixin, torch.Tensor):
    """A buffer whose shape will be known at the first forward call of its lazy module.

    Args:
        requires_grad, device, dtype: of the buffer to be.
        persistent: whether it belongs to the module's ``state_dict``.
    """

    cls_to_become = torch.Tensor

    def __new__(cls, requires_grad=False, device=None, dtype=None, persistent=True):
        data = torch.empty(0, device=device, dtype=dtype)
        t = torch.Tensor._make_subclass(cls, data, requires_grad)
        t.persistent = persistent
        t._is_buffer = True
        return t

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            memo[id(self)] = type(self)(
                self.requires_grad, self.data.device, self.data.dtype, self.persistent
            )
        return memo[id(self)]
