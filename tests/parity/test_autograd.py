"""The backward graph beside PyTorch: writes in place, views, versions, what is saved, error texts."""

import mindtorch_v2
import pytest
import torch
from tests.parity.side_by_side import Outcome, compare


def leaf(t, *shape):
    n = 1
    for s in shape:
        n *= s
    return (t.arange(float(n)).reshape(shape) / n + 0.25).requires_grad_()


def history(x):
    """The node and those it feeds; in-place variants of PyTorch's have numbers of their own."""
    fn = x.grad_fn
    return [kind(fn), None if fn is None else [kind(f) for f, _ in fn.next_functions if f]]


def kind(fn):
    return type(fn).__name__.rstrip("0123456789")


def backward(t, x, y):
    y = y * t.arange(1.0, y.numel() + 1).reshape(y.shape)
    y.sum().backward()
    return x.grad


def scenario(f):
    """f(t, x, b) with a leaf x and b = x * 1; gives what f gives, the gradient through b and histories."""

    def run(t):
        x = leaf(t, 2, 3)
        b = x * 1
        out = Outcome(f, t, x, b)
        if out.error:
            return out
        out = out.value
        more = [(history(o), o._version, o.requires_grad, o.is_leaf, o._is_view()) for o in (out or ())]
        return Outcome(backward, t, x, b), history(b), b._version, more

    return run


def single(f):
    return lambda t: f(t, leaf(t, 2, 3))


def then(*steps):
    return steps


def v_select(t, x, b):
    v = b[0]
    v.mul_(3)
    return v, b


def v_chain(t, x, b):
    v = b[0][1:]
    w = v[:1]
    w.exp_()
    v.mul_(b[1, 0].detach())
    return v, w


def v_base(t, x, b):
    v = b.t()
    b.mul_(2)
    return v, b


def v_base_then_view(t, x, b):
    v = b.view(6)
    b.mul_(2)
    v.sin_()
    b.add_(1)
    return v, b


def v_expand(t, x, b):
    v = b[0, 0].expand(3)
    return (v + 1,)


def v_two(t, x, b):
    v, w = b[0], b[0, 1:]
    v.mul_(w.sum())
    w.add_(b[1, :2])
    return v, w


def v_setitem(t, x, b):
    b[0] = b[1] * 2
    b[1, 1] += 4
    b[:, 2] = 7
    return ()


def v_index_put(t, x, b):
    b[t.tensor([0, 1]), t.tensor([1, 1])] = b[0, :2] * 3
    b[b > 0.9] = b[1, 2] * 0.5
    return ()


def v_copy(t, x, b):
    b[0].copy_(b[1])
    return ()


def v_zero(t, x, b):
    b[0].zero_()
    b[1].fill_(3)
    return ()


def v_transposed(t, x, b):
    b.t_()
    b.mul_(2)
    return ()


def v_squeeze(t, x, b):
    v = b.unsqueeze(0)
    v.squeeze_(0)
    v.mul_(5)
    return (v,)


def v_complex(t, x, b):
    c = b * (1 + 2j)
    t.view_as_real(c).mul_(3)
    b.copy_(c.real + c.imag)
    return (c,)


def v_diagonal(t, x, b):
    b.diagonal().mul_(10)
    return ()


def v_unfold(t, x, b):
    b.unfold(1, 2, 1)[0].clone().mul_(2)
    return ()


def v_data(t, x, b):
    b.data.mul_(3)
    return (b,)


def v_detach_first(t, x, b):
    v = b[0]
    b.detach_()
    return v, b


def v_requires(t, x, b):
    z = t.zeros(2, 3)
    z[0] = b[1]
    v = z[0]
    b.copy_(z)
    return v, z


def v_into_constant(t, x, b):
    z = t.zeros(6)
    v = z.view(2, 3)
    w = z[:3]
    v.copy_(b)
    b.copy_(v * w.sum())
    return v, w, z


def v_grad_of_view(t, x, b):
    z = t.zeros(2, 3)
    v = z[0]
    z.mul_(b)
    return v, z


def v_no_grad_inside(t, x, b):
    with t.no_grad():
        b.mul_(2)
        b[0].add_(1)
    return (b,)


def v_split_safe(t, x, b):
    a, c = t.chunk(b.clone(), 2)
    return a, c


def v_repeat_write(t, x, b):
    for k in range(3):
        b[k % 2].mul_(k + 2)
        b.view(-1)[k].add_(1)
    return ()


def v_multiply_self(t, x, b):
    b.mul_(b)
    return ()


def v_where(t, x, b):
    b.masked_fill_(b > 0.5, 2)
    b.clamp_(min=0.3)
    return ()


VIEWS = {k[2:]: v for k, v in list(globals().items()) if k.startswith("v_")}


def leaf_view_write(t, x):
    x[0].mul_(2)


def leaf_write(t, x):
    x.add_(1)


def no_grad_view(t, x):
    with t.no_grad():
        v = (x * 1).view(6)
        w = x.view(6)
    return w.is_leaf, w.requires_grad, Outcome(lambda: w.mul_(2)), Outcome(lambda: v.mul_(2)), Outcome(lambda: w[0].mul_(2)), Outcome(lambda: w[0].grad_fn)


def no_grad_view_of_result(t, x):
    b = x * 1
    with t.no_grad():
        w = b.view(6)
    return w.is_leaf, w.requires_grad, w.grad_fn, Outcome(lambda: w.mul_(2)), Outcome(lambda: w.unsqueeze(0).mul_(2)), Outcome(lambda: b.mul_(2)), w.requires_grad, Outcome(lambda: history(w))


def inference_view(t, x):
    b = x * 1
    with t.inference_mode():
        w = b.view(6)
        i = t.ones(2)
    return (
        w.is_leaf, w.requires_grad, w.is_inference(), Outcome(lambda: w.mul_(2)), Outcome(lambda: w.mul(x.view(6))),
        Outcome(lambda: i.mul_(2)).error, Outcome(lambda: i.requires_grad_()), Outcome(lambda: i * x[0, 0]), Outcome(lambda: (i * 2)._version),
        Outcome(lambda: i._version), Outcome(lambda: i.view(2, 1).mul_(2)).error, Outcome(lambda: (t.ones(2) * 1).copy_(i).shape), Outcome(lambda: x[0, :2].clone().mul_(i)).error,
        Outcome(lambda: i.add_(x[0, :2])).error, i.clone().is_inference(), i[0].is_inference(), Outcome(lambda: i.detach_().shape),
    )  # fmt: skip


def inference_more(t, x):
    with t.inference_mode():
        y = x * 2
        z = t.ones(3)
        z.add_(1)
        x2 = t.ones(2, requires_grad=True)
        back = Outcome(lambda: (x2 * 2).sum().backward())
    return y.requires_grad, y.is_inference(), x2.requires_grad, back, Outcome(lambda: y.sum().backward()), Outcome(lambda: z.data.is_inference()), Outcome(lambda: z.set_(t.ones(2)))


def multi_output(t, x):
    b = x * 1
    out = []
    for parts in (b.unbind(0), b.split(1), b.chunk(2), t.tensor_split(b, 2), b.split([1, 1]), b.hsplit(3)):
        out.append((Outcome(lambda p: p.mul_(2)[0], parts[0]), Outcome(history, parts[0])))
        out.append(Outcome(lambda p: p.view(-1).mul_(2), parts[1]))
    return out


def multi_output_of_constant(t, x):
    z = t.zeros(2, 3)
    a, b = z.unbind(0)
    a.add_(1)
    first = Outcome(lambda: a.mul_(x[0]))
    c, d = z.unbind(0)
    z.add_(x)
    return first, Outcome(lambda: c.mul_(2)), c.requires_grad, Outcome(lambda: history(c)), z.requires_grad


def multi_output_no_grad(t, x):
    b = x * 1
    with t.no_grad():
        a, c = b.unbind(0)
    return Outcome(lambda: a.mul_(2)), a.grad_fn


def multi_output_base_written(t, x):
    b = x * 1
    a, c = b.unbind(0)
    b.mul_(2)
    return Outcome(lambda: history(a)), Outcome(lambda: a.sum().backward())


def custom(t, kind):
    class F(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            if kind == "view":
                return x.view(-1)
            if kind == "self":
                return x
            if kind == "two views":
                return x[0], x[1]
            if kind == "dirty":
                ctx.mark_dirty(x)
                return x.mul_(2)
            if kind == "dirty unreturned":
                ctx.mark_dirty(x)
                return x * 2
            return x.clone()

        @staticmethod
        def backward(ctx, *g):
            return (g[0] * 3).reshape(2, 3) if len(g) == 1 and g[0].numel() == 6 else t.ones(2, 3)

    return F


def custom_function(t, x):
    out = []
    for kind in ("view", "self", "two views", "clone"):
        y = custom(t, kind).apply(x * 1)
        y = y[0] if isinstance(y, tuple) else y
        out += [history(y)[0], y._is_view(), Outcome(lambda: y.mul_(2).sum()), Outcome(lambda: y.view(-1).mul_(2))]
    return out


def custom_leaf(t, x):
    out = []
    for kind in ("view", "self", "clone"):
        y = custom(t, kind).apply(x)
        out += [history(y)[0], y is x, Outcome(lambda: y.mul_(2).sum())]
    return out


def custom_dirty(t, x):
    b = x * 1
    y = custom(t, "dirty").apply(b)
    g = backward(t, x, y)
    v = (x * 1)[:]
    c = x * 1
    return y is b, b._version, history(b), g, Outcome(lambda: custom(t, "dirty").apply(x)), Outcome(lambda: custom(t, "dirty unreturned").apply(c)), Outcome(lambda: custom(t, "dirty").apply(v)), history(v)


def versions(t, x):
    b = x * 1
    d, data, v = b.detach(), b.data, b[0]
    out = [b._version, d._version, data._version, v._version]
    b.add_(1)
    out += [b._version, d._version, data._version, v._version]
    d.mul_(1)
    out += [b._version, d._version, data._version, v._version]
    data.mul_(1)
    out += [b._version, d._version, data._version, v._version]
    v.zero_()
    out += [b._version, d._version, v._version]
    with t.no_grad():
        b.add_(1)
    out += [b._version]
    b.t_()
    out += [b._version]
    c = t.ones(3)
    c.set_(t.zeros(2))
    out += [c._version]
    c.requires_grad_()
    out += [c._version]
    c.data = t.ones(4)
    out += [c._version]
    t.add(t.ones(3), 1, out=data)
    out += [data._version]
    e = t.ones(2)
    e.copy_(t.zeros(2))
    e.fill_(1)
    e[0] = 1
    e.uniform_()
    e.random_()
    return out + [e._version]


def version_errors(t, x):
    out = []

    def trial(f):
        b = x * 1
        y = Outcome(f, b).value
        if y is None:
            return out.append(None)
        b.add_(1)
        out.append(Outcome(lambda: y.sum().backward()))

    for f in (
        lambda b: b * b, lambda b: b * x, lambda b: b.exp(), lambda b: b.sin(), lambda b: b + 1, lambda b: b.sum(), lambda b: b @ x.t(),
        lambda b: b[0] * b[1], lambda b: b**2, lambda b: b.tanh(), lambda b: b.var(), lambda b: t.cat([b, b]), lambda b: b.softmax(0),
        lambda b: t.maximum(b, x), lambda b: b.cumsum(0), lambda b: b.cumprod(0), lambda b: b.prod(), lambda b: b.max(), lambda b: b.max(0)[0], lambda b: b.sort()[0],
        lambda b: b.relu(), lambda b: b.abs(), lambda b: t.where(b > 0, b, x), lambda b: b.clamp(0, 0.5), lambda b: b.index_select(0, t.tensor([0])), 
        lambda b: b / x, lambda b: x / b, lambda b: b.mean(), lambda b: b.std(), lambda b: b.sigmoid(), lambda b: b.view(6), lambda b: b.as_strided((2,), (1,)), lambda b: b.expand(2, 2, 3), lambda b: b.repeat(2, 1),
        lambda b: t.nn.functional.linear(b, x), lambda b: t.nn.functional.layer_norm(b, (3,)), lambda b: b.logsumexp(0), lambda b: b.flip(0), lambda b: b.masked_fill(b > 1, 0), lambda b: b.diagonal(), lambda b: b.sqrt(), lambda b: b.to(t.float64), lambda b: b.clone(),
        lambda b: b.unfold(1, 2, 1), lambda b: b.median(), lambda b: t.lerp(b, x, 0.3), lambda b: t.addmm(b, x @ x.t(), x), lambda b: b.triu(), lambda b: b.roll(1), lambda b: t.atan2(b, x), lambda b: t.stack([b, x]), lambda b: b.pow(x), lambda b: t.nn.functional.gelu(b), lambda b: t.nn.functional.softplus(b), lambda b: t.nn.functional.elu(b), lambda b: t.nn.functional.silu(b), lambda b: t.nn.functional.leaky_relu(b), lambda b: t.nn.functional.hardtanh(b), lambda b: t.nn.functional.logsigmoid(b), lambda b: t.nn.functional.cross_entropy(b, t.tensor([0, 1])), lambda b: t.nn.functional.max_pool1d(b, 2), lambda b: t.nn.functional.avg_pool1d(b, 2), lambda b: t.nn.functional.pad(b, (1, 1)), lambda b: b.scatter(1, t.tensor([[0]]), 1.0), lambda b: b.index_add(0, t.tensor([0]), x[:1]), lambda b: b.topk(2)[0], lambda b: b.kthvalue(1)[0], lambda b: b.amax(0), lambda b: b.erf(), lambda b: b.log1p(), lambda b: b.expm1(), lambda b: b.reciprocal(), lambda b: b.rsqrt(), lambda b: b.log(),
    ):  # fmt: skip
        trial(f)

    def result(f):
        y = f(x * 1)
        z = y * 1
        y.add_(1) if y.dim() == 0 or True else None
        out.append(Outcome(lambda: z.sum().backward()))

    for f in (lambda b: b.exp(), lambda b: b.tanh(), lambda b: b.sigmoid(), lambda b: b.sqrt(), lambda b: b.softmax(0), lambda b: b.relu(), lambda b: b.cumprod(0), lambda b: b.prod(), lambda b: b.logsumexp(0), lambda b: b.reciprocal(), lambda b: b.rsqrt(), lambda b: b.sin(), lambda b: b.std(), lambda b: b.expm1(), lambda b: b.tan(), lambda b: b.max(), lambda b: b.amax(0)):  # fmt: skip
        result(f)
    return out


def version_error_kinds(t, x):
    out = []
    w = t.ones(2, 3, requires_grad=True)
    y = x * w
    with t.no_grad():
        w.add_(1)
    out.append(Outcome(lambda: y.sum().backward()))
    z = t.ones(2, 3, dtype=t.float64)
    y = x * z
    z.add_(1)
    out.append(Outcome(lambda: y.sum().backward()))
    b = (x * 1).detach()
    y = x * b
    b.detach().add_(1)
    out.append(Outcome(lambda: y.sum().backward()))
    y = x * b
    b.data.add_(1)
    out.append(Outcome(lambda: y.sum().backward()))
    y = x * b
    b[0].zero_()
    out.append(Outcome(lambda: y.sum().backward()))
    y = (x * 1).exp()
    y.mul_(2)
    out.append(Outcome(lambda: y.sum().backward()))
    y = (x * 1).exp()
    y.detach().mul_(2)
    out.append(Outcome(lambda: y.sum().backward()))
    s = (x * x).sum()
    s.backward()
    out.append(Outcome(lambda: s.backward()))
    y = x.sin()
    y.sum().backward()
    out.append(Outcome(lambda: y.grad_fn._saved_self))
    y = x * 2
    out.append(Outcome(lambda: y.grad_fn._saved_self))
    y = x.exp()
    out.append(Outcome(lambda: y.grad_fn._saved_result.sum()))
    y.add_(1)
    out.append(Outcome(lambda: y.grad_fn.next_functions[0][0]._saved_result))
    with t.autograd.set_detect_anomaly(True, check_nan=False):
        y = x.exp()
        y.add_(1)
        o = Outcome(lambda: y.sum().backward())
        out.append(o.error)
    return out


def set_data(t, x):
    out = []
    b = x * 1
    for other in (t.ones(4), t.ones(2, 3, dtype=t.float64), t.ones(2, 3), t.ones(2, 3, requires_grad=True) * 2):
        z = t.zeros(2, 3, requires_grad=True)

        def assign():
            z.data = other

        out += [Outcome(assign), z, z.requires_grad, z.is_leaf, z.dtype, z.grad_fn]
    out.append(Outcome(lambda: setattr(b, "data", t.ones(3))))
    out.append(Outcome(lambda: setattr(b, "data", 3)))
    out.append(Outcome(lambda: b.set_(t.ones(2))))
    out.append(Outcome(lambda: x.set_(t.ones(2))))
    out.append(Outcome(lambda: x.detach().set_(t.ones(2)).shape))
    d = x.detach()
    out.append(Outcome(lambda: d.t_()))
    out.append(Outcome(lambda: x.data.t_().shape))
    out.append(Outcome(lambda: d.unsqueeze_(0)))
    with t.no_grad():
        out.append(Outcome(lambda: x.set_(t.ones(2)).shape))
    return out


def leaf_attributes(t, x):
    out = []
    b = x * 1
    out.append(Outcome(lambda: setattr(b, "requires_grad", False)))
    out.append(Outcome(lambda: b.requires_grad_(False)))
    out.append(Outcome(lambda: b.requires_grad_(True).requires_grad))
    out.append(Outcome(lambda: t.ones(2, dtype=t.int64).requires_grad_()))
    out.append(Outcome(lambda: t.ones(2, dtype=t.int64, requires_grad=True)))
    out.append(Outcome(lambda: setattr(t.ones(2, dtype=t.bool), "requires_grad", True)))
    out.append(Outcome(lambda: b.grad))
    out.append(Outcome(lambda: setattr(x, "grad", t.ones(3))))
    out.append(Outcome(lambda: setattr(x, "grad", t.ones(2, 3, dtype=t.float64))))
    out.append(Outcome(lambda: setattr(x, "grad", 3)))
    out.append(Outcome(lambda: setattr(x, "grad", x)))
    out.append(Outcome(lambda: setattr(x, "grad", t.ones(2, 3, device="meta"))))
    out.append(Outcome(lambda: setattr(x, "grad_fn", None)))
    out.append(Outcome(lambda: setattr(x, "is_leaf", True)))
    out.append(Outcome(lambda: setattr(x, "_version", 1)))
    out.append(Outcome(lambda: x[0].detach_()))
    out.append(Outcome(lambda: b.unbind(0)[0].detach_()))
    out.append(Outcome(lambda: b.detach_().requires_grad))
    out.append(Outcome(lambda: x.numpy()))
    out.append(Outcome(lambda: x.tolist()))
    out.append(Outcome(lambda: x.sum().item()))
    out.append(Outcome(lambda: t.tensor(x).requires_grad))
    out.append(Outcome(lambda: float(x.sum())))
    out.append(Outcome(lambda: x.retain_grad()))
    out.append(Outcome(lambda: t.ones(2).retain_grad()))
    out.append(Outcome(lambda: x.__deepcopy__({}).requires_grad))
    out.append(Outcome(lambda: (x * 1).__deepcopy__({})))
    out.append(Outcome(lambda: t.add(x, 1, out=t.ones(2, 3))))
    out.append(Outcome(lambda: t.add(t.ones(2, 3), 1, out=x)))
    return out


def backward_errors(t, x):
    out = []
    b = x * 2
    out.append(Outcome(lambda: b.backward()))
    out.append(Outcome(lambda: t.ones(2).sum().backward()))
    out.append(Outcome(lambda: b.backward(t.ones(2))))
    out.append(Outcome(lambda: b.backward(3)))
    out.append(Outcome(lambda: b.backward(t.ones(2, 3, dtype=t.float64))))
    out.append(Outcome(lambda: b.backward(t.ones(2, 3, dtype=t.complex64))))
    out.append(Outcome(lambda: t.autograd.backward([b.sum(), b.sum()], [None])))
    out.append(Outcome(lambda: t.autograd.backward([])))
    out.append(Outcome(lambda: t.autograd.backward(b.sum(), inputs=[])))
    out.append(Outcome(lambda: t.autograd.grad(b.sum(), t.ones(2, requires_grad=True))))
    out.append(Outcome(lambda: t.autograd.grad(b.sum(), t.ones(2, requires_grad=True), allow_unused=True)))
    out.append(Outcome(lambda: t.autograd.grad(b.sum(), t.ones(2, requires_grad=True), materialize_grads=True)))
    out.append(Outcome(lambda: t.autograd.grad(b.sum(), t.ones(2, requires_grad=True), allow_unused=False, materialize_grads=True)))
    out.append(Outcome(lambda: t.autograd.grad(b.sum(), t.ones(2))))
    out.append(Outcome(lambda: t.autograd.grad(b, x)))
    out.append(Outcome(lambda: t.autograd.grad(b, x, t.ones(2, 3))))
    out.append(Outcome(lambda: t.autograd.grad(b, x, [t.ones(2, 3), t.ones(2, 3)])))
    out.append(Outcome(lambda: t.autograd.grad([], x)))
    out.append(Outcome(lambda: t.autograd.grad(b.sum(), [])))
    out.append(Outcome(lambda: t.autograd.grad((b * 1j).sum(), x)))
    out.append(Outcome(lambda: (b * 1j).sum().backward()))
    out.append(Outcome(lambda: (b > 0).sum().backward()))
    out.append(Outcome(lambda: t.autograd.backward(b.sum(), grad_variables=t.ones(()))))
    out.append(Outcome(lambda: t.autograd.grad((x * 2).sum(), x, only_inputs=False)))
    out.append(Outcome(lambda: b.sum().backward(inputs=[t.ones(2)])))
    out.append(Outcome(lambda: b.sum().backward(inputs=[b])))
    out.append(b.grad if b.retains_grad else None)
    out.append(Outcome(lambda: (x * 2).sum().backward(inputs=x)))
    out.append(x.grad)
    out.append(Outcome(lambda: (x * 2).sum().backward(inputs=())))
    return out


def undefined_gradients(t, x):
    class Half(t.autograd.Function):
        @staticmethod
        def forward(ctx, a, b, mode):
            ctx.mode = mode
            ctx.set_materialize_grads(mode != "raw")
            return a * 2, b * 2

        @staticmethod
        def backward(ctx, g, h):
            if ctx.mode == "raw":
                return (None if g is None else g * 2), (None if h is None else h * 2), None
            if ctx.mode == "shape":
                return g[0, 0], h, None
            if ctx.mode == "wrong":
                return t.ones(7), h, None
            if ctx.mode == "few":
                return g
            if ctx.mode == "many":
                return g, h, None, None
            if ctx.mode == "many given":
                return g, h, None, g
            if ctx.mode == "number":
                return 3, h, None
            if ctx.mode == "double":
                return g.double(), h, None
            if ctx.mode == "raise":
                raise ValueError("of the function")
            if ctx.mode == "non-differentiable":
                return g, h, g
            return g * 2, h * 2, None

    out = []
    for mode in ("plain", "raw", "shape", "wrong", "few", "many", "many given", "number", "double", "raise", "non-differentiable"):
        a, b = leaf(t, 2, 3), leaf(t, 2, 3)

        def run():
            p, q = Half.apply(a, b, mode)
            p.sum().backward()
            return a.grad, b.grad

        out.append(Outcome(run))
    return out


CASES = {
    "leaf view write": single(lambda t, x: Outcome(leaf_view_write, t, x)), "leaf write": single(lambda t, x: Outcome(leaf_write, t, x)),
    "no_grad view": single(no_grad_view), "no_grad view of result": single(no_grad_view_of_result), "inference": single(inference_view), "inference more": single(inference_more),
    "multi output": single(multi_output), "multi output of constant": single(multi_output_of_constant), "multi output no_grad": single(multi_output_no_grad),
    "multi output base written": single(multi_output_base_written), "custom function": single(custom_function), "custom leaf": single(custom_leaf), "custom dirty": single(custom_dirty),
    "versions": single(versions), "version errors": single(version_errors), "version error kinds": single(version_error_kinds), "set data": single(set_data), "leaf attributes": single(leaf_attributes),
    "backward errors": single(backward_errors), "undefined gradients": single(undefined_gradients),
}  # fmt: skip


@pytest.mark.parametrize("name", VIEWS)
def test_views(name):
    compare(scenario(VIEWS[name]), mindtorch_v2, torch)


@pytest.mark.parametrize("name", CASES)
def test_cases(name):
    compare(CASES[name], mindtorch_v2, torch)
