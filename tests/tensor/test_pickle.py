"""Objects of the package travel by pickle, and copy, under the package's own name."""

import copy
import pickle
import subprocess
import sys
import textwrap

import pytest

import mindtorch_v2 as torch

OBJECTS = {
    "tensor": lambda: torch.arange(6.0).reshape(2, 3).t(),
    "parameter": lambda: torch.nn.Parameter(torch.ones(2)),
    "dtype": lambda: torch.bfloat16,
    "device": lambda: torch.device("cpu", 0),
    "size": lambda: torch.Size([2, 3]),
    "layout": lambda: torch.strided,
    "memory format": lambda: torch.channels_last,
    "class of tensors": lambda: torch.Tensor,
    "legacy class": lambda: torch.DoubleTensor,
    "class of dtypes": lambda: torch.dtype,
    "class of sizes": lambda: torch.Size,
    "function": lambda: torch.add,
}


def same(a, b):
    if isinstance(a, torch.Tensor):
        return type(a) is type(b) and torch.equal(a, b) and a.stride() == b.stride()
    return a == b and type(a) is type(b)


@pytest.mark.parametrize("kind", OBJECTS)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_round_trip(kind, protocol):
    made = OBJECTS[kind]()
    assert same(made, pickle.loads(pickle.dumps(made, protocol)))
    assert same(made, copy.deepcopy(made))


def test_generator_goes_on():
    generator = torch.Generator().manual_seed(5)
    torch.rand(3, generator=generator)
    again = pickle.loads(pickle.dumps(generator))
    assert again.initial_seed() == 5
    assert torch.equal(torch.rand(4, generator=generator), torch.rand(4, generator=again))
    with pytest.raises(TypeError):
        again.__setstate__([1])


def test_with_the_alias_and_without(tmp_path):
    """A program that calls the package torch reads what one without the alias wrote, and back."""
    program = textwrap.dedent("""
        import pickle, sys
        import mindtorch_v2
        if "alias" in sys.argv:
            sys.modules["torch"] = mindtorch_v2
        else:
            sys.modules["torch"] = None
        torch = mindtorch_v2
        what = [torch.ones(2), torch.nn.Linear(1, 1), torch.float32, torch.Size([1]), torch.device("cpu")]
        if "write" in sys.argv:
            pickle.dump(what, open(sys.argv[1], "wb"))
        else:
            got = pickle.load(open(sys.argv[1], "rb"))
            assert got[0].tolist() == [1.0, 1.0] and type(got[1]) is torch.nn.Linear
            assert got[2:] == what[2:]
    """)
    path = str(tmp_path / "objects")
    for writer, reader in (([], ["alias"]), (["alias"], [])):
        for mode in ([*writer, "write"], reader):
            subprocess.run([sys.executable, "-c", program, path, *mode], check=True)


def test_classes_are_shown_by_pytorchs_names():
    assert repr(torch.Tensor) == "<class 'torch.Tensor'>"
    assert repr(torch.FloatTensor) == "<class 'torch.FloatTensor'>"


class Slotted(torch.Tensor):
    __slots__ = ("first",)


def test_a_class_with_slots():
    base = torch.arange(4.0, requires_grad=True)
    view = base[1:].as_subclass(Slotted)
    view.first = "slot"
    assert type(view) is Slotted and view.first == "slot" and view.tolist() == [1, 2, 3]
    view.as_subclass(torch.Tensor).sum().backward()
    assert base.grad.tolist() == [0, 1, 1, 1]
