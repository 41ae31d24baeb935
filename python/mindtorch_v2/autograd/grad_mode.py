"""Context managers and decorators that switch recording on and off."""

from .. import _C
from .._C import _set_grad_enabled, is_grad_enabled
from ..utils._contextlib import _DecoratorContextManager, _NoParamDecoratorContextManager

__all__ = ["enable_grad", "inference_mode", "no_grad", "set_grad_enabled", "set_multithreading_enabled"]


class no_grad(_NoParamDecoratorContextManager):
    """Operators inside are not recorded; results do not require gradients (factories excepted)."""

    def __enter__(self):
        self.prev = is_grad_enabled()
        _set_grad_enabled(False)

    def __exit__(self, exc_type, exc_value, traceback):
        _set_grad_enabled(self.prev)


class enable_grad(_NoParamDecoratorContextManager):
    """Operators inside are recorded, within `no_grad` too."""

    def __enter__(self):
        self.prev = is_grad_enabled()
        _set_grad_enabled(True)

    def __exit__(self, exc_type, exc_value, traceback):
        _set_grad_enabled(self.prev)


class set_grad_enabled(_DecoratorContextManager):
    """Switches recording at once; as a context manager, until its end.

    mode: bool. Raises TypeError for anything else.
    """

    def __init__(self, mode):
        self.prev = is_grad_enabled()
        self.mode = mode
        _set_grad_enabled(mode)

    def __call__(self, orig_func):
        _set_grad_enabled(self.prev)
        return super().__call__(orig_func)

    def __enter__(self):
        _set_grad_enabled(self.mode)

    def __exit__(self, exc_type, exc_value, traceback):
        _set_grad_enabled(self.prev)

    def __str__(self):
        return f"{type(self).__module__}.{type(self).__name__}(mode={self.mode})"

    __repr__ = __str__

    def clone(self):
        return self.__class__(self.mode)


class inference_mode(_DecoratorContextManager):
    """Like `no_grad`, and tensors made inside keep no versions and take no part in views.

    mode: bool, or the function to decorate.
    """

    def __init__(self, mode=True):
        self.mode = mode
        self._states = []

    def __new__(cls, mode=True):
        if isinstance(mode, bool):
            return super().__new__(cls)
        return cls()(mode)

    def __enter__(self):
        self._states.append(_C._push_inference_mode(self.mode))

    def __exit__(self, exc_type, exc_value, traceback):
        _C._pop_inference_mode(self._states.pop())

    def clone(self):
        return self.__class__(self.mode)


class set_multithreading_enabled(_DecoratorContextManager):
    """Whether backward may use several threads: at once, and as a context manager until its end.
    Backward of CPU tensors runs on the calling thread either way."""

    def __init__(self, mode):
        self.prev = _C._is_multithreading_enabled()
        _C._set_multithreading_enabled(mode)
        self.mode = mode

    def __enter__(self):
        pass

    def __exit__(self, *args):
        _C._set_multithreading_enabled(self.prev)

    def clone(self):
        return self.__class__(self.mode)
