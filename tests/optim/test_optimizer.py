"""What all optimizers share: groups, state, hooks, copies."""

import copy
import pickle

import pytest

import mindtorch_v2 as torch
from mindtorch_v2 import optim
from mindtorch_v2.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)


def parameter(n=2):
    return torch.nn.Parameter(torch.ones(n))


def with_grad(n=2):
    p = parameter(n)
    p.grad = torch.ones(n)
    return p


def test_groups_override_defaults():
    p, q = with_grad(), with_grad()
    optimizer = optim.SGD([{"params": [p], "lr": 0.5}, {"params": q}], lr=0.1)
    assert [g["lr"] for g in optimizer.param_groups] == [0.5, 0.1]
    optimizer.step()
    assert p.tolist() == [0.5, 0.5]
    assert q.tolist() == pytest.approx([0.9, 0.9])
    optimizer.add_param_group({"params": [r := with_grad()], "lr": 1.0})
    optimizer.step()
    assert r.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    "params, error, text",
    [
        ([], ValueError, "empty parameter list"),
        ([1], TypeError, "optimizer can only optimize Tensors, but one of the params is int"),
        ([{"params": {torch.ones(1)}}], TypeError, "ordered collections"),
        (torch.ones(1), TypeError, "should be an iterable of Tensors or dicts"),
        ([torch.ones(1, requires_grad=True) * 2], ValueError, "can't optimize a non-leaf Tensor"),
    ],
)
def test_refused_parameters(params, error, text):
    with pytest.raises(error, match=text):
        optim.SGD(params)


def test_a_parameter_belongs_to_one_group():
    p = parameter()
    with pytest.raises(ValueError, match="appear in more than one parameter group"):
        optim.SGD([{"params": [p]}, {"params": [p]}])
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optim.SGD([p, p])


def test_names_go_with_the_state():
    net = torch.nn.Linear(2, 1)
    optimizer = optim.Adam(net.named_parameters())
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    with pytest.raises(ValueError, match="with/without names"):
        optimizer.add_param_group({"params": [parameter()]})
    with pytest.raises(ValueError, match="Some param names are missing"):
        optim.Adam([("a", parameter()), parameter()])


def test_repr_lists_options_in_order():
    text = repr(optim.SGD([parameter()], lr=0.5))
    assert text.startswith(
        "SGD (\nParameter Group 0\n    dampening: 0\n    differentiable: False\n"
    )
    assert "    lr: 0.5\n" in text and text.endswith("weight_decay: 0\n)")


def test_state_dict_goes_round():
    p, q = with_grad(3), with_grad(2)
    optimizer = optim.Adam([p, q], lr=0.1, amsgrad=True)
    optimizer.step()
    saved = copy.deepcopy(optimizer.state_dict())
    assert sorted(saved["state"]) == [0, 1]
    assert sorted(saved["state"][0]) == ["exp_avg", "exp_avg_sq", "max_exp_avg_sq", "step"]

    twins = [torch.nn.Parameter(t.detach().clone()) for t in (p, q)]
    other = optim.Adam(twins, lr=7)
    other.load_state_dict(saved)
    assert other.param_groups[0]["lr"] == 0.1 and other.param_groups[0]["amsgrad"]
    for a, b in zip((p, q), twins, strict=True):
        a.grad = torch.full_like(a, 0.3)
        b.grad = a.grad.clone()
    optimizer.step()
    other.step()
    for a, b in zip((p, q), twins, strict=True):
        assert torch.equal(a, b)


def test_loaded_state_follows_its_parameter():
    p = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
    p.grad = torch.ones_like(p)
    optimizer = optim.Adam([p])
    optimizer.step()
    q = parameter()
    other = optim.Adam([q])
    other.load_state_dict(optimizer.state_dict())
    assert other.state[q]["exp_avg"].dtype == torch.float32
    assert other.state[q]["step"].dtype == torch.float32
    assert optimizer.state[p]["exp_avg"].dtype == torch.float64
    old = optimizer.state_dict()
    old["state"][0]["step"] = 4  # a number, as old files have it
    other.load_state_dict(old)
    assert torch.equal(other.state[q]["step"], torch.tensor(4.0))


def test_loading_wants_equal_groups():
    optimizer = optim.SGD([parameter()])
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optimizer.load_state_dict({"state": {}, "param_groups": []})
    state = optimizer.state_dict()
    state["param_groups"][0]["params"] = [0, 1]
    with pytest.raises(ValueError, match="doesn't match the size"):
        optimizer.load_state_dict(state)


@pytest.mark.parametrize("how", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_are_independent(how):
    p = with_grad()
    optimizer = optim.SGD([p], lr=0.1, momentum=0.9)
    optimizer.step()
    again = how(optimizer)
    (q,) = again.param_groups[0]["params"]
    assert q is not p and q in again.state
    q.grad = torch.ones(2)
    again.step()
    assert q.tolist() == pytest.approx([0.71, 0.71])
    assert p.tolist() == pytest.approx([0.9, 0.9])


def test_zero_grad():
    p = with_grad()
    held = p.grad
    optimizer = optim.SGD([p])
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is held and p.grad.tolist() == [0.0, 0.0]
    optimizer.zero_grad()
    assert p.grad is None


def test_closure_runs_with_gradients():
    p = parameter()
    optimizer = optim.SGD([p], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with torch.no_grad():
        assert optimizer.step(closure).item() == 2.0
        assert not torch.is_grad_enabled()
    assert p.tolist() == pytest.approx([0.8, 0.8])
    assert p.requires_grad and p.is_leaf


def test_grad_mode_is_restored_after_an_error():
    optimizer = optim.Adam([parameter()])
    with pytest.raises(KeyError):
        optimizer.step(lambda: {}["no"])
    assert torch.is_grad_enabled()


def test_step_hooks_run_in_order():
    seen = []
    optimizer = optim.SGD([with_grad()])
    hooks = [
        register_optimizer_step_pre_hook(lambda *a: seen.append("all before")),
        register_optimizer_step_post_hook(lambda *a: seen.append("all after")),
        optimizer.register_step_pre_hook(lambda *a: seen.append("before")),
        optimizer.register_step_post_hook(lambda *a: seen.append("after")),
    ]
    optimizer.step()
    assert seen == ["all before", "before", "after", "all after"]
    for hook in hooks:
        hook.remove()
    optimizer.step()
    assert len(seen) == 4


def test_a_step_hook_may_change_the_arguments():
    optimizer = optim.SGD([with_grad()])
    with optimizer.register_step_pre_hook(lambda opt, args, kwargs: ((opt, lambda: 5), {})):
        assert optimizer.step() == 5
    assert optimizer.step() is None
    optimizer.register_step_pre_hook(lambda *a: "no")
    with pytest.raises(RuntimeError, match="must return None or a tuple of"):
        optimizer.step()


def test_state_hooks_may_replace_the_state():
    optimizer = optim.SGD([with_grad()], lr=0.25)
    optimizer.register_state_dict_post_hook(lambda opt, state: {"inner": state})
    optimizer.register_load_state_dict_pre_hook(lambda opt, state: state["inner"])
    order = []
    optimizer.register_state_dict_pre_hook(lambda opt: order.append(1))
    optimizer.register_state_dict_pre_hook(lambda opt: order.append(0), prepend=True)
    optimizer.register_load_state_dict_post_hook(lambda opt: order.append(2))
    saved = optimizer.state_dict()
    assert list(saved) == ["inner"]
    optimizer.param_groups[0]["lr"] = 9
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["lr"] == 0.25
    assert order == [0, 1, 2]


def test_subclass_steps_are_wrapped_once():
    calls = []

    class Mine(optim.SGD):
        def step(self, closure=None):
            calls.append("mine")
            return super().step(closure)

    p = with_grad()
    optimizer = Mine([p], lr=1.0)
    optimizer.register_step_post_hook(lambda *a: calls.append("hook"))
    optimizer.step()
    assert calls[0] == "mine" and "hook" in calls and p.tolist() == [0.0, 0.0]
    assert Mine.step.hooked


def test_steps_show_in_a_profile():
    from mindtorch_v2.autograd import profiler

    p = with_grad()
    optimizer = optim.SGD([p])
    with profiler.profile() as prof:
        optimizer.step()
        optimizer.zero_grad()
    names = [event.name for event in prof.function_events]
    assert "Optimizer.step#SGD.step" in names
    assert "Optimizer.zero_grad#SGD.zero_grad" in names


def test_grad_scale_and_infinite_gradients():
    for name in ("SGD", "Adam", "AdamW", "Adagrad"):
        p, q = with_grad(), with_grad()
        p.grad *= 16
        scaled = getattr(optim, name)([p], lr=0.1, fused=True)
        bare = getattr(optim, name)([q], lr=0.1, fused=True)
        scaled.grad_scale, scaled.found_inf = torch.tensor(16.0), torch.tensor(0.0)
        scaled.step()
        bare.step()
        assert torch.allclose(p, q)
        before = p.detach().clone()
        p.grad = torch.full((2,), float("inf"))
        scaled.found_inf = torch.tensor(1.0)
        scaled.step()
        assert torch.equal(p, before)
        if name != "SGD":
            assert scaled.state[p]["step"].item() == 1


@pytest.mark.parametrize("name", ["Adam", "RMSprop", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop"])
def test_what_the_cpu_cannot_do_is_refused(name):
    p = with_grad()
    with pytest.raises(AssertionError, match="If capturable=True, params"):
        getattr(optim, name)([p], capturable=True).step()
    p.grad = p.grad.to_sparse()
    with pytest.raises(RuntimeError, match="does not support sparse gradients"):
        getattr(optim, name)([p]).step()


def test_swapped_in_parameters_and_state():
    p = with_grad()
    optimizer = optim.Adam([p], lr=0.1)
    optimizer.step()
    state = copy.deepcopy(optimizer.state_dict())
    other = {"w": torch.zeros(2, requires_grad=True)}
    other["w"].grad = torch.ones(2)
    before = p.detach().clone()
    with optim.swap_in_optimizer_params_and_state(optimizer, other, state):
        optimizer.step()
        optimizer.param_groups[0]["lr"] = 9
    assert other["w"].tolist() == pytest.approx([-0.1, -0.1])
    assert state["state"][0]["step"].item() == 2
    assert torch.equal(p, before) and optimizer.state[p]["step"].item() == 1
    assert optimizer.param_groups[0]["lr"] == 0.1
