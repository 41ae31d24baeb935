"""UntypedStorage, TypedStorage and the legacy storage classes."""

import copy
import io
import pickle
import sys
import warnings

import pytest

import mindtorch_v2 as torch

Untyped, Typed = torch.UntypedStorage, torch.storage.TypedStorage


@pytest.fixture(autouse=True)
def quiet():
    """Typed storages warn once per process; most tests here are not about that."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="TypedStorage is deprecated")
        yield


def typed(values, dtype=None):
    return Typed(values, dtype=dtype or torch.float32)


# ---- untyped ----


def test_making_untyped_storages():
    assert Untyped().nbytes() == 0
    assert Untyped(5).nbytes() == 5
    for values in ([1, 2, 3], (1, 2, 3), range(1, 4)):
        assert Untyped(values).tolist() == [1, 2, 3]
    assert Untyped(4, device="meta").device.type == "meta"
    with pytest.raises(RuntimeError):
        Untyped([1.5])
    with pytest.raises(TypeError):
        Untyped(1, 2)


def test_what_an_untyped_storage_tells():
    storage = Untyped([1, 2, 3])
    assert len(storage) == storage.size() == storage.nbytes() == 3
    assert storage.element_size() == 1 and storage.device == torch.device("cpu")
    assert storage.type() == "torch.storage.UntypedStorage"
    assert storage.get_device() is None and storage.filename is None
    assert not (storage.is_cuda or storage.is_hpu or storage.is_sparse or storage.is_sparse_csr)
    assert not storage.is_pinned() and not storage.is_shared() and storage.resizable()
    assert str(storage) == " 1\n 2\n 3\n[torch.storage.UntypedStorage(device=cpu) of size 3]"
    assert repr(storage) == str(storage)
    assert str(Untyped(2, device="meta")).startswith(
        "...\n[torch.storage.UntypedStorage(device=meta)"
    )
    assert sys.getsizeof(Untyped(100)) - sys.getsizeof(Untyped(0)) == 100
    assert storage != Untyped([1, 2, 3]) and storage == storage


def test_indexing_untyped_storages():
    storage = Untyped([1, 2, 3])
    assert storage[1] == 2 and storage[-1] == 3 and list(storage) == [1, 2, 3]
    part = storage[1:]
    part[0] = 9
    assert storage.tolist() == [1, 9, 3]  # a slice shares memory
    storage[0:2] = 7
    assert storage.tolist() == [7, 7, 3]
    for index, error in ((3, IndexError), (-4, IndexError), ("a", TypeError), (1.0, TypeError)):
        with pytest.raises(error):
            storage[index]
    with pytest.raises(RuntimeError, match="only a step of 1 is supported"):
        storage[::2]
    with pytest.raises(NotImplementedError, match="Not available for 'meta' device type"):
        Untyped(2, device="meta")[0]


def test_copies_of_untyped_storages():
    storage = Untyped([1, 2, 3])
    for made in (storage.clone(), copy.copy(storage), copy.deepcopy(storage)):
        assert made.tolist() == [1, 2, 3] and made.data_ptr() != storage.data_ptr()
    a, b = copy.deepcopy([storage, storage])
    assert a is b
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        a, b, c = pickle.loads(pickle.dumps([storage, storage, Untyped(0)], protocol))
        assert a is b and a.tolist() == [1, 2, 3] and c.nbytes() == 0
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor; no data!"):
        pickle.dumps(Untyped(2, device="meta"))
    storage.copy_(Untyped([4, 5, 6]))
    assert storage.tolist() == [4, 5, 6] and storage.untyped() is storage
    with pytest.raises(RuntimeError, match="size does not match, self was 3 bytes but src was 2"):
        storage.copy_(Untyped(2))
    assert storage.fill_(7).tolist() == [7, 7, 7]
    assert storage.resize_(5).nbytes() == 5 and storage.tolist()[:3] == [7, 7, 7]


def test_devices():
    storage = Untyped([1, 2])
    assert storage.cpu() is storage and storage.to(device="cpu") is storage
    for move in (storage.cuda, lambda: storage.to(device="cuda")):
        with pytest.raises(AssertionError, match="Torch not compiled with CUDA enabled"):
            move()
    with pytest.raises(AssertionError, match="HPU device module is not loaded"):
        storage.hpu()
    with pytest.raises(AssertionError, match="META device module is not loaded"):
        storage.to(device="meta")
    with pytest.raises(
        RuntimeError, match="Cannot access accelerator device when none is available"
    ):
        storage.pin_memory()


@pytest.mark.parametrize(
    "name,dtype",
    [
        ("double", torch.float64),
        ("float", torch.float32),
        ("half", torch.float16),
        ("bfloat16", torch.bfloat16),
        ("long", torch.int64),
        ("int", torch.int32),
        ("short", torch.int16),
        ("char", torch.int8),
        ("byte", torch.uint8),
        ("bool", torch.bool),
        ("complex_double", torch.complex128),
        ("complex_float", torch.complex64),
    ],
)
def test_conversions(name, dtype):
    for storage in (Untyped([0, 1, 2]), typed([0, 1, 2]), typed([0, 1, 2], dtype)):
        made = getattr(storage, name)()
        assert type(made) is Typed and made.dtype is dtype
        assert made.tolist() == torch.tensor([0, 1, 2]).to(dtype).tolist()
        assert made.data_ptr() != storage.data_ptr()


def test_byteswap():
    for dtype, expected in (
        (torch.uint8, [0, 1, 2, 3, 4, 5, 6, 7]),
        (torch.bool, [0, 1, 2, 3, 4, 5, 6, 7]),
        (torch.int16, [1, 0, 3, 2, 5, 4, 7, 6]),
        (torch.bfloat16, [1, 0, 3, 2, 5, 4, 7, 6]),
        (torch.float32, [3, 2, 1, 0, 7, 6, 5, 4]),
        (torch.complex64, [3, 2, 1, 0, 7, 6, 5, 4]),
        (torch.int64, [7, 6, 5, 4, 3, 2, 1, 0]),
    ):
        storage = Untyped(range(8))
        storage.byteswap(dtype)
        assert storage.tolist() == expected
    with pytest.raises(RuntimeError, match="the length of data is not a multiple of 8"):
        Untyped(7).byteswap(torch.float64)


def test_buffers():
    make = Untyped.from_buffer
    assert make(b"abcd", dtype=torch.uint8).tolist() == [97, 98, 99, 100]
    assert make(b"abcd", dtype=torch.int16, byte_order="big").tolist() == [98, 97, 100, 99]
    part = make(b"abcd", dtype=torch.int16, byte_order="little", offset=1, count=1)
    assert part.tolist() == [98, 99]
    for kwargs in (
        {"byte_order": "x"},
        {"byte_order": "little", "offset": 1},
        {"byte_order": "little", "count": 5},
        {"byte_order": "little", "offset": 5},
    ):
        with pytest.raises(ValueError):
            make(b"abcd", dtype=torch.int16, **kwargs)
    assert torch.FloatStorage.from_buffer(bytes(8), byte_order="little").tolist() == [0.0, 0.0]
    with pytest.raises(RuntimeError, match="'dtype' can only be specified in"):
        torch.FloatStorage.from_buffer(bytes(8), dtype=torch.int32, byte_order="little")


def test_files(tmp_path):
    path = str(tmp_path / "f")
    with open(path, "wb") as file:
        file.write(bytes(range(16)))
    private = Untyped.from_file(path, False, 8)
    private[0] = 99
    shared = Untyped.from_file(path, shared=True, nbytes=8)
    shared[1] = 77
    assert private.filename is None and shared.filename == path
    with open(path, "rb") as file:
        assert file.read()[:3] == bytes([0, 77, 2])
    assert torch.LongStorage.from_file(path, False, 2).size() == 2
    with pytest.raises(RuntimeError, match="from_file can only be called on derived classes"):
        Typed.from_file(path, False, 2)
    with pytest.raises(RuntimeError, match="unable to open file"):
        Untyped.from_file(path + "x", False, 2)


def test_streams():
    for size, head in ((1, 4), (2, 2), (4, 1)):
        buffer = io.BytesIO()
        Untyped([1, 2, 3, 4])._write_file(buffer, False, True, size)
        assert buffer.getvalue() == head.to_bytes(8, "little") + bytes([1, 2, 3, 4])
        buffer.seek(0)
        target = Untyped(4)
        target._set_from_file(buffer, None, False, size)
        assert target.tolist() == [1, 2, 3, 4]
    buffer = io.BytesIO()
    Untyped([1, 2])._write_file(buffer, False, False, 1)
    assert buffer.getvalue() == b"\x01\x02"
    with pytest.raises(RuntimeError, match="storage has wrong byte size: expected"):
        Untyped(3)._set_from_file(io.BytesIO(bytes([4]) + bytes(7) + b"abcd"), None, False, 1)


# ---- typed ----


def test_the_warning():
    try:
        torch.storage._reset_warn_typed_storage_removal()
        with pytest.warns(
            UserWarning, match="TypedStorage is deprecated. It will be removed in the"
        ):
            torch.FloatStorage(1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            torch.FloatStorage(1).tolist()  # once is enough
        torch.storage._set_always_warn_typed_storage_removal(True)
        assert torch.storage._get_always_warn_typed_storage_removal()
        with pytest.warns(UserWarning) as caught:
            Untyped(1).float()
        assert caught[0].filename == __file__
    finally:
        torch.storage._set_always_warn_typed_storage_removal(False)


def test_making_typed_storages():
    assert typed(3).size() == 3 and typed(3).nbytes() == 12
    assert typed([1.5, 2]).tolist() == [1.5, 2.0]
    assert Typed([1.5]).dtype is torch.float32
    assert Typed(dtype=torch.float64).size() == 0
    wrapped = Typed(wrap_storage=Untyped([1, 2, 3, 4]), dtype=torch.int16)
    assert wrapped.tolist() == [513, 1027] and wrapped.untyped().nbytes() == 4
    assert Typed(2, dtype=torch.float32, device="meta").device.type == "meta"


def test_wrong_arguments_of_typed_storages():
    untyped = Untyped(4)
    for args, kwargs, error, text in (
        ((3, 4), {}, RuntimeError, "Too many positional arguments"),
        ((), {"dtype": 5}, RuntimeError, "expected torch.dtype, but got <class 'int'>"),
        ((), {"wrap_storage": untyped}, RuntimeError, "Argument 'dtype' must be specified"),
        ((3,), {"wrap_storage": untyped, "dtype": torch.int8}, RuntimeError, "No positional arg"),
        (
            (),
            {"wrap_storage": 5, "dtype": torch.int8},
            TypeError,
            "must be UntypedStorage, but got",
        ),
        ((), {"wrap_storage": untyped, "dtype": 5}, TypeError, "'dtype' must be torch.dtype, not"),
        (
            (),
            {"wrap_storage": untyped, "dtype": torch.int8, "device": "cpu"},
            RuntimeError,
            "should not be specified when 'wrap_storage' is given",
        ),
        ((5.5,), {}, TypeError, "Argument type not recognized: <class 'float'>"),
        ((2,), {"device": "cuda"}, AssertionError, "Torch not compiled with CUDA enabled"),
        ((), {"bogus": 1}, TypeError, "bogus"),
    ):
        with pytest.raises(error, match=text):
            Typed(*args, **kwargs)
    for args, kwargs, error, text in (
        ((3, 4), {}, RuntimeError, "Too many positional arguments"),
        ((), {"device": "cpu"}, RuntimeError, "Keyword argument 'device' cannot be specified"),
        ((), {"dtype": torch.int8}, RuntimeError, "Keyword argument 'dtype' cannot be specified"),
        ((), {"wrap_storage": 5}, TypeError, "must be UntypedStorage, but got <class 'int'>"),
        ((1,), {"wrap_storage": untyped}, RuntimeError, "No positional arguments"),
        ((5.5,), {}, TypeError, "Argument type not recognized: <class 'float'>"),
    ):
        with pytest.raises(error, match=text):
            torch.FloatStorage(*args, **kwargs)


def test_legacy_classes():
    assert type(torch.FloatStorage([1, 2])) is Typed
    assert torch.FloatStorage([1, 2]).tolist() == [1.0, 2.0]
    assert torch.LongStorage(wrap_storage=Untyped(16)).size() == 2
    assert torch.FloatStorage.dtype is torch.float32
    assert issubclass(torch.FloatStorage, Typed)
    storage = typed([1, 2])
    assert isinstance(storage, torch.FloatStorage) and isinstance(storage, Typed)
    assert not isinstance(storage, torch.LongStorage) and not isinstance(5, torch.FloatStorage)
    assert not isinstance(Untyped(4), torch.FloatStorage)
    names = torch.storage._storage_type_to_dtype_map()
    assert len(names) == 12
    for name, dtype in names.items():
        cls = getattr(torch, name)
        assert cls.dtype is dtype and cls.__name__ == name
        assert cls(2).type() == f"torch.{name}" and cls(2).pickle_storage_type() == name
        assert pickle.loads(pickle.dumps(cls)) is cls
    assert Typed(1, dtype=torch.uint16).type() == "torch.storage.TypedStorage"
    with pytest.raises(KeyError, match="dtype torch.uint16 is not recognized"):
        Typed(1, dtype=torch.uint16).pickle_storage_type()
    assert torch.uint16 in torch.storage._new_dtypes()
    assert torch.float32 not in torch.storage._new_dtypes()


def test_what_a_typed_storage_tells():
    storage = typed([1, 2])
    assert len(storage) == storage.size() == 2
    assert storage.nbytes() == 8 and storage.element_size() == 4
    assert storage.data_ptr() == storage.untyped().data_ptr() == storage._data_ptr()
    assert storage._cdata == storage.untyped()._cdata
    assert storage.device.type == "cpu" and storage.get_device() is None
    assert not (storage.is_cuda or storage.is_sparse or storage.is_hpu or storage.is_pinned())
    assert storage.resizable() and storage.filename is None
    assert str(storage) == (
        " 1.0\n 2.0\n[torch.storage.TypedStorage(dtype=torch.float32, device=cpu) of size 2]"
    )
    assert str(typed([1, 0], torch.bool)).startswith(" True\n False\n")
    assert str(typed([1, 0], torch.complex64)).startswith(" (1+0j)\n 0j\n")
    assert str(Typed(2, dtype=torch.float32, device="meta")).startswith("...\n[torch.storage.Typed")
    assert sys.getsizeof(typed(100)) - sys.getsizeof(typed(0)) == 400


def test_elements_of_typed_storages():
    storage = typed([1, 2, 3])
    assert storage[0] == 1.0 and storage[-1] == 3.0 and list(storage) == [1.0, 2.0, 3.0]
    storage[1] = 5
    storage[2:] = 7
    assert storage.tolist() == [1.0, 5.0, 7.0]
    assert storage.fill_(2).tolist() == [2.0, 2.0, 2.0]
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"index {index} out of range for storage of size 3"):
            storage[index]
    with pytest.raises(
        RuntimeError, match="slices are only supported in UntypedStorage.__getitem__"
    ):
        storage[0:1]
    for index in ("a", 1.5):
        with pytest.raises(RuntimeError, match="can't index a"):
            storage[index]
        with pytest.raises(RuntimeError, match="can't index a"):
            storage[index] = 1


def test_typed_storages_over_tensors():
    tensor = torch.arange(4.0)
    storage = Typed(wrap_storage=tensor.untyped_storage(), dtype=tensor.dtype)
    storage[2] = 9
    assert tensor.tolist() == [0.0, 1.0, 9.0, 3.0]
    assert storage.data_ptr() == tensor.data_ptr()


def test_copies_of_typed_storages():
    storage = typed([1, 2])
    for made in (storage.clone(), copy.copy(storage), copy.deepcopy(storage)):
        assert made.tolist() == [1.0, 2.0] and made.data_ptr() != storage.data_ptr()
        assert type(made) is Typed and made.dtype is torch.float32
    a, b = pickle.loads(
        pickle.dumps([storage, Typed(wrap_storage=storage.untyped(), dtype=torch.int32)])
    )
    assert a.tolist() == [1.0, 2.0] and b.dtype is torch.int32
    assert a.data_ptr() == b.data_ptr()  # shared memory stays shared
    storage.copy_(typed([3, 4]))
    assert storage.tolist() == [3.0, 4.0]
    with pytest.raises(RuntimeError, match="size does not match"):
        storage.copy_(typed([3, 4], torch.int64))
    storage.resize_(3)
    assert storage.size() == 3 and storage.tolist()[:2] == [3.0, 4.0]
    assert storage.cpu().data_ptr() == storage.data_ptr()


def test_is_storage_knows_both():
    if hasattr(torch, "is_storage"):
        assert torch.is_storage(Untyped(1)) and torch.is_storage(typed(1))
        assert not torch.is_storage(5)
