"""Files cross between PyTorch and this package, in every format and both ways."""

import collections
import io
import pickle
import random
import struct
import zipfile

import pytest

import mindtorch_v2 as ours

torch = pytest.importorskip("torch")
numpy = pytest.importorskip("numpy")

pytestmark = pytest.mark.parity

DTYPES = (
    "bool uint8 int8 int16 int32 int64 uint16 uint32 uint64 float16 bfloat16 float32 float64 "
    "complex32 complex64 complex128"
).split()
DTYPES = [name for name in DTYPES if hasattr(ours, name)]


def saved(lib, obj, **kwargs):
    buffer = io.BytesIO()
    lib.save(obj, buffer, **kwargs)
    buffer.seek(0)
    return buffer


def make(lib, dtype, *shape):
    """The same tensor in either library, with every byte of its elements used."""
    dtype = getattr(lib, dtype)
    count = 1
    for size in shape:
        count *= size
    if dtype == lib.bool:
        values = [i % 3 == 0 for i in range(count)]
        return lib.tensor(values, dtype=dtype).reshape(shape)
    if dtype.is_complex:
        return lib.tensor([complex(i, -i / 2) for i in range(count)]).to(dtype).reshape(shape)
    return (lib.arange(count) * 37).to(dtype).reshape(shape)


def facts(tensor):
    """What of a tensor a file must bring over."""
    values = tensor.detach()
    if str(values.dtype) in ("torch.bfloat16", "torch.float16"):
        values = values.float()
    elif str(values.dtype) == "torch.complex32":
        values = values.to(type(values).__mro__ and tensor.dtype.to_complex()).to(tensor.dtype)
    return (
        str(tensor.dtype),
        tuple(tensor.shape),
        tensor.stride(),
        tensor.storage_offset(),
        tensor.untyped_storage().nbytes(),
        tensor.requires_grad,
        type(tensor).__name__,
        values.tolist() if str(tensor.dtype) != "torch.complex32" else None,
    )


def state(lib):
    base = lib.arange(24.0).reshape(4, 6)
    out = collections.OrderedDict(
        base=base,
        rows=base[1:3],
        columns=base.t()[::2],
        expanded=lib.ones(1).expand(3),
        leaf=lib.ones(2, requires_grad=True),
        parameter=lib.nn.Parameter(lib.arange(3.0)),
        frozen=lib.nn.Parameter(lib.arange(3.0), requires_grad=False),
        empty=lib.empty(0, 3),
        scalar=lib.tensor(7),
        meta=lib.empty(2, 3, device="meta"),
        nested=[(base[0], {"again": base}), None, 1.5, "text", b"bytes", 2**70, {1, 2}],
        size=lib.Size([2, 3]),
        dtype=lib.bfloat16,
        device=lib.device("cpu"),
        count=collections.Counter("aab"),
    )
    out._metadata = {"version": 2}
    return out


def check_state(got, lib, other):
    """`got` was loaded by `lib`; `other` is what lib itself makes."""
    for name in other:
        if isinstance(other[name], lib.Tensor) and name != "meta":
            assert facts(got[name]) == facts(other[name]), name
    for name in ("size", "dtype", "device", "count"):
        assert got[name] == other[name] and type(got[name]) is type(other[name])
    assert got["meta"].is_meta and got["meta"].shape == other["meta"].shape
    assert got["nested"][1:] == other["nested"][1:]
    assert got["nested"][0][1]["again"] is got["base"]
    assert got._metadata == {"version": 2}
    got["base"][1, 2] = -1
    assert got["rows"][0, 2] == -1 and got["columns"][1, 1] == -1


@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("mmap", [False, True])
def test_state_crosses(tmp_path, weights_only, mmap):
    for writer, reader in ((ours, torch), (torch, ours)):
        path = tmp_path / f"{writer.__name__}.pt"
        writer.save(state(writer), path)
        got = reader.load(path, weights_only=weights_only, mmap=mmap)
        check_state(got, reader, state(reader))


@pytest.mark.parametrize("weights_only", [True, False])
def test_the_stream_crosses(weights_only):
    for writer, reader in ((ours, torch), (torch, ours)):
        buffer = saved(writer, state(writer), _use_new_zipfile_serialization=False)
        check_state(reader.load(buffer, weights_only=weights_only), reader, state(reader))
        assert buffer.read() == b""


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_protocols_cross(protocol):
    for writer, reader in ((ours, torch), (torch, ours)):
        for new in (True, False):
            buffer = saved(
                writer,
                state(writer),
                pickle_protocol=protocol,
                _use_new_zipfile_serialization=new,
            )
            check_state(reader.load(buffer, weights_only=False), reader, state(reader))


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes_cross(dtype):
    for writer, reader in ((ours, torch), (torch, ours)):
        tensor = make(writer, dtype, 3, 4)
        got = reader.load(saved(writer, [tensor, tensor.t()[1]]))
        mine = make(reader, dtype, 3, 4)
        for a, b in zip(got, (mine, mine.t()[1]), strict=True):
            assert facts(a) == facts(b)
            assert a.untyped_storage().tolist() == b.untyped_storage().tolist()


def archives(obj_of):
    return [zipfile.ZipFile(saved(lib, obj_of(lib))) for lib in (torch, ours)]


def test_files_are_the_same_byte_for_byte():
    """All but the id, which PyTorch makes from the order of a C++ hash table. (Names of dtypes and
    classes are not memoised by us, so an object with several such differs in its pickle.)"""

    def obj(lib):
        out = state(lib)
        del out["size"], out["dtype"], out["device"]
        plain = lib.storage._dtype_to_storage_type_map()
        out["more"] = [make(lib, name, 2, 3) for name in DTYPES if getattr(lib, name) in plain]
        return out

    theirs, mine = archives(obj)
    assert theirs.namelist() == mine.namelist()
    for a, b in zip(theirs.infolist(), mine.infolist(), strict=True):
        assert (a.header_offset, a.file_size, a.flag_bits, a.date_time) == (
            b.header_offset,
            b.file_size,
            b.flag_bits,
            b.date_time,
        )
        same = theirs.read(a.filename) == mine.read(b.filename)
        assert same or a.filename == "archive/.data/serialization_id", a.filename


def test_models_cross():
    def model(lib):
        net = lib.nn.Sequential(
            lib.nn.Linear(4, 3), lib.nn.ReLU(), lib.nn.BatchNorm1d(3), lib.nn.Linear(3, 2)
        )
        return net.eval()

    x = [[0.5, -1.0, 2.0, 0.25]]
    for writer, reader in ((ours, torch), (torch, ours)):
        source, target = model(writer), model(reader)
        target.load_state_dict(reader.load(saved(writer, source.state_dict())))
        expected = source(writer.tensor(x)).tolist()
        assert numpy.allclose(target(reader.tensor(x)).tolist(), expected, atol=1e-6)


def test_subclasses_and_attributes_cross():
    for writer, reader in ((ours, torch), (torch, ours)):
        tensor = writer.ones(2)
        tensor.note = "text"
        parameter = writer.nn.Parameter(writer.ones(1))
        parameter.note = {"k": 1}
        got = reader.load(saved(writer, [tensor, parameter]))
        assert got[0].note == "text" and type(got[0]) is reader.Tensor
        assert got[1].note == {"k": 1} and type(got[1]) is reader.nn.Parameter


def test_lazy_conjugation_crosses():
    for writer, reader in ((ours, torch), (torch, ours)):
        tensor = writer.tensor([1 + 2j, 3 - 4j]).conj()
        assert reader.load(saved(writer, tensor)).tolist() == [1 - 2j, 3 + 4j]
        assert reader.load(saved(writer, tensor.imag)).tolist() == [-2.0, 4.0]
        with pytest.raises(RuntimeError, match="view the same data as different types"):
            saved(writer, [tensor, tensor.imag])


def test_typed_storages_cross():
    for writer, reader in ((ours, torch), (torch, ours)):
        tensor = writer.arange(3, dtype=writer.int16)
        typed = writer.storage.TypedStorage(
            wrap_storage=tensor.untyped_storage(), dtype=tensor.dtype, _internal=True
        )
        got = reader.load(saved(writer, [typed, tensor]))
        assert type(got[0]).__name__ == "TypedStorage" and str(got[0].dtype) == "torch.int16"
        assert got[0]._untyped_storage.data_ptr() == got[1].data_ptr()


def test_map_location_and_skipped_data_cross():
    for writer, reader in ((ours, torch), (torch, ours)):
        with writer.serialization.skip_data():
            buffer = saved(writer, writer.arange(1000))
        assert not reader.load(buffer).any()
        got = reader.load(saved(writer, writer.ones(2)), map_location={"cpu": "meta"})
        assert got.is_meta


def pickled(*parts):
    return b"\x80\x02" + b"".join(parts) + b"."


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def archive(data):
    buffer = io.BytesIO()
    writer = torch._C.PyTorchFileWriter(buffer)
    writer.write_record("data.pkl", data, len(data))
    writer.write_record("data/0", bytes(16), 16)
    writer.write_end_of_file()
    return buffer.getvalue()


def outcome(lib, data, **kwargs):
    try:
        result = lib.load(io.BytesIO(data), **kwargs)
    except Exception as error:
        return type(error).__name__, str(error)
    return type(result).__name__, None


def storage_id(*parts):
    return b"(" + b"".join(parts) + b"tQ"


FLOAT = name("torch", "FloatStorage")
CASES = {
    "unknown global": pickled(name("foo.bar", "baz")),
    "function": pickled(name("torch", "relu")),
    "builtin": pickled(name("builtins", "float")),
    "python 2": pickled(name("__builtin__", "set"), b")R"),
    "blocked": pickled(name("os", "system")),
    "submodule of blocked": pickled(name("os.path", "join")),
    "reduce": pickled(b"K\x01)R"),
    "newobj": pickled(b"K\x01)\x81"),
    "build": pickled(b"}}b"),
    "append": pickled(b"}K\x01a"),
    "extend": pickled(b"}(K\x01e"),
    "setitem": pickled(b"]K\x01K\x02s"),
    "setitems": pickled(b"](K\x01K\x02u"),
    "opcode": pickled(b"0"),
    "memo": pickled(b"h\x05"),
    "empty stack": b"\x80\x02.",
    "unhashable": pickled(b"}]K\x01s"),
    "bytes": pickled(name("_codecs", "encode"), text("ab"), text("latin1"), b"\x86R"),
    "bytearray": pickled(name("builtins", "bytearray"), b"K\x05\x85R"),
    "complex": pickled(name("builtins", "complex"), b"K\x01K\x02\x86R"),
    "size": pickled(name("torch", "Size"), b"K\x01\x85\x85R"),
    "not callable": pickled(name("torch", "float32"), b")R"),
    "storage": pickled(storage_id(text("storage"), FLOAT, text("0"), text("cpu"), b"K\x04")),
    "missing": pickled(storage_id(text("storage"), FLOAT, text("7"), text("cpu"), b"K\x04")),
    "too long": pickled(storage_id(text("storage"), FLOAT, text("0"), text("cpu"), b"K\x05")),
    "no such place": pickled(storage_id(text("storage"), FLOAT, text("0"), text("x"), b"K\x04")),
    "cuda": pickled(storage_id(text("storage"), FLOAT, text("0"), text("cuda:0"), b"K\x04")),
    "module id": pickled(storage_id(text("module"))),
    "int id": pickled(b"K\x01Q"),
    "short id": pickled(storage_id(text("storage"), FLOAT)),
    "ends early": b"\x80\x02X\x05\x00\x00\x00ab",
    "no stop": b"\x80\x02N",
    "empty": b"",
}


@pytest.mark.parametrize("case", CASES)
def test_refusals_are_pytorchs(case):
    data = archive(CASES[case])
    assert outcome(ours, data) == outcome(torch, data)


@pytest.mark.parametrize("weights_only", [True, False])
def test_truncated_archives(weights_only):
    data = saved(torch, torch.arange(20)).getvalue()
    for size in (*range(4, 60, 7), *range(60, len(data), 131), len(data) - 1, len(data) - 30):
        part = data[:size]
        assert outcome(ours, part, weights_only=weights_only) == outcome(
            torch, part, weights_only=weights_only
        )


def test_broken_streams():
    data = saved(torch, [torch.arange(4.0)], _use_new_zipfile_serialization=False).getvalue()
    for size in range(len(data) - 24, len(data)):
        assert outcome(ours, data[:size]) == outcome(torch, data[:size])


def test_bad_arguments():
    class NoSeek(io.BytesIO):
        def tell(self):
            raise io.UnsupportedOperation("tell")

    calls = [
        lambda lib: lib.load(5),
        lambda lib: lib.load(None),
        lambda lib: lib.load(NoSeek(b"PK")),
        lambda lib: lib.load("/no/such/file"),
        lambda lib: lib.load("/"),
        lambda lib: lib.save(1, 5),
        lambda lib: lib.save(1, "/no/such/folder/x"),
        lambda lib: lib.save(1, io.BytesIO(), pickle_protocol=9),
        lambda lib: lib.save(1, io.BytesIO(), bogus=1),
        lambda lib: lib.load(saved(torch, 1), weights_only=True, pickle_module=pickle),
        lambda lib: lib.load(io.BytesIO(b"text"), mmap=True),
        lambda lib: lib.load(saved(torch, 1), mmap=True),
        lambda lib: lib.load(saved(torch, torch.ones(1)), map_location="cuda"),
        lambda lib: lib.load(saved(torch, torch.ones(1)), map_location="nowhere"),
        lambda lib: lib.load(saved(torch, torch.ones(1)), map_location=5),
        lambda lib: lib.load(saved(torch, torch.ones(1)), map_location=lambda s, l: 5),
        lambda lib: lib.save([lib.arange(4.0), lib.arange(4.0)][:1] * 2, io.StringIO()),
        lambda lib: lib.serialization.set_default_load_endianness("little"),
        lambda lib: lib.serialization.set_default_mmap_options(99),
        lambda lib: lib.serialization.add_safe_globals(5),
        lambda lib: lib.serialization.StorageType("X"),
        lambda lib: lib.serialization.validate_cuda_device("cpu"),
        lambda lib: lib.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(b"text")),
    ]
    for i, call in enumerate(calls):
        results = []
        for lib in (torch, ours):
            with pytest.raises(Exception) as caught:
                call(lib)
            results.append((type(caught.value), str(caught.value).replace("mindtorch_v2", "torch")))
        assert results[0] == results[1], i


def test_unsafe_globals_are_listed_alike():
    obj = [numpy.float64(1), collections.deque([1]), torch.ones(1), torch.nn.Linear(1, 1)]
    theirs = torch.serialization.get_unsafe_globals_in_checkpoint(saved(torch, obj))
    mine = ours.serialization.get_unsafe_globals_in_checkpoint(saved(torch, obj))
    assert sorted(mine) == sorted(theirs)


def test_damaged_pickles_end_alike():
    """Where PyTorch's restricted unpickler refuses, ours does, and the other way round."""
    data = zipfile.ZipFile(saved(torch, state(torch))).read("archive/data.pkl")
    start = data.index(b"X\x06\x00\x00\x00nested")
    rng = random.Random(3)
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(rng.randrange(1, 3)):
            damaged[rng.randrange(start, len(data))] = rng.choice(
                b"abcehjqrstuKMJNR()]}.0\x85\x86\x88"
            )
        results = [outcome_of_pickle(lib, bytes(damaged)) for lib in (torch, ours)]
        assert results[0] == results[1]


def outcome_of_pickle(lib, data):
    """Whether it loads; which of several errors comes first is of no account."""
    buffer = io.BytesIO()
    source = zipfile.ZipFile(saved(torch, state(torch)))
    writer = torch._C.PyTorchFileWriter(buffer)
    writer.write_record("data.pkl", data, len(data))
    for member in source.namelist():
        if "/data/" in member:
            content = source.read(member)
            writer.write_record(member.split("/", 1)[1], content, len(content))
    writer.write_end_of_file()
    buffer.seek(0)
    try:
        lib.load(buffer)
    except Exception:
        return "refused"
    return "loaded"
