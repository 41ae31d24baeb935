"""Dispatch keys and key sets, what is registered for them, and guards of the thread's keys.

The names appear in `_C`, where PyTorch has them. Numbers and layout are PyTorch's: bits 0..15 of a
key set name backends, bit 15 + n functionality n.
"""

from . import _C

__all__ = [
    "DispatchKey", "DispatchKeySet", "_dispatch_keys", "_dispatch_keyset_full", "_dispatch_keyset_full_after",
    "_dispatch_keyset_to_string", "_dispatch_key_name", "_dispatch_key_parse", "_parse_dispatch_key",
    "_dispatch_key_for_device", "_dispatch_num_backends", "_dispatch_is_alias_key",
    "_dispatch_is_included_in_alias", "_dispatch_get_backend_keyset_from_autograd", "_dispatch_has_kernel",
    "_dispatch_has_kernel_for_dispatch_key", "_dispatch_has_kernel_for_any_dispatch_key",
    "_dispatch_has_computed_kernel_for_dispatch_key", "_dispatch_tls_is_dispatch_key_included",
    "_dispatch_tls_is_dispatch_key_excluded", "_dispatch_tls_set_dispatch_key_included",
    "_dispatch_tls_set_dispatch_key_excluded", "_dispatch_tls_local_include_set",
    "_dispatch_tls_local_exclude_set", "_IncludeDispatchKeyGuard", "_ExcludeDispatchKeyGuard",
    "ExcludeDispatchKeyGuard", "_ForceDispatchKeyGuard", "_PreserveDispatchKeyGuard",
    "_SetExcludeDispatchKeyGuard", "_AutoDispatchBelowAutograd", "_AutoDispatchBelowADInplaceOrView",
    "_DisableTorchDispatch", "parse_schema", "FunctionSchema", "Argument", "_has_storage",
    "_dispatch_find_schema_or_throw",
]  # fmt: skip

# ORDER KEYS: csrc/base/keys.h
_FUNCTIONALITIES = (
    "Undefined Dense FPGA Vulkan Metal Quantized CustomRNGKeyId MkldnnCPU Sparse SparseCsr NestedTensor "
    "BackendSelect Fake Python FuncTorchDynamicLayerBackMode Functionalize Conjugate Negative ZeroTensor "
    "ADInplaceOrView AutogradOther AutogradFunctionality AutogradNestedTensor Tracer AutocastCPU AutocastMTIA "
    "AutocastMAIA AutocastXPU AutocastIPU AutocastHPU AutocastXLA AutocastMPS AutocastCUDA AutocastPrivateUse1 "
    "FuncTorchBatched BatchedNestedTensor FuncTorchVmapMode Batched VmapMode FuncTorchGradWrapper DeferredInit "
    "PythonTLSSnapshot FuncTorchDynamicLayerFrontMode TESTING_ONLY_GenericWrapper TESTING_ONLY_GenericMode "
    "PreDispatch PythonDispatcher"
).split()
_BACKENDS = (
    "CPU CUDA HIP XLA MPS IPU XPU HPU VE Lazy MTIA MAIA PrivateUse1 PrivateUse2 PrivateUse3 Meta"
).split()
# functionalities with a key per backend: (name, prefix of its keys, name in Start/End markers)
_PER_BACKEND = (
    ("Dense", "", "Dense"), ("Quantized", "Quantized", "Quantized"), ("Sparse", "Sparse", "Sparse"),
    ("SparseCsr", "SparseCsr", "SparseCsr"), ("NestedTensor", "NestedTensor", "NestedTensor"),
    ("AutogradFunctionality", "Autograd", "AutogradFunctionality"),
)  # fmt: skip
_ALIASES = (
    "Autograd CompositeImplicitAutograd FuncTorchBatchedDecomposition CompositeImplicitAutogradNestedTensor "
    "CompositeExplicitAutograd CompositeExplicitAutogradNonFunctional"
).split()
# keys without a backend, in the order of PyTorch's enumeration in Python; those per backend follow
_NAMED = (
    "Undefined CompositeExplicitAutogradNonFunctional CompositeExplicitAutograd "
    "CompositeImplicitAutogradNestedTensor CompositeImplicitAutograd AutogradNestedTensor AutogradOther Autograd "
    "Conjugate ZeroTensor Negative BackendSelect ADInplaceOrView PythonTLSSnapshot Python "
    "FuncTorchDynamicLayerFrontMode FuncTorchDynamicLayerBackMode FuncTorchBatchedDecomposition FuncTorchBatched "
    "FuncTorchVmapMode FuncTorchGradWrapper PythonDispatcher PreDispatch Functionalize AutocastCPU AutocastMPS "
    "AutocastXPU AutocastHPU AutocastIPU AutocastCUDA AutocastPrivateUse1"
).split()


class DispatchKey:
    """One dispatch key: a functionality, a functionality on a backend, or an alias of several."""

    __slots__ = ("name", "value")
    __members__ = {}
    _by_value = {}

    def __new__(cls, value):
        found = cls._by_value.get(getattr(value, "value", value))
        if found is None:
            raise ValueError(f"{value!r} is not a dispatch key")
        return found

    @classmethod
    def _make(cls, name, value):
        key = object.__new__(cls)
        object.__setattr__(key, "name", name)
        object.__setattr__(key, "value", value)
        cls._by_value[value] = key

    @classmethod
    def _name(cls, name, value):
        cls.__members__[name] = cls._by_value[value]
        setattr(cls, name, cls._by_value[value])

    def __setattr__(self, name, value):
        raise AttributeError(f"DispatchKey has no settable attribute '{name}'")

    def __repr__(self):
        return f"<DispatchKey.{self.name}: {self.value}>"

    def __str__(self):
        return f"DispatchKey.{self.name}"

    def __int__(self):
        return self.value

    __index__ = __int__

    def __eq__(self, other):
        return isinstance(other, DispatchKey) and self.value == other.value

    def __hash__(self):
        return hash(self.value)

    def __reduce__(self):
        return DispatchKey, (self.value,)


_starts = {}  # functionality -> value of its key on the first backend


def _make_keys():
    values = {}
    for n, name in enumerate(_FUNCTIONALITIES):
        values[name] = n
    first = len(_FUNCTIONALITIES) + 1
    aliases = first + len(_PER_BACKEND) * (len(_BACKENDS) + 1)
    for n, name in enumerate(_ALIASES):
        values[name] = aliases + n
    for name, value in values.items():
        DispatchKey._make(name, value)
    for name in _NAMED:
        DispatchKey._name(name, values[name])
    start = first
    for functionality, prefix, marker in _PER_BACKEND:
        _starts[_FUNCTIONALITIES.index(functionality)] = start + 1
        DispatchKey._make(f"StartOf{marker}Backends", start)
        DispatchKey._name(functionality, values[functionality])
        DispatchKey._name(f"StartOf{marker}Backends", start)
        for n, backend in enumerate(_BACKENDS):
            DispatchKey._make(prefix + backend, start + 1 + n)
            DispatchKey._name(prefix + backend, start + 1 + n)
        DispatchKey._name(f"EndOf{marker}Backends", start + len(_BACKENDS))
        start += len(_BACKENDS) + 1


_make_keys()
_FIRST_ALIAS = DispatchKey.Autograd.value
_FULL = (1 << 62) - 1


def _as_key(key):
    if isinstance(key, DispatchKey):
        return key
    if isinstance(key, str):
        return _dispatch_key_parse(key)
    raise TypeError(f"a DispatchKey or its name is needed, not {type(key).__name__}")


def _place(key):
    """(functionality, backend or None) of a runtime key; backend -1: only the functionality."""
    for functionality, start in _starts.items():
        if start - 1 <= key.value < start + len(_BACKENDS):
            return functionality, key.value - start
    return key.value, None


def _bits(key):
    if key.value >= _FIRST_ALIAS or key.value == 0:
        return 0
    functionality, backend = _place(key)
    bits = 1 << (15 + functionality)
    return bits if backend is None or backend < 0 else bits | 1 << backend


def _runtime(functionality, backend):
    start = _starts.get(functionality)
    return DispatchKey._by_value[functionality if start is None else start + backend]


class DispatchKeySet:
    """A set of keys, as tensors and threads have them.

    Backends and functionalities are kept apart: {SparseCPU, CUDA} also holds SparseCUDA and CPU.
    """

    __slots__ = ("_raw",)

    def __init__(self, key):
        self._raw = _bits(_as_key(key))

    @staticmethod
    def from_raw_repr(raw):
        return _key_set(raw)

    @staticmethod
    def from_raw_repr_checked(raw):
        """The same; ValueError for bits that no key has."""
        if raw & ~_FULL or raw < 0:
            raise ValueError(f"{raw:#x} has bits that no dispatch key has")
        return _key_set(raw)

    def raw_repr(self):
        return self._raw

    def has(self, key):
        bits = _bits(_as_key(key))
        return self._raw & bits == bits

    def add(self, key):
        return _key_set(self._raw | _bits(_as_key(key)))

    def remove(self, key):
        return _key_set(self._raw & ~(_bits(_as_key(key)) & ~0xFFFF))

    def highestPriorityTypeId(self):
        functionality = (self._raw >> 15).bit_length() - 1 if self._raw >> 16 else 0
        return _runtime(functionality, (self._raw & 0xFFFF).bit_length() - 1)

    def __or__(self, other):
        return _key_set(self._raw | other._raw)

    def __and__(self, other):
        return _key_set(self._raw & other._raw)

    def __sub__(self, other):
        return _key_set(self._raw & (0xFFFF | ~other._raw))

    def __eq__(self, other):
        return isinstance(other, DispatchKeySet) and self._raw == other._raw

    def __hash__(self):
        return hash(self._raw)

    def __iter__(self):
        for functionality in range(1, len(_FUNCTIONALITIES)):
            if not self._raw >> (15 + functionality) & 1:
                continue
            if functionality not in _starts:
                yield _runtime(functionality, 0)
                continue
            for backend in range(len(_BACKENDS)):
                if self._raw >> backend & 1:
                    yield _runtime(functionality, backend)

    def __repr__(self):
        return f"DispatchKeySet({', '.join(key.name for key in self)})"


def _key_set(raw):
    made = object.__new__(DispatchKeySet)
    made._raw = raw
    return made


def _dispatch_keys(tensor):
    """The keys of a tensor."""
    return _key_set(_C._tensor_keys(tensor))


def _dispatch_keyset_full():
    return _key_set(_FULL)


def _dispatch_keyset_full_after(key):
    """Every key that is handled after `key`."""
    functionality, _ = _place(_as_key(key))
    return _key_set((1 << (15 + functionality)) - 1)


def _dispatch_keyset_to_string(keys):
    return repr(keys)


def _dispatch_key_name(key):
    key = _as_key(key)
    functionality, backend = _place(key)
    if backend == -1:  # the mark before the first backend
        prefix = next(p for name, p, _ in _PER_BACKEND if name == _FUNCTIONALITIES[functionality])
        return prefix + "Undefined"
    return key.name


def _parse_dispatch_key(name):
    return DispatchKey.__members__.get(name)


def _dispatch_key_parse(name):
    found = _parse_dispatch_key(name)
    if found is None:
        raise RuntimeError(f"could not parse dispatch key: {name}")
    return found


def _dispatch_key_for_device(device_type):
    names = {"cpu": "CPU", "meta": "Meta", "cuda": "CUDA", "hip": "HIP", "xla": "XLA", "mps": "MPS", "ipu": "IPU",
             "xpu": "XPU", "hpu": "HPU", "ve": "VE", "lazy": "Lazy", "mtia": "MTIA", "maia": "MAIA",
             "privateuseone": "PrivateUse1"}  # fmt: skip
    return names[device_type]


def _dispatch_num_backends():
    return len(_BACKENDS)


def _dispatch_is_alias_key(key):
    return _as_key(key).value >= _FIRST_ALIAS


def _functionality_bits(*names):
    return sum(1 << (15 + _FUNCTIONALITIES.index(name)) for name in names)


def _alias_bits(name):
    """The runtime keys that a kernel for the alias serves."""
    autograd = _functionality_bits("AutogradOther", "AutogradFunctionality", "AutogradNestedTensor")
    dense = _functionality_bits("Dense", "Quantized", "Sparse", "SparseCsr")
    if name == "Autograd":
        return 0xFFFF | autograd
    if name == "CompositeImplicitAutograd":
        return 0xFFFF | autograd | dense | _functionality_bits("NestedTensor")
    if name == "CompositeExplicitAutograd":
        return 0xFFFF | dense
    if name == "CompositeExplicitAutogradNonFunctional":
        lazy = 1 << _BACKENDS.index("XLA") | 1 << _BACKENDS.index("Lazy")
        return (0xFFFF & ~lazy) | _functionality_bits("Dense", "Quantized", "SparseCsr")
    if name == "FuncTorchBatchedDecomposition":
        return _functionality_bits("FuncTorchBatched")
    return 0xFFFF | _functionality_bits("NestedTensor", "AutogradNestedTensor")


def _dispatch_is_included_in_alias(key, alias):
    """Whether a kernel for the alias serves the runtime key (true of every alias key)."""
    key, alias = _as_key(key), _as_key(alias)
    if key.value == 0:
        return False
    if alias.value < _FIRST_ALIAS:
        return key == alias
    return not _bits(key) & ~_alias_bits(alias.name)


def _dispatch_get_backend_keyset_from_autograd(key):
    functionality, backend = _place(_as_key(key))
    if backend in (None, -1) or _FUNCTIONALITIES[functionality] != "AutogradFunctionality":
        return _key_set(0)
    return _key_set(1 << 16 | 1 << backend)


# ---- what is registered ---------------------------------------------------------------------

_INPLACE, _OUT, _VIEW, _MULTI_VIEW = 1, 2, 4, 8  # mt_op.flags


def _split_name(name):
    base, _, overload = name.partition(".")
    return base, overload


def _dispatch_has_kernel(name):
    """Whether the operator exists and something can run it."""
    base, overload = _split_name(name)
    if not _C._has_operator(base, overload):
        return False
    kernels, _, own, _, _ = _C._operator_kernels(base, overload)
    return own or bool(kernels)


def _dispatch_has_kernel_for_dispatch_key(name, key):
    """Whether a kernel was registered for exactly this key (an alias key counts as itself)."""
    base, overload = _split_name(name)
    key = _as_key(key)
    if not _C._has_operator(base, overload):
        raise RuntimeError(f"operator {name} does not exist")
    kernels, flags, own, composite, differentiable = _C._operator_kernels(base, overload)
    if key.value in kernels:
        return True
    if not own:
        return False
    if composite:
        return key.name == "CompositeImplicitAutograd"
    if key.name in ("CPU", "Meta"):
        return True
    if key.name == "Autograd":
        return differentiable or bool(flags & (_INPLACE | _OUT))
    return key.name == "ADInplaceOrView" and bool(flags & (_INPLACE | _OUT | _VIEW | _MULTI_VIEW))


def _dispatch_has_kernel_for_any_dispatch_key(name, keys):
    return any(_dispatch_has_kernel_for_dispatch_key(name, key) for key in keys)


def _dispatch_has_computed_kernel_for_dispatch_key(name, key):
    """Whether the key leads to a kernel, directly or through an alias key."""
    key = _as_key(key)
    if _dispatch_has_kernel_for_dispatch_key(name, key):
        return True
    return any(
        _dispatch_is_included_in_alias(key, alias) and _dispatch_has_kernel_for_dispatch_key(name, alias)
        for alias in _ALIASES
    )


def _registered_names(kernels):
    """"CPU, AutogradCPU" of an operator's dict of Python kernels, for error texts."""
    return ", ".join(DispatchKey._by_value[value].name for value in sorted(kernels))


def _dispatch_find_schema_or_throw(name, overload):
    from . import _ops

    if not _C._has_operator(name, overload):
        raise RuntimeError(f"Could not find schema for {name}.{overload}")
    return _ops._overload(name, overload)


# ---- keys of the thread ---------------------------------------------------------------------


def _dispatch_tls_local_include_set():
    return _key_set(_C._thread_keys()[0])


def _dispatch_tls_local_exclude_set():
    return _key_set(_C._thread_keys()[1])


def _dispatch_tls_is_dispatch_key_included(key):
    return _dispatch_tls_local_include_set().has(key)


def _dispatch_tls_is_dispatch_key_excluded(key):
    return _dispatch_tls_local_exclude_set().has(key)


def _dispatch_tls_set_dispatch_key_included(key, desired):
    included, excluded = _C._thread_keys()
    bits = _bits(_as_key(key))
    _C._set_thread_keys(included | bits if desired else included & ~bits, excluded)


def _dispatch_tls_set_dispatch_key_excluded(key, desired):
    included, excluded = _C._thread_keys()
    bits = _bits(_as_key(key))
    _C._set_thread_keys(included, excluded | bits if desired else excluded & ~bits)


def _raw(keys):
    return keys._raw if isinstance(keys, DispatchKeySet) else _bits(_as_key(keys))


_AUTOGRAD_BITS = sum(1 << (15 + _FUNCTIONALITIES.index(n)) for n in _FUNCTIONALITIES if n.startswith("Autograd"))
_ADINPLACE_BIT = 1 << (15 + _FUNCTIONALITIES.index("ADInplaceOrView"))
_PYTHON_BITS = sum(1 << (15 + _FUNCTIONALITIES.index(n)) for n in ("Python", "PythonTLSSnapshot"))


class _Guard:
    """Context manager: other keys of the thread inside, those from before afterwards."""

    def __init__(self, *args):
        self._args = args

    def _change(self, included, excluded):
        return included, excluded

    def __enter__(self):
        self._before = _C._thread_keys()
        _C._set_thread_keys(*self._change(*self._before, *self._args))

    def __exit__(self, *error):
        _C._set_thread_keys(*self._before)


class _IncludeDispatchKeyGuard(_Guard):
    def _change(self, included, excluded, keys):
        return included | _raw(keys), excluded


class _ExcludeDispatchKeyGuard(_Guard):
    def _change(self, included, excluded, keys):
        return included, excluded | _raw(keys)


ExcludeDispatchKeyGuard = _ExcludeDispatchKeyGuard


class _ForceDispatchKeyGuard(_Guard):
    def _change(self, included, excluded, include, exclude):
        return _raw(include), _raw(exclude)


class _PreserveDispatchKeyGuard(_Guard):
    pass


class _SetExcludeDispatchKeyGuard(_Guard):
    def _change(self, included, excluded, key, desired):
        return included, excluded | _raw(key) if desired else excluded & ~_raw(key)


class _AutoDispatchBelowAutograd(_Guard):
    def _change(self, included, excluded):
        return included, excluded | _AUTOGRAD_BITS


class _AutoDispatchBelowADInplaceOrView(_Guard):
    def _change(self, included, excluded):
        return included, excluded | _AUTOGRAD_BITS | _ADINPLACE_BIT


class _DisableTorchDispatch(_Guard):
    def _change(self, included, excluded):
        return included, excluded | _PYTHON_BITS


def _has_storage(tensor):
    """Whether the tensor has a storage; all strided tensors have."""
    return True


from ._schema import Argument, FunctionSchema, parse_schema  # noqa: E402, F401
