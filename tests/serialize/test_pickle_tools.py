"""The pickle walker (lengths, names, renaming) on pickles of every protocol, and the restricted
unpickler opcode by opcode."""

import collections
import io
import json.decoder
import pickle
import random
import struct

import pytest

import mindtorch_v2 as torch

_C = torch._C


class Thing:
    def __init__(self, value=0):
        self.value = value

    def __eq__(self, other):
        return type(other) is Thing and self.value == other.value

    __hash__ = None


HERE = Thing.__module__
DATA = [
    Thing("x"),
    HERE,  # the module's name as data, shared with the pickler's memo in protocol 4
    {HERE: HERE, HERE + ".x": b"c" + HERE.encode() + b"\nThing\n"},
    Thing,
    Thing(Thing(collections.OrderedDict(a=1.5))),
    [2**70, -1, 1000, "äö€", bytes(300), None, True, 1e100, ("t",), {1, 2}],
    "a" * 70000,
]


class Renamed(pickle.Unpickler):
    def find_class(self, module, name):
        if module == "elsewhere" or module.startswith("elsewhere."):
            return {"Thing": Thing}[name]
        assert module != HERE
        return super().find_class(module, name)


@pytest.mark.parametrize("dumps", [pickle.dumps, pickle._dumps], ids=["c", "python"])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_renaming_touches_globals_only(protocol, dumps):
    data = dumps(DATA, protocol)
    renamed = _C._pickle_rename(data, HERE, "elsewhere")
    assert Renamed(io.BytesIO(renamed)).load() == DATA
    assert _C._pickle_rename(data, "absent", "elsewhere").count(b"elsewhere") == 0
    assert pickle.loads(_C._pickle_rename(data, "absent", "elsewhere")) == DATA
    # A prefix is a whole name or one that ends at a dot.
    shorter = _C._pickle_rename(data, HERE[:-1], "elsewhere")
    assert pickle.loads(shorter) == DATA


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_length_and_names(protocol):
    data = pickle.dumps(DATA, protocol)
    assert _C._pickle_length(data + b"rest") == len(data)
    assert _C._pickle_length(b"12345" + data, 5) == len(data)
    assert _C._pickle_length(data[:-1]) == 0
    names = _C._pickle_globals(data)
    assert (HERE, "Thing") in names and ("collections", "OrderedDict") in names
    assert _C._pickle_globals(b"ab" + data, 2) == names


def test_submodules_are_renamed_too():
    data = pickle.dumps(json.decoder.JSONDecoder, 2)
    assert b"celsewhere.decoder\n" in _C._pickle_rename(data, "json", "elsewhere")


def test_no_pickle():
    for call in (_C._pickle_length, _C._pickle_globals, lambda d: _C._pickle_rename(d, "a", "b")):
        with pytest.raises(RuntimeError, match="is no opcode"):
            call(b"\xff")
    for call in (_C._pickle_globals, lambda d: _C._pickle_rename(d, "a", "b")):
        with pytest.raises(EOFError):
            call(b"N")
    with pytest.raises(ValueError, match="start 9"):
        _C._pickle_length(b"N.", 9)
    with pytest.raises(TypeError):
        _C._pickle_length("text")


# ---- the restricted unpickler ----

GLOBALS = {
    "collections.OrderedDict": collections.OrderedDict,
    "collections.Counter": collections.Counter,
    "builtins.set": set,
    "my.Thing": Thing,
    "my.fail": lambda *args: 1 // 0,
}


def find_global(module, name):
    try:
        return GLOBALS[f"{module}.{name}"]
    except KeyError:
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed") from None


def build(instance, state):
    if isinstance(instance, Thing):
        instance.__dict__.update(state)
        return instance
    raise pickle.UnpicklingError("cannot build that")


def run(data, start=0, encoding="utf-8"):
    return _C._unpickle(data, start, find_global, lambda id_: ["loaded", id_], build, encoding)


def U(text):
    data = text.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def G(module, name):
    return f"c{module}\n{name}\n".encode()


GOOD = [
    (b"N.", None),
    (b"\x88\x89\x86.", (True, False)),
    (b"K\xff.", 255),
    (b"M\x01\x02.", 513),
    (b"J\xff\xff\xff\xff.", -1),
    (b"\x8a\x00.", 0),
    (b"\x8a\x01\x80.", -128),
    (b"\x8a\x08" + b"\xff" * 7 + b"\x7f.", 2**63 - 1),
    (b"\x8a\x09" + b"\x00" * 8 + b"\x01.", 2**64),
    (b"\x8a\x09" + b"\x00" * 8 + b"\xff.", -(2**64)),
    (b"G" + struct.pack(">d", -2.5) + b".", -2.5),
    (U("hé\ud800") + b".", "hé\ud800"),
    (b"U\x03abc.", "abc"),
    (b").", ()),
    (b"(t.", ()),
    (b"(K\x01K\x02K\x03t.", (1, 2, 3)),
    (b"K\x01\x85.", (1,)),
    (b"K\x01K\x02K\x03\x87.", (1, 2, 3)),
    (b"].", []),
    (b"]K\x01a.", [1]),
    (b"](K\x01K\x02e.", [1, 2]),
    (b"](e.", []),
    (b"}K\x01K\x02s.", {1: 2}),
    (b"}(K\x01K\x02K\x03K\x04u.", {1: 2, 3: 4}),
    (b"\x8f.", set()),
    (b"K\x07q\x00\x85h\x00\x86.", ((7,), 7)),
    (b"K\x07r\x01\x00\x00\x00j\x01\x00\x00\x00\x86.", (7, 7)),
    (b"\x80\x02N.", None),
    (b"K\x01K\x02.", 2),
    (G("collections", "OrderedDict") + b")R.", collections.OrderedDict()),
    (G("collections", "OrderedDict") + b")RK\x01K\x02s.", collections.OrderedDict({1: 2})),
    (G("collections", "Counter") + b")\x81K\x01K\x02s.", collections.Counter({1: 2})),
    (G("builtins", "set") + b"](K\x01K\x02e\x85R.", {1, 2}),
    (G("my", "Thing") + U("v") + b"\x85R.", Thing("v")),
    (G("my", "Thing") + b")R}" + U("value") + b"K\x05sb.", Thing(5)),
    (b"(" + U("storage") + b"K\x01tQ.", ["loaded", ("storage", 1)]),
]


@pytest.mark.parametrize("data,expected", GOOD)
def test_what_runs(data, expected):
    result, end = run(data)
    assert result == expected and type(result) is type(expected)
    assert end == len(data)
    assert run(b"junk" + data + b"rest", 4) == (expected, 4 + len(data))


U_ERROR = pickle.UnpicklingError
BAD = [
    *[
        (bytes([op]) + b"1\n1\n.", U_ERROR, f"Unsupported operand {op}")
        for op in b"012FILSVTBlodipg"
    ],
    *[(bytes([op, 1, 0, 0]), U_ERROR, f"Unsupported operand {op}") for op in range(0x8B, 0x8F)],
    *[
        (bytes([op]), U_ERROR, f"Unsupported operand {op}")
        for op in range(0x90, 0x100)
        if op != 0x92
    ],
    (G("os", "system") + b".", U_ERROR, "os.system is not allowed"),
    (b"K\x01)R.", U_ERROR, "Trying to call reduce for unrecognized function 1"),
    (b"K\x01)\x81.", U_ERROR, "Can only create new object for nn.Parameter or classes"),
    (G("collections", "OrderedDict") + b")R)R.", U_ERROR, "unrecognized function OrderedDict"),
    (b"}K\x01a.", U_ERROR, "Can only append to lists, but got <class 'dict'>"),
    (b"}(K\x01e.", U_ERROR, "Can only extend lists, but got <class 'dict'>"),
    (b"]K\x01K\x02s.", U_ERROR, "Can only SETITEM for dict, collections.OrderedDict, "),
    (b"](K\x01K\x02u.", U_ERROR, "Can only SETITEMS for dict, collections.OrderedDict, "),
    (G("my", "Thing") + b")RK\x01a.", U_ERROR, "Can only append to lists"),
    (b"(" + U("module") + b"tQ.", U_ERROR, "Only persistent_load of storage is allowed"),
    (b"}}b.", U_ERROR, "cannot build that"),
    (G("my", "fail") + b")R.", ZeroDivisionError, ""),
    (G("my", "fail") + b")\x81.", TypeError, "is not a type object"),
    (b"}]K\x01s.", TypeError, "unhashable"),
    (b"}(K\x01u.", IndexError, ""),
    (b".", IndexError, "pop from empty list"),
    (b"(.", IndexError, "pop from empty list"),
    (b"t.", IndexError, "pop from empty list"),
    (b"a.", IndexError, ""),
    (b"K\x01(a.", IndexError, ""),
    (b"(e.", IndexError, ""),
    (b"\x85.", IndexError, ""),
    (b"R.", IndexError, ""),
    (b"b.", IndexError, ""),
    (b"Q.", IndexError, ""),
    (b"q\x00.", IndexError, ""),
    (b"h\x05.", KeyError, "5"),
    (b"Nr\xff\xff\xff\xff.", U_ERROR, "Memo index"),
    (b"N", EOFError, ""),
    (b"", EOFError, ""),
    (b"K", EOFError, ""),
    (b"X\xff\xff\xff\xffab.", EOFError, ""),
    (b"\x8a\x05ab", EOFError, ""),
    (b"cmod", EOFError, ""),
    (b"cmod\nname", EOFError, ""),
    (b"X\x01\x00\x00\x00\xff.", UnicodeDecodeError, ""),
    (b"c\xff\na\n.", UnicodeDecodeError, ""),
    (b"U\x01\xff.", UnicodeDecodeError, ""),
]


@pytest.mark.parametrize("data,error,text", BAD)
def test_what_does_not(data, error, text):
    with pytest.raises(error) as caught:
        run(data)
    assert type(caught.value) is error
    assert text in str(caught.value)


def test_only_exact_containers_take_items():
    class MyList(list):
        pass

    GLOBALS["my.List"], GLOBALS["my.dict"] = MyList, collections.defaultdict
    try:
        with pytest.raises(U_ERROR, match="Can only append"):
            run(G("my", "List") + b")RK\x01a.")
        with pytest.raises(U_ERROR, match="Can only SETITEM"):
            run(G("my", "dict") + b")RK\x01K\x02s.")
    finally:
        del GLOBALS["my.List"], GLOBALS["my.dict"]


def test_protocols_other_than_2_are_warned_about():
    with pytest.warns(UserWarning, match="Detected pickle protocol 4 in the checkpoint"):
        assert run(b"\x80\x04N.")[0] is None


def test_strings_of_python_2():
    assert run(b"U\x02\xc3\xa4.")[0] == "ä"
    assert run(b"U\x02\xc3\xa4.", encoding="bytes")[0] == b"\xc3\xa4"
    assert run(b"U\x01\xe4.", encoding="latin1")[0] == "ä"


def test_the_result_survives_its_input():
    data = bytearray(pickle.dumps({"key": ["value", 2**80]}, 2))
    result, _ = run(data)
    data[:] = bytes(len(data))
    assert result == {"key": ["value", 2**80]}


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_damaged_pickles_never_do_more_than_raise():
    good = pickle.dumps({"a": [1, 2, (3, "x")], "b": collections.OrderedDict(c=1.5), "d": 2**70}, 2)
    rng = random.Random(1)
    for _ in range(20000):
        damaged = bytearray(good)
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(len(good))] = rng.randrange(256)
        try:
            run(bytes(damaged))
        except (U_ERROR, EOFError, IndexError, KeyError, TypeError, ValueError) as e:
            assert type(e) is not SystemError
        except ZeroDivisionError:
            pass
