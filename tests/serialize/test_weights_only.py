"""load(weights_only=True): what a checkpoint may bring along, and how the rest is refused."""

import collections
import enum
import io
import pickle
import struct

import pytest

import mindtorch_v2 as torch

S = torch.serialization


class Plain:
    pass


class Slots:
    __slots__ = ("x", "y")


class SetsState:
    def __setstate__(self, state):
        self.seen = state


class MyList(list):
    pass


class Color(enum.Enum):
    RED = 1


def function(x):
    return x


@pytest.fixture(autouse=True)
def clean():
    before = S.get_safe_globals()
    S.clear_safe_globals()
    yield
    S.clear_safe_globals()
    S.add_safe_globals(before)


def saved(obj, **kwargs):
    buffer = io.BytesIO()
    torch.save(obj, buffer, **kwargs)
    buffer.seek(0)
    return buffer


def archive(data):
    """A checkpoint with this pickle and one storage of 16 bytes."""
    buffer = io.BytesIO()
    writer = torch._C.PyTorchFileWriter(buffer)
    writer.write_record("data.pkl", data, len(data))
    writer.write_record("data/0", bytes(16), 16)
    writer.write_end_of_file()
    buffer.seek(0)
    return buffer


def refusal(source, **kwargs):
    with pytest.raises(pickle.UnpicklingError) as caught:
        torch.load(source, **kwargs)
    text = str(caught.value)
    assert text.startswith("Weights only load failed. ")
    assert text.endswith(
        "\n\nCheck the documentation of torch.load to learn more about types accepted by default "
        "with weights_only https://pytorch.org/docs/stable/generated/torch.load.html."
    )
    return text


def G(module, name):
    return f"c{module}\n{name}\n".encode()


def U(text):
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def name_of(cls):
    return f"{cls.__module__}.{cls.__qualname__}"


def with_attributes(obj, **kwargs):
    for name, value in kwargs.items():
        setattr(obj, name, value)
    return obj


def test_it_is_the_default():
    refusal(saved(Plain()))
    assert type(torch.load(saved(Plain()), weights_only=False)) is Plain


def test_text_for_an_unknown_global():
    text = refusal(saved(with_attributes(Plain(), x=1)))
    name = name_of(Plain)
    assert text.count("In PyTorch 2.6, we changed the default value of the `weights_only`") == 1
    assert "This file can still be loaded, to do so you have two options, \033[1mdo those" in text
    assert (
        f"\n\tWeightsUnpickler error: Unsupported global: GLOBAL {name} was not an allowed global "
        f"by default. Please use `torch.serialization.add_safe_globals([{name}])` or the "
        f"`torch.serialization.safe_globals([{name}])` context manager to allowlist this global if "
        "you trust this class/function." in text
    )


def test_other_texts():
    blocked = refusal(archive(b"\x80\x02" + G("os", "system") + b"."))
    assert (
        "\n\n\nTrying to load unsupported GLOBAL os.system whose module os is blocked." in blocked
    )
    assert "GLOBAL float was not an allowed" in refusal(archive(G("builtins", "float") + b"."))
    assert "GLOBAL os.path.join was not" in refusal(archive(G("os.path", "join") + b"."))
    for data, reason in (
        (b"K\x01)R.", "Trying to call reduce for unrecognized function 1"),
        (
            b"}}b.",
            "Can only build Tensor, Parameter, OrderedDict or types allowlisted via "
            "`add_safe_globals`, but got <class 'dict'>",
        ),
        (b"0.", "Unsupported operand 48"),
    ):
        assert (
            "\nPlease file an issue with the following so that we can make `weights_only=True` "
            f"compatible with your use case: WeightsUnpickler error: \n\n{reason}\n\n"
            in refusal(archive(b"\x80\x02" + data))
        )


@pytest.mark.parametrize(
    "module,name",
    [
        ("builtins", "eval"),
        ("__builtin__", "eval"),
        ("builtins", "getattr"),
        ("copyreg", "_reconstructor"),
        ("torch", "load"),
        ("torch", "relu"),
        ("torch._utils", "_import_dotted_name"),
        ("torch.serialization", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("torch.utils.hooks", "RemovableHandle"),
        ("mindtorch_v2.serialization", "load"),
        ("numpy._core.multiarray", "scalar"),
        ("subprocess", "Popen"),
        ("torch", "Tensor.backward"),
        ("torch.Tensor", "backward"),
        ("torch", "os"),
    ],
)
def test_what_could_do_harm_is_refused(module, name):
    assert "Unsupported global" in refusal(archive(b"\x80\x02" + G(module, name) + b"."))


@pytest.mark.parametrize("module", ["sys", "os", "posix", "nt"])
def test_blocked_modules_stay_blocked(module):
    S.add_safe_globals([(len, f"{module}.anything")])
    assert "is blocked" in refusal(archive(b"\x80\x02" + G(module, "anything") + b"."))


def test_known_globals():
    for module in ("torch", "mindtorch_v2"):
        for name, expected in (
            ("Tensor", torch.Tensor),
            ("Size", torch.Size),
            ("device", torch.device),
            ("float32", torch.float32),
            ("bfloat16", torch.bfloat16),
        ):
            assert torch.load(archive(G(module, name) + b".")) is expected
        found = torch.load(archive(G(module + ".nn.parameter", "Parameter") + b"."))
        assert found is torch.nn.Parameter
    # names of Python 2
    assert torch.load(archive(G("__builtin__", "set") + b"](K\x01e\x85R.")) == {1}
    assert torch.load(archive(G("_codecs", "encode") + U("a") + U("latin1") + b"\x86R.")) == b"a"


def test_classes_that_were_allowed():
    S.add_safe_globals([Plain, Slots, SetsState, Color, function])
    assert torch.load(saved(with_attributes(Plain(), x=[1]))).x == [1]
    slots = torch.load(saved(with_attributes(Slots(), x=1, y=2)))
    assert (slots.x, slots.y) == (1, 2)
    assert torch.load(saved(with_attributes(SetsState(), y=2))).seen == {"y": 2}
    if Color.RED.__reduce_ex__(2)[0] is not getattr:  # the first releases of Python 3.11 pickle it so
        assert torch.load(saved(Color.RED)) is Color.RED
    assert torch.load(saved(function)) is function


def test_subclasses_of_containers_are_no_containers():
    S.add_safe_globals([MyList, collections.defaultdict, int])
    assert "Can only extend lists, but got" in refusal(saved(MyList([1, 2])))
    assert "Can only SETITEM for dict" in refusal(saved(collections.defaultdict(int, {1: 2})))


def test_adding_listing_forgetting():
    assert S.get_safe_globals() == []
    S.add_safe_globals([Plain, (Slots, "other.Name")])
    assert set(S.get_safe_globals()) == {Plain, (Slots, "other.Name")}
    assert torch.load(archive(G("other", "Name") + b".")) is Slots
    S.clear_safe_globals()
    assert S.get_safe_globals() == []
    refusal(saved(Plain()))


def test_the_context_manager():
    S.add_safe_globals([Slots])
    with S.safe_globals([Plain]):
        assert set(S.get_safe_globals()) == {Plain, Slots}
        assert type(torch.load(saved(Plain()))) is Plain
        with pytest.raises(ValueError, match="inside"), S.safe_globals([Color]):
            raise ValueError("inside")
        assert set(S.get_safe_globals()) == {Plain, Slots}
    assert S.get_safe_globals() == [Slots]
    refusal(saved(Plain()))


def test_our_classes_are_known_by_the_names_in_files():
    model = torch.nn.Linear(2, 1)
    assert "GLOBAL torch.nn.modules.linear.Linear was not" in refusal(saved(model))
    with S.safe_globals([torch.nn.Linear]):
        back = torch.load(saved(model))
    assert type(back) is torch.nn.Linear and back.weight.equal(model.weight)


def test_bad_entries():
    for bad, error, text in (
        (Plain, TypeError, "not iterable"),
        (None, TypeError, "not iterable"),
        ([1], AttributeError, "'int' object has no attribute '__module__'"),
        ([(Plain,)], ValueError, "Expected tuple of length 2 .* but got tuple of length: 1"),
        ([(Plain, 5)], TypeError, "Expected second item in tuple to be str of callable full path"),
    ):
        with pytest.raises(error, match=text):
            S.add_safe_globals(bad)
            torch.load(saved(1))
        S.clear_safe_globals()


def test_listing_what_is_unsafe(tmp_path):
    obj = [Plain(), torch.ones(1), Slots(), Plain(), torch.nn.Linear(1, 1)]
    names = [name_of(Plain), name_of(Slots), "torch.nn.modules.linear.Linear"]
    assert S.get_unsafe_globals_in_checkpoint(saved(obj)) == names
    assert S.get_unsafe_globals_in_checkpoint(saved(obj, pickle_protocol=4))[:2] == names[:2]
    with S.safe_globals([Plain]):
        assert S.get_unsafe_globals_in_checkpoint(saved(obj)) == names[1:]
    torch.save(obj, tmp_path / "x.pt")
    assert S.get_unsafe_globals_in_checkpoint(tmp_path / "x.pt") == names
    assert S.get_unsafe_globals_in_checkpoint(saved({"w": torch.ones(2)})) == []
    for bad in (io.BytesIO(b"text"), saved(obj, _use_new_zipfile_serialization=False)):
        with pytest.raises(
            ValueError, match="Expected input to be a checkpoint returned by torch.s"
        ):
            S.get_unsafe_globals_in_checkpoint(bad)
    with pytest.raises(FileNotFoundError):
        S.get_unsafe_globals_in_checkpoint(tmp_path / "absent")


def test_environment(monkeypatch):
    force, force_no = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
    monkeypatch.setenv(force, "1")
    refusal(saved(Plain()), weights_only=False)
    monkeypatch.setenv(force_no, "1")
    with pytest.raises(RuntimeError, match="should be set, but both were set"):
        torch.load(saved(1))
    monkeypatch.delenv(force)
    with pytest.warns(UserWarning, match=f"Environment variable {force_no} detected"):
        assert type(torch.load(saved(Plain()))) is Plain
    refusal(saved(Plain()), weights_only=True)
    monkeypatch.setenv(force_no, "0")
    refusal(saved(Plain()))


def test_storages_by_id():
    def with_id(*parts):
        return archive(b"\x80\x02(" + b"".join(parts) + b"tQ.")

    storage, zero, cpu = U("storage"), U("0"), U("cpu")
    float_storage = G("torch", "FloatStorage")
    loaded = torch.load(with_id(storage, float_storage, zero, cpu, b"K\x04"))
    assert isinstance(loaded, torch.storage.TypedStorage) and loaded.dtype == torch.float32
    untyped = G("torch.storage", "UntypedStorage")
    assert torch.load(with_id(storage, untyped, zero, cpu, b"K\x10")).dtype == torch.uint8
    cuda = with_id(storage, G("torch.cuda", "FloatStorage"), zero, U("cuda:0"), b"K\x04")
    assert torch.load(cuda, map_location="cpu").dtype == torch.float32
    for parts, error in (
        ((storage, float_storage, zero, cpu, b"K\x05"), RuntimeError),
        ((storage, float_storage, zero, cpu, b"J\xff\xff\xff\xff"), (RuntimeError, TypeError)),
        ((storage, float_storage, U("9"), cpu, b"K\x04"), RuntimeError),
        ((storage, float_storage, zero, U("nowhere"), b"K\x04"), RuntimeError),
        ((storage, float_storage, zero, U("cuda:0"), b"K\x04"), RuntimeError),
        ((storage, b"K\x01", zero, cpu, b"K\x04"), AttributeError),
        ((storage, float_storage), ValueError),
    ):
        with pytest.raises(error):
            torch.load(with_id(*parts))
    assert "Only persistent_load of storage is allowed" in refusal(with_id(U("module")))
    with pytest.raises(AssertionError, match="saved_id must be a tuple, got int"):
        torch.load(archive(b"\x80\x02K\x01Q."))
