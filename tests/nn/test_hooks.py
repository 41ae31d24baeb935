"""Hooks of modules: before and after forward, around backward, for one module and for all."""

import pytest

import mindtorch_v2 as torch
from mindtorch_v2 import nn
from mindtorch_v2.nn.modules import module as every_module
from mindtorch_v2.utils.hooks import RemovableHandle


class Double(nn.Module):
    def forward(self, x, shift=0.0):
        return x * 2 + shift


# ------------------------------------------------------------------------------------ forward


def test_pre_hooks_change_arguments():
    m = Double()
    m.register_forward_pre_hook(lambda mod, args: args[0] + 1)
    m.register_forward_pre_hook(lambda mod, args: (args[0] * 10,), prepend=True)
    assert m(torch.ones(1)).item() == 22.0
    m = Double()
    m.register_forward_pre_hook(lambda mod, args, kw: (args, {"shift": 5.0}), with_kwargs=True)
    assert m(torch.ones(1)).item() == 7.0


def test_pre_hooks_with_kwargs_return_both():
    m = Double()
    m.register_forward_pre_hook(lambda mod, args, kw: args, with_kwargs=True)
    with pytest.raises(RuntimeError, match="must return None or a tuple of"):
        m(torch.ones(1))


def test_forward_hooks_change_the_output_in_order():
    m = Double()
    m.register_forward_hook(lambda mod, args, out: out + 1)
    m.register_forward_hook(lambda mod, args, out: out * 10)
    m.register_forward_hook(lambda mod, args, out: None, prepend=True)
    seen = []
    m.register_forward_hook(
        lambda mod, args, kw, out: seen.append((kw, out.item())), with_kwargs=True
    )
    assert m(torch.ones(1), shift=1.0).item() == 40.0
    assert seen == [({"shift": 1.0}, 40.0)]


def test_always_called_hooks_run_when_forward_raises():
    class Broken(nn.Module):
        def forward(self, x):
            raise ValueError("broken")

    m = Broken()
    seen = []
    m.register_forward_hook(lambda *args: seen.append("plain"))
    m.register_forward_hook(lambda *args: seen.append("always"), always_call=True)
    with pytest.raises(ValueError, match="broken"):
        m(1)
    assert seen == ["always"]

    def broken_hook(*args):
        raise RuntimeError("worse")

    m.register_forward_hook(broken_hook, always_call=True)
    with (
        pytest.raises(ValueError, match="broken"),
        pytest.warns(UserWarning, match="silenced as another error was raised in forward: worse"),
    ):
        m(1)


def test_handles_remove_every_trace():
    m = nn.Linear(1, 1)
    handles = [
        m.register_forward_pre_hook(lambda *a: None, with_kwargs=True),
        m.register_forward_hook(lambda *a: None, with_kwargs=True, always_call=True),
        m.register_full_backward_hook(lambda *a: None),
        m.register_full_backward_pre_hook(lambda *a: None),
        m.register_state_dict_pre_hook(lambda *a: None),
        m.register_load_state_dict_post_hook(lambda *a: None),
    ]
    for handle in handles:
        assert isinstance(handle, RemovableHandle)
        handle.remove()
        handle.remove()
    assert all(not v for k, v in m.__dict__.items() if k.endswith("_hooks"))
    with m.register_forward_hook(lambda *a: 5):
        assert m(torch.ones(1, 1)) == 5
    assert not m._forward_hooks


# ----------------------------------------------------------------------------------- backward


def record(log, change=None):
    def hook(module, *grads):
        log.append([[None if g is None else g.tolist() for g in group] for group in grads])
        return change(*grads) if change else None

    return hook


def test_full_backward_hook_sees_the_gradients_of_the_module():
    class Steps(nn.Module):
        def forward(self, x):
            return (x * 2).exp() * 0 + x * 3

    m, log = Steps(), []
    m.register_full_backward_hook(record(log))
    x = torch.ones(2, requires_grad=True)
    (m(x) * torch.tensor([1.0, 10.0])).sum().backward()
    assert log == [[[[3.0, 30.0]], [[1.0, 10.0]]]]
    assert x.grad.tolist() == [3.0, 30.0]


def test_backward_hooks_change_gradients():
    m, log = Double(), []
    m.register_full_backward_pre_hook(record(log, lambda out: (out[0] * 5,)))
    m.register_full_backward_hook(record(log, lambda inp, out: (inp[0] + 1,)))
    x = torch.ones(1, requires_grad=True)
    m(x).backward()
    assert log == [[[[1.0]]], [[[10.0]], [[5.0]]]]
    assert x.grad.tolist() == [11.0]


def test_arguments_that_are_no_tensors_count_as_none():
    class Mixed(nn.Module):
        def forward(self, x, text, y):
            return x * 2, text, x + y

    m, log = Mixed(), []
    m.register_full_backward_hook(record(log))
    x, y = torch.ones(1, requires_grad=True), torch.ones(1)
    out, text, total = m(x, "text", y)
    assert text == "text"
    (out + total).backward()
    assert log == [[[[3.0], None, [0.0]], [[1.0], None, [1.0]]]]


def test_without_differentiable_arguments():
    m, log = nn.Linear(1, 1), []
    m.register_full_backward_hook(record(log))
    with pytest.warns(UserWarning, match="since no inputs require gradients"):
        m(torch.ones(1, 1)).sum().backward()
    assert log == [[[None], [[[1.0]]]]]
    m.register_full_backward_hook(lambda mod, inp, out: (torch.ones(1),))
    with (
        pytest.raises(RuntimeError, match="where no input requires gradient"),
        pytest.warns(UserWarning, match="since no inputs require gradients"),
    ):
        m(torch.ones(1, 1)).sum().backward()


def test_numbers_of_gradients_are_checked():
    m = Double()
    m.register_full_backward_hook(lambda mod, inp, out: (inp[0], inp[0]))
    with pytest.raises(RuntimeError, match="invalid number of grad_input, got 2, but expected 1"):
        m(torch.ones(1, requires_grad=True)).backward()
    m = Double()
    m.register_full_backward_pre_hook(lambda mod, out: (out[0], out[0]))
    with pytest.raises(RuntimeError, match="invalid number of grad_output, got 2, but expected 1"):
        m(torch.ones(1, requires_grad=True)).backward()


def test_without_grad_mode_nothing_is_recorded():
    m = Double()
    m.register_full_backward_hook(lambda *args: None)
    with torch.no_grad():
        assert not m(torch.ones(1, requires_grad=True)).requires_grad


def test_results_that_are_no_tensors_warn():
    class Dictionary(nn.Module):
        def forward(self, x):
            return {"out": x * 2}

    m = Dictionary()
    m.register_full_backward_hook(lambda *args: None)
    with pytest.warns(UserWarning, match="should be a Tensor or a tuple of Tensors"):
        m(torch.ones(1, requires_grad=True))


def test_the_two_kinds_do_not_mix():
    m = Double()
    m.register_full_backward_hook(lambda *args: None)
    with pytest.raises(RuntimeError, match="Cannot use both regular backward hooks and full"):
        m.register_backward_hook(lambda *args: None)
    m = Double()
    m.register_backward_hook(lambda *args: None)
    with pytest.raises(RuntimeError, match="Cannot use both regular backward hooks and full"):
        m.register_full_backward_hook(lambda *args: None)


def test_old_backward_hook_runs_at_the_last_node():
    class Twice(nn.Module):
        def forward(self, x):
            return (x * 3).tanh()

    m, log = Twice(), []
    m.register_backward_hook(record(log))
    x = torch.zeros(1, requires_grad=True)
    with pytest.warns(FutureWarning, match="multiple autograd Nodes"):
        out = m(x)
    out.backward()
    assert log == [[[[1.0]], [[1.0]]]], "the gradient of tanh, not of the module"
    assert x.grad.item() == 3.0


# -------------------------------------------------------------------------------- all modules


def test_hooks_for_all_modules_come_first():
    m = nn.Sequential(Double())
    log = []
    m[0].register_forward_hook(lambda mod, args, out: log.append("own"))
    handles = [
        every_module.register_module_forward_pre_hook(
            lambda mod, args: log.append("pre " + type(mod).__name__)
        ),
        every_module.register_module_forward_hook(
            lambda mod, args, out: log.append("all " + type(mod).__name__)
        ),
        every_module.register_module_full_backward_hook(
            lambda mod, inp, out: log.append("back " + type(mod).__name__)
        ),
    ]
    try:
        assert every_module._has_any_global_hook()
        m(torch.ones(1, requires_grad=True)).backward()
    finally:
        for handle in handles:
            handle.remove()
    assert log == [
        "pre Sequential",
        "pre Double",
        "all Double",
        "own",
        "all Sequential",
        "back Double",
        "back Sequential",
    ]
    assert not every_module._has_any_global_hook()


def test_registration_hooks_replace_what_is_registered():
    other = nn.Parameter(torch.zeros(3))
    handles = [
        every_module.register_module_parameter_registration_hook(lambda mod, name, p: other),
        every_module.register_module_buffer_registration_hook(lambda mod, name, b: b + 1),
        every_module.register_module_module_registration_hook(lambda mod, name, m: nn.Tanh()),
    ]
    try:
        m = nn.Module()
        m.p = nn.Parameter(torch.ones(1))
        m.register_buffer("b", torch.ones(1))
        m.m = nn.ReLU()
    finally:
        for handle in handles:
            handle.remove()
    assert m.p is other and m.b.item() == 2.0 and isinstance(m.m, nn.Tanh)
