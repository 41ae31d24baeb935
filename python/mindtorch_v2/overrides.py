"""__torch_function__: calls that a subclass, an object that looks like a tensor, or a mode takes over.

Operators and methods ask in C before they run (csrc/python/overrides.c); functions written in
Python ask with `has_torch_function` and pass the call on with `handle_torch_function`. Reference
behaviour: torch.overrides; the protocol follows NumPy's NEP 18.
"""

from . import _C
from ._C import (
    _get_function_stack_at,
    _has_torch_function as has_torch_function,
    _has_torch_function_unary as has_torch_function_unary,
    _has_torch_function_variadic as has_torch_function_variadic,
    _is_torch_function_mode_enabled,
    _len_torch_function_stack,
    _pop_torch_function_stack,
    _push_on_torch_function_stack,
)

__all__ = [
    "get_ignored_functions",
    "get_overridable_functions",
    "get_testing_overrides",
    "handle_torch_function",
    "has_torch_function",
    "resolve_name",
    "is_tensor_like",
    "is_tensor_method_or_property",
    "wrap_torch_function",
]


def handle_torch_function(public_api, relevant_args, *args, **kwargs):
    """Calls the overrides of `public_api` until one answers.

    relevant_args: where to look for overrides. The innermost mode is asked first, then the types of
    the arguments, subclasses before the classes they derive from. Raises TypeError when every
    override returns NotImplemented.
    """
    return _C._handle_torch_function(public_api, relevant_args, args, kwargs)


def _get_overloaded_args(relevant_args, get_type_fn=None):
    """The arguments that override, one per type, in the order in which they are asked."""
    if get_type_fn is None:
        return _C._get_overloaded_args(relevant_args)
    types, found = [], []
    if not _C._is_torch_function_enabled():
        return found
    for arg in relevant_args:
        kind = get_type_fn(arg)
        method = getattr(kind, "__torch_function__", None)
        if kind in types or method is None or method is _C._disabled_torch_function_impl:
            continue
        place = next((i for i, old in enumerate(types) if issubclass(kind, old)), len(types))
        types.insert(place, kind)
        found.insert(place, arg)
    return found


def wrap_torch_function(dispatcher):
    """Decorator: makes a function overridable.

    dispatcher: takes the arguments of the function and returns those that may override it.
    """

    def decorate(func):
        import functools

        @functools.wraps(func)
        def wrapped(*args, **kwargs):
            relevant = dispatcher(*args, **kwargs)
            if has_torch_function(relevant):
                return handle_torch_function(wrapped, relevant, *args, **kwargs)
            return func(*args, **kwargs)

        return wrapped

    return decorate


def is_tensor_like(inp):
    """Whether the object is a tensor or its type has `__torch_function__`."""
    from ._tensor import Tensor

    return type(inp) is Tensor or hasattr(inp, "__torch_function__")


# ---- what can be overridden -----------------------------------------------------------------

_nowrap = None


def get_default_nowrap_functions():
    """Functions whose result the default `__torch_function__` leaves in its class.

    They hand out a tensor that exists already: `_base`, `grad` and `_grad`.
    """
    global _nowrap
    if _nowrap is None:
        from ._tensor import Tensor

        _nowrap = {Tensor._base.__get__, Tensor.grad.__get__, Tensor._grad.__get__}
    return _nowrap


def _namespaces():
    """(name, namespace, names of its functions) of everything public that takes tensors."""
    import types

    import mindtorch_v2 as torch

    for path in ("", "functional", "nn.functional", "linalg", "fft", "special"):
        space = torch
        try:
            for part in filter(None, path.split(".")):
                space = getattr(space, part)
        except AttributeError:
            continue
        names = []
        for name in sorted(dir(space)):
            if name.startswith("_"):
                continue
            value = getattr(space, name, None)
            if callable(value) and not isinstance(value, (type, types.ModuleType)):
                names.append(name)
        yield f"torch.{path}" if path else "torch", space, names
    own = {n for n in dir(torch.Tensor) if getattr(torch.Tensor, n) is not getattr(object, n, None)}
    yield "torch.Tensor", torch.Tensor, sorted(own - _PLAIN_METHODS)


# attributes of Tensor that no override sees
_PLAIN_METHODS = frozenset(
    "__class__ __doc__ __hash__ __init__ __init_subclass__ __subclasshook__ __getattribute__ __dict__ __weakref__ __torch_function__ __torch_dispatch__ __module__ __slots__ __iter__ "
    "__array_priority__ _make_subclass _make_wrapper_subclass as_subclass _hook_handle __new__ "
    "_typed_storage __setstate__ _is_param _is_buffer __cuda_array_interface__ __array_namespace__".split()
)


def _has_tensor_parameter(name, value):
    """Whether a function asks for overrides: one of its arguments is a tensor."""
    code = getattr(value, "__code__", None)
    if code is not None:
        function = getattr(value, "__wrapped__", value)
        names = function.__code__.co_names
        return any("torch_function" in n or n in ("redirect", "_redirect") for n in (*names, *code.co_names))
    return name in _C._functions_with_tensors()


_found = None


def _walk():
    """(overridable: {namespace: [functions]}, names: {function: dotted name}, ignored: set)"""
    global _found
    if _found is not None:
        return _found
    import mindtorch_v2 as torch

    overridable, names, ignored = {}, {}, set()
    for path, space, members in _namespaces():
        for name in members:
            value, where = getattr(space, name), f"{path}.{name}"
            if space is torch.Tensor and not callable(value):
                if hasattr(value, "__get__"):  # a property, in C or Python
                    overridable[value] = [value.__get__]
                    names[value.__get__], names[value.__set__] = f"{where}.__get__", f"{where}.__set__"
                continue
            try:
                names.setdefault(value, where)
            except TypeError:
                continue  # no hash: not a function
            if space is torch.Tensor or _has_tensor_parameter(name, value):
                overridable.setdefault(space, []).append(value)
            else:
                ignored.add(value)
    _found = overridable, names, ignored
    return _found


def get_overridable_functions():
    """What `__torch_function__` can override: {namespace: [function, ...]}.

    Properties of Tensor appear under themselves, each with its `__get__`.
    """
    return {space: list(functions) for space, functions in _walk()[0].items()}


def get_ignored_functions():
    """Public functions that `__torch_function__` cannot override: they take no tensor."""
    return set(_walk()[2])


def get_testing_overrides():
    """{function: an override of it that returns -1}, for tests of `__torch_function__`."""

    def answer():
        return lambda *args, **kwargs: -1

    return {function: answer() for functions in _walk()[0].values() for function in functions}


def resolve_name(f):
    """The dotted name of a function that can be overridden, "torch.add"; None for others."""
    try:
        return _walk()[1].get(f)
    except TypeError:
        return None


def is_tensor_method_or_property(func):
    """Whether the function is a method of Tensor, or `__get__` of one of its properties."""
    overridable = _walk()[0]
    from ._tensor import Tensor

    return func in overridable[Tensor] or getattr(func, "__name__", None) == "__get__"


# ---- modes ----------------------------------------------------------------------------------


class TorchFunctionMode:
    """Takes over every overridable call made inside its ``with`` block.

    Subclasses define ``__torch_function__(self, func, types, args=(), kwargs=None)``: `func` is what
    was called, `types` the classes of the arguments that override, and the result is what the call
    gives. Calls made inside go to the next mode outward. Factories such as `torch.empty` are seen
    too.
    """

    inner = None

    def __init__(self):
        pass

    def __torch_function__(self, func, types, args=(), kwargs=None):
        raise NotImplementedError

    def __enter__(self):
        _push_on_torch_function_stack(self)
        return self

    def __exit__(self, exc_type, exc_val, exc_tb):
        _pop_torch_function_stack()

    @classmethod
    def push(cls, *args, **kwargs):
        """The mode itself; ``with Mode():`` is enough."""
        return cls(*args, **kwargs)


class BaseTorchFunctionMode(TorchFunctionMode):
    """The mode that changes nothing: calls the function."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


def _get_current_function_mode():
    """The innermost mode, None outside."""
    n = _len_torch_function_stack()
    return _get_function_stack_at(n - 1) if n else None


def _get_current_function_mode_stack():
    """The modes, outermost first."""
    return [_get_function_stack_at(i) for i in range(_len_torch_function_stack())]


def _push_mode(mode):
    _push_on_torch_function_stack(mode)


def _pop_mode():
    return _pop_torch_function_stack()


class _pop_mode_temporarily:
    """Context manager: the innermost mode is off the stack and handed to the block."""

    def __enter__(self):
        self.mode = _pop_mode()
        return self.mode

    def __exit__(self, *error):
        _push_mode(self.mode)
