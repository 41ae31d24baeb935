"""What a file may name when it is loaded with `weights_only=True`.

The unpickler itself is `_C._unpickle`, which names nothing, calls nothing and builds nothing
without asking here. Known by default are tensors, parameters, dtypes, storages, the rebuild
functions and a few harmless containers; users add classes and functions of their own. Files name
globals below `torch.`; ours below `mindtorch_v2.` mean the same.
"""

import sys
from collections import Counter, OrderedDict
from pickle import UnpicklingError

from . import _C

_PACKAGE = __name__.split(".")[0]
_BLOCKED_MODULES = ("sys", "os", "posix", "nt")
_REBUILD = frozenset(
    (
        "_rebuild_tensor",
        "_rebuild_tensor_v2",
        "_rebuild_tensor_v3",
        "_rebuild_parameter",
        "_rebuild_parameter_with_state",
        "_rebuild_meta_tensor_no_storage",
        "_rebuild_device_tensor_from_numpy",
        "_rebuild_device_tensor_from_cpu_tensor",
    )
)
_NOTHING = object()

# ---- what users add ----

_added = set()


def _add_safe_globals(safe_globals):
    _added.update(safe_globals)


def _get_safe_globals():
    return list(_added)


def _clear_safe_globals():
    _added.clear()


class _safe_globals:
    """Adds safe globals for the time of a `with` block, then restores those before."""

    def __init__(self, safe_globals):
        self.safe_globals = safe_globals

    def __enter__(self):
        self._before = set(_added)
        _add_safe_globals(self.safe_globals)

    def __exit__(self, exc_type, exc_value, traceback):
        _added.clear()
        _added.update(self._before)


def _as_torch(name):
    """The name in files: mindtorch_v2.x -> torch.x."""
    if name == _PACKAGE or name.startswith(_PACKAGE + "."):
        return "torch" + name[len(_PACKAGE) :]
    return name


def _user_globals():
    """{full name in files: object} of what users added."""
    out = {}
    for entry in _added:
        if isinstance(entry, tuple):
            if len(entry) != 2:
                raise ValueError(
                    "Expected tuple of length 2 (global, str of callable full path), but got "
                    f"tuple of length: {len(entry)}"
                )
            entry, name = entry
            if not isinstance(name, str):
                raise TypeError(
                    "Expected second item in tuple to be str of callable full path, but got: "
                    f"{type(name)}"
                )
        else:
            name = f"{entry.__module__}.{getattr(entry, '__qualname__', None) or entry.__name__}"
        out[_as_torch(name)] = entry
    return out


# ---- what is known by default ----

_known = {
    "collections.OrderedDict": OrderedDict,
    "collections.Counter": Counter,
    "builtins.bytearray": bytearray,
    "builtins.set": set,
    "builtins.complex": complex,
}


def _default_global(name):
    """The object that a file means by `name`, or _NOTHING."""
    found = _known.get(name, _NOTHING)
    if found is _NOTHING:
        found = _look_up(name)
        if found is not _NOTHING:
            _known[name] = found
    return found


def _look_up(name):
    import mindtorch_v2 as torch

    module, _, attribute = name.rpartition(".")
    if name == "_codecs.encode":
        from codecs import encode

        return encode
    if name == "torch.nn.parameter.Parameter":
        from .nn.parameter import Parameter

        return Parameter
    if name == "torch._tensor._rebuild_from_type_v2":
        from ._utils import _rebuild_from_type_v2

        return _rebuild_from_type_v2
    if name == "torch.serialization._get_layout":
        from .serialization import _get_layout

        return _get_layout
    if module == "torch._utils" and attribute in _REBUILD:
        from . import _utils

        return getattr(_utils, attribute)
    if module == "torch.storage" and attribute in ("UntypedStorage", "TypedStorage"):
        from . import storage

        return getattr(storage, attribute)
    if module in ("torch", "torch.cuda"):
        if attribute.endswith("Storage"):
            from .serialization import StorageType

            try:
                return StorageType(attribute)
            except KeyError:
                return _NOTHING
        if module == "torch.cuda":
            return _NOTHING
        found = getattr(torch, attribute, _NOTHING)
        if attribute in ("Size", "Tensor", "device") or isinstance(found, torch.dtype):
            return found
        if attribute.endswith("Tensor") and isinstance(found, type):
            return found
    return _NOTHING


# ---- the three questions of the unpickler ----


def _python3_name(module, name):
    """Names of Python 2 as they are called now; protocols up to 2 may use them."""
    from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING

    if (module, name) in NAME_MAPPING:
        return NAME_MAPPING[module, name]
    return IMPORT_MAPPING.get(module, module), name


def _shown(module, name):
    return name if module == "builtins" else f"{module}.{name}"


def _make_find_global():
    user = _user_globals()

    def find_global(module, name):
        module, name = _python3_name(_as_torch(module), name)
        full = f"{module}.{name}"
        if module in _BLOCKED_MODULES:
            raise UnpicklingError(
                f"Trying to load unsupported GLOBAL {full} whose module {module} is blocked."
            )
        found = user.get(full, _NOTHING)
        if found is _NOTHING:
            found = _default_global(full)
        if found is not _NOTHING:
            return found
        shown = _shown(module, name)
        raise UnpicklingError(
            f"Unsupported global: GLOBAL {shown} was not an allowed global by default. Please use "
            f"`torch.serialization.add_safe_globals([{shown}])` or the "
            f"`torch.serialization.safe_globals([{shown}])` context manager to allowlist this "
            "global if you trust this class/function."
        )

    return find_global, user


def _make_build(user):
    import mindtorch_v2 as torch

    def build(instance, state):
        cls = type(instance)
        if cls is torch.Tensor:
            return instance.set_(*state)
        if cls is OrderedDict:
            instance.__dict__.update(state)
            return instance
        name = _as_torch(f"{cls.__module__}.{cls.__qualname__}")
        if cls not in user.values() and _default_global(name) is not cls:
            raise UnpicklingError(
                "Can only build Tensor, Parameter, OrderedDict or types allowlisted via "
                f"`add_safe_globals`, but got {cls}"
            )
        if hasattr(instance, "__setstate__"):
            instance.__setstate__(state)
            return instance
        slots = None
        if isinstance(state, tuple) and len(state) == 2:
            state, slots = state
        if state:
            instance.__dict__.update((sys.intern(k), v) for k, v in state.items())
        for key, value in (slots or {}).items():
            setattr(instance, key, value)
        return instance

    return build


def load(data, start, persistent_load, encoding="utf-8"):
    """Runs the pickle at data[start:] under the restrictions.

    Returns (object, end). Raises UnpicklingError for what is not allowed, and for broken data
    EOFError, IndexError, KeyError or what the named functions raise.
    """
    find_global, user = _make_find_global()
    return _C._unpickle(data, start, find_global, persistent_load, _make_build(user), encoding)


def get_unsafe_globals(data):
    """The names in a pickle that `load` would refuse, each once, in the order of appearance."""
    user = _user_globals()
    out = {}
    for module, name in _C._pickle_globals(data):
        module, name = _python3_name(_as_torch(module), name)
        full = f"{module}.{name}"
        if full not in user and _default_global(full) is _NOTHING:
            out[full] = None
    return list(out)
