"""Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict."""

from collections import OrderedDict

import pytest

import mindtorch_v2 as torch
from mindtorch_v2 import nn


def three(kind=nn.Sequential):
    layers = [nn.Linear(i, i) for i in (1, 2, 3)]
    return kind(*layers) if kind is nn.Sequential else kind(layers)


def sizes(container):
    return [m.in_features for m in container]


def names(container):
    return list(container._modules)


# --------------------------------------------------------------------------------- Sequential


def test_sequential_calls_in_order():
    m = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    x = torch.ones(4, 2)
    assert m(x).tolist() == m[2](m[1](m[0](x))).tolist()
    assert nn.Sequential()(5) == 5


def test_sequential_by_name():
    m = nn.Sequential(OrderedDict(a=nn.Tanh(), b=nn.ReLU()))
    assert names(m) == ["a", "b"] and m.a is m[0]
    assert names(m[1:]) == ["b"]
    del m[0]
    assert names(m) == ["0"]


@pytest.mark.parametrize("kind", [nn.Sequential, nn.ModuleList])
def test_list_operations(kind):
    m = three(kind)
    assert len(m) == 3 and m[-1].in_features == 3
    assert sizes(m[1:]) == [2, 3] and type(m[1:]) is kind
    m[0] = nn.Linear(7, 7)
    assert sizes(m) == [7, 2, 3]
    m.append(nn.Linear(4, 4))
    m.extend([nn.Linear(5, 5)])
    m.insert(1, nn.Linear(9, 9))
    assert sizes(m) == [7, 9, 2, 3, 4, 5] and names(m) == [str(i) for i in range(6)]
    assert m.pop(1).in_features == 9
    del m[1:3]
    assert sizes(m) == [7, 4, 5] and names(m) == ["0", "1", "2"]
    with pytest.raises(IndexError, match="index 3 is out of range"):
        m[3]
    with pytest.raises(TypeError):
        m["a"]


def test_sequential_arithmetic():
    a, b = three(), three()
    assert sizes(a + b) == [1, 2, 3, 1, 2, 3]
    assert sizes(a * 2) == sizes(2 * a) == [1, 2, 3, 1, 2, 3]
    same = a
    a += b
    assert a is same and len(a) == 6
    b *= 3
    assert len(b) == 9 and b[0] is b[3]
    with pytest.raises(ValueError, match="supports only objects of Sequential class"):
        a + [nn.Tanh()]
    with pytest.raises(ValueError, match="Non-positive multiplication factor 0"):
        a * 0
    with pytest.raises(TypeError, match="unsupported operand type"):
        a * 1.5


def test_module_list_arithmetic():
    a = three(nn.ModuleList)
    assert sizes(a + a) == [1, 2, 3, 1, 2, 3]
    a += [nn.Linear(4, 4)]
    assert sizes(a) == [1, 2, 3, 4]
    with pytest.raises(TypeError, match="should be called with an iterable, but got int"):
        a.extend(1)
    with pytest.raises(NotImplementedError):
        a(1)


def test_module_list_prints_runs_in_one_line():
    m = nn.ModuleList([nn.Tanh(), nn.Tanh(), nn.ReLU()])
    assert repr(m) == "ModuleList(\n  (0-1): 2 x Tanh()\n  (2): ReLU()\n)"
    assert repr(nn.ModuleList()) == "ModuleList()"


# --------------------------------------------------------------------------------- ModuleDict


def test_module_dict():
    m = nn.ModuleDict({"b": nn.Tanh(), "a": nn.ReLU()})
    assert list(m) == list(m.keys()) == ["b", "a"] and "a" in m and len(m) == 2
    m["c"] = nn.GELU()
    assert m.pop("b").__class__ is nn.Tanh
    m.update([("d", nn.SiLU())])
    assert [type(v).__name__ for v in m.values()] == ["ReLU", "GELU", "SiLU"]
    assert [k for k, _ in m.items()] == ["a", "c", "d"]
    del m["c"]
    with pytest.raises(KeyError):
        m["c"]
    m.clear()
    assert len(m) == 0


@pytest.mark.parametrize(
    "given, error, text",
    [
        (1, TypeError, "ModuleDict.update should be called with an iterable of key/value pairs"),
        ([1], TypeError, "update sequence element #0 should be Iterable; isint"),
        ([(1, 2, 3)], ValueError, "update sequence element #0 has length 3; 2 is required"),
        ([("a", 2)], TypeError, "int is not a Module subclass"),
    ],
)
def test_module_dict_checks(given, error, text):
    with pytest.raises(error, match=text):
        nn.ModuleDict(given)


# ------------------------------------------------------------------------------ ParameterList


def test_parameter_list():
    p = nn.ParameterList([torch.ones(1), nn.Parameter(torch.ones(2)), "text"])
    assert isinstance(p[0], nn.Parameter) and p[2] == "text" and len(p) == 3
    p.append(torch.zeros(3))
    p[0] = torch.zeros(4)
    assert [n for n, _ in p.named_parameters()] == ["0", "1", "3"]
    assert len(p[1:]) == 3 and type(p[1:]) is nn.ParameterList
    p += [torch.ones(1)]
    assert len(p) == 5
    with pytest.raises(RuntimeError, match="ParameterList should not be called"):
        p()
    with pytest.raises(TypeError, match="should be called with an iterable, but got int"):
        p.extend(1)
    text = repr(nn.ParameterList([torch.ones(2, 3), 5]))
    assert "(0): Parameter containing: [torch.float32 of size 2x3]" in text.replace(
        torch.__name__ + ".", "torch."
    )
    assert "(1): Object of type: int" in text


# ------------------------------------------------------------------------------ ParameterDict


def test_parameter_dict():
    p = nn.ParameterDict({"b": torch.ones(1), "a": nn.Parameter(torch.ones(2))})
    assert list(p) == ["a", "b"], "plain dictionaries are sorted"
    assert list(nn.ParameterDict(OrderedDict(b=torch.ones(1), a=torch.ones(1)))) == ["b", "a"]
    assert isinstance(p["b"], nn.Parameter) and "a" in p
    p["c"] = 3
    assert p.get("c") == 3 and p.get("z", 4) == 4 and p.setdefault("d", 5) == 5
    assert p.pop("c") == 3 and p.popitem() == ("d", 5)
    assert list(reversed(p)) == ["b", "a"]
    assert p.copy()["a"] is p["a"]
    both = p | {"e": 1}
    assert list(both) == ["a", "b", "e"] and list(p) == ["a", "b"]
    p |= {"f": 2}
    assert [k for k, _ in p.items()] == ["a", "b", "f"] and list(p.values())[-1] == 2
    assert list(p.state_dict()) == ["a", "b"]
    del p["f"]
    p.clear()
    assert len(p) == 0 and not list(p.parameters())
    with pytest.raises(TypeError, match="is not a string"):
        p[1] = 2
    with pytest.raises(RuntimeError, match="ParameterDict should not be called"):
        p(1)
    assert list(p.fromkeys(["x", "y"], 7).values()) == [7, 7]
