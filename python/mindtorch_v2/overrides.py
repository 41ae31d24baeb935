"""__torch_function__: calls that a subclass or mode takes over."""

from ._C import (
    _has_torch_function as has_torch_function,
    _has_torch_function_unary as has_torch_function_unary,
    _has_torch_function_variadic as has_torch_function_variadic,
)

__all__ = [
    "handle_torch_function",
    "has_torch_function",
    "has_torch_function_unary",
    "has_torch_function_variadic",
]


def _overloaded(relevant_args):
    """The arguments that override, one per type, subclasses before the classes they derive from."""
    types, args = [], []
    for arg in relevant_args:
        if type(arg) in types or not has_torch_function_unary(arg):
            continue
        place = next((i for i, old in enumerate(args) if issubclass(type(arg), type(old))), len(args))
        types.append(type(arg))
        args.insert(place, arg)
    return args


def handle_torch_function(public_api, relevant_args, *args, **kwargs):
    """Calls the overrides of `public_api` until one answers.

    relevant_args: where to look for overrides. Raises TypeError when every override returns
    NotImplemented. Source: NumPy's NEP 18, as PyTorch applies it.
    """
    overloaded = _overloaded(relevant_args)
    types = tuple(type(arg) for arg in overloaded)
    for arg in overloaded:
        result = type(arg).__torch_function__(public_api, types, args, kwargs)
        if result is not NotImplemented:
            return result
    name = f"{public_api.__module__}.{public_api.__name__}"
    raise TypeError(
        f"no implementation found for '{name}' on types that implement __torch_function__: "
        f"{[type(arg) for arg in overloaded]}"
    )
