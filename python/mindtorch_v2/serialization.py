"""torch.save and torch.load, in PyTorch's file format, both ways.

A file is a zip archive (`_C.PyTorchFileWriter`, `_C.PyTorchFileReader`) that holds one pickle,
data.pkl, and the bytes of every storage as a member of its own, data/0, data/1 and so on; the
pickle refers to a storage by a persistent id ("storage", class, key, location, number of
elements). Globals of this package are written below `torch.`, so that PyTorch reads our files;
on load `torch.` and `mindtorch_v2.` both mean this package, and PyTorch is never imported. The
older stream and tar formats are in `_legacy_serialization`.

Unlike PyTorch, every payload that is read is checked against its CRC-32 (switch:
set_crc32_options); payloads of a mapped file (`mmap=True`) are not, since that would read them all.
A path is written beside its target and moved over it when complete: the target is at all times
the old file, the new one or absent, never a half. Its permissions are kept; a hard link to the old
file keeps the old content. A process that is killed may leave a hidden `.NAME.*.tmp` behind.
"""

import copyreg
import os
import pickle
import sys
from enum import Enum
from threading import local

from . import _C, _weights_only_unpickler
from ._utils import _rebuild_from_type_v2
from .storage import (
    TypedStorage,
    UntypedStorage,
    _dtype_to_storage_type_map,
    _get_dtype_from_pickle_storage_type,
    _wrap,
)

__all__ = [
    "SourceChangeWarning",
    "mkdtemp",
    "register_package",
    "check_module_version_greater_or_equal",
    "validate_cuda_device",
    "validate_hpu_device",
    "location_tag",
    "default_restore_location",
    "normalize_storage_type",
    "storage_to_tensor_type",
    "save",
    "load",
    "StorageType",
    "LoadEndianness",
    "get_crc32_options",
    "set_crc32_options",
    "get_default_load_endianness",
    "set_default_load_endianness",
    "get_default_mmap_options",
    "set_default_mmap_options",
    "clear_safe_globals",
    "get_safe_globals",
    "add_safe_globals",
    "safe_globals",
    "get_unsafe_globals_in_checkpoint",
    "skip_data",
]

DEFAULT_PROTOCOL = 2
MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
STORAGE_KEY_SEPARATOR = ","
MAP_SHARED, MAP_PRIVATE = 1, 2  # as in module mmap, which is not needed for them

UNSAFE_MESSAGE = (
    "In PyTorch 2.6, we changed the default value of the `weights_only` argument in `torch.load` "
    "from `False` to `True`. Re-running `torch.load` with `weights_only` set to `False` will "
    "likely succeed, but it can result in arbitrary code execution. Do it only if you got the "
    "file from a trusted source."
)

_PACKAGE = __name__.split(".")[0]
_FORMAT_VERSION = "1"
_STORAGE_ALIGNMENT = 64
_RESERVE_SIZE = 1 << 20  # smaller files need no place kept


def _torch():
    import mindtorch_v2

    return mindtorch_v2


class SourceChangeWarning(Warning):
    """The source of a class differs from the one it had when its object was saved."""


# ---- options ----


class LoadEndianness(Enum):
    """How to read a file that does not say its byte order."""

    NATIVE = 1
    LITTLE = 2
    BIG = 3


class _Options(local):
    """What `with` blocks set for the calls inside them, per thread."""

    skip_data = False


_options = _Options()
_default_load_endianness = None
_default_mmap_options = MAP_PRIVATE
_compute_crc32 = True


def get_default_load_endianness():
    """The LoadEndianness for files without a byte order record; None: little endian."""
    return _default_load_endianness


def set_default_load_endianness(endianness):
    """Sets what get_default_load_endianness returns: a LoadEndianness or None, else TypeError."""
    global _default_load_endianness
    if endianness is not None and not isinstance(endianness, LoadEndianness):
        raise TypeError("Invalid argument type in function set_default_load_endianness")
    _default_load_endianness = endianness


def get_crc32_options():
    """Whether checksums are computed: recorded by save and compared by load."""
    return _compute_crc32


def set_crc32_options(compute_crc32):
    """Sets whether save records a CRC-32 for every member and load compares them."""
    global _compute_crc32
    _compute_crc32 = compute_crc32


def get_default_mmap_options():
    """How `load(mmap=True)` maps a file: MAP_PRIVATE or MAP_SHARED of module mmap."""
    return _default_mmap_options


class set_default_mmap_options:
    """Sets how `load(mmap=True)` maps files: MAP_PRIVATE (changes stay in memory) or MAP_SHARED
    (they go to the file). At once and for good, or as a context manager for its block."""

    def __init__(self, flags):
        global _default_mmap_options
        if flags not in (MAP_PRIVATE, MAP_SHARED):
            raise ValueError(
                "Invalid argument in function set_default_mmap_options, expected mmap.MAP_PRIVATE "
                f"or mmap.MAP_SHARED, but got {flags}"
            )
        self.prev = _default_mmap_options
        _default_mmap_options = flags

    def __enter__(self):
        pass

    def __exit__(self, exc_type, exc_value, traceback):
        global _default_mmap_options
        _default_mmap_options = self.prev


class skip_data:
    """Inside this block save leaves room for the bytes of storages without writing them, and load
    makes storages without reading them (their content is then arbitrary)."""

    def __init__(self, materialize_fake_tensors=False):
        self.materialize_fake_tensors = materialize_fake_tensors

    def __enter__(self):
        self._before = _options.skip_data
        _options.skip_data = True

    def __exit__(self, exc_type, exc_value, traceback):
        _options.skip_data = self._before


def add_safe_globals(safe_globals):
    """Allows load(weights_only=True) to use classes and functions: a list of them, or of pairs
    (object, "its.full.name.in.files")."""
    _weights_only_unpickler._add_safe_globals(safe_globals)


def get_safe_globals():
    """What add_safe_globals has added, a list."""
    return _weights_only_unpickler._get_safe_globals()


def clear_safe_globals():
    """Forgets everything that add_safe_globals has added."""
    _weights_only_unpickler._clear_safe_globals()


class safe_globals(_weights_only_unpickler._safe_globals):
    """Context manager: add_safe_globals for the time of its block."""


def get_unsafe_globals_in_checkpoint(f):
    """The names of globals in a checkpoint that load(weights_only=True) would refuse.

    `f` is a path or a binary file object with a zip format checkpoint, else ValueError.
    """
    with _opened_for_reading(f) as file:
        if not _is_zipfile(file):
            raise ValueError("Expected input to be a checkpoint returned by torch.save")
        reader = _C.PyTorchFileReader(file)
        try:
            if _is_torchscript(reader):
                raise ValueError(
                    "Expected input to be a checkpoint returned by torch.save but got a "
                    "torchscript checkpoint"
                )
            data = reader.get_record("data.pkl")
        finally:
            reader._close()
    return _weights_only_unpickler.get_unsafe_globals(data)


# ---- where storages live ----

_package_registry = []


def register_package(priority, tagger, deserializer):
    """Adds a kind of place for storages.

    `tagger(storage)` gives its location tag or None; `deserializer(storage, location)` gives the
    storage moved to a place or None. Those of lower priority are asked first; 10 is the CPU.
    """
    _package_registry.append((priority, tagger, deserializer))
    _package_registry.sort(key=lambda entry: entry[0])


def _cpu_tag(storage):
    return "cpu" if storage.device.type == "cpu" else None


def _cpu_deserialize(storage, location):
    return storage if location == "cpu" else None


def _meta_tag(storage):
    return "meta" if storage.device.type == "meta" else None


def _meta_deserialize(storage, location):
    if location == "meta":
        return UntypedStorage(storage.nbytes(), device="meta")


_CPU_HINT = (
    "If you are running on a CPU-only machine, please use torch.load with "
    "map_location=torch.device('cpu') to map your storages to the CPU."
)


def _absent_device(name):
    """The pair of functions for a device that this package does not have."""

    def tag(storage):
        return name if storage.device.type == name else None

    def deserialize(storage, location):
        if not location.startswith(name):
            return None
        _torch().device(location)  # a malformed location is an error of its own
        if name == "mps":
            return UntypedStorage(storage.nbytes(), device="mps")
        if name == "hpu":
            raise RuntimeError(f"The HPU device module is not registered. {_CPU_HINT}")
        raise RuntimeError(
            f"Attempting to deserialize object on a {name.upper()} device but "
            f"torch.{name}.is_available() is False. {_CPU_HINT}"
        )

    return tag, deserialize


register_package(10, _cpu_tag, _cpu_deserialize)
_CPU_PACKAGE = _package_registry[0]
register_package(20, *_absent_device("cuda"))
register_package(21, *_absent_device("mps"))
register_package(22, _meta_tag, _meta_deserialize)
register_package(24, *_absent_device("hpu"))
register_package(25, *_absent_device("xpu"))
register_package(26, *_absent_device("mtia"))


def location_tag(storage):
    """The tag of the place where a storage lives, as files record it: "cpu", "meta" ..."""
    for _, tagger, _ in _package_registry:
        location = tagger(storage)
        if location:
            return location
    raise RuntimeError("don't know how to determine data location of " + _type_name(storage))


def default_restore_location(storage, location):
    """A storage moved to the place that a tag names; RuntimeError for an unknown tag."""
    for _, _, deserializer in _package_registry:
        result = deserializer(storage, location)
        if result is not None:
            return result
    raise RuntimeError(
        f"don't know how to restore data location of {_type_name(storage)} (tagged with {location})"
    )


def _type_name(obj):
    cls = type(obj)
    return _weights_only_unpickler._as_torch(f"{cls.__module__}.{cls.__qualname__}")


def _validate_device(location, name):
    device = _torch().device(name if location is None else location)
    if device.type != name:
        raise ValueError(f"Expected a {name} device, but got: {location}")
    _absent_device(name)[1](None, str(device))


def validate_cuda_device(location):
    """RuntimeError, for there is no CUDA device here; ValueError for another kind of device."""
    _validate_device(location, "cuda")


def validate_hpu_device(location):
    """RuntimeError, for there is no HPU device here; ValueError for another kind of device."""
    _validate_device(location, "hpu")


def _get_restore_location(map_location):
    """map_location in any of its forms as a function (storage, location) -> storage."""
    if map_location is None:
        return default_restore_location
    if isinstance(map_location, dict):
        return lambda storage, location: default_restore_location(
            storage, map_location.get(location, location)
        )
    if isinstance(map_location, _torch().device):
        map_location = str(map_location)
    if isinstance(map_location, (str, bytes)):
        return lambda storage, location: default_restore_location(storage, map_location)

    def restore(storage, location):
        result = map_location(storage, location)
        if result is None:
            return default_restore_location(storage, location)
        if not isinstance(result, UntypedStorage):
            TypedStorage(wrap_storage=result, dtype=_torch().uint8, _internal=True)  # raises
        return result

    return restore


def _is_meta(map_location):
    if isinstance(map_location, str):
        return map_location == "meta"
    return isinstance(map_location, _torch().device) and map_location.type == "meta"


# ---- names in files ----


class StorageType:
    """Stands for a storage class named in a file, "FloatStorage" and so on: knows its dtype."""

    def __init__(self, name):
        self._dtype = _get_dtype_from_pickle_storage_type(name)

    @property
    def dtype(self):
        return self._dtype

    def __str__(self):
        return f"StorageType(dtype={self.dtype})"

    __repr__ = __str__


def normalize_storage_type(storage_type):
    """The class of the same name in the package's namespace."""
    return getattr(_torch(), storage_type.__name__)


def storage_to_tensor_type(storage):
    """The tensor type beside a storage's class; AttributeError where there is none."""
    from ._utils import _import_dotted_name

    cls = type(storage)
    return getattr(_import_dotted_name(cls.__module__), cls.__name__.replace("Storage", "Tensor"))


def _get_layout(name):
    """A layout by its name, "torch.strided"."""
    torch = _torch()
    for value in vars(torch).values():
        if isinstance(value, torch.layout) and str(value) == name:
            return value
    raise KeyError(name)


if hasattr(_torch(), "layout"):
    copyreg.pickle(_torch().layout, lambda layout: (_get_layout, (str(layout),)))


def _maybe_decode_ascii(text):
    """Python 2 wrote its names as bytes."""
    return text.decode("ascii") if isinstance(text, bytes) else text


def _shown_name(obj):
    """The persistent id "module\\nname\\n" of an object of ours whose name in files is not the one
    a pickler would find it by; `_C._pickle_rename` turns it into that global. Such are classes and
    dtypes that go by PyTorch's names (`torch.Tensor.__module__` is "torch"), and one function. None
    for other objects."""
    if isinstance(obj, type):
        module, name = obj.__module__, obj.__qualname__
    elif obj is _rebuild_from_type_v2:
        return "torch._tensor\n_rebuild_from_type_v2\n"
    else:  # a dtype and the like, whose text is its name
        module, _, name = str(obj).rpartition(".")
    if not isinstance(module, str) or not (module == "torch" or module.startswith("torch.")):
        return None
    found = sys.modules.get(_module_in_package(module))
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}\n{name}\n" if found is obj else None


def _module_in_package(module):
    """The module that a file means: `torch.x` is ours."""
    if module == "torch.tensor":  # its name in old files
        module = "torch._tensor"
    if module == "torch" or module.startswith("torch."):
        return _PACKAGE + module[5:]
    return module


def _find_class(base, module, name):
    """find_class for unrestricted loads; `base` is the pickle module's own."""
    if isinstance(name, str) and "Storage" in name:
        try:
            return StorageType(name)
        except KeyError:
            pass
    if name == "_rebuild_from_type_v2" and module in ("torch._tensor", f"{_PACKAGE}._tensor"):
        module = "torch._utils"
    return base(_module_in_package(module), name)


# ---- files ----


def _is_path(f):
    return isinstance(f, (str, os.PathLike))


def _check_seekable(f):
    from io import UnsupportedOperation

    try:
        f.seek(f.tell())
        return True
    except (UnsupportedOperation, AttributeError) as e:
        raise type(e)(
            f"{e}. You can only torch.load from a file that is seekable. Please pre-load the data "
            "into a buffer like io.BytesIO and try to load from it instead."
        ) from None


class _opened_for_reading:
    """A path as an open file that is closed at the end, or the caller's file, which is not."""

    def __init__(self, f):
        self._owned = _is_path(f)
        if self._owned:
            self._file = open(f, "rb")  # noqa: SIM115
        else:
            _check_seekable(f)
            self._file = f

    def __enter__(self):
        return self._file

    def __exit__(self, exc_type, exc_value, traceback):
        if self._owned:
            self._file.close()


def _is_zipfile(file):
    """Whether a local file header starts at the position, which stays where it is."""
    start = file.tell()
    head = b""
    while len(head) < 4:
        more = file.read(4 - len(head))
        if not more:
            break
        head += more
    file.seek(start)
    return head == b"PK\x03\x04"


def _is_torchscript(reader):
    return reader.has_record("constants.pkl")


class _written_beside:
    """A descriptor for a new file that becomes `path` at the end of the block, if that ends well.

    A path that is not a regular file (a device, a pipe), or in a folder where no file can be made,
    is written directly.
    """

    def __init__(self, path):
        self._path = path

    def __enter__(self):
        path = os.path.realpath(self._path)
        folder, name = os.path.split(path)
        self._temporary = None
        try:
            status = os.stat(path)
        except OSError:
            status = None
        if not os.path.isdir(folder):
            parent = os.path.dirname(os.fspath(self._path))
            raise RuntimeError(f"Parent directory {parent} does not exist.")
        try:
            if status is not None and (os.path.isdir(path) or not os.access(path, os.W_OK)):
                self._fd = os.open(path, os.O_WRONLY)  # fails, with the reason
            elif status is None or os.path.isfile(path):
                self._fd = self._open_beside(folder, name, status)
            else:
                self._fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as e:
            raise RuntimeError(f"open file failed with strerror: {e.strerror}") from None
        self._target = path
        return self._fd

    def _open_beside(self, folder, name, status):
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
        temporary = os.path.join(folder, f".{name[:100]}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
        try:
            fd = os.open(temporary, flags | os.O_EXCL, 0o666)
        except OSError:
            return os.open(os.path.join(folder, name), flags | os.O_TRUNC, 0o666)
        self._temporary = temporary
        if status is not None:
            try:
                os.fchmod(fd, status.st_mode & 0o7777)
                if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(fd, status.st_uid, status.st_gid)
            except OSError:
                pass  # not ours to give away: the new file is the writer's
        return fd

    def __exit__(self, exc_type, exc_value, traceback):
        try:
            os.close(self._fd)
            if self._temporary is not None and exc_type is None:
                os.replace(self._temporary, self._target)
                self._temporary = None
        finally:
            if self._temporary is not None:
                os.unlink(self._temporary)


def _archive_name(path):
    """ "dir/model.best.pt" -> "model.best", the folder inside the archive."""
    path = os.fspath(path)
    name = os.path.basename(path)
    name = name[: name.rindex(".")] if "." in name else name
    if not name:
        raise RuntimeError(f"invalid file name: {path}")
    return name if name.isascii() else "archive"


# ---- save ----


class _Ref(tuple):
    """(untyped storage, dtype): what stands for a storage on the way to the pickler, where a
    TypedStorage would be made only to be taken apart."""

    __slots__ = ()


class _NoHooks:
    """Comes out as an empty OrderedDict."""

    __slots__ = ()


class _StorageKeys:
    """Gives storages their persistent ids and remembers them for writing."""

    def __init__(self):
        torch = _torch()
        self.storages = {}  # key -> untyped storage
        self._keys = {}  # _cdata -> (key, location)
        self._dtypes = {}  # data_ptr -> dtype
        self._classes = {
            dtype: getattr(torch, name) for dtype, name in _dtype_to_storage_type_map().items()
        }
        self._uint8 = torch.uint8
        self._named_types = (
            type,
            torch.dtype,
            torch.memory_format,
            type(_rebuild_from_type_v2),
        )

    def id_of(self, untyped, dtype):
        """("storage", class, key, location, numel). dtype None: an untyped storage."""
        cls = self._classes.get(dtype, UntypedStorage)
        if cls is UntypedStorage:
            dtype = self._uint8
        nbytes = untyped.nbytes()
        address = untyped.data_ptr()
        if address and self._dtypes.setdefault(address, dtype) != dtype:
            raise RuntimeError(
                "Cannot save multiple tensors or storages that view the same data as different "
                "types"
            )
        cdata = untyped._cdata
        known = self._keys.get(cdata)
        if known is None:
            key = str(len(self._keys))
            self._keys[cdata] = known = key, location_tag(untyped)
            self.storages[key] = untyped
        return "storage", cls, *known, nbytes // dtype.itemsize

    def persistent_id(self, obj):
        """The id of a storage, or of what cannot be named otherwise; None for anything else."""
        if isinstance(obj, UntypedStorage):
            return self.id_of(obj, None)
        if isinstance(obj, TypedStorage):
            return self.id_of(obj._untyped_storage, obj.dtype)
        if isinstance(obj, self._named_types):
            return _shown_name(obj)
        return None


def _make_plain_pickler(keys, binary, persistent_id=None):
    """A subclass of the standard pickler that takes tensors apart without detours. `persistent_id`
    makes the ids out of what `keys` gives; `binary`: the protocol has ids that are objects."""
    from collections import OrderedDict

    from . import _utils
    from .nn.parameter import Parameter

    torch = _torch()
    Tensor, function = torch.Tensor, type(_rebuild_from_type_v2)
    legacy_dtypes = _dtype_to_storage_type_map()
    rebuild_v2, rebuild_parameter = _utils._rebuild_tensor_v2, _utils._rebuild_parameter
    id_of = keys.id_of if persistent_id is None else lambda *ref: persistent_id(_Ref(ref))
    other_id = keys.persistent_id if persistent_id is None else persistent_id

    # Types whose objects have no id. Every object is asked about, so the answer must be quick.
    plain = set()

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            cls = type(obj)
            if cls in plain:
                return None
            if cls is _Ref:
                return id_of(*obj)
            if cls is function and obj is not _rebuild_from_type_v2:
                return None
            id_ = other_id(obj)
            if id_ is None and not isinstance(obj, type):
                plain.add(cls)
            return id_ if binary or not isinstance(id_, str) else None

        def reducer_override(self, obj):
            cls = type(obj)
            if cls is Tensor:
                dtype = obj.dtype
                if (
                    dtype not in legacy_dtypes
                    or obj.device.type != "cpu"
                    or obj.__dict__
                    or obj.is_conj()
                    or obj.is_neg()
                    or obj._backward_hooks
                ):
                    return NotImplemented
                return rebuild_v2, (
                    _Ref((obj.untyped_storage(), dtype)),
                    obj.storage_offset(),
                    tuple(obj.size()),
                    obj.stride(),
                    obj.requires_grad,
                    _NoHooks(),
                )
            if cls is Parameter and not obj.__dict__ and not obj._backward_hooks:
                return rebuild_parameter, (obj.data, obj.requires_grad, _NoHooks())
            if cls is _NoHooks:
                return OrderedDict, ()
            return NotImplemented

    return Pickler


def _pickled(obj, keys, pickle_module, pickle_protocol, persistent_id=None):
    """obj as a pickle in which this package's globals are PyTorch's."""
    from io import BytesIO

    buffer = BytesIO()
    binary = pickle_protocol is None or pickle_protocol != 0
    if pickle_module is pickle:
        Pickler = _make_plain_pickler(keys, binary, persistent_id)
    else:
        find_id = keys.persistent_id if persistent_id is None else persistent_id

        class Pickler(pickle_module.Pickler):
            def persistent_id(self, obj):
                id_ = find_id(obj)
                return id_ if binary or not isinstance(id_, str) else None

    pickler = Pickler(buffer, protocol=pickle_protocol)
    pickler.dump(obj)
    return _C._pickle_rename(buffer.getbuffer(), _PACKAGE, "torch")


def _write_archive(obj, target, name, pickle_module, pickle_protocol, disable_byteorder_record):
    """Writes obj to a descriptor or to an object with write()."""
    keys = _StorageKeys()
    data = _pickled(obj, keys, pickle_module, pickle_protocol)
    writer = _C.PyTorchFileWriter(
        target, bool(get_crc32_options()), _STORAGE_ALIGNMENT, _archive_name=name
    )
    alignment = str(_STORAGE_ALIGNMENT)
    expected = len(data) + sum(256 + s.nbytes() for s in keys.storages.values())
    if expected >= _RESERVE_SIZE:
        writer._reserve(expected + 4096)
    writer.write_record("data.pkl", data, len(data))
    writer.write_record(".format_version", _FORMAT_VERSION, len(_FORMAT_VERSION))
    writer.write_record(".storage_alignment", alignment, len(alignment))
    if not disable_byteorder_record:
        writer.write_record("byteorder", sys.byteorder, len(sys.byteorder))
    skip = _options.skip_data
    for key, storage in keys.storages.items():
        nbytes = storage.nbytes()
        if skip:
            writer.write_record_metadata(f"data/{key}", nbytes)
            continue
        if storage.device.type != "cpu":
            if storage.device.type == "meta":
                raise NotImplementedError("Cannot copy out of meta tensor; no data!")
            storage = storage.cpu()
        writer.write_record(f"data/{key}", storage, nbytes)
    writer.write_end_of_file()


def _check_dill_version(pickle_module):
    if (
        pickle_module is not None
        and pickle_module.__name__ == "dill"
        and not check_module_version_greater_or_equal(pickle_module, (0, 3, 1), False)
    ):
        raise ValueError(
            "'torch' supports dill >= 0.3.1, but you have dill "
            f"{pickle_module.__version__}. Please upgrade dill or switch to 'pickle'"
        )


def save(
    obj,
    f,
    pickle_module=pickle,
    pickle_protocol=DEFAULT_PROTOCOL,
    _use_new_zipfile_serialization=True,
    _disable_byteorder_record=False,
):
    """Writes an object to a file, in PyTorch's format.

    Tensors that share a storage share it in the file, and each storage is written whole, however
    small the part that a tensor shows.

    Args:
        obj: any object that pickle can take apart, with tensors of any dtype in it.
        f: a path (str or os.PathLike; see the module's text for how it is replaced), or an object
            with write().
        pickle_module: provides Pickler.
        pickle_protocol: files of protocol 2 alone can be loaded with weights_only=True.

    Raises RuntimeError where the path cannot be written or where tensors of different dtypes share
    memory, AttributeError where f is neither path nor file, and what pickling raises.
    """
    _check_dill_version(pickle_module)
    if not _is_path(f) and not hasattr(f, "write"):
        raise AttributeError(
            "expected 'f' to be string, path, or a file-like object with a 'write' attribute"
        )
    if _use_new_zipfile_serialization:
        name = _archive_name(f) if _is_path(f) else "archive"

        def write(target):
            _write_archive(
                obj, target, name, pickle_module, pickle_protocol, _disable_byteorder_record
            )
    else:
        from ._legacy_serialization import write_stream

        def write(target):
            if isinstance(target, int):
                with open(target, "wb", closefd=False) as file:
                    write_stream(obj, file, pickle_module, pickle_protocol)
            else:
                write_stream(obj, target, pickle_module, pickle_protocol)

    if _is_path(f):
        with _written_beside(f) as fd:
            write(fd)
    else:
        write(f)
        if hasattr(f, "flush"):
            f.flush()


# ---- load ----


def load(
    f, map_location=None, pickle_module=None, *, weights_only=None, mmap=None, **pickle_load_args
):
    """Reads an object that torch.save wrote, with this package or with PyTorch.

    Args:
        f: a path, or a binary file object with read(), seek() and tell(), at whose position the
            checkpoint starts.
        map_location: where storages go: None (where they were), a device or its name, a dict
            {location in the file: location}, or a function (storage on the CPU, location) ->
            storage or None.
        pickle_module: provides Unpickler; only without weights_only.
        weights_only: True (the default, unless pickle_module is given): only tensors, plain
            containers and what add_safe_globals allows. False runs whatever the file asks for.
            The environment variables TORCH_FORCE_WEIGHTS_ONLY_LOAD and
            TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD (the latter where it is not given) overrule.
        mmap: map the file instead of reading it; f must be a path. Storages are read when used.
        pickle_load_args: passed to Unpickler, `encoding` for one.

    Raises RuntimeError for a broken archive (a changed byte included), UnpicklingError for what
    weights_only forbids, EOFError for an empty file, and what reading f and unpickling raise.
    """
    weights_only = _decide_weights_only(weights_only, pickle_module)
    if weights_only:
        if pickle_module is not None:
            raise RuntimeError(
                "Can not safely load weights when explicit pickle_module is specified"
            )
        if pickle_load_args:
            import warnings

            warnings.warn("pickle_load_args only works if `weights_only=False`.", stacklevel=2)
    elif pickle_module is None:
        pickle_module = pickle
    _check_dill_version(pickle_module)
    pickle_load_args.setdefault("encoding", "utf-8")
    with _opened_for_reading(f) as file:
        if not _is_zipfile(file):
            if mmap:
                shown = f"{f}, " if isinstance(f, str) else ""
                raise RuntimeError(
                    f"mmap can only be used with files saved with `torch.save({shown}"
                    "_use_new_zipfile_serialization=True), please torch.save your checkpoint with "
                    "this option in order to use mmap."
                )
            from ._legacy_serialization import read_stream

            try:
                return read_stream(file, map_location, pickle_module, pickle_load_args)
            except pickle.UnpicklingError as e:
                if not weights_only:
                    raise
                raise pickle.UnpicklingError(_weights_only_text(str(e))) from None
        reader = _C.PyTorchFileReader(file)
        try:
            mapped = _mapped_file(f) if mmap else None
            return _read_archive(reader, map_location, pickle_module, mapped, pickle_load_args)
        except pickle.UnpicklingError as e:
            if not weights_only:
                raise
            raise pickle.UnpicklingError(_weights_only_text(str(e))) from None
        finally:
            reader._close()


def _mapped_file(f):
    if not _is_path(f):
        raise ValueError("f must be a file path in order to use the mmap argument")
    shared = get_default_mmap_options() == MAP_SHARED
    return UntypedStorage.from_file(os.fspath(f), shared, os.path.getsize(f))


def _decide_weights_only(weights_only, pickle_module):
    def is_set(name):
        return os.environ.get(name, "0").lower() in ("1", "y", "yes", "true")

    force, force_no = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
    if is_set(force) and is_set(force_no):
        raise RuntimeError(
            f"Only one of `{force}` or `{force_no}` should be set, but both were set."
        )
    if is_set(force):
        return True
    if weights_only is not None:
        return bool(weights_only)
    if is_set(force_no):
        import warnings

        warnings.warn(
            f"Environment variable {force_no} detected, since the`weights_only` argument was not "
            "explicitly passed to `torch.load`, forcing weights_only=False.",
            UserWarning,
            stacklevel=3,
        )
        return False
    return pickle_module is None


def _weights_only_text(reason):
    """The error text around the unpickler's reason."""
    docs = (
        "\n\nCheck the documentation of torch.load to learn more about types accepted by default "
        "with weights_only https://pytorch.org/docs/stable/generated/torch.load.html."
    )
    if "Unsupported global: GLOBAL" in reason:
        return (
            "Weights only load failed. This file can still be loaded, to do so you have two "
            "options, \033[1mdo those steps only if you trust the source of the checkpoint\033[0m."
            f" \n\t(1) {UNSAFE_MESSAGE}\n\t(2) Alternatively, to load with `weights_only=True` "
            "please check the recommended steps in the following error message.\n\t"
            f"WeightsUnpickler error: {reason}{docs}"
        )
    if reason.startswith("Trying to load unsupported GLOBAL"):
        return f"Weights only load failed. {UNSAFE_MESSAGE}\n\n\n{reason}{docs}"
    return (
        f"Weights only load failed. {UNSAFE_MESSAGE}\nPlease file an issue with the following so "
        "that we can make `weights_only=True` compatible with your use case: WeightsUnpickler "
        f"error: \n\n{reason}{docs}"
    )


def _must_swap_bytes(reader):
    """Whether the archive's byte order is not this machine's."""
    if reader.has_record("byteorder"):
        order = reader.get_record("byteorder")
        if order not in (b"little", b"big"):
            raise ValueError("Unknown endianness type: " + order.decode())
        return order.decode() != sys.byteorder
    default = get_default_load_endianness()
    if default is LoadEndianness.BIG:
        return sys.byteorder != "big"
    return default is not LoadEndianness.NATIVE and sys.byteorder != "little"


def _make_storage_reader(reader, map_location, mapped):
    """A function (dtype, nbytes, key, location) -> untyped storage."""
    restore = _get_restore_location(map_location)
    swap = _must_swap_bytes(reader)
    to_meta = _is_meta(map_location)
    skip = _options.skip_data
    # A storage of the CPU that stays there needs no questions, unless somebody is asked first.
    cpu_stays = restore is default_restore_location and _package_registry[0] is _CPU_PACKAGE

    def read(dtype, nbytes, key, location):
        if to_meta:
            return UntypedStorage(nbytes, device="meta")
        name = f"data/{key}"
        if mapped is not None:
            start = reader.get_record_offset(name)
            if reader.get_record_size(name) != nbytes:
                raise RuntimeError(
                    f"record size ({reader.get_record_size(name)} bytes) does not match expected "
                    f"size ({nbytes} bytes = {nbytes} elements * 1 bytes/element) for dtype Byte"
                )
            storage = mapped[start : start + nbytes]
        else:
            storage = UntypedStorage(nbytes)
            if not skip:
                reader._read_storage(name, storage)
        if swap:
            storage.byteswap(dtype)
        if cpu_stays and location == "cpu":
            return storage
        return restore(storage, _maybe_decode_ascii(location))

    return read


def _read_archive(reader, map_location, pickle_module, mapped, pickle_load_args):
    """The object in data.pkl; pickle_module None: under the restrictions of weights_only."""
    if _is_torchscript(reader):
        if pickle_module is None:
            raise RuntimeError(
                "Cannot use ``weights_only=True`` with TorchScript archives passed to "
                "``torch.load``. " + UNSAFE_MESSAGE
            )
        raise RuntimeError("TorchScript archives cannot be loaded by this package")
    reader._check_crc32 = bool(get_crc32_options())
    read = _make_storage_reader(reader, map_location, mapped)
    uint8 = _torch().uint8
    loaded, sizes = {}, {}

    def persistent_load(saved_id):
        if not isinstance(saved_id, tuple):
            raise AssertionError(f"saved_id must be a tuple, got {type(saved_id).__name__}")
        kind = _maybe_decode_ascii(saved_id[0])
        if kind != "storage":
            raise AssertionError(
                f"Unknown typename for persistent_load, expected 'storage' but got '{kind}'"
            )
        cls, key, location, numel = saved_id[1:]
        typed = loaded.get(key)
        if typed is None:
            dtype = uint8 if cls is UntypedStorage else cls.dtype
            untyped = read(dtype, numel * dtype.itemsize, key, location)
            sizes[key] = untyped.nbytes()
            loaded[key] = typed = _wrap(untyped, dtype)
        return typed

    data = reader.get_record("data.pkl")
    if pickle_module is None:
        encoding = pickle_load_args["encoding"]
        result, _ = _weights_only_unpickler.load(data, 0, persistent_load, encoding)
    else:
        from io import BytesIO

        Unpickler = _make_unpickler(pickle_module, persistent_load)
        result = Unpickler(BytesIO(data), **pickle_load_args).load()
    # A tensor that reaches beyond its storage makes it grow: in a file, that is a wrong size.
    if any(loaded[key]._untyped_storage.nbytes() != size for key, size in sizes.items()):
        raise RuntimeError("Trying to resize storage that is not resizable")
    return result


def _make_unpickler(pickle_module, persistent_load_):
    """A subclass of an unrestricted unpickler that finds our globals under PyTorch's names."""

    class Unpickler(pickle_module.Unpickler):
        def find_class(self, module, name):
            return _find_class(super().find_class, module, name)

        def persistent_load(self, saved_id):
            return persistent_load_(saved_id)

    return Unpickler


# ---- small helpers that are public ----


class mkdtemp:
    """Context manager: a temporary folder, gone at the end."""

    def __enter__(self):
        from tempfile import mkdtemp as make

        self._path = make()
        return self._path

    def __exit__(self, exc_type, exc_value, traceback):
        from shutil import rmtree

        rmtree(self._path)


def check_module_version_greater_or_equal(module, req_version_tuple, error_if_malformed=True):
    """Whether a module's __version__ is at least a tuple of ints. A version that cannot be compared
    is a RuntimeError, or a warning and True without `error_if_malformed`."""
    try:
        version = tuple(
            kind(part)
            for kind, part in zip(
                map(type, req_version_tuple), module.__version__.split("."), strict=False
            )
        )
        return version >= req_version_tuple
    except Exception as e:
        text = (
            f"'{module.__name__}' module version string is malformed '{module.__version__}' and "
            f"cannot be compared with tuple {req_version_tuple!s}"
        )
        if error_if_malformed:
            raise RuntimeError(text) from e
        import warnings

        warnings.warn(text + ", but continuing assuming that requirement is met")
        return True
