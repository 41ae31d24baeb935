"""What torch.library registers above kernels: vmap, autocast, __torch_dispatch__, fake kernels."""

import mindtorch_v2 as torch
import pytest
from mindtorch_v2.library import Library, custom_op, get_ctx, get_kernel, register_autocast, register_vmap
from mindtorch_v2.utils._python_dispatch import TorchDispatchMode


def make_sine():
    @custom_op("tests_rules::sine", mutates_args=())
    def sine(x: torch.Tensor) -> torch.Tensor:
        seen.append((tuple(x.shape), x.dtype))
        return x.sin()

    seen = []
    return sine, seen


def test_vmap_rule():
    sine, seen = make_sine()
    calls = []

    @sine.register_vmap
    def rule(info, in_dims, x):
        calls.append((info.batch_size, info.randomness, in_dims, tuple(x.shape)))
        return sine(x), in_dims[0]

    x = torch.arange(6.0).reshape(2, 3)
    assert torch.equal(torch.vmap(sine)(x), x.sin())
    assert calls == [(2, "error", (0,), (2, 3))] and seen == [((2, 3), torch.float32)]
    assert torch.equal(torch.vmap(sine, in_dims=1, out_dims=1)(x), x.sin())
    w = x.clone().requires_grad_()
    sine.register_autograd(lambda ctx, g: g * ctx.x.cos(), setup_context=lambda ctx, inputs, output: setattr(ctx, "x", inputs[0]))
    torch.vmap(sine)(w).sum().backward()
    assert torch.allclose(w.grad, x.cos())
    calls.clear()
    y = torch.arange(24.0).reshape(2, 3, 4)
    assert torch.equal(torch.vmap(torch.vmap(sine))(y), y.sin())
    assert [c[0] for c in calls] == [3, 2]


def test_vmap_rule_with_several_results():
    with Library("tests_rules2", "FRAGMENT") as lib:
        lib.define("both(Tensor x, Tensor y, float k) -> (Tensor, Tensor)")
        lib.impl("both", lambda x, y, k: (x + y, x * k), "CPU")

        def rule(info, in_dims, x, y, k):
            assert in_dims[2] is None
            if in_dims[1] is None:
                y = y.expand(info.batch_size, *y.shape)
            total, scaled = torch.ops.tests_rules2.both(x, y, k)
            return (total, scaled), (0, 0)

        register_vmap("tests_rules2::both", rule, lib=lib)
        x, y = torch.ones(2, 3), torch.arange(3.0)
        total, scaled = torch.vmap(torch.ops.tests_rules2.both, in_dims=(0, None, None))(x, y, 2.0)
        assert torch.equal(total, x + y) and torch.equal(scaled, x * 2)
        register_vmap("tests_rules2::both", lambda info, d, x, y, k: x, lib=lib)
        with pytest.raises(RuntimeError, match="must return \\(results, out_dims\\)"):
            torch.vmap(torch.ops.tests_rules2.both, in_dims=(0, None, None))(x, y, 2.0)


def test_autocast_rule():
    sine, seen = make_sine()
    register_autocast(sine, "cpu", torch.bfloat16)
    x = torch.ones(2)
    assert sine(x).dtype is torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert sine(x).dtype is torch.bfloat16
        assert sine(torch.ones(2, dtype=torch.float64)).dtype is torch.float64
    assert sine(x).dtype is torch.float32
    with pytest.raises(ValueError, match="Unknown device type: tpu"):
        register_autocast(sine, "tpu", torch.bfloat16)


def test_torch_dispatch_rules():
    sine, _ = make_sine()

    class Mode(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            raise AssertionError("the rule answers")

    class Sub(torch.Tensor):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            raise AssertionError("the rule answers")

    @sine.register_torch_dispatch(Mode)
    def with_mode(mode, func, types, args, kwargs):
        return torch.ones(7) if isinstance(mode, Mode) and func is sine._opoverload else None

    sine.register_torch_dispatch(Sub, lambda mode, func, types, args, kwargs: torch.ones(5) if mode is None else None)
    x = torch.ones(1)
    with Mode():
        assert sine(x).shape == (7,)
    assert sine(torch.ones(2).as_subclass(Sub)).shape == (5,)


def test_fake_kernels_and_context():
    sine, _ = make_sine()
    assert get_ctx() is None

    @sine.register_fake
    def fake(x):
        get_ctx()
        return torch.empty_like(x)

    with pytest.raises(RuntimeError, match="tests_rules::sine .*You're trying to run this operator with meta Tensors"):
        sine(torch.ones(1, device="meta"))
    assert get_ctx() is None


def test_kernels():
    kernel = get_kernel("aten::sin", "CPU")
    keys = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
    assert torch.equal(kernel.call_boxed(keys, torch.ones(2)), torch.ones(2).sin())
    with pytest.raises(ValueError, match="Invalid dispatch key: nope"):
        get_kernel("aten::sin", "nope")
    with pytest.raises(RuntimeError, match="operator aten::no_such does not exist"):
        get_kernel("aten::no_such", "CPU")


def test_kernels_can_be_taken_away():
    sine, _ = make_sine()
    sine.register_kernel("cpu", lambda x: x * 0)
    x = torch.ones(1)
    assert sine(x).item() == 0
    with sine.set_kernel_enabled("cpu", False):
        assert sine(x).item() == pytest.approx(0.8414709)
    assert sine(x).item() == 0
