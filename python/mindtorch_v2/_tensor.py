"""The Tensor class: what of a tensor's interface needs no C."""

from . import _C


class _TensorMeta(type(_C.TensorBase)):
    """Metaclass of Tensor; Parameter and the legacy types hook into isinstance here."""

    def __repr__(cls):
        if cls is Tensor:
            return "<class 'torch.Tensor'>"
        return super().__repr__()


class Tensor(_C.TensorBase, metaclass=_TensorMeta):
    """A multi-dimensional array with a dtype, on a device, that may record its history.

    Made by `torch.tensor`, the factory functions, or operators. Reference behaviour: PyTorch.
    """

    __module__ = __package__
    __torch_function__ = _C._disabled_torch_function_impl
    __array_priority__ = 1000

    def __repr__(self, *, tensor_contents=None):
        from . import _tensor_str

        return _tensor_str._str(self, tensor_contents=tensor_contents)

    def __format__(self, format_spec):
        if self.dim() == 0 and not self.is_meta and type(self) is Tensor:
            return self.item().__format__(format_spec)
        return object.__format__(self, format_spec)

    def __iter__(self):
        if self.dim() == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __reversed__(self):
        return self if self.dim() == 0 else self.flip(0)

    def __contains__(self, element, /):
        if isinstance(element, (Tensor, int, float, complex, bool)):
            return bool((element == self).any().item())
        raise RuntimeError(
            f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}."
        )

    def __deepcopy__(self, memo):
        if id(self) in memo:
            return memo[id(self)]
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
                "protocol at the moment.  If you were attempting to deepcopy a module, this may be "
                "because of a torch.nn.utils.weight_norm usage, see "
                "https://github.com/pytorch/pytorch/pull/103001"
            )
        from copy import deepcopy

        from .autograd import no_grad

        with no_grad():
            storage = deepcopy(self.untyped_storage(), memo)
            made = type(self)._make_subclass(type(self), _C._VariableFunctions.empty(0, dtype=self.dtype, device=self.device))
            made.set_(storage, self.storage_offset(), self.size(), self.stride())
            if self.is_conj():
                made = made.conj()
            if self.is_neg():
                made = made._neg_view()
            made.requires_grad = self.requires_grad
            if self.grad is not None:
                made.grad = deepcopy(self.grad, memo)
            made.__dict__ = deepcopy(self.__dict__, memo)
        memo[id(self)] = made
        return made

    def __reduce_ex__(self, protocol):
        from . import _utils

        return _utils._reduce_tensor(self, protocol)

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        """Adds d self / d leaf into `leaf.grad` for every leaf that `self` was computed from.

        gradient: the derivative of some scalar with respect to `self`, of its shape; may be left out
        where `self` has one element. retain_graph: keep what backward needs (default: create_graph).
        create_graph: record the gradients themselves. inputs: only these leaves.
        """
        from . import autograd

        autograd.backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    def detach_(self):
        """Takes the history away in place. Raises RuntimeError for a view."""
        return _C._detach_(self)

    @staticmethod
    def _hook_handle(hooks, hook):
        from .utils.hooks import RemovableHandle

        handle = RemovableHandle(hooks)
        hooks[handle.id] = hook
        return handle

    def register_hook(self, hook):
        """Calls `hook(grad)` whenever backward has computed the gradient of this tensor.

        hook: returns None, or a tensor of the same shape and dtype to go on with. Returns a handle
        with `remove()`. Raises RuntimeError where the tensor needs no gradient. Reference:
        torch.Tensor.register_hook.
        """
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        return Tensor._hook_handle(_C._tensor_hooks(self), hook)

    def register_post_accumulate_grad_hook(self, hook):
        """Calls `hook(tensor)` after backward has added to `tensor.grad`; leaves only.

        Returns a handle with `remove()`. Raises RuntimeError for a tensor that needs no gradient or
        is no leaf. Reference: torch.Tensor.register_post_accumulate_grad_hook.
        """
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self.grad_fn is not None:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        return Tensor._hook_handle(_C._post_accumulate_hooks(self), hook)

    def retain_grad(self):
        """Lets a tensor that is no leaf keep its gradient in `grad`; does nothing for leaves.

        Raises RuntimeError where the tensor needs no gradient.
        """
        return _C._retain_grad(self)

    @property
    def _backward_hooks(self):
        return _C._backward_hooks(self)

    @_backward_hooks.setter
    def _backward_hooks(self, hooks):
        _C._set_backward_hooks(self, hooks)

    def is_shared(self):
        return self.untyped_storage().is_shared()

    def share_memory_(self):
        self.untyped_storage().share_memory_()
        return self

    def storage(self):
        """The typed storage of the tensor (deprecated; see untyped_storage)."""
        from . import storage

        storage._warn_typed_storage_removal(stacklevel=2)
        return self._typed_storage()

    def _typed_storage(self):
        from .storage import TypedStorage

        return TypedStorage(wrap_storage=self.untyped_storage(), dtype=self.dtype, _internal=True)

    def __array__(self, dtype=None):
        return self.numpy() if dtype is None else self.numpy().astype(dtype, copy=False)

    def __array_wrap__(self, array):
        if array.dtype == bool:
            array = array.astype("uint8")  # a mask of old NumPy code
        return _C.from_numpy(array)

    def __dlpack_device__(self):
        """(device type, device index) as DLPack numbers them."""
        from .utils.dlpack import DLDeviceType

        if self.device.type != "cpu":
            raise ValueError(f"Unknown device type {self.device.type} for Dlpack")
        return DLDeviceType.kDLCPU, 0

    def nonzero(self, *, as_tuple=False):
        """Places of the elements that are not zero: int64 of shape (n, dim), or with as_tuple one
        1-D tensor per dimension."""
        return self.nonzero_numpy() if as_tuple else super().nonzero()

    def __dir__(self):
        return sorted({*object.__dir__(self), *dir(type(self))} - {"volatile", "__cuda_array_interface__"})


Tensor.__torch_dispatch__ = _C._disabled_torch_dispatch_impl
_C._set_tensor_class(Tensor)
