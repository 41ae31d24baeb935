"""The formats before zip: the stream, written and read, and the tar archive, read."""

import io
import pickle
import struct
import tarfile
import warnings

import pytest

import mindtorch_v2 as torch

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.arange(3.0))


def saved(obj, **kwargs):
    buffer = io.BytesIO()
    torch.save(obj, buffer, _use_new_zipfile_serialization=False, **kwargs)
    buffer.seek(0)
    return buffer


class Ids(pickle.Pickler):
    """Gives tuples that start with "storage", and nothing else, as persistent ids."""

    def persistent_id(self, obj):
        return obj if isinstance(obj, tuple) and obj[:1] == ("storage",) else None


class Named:
    """Comes out of a pickle as a call of torch._utils._rebuild_tensor."""

    def __init__(self, *args):
        self.args = args

    def __reduce__(self):
        return torch._utils._rebuild_tensor, self.args


def stream(magic=MAGIC, version=VERSION, obj=1, keys=(), tail=b""):
    """A stream by hand, as other writers made it."""
    buffer = io.BytesIO()
    for part in (magic, version, {"little_endian": True}):
        pickle.dump(part, buffer, 2)
    Ids(buffer, 2).dump(obj)
    pickle.dump(list(keys), buffer, 2)
    buffer.write(tail)
    buffer.seek(0)
    return buffer


def test_what_the_stream_holds():
    tensor = torch.arange(4.0)
    file = saved([tensor, tensor[1:]])
    assert pickle.load(file) == MAGIC
    assert pickle.load(file) == VERSION
    assert pickle.load(file) == {
        "protocol_version": VERSION,
        "little_endian": True,
        "type_sizes": {"short": 2, "int": 4, "long": 4},
    }
    data = file.getvalue()[file.tell() :]
    file.seek(torch._C._pickle_length(data), 1)
    assert len(pickle.load(file)) == 1
    assert file.read() == struct.pack("<q4f", 4, 0, 1, 2, 3)
    assert b"torch._utils\n_rebuild_tensor_v2" in data and b"mindtorch" not in data


@pytest.mark.parametrize("weights_only", [True, False])
def test_roundtrip(weights_only):
    base = torch.arange(10.0)
    state = {
        "base": base,
        "view": base.view(2, 5)[:, 1],
        "half": torch.ones(3, dtype=torch.float16),
        "bool": torch.tensor([True, False]),
        "unsigned": torch.arange(3).to(torch.uint16),
        "empty": torch.empty(0, 2),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "complex": torch.tensor([1 + 2j]),
        "other": ["text", 1.5, None],
    }
    back = torch.load(saved(state), weights_only=weights_only)
    for name, value in state.items():
        if isinstance(value, torch.Tensor):
            assert back[name].dtype == value.dtype and back[name].shape == value.shape
            assert back[name].tolist() == value.tolist()
        else:
            assert back[name] == value
    back["base"][1] = -5
    assert back["view"][0] == -5


def test_files_in_a_row(tmp_path):
    def check(file):
        assert [torch.load(file).tolist() for _ in range(3)] == [[0], [0, 1], [0, 1, 2]]
        assert file.read() == b"rest"

    buffer = io.BytesIO()
    for n in (1, 2, 3):
        torch.save(torch.arange(n), buffer, _use_new_zipfile_serialization=False)
    buffer.write(b"rest")
    buffer.seek(0)
    check(buffer)
    (tmp_path / "f").write_bytes(buffer.getvalue())
    with open(tmp_path / "f", "rb") as file:
        check(file)
    buffer.seek(0)
    assert torch.load(buffer, weights_only=False).tolist() == [0]
    assert torch.load(buffer).tolist() == [0, 1]


def test_large_pickles_are_read_whole():
    obj = {str(i): i for i in range(20000)}
    assert torch.load(saved(obj)) == obj


def test_paths_are_replaced_when_complete(tmp_path):
    path = tmp_path / "x.pt"
    torch.save(torch.ones(2), path, _use_new_zipfile_serialization=False)
    assert torch.load(path).tolist() == [1.0, 1.0]
    assert [p.name for p in tmp_path.iterdir()] == ["x.pt"]


def test_map_location():
    back = torch.load(saved(torch.ones(5)), map_location="meta")
    assert back.device.type == "meta" and back.shape == (5,)
    file = saved([torch.ones(5), torch.zeros(2)])
    assert torch.load(file, map_location={"cpu": "meta"})[1].device.type == "meta"
    assert file.read() == b""


def test_broken_streams():
    with pytest.raises(RuntimeError, match="Invalid magic number; corrupt file?"):
        torch.load(stream(magic=5))
    with pytest.raises(RuntimeError, match="Invalid protocol version: 5"):
        torch.load(stream(version=5))
    assert torch.load(stream()) == 1
    data = saved([torch.arange(4.0), "x"]).getvalue()
    for size in range(len(data)):
        with pytest.raises((EOFError, RuntimeError, IndexError)) as caught:
            torch.load(io.BytesIO(data[:size]))
        if len(data) - 16 <= size:
            assert str(caught.value) == (
                f"unexpected EOF, expected {len(data) - size} more bytes. The file might be "
                "corrupted."
            )
    with pytest.raises(KeyError, match="101"):
        torch.load(io.BytesIO(b"hello world"))
    with pytest.raises(pickle.UnpicklingError):
        torch.load(io.BytesIO(b"hello world"), weights_only=False)
    with pytest.raises(AssertionError, match="not part of the object"):
        torch.load(stream(keys=["7"]))
    ids = Named(("storage", torch.FloatStorage, "1", "cpu", 5, None), 0, (2,), (1,))
    with pytest.raises(RuntimeError, match="storage has wrong byte size: expected"):
        torch.load(stream(obj=ids, keys=["1"], tail=struct.pack("<q4f", 4, 0, 1, 2, 3)))


def test_storages_with_views():
    """Very old files name parts of a storage in the id."""
    id_ = ("storage", torch.FloatStorage, "1", "cpu", 4, ("2", 1, 2))
    whole = ("storage", torch.FloatStorage, "1", "cpu", 4, None)
    obj = [Named(id_, 0, (2,), (1,)), Named(whole, 0, (4,), (1,)), Named(id_, 1, (1,), (1,))]
    tail = struct.pack("<q4f", 4, 0, 1, 2, 3)
    part, all_, last = torch.load(stream(obj=obj, keys=["1"], tail=tail))
    assert part.tolist() == [1.0, 2.0] and all_.tolist() == [0.0, 1.0, 2.0, 3.0]
    part[1] = 9
    assert all_[2] == 9 and last.item() == 9


def test_whole_modules_carry_their_source():
    file = saved(Model())
    assert b"class Model(torch.nn.Module):" in file.getvalue()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.load(file, weights_only=False).weight.tolist() == [0.0, 1.0, 2.0]
    changed = file.getvalue().replace(b"torch.arange(3.0)", b"torch.arange(5.0)")
    with pytest.warns(
        torch.serialization.SourceChangeWarning, match="source code of class '.*Model'"
    ):
        torch.load(io.BytesIO(changed), weights_only=False)
    file.seek(0)
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        torch.load(file)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        linear = torch.load(saved(torch.nn.Linear(2, 1)), weights_only=False)
    assert linear.weight.shape == (1, 2)


def test_classes_without_source_are_warned_about():
    namespace = {"torch": torch, "__name__": __name__}
    exec("class Hidden(torch.nn.Module): pass", namespace)
    globals()["Hidden"] = namespace["Hidden"]
    try:
        with pytest.warns(
            UserWarning, match="Couldn't retrieve source code for container of type Hi"
        ):
            saved(namespace["Hidden"]())
    finally:
        del globals()["Hidden"]


def make_tar():
    """A tar archive of the first releases: two tensors that share a storage."""

    class TensorIds(pickle.Pickler):
        def persistent_id(self, obj):
            return {"first": "200", "second": "201"}.get(obj) if isinstance(obj, str) else None

    storages, tensors, objects = io.BytesIO(), io.BytesIO(), io.BytesIO()
    for part in (1, (100, "cpu", torch.FloatStorage)):
        pickle.dump(part, storages, 2)
    storages.write(struct.pack("<q4f", 4, 0, 1, 2, 3))
    pickle.dump([], storages, 2)
    pickle.dump(2, tensors, 2)
    for key, size, stride, offset in ((200, (2, 2), (2, 1), 0), (201, (2,), (1,), 1)):
        pickle.dump((key, 100, None), tensors, 2)
        tensors.write(struct.pack("<i4x", len(size)))
        tensors.write(struct.pack(f"<{2 * len(size) + 1}q", *size, *stride, offset))
    TensorIds(objects, 2).dump({"a": "first", "b": ["second"]})
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:", format=tarfile.PAX_FORMAT) as tar:
        for name, member in (("storages", storages), ("tensors", tensors), ("pickle", objects)):
            info = tarfile.TarInfo(name)
            info.size = len(member.getvalue())
            tar.addfile(info, io.BytesIO(member.getvalue()))
    out.seek(0)
    return out


def test_tar():
    back = torch.load(make_tar(), weights_only=False)
    assert back["a"].tolist() == [[0.0, 1.0], [2.0, 3.0]] and back["b"][0].tolist() == [1.0, 2.0]
    back["a"][0, 1] = 7
    assert back["b"][0][0] == 7
    with pytest.raises(RuntimeError, match="with files saved in the legacy .tar format"):
        torch.load(make_tar())
    assert torch.load(make_tar(), weights_only=False, map_location="meta")["a"].is_meta
    with pytest.raises((RuntimeError, KeyError, tarfile.TarError)):
        torch.load(io.BytesIO(make_tar().getvalue()[:1024]), weights_only=False)
