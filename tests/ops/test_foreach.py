"""Operators on lists of tensors, and the fused optimizer steps."""

import math

import pytest

import mindtorch_v2 as torch


def lists():
    return [torch.tensor([1.0, -2.0]), torch.tensor([[3.0], [0.5]])]


def values(tensors):
    return [t.tolist() for t in tensors]


@pytest.mark.parametrize("name", "abs neg exp sqrt sigmoid reciprocal trunc".split())
def test_one_operand(name):
    a = [t.abs() for t in lists()]
    expected = values(getattr(t, name)() for t in a)
    made = getattr(torch, f"_foreach_{name}")(a)
    assert type(made) is tuple and values(made) == expected
    assert getattr(torch, f"_foreach_{name}_")(a) is a
    assert values(a) == expected


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "maximum", "minimum", "clamp_min"])
def test_second_operands(name):
    one = getattr(torch, {"maximum": "clamp_min", "minimum": "clamp_max"}.get(name, name))
    op, inplace = getattr(torch, f"_foreach_{name}"), getattr(torch, f"_foreach_{name}_")
    for other, each in (
        (2.5, [2.5, 2.5]),
        ([2.0, 4.0], [2.0, 4.0]),
        ([torch.ones(2) * 2, torch.ones(2, 1)], [torch.ones(2) * 2, torch.ones(2, 1)]),
    ):
        a = lists()
        expected = values(one(t, o) for t, o in zip(a, each))
        assert values(op(a, other)) == expected
        assert inplace(a, other) is a and values(a) == expected


def test_numbers_in_tensors():
    a = lists()
    assert values(torch._foreach_mul(a, torch.tensor(2.0))) == [[2.0, -4.0], [[6.0], [1.0]]]
    assert values(torch._foreach_add(a, torch.tensor(1.0), alpha=3)) == [[4.0, 1.0], [[6.0], [3.5]]]
    made = torch._foreach_addcmul(a, a, a, torch.tensor([1.0, 2.0]))
    assert values(made) == [[2.0, 2.0], [[21.0], [1.0]]]
    torch._foreach_addcdiv_(a, a, a, torch.tensor([1, 2]))
    assert values(a) == [[2.0, -1.0], [[5.0], [2.5]]]


def test_other_operators():
    a = lists()
    assert values(torch._foreach_norm(a)) == pytest.approx([math.sqrt(5), math.sqrt(9.25)])
    assert values(torch._foreach_norm(a, math.inf)) == [2.0, 3.0]
    assert values(torch._foreach_max(a)) == [1.0, 3.0]
    assert torch._foreach_pow(2.0, a)[0].tolist() == [2.0, 0.25]
    assert values(torch._foreach_pow(a, [2, 1])) == [[1.0, 4.0], [[3.0], [0.5]]]
    b = [torch.zeros(2), torch.zeros(2, 1)]
    assert values(torch._foreach_lerp(a, b, 0.5)) == [[0.5, -1.0], [[1.5], [0.25]]]
    assert values(torch._foreach_lerp(a, b, [0.5, 0.0])) == [[0.5, -1.0], [[3.0], [0.5]]]
    torch._foreach_copy_(b, a)
    assert values(b) == values(a) and b[0] is not a[0]
    copies = torch._foreach_clone(a)
    torch._foreach_zero_(a)
    assert values(a) == [[0.0, 0.0], [[0.0], [0.0]]] and copies[0].tolist() == [1.0, -2.0]
    assert values(torch._foreach_mm([torch.eye(2)], [torch.ones(2, 1)])) == [[[1.0], [1.0]]]


def test_gradients_and_versions():
    a = [t.requires_grad_() for t in lists()]
    sum(t.sum() for t in torch._foreach_mul(a, 3)).backward()
    assert a[0].grad.tolist() == [3.0, 3.0]
    b = lists()
    torch._foreach_add_(b, 1)
    assert [t._version for t in b] == [1, 1]
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        torch._foreach_add_(a, 1)


def test_refused():
    a = lists()
    with pytest.raises(RuntimeError, match="^Tensor list must have at least one tensor.$"):
        torch._foreach_exp([])
    with pytest.raises(RuntimeError, match="^Tensor lists must have the same number of tensors, got 2 and 1$"):
        torch._foreach_mul(a, a[:1])
    with pytest.raises(RuntimeError, match="^Tensor list must have same number of elements as scalar list.$"):
        torch._foreach_add(a, [1.0])
    with pytest.raises(RuntimeError, match="expected to be 0 dim but it has 1 dimensions and 2 elements"):
        torch._foreach_mul(a, torch.ones(2))
    with pytest.raises(RuntimeError, match="to match input of length 2 but got 3 instead"):
        torch._foreach_addcdiv(a, a, a, torch.ones(3))
    with pytest.raises(TypeError, match=r"argument 'self' \(position 1\) must be tuple of Tensors, not int"):
        torch._foreach_exp(1)


SGD = dict(weight_decay=0.0, momentum=0.0, lr=0.5, dampening=0.0, nesterov=False, maximize=False, is_first_step=False)
ADAM = dict(lr=0.5, beta1=0.5, beta2=0.75, weight_decay=0.0, eps=0.0, amsgrad=False, maximize=False)


def test_sgd_takes_any_layout_and_half_types():
    p = torch.arange(6.0).reshape(2, 3).t()
    torch._fused_sgd_([p], [torch.ones(3, 2)], [], **SGD)
    assert p.tolist() == [[-0.5, 2.5], [0.5, 3.5], [1.5, 4.5]] and p._version == 1
    q = torch.zeros(1000, dtype=torch.bfloat16)
    torch._fused_sgd_([q], [torch.ones(1000, dtype=torch.bfloat16)], [], **SGD)
    assert q.tolist() == [-0.5] * 1000
    wide = torch.zeros(4)[::2]
    torch._fused_sgd_([wide], [torch.ones(2)], [], **SGD)
    assert wide.tolist() == [-0.5, -0.5]


def test_a_scaled_gradient_is_unscaled_in_place():
    p, g = torch.zeros(2), torch.tensor([4.0, 8.0])
    torch._fused_sgd_([p], [g], [], grad_scale=torch.tensor(4.0), found_inf=torch.tensor(0.0), **SGD)
    assert p.tolist() == [-0.5, -1.0] and g.tolist() == [1.0, 2.0]
    torch._fused_sgd_([p], [g], [], grad_scale=torch.tensor(4.0), found_inf=torch.tensor(1.0), **SGD)
    assert p.tolist() == [-0.5, -1.0]


def test_adam_is_the_same_for_every_thread_count():
    threads = torch.get_num_threads()
    made = []
    for n in (1, 2, 4):
        torch.set_num_threads(n)
        torch.manual_seed(0)
        p = [torch.randn(100_003), torch.randn(7), torch.randn(300, 300)]
        g, m, v = [torch.randn_like(t) for t in p], [torch.zeros_like(t) for t in p], [torch.zeros_like(t) for t in p]
        torch._fused_adamw_(p, g, m, v, [], [torch.tensor(1.0)] * 3, **(ADAM | {"weight_decay": 0.1}))
        made.append(p + m + v)
    torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for other in made[1:] for a, b in zip(made[0], other))


def test_steps_refuse():
    p = [torch.ones(2)]
    with pytest.raises(RuntimeError, match=r"Expected grads.size\(\) == n_tensors to be true, but got false"):
        torch._fused_sgd_(p, [], [], **SGD)
    with pytest.raises(NotImplementedError, match="\"fused_adam_kernel\" not implemented for 'Int'"):
        i = [torch.ones(2, dtype=torch.int32)]
        torch._fused_adam_(i, i, i, i, [], [torch.tensor(1.0)], **ADAM)
    with pytest.raises(RuntimeError, match="expected scalar type Float but found Double"):
        torch._fused_sgd_(p, [torch.ones(2, dtype=torch.float64)], [], **SGD)
