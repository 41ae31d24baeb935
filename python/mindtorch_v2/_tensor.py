"""The Tensor class: what of a tensor's interface needs no C."""

from . import _C


def _overridable(function):
    """Lets subclasses and modes take a method over before it runs.

    They get what has no default by position and all else by name, as PyTorch passes it.
    """

    def method(self, /, *args, **kwargs):
        if _C._has_torch_function_unary(self):
            return _hand_over(method, function, (self, *args), kwargs)
        return function(self, *args, **kwargs)

    method.__name__ = function.__name__
    method.__qualname__ = function.__qualname__
    method.__doc__ = function.__doc__
    method.__wrapped__ = function
    return method


def _hand_over(method, function, args, kwargs):
    code, defaults = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[: code.co_argcount]
    required = code.co_argcount - len(defaults)
    known = {*names, *(function.__kwdefaults__ or ())}
    if len(args) > code.co_argcount or len(args) + len(kwargs) < required or not known.issuperset(kwargs):
        return function(*args, **kwargs)  # its own TypeError
    given = dict(zip(names[required:], defaults), **(function.__kwdefaults__ or {}))
    given.update(zip(names[required:], args[required:]), **kwargs)
    first = [*args[:required], *(given.pop(n) for n in names[len(args) : required])]
    return _C._handle_torch_function(method, (args[0],), tuple(first), given)


def _convert(result, cls):
    """Tensors in the result become `cls`, which shares their memory and history."""
    if cls is Tensor:
        return result
    if isinstance(result, Tensor) and not isinstance(result, cls):
        return result.as_subclass(cls)
    if isinstance(result, (tuple, list)):
        return type(result)(_convert(r, cls) for r in result)
    return result


class _TensorMeta(type(_C.TensorBase)):
    """Metaclass of Tensor; Parameter and the legacy types hook into isinstance here."""

    def __repr__(cls):
        if cls is Tensor:
            return "<class 'torch.Tensor'>"
        return super().__repr__()


def _map(self, name, callable, *others):
    for t in (self, *others):
        if t.requires_grad:
            raise RuntimeError(
                f"Can't call {name}() on Variable that requires grad. Use var.detach().{name}() instead."
            )
        if t.dtype != self.dtype:
            raise TypeError(f"{name}: expected {t.type()} for argument, got {self.type()}")
    _need_cpu(self, name)
    lists = [t.expand(self.shape).reshape(-1).tolist() for t in (self, *others)]
    return _write_flat(self, [callable(*elements) for elements in zip(*lists, strict=True)])


def _need_cpu(self, name):
    if self.device.type != "cpu":
        raise TypeError(f"{name} is only implemented on CPU tensors")


def _write_flat(self, values):
    return self.copy_(_C.tensor(values, dtype=self.dtype).reshape(self.shape))


class Tensor(_C.TensorBase, metaclass=_TensorMeta):
    """A multi-dimensional array with a dtype, on a device, that may record its history.

    Made by `torch.tensor`, the factory functions, or operators. Reference behaviour: PyTorch.
    """

    __module__ = __package__
    __array_priority__ = 1000

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        """Runs `func` and gives its tensors the class `cls`.

        Subclasses that override call this through ``super()``. Returns NotImplemented where a type
        in `types` is not a class that `cls` derives from.
        """
        if not all(issubclass(cls, t) for t in types):
            return NotImplemented
        with _C.DisableTorchFunctionSubclass():
            result = func(*args, **(kwargs or {}))
        from .overrides import get_default_nowrap_functions

        if func in get_default_nowrap_functions():
            return result
        return _convert(result, cls)

    @_overridable
    def __repr__(self, *, tensor_contents=None):
        from . import _tensor_str

        return _tensor_str._str(self, tensor_contents=tensor_contents)

    @_overridable
    def __format__(self, format_spec):
        if self.dim() == 0 and not self.is_meta and type(self) is Tensor:
            return self.item().__format__(format_spec)
        return object.__format__(self, format_spec)

    def __iter__(self):
        if self.dim() == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    @_overridable
    def __reversed__(self):
        return self if self.dim() == 0 else self.flip(0)

    @_overridable
    def __contains__(self, element, /):
        if isinstance(element, (Tensor, int, float, complex, bool)):
            return bool((element == self).any().item())
        raise RuntimeError(
            f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}."
        )

    @_overridable
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

    @_overridable
    def __reduce_ex__(self, protocol):
        from . import _utils

        return _utils._reduce_tensor(self, protocol)

    @_overridable
    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        """Adds d self / d leaf into `leaf.grad` for every leaf that `self` was computed from.

        gradient: the derivative of some scalar with respect to `self`, of its shape; may be left out
        where `self` has one element. retain_graph: keep what backward needs (default: create_graph).
        create_graph: record the gradients themselves. inputs: only these leaves.
        """
        from . import autograd

        autograd.backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    @_overridable
    def detach_(self):
        """Takes the history away in place. Raises RuntimeError for a view."""
        return _C._detach_(self)

    @staticmethod
    def _hook_handle(hooks, hook):
        from .utils.hooks import RemovableHandle

        handle = RemovableHandle(hooks)
        hooks[handle.id] = hook
        return handle

    @_overridable
    def register_hook(self, hook):
        """Calls `hook(grad)` whenever backward has computed the gradient of this tensor.

        hook: returns None, or a tensor of the same shape and dtype to go on with. Returns a handle
        with `remove()`. Raises RuntimeError where the tensor needs no gradient. Reference:
        torch.Tensor.register_hook.
        """
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        return Tensor._hook_handle(_C._tensor_hooks(self), hook)

    @_overridable
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

    @_overridable
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

    @_overridable
    def is_shared(self):
        return self.untyped_storage().is_shared()

    @_overridable
    def share_memory_(self):
        self.untyped_storage().share_memory_()
        return self

    @_overridable
    def storage(self):
        """The typed storage of the tensor (deprecated; see untyped_storage)."""
        from . import storage

        storage._warn_typed_storage_removal(stacklevel=2)
        return self._typed_storage()

    def _typed_storage(self):
        from .storage import TypedStorage

        return TypedStorage(wrap_storage=self.untyped_storage(), dtype=self.dtype, _internal=True)

    @_overridable
    def __array__(self, dtype=None):
        return self.numpy() if dtype is None else self.numpy().astype(dtype, copy=False)

    @_overridable
    def __array_wrap__(self, array):
        if array.dtype == bool:
            array = array.astype("uint8")  # a mask of old NumPy code
        return _C.from_numpy(array)

    @_overridable
    def __dlpack_device__(self):
        """(device type, device index) as DLPack numbers them."""
        from .utils.dlpack import DLDeviceType

        if self.device.type != "cpu":
            raise ValueError(f"Unknown device type {self.device.type} for Dlpack")
        return DLDeviceType.kDLCPU, 0

    @_overridable
    def nonzero(self, *, as_tuple=False):
        """Places of the elements that are not zero: int64 of shape (n, dim), or with as_tuple one
        1-D tensor per dimension."""
        return self.nonzero_numpy() if as_tuple else super().nonzero()

    @property
    def real(self):
        """The real part as a view; a real tensor itself. Writing copies into it."""
        return _C._VariableFunctions.real(self)

    @real.setter
    def real(self, value):
        self.real.copy_(value if isinstance(value, _C.TensorBase) else _C.tensor(value))

    @property
    def imag(self):
        """The imaginary part as a view; RuntimeError for real tensors. Writing copies into it."""
        return _C._VariableFunctions.imag(self)

    @imag.setter
    def imag(self, value):
        self.imag.copy_(value if isinstance(value, _C.TensorBase) else _C.tensor(value))

    @_overridable
    def is_nonzero(self):
        """Whether a tensor of one element is not zero; RuntimeError for other tensors."""
        return bool(self)

    def norm(self, p="fro", dim=None, keepdim=False, dtype=None):
        """See torch.norm."""
        from .functional import norm

        return norm(self, p, dim, keepdim, dtype=dtype)

    def lu(self, pivot=True, get_infos=False):
        """See torch.lu."""
        from .functional import lu

        return lu(self, pivot, get_infos)

    @_overridable
    def dim_order(self, *, ambiguity_check=False):
        """Dimensions from the outermost to the innermost in memory. With ambiguity_check RuntimeError
        where strides leave a choice (sizes of 1, equal strides)."""
        if ambiguity_check:
            laid = [(s, n) for s, n in zip(self.stride(), self.shape, strict=True)]
            if any(n == 1 for _, n in laid) or len({s for s, _ in laid}) != len(laid):
                raise RuntimeError(
                    "The tensor does not have unique dim order, or cannot map to exact one of the given "
                    "memory formats."
                )
        return tuple(sorted(range(self.dim()), key=lambda d: -self.stride(d)))

    def unique(self, sorted=True, return_inverse=False, return_counts=False, dim=None):
        """See torch.unique."""
        from .functional import unique

        return unique(self, sorted, return_inverse, return_counts, dim)

    def unique_consecutive(self, return_inverse=False, return_counts=False, dim=None):
        """See torch.unique_consecutive."""
        from .functional import unique_consecutive

        return unique_consecutive(self, return_inverse, return_counts, dim)

    @_overridable
    def resize(self, *sizes):
        """A view of the first elements in another shape (deprecated)."""
        import warnings

        warnings.warn("non-inplace resize is deprecated", stacklevel=2)
        return self.reshape(*sizes)

    @_overridable
    def resize_as(self, tensor):
        """A view in the shape of another tensor (deprecated)."""
        import warnings

        warnings.warn("non-inplace resize_as is deprecated", stacklevel=2)
        return self.reshape(tensor.size())

    @_overridable
    def apply_(self, callable):
        """Replaces each element by callable(element), in Python; CPU tensors without gradients only."""
        if self.requires_grad:
            raise RuntimeError(
                "Can't call apply_() on Variable that requires grad. Use var.detach().apply_() instead."
            )
        _need_cpu(self, "apply_")
        return _write_flat(self, [callable(x) for x in self.reshape(-1).tolist()])

    @_overridable
    def map_(self, tensor, callable):
        """Replaces each element by callable(element, element of tensor), in Python; see apply_."""
        return _map(self, "map_", callable, tensor)

    @_overridable
    def map2_(self, x, y, callable):
        """Replaces each element by callable(element, element of x, element of y), in Python."""
        return _map(self, "map2_", callable, x, y)

    @_overridable
    def lstsq(self, other):
        from ._linalg_utils import lstsq

        return lstsq(self, other)

    @_overridable
    def eig(self, eigenvectors=False):
        from ._linalg_utils import eig

        return eig(self, eigenvectors=eigenvectors)

    @_overridable
    def symeig(self, eigenvectors=False):
        from ._linalg_utils import symeig

        return symeig(self, eigenvectors=eigenvectors)

    @_overridable
    def solve(self, other):
        from ._linalg_utils import solve

        return solve(self, other)

    @_overridable
    def stft(
        self, n_fft, hop_length=None, win_length=None, window=None, center=True, pad_mode="reflect",
        normalized=False, onesided=None, return_complex=None, align_to_window=None,
    ):  # fmt: skip
        """See torch.stft."""
        from ._transforms import stft

        return stft(
            self, n_fft, hop_length, win_length, window, center, pad_mode, normalized, onesided, return_complex, align_to_window
        )

    @_overridable
    def __dir__(self):
        return sorted({*object.__dir__(self), *dir(type(self))} - {"volatile", "__cuda_array_interface__"})


Tensor.__torch_dispatch__ = _C._disabled_torch_dispatch_impl
_C._set_tensor_class(Tensor)
