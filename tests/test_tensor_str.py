"""How tensors print: every option and every form by example."""

import math

import pytest

import mindtorch_v2 as torch


@pytest.fixture(autouse=True)
def default_options():
    torch.set_printoptions(profile="default")
    yield
    torch.set_printoptions(profile="default")


EXAMPLES = [
    (lambda: torch.tensor(3), "tensor(3)"),
    (lambda: torch.tensor(3.0), "tensor(3.)"),
    (lambda: torch.tensor(True), "tensor(True)"),
    (lambda: torch.tensor(-0.0), "tensor(-0.)"),
    (lambda: torch.tensor(1e-10), "tensor(1.0000e-10)"),
    (lambda: torch.tensor([1.5, -2]), "tensor([ 1.5000, -2.0000])"),
    (lambda: torch.tensor([1.0, 100]), "tensor([  1., 100.])"),
    (lambda: torch.tensor([1.0, 1001]), "tensor([1.0000e+00, 1.0010e+03])"),
    (lambda: torch.tensor([0.5, 1e9]), "tensor([5.0000e-01, 1.0000e+09])"),
    (lambda: torch.tensor([0.0, 0]), "tensor([0., 0.])"),
    (lambda: torch.tensor([1, -10, 100]), "tensor([  1, -10, 100])"),
    (lambda: torch.tensor([True, False]), "tensor([ True, False])"),
    (lambda: torch.tensor([math.nan, math.inf, -math.inf, 1]), "tensor([nan, inf, -inf, 1.])"),
    (lambda: torch.tensor([math.inf, 1.5]), "tensor([   inf, 1.5000])"),
    (lambda: torch.tensor([1 + 2j, -3.5j]), "tensor([1.+2.0000j, -0.-3.5000j])"),
    (lambda: torch.tensor([1, 2], dtype=torch.int32), "tensor([1, 2], dtype=torch.int32)"),
    (lambda: torch.tensor([1, 2], dtype=torch.uint8), "tensor([1, 2], dtype=torch.uint8)"),
    (lambda: torch.tensor([0.1], dtype=torch.float64), "tensor([0.1000], dtype=torch.float64)"),
    (lambda: torch.tensor([0.1], dtype=torch.float16), "tensor([0.1000], dtype=torch.float16)"),
    (lambda: torch.tensor([0.1], dtype=torch.bfloat16), "tensor([0.1001], dtype=torch.bfloat16)"),
    (lambda: torch.empty(0), "tensor([])"),
    (lambda: torch.empty(0, dtype=torch.int64), "tensor([], dtype=torch.int64)"),
    (lambda: torch.empty(2, 0), "tensor([], size=(2, 0))"),
    (lambda: torch.empty(0, 3, dtype=torch.int64), "tensor([], size=(0, 3), dtype=torch.int64)"),
    (lambda: torch.empty(2, device="meta"), "tensor(..., device='meta', size=(2,))"),
    (
        lambda: torch.empty(2, 3, device="meta", dtype=torch.int64),
        "tensor(..., device='meta', size=(2, 3), dtype=torch.int64)",
    ),
    (lambda: torch.tensor([[1, 2], [3, 4]]), "tensor([[1, 2],\n        [3, 4]])"),
    (lambda: torch.zeros(1, 1, 1), "tensor([[[0.]]])"),
    (
        lambda: torch.arange(8).reshape(2, 2, 2),
        "tensor([[[0, 1],\n         [2, 3]],\n\n        [[4, 5],\n         [6, 7]]])",
    ),
    (lambda: torch.ones(2, requires_grad=True), "tensor([1., 1.], requires_grad=True)"),
    (lambda: torch.ones(2, requires_grad=True) + 1, "tensor([2., 2.], grad_fn=<AddBackward0>)"),
    (
        lambda: torch.nn.Parameter(torch.ones(2)),
        "Parameter containing:\ntensor([1., 1.], requires_grad=True)",
    ),
]


@pytest.mark.parametrize("make,text", EXAMPLES, ids=[text[:40] for _, text in EXAMPLES])
def test_examples(make, text):
    assert repr(make()) == text
    assert str(make()) == text


def test_long_tensors_lose_their_middle():
    assert repr(torch.arange(1001)) == "tensor([   0,    1,    2,  ...,  998,  999, 1000])"
    assert repr(torch.arange(1000)).count(",") == 999
    text = repr(torch.zeros(40, 40))
    lines = text.splitlines()
    assert lines[0] == "tensor([[0., 0., 0.,  ..., 0., 0., 0.],"
    assert lines[3] == "        ..." + "," and len(lines) == 7
    # The width is that of the shown elements alone.
    hidden = torch.zeros(2000)
    hidden[1000] = 12345
    assert repr(hidden) == "tensor([0., 0., 0.,  ..., 0., 0., 0.])"


def test_lines_are_broken_at_their_width():
    text = repr(torch.arange(40))
    assert all(len(line) <= 80 for line in text.splitlines())
    assert text.splitlines()[1].startswith("        18, ")
    torch.set_printoptions(linewidth=40)
    assert all(len(line) <= 40 for line in repr(torch.arange(40)).splitlines())
    text = repr(torch.ones(8, dtype=torch.float64))
    assert text == ("tensor([1., 1., 1., 1., 1., 1., 1., 1.],\n       dtype=torch.float64)")


def test_options():
    tensor = torch.tensor([math.pi, 1000.5])
    torch.set_printoptions(precision=2)
    assert repr(tensor) == "tensor([   3.14, 1000.50])"
    torch.set_printoptions(precision=2, sci_mode=True)
    assert repr(tensor) == "tensor([3.14e+00, 1.00e+03])"
    torch.set_printoptions(precision=0, sci_mode=False)
    assert repr(tensor) == "tensor([   3, 1000])"
    torch.set_printoptions(profile="default", threshold=3, edgeitems=1)
    assert repr(torch.arange(5)) == "tensor([0,  ..., 4])"
    torch.set_printoptions(edgeitems=0)
    assert repr(torch.arange(5)) == "tensor([...], size=(5,))"
    torch.set_printoptions(profile="full")
    assert "..." not in repr(torch.arange(2000))
    torch.set_printoptions(profile="short")
    assert repr(torch.tensor([0.123])) == "tensor([0.12])"


def test_options_are_told_and_restored():
    options = torch._tensor_str.get_printoptions()
    assert options == {
        "precision": 4,
        "threshold": 1000,
        "edgeitems": 3,
        "linewidth": 80,
        "sci_mode": None,
    }
    with torch._tensor_str.printoptions(precision=1):
        assert repr(torch.tensor(0.25)) == "tensor(0.2)"
        assert torch._tensor_str.get_printoptions()["precision"] == 1
    assert torch._tensor_str.get_printoptions() == options


class Sub(torch.Tensor):
    pass


def test_subclasses_show_their_name():
    assert repr(torch.ones(2).as_subclass(Sub)) == "Sub([1., 1.])"


def test_the_default_dtype_goes_without_saying():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        assert repr(torch.ones(1, dtype=torch.float64)) == "tensor([1.])"
        assert repr(torch.ones(1, dtype=torch.float32)) == "tensor([1.], dtype=torch.float32)"
        assert (
            repr(torch.ones(1, dtype=torch.complex64)) == "tensor([1.+0.j], dtype=torch.complex64)"
        )
    finally:
        torch.set_default_dtype(before)


def test_given_contents():
    assert torch.ones(2).__repr__(tensor_contents="text") == "tensor(text)"


def test_formatting():
    assert f"{torch.tensor(2.5):.3f}" == "2.500"
    assert f"{torch.ones(2)}" == "tensor([1., 1.])"
