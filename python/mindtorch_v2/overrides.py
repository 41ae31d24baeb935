"""__torch_function__: calls that a subclass or mode takes over."""

from ._C import (
    _has_torch_function as has_torch_function,
    _has_torch_function_unary as has_torch_function_unary,
    _has_torch_function_variadic as has_torch_function_variadic,
)

__all__ = ["has_torch_function", "has_torch_function_unary", "has_torch_function_variadic"]
