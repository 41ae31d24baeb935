"""Autocast: which operators convert their arguments, the cache of weights, decorators, scaling."""

import pytest

import mindtorch_v2 as torch

F = torch.nn.functional


def m(*shape, dtype=torch.float32):
    return torch.ones(shape, dtype=dtype)


LOWER = {
    "mm": lambda: torch.mm(m(2, 3), m(3, 2)),
    "bmm": lambda: torch.bmm(m(1, 2, 3), m(1, 3, 2)),
    "matmul": lambda: m(2, 3) @ m(3),
    "addmm": lambda: torch.addmm(m(2, 2), m(2, 3), m(3, 2)),
    "baddbmm": lambda: torch.baddbmm(m(1, 2, 2), m(1, 2, 3), m(1, 3, 2)),
    "linear": lambda: F.linear(m(2, 3), m(4, 3), m(4)),
    "conv1d": lambda: F.conv1d(m(1, 1, 5), m(1, 1, 3)),
    "conv2d": lambda: F.conv2d(m(1, 1, 5, 5), m(1, 1, 3, 3)),
    "conv_transpose2d": lambda: F.conv_transpose2d(m(1, 1, 5, 5), m(1, 1, 3, 3)),
}
FLOAT32 = {
    "mse_loss": lambda x: torch._C._nn.mse_loss(x, x),
    "smooth_l1_loss": lambda x: torch._C._nn.smooth_l1_loss(x, x),
    "cross_entropy": lambda x: F.cross_entropy(x, torch.zeros(2, dtype=torch.int64)),
    "nll_loss": lambda x: F.nll_loss(x, torch.zeros(2, dtype=torch.int64)),
    "bce_with_logits": lambda x: F.binary_cross_entropy_with_logits(x, x),
    "prod": lambda x: x.prod(),
    "prod.dim": lambda x: x.prod(0),
    "kl_div": lambda x: F.kl_div(x, x),
    "huber_loss": lambda x: torch._C._nn.huber_loss(x, x),
    "soft_margin_loss": lambda x: torch._C._nn.soft_margin_loss(x, x),
}
UNTOUCHED = {
    "add": lambda x: x + x,
    "exp": lambda x: x.exp(),
    "softmax": lambda x: x.softmax(0),
    "sum": lambda x: x.sum(),
    "relu": lambda x: x.relu(),
    "mean": lambda x: x.mean(),
    "layer_norm": lambda x: F.layer_norm(x, (2,)),
}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", LOWER)
def test_lower_precision(name, dtype):
    assert LOWER[name]().dtype == torch.float32
    with torch.autocast("cpu", dtype=dtype):
        assert LOWER[name]().dtype == dtype
        with torch.autocast("cpu", enabled=False):
            assert LOWER[name]().dtype == torch.float32
    assert LOWER[name]().dtype == torch.float32


@pytest.mark.parametrize("name", FLOAT32)
def test_float32(name):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert FLOAT32[name](m(2, 2, dtype=torch.bfloat16)).dtype == torch.float32


@pytest.mark.parametrize("name", UNTOUCHED)
def test_untouched(name):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for dtype in (torch.bfloat16, torch.float32):
            assert UNTOUCHED[name](m(2, 2, dtype=dtype)).dtype == dtype


def test_promotion():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.cat([m(2), m(2, dtype=torch.bfloat16)]).dtype == torch.float32
        assert torch.stack([m(2, dtype=torch.bfloat16)] * 2).dtype == torch.bfloat16
        assert torch.cat([m(2, dtype=torch.float64), m(2, dtype=torch.bfloat16)]).dtype == torch.float64
        with pytest.raises(RuntimeError, match="Unexpected floating ScalarType in at::autocast::prioritize"):
            torch.cat([m(2, dtype=torch.float16), m(2, dtype=torch.bfloat16)])


def test_out_and_double_are_left_alone():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.mm(m(2, 2), m(2, 2), out=torch.empty(2, 2)).dtype == torch.float32
        assert torch.mm(m(2, 2, dtype=torch.float64), m(2, 2, dtype=torch.float64)).dtype == torch.float64


def test_gradients_and_weight_cache():
    w = torch.full((2, 2), 0.5, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = m(3, 2) @ w
        z = m(3, 2) @ w
        cast = [out.grad_fn.next_functions[1][0] for out in (y, z)]
        assert cast[0] is cast[1]
        (y + z).float().sum().backward()
    assert w.grad.dtype == torch.float32 and w.grad.tolist() == [[6.0, 6.0], [6.0, 6.0]]
    with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False):
        y, z = m(3, 2) @ w, m(3, 2) @ w
        assert y.grad_fn.next_functions[1][0] is not z.grad_fn.next_functions[1][0]


def test_switches():
    assert not torch.is_autocast_enabled() and not torch.is_autocast_enabled("cpu")
    assert torch.get_autocast_dtype("cpu") == torch.bfloat16
    assert torch.get_autocast_dtype("cuda") == torch.float16
    with torch.autocast("cpu", dtype=torch.float16):
        assert torch.is_autocast_enabled("cpu") and not torch.is_autocast_enabled("cuda")
        assert torch.get_autocast_dtype("cpu") == torch.float16
    assert torch.get_autocast_dtype("cpu") == torch.bfloat16
    with pytest.warns(DeprecationWarning, match="torch.is_autocast_cpu_enabled\\(\\) is deprecated. Please use "
                      "torch.is_autocast_enabled\\('cpu'\\) instead."):
        assert torch.is_autocast_cpu_enabled() is False
    with pytest.raises(TypeError, match="argument 'device_type' \\(position 1\\) must be str, not int"):
        torch.is_autocast_enabled(3)
    with pytest.raises(TypeError, match="missing 1 required positional arguments"):
        torch.get_autocast_dtype()
    with pytest.raises(ValueError, match="Expected `device_type` of type `str`, got: `<class 'int'>`"):
        torch.autocast(3)
    with pytest.warns(UserWarning, match="CPU Autocast only supports dtypes of torch.bfloat16, torch.float16"):
        assert not torch.autocast("cpu", dtype=torch.float32)._enabled
    assert torch.amp.is_autocast_available("cpu") and not torch.amp.is_autocast_available("meta")


def test_decorators():
    @torch.autocast("cpu", dtype=torch.bfloat16)
    def f(x):
        return x @ x

    assert f(m(2, 2)).dtype == torch.bfloat16
    log = []

    class Mul(torch.autograd.Function):
        @staticmethod
        @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
        def forward(ctx, a, b):
            log.append((a.dtype, torch.is_autocast_enabled("cpu")))
            ctx.save_for_backward(a, b)
            return a @ b

        @staticmethod
        @torch.amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            a, b = ctx.saved_tensors
            log.append(torch.is_autocast_enabled("cpu"))
            return g @ b.t(), a.t() @ g

    a = m(2, 2).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = Mul.apply(a.bfloat16(), a)
    assert y.dtype == torch.float32
    y.sum().backward()
    assert log == [(torch.float32, False), False]


def test_grad_scaler():
    w = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.5)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)
    scaler.scale((w * 2).sum()).backward()
    assert w.grad.tolist() == [16.0, 16.0]
    scaler.unscale_(optimizer)
    assert w.grad.tolist() == [2.0, 2.0]
    with pytest.raises(RuntimeError, match="unscale_\\(\\) has already been called on this optimizer"):
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert w.tolist() == [0.0, 0.0] and scaler.get_scale() == 8.0
    w.grad = torch.tensor([float("inf"), 1.0])
    scaler.step(optimizer)
    scaler.update()
    assert w.tolist() == [0.0, 0.0] and scaler.get_scale() == 4.0
    for _ in range(2):
        w.grad = torch.zeros(2)
        scaler.step(optimizer)
        scaler.update()
    assert scaler.get_scale() == 8.0
    other = torch.amp.GradScaler("cpu")
    other.load_state_dict(scaler.state_dict())
    assert other.state_dict() == scaler.state_dict()
    with pytest.raises(AssertionError, match="Attempted step but _scale is None."):
        other.step(optimizer)
