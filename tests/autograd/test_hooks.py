"""Hooks of tensors and nodes, retained gradients, detach_."""

import gc
import weakref

import pytest

import mindtorch_v2 as torch


def test_leaf_hook_changes_the_gradient_and_can_be_removed():
    x = torch.ones(3, requires_grad=True)
    seen = []
    first = x.register_hook(lambda g: seen.append(g.tolist()))
    second = x.register_hook(lambda g: g * 10)
    (x * 2).sum().backward()
    assert seen == [[2.0, 2.0, 2.0]]
    assert x.grad.tolist() == [20.0, 20.0, 20.0]
    second.remove()
    first.remove()
    x.grad = None
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0, 2.0] and len(seen) == 1


def test_hook_on_the_leaf_is_seen_by_a_graph_made_before():
    x = torch.ones(2, requires_grad=True)
    y = (x * 3).sum()
    x.register_hook(lambda g: g + 1)
    y.backward()
    assert x.grad.tolist() == [4.0, 4.0]


def test_non_leaf_hook_and_order():
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: g * 3)
    y.register_hook(lambda g: g + 1)
    (y * 5).sum().backward()
    assert x.grad.tolist() == [32.0, 32.0]


def test_hook_gets_the_right_output_of_a_node_of_several():
    x = torch.tensor([[0.0, 1.0], [2.0, 3.0]], requires_grad=True)
    a, b = x.unbind(0)
    b.register_hook(lambda g: g * 7)
    (a.sum() + b.sum()).backward()
    assert x.grad.tolist() == [[1.0, 1.0], [7.0, 7.0]]


def test_hooks_run_before_autograd_grad_captures():
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: g * 2)
    assert torch.autograd.grad((y * 3).sum(), y)[0].tolist() == [6.0, 6.0]


@pytest.mark.parametrize(
    "hook, error, text",
    [
        (lambda g: 1, TypeError, "expected Variable, but hook returned 'int'"),
        (lambda g: g[:1], RuntimeError, "hook '<lambda>' has changed the size of value"),
        (
            lambda g: torch.tensor([1.0, 1.0], dtype=torch.float64), RuntimeError,
            r"hook '<lambda>' has changed the type of value \(was torch.FloatTensor got torch.DoubleTensor\)",
        ),
    ],
)
def test_bad_results_of_a_hook(hook, error, text):
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    y.register_hook(hook)
    with pytest.raises(error, match=text):
        y.sum().backward()


def test_an_exception_of_a_hook_comes_through():
    x = torch.ones(2, requires_grad=True)

    def hook(grad):
        raise KeyError("mine")

    x.register_hook(hook)
    with pytest.raises(KeyError, match="mine"):
        x.sum().backward()


def test_what_cannot_have_hooks():
    plain = torch.ones(2)
    with pytest.raises(RuntimeError, match="cannot register a hook on a tensor that doesn't require gradient"):
        plain.register_hook(print)
    with pytest.raises(RuntimeError, match="can't retain_grad on Tensor that has requires_grad=False"):
        plain.retain_grad()
    with pytest.raises(RuntimeError, match="cannot be registered on non-leaf tensors"):
        (torch.ones(2, requires_grad=True) * 2).register_post_accumulate_grad_hook(print)


def test_retain_grad():
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    assert not y.retains_grad
    y.retain_grad()
    y.register_hook(lambda g: g * 2)
    assert y.retains_grad
    (y * 3).sum().backward(retain_graph=True)
    assert y.grad.tolist() == [6.0, 6.0] and x.grad.tolist() == [12.0, 12.0]
    (y * 3).sum().backward()
    assert y.grad.tolist() == [12.0, 12.0]
    x.retain_grad()
    assert not x.retains_grad


def test_post_accumulate_hook_sees_the_sum():
    x = torch.ones(2, requires_grad=True)
    seen = []
    handle = x.register_post_accumulate_grad_hook(lambda t: seen.append((t is x, t.grad.tolist())))
    (x * 2).sum().backward()
    (x * 3).sum().backward()
    assert seen == [(True, [2.0, 2.0]), (True, [5.0, 5.0])]
    handle.remove()
    x.sum().backward()
    assert len(seen) == 2


def test_node_hooks():
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    order = []
    y.grad_fn.register_prehook(lambda gs: (order.append("pre"), (gs[0] * 2,))[1])

    def after(inputs, outputs):
        order.append("post")
        assert outputs[0].tolist() == [2.0, 2.0] and inputs[1] is None
        return inputs[0] + 1, None

    handle = y.grad_fn.register_hook(after)
    y.sum().backward()
    assert order == ["pre", "post"] and x.grad.tolist() == [5.0, 5.0]
    handle.remove()
    assert len(y.grad_fn.next_functions) == 2


def test_node_hook_must_return_a_tuple_of_the_right_length():
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    y.grad_fn.register_hook(lambda a, b: (a[0],))
    with pytest.raises(RuntimeError, match=r"incorrect number of values \(got 1, but expected 2\)"):
        y.sum().backward()
    z = x * 2
    z.grad_fn.register_hook(lambda a, b: a[0])
    with pytest.raises(TypeError, match="expected tuple, but hook returned 'Tensor'"):
        z.sum().backward()


def test_hook_on_the_accumulator():
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    seen = []
    y.grad_fn.next_functions[0][0].register_hook(lambda i, o: seen.append((i, o[0].tolist())))
    y.sum().backward()
    assert seen == [((), [2.0, 2.0])]


def test_hooks_before_an_inplace_write_stay_with_the_old_value():
    x = torch.ones(2, requires_grad=True)
    y = x * 1
    seen = []
    y.register_hook(lambda g: seen.append(("old", g.tolist())))
    y.mul_(3)
    y.register_hook(lambda g: seen.append(("new", g.tolist())))
    y.sum().backward()
    assert seen == [("new", [1.0, 1.0]), ("old", [3.0, 3.0])]


def test_backward_hooks_attribute():
    x = torch.ones(2, requires_grad=True)
    assert x._backward_hooks is None
    handle = x.register_hook(lambda g: g * 2)
    assert list(x._backward_hooks) == [handle.id]
    x._backward_hooks = None
    x.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_detach_in_place():
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    assert y.detach_() is y
    assert y.grad_fn is None and not y.requires_grad and y.is_leaf
    with pytest.raises(RuntimeError, match="Can't detach views in-place"):
        (x * 2)[0].detach_()


def test_a_hook_that_holds_its_tensor_is_collected():
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    y.register_hook(lambda g, y=y: None)
    x.register_hook(lambda g, x=x: None)
    dead = weakref.ref(x), weakref.ref(y)
    del x, y
    gc.collect()
    assert dead[0]() is None and dead[1]() is None
