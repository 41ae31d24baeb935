"""Switches of deterministic computation."""

import sys
import types


class _Deterministic(types.ModuleType):
    @property
    def fill_uninitialized_memory(self):
        """Whether `torch.empty` and its like fill their memory while
        `torch.use_deterministic_algorithms` is on; True at first. RuntimeError for what is no bool."""
        from .._switches import _determinism

        return _determinism["fill"]

    @fill_uninitialized_memory.setter
    def fill_uninitialized_memory(self, mode):
        from .._switches import _set_determinism

        if not isinstance(mode, bool):
            raise RuntimeError(f"expected a bool, but got {type(mode).__name__}")
        _set_determinism(fill=mode)


sys.modules[__name__].__class__ = _Deterministic
