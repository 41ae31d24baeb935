"""torch.save and torch.load: what goes in comes out, from and to every kind of file."""

import collections
import copy
import gzip
import io
import os
import pathlib
import pickle
import stat
import sys
import warnings
import zipfile

import pytest

import mindtorch_v2 as torch

DTYPES = [
    getattr(torch, name)
    for name in "bool uint8 int8 int16 int32 int64 uint16 uint32 uint64 float16 bfloat16 float32 "
    "float64 complex32 complex64 complex128".split()
    if hasattr(torch, name)
]


def saved(obj, **kwargs):
    buffer = io.BytesIO()
    torch.save(obj, buffer, **kwargs)
    buffer.seek(0)
    return buffer


def roundtrip(obj, **kwargs):
    return torch.load(saved(obj), **kwargs)


def bits(tensor):
    """The bytes of a tensor's elements in order."""
    return bytes(tensor.contiguous().clone().untyped_storage().tolist())


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and bits(a) == bits(b)


def filled(dtype, *shape):
    count = 1
    for size in shape:
        count *= size
    if dtype == torch.bool:
        return (torch.arange(count) % 3 == 0).reshape(shape)
    return torch.arange(count).to(dtype).reshape(shape)


# ---- values ----


@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes(dtype, weights_only):
    for shape in ((), (0,), (3,), (2, 3), (2, 0, 4)):
        tensor = filled(dtype, *shape)
        back = roundtrip(tensor, weights_only=weights_only)
        assert same(back, tensor) and back.stride() == tensor.stride()


@pytest.mark.parametrize("dtype", torch.storage._dtype_to_storage_type_map(), ids=str)
def test_big_endian_files(dtype):
    """The bytes of a file that says "big" are turned around, element by element. (The format does
    not allow it for dtypes without a storage class, whose storages are bytes.)"""
    tensor = filled(dtype, 5)
    reader = torch._C.PyTorchFileReader(saved(tensor))
    swapped = tensor.clone()
    swapped.untyped_storage().byteswap(dtype)
    buffer = io.BytesIO()
    writer = torch._C.PyTorchFileWriter(buffer)
    writer.write_record(
        "data.pkl", reader.get_record("data.pkl"), reader.get_record_size("data.pkl")
    )
    writer.write_record("byteorder", "big", 3)
    writer.write_record("data/0", swapped.untyped_storage(), swapped.untyped_storage().nbytes())
    writer.write_end_of_file()
    buffer.seek(0)
    expected = tensor if sys.byteorder == "little" else swapped
    assert same(torch.load(buffer), expected)


def test_byte_order_record():
    def with_order(order):
        reader = torch._C.PyTorchFileReader(saved(torch.arange(3)))
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name in ("data.pkl", "data/0", "version"):
                archive.writestr(f"m/{name}", reader.get_record(name))
            if order is not None:
                archive.writestr("m/byteorder", order)
        buffer.seek(0)
        return buffer

    ours, E = torch.arange(3), torch.serialization.LoadEndianness
    assert torch.load(with_order("little")).equal(ours)
    with pytest.raises(ValueError, match="Unknown endianness type: middle"):
        torch.load(with_order("middle"))
    # A file that does not say is little endian, unless told otherwise.
    assert torch.load(with_order(None)).equal(ours)
    assert torch.serialization.get_default_load_endianness() is None
    try:
        for order, plain in ((E.BIG, False), (E.LITTLE, True), (E.NATIVE, True)):
            torch.serialization.set_default_load_endianness(order)
            assert torch.serialization.get_default_load_endianness() is order
            assert torch.load(with_order(None)).equal(ours) == plain
            assert torch.load(with_order("little")).equal(ours)
    finally:
        torch.serialization.set_default_load_endianness(None)
    with pytest.raises(TypeError, match="Invalid argument type in function set_default_load_end"):
        torch.serialization.set_default_load_endianness("little")
    no_record = saved(ours, _disable_byteorder_record=True)
    assert zipfile.ZipFile(no_record).namelist().index("archive/byteorder") > 3
    no_record.seek(0)
    assert torch.load(no_record).equal(ours)


def test_strides_and_windows():
    base = torch.arange(24.0).reshape(4, 6)
    for view in (
        base.t(),
        base[1:3, ::2],
        base[:, 3],
        base[2],
        base.new_ones(3).expand(2, 3),
        base.flip(0)[1:],
    ):
        back = roundtrip(view)
        assert back.stride() == view.stride() and back.storage_offset() == view.storage_offset()
        assert back.equal(view)
        assert back.untyped_storage().nbytes() == view.untyped_storage().nbytes()


@pytest.mark.parametrize("new_format", [True, False])
def test_shared_storages_stay_shared(new_format):
    base = torch.arange(10.0)
    state = {"a": base, "b": base[2:5], "same": base, "nested": [(base.view(2, 5),)]}
    back = torch.load(saved(state, _use_new_zipfile_serialization=new_format))
    back["a"][3] = -1
    assert back["b"][1] == -1 and back["nested"][0][0][0, 3] == -1
    assert back["same"] is back["a"]
    assert back["b"].storage_offset() == 2


def test_one_storage_is_one_member():
    base = torch.arange(10.0)
    names = zipfile.ZipFile(saved([base, base[1:], torch.ones(2), base.t()])).namelist()
    assert [name for name in names if "/data/" in name] == ["archive/data/0", "archive/data/1"]


def test_autograd_state():
    leaf = torch.ones(2, requires_grad=True)
    assert roundtrip(leaf).requires_grad and not roundtrip(leaf.detach()).requires_grad
    result = leaf * 2
    back = roundtrip(result)
    assert back.requires_grad and back.is_leaf and back.equal(result)


def test_hooks_are_left_out_with_a_warning():
    tensor = torch.ones(2, requires_grad=True)
    tensor.register_hook(lambda grad: grad * 2)
    with pytest.warns(UserWarning, match="on tensor will not be serialized"):
        back = roundtrip(tensor)
    (back * 3).sum().backward()
    assert back.grad.tolist() == [3.0, 3.0]


def test_hooks_of_loaded_tensors_are_their_own():
    a, b = roundtrip([torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)])
    a.register_hook(lambda grad: grad * 5)
    (a + b).sum().backward()
    assert a.grad.item() == 5 and b.grad.item() == 1


def test_parameters():
    for requires_grad in (True, False):
        parameter = torch.nn.Parameter(torch.arange(3.0), requires_grad=requires_grad)
        back = roundtrip(parameter)
        assert type(back) is torch.nn.Parameter
        assert back.requires_grad == requires_grad and back.equal(parameter)
    parameter.note = {"k": 1}
    back = roundtrip(parameter)
    assert type(back) is torch.nn.Parameter and back.note == {"k": 1}


def test_attributes_of_tensors_are_kept():
    tensor = torch.ones(2)
    tensor.note = "text"
    assert roundtrip(tensor).note == "text"


class MyTensor(torch.Tensor):
    pass


class MyState(torch.Tensor):
    def __setstate__(self, state):
        self.restored = state


def test_subclasses_come_back_as_such():
    tensor = torch.ones(2).as_subclass(MyTensor)
    tensor.extra = 3
    back = roundtrip(tensor, weights_only=False)
    assert type(back) is MyTensor and back.extra == 3 and back.tolist() == [1.0, 1.0]
    with torch.serialization.safe_globals([MyTensor]):
        assert type(roundtrip(tensor)) is MyTensor
    other = torch.ones(2).as_subclass(MyState)
    other.extra = 4
    assert roundtrip(other, weights_only=False).restored == {"extra": 4}


def test_meta_tensors_have_no_data():
    tensor = torch.empty(2, 3, device="meta", dtype=torch.float16)
    back = roundtrip([tensor, tensor.t()])[1]
    assert back.device.type == "meta" and back.shape == (3, 2) and back.stride() == (1, 3)
    assert back.dtype == torch.float16
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor; no data!"):
        saved(tensor.untyped_storage())


def test_lazy_conjugation_is_kept():
    tensor = torch.tensor([1 + 2j, 3 - 4j]).conj()
    back = roundtrip(tensor)
    assert back.is_conj() == tensor.is_conj() and back.tolist() == [1 - 2j, 3 + 4j]
    assert roundtrip(tensor.imag).tolist() == [-2.0, 4.0]


def test_other_objects():
    obj = {
        "numbers": [1, -(2**70), 2.5, True, None, 1j],
        "text": "äö",
        "bytes": b"\x00\xff",
        "set": {1, 2},
        "order": collections.OrderedDict(b=1, a=2),
        "count": collections.Counter("aab"),
        "size": torch.Size([2, 3]),
        "dtype": torch.float16,
        "device": torch.device("cpu"),
        "cuda": torch.device("cuda:1"),
        (1, 2): (),
    }
    back = roundtrip(obj)
    assert back == obj
    assert type(back["size"]) is torch.Size and back["dtype"] is torch.float16
    assert isinstance(back["order"], collections.OrderedDict)
    assert roundtrip(torch.strided) is torch.strided
    loose = [range(3), frozenset([1]), collections.deque([1]), slice(1, 2), Ellipsis]
    assert roundtrip(loose, weights_only=False) == loose


def test_attributes_of_an_ordered_dict_are_kept():
    state = collections.OrderedDict(a=torch.ones(1))
    state._metadata = {"version": 1}
    assert roundtrip(state)._metadata == {"version": 1}


def test_numpy_objects():
    numpy = pytest.importorskip("numpy")
    back = roundtrip([numpy.float64(2.5), numpy.arange(3)], weights_only=False)
    assert back[0] == 2.5 and type(back[0]) is numpy.float64 and back[1].tolist() == [0, 1, 2]


def test_storages():
    tensor = torch.arange(4, dtype=torch.int32)
    typed = tensor._typed_storage() if hasattr(tensor, "_typed_storage") else None
    back = roundtrip(tensor.untyped_storage())
    assert back._untyped_storage.tolist() == tensor.untyped_storage().tolist()
    if typed is not None:
        back = roundtrip([typed, tensor])
        assert isinstance(back[0], torch.storage.TypedStorage) and back[0].dtype == torch.int32
        assert back[0]._untyped_storage.data_ptr() == back[1].data_ptr()


def test_one_memory_two_dtypes():
    tensor = torch.arange(4.0)
    text = "Cannot save multiple tensors or storages that view the same data as different types"
    for other in (torch.int32, torch.int16):
        with pytest.raises(RuntimeError, match=text):
            saved([tensor, tensor.view(other)])
    assert roundtrip([torch.empty(0), torch.empty(0, dtype=torch.int64)])[1].dtype == torch.int64


def test_modules_and_state_dicts():
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
    state = roundtrip(model.state_dict())
    assert state._metadata == model.state_dict()._metadata
    assert all(state[name].equal(value) for name, value in model.state_dict().items())
    whole = roundtrip(model, weights_only=False)
    x = torch.arange(6.0).reshape(2, 3)
    assert whole(x).equal(model(x))


# ---- how the file looks ----


def test_files_name_torch():
    data = zipfile.ZipFile(saved([torch.ones(1), torch.float32, torch.nn.Linear(1, 1)])).read(
        "archive/data.pkl"
    )
    assert b"ctorch._utils\n_rebuild_tensor_v2\n" in data
    assert b"ctorch\nFloatStorage\n" in data
    assert b"ctorch\nfloat32\n" in data
    assert b"ctorch.nn.modules.linear\nLinear\n" in data
    assert b"mindtorch" not in data


def test_both_names_are_read():
    data = saved({"t": torch.arange(3), "s": torch.Size([1])}).getvalue()
    reader = torch._C.PyTorchFileReader(data)
    pickled = torch._C._pickle_rename(reader.get_record("data.pkl"), "torch", "mindtorch_v2")
    buffer = io.BytesIO()
    writer = torch._C.PyTorchFileWriter(buffer)
    writer.write_record("data.pkl", pickled, len(pickled))
    writer.write_record("data/0", reader.get_record("data/0"), 24)
    writer.write_end_of_file()
    for weights_only in (True, False):
        buffer.seek(0)
        assert torch.load(buffer, weights_only=weights_only)["t"].tolist() == [0, 1, 2]


def test_strings_that_look_like_names_stay():
    obj = ["mindtorch_v2", "mindtorch_v2._utils", b"cmindtorch_v2\nfloat32\n", torch.ones(1)]
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        buffer = saved(obj, pickle_protocol=protocol)
        assert torch.load(buffer, weights_only=False)[:3] == obj[:3]


@pytest.mark.parametrize("protocol", range(1, pickle.HIGHEST_PROTOCOL + 1))
def test_protocols(protocol):
    obj = {"a": torch.arange(3), "b": b"xx", "p": torch.nn.Parameter(torch.ones(1))}
    for new_format in (True, False):
        buffer = saved(obj, pickle_protocol=protocol, _use_new_zipfile_serialization=new_format)
        back = torch.load(buffer, weights_only=False)
        assert back["a"].equal(obj["a"]) and back["b"] == b"xx"


def test_members_and_alignment():
    buffer = saved([torch.ones(3), torch.ones(100)])
    archive = zipfile.ZipFile(buffer)
    assert archive.namelist() == [
        f"archive/{name}"
        for name in "data.pkl .format_version .storage_alignment byteorder data/0 data/1 version "
        ".data/serialization_id".split()
    ]
    assert archive.read("archive/byteorder").decode() == sys.byteorder
    assert archive.read("archive/.storage_alignment") == b"64"
    reader = torch._C.PyTorchFileReader(buffer.getvalue())
    assert all(reader.get_record_offset(name) % 64 == 0 for name in reader.get_all_records())
    assert saved([torch.ones(3)]).getvalue() == saved([torch.ones(3)]).getvalue()


# ---- files ----


def test_paths(tmp_path):
    tensor = torch.arange(3)
    for path in (str(tmp_path / "a.pt"), tmp_path / "b.pt", tmp_path / "no extension"):
        torch.save(tensor, path)
        assert torch.load(path).equal(tensor)
    assert zipfile.ZipFile(tmp_path / "b.pt").namelist()[0] == "b/data.pkl"
    unicode = tmp_path / "ü.pt"
    torch.save(tensor, unicode)
    assert zipfile.ZipFile(unicode).namelist()[0] == "archive/data.pkl"
    assert torch.load(unicode).equal(tensor)
    assert isinstance(tmp_path, pathlib.Path)


def test_open_files(tmp_path):
    tensor = torch.arange(3)
    with open(tmp_path / "a.pt", "wb") as file:
        torch.save(tensor, file)
    with open(tmp_path / "a.pt", "rb") as file:
        assert torch.load(file).equal(tensor)
    with gzip.open(tmp_path / "a.gz", "wb") as file:
        torch.save(tensor, file)
    with gzip.open(tmp_path / "a.gz", "rb") as file:
        assert torch.load(file).equal(tensor)
    buffer = io.BytesIO(b"prefix" + saved(tensor).getvalue())
    buffer.seek(6)
    assert torch.load(buffer).equal(tensor)
    buffer.truncate(0)  # nobody holds on to the buffer


def test_a_buffer_is_free_after_an_error():
    data = saved(torch.arange(100)).getvalue()
    buffer = io.BytesIO(data.replace(b"\x05\x00\x00\x00", b"\x06\x00\x00\x00"))
    with pytest.raises(RuntimeError) as caught:
        torch.load(buffer)
    buffer.truncate(0)
    assert caught.value is not None


def test_files_that_will_not_do(tmp_path):
    tensor = torch.arange(3)
    for bad in (5, None, [], b"x.pt", object()):
        with pytest.raises(AttributeError, match="expected 'f' to be string, path, or a file-like"):
            torch.save(tensor, bad)
        with pytest.raises(
            AttributeError, match="You can only torch.load from a file that is seek"
        ):
            torch.load(bad)
    with pytest.raises(TypeError):
        torch.save(tensor, io.StringIO())
    with pytest.raises(FileNotFoundError):
        torch.load(tmp_path / "absent")
    with pytest.raises(IsADirectoryError):
        torch.load(tmp_path)
    with pytest.raises(RuntimeError, match=f"Parent directory {tmp_path}/no does not exist."):
        torch.save(tensor, tmp_path / "no" / "x.pt")
    with pytest.raises(RuntimeError, match="open file failed with strerror: Is a directory"):
        torch.save(tensor, tmp_path)
    for bad in ("", "/", tmp_path / ".pt"):
        with pytest.raises(RuntimeError, match="invalid file name"):
            torch.save(tensor, bad)
    assert os.listdir(tmp_path) == []

    class NoSeek(io.BytesIO):
        def tell(self):
            raise io.UnsupportedOperation("tell")

    with pytest.raises(io.UnsupportedOperation, match="tell. You can only torch.load from a file"):
        torch.load(NoSeek(saved(tensor).getvalue()))
    with pytest.raises(EOFError):
        torch.load(io.BytesIO())


# ---- the target is the old file or the new one ----


class Unpicklable:
    def __reduce__(self):
        raise RuntimeError("not me")


@pytest.mark.parametrize("new_format", [True, False])
def test_a_failed_save_leaves_the_old_file(tmp_path, new_format):
    path = tmp_path / "model.pt"
    torch.save("old", path)
    before = path.read_bytes()
    with pytest.raises(RuntimeError, match="not me"):
        torch.save(
            [torch.ones(1000), Unpicklable()], path, _use_new_zipfile_serialization=new_format
        )
    with pytest.raises(NotImplementedError):  # found out when the storages are written
        torch.save(
            [torch.ones(1000), torch.empty(2, device="meta").untyped_storage()],
            path,
            _use_new_zipfile_serialization=new_format,
        )
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.pt"]


def test_an_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.pt"
    torch.save("old", path)

    class Interrupted(torch._C.PyTorchFileWriter):
        def write_end_of_file(self):
            raise KeyboardInterrupt

    monkeypatch.setattr(torch._C, "PyTorchFileWriter", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        torch.save("new", path)
    monkeypatch.undo()
    assert torch.load(path) == "old"
    assert os.listdir(tmp_path) == ["model.pt"]


def test_permissions_are_kept(tmp_path):
    path = tmp_path / "model.pt"
    torch.save(1, path)
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
    path.chmod(0o640)
    torch.save(2, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert torch.load(path) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_read_only_targets(tmp_path):
    path = tmp_path / "model.pt"
    torch.save(1, path)
    path.chmod(0o444)
    with pytest.raises(RuntimeError, match="open file failed with strerror: Permission denied"):
        torch.save(2, path)
    assert torch.load(path) == 1


def test_links_and_devices(tmp_path):
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "model.pt", tmp_path / "link.pt"
    torch.save(1, real)
    link.symlink_to(real)
    torch.save(2, link)
    assert link.is_symlink() and torch.load(real) == 2
    assert os.listdir(tmp_path / "real") == ["model.pt"]
    torch.save(torch.ones(10), "/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_readers_of_the_old_file_keep_it(tmp_path):
    path = tmp_path / "model.pt"
    torch.save(torch.zeros(1000), path)
    mapped = torch.load(path, mmap=True)
    torch.save(torch.ones(1000), path)
    assert mapped.sum() == 0 and torch.load(path).sum() == 1000


# ---- map_location ----


def test_map_location_forms():
    state = {"t": torch.arange(3), "p": torch.nn.Parameter(torch.ones(1))}
    calls = []

    def note(storage, location):
        calls.append((type(storage), storage.device.type, location))
        return storage

    for location in (
        None,
        "cpu",
        torch.device("cpu"),
        {"cpu": "cpu"},
        {"cuda:0": "cpu"},
        {},
        note,
        lambda storage, location: None,
        lambda storage, location: storage.clone(),
    ):
        for new_format in (True, False):
            back = torch.load(
                saved(state, _use_new_zipfile_serialization=new_format), map_location=location
            )
            assert back["t"].equal(state["t"]) and back["t"].device.type == "cpu"
    assert calls == [(torch.UntypedStorage, "cpu", "cpu")] * 4
    for location in ("meta", torch.device("meta"), {"cpu": "meta"}):
        back = torch.load(saved(state), map_location=location)
        assert back["t"].device.type == "meta" and back["t"].shape == (3,)
        assert type(back["p"]) is torch.nn.Parameter


def test_map_location_errors():
    state = torch.arange(3)
    cuda = (
        r"Attempting to deserialize object on a CUDA device but torch.cuda.is_available\(\) is Fa"
    )
    for location, error, text in (
        ("cuda", RuntimeError, cuda),
        (torch.device("cuda", 1), RuntimeError, cuda),
        (
            "nowhere",
            RuntimeError,
            "don't know how to restore data location of .*tagged with nowhere",
        ),
        (5, TypeError, "not callable"),
        (lambda storage, location: 5, TypeError, "Argument 'wrap_storage' must be UntypedStorage"),
    ):
        with pytest.raises(error, match=text):
            torch.load(saved(state), map_location=location)


def test_registered_places():
    S = torch.serialization
    entry = (5, lambda storage: "here", lambda storage, location: storage.clone())
    S.register_package(*entry)
    try:
        assert S.location_tag(torch.UntypedStorage(1)) == "here"
        data = zipfile.ZipFile(saved(torch.ones(1))).read("archive/data.pkl")
        assert b"here" in data
        assert roundtrip(torch.ones(2)).tolist() == [1.0, 1.0]
    finally:
        S._package_registry.remove(entry)
    storage = torch.UntypedStorage(3)
    assert S.location_tag(storage) == "cpu"
    assert S.default_restore_location(storage, "cpu") is storage
    assert S.default_restore_location(storage, "meta").device.type == "meta"
    for location in ("cuda:0", "xpu", "hpu"):
        with pytest.raises(RuntimeError):
            S.default_restore_location(storage, location)
    with pytest.raises(ValueError, match="Expected a cuda device, but got: cpu"):
        S.validate_cuda_device("cpu")
    with pytest.raises(RuntimeError, match="CUDA"):
        S.validate_cuda_device("cuda:0")


# ---- mmap ----


@pytest.mark.parametrize("weights_only", [True, False])
def test_mmap(tmp_path, weights_only):
    path = tmp_path / "model.pt"
    base = torch.arange(5000.0)
    torch.save({"a": base, "b": base[10:20], "c": torch.arange(3, dtype=torch.int16)}, path)
    before = path.read_bytes()
    back = torch.load(path, mmap=True, weights_only=weights_only)
    assert (
        back["a"].equal(base) and back["b"].equal(base[10:20]) and back["c"].tolist() == [0, 1, 2]
    )
    back["a"][12] = -1
    assert back["b"][2] == -1
    assert path.read_bytes() == before  # private by default
    assert torch.load(path, mmap=True, map_location="meta")["a"].device.type == "meta"


def test_mmap_flags(tmp_path):
    import mmap

    S = torch.serialization
    path = tmp_path / "model.pt"
    torch.save(torch.zeros(10), path)
    assert S.get_default_mmap_options() == mmap.MAP_PRIVATE
    with S.set_default_mmap_options(mmap.MAP_SHARED):
        assert S.get_default_mmap_options() == mmap.MAP_SHARED
        torch.load(path, mmap=True)[3] = 5
    assert S.get_default_mmap_options() == mmap.MAP_PRIVATE
    S.set_crc32_options(False)  # the file is not what was saved
    try:
        assert torch.load(path)[3] == 5
    finally:
        S.set_crc32_options(True)
    for bad in (99, "x"):
        with pytest.raises(
            ValueError, match="expected mmap.MAP_PRIVATE or mmap.MAP_SHARED, but got"
        ):
            S.set_default_mmap_options(bad)


def test_mmap_errors(tmp_path):
    path = tmp_path / "model.pt"
    torch.save(1, path)
    with (
        open(path, "rb") as file,
        pytest.raises(ValueError, match="f must be a file path in order"),
    ):
        torch.load(file, mmap=True)
    with pytest.raises(RuntimeError, match="mmap can only be used with files saved with"):
        torch.load(io.BytesIO(b"text"), mmap=True)
    torch.save(1, path, _use_new_zipfile_serialization=False)
    with pytest.raises(RuntimeError, match="mmap can only be used with files saved with"):
        torch.load(path, mmap=True)


# ---- damage ----


def test_a_flipped_bit_anywhere_in_the_data_is_found():
    data = saved({"a": torch.arange(20), "b": torch.ones(3)}).getvalue()
    reader = torch._C.PyTorchFileReader(data)
    for name in ("data.pkl", "data/0", "data/1"):
        start = reader.get_record_offset(name)
        for offset in range(0, reader.get_record_size(name), 7):
            damaged = bytearray(data)
            damaged[start + offset] ^= 1 << offset % 8
            for weights_only in (True, False):
                with pytest.raises(RuntimeError, match=f"{name}: CRC-32 check failed"):
                    torch.load(io.BytesIO(damaged), weights_only=weights_only)


def test_truncated_files():
    data = saved(torch.arange(1000)).getvalue()
    for size in range(4, len(data), 97):
        with pytest.raises(RuntimeError, match="PytorchStreamReader failed reading zip archive"):
            torch.load(io.BytesIO(data[:size]))
    assert torch.load(io.BytesIO(data + b"trailing")).numel() == 1000


def test_sizes_that_do_not_fit():
    reader = torch._C.PyTorchFileReader(saved(torch.arange(4.0)))
    pickled = reader.get_record("data.pkl")
    for change, error in (
        ((b"K\x04tq", b"K\x05tq"), RuntimeError),  # more elements than the member has
        ((b"K\x04tq", b"K\x03tq"), RuntimeError),
        ((b"X\x01\x00\x00\x000", b"X\x01\x00\x00\x007"), RuntimeError),  # no such member
    ):
        assert change[0] in pickled
        data = pickled.replace(*change, 1)
        buffer = io.BytesIO()
        writer = torch._C.PyTorchFileWriter(buffer)
        writer.write_record("data.pkl", data, len(data))
        writer.write_record("data/0", bytes(16), 16)
        writer.write_end_of_file()
        buffer.seek(0)
        with pytest.raises(error, match="record size|failed locating file data/7"):
            torch.load(buffer)


def test_tensors_that_reach_beyond_their_storage():
    data = torch._C.PyTorchFileReader(saved(torch.arange(4.0))).get_record("data.pkl")
    assert b"QK\x00K\x04\x85" in data
    for changed in (b"QK\x01K\x04\x85", b"QK\x00K\x05\x85"):  # offset 1; five elements
        buffer = io.BytesIO()
        writer = torch._C.PyTorchFileWriter(buffer)
        broken = data.replace(b"QK\x00K\x04\x85", changed)
        writer.write_record("data.pkl", broken, len(broken))
        writer.write_record("data/0", bytes(16), 16)
        writer.write_end_of_file()
        for weights_only in (True, False):
            buffer.seek(0)
            with pytest.raises(
                RuntimeError, match="Trying to resize storage that is not resizable"
            ):
                torch.load(buffer, weights_only=weights_only)


def test_without_checksums():
    S = torch.serialization
    assert S.get_crc32_options() is True
    S.set_crc32_options(False)
    try:
        buffer = saved(torch.arange(4))
        assert all(info.CRC == 0 for info in zipfile.ZipFile(buffer).infolist())
        buffer.seek(0)
        assert torch.load(buffer).tolist() == [0, 1, 2, 3]
    finally:
        S.set_crc32_options(True)
    buffer.seek(0)
    assert torch.load(buffer).tolist() == [0, 1, 2, 3]


# ---- options of the calls ----


def test_pickle_modules():
    class Module:
        __name__ = "module"
        dumps = staticmethod(pickle.dumps)
        load = staticmethod(pickle.load)

        class Pickler(pickle._Pickler):
            pass

        class Unpickler(pickle._Unpickler):
            seen = []

            def find_class(self, module, name):
                self.seen.append(name)
                return super().find_class(module, name)

    state = {"a": torch.arange(3), "p": torch.nn.Parameter(torch.ones(2)), "n": [1, "x"]}
    for new_format in (True, False):
        buffer = saved(state, pickle_module=Module, _use_new_zipfile_serialization=new_format)
        back = torch.load(buffer)
        assert back["a"].equal(state["a"]) and type(back["p"]) is torch.nn.Parameter
        buffer.seek(0)
        back = torch.load(buffer, pickle_module=Module)
        assert back["a"].equal(state["a"]) and back["n"] == [1, "x"]
        assert "_rebuild_tensor_v2" in Module.Unpickler.seen
    with pytest.raises(
        RuntimeError, match="Can not safely load weights when explicit pickle_module"
    ):
        torch.load(saved(1), weights_only=True, pickle_module=pickle)
    with pytest.raises(AttributeError, match="has no attribute '__name__'"):
        torch.save(1, io.BytesIO(), pickle_module=5)


def test_arguments_of_the_unpickler():
    with pytest.warns(UserWarning, match="pickle_load_args only works if `weights_only=False`"):
        assert torch.load(saved(1), encoding="latin1") == 1
    assert torch.load(saved(1), weights_only=False, encoding="latin1", fix_imports=True) == 1
    with pytest.raises(TypeError):
        torch.load(saved(1), weights_only=False, bogus=1)
    with pytest.raises(ValueError, match="pickle protocol must be"):
        saved(1, pickle_protocol=99)
    with pytest.raises(TypeError):
        torch.save(1, io.BytesIO(), bogus=1)


def test_skip_data():
    S = torch.serialization
    tensor = torch.arange(1000)
    with S.skip_data():
        buffer = saved({"t": tensor, "n": 1})
    back = torch.load(buffer)
    assert back["n"] == 1 and back["t"].shape == (1000,) and not back["t"].any()
    # The room that was left is just where the bytes belong.
    with S.skip_data():
        assert torch.load(saved(tensor)).shape == (1000,)
    assert roundtrip(tensor).equal(tensor)
    reader = torch._C.PyTorchFileReader(buffer.getvalue())
    plain = torch._C.PyTorchFileReader(saved({"t": tensor, "n": 1}).getvalue())
    assert reader.get_record_offset("data/0") == plain.get_record_offset("data/0")


def test_torchscript_archives_are_refused():
    buffer = io.BytesIO()
    writer = torch._C.PyTorchFileWriter(buffer)
    for name in ("data.pkl", "constants.pkl"):
        writer.write_record(name, b"N.", 2)
    writer.write_end_of_file()
    for weights_only, text in (
        (True, "Cannot use ``weights_only=True`` with TorchScript"),
        (False, ""),
    ):
        buffer.seek(0)
        with pytest.raises(RuntimeError, match=text):
            torch.load(buffer, weights_only=weights_only)


def test_small_helpers():
    S = torch.serialization
    assert S.StorageType("FloatStorage").dtype is torch.float32
    assert str(S.StorageType("LongStorage")) == "StorageType(dtype=torch.int64)"
    with pytest.raises(KeyError, match="is not recognized"):
        S.StorageType("NoStorage")
    assert S.normalize_storage_type(torch.FloatStorage) is torch.FloatStorage
    with S.mkdtemp() as folder:
        assert os.path.isdir(folder)
    assert not os.path.exists(folder)

    class Module:
        __name__, __version__ = "M", "1.5.2"

    check = S.check_module_version_greater_or_equal
    assert check(Module, (1, 5)) and not check(Module, (2, 0, 0))
    Module.__version__ = "x.y"
    with pytest.raises(RuntimeError, match="malformed 'x.y' and cannot be compared"):
        check(Module, (1, 0))
    with pytest.warns(UserWarning, match="but continuing assuming that requirement is met"):
        assert check(Module, (1, 0), error_if_malformed=False)


# ---- plain pickle and copy ----


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_plain_pickle(protocol):
    base = torch.arange(6.0)
    state = [base, base[2:4], torch.nn.Parameter(torch.ones(2)), torch.ones(1, requires_grad=True)]
    data = pickle.dumps(state, protocol)
    back = pickle.loads(data)
    assert back[0].equal(base) and back[1].equal(base[2:4])
    assert type(back[2]) is torch.nn.Parameter and back[3].requires_grad
    for dtype in DTYPES:
        assert same(pickle.loads(pickle.dumps(filled(dtype, 3), protocol)), filled(dtype, 3))


def test_copies():
    tensor = torch.arange(4.0)
    tensor.note = [1]
    shallow, deep = copy.copy(tensor), copy.deepcopy(tensor)
    assert shallow.data_ptr() == tensor.data_ptr() and deep.data_ptr() != tensor.data_ptr()
    assert shallow.note == [1] and deep.note == [1] and deep.note is not tensor.note


def test_nothing_is_warned_about_without_reason():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        state = {
            "t": torch.arange(3),
            "m": torch.nn.Linear(1, 1).state_dict(),
            "h": torch.ones(1).half(),
        }
        roundtrip(state)
        roundtrip(state, weights_only=False)
        torch.load(saved(state, _use_new_zipfile_serialization=False))
        pickle.loads(pickle.dumps(state))
