"""The file formats before zip: a stream of pickles with storages after it (written by torch.save
with `_use_new_zipfile_serialization=False` and by PyTorch before 1.6), and the tar archives of the
first releases, which are only read.

The stream: pickles of a magic number, a version and the writer's type sizes; the object, whose
storages are ids ("storage", class, key, location, numel, view); the list of keys; then for each
key the number of elements (int64) and the bytes. Everything is little endian.
"""

import sys

from . import _C, _weights_only_unpickler
from .serialization import (
    _PACKAGE,
    MAGIC_NUMBER,
    PROTOCOL_VERSION,
    UNSAFE_MESSAGE,
    SourceChangeWarning,
    TypedStorage,
    UntypedStorage,
    _get_restore_location,
    _make_unpickler,
    _maybe_decode_ascii,
    _pickled,
    _Ref,
    _StorageKeys,
    _torch,
    _wrap,
)

_TYPE_SIZES = {"short": 2, "int": 4, "long": 4}

# ---- writing ----


def _source_of(cls):
    """(file, text) of a class's source, or (None, None) with a warning."""
    import inspect
    import warnings

    try:
        lines, _, file = (*inspect.getsourcelines(cls), inspect.getsourcefile(cls))
        return file, "".join(lines)
    except Exception:
        warnings.warn(
            f"Couldn't retrieve source code for container of type {cls.__name__}. It won't be "
            "checked for correctness upon loading."
        )
        return None, None


def _is_user_module(obj):
    """Whether obj is a class of nn modules that somebody else wrote; their source is saved."""
    if not isinstance(obj, type) or obj.__module__.split(".")[0] == _PACKAGE:
        return False
    nn = sys.modules.get(f"{_PACKAGE}.nn")
    return nn is not None and issubclass(obj, nn.Module)


def write_stream(obj, f, pickle_module, pickle_protocol):
    """Writes obj to an object with write()."""
    keys = _StorageKeys()
    element_sizes = {}
    classes = set()

    def persistent_id(obj):
        if isinstance(obj, (UntypedStorage, TypedStorage, _Ref)):
            id_ = keys.id_of(*obj) if isinstance(obj, _Ref) else keys.persistent_id(obj)
            cls, key = id_[1:3]
            element_sizes[key] = 1 if cls is UntypedStorage else cls.dtype.itemsize
            return (*id_, None)
        if _is_user_module(obj):
            if obj in classes:
                return None
            classes.add(obj)
            return ("module", obj, *_source_of(obj))
        return keys.persistent_id(obj)

    data = _pickled(obj, keys, pickle_module, pickle_protocol, persistent_id)
    system = {
        "protocol_version": PROTOCOL_VERSION,
        "little_endian": sys.byteorder == "little",
        "type_sizes": _TYPE_SIZES,
    }
    for part in (MAGIC_NUMBER, PROTOCOL_VERSION, system):
        f.write(pickle_module.dumps(part, protocol=pickle_protocol))
    f.write(data)
    order = sorted(keys.storages)
    f.write(pickle_module.dumps(order, protocol=pickle_protocol))
    for key in order:
        storage = keys.storages[key]
        if storage.device.type == "meta":
            raise NotImplementedError("Cannot copy out of meta tensor; no data!")
        storage._write_file(f, False, True, element_sizes[key])


# ---- reading ----


class _PickleReader:
    """Reads one pickle after the other from a file; `module` None: under the restrictions of
    weights_only. The file's position ends exactly behind a pickle."""

    def __init__(self, file, module, load_args):
        self.file = file
        self.module = module
        self.load_args = load_args

    def next(self, persistent_load=None):
        if self.module is not None:
            if persistent_load is None:
                return self.module.load(self.file, **self.load_args)
            unpickler = _make_unpickler(self.module, persistent_load)
            return unpickler(self.file, **self.load_args).load()
        start = self.file.tell()
        size, data = 1 << 16, b""
        while True:
            more = self.file.read(size - len(data))
            data += more
            try:
                complete = not more or _C._pickle_length(data) > 0
            except RuntimeError:
                complete = True  # no pickle; the unpickler says what is wrong
            if complete:
                break
            if len(data) == size:
                size *= 4
        obj, end = _weights_only_unpickler.load(
            data, 0, persistent_load, self.load_args["encoding"]
        )
        self.file.seek(start + end)
        return obj


def _is_tar(file):
    start = file.tell()
    head = file.read(265)
    file.seek(start)
    return head[257:262] == b"ustar"


def read_stream(file, map_location, pickle_module, load_args):
    """The object at the file's position, whichever of the two formats it is in."""
    if _is_tar(file):
        if pickle_module is None:
            raise RuntimeError(
                "Cannot use ``weights_only=True`` with files saved in the legacy .tar format. "
                + UNSAFE_MESSAGE
            )
        return _read_tar(file, map_location, pickle_module, load_args)
    pickles = _PickleReader(file, pickle_module, load_args)
    if pickles.next() != MAGIC_NUMBER:
        raise RuntimeError("Invalid magic number; corrupt file?")
    version = pickles.next()
    if version != PROTOCOL_VERSION:
        raise RuntimeError(f"Invalid protocol version: {version}")
    pickles.next()  # the writer's type sizes, which change nothing
    storages = _StreamStorages(_get_restore_location(map_location))
    result = pickles.next(storages.persistent_load)
    for key in pickles.next():
        storages.fill(file, key)
    return result


class _StreamStorages:
    """The storages of a stream: made when the object first mentions them, filled at the end."""

    def __init__(self, restore):
        self.restore = restore
        self.loaded = {}  # key or view key -> typed storage

    def persistent_load(self, saved_id):
        if not isinstance(saved_id, tuple):
            raise AssertionError(f"saved_id must be a tuple, got {type(saved_id).__name__}")
        kind = _maybe_decode_ascii(saved_id[0])
        if kind == "module":
            _warn_of_changed_source(*saved_id[1:])
            return saved_id[1]
        if kind != "storage":
            raise RuntimeError(f"Unknown saved id type: {saved_id[0]}")
        cls, key, location, numel, view = saved_id[1:]
        dtype = _torch().uint8 if cls is UntypedStorage else cls.dtype
        typed = self.loaded.get(key)
        if typed is None:
            untyped = UntypedStorage(numel * dtype.itemsize)
            untyped = self.restore(untyped, _maybe_decode_ascii(location))
            self.loaded[key] = typed = _wrap(untyped, dtype)
        if view is None:
            return typed
        view_key, offset, count = view
        if view_key not in self.loaded:
            size = dtype.itemsize
            part = typed._untyped_storage[offset * size : (offset + count) * size]
            self.loaded[view_key] = _wrap(part, dtype)
        return self.loaded[view_key]

    def fill(self, file, key):
        """Reads the next storage of the file into the one made for `key`."""
        if key not in self.loaded:
            raise AssertionError(f"storage {key!r} is not part of the object")
        typed = self.loaded[key]
        untyped = typed._untyped_storage
        if untyped.device.type == "meta":
            file.seek(8 + untyped.nbytes(), 1)
        else:
            untyped._set_from_file(file, None, False, typed.dtype.itemsize)


def _warn_of_changed_source(cls, file, source):
    """SourceChangeWarning when the class of a whole saved module reads differently now."""
    if source is None or cls.__module__.split(".")[0] == _PACKAGE:
        return
    import inspect
    import warnings

    try:
        current = inspect.getsource(cls)
    except Exception:
        warnings.warn(
            f"Couldn't retrieve source code for container of type {cls.__name__}. It won't be "
            "checked for correctness upon loading."
        )
        return
    if current != source:
        name = f"{cls.__module__}.{cls.__qualname__}"
        warnings.warn(
            f"source code of class '{name}' has changed. you can retrieve the original source "
            "code by accessing the object's source attribute or set "
            "`torch.nn.Module.dump_patches = True` and use the patch tool to revert the changes.",
            SourceChangeWarning,
        )


# ---- tar ----


def _read_numbers(file, code, count):
    import struct

    layout = "<" + code * count
    data = file.read(struct.calcsize(layout))
    if len(data) != struct.calcsize(layout):
        raise RuntimeError("unexpected EOF. The file might be corrupted.")
    return struct.unpack(layout, data)


def _read_tar(file, map_location, pickle_module, load_args):
    """Members `storages`, `tensors` and `pickle`, in this order; tensors are ids in the pickle."""
    import tarfile
    from io import BytesIO

    restore = _get_restore_location(map_location)
    loaded = {}

    def refer(saved_id):
        if isinstance(saved_id, tuple):
            return saved_id[1]  # a module with its source
        return loaded[int(saved_id)]

    Unpickler = _make_unpickler(pickle_module, refer)
    with tarfile.open(fileobj=file, mode="r:", format=tarfile.PAX_FORMAT) as tar:
        members = {}
        for name in ("storages", "tensors", "pickle"):
            member = tar.extractfile(name)
            if member is None:
                raise RuntimeError(f"the tar archive's {name!r} is no file")
            members[name] = BytesIO(member.read())

    stream = members["storages"]
    for _ in range(Unpickler(stream, **load_args).load()):
        key, location, cls = Unpickler(stream, **load_args).load()
        (count,) = _read_numbers(stream, "q", 1)
        stream.seek(-8, 1)
        untyped = UntypedStorage(count * cls.dtype.itemsize)
        untyped._set_from_file(stream, None, False, cls.dtype.itemsize)
        loaded[key] = _wrap(restore(untyped, location), cls.dtype)
    for target, root, offset, count in Unpickler(stream, **load_args).load():
        typed, size = loaded[root], loaded[root].dtype.itemsize
        part = typed._untyped_storage[offset * size : (offset + count) * size]
        loaded[target] = _wrap(part, typed.dtype)

    from ._utils import _rebuild_tensor

    stream = members["tensors"]
    for _ in range(Unpickler(stream, **load_args).load()):
        key, storage_key, _ = Unpickler(stream, **load_args).load()
        (ndim,) = _read_numbers(stream, "i", 1)
        stream.seek(4, 1)
        size = _read_numbers(stream, "q", ndim)
        stride = _read_numbers(stream, "q", ndim)
        (offset,) = _read_numbers(stream, "q", 1)
        loaded[key] = _rebuild_tensor(loaded[storage_key], offset, size, stride)
    return Unpickler(members["pickle"], **load_args).load()
