"""Storages: the blocks of bytes under tensors.

`UntypedStorage` is the storage, made in C (`_C.StorageBase`); this module adds what needs no speed:
conversions, copies, printing, pickling. `TypedStorage` is a deprecated view of one with a dtype,
kept because old programs and the file format of torch.save know it; `FloatStorage` and its
siblings are constructors of typed storages. Behaviour: PyTorch's `torch.storage`.
"""

from _thread import RLock

from . import _C

__all__ = ["TypedStorage", "UntypedStorage"]

_int = int
_share_lock = RLock()

_NO_CUDA = "Torch not compiled with CUDA enabled"
_NO_ACCELERATOR = "Cannot access accelerator device when none is available."


def _package():
    import mindtorch_v2

    return mindtorch_v2


def _tensor_over(untyped, dtype):
    """A one-dimensional tensor over all whole elements of a storage."""
    torch = _package()
    count = untyped.nbytes() // dtype.itemsize
    empty = torch.empty((0,), dtype=dtype, device=untyped.device)
    return empty.set_(untyped, 0, (count,), (1,))


def _converted(untyped, dtype, new_dtype):
    """A typed storage with the elements converted; never the same memory."""
    tensor = _tensor_over(untyped, dtype)
    made = tensor.to(new_dtype)
    if made.data_ptr() == tensor.data_ptr():
        made = made.clone()
    return _wrap(made.untyped_storage(), new_dtype)


def _is_sequence(value):
    from collections.abc import Sequence

    return isinstance(value, Sequence)


class _StorageBase:
    """Methods of UntypedStorage that are composed of those made in C."""

    is_sparse = False
    is_sparse_csr = False
    # Stand-ins for tensors without data note here where their bytes lie and on which device.
    _fake_device = None
    _checkpoint_offset = None

    def __iter__(self):
        return iter([self[i] for i in range(self.size())])

    def __str__(self):
        info = f"[torch.storage.UntypedStorage(device={self.device}) of size {len(self)}]"
        if self.device.type == "meta":
            return "...\n" + info
        return " " + "\n ".join(str(x) for x in self) + "\n" + info

    __repr__ = __str__

    def __copy__(self):
        return self.clone()

    def __deepcopy__(self, memo):
        memo = memo.setdefault("torch", {})
        if self._cdata not in memo:
            memo[self._cdata] = self.clone()
        return memo[self._cdata]

    def __reduce__(self):
        return _untyped_from_bytes, (_bytes_of(self),)

    def __sizeof__(self):
        return super().__sizeof__() + self.size()

    def size(self):
        """The number of bytes."""
        return self.nbytes()

    def get_device(self):
        """The index of the device; None on the CPU."""
        return self.device.index

    def clone(self):
        """A copy with its own memory, on the same device."""
        return type(self)(self.nbytes(), device=self.device).copy_(self)

    def tolist(self):
        """The bytes as a list of ints."""
        return list(self)

    def untyped(self):
        return self

    def cpu(self):
        """This storage where it is on the CPU, a copy on the CPU otherwise."""
        if self.device.type != "cpu":
            return UntypedStorage(self.size()).copy_(self, False)
        return self

    def cuda(self, device=None, non_blocking=False):
        raise AssertionError(_NO_CUDA)

    def hpu(self, device=None, non_blocking=False):
        raise AssertionError("HPU device module is not loaded")

    def mps(self):
        return UntypedStorage(self.size(), device="mps").copy_(self, False)

    def to(self, *, device, non_blocking=False):
        """This storage on a device; AssertionError for a device that is not there."""
        torch = _package()
        device = torch.device(device)
        if device == self.device:
            return self
        if device.type == "cpu":
            return self.cpu()
        if device.type == "cuda":
            raise AssertionError(_NO_CUDA)
        raise AssertionError(f"{device.type.upper()} device module is not loaded")

    def type(self, dtype=None, non_blocking=False):
        """The name of the class, or a storage of another class with the same content."""
        if dtype is None:
            return "torch.storage.UntypedStorage"
        if isinstance(dtype, str):
            from ._utils import _import_dotted_name

            dtype = _import_dotted_name(dtype)
        if dtype is type(self):
            return self
        return dtype(self.size()).copy_(self, non_blocking)

    def _to(self, dtype):
        torch = _package()
        if not isinstance(dtype, torch.dtype):
            raise TypeError(f"Argument 'dtype' must be torch.dtype, not {type(dtype)}")
        return _converted(self, torch.uint8, dtype)

    def byteswap(self, dtype):
        """Reverses in place the bytes of every element of `dtype` (of both parts of a complex)."""
        size = dtype.itemsize // 2 if dtype.is_complex else dtype.itemsize
        if size > 1:
            self._byteswap(size)

    def is_pinned(self, device="cuda"):
        return False

    def pin_memory(self, device="cuda"):
        raise RuntimeError(_NO_ACCELERATOR)

    def share_memory_(self):
        """Moves the bytes to shared memory, unless they are there; returns self."""
        from .multiprocessing import get_sharing_strategy

        with _share_lock:
            if get_sharing_strategy() == "file_system":
                self._share_filename_cpu_()
            else:
                self._share_fd_cpu_()
        return self

    @classmethod
    def _new_shared(cls, size, *, device="cpu"):
        """A new storage of `size` bytes in shared memory."""
        from .multiprocessing import get_sharing_strategy

        if get_sharing_strategy() == "file_system":
            return cls._new_using_filename_cpu(size)
        return cls._new_using_fd_cpu(size)

    @classmethod
    def _release_ipc_counter(cls, *args, device=None, **kwargs):
        raise AssertionError(_NO_CUDA)


def _add_conversions(cls, convert):
    """Gives a class float(), long() and so on, one method per dtype that has such a name."""
    torch_names = {
        "double": "float64",
        "float": "float32",
        "half": "float16",
        "bfloat16": "bfloat16",
        "long": "int64",
        "int": "int32",
        "short": "int16",
        "char": "int8",
        "byte": "uint8",
        "bool": "bool",
        "complex_double": "complex128",
        "complex_float": "complex64",
    }
    for name, dtype in torch_names.items():

        def method(self, _dtype=dtype):
            return convert(self, getattr(_package(), _dtype))

        method.__name__ = name
        method.__qualname__ = f"{cls.__qualname__}.{name}"
        method.__doc__ = f"A new storage with the elements converted to {dtype}."
        method.__defaults__ = (dtype,)
        setattr(cls, name, method)


def _bytes_of(untyped):
    from io import BytesIO

    if untyped.device.type == "meta":
        raise NotImplementedError("Cannot copy out of meta tensor; no data!")
    buffer = BytesIO()
    untyped._write_file(buffer, False, False, 1)
    return buffer.getvalue()


def _untyped_from_bytes(data):
    """Undoes UntypedStorage.__reduce__."""
    if not data:
        return UntypedStorage(0)
    return UntypedStorage.from_buffer(data, dtype=_package().uint8)


class UntypedStorage(_C.StorageBase, _StorageBase):
    """A block of bytes on one device: `UntypedStorage(nbytes, device=None)` (uninitialised) or
    `UntypedStorage(sequence_of_ints)`. Indexing gives bytes as ints, a slice shares memory."""

    def __getitem__(self, index):
        if self.device.type == "meta":
            raise NotImplementedError("Not available for 'meta' device type")
        return super().__getitem__(index)

    @property
    def is_cuda(self):
        return self.device.type == "cuda"

    @property
    def is_hpu(self):
        return self.device.type == "hpu"

    @property
    def filename(self):
        """The file behind a storage mapped with `shared=True`, else None."""
        return self._get_filename()

    def _share_fd_cpu_(self, *args, **kwargs):
        with _share_lock:
            return super()._share_fd_cpu_(*args, **kwargs)

    def _share_filename_cpu_(self, *args, **kwargs):
        with _share_lock:
            return super()._share_filename_cpu_(*args, **kwargs)


def _load_from_bytes(data):
    """Reads what torch.save wrote to bytes; named by pickles that PyTorch makes of storages."""
    from io import BytesIO

    from .serialization import load

    return load(BytesIO(data), weights_only=False)


# ---- typed storages ----

# dtype's name -> class name of its legacy storage, which is also its name in files.
_LEGACY_NAMES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
    "bfloat16": "BFloat16Storage",
    "complex128": "ComplexDoubleStorage",
    "complex64": "ComplexFloatStorage",
}
_maps = None


def _legacy_maps():
    global _maps
    if _maps is None:
        torch = _package()
        names = {getattr(torch, dtype): name for dtype, name in _LEGACY_NAMES.items()}
        _maps = names, {name: dtype for dtype, name in names.items()}
    return _maps


def _dtype_to_storage_type_map():
    return _legacy_maps()[0]


def _storage_type_to_dtype_map():
    return _legacy_maps()[1]


def _get_dtype_from_pickle_storage_type(name):
    """The dtype of "FloatStorage" and the like; KeyError for other names."""
    try:
        return _legacy_maps()[1][name]
    except KeyError:
        raise KeyError(f'pickle storage type "{name}" is not recognized') from None


def _new_dtypes():
    """The dtypes without a legacy storage class."""
    torch = _package()
    every = {value for value in vars(torch).values() if isinstance(value, torch.dtype)}
    return every - set(_legacy_maps()[0])


def _get_storage_from_sequence(sequence, dtype, device):
    return _package().tensor(sequence, dtype=dtype, device=device).untyped_storage()


def _isint(value):
    return isinstance(value, _int)


_always_warn = False
_warned = False


def _warn_typed_storage_removal(stacklevel=2):
    """UserWarning that typed storages are deprecated, once per process unless always asked for."""
    global _warned
    if _warned and not _always_warn:
        return
    _warned = True
    import warnings

    warnings.warn(
        "TypedStorage is deprecated. It will be removed in the future and UntypedStorage will be "
        "the only storage class. This should only matter to you if you are using storages "
        "directly.  To access UntypedStorage directly, use tensor.untyped_storage() instead of "
        "tensor.storage()",
        UserWarning,
        stacklevel=stacklevel + 1,
    )


def _reset_warn_typed_storage_removal():
    global _warned
    _warned = False


def _set_always_warn_typed_storage_removal(always_warn):
    global _always_warn
    if not isinstance(always_warn, bool):
        raise AssertionError("always_warn must be bool")
    _always_warn = always_warn


def _get_always_warn_typed_storage_removal():
    return _always_warn


def _deprecated(method):
    """The public form of a TypedStorage method: warns, then calls."""

    def public(self, *args, **kwargs):
        _warn_typed_storage_removal()
        return method(self, *args, **kwargs)

    for name in ("__name__", "__qualname__", "__doc__"):
        setattr(public, name, getattr(method, name))
    public.__wrapped__ = method
    return public


_TYPED_FORMS = """TypedStorage.__init__ received an invalid combination of arguments. \
Expected one of:
 * (*, torch.device device, torch.dtype dtype)
 * (int size, *, torch.device device, torch.dtype dtype)
 * (Sequence data, *, torch.device device, torch.dtype dtype)
 * (*, UntypedStorage wrap_storage, torch.dtype dtype)
"""
_LEGACY_FORMS = """.__new__ received an invalid combination of arguments. Expected one of:
 * no arguments
 * (int size)
 * (Sequence data)
 * (*, UntypedStorage wrap_storage)
"""


def _wrap(untyped, dtype):
    """A typed storage over an untyped one, without checks and warnings."""
    typed = object.__new__(TypedStorage)
    typed._untyped_storage = untyped
    typed.dtype = dtype
    return typed


class TypedStorage:
    """A storage with a dtype (deprecated): `TypedStorage(size_or_sequence, dtype=, device=)` or
    `TypedStorage(wrap_storage=untyped, dtype=)`. Sizes and indices count elements."""

    is_sparse = False
    _fake_device = None

    def __new__(cls, *args, wrap_storage=None, dtype=None, device=None, _internal=False):
        if not _internal:
            _warn_typed_storage_removal()
        if cls is TypedStorage:
            return object.__new__(cls)
        return _new_legacy(cls, args, wrap_storage, dtype, device)

    def __init__(self, *args, device=None, dtype=None, wrap_storage=None, _internal=False):
        torch = _package()
        if wrap_storage is not None:
            if args:
                raise RuntimeError(
                    _TYPED_FORMS
                    + "No positional arguments should be given when using 'wrap_storage'"
                )
            if dtype is None:
                raise RuntimeError(_TYPED_FORMS + "Argument 'dtype' must be specified")
            if not isinstance(dtype, torch.dtype):
                raise TypeError(
                    _TYPED_FORMS + f"Argument 'dtype' must be torch.dtype, not {type(dtype)}"
                )
            if device is not None:
                raise RuntimeError(
                    _TYPED_FORMS
                    + "Argument 'device' should not be specified when 'wrap_storage' is given"
                )
            if not isinstance(wrap_storage, UntypedStorage):
                raise TypeError(
                    _TYPED_FORMS
                    + "Argument 'wrap_storage' must be UntypedStorage, but got "
                    + str(type(wrap_storage))
                )
            self.dtype = dtype
            self._untyped_storage = wrap_storage
            return
        if dtype is None:
            dtype = torch.get_default_dtype()
        elif not isinstance(dtype, torch.dtype):
            raise RuntimeError(f"expected torch.dtype, but got {type(dtype)}")
        device = torch.device("cpu" if device is None else device)
        if device.type == "cuda":
            raise AssertionError(_NO_CUDA)
        self.dtype = dtype
        if not args:
            self._untyped_storage = UntypedStorage(device=device)
        elif len(args) > 1:
            raise RuntimeError(_TYPED_FORMS + "Too many positional arguments")
        elif isinstance(args[0], _int) and not isinstance(args[0], bool):
            self._untyped_storage = UntypedStorage(args[0] * dtype.itemsize, device=device)
        elif _is_sequence(args[0]):
            self._untyped_storage = _get_storage_from_sequence(args[0], dtype, device)
        else:
            raise TypeError(_TYPED_FORMS + f"Argument type not recognized: {type(args[0])}")

    def _new_wrapped_storage(self, untyped_storage):
        return _wrap(untyped_storage, self.dtype)

    # -- what it is --

    @property
    def _cdata(self):
        return self._untyped_storage._cdata

    @property
    def _dtype(self):
        return self.dtype

    @property
    def device(self):
        _warn_typed_storage_removal()
        return self._untyped_storage.device

    @property
    def is_cuda(self):
        _warn_typed_storage_removal()
        return self._untyped_storage.is_cuda

    @property
    def is_hpu(self):
        _warn_typed_storage_removal()
        return self._untyped_storage.is_hpu

    @property
    def filename(self):
        """The file behind a storage mapped with `shared=True`, else None."""
        _warn_typed_storage_removal()
        return self._untyped_storage.filename

    def _size(self):
        return self._untyped_storage.nbytes() // self.dtype.itemsize

    def _nbytes(self):
        return self._untyped_storage.nbytes()

    def _element_size(self):
        return self.dtype.itemsize

    def _data_ptr(self):
        return self._untyped_storage.data_ptr()

    def _is_shared(self):
        return self._untyped_storage.is_shared()

    def _pickle_storage_type(self):
        try:
            return _legacy_maps()[0][self.dtype]
        except KeyError:
            raise KeyError(f"dtype {self.dtype} is not recognized") from None

    def _get_legacy_storage_class(self):
        """FloatStorage and so on; None for a dtype or device that has none."""
        name = _legacy_maps()[0].get(self.dtype)
        if name is None or self._untyped_storage.device.type != "cpu":
            return None
        return getattr(_package(), name)

    @_deprecated
    def size(self):
        """The number of elements."""
        return self._size()

    @_deprecated
    def nbytes(self):
        return self._nbytes()

    @_deprecated
    def element_size(self):
        return self._element_size()

    @_deprecated
    def data_ptr(self):
        return self._data_ptr()

    @_deprecated
    def get_device(self):
        return self._untyped_storage.get_device()

    @_deprecated
    def is_shared(self):
        return self._is_shared()

    @_deprecated
    def is_pinned(self, device=None):
        return self._untyped_storage.is_pinned()

    @_deprecated
    def resizable(self):
        return self._untyped_storage.resizable()

    @_deprecated
    def pickle_storage_type(self):
        """The name of the legacy class; KeyError for a dtype that has none."""
        return self._pickle_storage_type()

    @_deprecated
    def untyped(self):
        return self._untyped_storage

    @_deprecated
    def __len__(self):
        return self._size()

    def __sizeof__(self):
        _warn_typed_storage_removal()
        return super().__sizeof__() + self._nbytes()

    def __str__(self):
        _warn_typed_storage_removal()
        untyped = self._untyped_storage
        info = (
            f"[torch.storage.TypedStorage(dtype={self.dtype}, device={untyped.device}) "
            f"of size {self._size()}]"
        )
        if untyped.device.type == "meta":
            return "...\n" + info
        return " " + "\n ".join(str(x) for x in self._tolist()) + "\n" + info

    __repr__ = __str__

    # -- elements --

    def _maybe_wrap_index(self, idx, is_stop=False):
        size = self._size()
        if idx is None:
            return size if is_stop else 0
        if not isinstance(idx, _int):
            raise TypeError(f"can't index a {type(self)} with {type(idx)}")
        wrapped = idx + size if idx < 0 else idx
        if is_stop:
            return min(max(wrapped, 0), size)
        if not 0 <= wrapped < size:
            raise IndexError(f"index {idx} out of range for storage of size {size}")
        return wrapped

    def _tolist(self):
        return _tensor_over(self._untyped_storage, self.dtype).tolist()

    def _getitem(self, idx):
        if self._untyped_storage.device.type == "meta":
            raise NotImplementedError("Not available for 'meta' device type")
        if isinstance(idx, slice):
            raise RuntimeError("slices are only supported in UntypedStorage.__getitem__")
        if not isinstance(idx, _int):
            raise RuntimeError(f"can't index a {type(self)} with {type(idx)}")
        idx = self._maybe_wrap_index(idx)
        return _tensor_over(self._untyped_storage, self.dtype)[idx].item()

    def _setitem(self, idx, value):
        if not isinstance(idx, (_int, slice)):
            raise RuntimeError(f"can't index a {type(self)} with {type(idx)}")
        if self._untyped_storage.device.type == "meta":
            raise NotImplementedError("Not available for 'meta' device type")
        _tensor_over(self._untyped_storage, self.dtype)[idx] = value

    @_deprecated
    def __getitem__(self, idx):
        return self._getitem(idx)

    @_deprecated
    def __setitem__(self, idx, value):
        self._setitem(idx, value)

    @_deprecated
    def __iter__(self):
        return (x for x in self._tolist())

    @_deprecated
    def tolist(self):
        """The elements as a list of Python numbers."""
        return self._tolist()

    @_deprecated
    def fill_(self, value):
        self._setitem(slice(0, self._size()), value)
        return self

    @_deprecated
    def copy_(self, source, non_blocking=None):
        """Copies the bytes of a storage of the same size; returns self."""
        if isinstance(source, TypedStorage):
            source = source._untyped_storage
        self._untyped_storage.copy_(source, bool(non_blocking))
        return self

    def _resize_(self, size):
        self._untyped_storage.resize_(size * self.dtype.itemsize)

    @_deprecated
    def resize_(self, size):
        """Changes the number of elements, in place."""
        self._resize_(size)

    # -- copies and conversions --

    def _deepcopy(self, memo):
        from copy import deepcopy

        return self._new_wrapped_storage(deepcopy(self._untyped_storage, memo))

    @_deprecated
    def __copy__(self):
        return self._new_wrapped_storage(self._untyped_storage.clone())

    @_deprecated
    def __deepcopy__(self, memo):
        return self._deepcopy(memo)

    def __reduce__(self):
        return _wrap, (self._untyped_storage, self.dtype)

    def _to(self, dtype):
        torch = _package()
        if not isinstance(dtype, torch.dtype):
            raise TypeError(f"Argument 'dtype' must be torch.dtype, not {type(dtype)}")
        return _converted(self._untyped_storage, self.dtype, dtype)

    @_deprecated
    def clone(self):
        return self._new_wrapped_storage(self._untyped_storage.clone())

    @_deprecated
    def cpu(self):
        return self._new_wrapped_storage(self._untyped_storage.cpu())

    @_deprecated
    def cuda(self, device=None, non_blocking=False):
        return self._new_wrapped_storage(self._untyped_storage.cuda(device, non_blocking))

    @_deprecated
    def hpu(self, device=None, non_blocking=False):
        return self._new_wrapped_storage(self._untyped_storage.hpu(device, non_blocking))

    @_deprecated
    def to(self, *, device, non_blocking=False):
        return self._new_wrapped_storage(
            self._untyped_storage.to(device=device, non_blocking=non_blocking)
        )

    @_deprecated
    def type(self, dtype=None, non_blocking=False):
        """The name of the legacy class, or a storage of another class with the same bytes."""
        if dtype is None:
            legacy = self._get_legacy_storage_class()
            return "torch.storage.TypedStorage" if legacy is None else f"torch.{legacy.__name__}"
        return self._untyped_storage.type(dtype, non_blocking)

    @_deprecated
    def pin_memory(self, device=None):
        return self._new_wrapped_storage(self._untyped_storage.pin_memory())

    # -- shared memory, files, buffers --

    def _share_memory_(self):
        self._untyped_storage.share_memory_()
        return self

    @_deprecated
    def share_memory_(self):
        """Moves the bytes to shared memory, unless they are there; returns self."""
        return self._share_memory_()

    def _new_shared(self, size, *, device=None):
        """A new storage of `size` elements of this dtype in shared memory."""
        return _wrap(UntypedStorage._new_shared(size * self.dtype.itemsize), self.dtype)

    @classmethod
    def from_file(cls, filename, shared, size):
        """A storage over a file: `size` elements, mapped. For FloatStorage and its like."""
        _warn_typed_storage_removal()
        if cls is TypedStorage:
            raise RuntimeError("from_file can only be called on derived classes")
        untyped = UntypedStorage.from_file(filename, shared, size * cls.dtype.itemsize)
        return _wrap(untyped, cls.dtype)

    @classmethod
    def from_buffer(cls, *args, **kwargs):
        """A storage with a copy of a buffer's bytes; see UntypedStorage.from_buffer."""
        _warn_typed_storage_removal()
        return cls._from_buffer(*args, **kwargs)

    @classmethod
    def _from_buffer(cls, *args, dtype=None, device=None, **kwargs):
        torch = _package()
        if cls is TypedStorage:
            dtype = torch.get_default_dtype() if dtype is None else dtype
            device = torch.device("cpu" if device is None else device)
            if device.type != "cpu":
                raise RuntimeError(
                    f"TypedStorage.from_buffer: Not available for device {device.type}"
                )
        else:
            if dtype is not None or len(args) == 5:
                raise RuntimeError(
                    "from_buffer: 'dtype' can only be specified in "
                    "UntypedStorage.from_buffer and TypedStorage.from_buffer"
                )
            if device is not None:
                raise RuntimeError(
                    "from_buffer: 'device' can only be specified in "
                    "UntypedStorage.from_buffer and TypedStorage.from_buffer"
                )
            dtype = cls.dtype
        return _wrap(UntypedStorage.from_buffer(*args, dtype=dtype, **kwargs), dtype)

    def _write_file(self, *args, **kwargs):
        return self._untyped_storage._write_file(*args, **kwargs)

    def _set_from_file(self, *args, **kwargs):
        return self._untyped_storage._set_from_file(*args, **kwargs)

    def _set_cdata(self, *args, **kwargs):
        return self._untyped_storage._set_cdata(*args, **kwargs)

    def _share_fd_cpu_(self, *args, **kwargs):
        fd, size = self._untyped_storage._share_fd_cpu_(*args, **kwargs)
        return fd, size // self.dtype.itemsize

    def _share_filename_cpu_(self, *args, **kwargs):
        manager, handle, size = self._untyped_storage._share_filename_cpu_(*args, **kwargs)
        return manager, handle, size // self.dtype.itemsize

    def _shared_incref(self, *args, **kwargs):
        return self._untyped_storage._shared_incref(*args, **kwargs)

    def _shared_decref(self):
        self._untyped_storage._shared_decref()
        return self

    def _weak_ref(self, *args, **kwargs):
        return self._untyped_storage._weak_ref(*args, **kwargs)

    @classmethod
    def _free_weak_ref(cls, *args, **kwargs):
        return UntypedStorage._free_weak_ref(*args, **kwargs)

    @classmethod
    def _expired(cls, *args, **kwargs):
        return UntypedStorage._expired(*args, **kwargs)


def _convert(self, dtype):
    _warn_typed_storage_removal(3)
    return self._to(dtype)


_add_conversions(_StorageBase, _convert)
_add_conversions(TypedStorage, _convert)


def _new_legacy(cls, args, wrap_storage, dtype, device):
    """What FloatStorage(...) returns: a TypedStorage of its dtype."""
    forms = f"{cls}".replace(__name__.split(".")[0], "torch") + _LEGACY_FORMS
    if dtype is not None:
        raise RuntimeError(forms + "Keyword argument 'dtype' cannot be specified")
    if device is not None:
        raise RuntimeError(forms + "Keyword argument 'device' cannot be specified")
    if wrap_storage is None:
        if len(args) > 1:
            raise RuntimeError(forms + "Too many positional arguments")
        if args and not isinstance(args[0], _int) and not _is_sequence(args[0]):
            raise TypeError(forms + f"Argument type not recognized: {type(args[0])}")
        return TypedStorage(*args, dtype=cls.dtype, device="cpu", _internal=True)
    if args:
        raise RuntimeError(
            forms + "No positional arguments should be given when using 'wrap_storage'"
        )
    if not isinstance(wrap_storage, UntypedStorage):
        raise TypeError(
            forms + f"Argument 'wrap_storage' must be UntypedStorage, but got {type(wrap_storage)}"
        )
    return _wrap(wrap_storage, cls.dtype)


class _LegacyStorageMeta(type):
    """isinstance(s, FloatStorage) asks for a typed CPU storage of that dtype."""

    dtype = None

    def __instancecheck__(cls, instance):
        return (
            type(instance) is TypedStorage
            and instance.dtype == cls.dtype
            and instance._untyped_storage.device.type == "cpu"
        )


class _LegacyStorage(TypedStorage, metaclass=_LegacyStorageMeta):
    @classmethod
    def _new_shared(cls, size):
        """A new storage of `size` elements in shared memory."""
        return _wrap(UntypedStorage._new_shared(size * cls.dtype.itemsize), cls.dtype)

    @classmethod
    def _release_ipc_counter(cls, *args, **kwargs):
        return UntypedStorage._release_ipc_counter(*args, **kwargs)

    @classmethod
    def _new_shared_filename(cls, manager, obj, size):
        nbytes = size * cls.dtype.itemsize
        return _wrap(UntypedStorage._new_shared_filename_cpu(manager, obj, nbytes), cls.dtype)


def __getattr__(name):
    """FloatStorage and its like, all made when one is first asked for. They belong to the package's
    namespace, where pickles look for them; `Storage` is FloatStorage."""
    if name != "Storage" and name not in _LEGACY_NAMES.values():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    torch = _package()
    for dtype, legacy_name in _LEGACY_NAMES.items():
        globals()[legacy_name] = _LegacyStorageMeta(
            legacy_name,
            (_LegacyStorage,),
            {
                "__module__": torch.__name__,
                "dtype": getattr(torch, dtype),
                "__doc__": f"Constructor of typed storages of {dtype} (deprecated).",
            },
        )
    globals()["Storage"] = globals()["FloatStorage"]
    return globals()[name]
