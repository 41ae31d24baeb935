"""Parameter, Buffer, and their forms without a shape."""

import copy
import pickle

import pytest

import mindtorch_v2 as torch
from mindtorch_v2 import nn
from mindtorch_v2.nn.parameter import (
    UninitializedBuffer,
    UninitializedParameter,
    UninitializedTensorMixin,
    is_lazy,
)


def test_a_parameter_shares_memory_and_takes_gradients():
    x = torch.ones(3)
    p = nn.Parameter(x)
    assert isinstance(p, nn.Parameter) and isinstance(p, torch.Tensor)
    assert p.data_ptr() == x.data_ptr() and p.requires_grad and p.is_leaf
    assert nn.Parameter().shape == (0,)
    assert not nn.Parameter(torch.ones(1, dtype=torch.int64), requires_grad=False).requires_grad
    assert type(p * 2) is torch.Tensor
    assert repr(p).startswith("Parameter containing:\n")


def test_integers_take_no_gradients():
    with pytest.raises(RuntimeError, match="floating point and complex dtype"):
        nn.Parameter(torch.ones(1, dtype=torch.int64))


def test_subclasses_keep_their_class():
    class Mine(torch.Tensor):
        pass

    p = nn.Parameter(torch.ones(2).as_subclass(Mine))
    assert type(p) is Mine and isinstance(p, nn.Parameter)
    m = nn.Module()
    m.p = p
    assert list(m._parameters) == ["p"]


def test_copies():
    p = nn.Parameter(torch.ones(2), requires_grad=False)
    twin = copy.deepcopy([p, p])
    assert twin[0] is twin[1] and twin[0] is not p
    assert type(twin[0]) is nn.Parameter and not twin[0].requires_grad


def test_pickles_rebuild_through_utils():
    p = nn.Parameter(torch.ones(2))
    rebuild, args = p.__reduce_ex__(2)[:2]
    assert rebuild.__name__ == "_rebuild_parameter"
    assert rebuild.__module__.endswith("._utils")
    assert args[0].tolist() == [1.0, 1.0] and args[1] is True
    p.note = "x"
    rebuild, args = p.__reduce_ex__(2)[:2]
    assert rebuild.__name__ == "_rebuild_parameter_with_state" and args[3] == {"note": "x"}


def test_buffers():
    b = nn.Buffer(torch.ones(2), persistent=False)
    assert isinstance(b, nn.Buffer) and type(b) is torch.Tensor
    assert not isinstance(torch.ones(2), nn.Buffer)
    m = nn.Module()
    m.kept, m.left_out = nn.Buffer(torch.ones(1)), b
    assert [n for n, _ in m.named_buffers()] == ["kept", "left_out"]
    assert list(m.state_dict()) == ["kept"]


def test_placeholders_can_be_moved_but_not_used():
    p = UninitializedParameter(dtype=torch.float64)
    assert is_lazy(p) and isinstance(p, nn.Parameter)
    assert isinstance(p, UninitializedTensorMixin)
    assert repr(p) == "<UninitializedParameter>"
    assert p.dtype == torch.float64 and p.requires_grad
    with pytest.raises(RuntimeError, match="Can't access the shape of an uninitialized"):
        p.shape  # noqa: B018
    with pytest.raises(ValueError, match="Attempted to use an uninitialized parameter"):
        p + 1
    with pytest.raises(RuntimeError, match="Can't share memory on an uninitialized"):
        p.share_memory_()
    p.materialize((2, 3))
    assert type(p) is nn.Parameter and p.shape == (2, 3) and p.dtype == torch.float64


def test_placeholder_buffers():
    b = UninitializedBuffer(persistent=False)
    assert isinstance(b, nn.Buffer) and not b.persistent
    b.materialize((4,))
    assert type(b) is torch.Tensor and b.shape == (4,) and isinstance(b, nn.Buffer)


def test_placeholders_copy_and_pickle():
    p = UninitializedParameter(requires_grad=False)
    assert type(copy.deepcopy(p)) is UninitializedParameter
    again = pickle.loads(pickle.dumps(p))
    assert is_lazy(again) and not again.requires_grad


# --------------------------------------------------------------------------------- lazy layers


@pytest.mark.parametrize(
    "lazy, shape, plain, text",
    [
        (lambda: nn.LazyLinear(4), (2, 3), nn.Linear, "in_features=3, out_features=4, bias=True"),
        (lambda: nn.LazyConv1d(4, 2), (2, 3, 5), nn.Conv1d, "3, 4, kernel_size=(2,), stride=(1,)"),
        (lambda: nn.LazyConvTranspose2d(4, 2, groups=1), (2, 3, 5, 5), nn.ConvTranspose2d, "3, 4"),
        (lambda: nn.LazyBatchNorm2d(), (2, 3, 5, 5), nn.BatchNorm2d, "3, eps=1e-05"),
        (lambda: nn.LazyInstanceNorm1d(), (2, 3, 5), nn.InstanceNorm1d, "3, eps=1e-05"),
    ],
)
def test_lazy_layers_become_ordinary_ones(lazy, shape, plain, text):
    m = lazy()
    assert m.has_uninitialized_params()
    twin = copy.deepcopy(m)
    m(torch.ones(shape))
    assert type(m) is plain and m.extra_repr().startswith(text)
    assert not m._forward_pre_hooks and not m._load_state_dict_pre_hooks
    assert type(twin) is type(lazy())


def test_lazy_layers_draw_what_plain_ones_draw():
    torch.manual_seed(3)
    lazy = nn.LazyLinear(4)
    lazy(torch.ones(1, 3))
    torch.manual_seed(3)
    plain = nn.Linear(3, 4)
    assert lazy.weight.tolist() == plain.weight.tolist()
    assert lazy.bias.tolist() == plain.bias.tolist()


def test_lazy_layers_load_shapes():
    m, plain = nn.LazyLinear(4), nn.Linear(3, 4)
    m.load_state_dict(plain.state_dict())
    assert m.weight.tolist() == plain.weight.tolist()
    assert m(torch.ones(1, 3)).shape == (1, 4) and type(m) is nn.Linear
    with pytest.raises(RuntimeError, match="Can't access the shape of an uninitialized"):
        nn.Linear(3, 4).load_state_dict(nn.LazyLinear(4).state_dict())


def test_lazy_convolutions_check_dimensions():
    with pytest.raises(
        RuntimeError, match=r"Expected 3D \(unbatched\) or 4D \(batched\) input to LazyConv2d"
    ):
        nn.LazyConv2d(2, 1)(torch.ones(3, 3))


def test_own_lazy_module():
    class Scale(nn.modules.lazy.LazyModuleMixin, nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.UninitializedParameter()

        def initialize_parameters(self, x):
            self.w.materialize(x.shape[-1:])
            nn.init.ones_(self.w)

        def forward(self, x):
            return x * self.w

    m = Scale()
    assert m(torch.ones(2, 3)).tolist() == [[1.0] * 3] * 2

    class Forgetful(Scale):
        def initialize_parameters(self, x):
            pass

    with pytest.raises(RuntimeError, match="module Forgetful has not been fully initialized"):
        Forgetful()(torch.ones(1))
