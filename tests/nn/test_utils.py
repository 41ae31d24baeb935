"""nn.utils: clipping, vectors, fusion, formats, functional calls, pruning."""

import numpy as np
import pytest

import mindtorch_v2 as torch
from mindtorch_v2 import nn
from mindtorch_v2.nn.utils import prune, stateless


def close(got, want, tolerance=1e-5):
    np.testing.assert_allclose(got.detach().numpy(), want, rtol=tolerance, atol=tolerance)


def with_grads(*grads):
    params = []
    for grad in grads:
        p = nn.Parameter(torch.zeros(len(grad)))
        p.grad = torch.tensor(grad)
        params.append(p)
    return params


# ------------------------------------------------------------------------------------ clipping


@pytest.mark.parametrize("foreach", [None, False])
@pytest.mark.parametrize(
    "order, norm", [(2, 5.0), (1, 7.0), (float("inf"), 4.0), (0, 2.0), ("inf", 4.0)]
)
def test_clip_grad_norm(order, norm, foreach):
    params = with_grads([3.0, 0.0], [4.0])
    total = nn.utils.clip_grad_norm_(params, 1.0, order, foreach=foreach)
    assert total.item() == pytest.approx(norm)
    assert params[1].grad.item() == pytest.approx(4 / norm, rel=1e-5)


def test_small_gradients_stay():
    params = with_grads([0.3])
    nn.utils.clip_grad_norm_(iter(params), 1.0)
    assert params[0].grad.item() == pytest.approx(0.3)
    assert nn.utils.clip_grad_norm_(params[0], 0.1).item() == pytest.approx(0.3)
    assert nn.utils.clip_grad_norm_([nn.Parameter(torch.ones(1))], 1.0).item() == 0.0
    with pytest.warns(UserWarning, match="is an empty generator, no gradient clipping"):
        nn.utils.clip_grad_norm_(iter([]), 1.0)


def test_non_finite_norms():
    params = with_grads([float("nan")])
    with pytest.raises(RuntimeError, match="The total norm of order 2.0 for gradients from"):
        nn.utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
    assert nn.utils.clip_grad_norm_(params, 1.0).isnan().item()


def test_norm_and_scaling_apart():
    params = with_grads([3.0], [4.0])
    total = nn.utils.get_total_norm([p.grad for p in params])
    assert total.item() == pytest.approx(5.0)
    nn.utils.clip_grads_with_norm_(params, 1.0, torch.tensor(10.0))
    assert params[0].grad.item() == pytest.approx(0.3)


@pytest.mark.parametrize("foreach", [None, False])
def test_clip_grad_value(foreach):
    params = with_grads([-3.0, 0.5], [2.0])
    nn.utils.clip_grad_value_(params, 1, foreach=foreach)
    assert params[0].grad.tolist() == [-1.0, 0.5] and params[1].grad.tolist() == [1.0]


def test_former_name_of_clipping():
    with pytest.warns(FutureWarning, match="in favor of `torch.nn.utils.clip_grad_norm_`"):
        nn.utils.clip_grad_norm(with_grads([1.0]), 1.0)


# ------------------------------------------------------------------------------------- vectors


def test_parameters_as_a_vector():
    m = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(m.parameters())
    assert vector.shape == (9,) and vector.requires_grad
    nn.utils.vector_to_parameters(torch.arange(9.0), m.parameters())
    assert m.weight.tolist() == [[0, 1], [2, 3], [4, 5]] and m.bias.tolist() == [6, 7, 8]
    with pytest.raises(TypeError, match="expected torch.Tensor, but got: list"):
        nn.utils.vector_to_parameters([1], m.parameters())


# -------------------------------------------------------------------------------------- fusion


@pytest.mark.parametrize("transpose", [False, True])
def test_fused_convolution(transpose):
    layer = nn.ConvTranspose2d if transpose else nn.Conv2d
    conv, bn = layer(2, 3, 2, bias=False).eval(), nn.BatchNorm2d(3).eval()
    for t in (bn.running_mean, bn.running_var, bn.weight.data, bn.bias.data):
        t.uniform_(0.5, 2)
    x = torch.randn(1, 2, 4, 4)
    fused = nn.utils.fuse_conv_bn_eval(conv, bn, transpose)
    close(fused(x), bn(conv(x)).detach().numpy(), 1e-4)
    assert conv.bias is None
    with pytest.raises(AssertionError, match="Fusion only for eval!"):
        nn.utils.fuse_conv_bn_eval(conv.train(), bn)


def test_fused_linear():
    linear, bn = nn.Linear(3, 2).eval(), nn.BatchNorm1d(2).eval()
    bn.running_mean.uniform_()
    x = torch.randn(4, 3)
    close(nn.utils.fuse_linear_bn_eval(linear, bn)(x), bn(linear(x)).detach().numpy())
    with pytest.raises(AssertionError, match="To fuse, linear.out_features == bn.num_features"):
        nn.utils.fuse_linear_bn_eval(nn.Linear(3, 4).eval(), bn)


def test_weights_in_a_memory_format():
    m = nn.Sequential(nn.Conv2d(2, 2, 2), nn.Linear(2, 2))
    nn.utils.convert_conv2d_weight_memory_format(m, torch.channels_last)
    assert m[0].weight.is_contiguous(memory_format=torch.channels_last)


# ---------------------------------------------------------------------------- functional calls


def call(*args, **kwargs):
    return stateless._functional_call(*args, **kwargs)


def test_functional_call_replaces_for_one_call():
    m = nn.Linear(2, 1)
    weight = m.weight
    w = torch.ones(1, 2, requires_grad=True)
    out = call(m, {"weight": w, "bias": torch.zeros(1)}, torch.ones(3, 2))
    assert out.tolist() == [[2.0]] * 3
    out.sum().backward()
    assert w.grad.tolist() == [[3.0, 3.0]] and weight.grad is None and m.weight is weight


def test_functional_call_gives_buffers_back():
    m = nn.BatchNorm1d(2)
    given = {"running_mean": torch.full((2,), 5.0), "num_batches_tracked": torch.tensor(7)}
    call(m, given, torch.zeros(3, 2))
    assert given["running_mean"].tolist() == [4.5, 4.5]
    assert given["num_batches_tracked"].item() == 8
    assert m.running_mean.tolist() == [0.0, 0.0]


def test_functional_call_restores_after_errors():
    m = nn.Linear(2, 1)
    weight = m.weight
    with pytest.raises(RuntimeError):
        call(m, {"weight": torch.ones(5, 5)}, torch.ones(1, 2))
    assert m.weight is weight
    with pytest.raises(TypeError, match="1 is not an instance of torch.Tensor"):
        call(m, {"weight": 1}, torch.ones(1, 2))
    assert m.weight is weight


def test_tied_weights():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Parameter(torch.ones(1))
            self.b = self.a

        def forward(self):
            return self.a.item(), self.b.item()

    m, two, three = Tied(), torch.tensor([2.0]), torch.tensor([3.0])
    assert call(m, {"a": two}) == (2.0, 2.0)
    assert call(m, {"a": two}, tie_weights=False) == (2.0, 1.0)
    with pytest.raises(ValueError, match=r"multiple values for keys \['a', 'b'\], which are tied"):
        call(m, {"a": two, "b": three})


def test_strict_functional_calls():
    with pytest.raises(RuntimeError) as error:
        call(nn.Linear(1, 1), {"weight": torch.ones(1, 1), "x": torch.ones(1)}, 1, strict=True)
    assert str(error.value) == (
        "Error(s) in reparametrizing for Linear:\n"
        "\tUnexpected key(s): 'x'.\n\tMissing key(s): 'bias'."
    )


# ------------------------------------------------------------------------------------- pruning


def zeros(t):
    return (t == 0).nonzero().tolist()


def ramp():
    m = nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        m.weight.copy_(torch.tensor([[1.0, -2.0, 3.0], [-4.0, 5.0, -6.0]]))
    return m


def test_smallest_elements_are_pruned():
    m = prune.l1_unstructured(ramp(), "weight", 2)
    assert zeros(m.weight) == [[0, 0], [0, 1]] and zeros(m.weight_mask) == [[0, 0], [0, 1]]
    assert [n for n, _ in m.named_parameters()] == ["weight_orig"]
    assert list(m.state_dict()) == ["weight_orig", "weight_mask"]
    m(torch.ones(1, 3)).sum().backward()
    assert m.weight_orig.grad.tolist() == [[0.0, 0.0, 1.0], [1.0, 1.0, 1.0]]
    assert prune.is_pruned(m)
    prune.l1_unstructured(m, "weight", 0.25)
    assert zeros(m.weight) == [[0, 0], [0, 1], [0, 2]], "a quarter of the four that were left"
    (container,) = m._forward_pre_hooks.values()
    assert isinstance(container, prune.PruningContainer) and len(container) == 2
    prune.remove(m, "weight")
    assert list(m.state_dict()) == ["weight"] and not prune.is_pruned(m)
    assert isinstance(m.weight, nn.Parameter) and len(zeros(m.weight)) == 3
    with pytest.raises(ValueError, match="Parameter 'weight' of module .* has to be pruned"):
        prune.remove(m, "weight")


def test_slices_are_pruned():
    assert zeros(prune.ln_structured(ramp(), "weight", 1, 2, 0).weight) == [[0, 0], [0, 1], [0, 2]]
    assert zeros(prune.ln_structured(ramp(), "weight", 1, 1, 1).weight) == [[0, 0], [1, 0]]
    m = prune.random_structured(ramp(), "weight", 1, 1)
    assert len(zeros(m.weight)) == 2
    prune.ln_structured(m, "weight", 1, 2, 1)
    assert len(zeros(m.weight)) == 4
    with pytest.raises(ValueError, match="can only be applied to multidimensional tensors"):
        prune.ln_structured(nn.Linear(1, 2), "bias", 1, 2, 0)


def test_amounts_are_checked():
    assert len(zeros(prune.random_unstructured(ramp(), "weight", 0.5).weight)) == 3
    for amount, error in ((-1, ValueError), (1.5, ValueError), ("x", TypeError)):
        with pytest.raises(error):
            prune.random_unstructured(ramp(), "weight", amount)
    m = ramp()
    with pytest.raises(ValueError, match="amount=7 should be smaller than the number of"):
        prune.l1_unstructured(m, "weight", 7)
    assert list(m.state_dict()) == ["weight"], "a failed pruning leaves the module as it was"


def test_other_ways_to_choose():
    scores = torch.tensor([[6.0, 5.0, 4.0], [3.0, 2.0, 1.0]])
    m = prune.l1_unstructured(ramp(), "weight", 1, importance_scores=scores)
    assert zeros(m.weight) == [[1, 2]]
    m = prune.custom_from_mask(ramp(), "weight", torch.tensor([[1, 0, 1], [1, 1, 1]]))
    assert zeros(m.weight) == [[0, 1]]
    assert zeros(prune.identity(ramp(), "weight").weight) == []
    assert prune.L1Unstructured(1).prune(torch.tensor([3.0, 1.0])).tolist() == [3.0, 0.0]


def test_global_pruning():
    a, b = ramp(), ramp()
    with torch.no_grad():
        b.weight.mul_(10)
    prune.global_unstructured([(a, "weight"), (b, "weight")], prune.L1Unstructured, amount=6)
    assert len(zeros(a.weight)) == 6 and zeros(b.weight) == []
    with pytest.raises(TypeError, match='Only "unstructured" PRUNING_TYPE supported'):
        prune.global_unstructured([(ramp(), "weight")], prune.LnStructured, amount=1, n=2)


def test_own_method():
    class EveryOther(prune.BasePruningMethod):
        PRUNING_TYPE = "unstructured"

        def compute_mask(self, t, default_mask):
            mask = default_mask.clone()
            mask.view(-1)[::2] = 0
            return mask

    m = ramp()
    EveryOther.apply(m, "weight")
    assert zeros(m.weight) == [[0, 0], [0, 2], [1, 1]]
