"""torch.autograd's modules beside PyTorch: functional, forward_ad, gradcheck, Function, hooks on saved
tensors, anomaly mode, autocast and the gradient scaler."""

import importlib

import mindtorch_v2
import pytest
import torch
from tests.parity.side_by_side import Outcome, compare


def x3(t):
    return t.tensor([0.5, 1.5, -2.0], dtype=t.float64)


def m23(t):
    return t.arange(6.0, dtype=t.float64).reshape(2, 3) / 3 + 0.25


def ad(t):
    return importlib.import_module(t.__name__ + ".autograd.forward_ad")


def fn(t):
    return importlib.import_module(t.__name__ + ".autograd.functional")


def scalar(x):
    return (x.sin() * x.sum()).sum()


def vec(x):
    return x.sin() * x.sum()


def pair(x, y):
    return x * y.sum(), y**2


# ---- functional

FUNCTIONAL = {
    "jacobian": lambda t, f: f.jacobian(vec, x3(t)),
    "jacobian vectorize": lambda t, f: f.jacobian(vec, x3(t), vectorize=True),
    "jacobian forward": lambda t, f: f.jacobian(vec, x3(t), vectorize=True, strategy="forward-mode"),
    "jacobian forward loop": lambda t, f: f.jacobian(vec, x3(t), strategy="forward-mode"),
    "jacobian strategy": lambda t, f: f.jacobian(vec, x3(t), vectorize=True, strategy="sideways"),
    "jacobian two": lambda t, f: f.jacobian(pair, (x3(t), x3(t) + 1)),
    "jacobian two vectorize": lambda t, f: f.jacobian(pair, (x3(t), x3(t) + 1), vectorize=True),
    "jacobian two forward": lambda t, f: f.jacobian(pair, (x3(t), x3(t) + 1), vectorize=True, strategy="forward-mode"),
    "jacobian unused": lambda t, f: f.jacobian(lambda a, b: a * 2, (x3(t), x3(t))),
    "jacobian unused strict": lambda t, f: f.jacobian(lambda a, b: a * 2, (x3(t), x3(t)), strict=True),
    "jacobian constant": lambda t, f: f.jacobian(lambda a: t.ones(2, dtype=t.float64), x3(t)),
    "jacobian constant strict": lambda t, f: f.jacobian(lambda a: t.ones(2, dtype=t.float64), x3(t), strict=True),
    "jacobian strict vectorize": lambda t, f: f.jacobian(vec, x3(t), strict=True, vectorize=True),
    "jacobian create_graph": lambda t, f: graph(t, lambda x: f.jacobian(vec, x, create_graph=True)),
    "jacobian create_graph strict": lambda t, f: f.jacobian(lambda a: a * 2, x3(t).requires_grad_(), create_graph=True, strict=True),
    "jacobian list": lambda t, f: f.jacobian(vec, [x3(t)]),
    "jacobian number": lambda t, f: f.jacobian(vec, 3),
    "jacobian inside": lambda t, f: f.jacobian(lambda a: a, (x3(t), 3)),
    "jacobian output": lambda t, f: f.jacobian(lambda a: 3, x3(t)),
    "jacobian outputs": lambda t, f: f.jacobian(lambda a: (a, 3), x3(t)),
    "jacobian scalar in": lambda t, f: f.jacobian(lambda a: a * t.ones(3, dtype=t.float64), x3(t).sum()),
    "hessian": lambda t, f: f.hessian(scalar, x3(t)),
    "hessian vectorize": lambda t, f: f.hessian(scalar, x3(t), vectorize=True),
    "hessian forward": lambda t, f: f.hessian(scalar, x3(t), vectorize=True, outer_jacobian_strategy="forward-mode"),
    "hessian strategy": lambda t, f: f.hessian(scalar, x3(t), outer_jacobian_strategy="up"),
    "hessian two": lambda t, f: f.hessian(lambda a, b: (a * a * b).sum(), (x3(t), x3(t) + 1)),
    "hessian vector": lambda t, f: f.hessian(vec, x3(t)),
    "hessian tuple": lambda t, f: f.hessian(lambda a: (a.sum(), a.sum()), x3(t)),
    "hessian linear strict": lambda t, f: f.hessian(lambda a: a.sum(), x3(t), strict=True),
    "hessian linear": lambda t, f: f.hessian(lambda a: a.sum(), x3(t)),
    "vjp": lambda t, f: f.vjp(vec, x3(t), x3(t) + 1),
    "vjp scalar": lambda t, f: f.vjp(scalar, x3(t)),
    "vjp no v": lambda t, f: f.vjp(vec, x3(t)),
    "vjp two": lambda t, f: f.vjp(pair, (x3(t), x3(t)), (x3(t), x3(t) + 1)),
    "vjp size": lambda t, f: f.vjp(vec, x3(t), x3(t)[:2]),
    "vjp count": lambda t, f: f.vjp(pair, (x3(t), x3(t)), x3(t)),
    "vjp strict": lambda t, f: f.vjp(lambda a: t.ones(3, dtype=t.float64), x3(t), x3(t), strict=True),
    "vjp constant": lambda t, f: f.vjp(lambda a: t.ones(3, dtype=t.float64), x3(t), x3(t)),
    "vjp v type": lambda t, f: f.vjp(vec, x3(t), 3),
    "jvp": lambda t, f: f.jvp(vec, x3(t), x3(t) + 1),
    "jvp no v": lambda t, f: f.jvp(vec, x3(t)),
    "jvp number": lambda t, f: f.jvp(lambda a: a * 2, x3(t).sum()),
    "jvp two": lambda t, f: f.jvp(pair, (x3(t), x3(t)), (x3(t), x3(t) + 1)),
    "jvp size": lambda t, f: f.jvp(vec, x3(t), x3(t)[:2]),
    "jvp strict": lambda t, f: f.jvp(lambda a: t.ones(3, dtype=t.float64), x3(t), x3(t), strict=True),
    "jvp graph": lambda t, f: graph(t, lambda x: f.jvp(vec, x, t.ones(3, dtype=t.float64), create_graph=True)[1]),
    "vhp": lambda t, f: f.vhp(scalar, x3(t), x3(t) + 1),
    "vhp no v": lambda t, f: f.vhp(scalar, x3(t)),
    "vhp vector": lambda t, f: f.vhp(vec, x3(t), x3(t)),
    "vhp linear strict": lambda t, f: f.vhp(lambda a: a.sum(), x3(t), x3(t), strict=True),
    "hvp": lambda t, f: f.hvp(scalar, x3(t), x3(t) + 1),
    "hvp two": lambda t, f: f.hvp(lambda a, b: (a * a * b).sum(), (x3(t), x3(t) + 1), (x3(t), x3(t))),
    "hvp no v": lambda t, f: f.hvp(scalar, x3(t)),
    "hvp linear": lambda t, f: f.hvp(lambda a: a.sum(), x3(t), x3(t)),
}  # fmt: skip


def graph(t, f):
    x = x3(t).requires_grad_()
    made = f(x)
    return made, t.autograd.grad(made.sum(), x)


@pytest.mark.parametrize("name", FUNCTIONAL)
def test_functional(name):
    def run(t):
        o = Outcome(FUNCTIONAL[name], t, fn(t))
        return o.value, o.error

    compare(run, mindtorch_v2, torch)


# ---- forward mode


def dual_basics(t):
    f = ad(t)
    x, v = x3(t), x3(t) + 1
    yield Outcome(f.make_dual, x, v)
    yield Outcome(f.exit_dual_level)
    with f.dual_level() as level:
        d = f.make_dual(x, v)
        yield level, d, d.is_leaf, d._is_view()
        yield f.unpack_dual(d.sin() * d), f.unpack_dual(x), f.unpack_dual(d.detach()), f.unpack_dual(d.data)
        yield type(f.unpack_dual(d)).__name__, f.unpack_dual(d)._fields
        yield Outcome(f.make_dual, d, v)
        yield Outcome(f.make_dual, x, v[:2]), Outcome(f.make_dual, x, v.float()), Outcome(f.make_dual, x.long(), v), Outcome(f.make_dual, x, 3)
        yield Outcome(f.enter_dual_level), Outcome(f.unpack_dual, d, level=-1), Outcome(f.make_dual, x, v, level=7)
        yield Outcome(lambda: f.unpack_dual(3))
        yield f.unpack_dual(d + 1), f.unpack_dual(d.view(3, 1).expand(3, 2)), f.unpack_dual(d.sum()), f.unpack_dual(d[1:] * 2)
        yield Outcome(lambda: t.add(d, 1, out=t.empty(3, dtype=t.float64)))
        with t.no_grad():
            yield f.unpack_dual(d * 2)
        with t.inference_mode():
            yield f.unpack_dual(d * 2)[1] is None
        z = t.zeros(3, dtype=t.float64)
        z.copy_(d)
        yield f.unpack_dual(z)
        w = t.zeros(2, 3, dtype=t.float64)
        w[1] = d
        yield f.unpack_dual(w), f.unpack_dual(w[1]), f.unpack_dual(w.sum(0))
        yield Outcome(lambda: d.mul_(2)), f.unpack_dual(d)
        yield f.unpack_dual(t.where(d > 0, d, -d)), f.unpack_dual(d.clone()), f.unpack_dual(t.stack([d, x]))
        yield Outcome(lambda: f.unpack_dual(d.long()))
    yield f.unpack_dual(d) if False else f._current_level
    yield Outcome(lambda: f.unpack_dual(d))


def dual_modules(t):
    f = ad(t)
    m = t.nn.Sequential(t.nn.Linear(3, 2), t.nn.Tanh()).double()
    with t.no_grad():
        for p in m.parameters():
            p.fill_(0.25)
    params = {k: p for k, p in m.named_parameters()}
    with f.dual_level():
        for k, p in list(params.items()):
            target, name = m.get_submodule(k.rpartition(".")[0]), k.rpartition(".")[2]
            delattr(target, name)
            setattr(target, name, f.make_dual(p, t.ones_like(p)))
        yield f.unpack_dual(m(m23(t)))


def test_forward_ad():
    torch.func.jvp(torch.sin, (torch.ones(1),), (torch.ones(1),))  # says once that torch.jit is deprecated
    compare(dual_basics, mindtorch_v2, torch)


def test_forward_ad_of_modules():
    compare(dual_modules, mindtorch_v2, torch)


# ---- gradcheck


def checks(t):
    g, gg = t.autograd.gradcheck, t.autograd.gradgradcheck
    x = x3(t).requires_grad_()

    class Wrong(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 3

    yield Outcome(g, scalar, x), Outcome(gg, scalar, x), Outcome(g, lambda a: Wrong.apply(a), (x,), raise_exception=False)
    yield Outcome(g, lambda a: Wrong.apply(a), (x,))
    yield Outcome(g, lambda a: a * 2, (x3(t),))
    yield Outcome(g, lambda a: a * 2, (t.ones(2, requires_grad=True),)).error is not None
    yield Outcome(g, lambda a: a.detach() * 2, (x,))
    yield Outcome(g, lambda a: a * 2, (x,), check_forward_ad=True), Outcome(g, lambda a: a * 2, (x,), check_batched_grad=True)
    yield Outcome(g, lambda a: a * (1 + 2j), (x,)), Outcome(g, lambda a: (a * a.conj()).real.sum() if hasattr(a, "real") else a.abs().sum(), (t.tensor([1 + 2j, 3 - 1j], dtype=t.complex128, requires_grad=True),))
    yield Outcome(g, vec, (x,), fast_mode=True), Outcome(gg, vec, (x,), fast_mode=True)
    yield Outcome(g, lambda a: a, (x.expand(2, 3).detach().requires_grad_(),), check_undefined_grad=False)
    yield Outcome(g, lambda a: 3, (x,))
    yield Outcome(g, scalar, x, eps=1e-7, atol=1e-4, rtol=1e-2, nondet_tol=0.0, check_sparse_nnz=None) if False else None


def test_gradcheck():
    compare(checks, mindtorch_v2, torch)


# ---- Function


def functions(t):
    F = t.autograd.Function

    class Old(F):
        @staticmethod
        def forward(ctx, x, n, *, scale=1):
            return x * n

    yield Outcome(lambda: Old.apply(x3(t).requires_grad_(), 2).sum().backward())
    yield Outcome(lambda: Old.apply(x3(t), 2))
    yield Outcome(lambda: Old.apply(x3(t), 2, scale=2))

    class Bare(F):
        pass

    yield Outcome(lambda: Bare.apply(x3(t)))

    class Setup(F):
        @staticmethod
        def forward(x, n):
            return x**n, (x > 0)

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, ctx.n = inputs
            ctx.save_for_backward(x)
            ctx.save_for_forward(x)
            ctx.mark_non_differentiable(output[1])
            ctx.set_materialize_grads(False)

        @staticmethod
        def backward(ctx, g, h):
            (x,) = ctx.saved_tensors
            return (g * ctx.n * x ** (ctx.n - 1), None) + ((h,) if h is not None else ())

        @staticmethod
        def jvp(ctx, v, n):
            (x,) = ctx.saved_tensors
            return v * ctx.n * x ** (ctx.n - 1), None

        @staticmethod
        def vmap(info, in_dims, x, n):
            return Setup.apply(x, n), (in_dims[0], in_dims[0])

    x = m23(t).requires_grad_()
    y, m = Setup.apply(x, 3)
    yield y, m, m.requires_grad, t.autograd.grad(y.sum(), x), type(y.grad_fn).__name__
    f = ad(t)
    with f.dual_level():
        yield [f.unpack_dual(o) for o in Setup.apply(f.make_dual(m23(t), m23(t)), 3)]
    yield Outcome(lambda: t.func.vmap(lambda a: Setup.apply(a, 2)[0])(m23(t)))
    yield Outcome(lambda: t.func.grad(lambda a: Setup.apply(a, 2)[0].sum())(m23(t)))
    yield Outcome(lambda: t.func.jvp(lambda a: Setup.apply(a, 2)[0], (m23(t),), (m23(t),)))
    yield Outcome(lambda: t.func.vmap(t.func.grad(lambda a: Setup.apply(a, 2)[0].sum()))(m23(t)))
    yield Outcome(lambda: t.func.jacrev(lambda a: Setup.apply(a, 2)[0])(x3(t)))

    class Generated(F):
        generate_vmap_rule = True

        @staticmethod
        def forward(x, y):
            return x * y.sum(), x + 1

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, g, h):
            x, y = ctx.saved_tensors
            return g * y.sum() + h, (g * x).sum() * t.ones_like(y)

    yield Outcome(lambda: t.func.vmap(Generated.apply)(m23(t), m23(t)))
    yield Outcome(lambda: t.func.vmap(Generated.apply, in_dims=(0, None))(m23(t), x3(t)))
    yield Outcome(lambda: t.func.vmap(t.func.grad(lambda a, b: Generated.apply(a, b)[0].sum(), (0, 1)))(m23(t), m23(t)))

    class NoVmap(F):
        @staticmethod
        def forward(x):
            return x * 2

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def backward(ctx, g):
            return g * 2

    yield Outcome(lambda: t.func.vmap(NoVmap.apply)(m23(t)))

    class Both(NoVmap):
        generate_vmap_rule = True

        @staticmethod
        def vmap(info, in_dims, x):
            return x, 0

    yield Outcome(lambda: t.func.vmap(Both.apply)(m23(t)))

    class Legacy(F):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    yield Outcome(lambda: t.func.grad(lambda a: Legacy.apply(a).sum())(x3(t)))
    yield Outcome(lambda: t.func.vmap(Legacy.apply)(m23(t)))

    class Info(F):
        @staticmethod
        def forward(x, y):
            return x * y

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def vmap(info, in_dims, x, y):
            assert info.batch_size == 2 and info.randomness == "error"
            return (x * y, 0) if in_dims[1] is not None else (x * y, in_dims[0])

    yield Outcome(lambda: t.func.vmap(Info.apply)(m23(t), m23(t)))
    yield Outcome(lambda: t.func.vmap(Info.apply, in_dims=(0, None))(m23(t), x3(t)))

    class Once(F):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        @t.autograd.function.once_differentiable
        def backward(ctx, g):
            return g * 2

    x = x3(t).requires_grad_()
    (g,) = t.autograd.grad(Once.apply(x).sum(), x, create_graph=True)
    yield g, g.requires_grad
    (g,) = t.autograd.grad((Once.apply(x) * x).sum(), x, create_graph=True)
    yield Outcome(lambda: g.sum().backward())

    class Saver(F):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x, None, x * 2)
            ctx.extra = 5
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[2] * ctx.extra + sum(ctx.needs_input_grad)

    y = Saver.apply(x)
    yield t.autograd.grad(y.sum(), x), Outcome(lambda: y.sum().backward()), Outcome(lambda: y.grad_fn.saved_tensors)

    class BadSave(F):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(3)
            return x * 2

    yield Outcome(lambda: BadSave.apply(x))
    yield Outcome(lambda: NonTensor(t).apply(x))


def NonTensor(t):
    class N(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 5

        @staticmethod
        def backward(ctx, g):
            return None

    return N


def function_vmaps(t):
    def made(kind):
        class Scale(t.autograd.Function):
            generate_vmap_rule = kind == "generated"

            @staticmethod
            def forward(x, w, n):
                return x * w.sum() * n, x.sum(), n

            @staticmethod
            def setup_context(ctx, inputs, output):
                x, w, ctx.n = inputs
                ctx.save_for_backward(x, w)
                ctx.save_for_forward(x, w)

            @staticmethod
            def backward(ctx, g, h, _):
                x, w = ctx.saved_tensors
                return g * w.sum() * ctx.n + h, (g * x).sum() * ctx.n * t.ones_like(w), None

            @staticmethod
            def jvp(ctx, dx, dw, _):
                x, w = ctx.saved_tensors
                dx = t.zeros_like(x) if dx is None else dx
                dw = t.zeros_like(w) if dw is None else dw
                return (dx * w.sum() + x * dw.sum()) * ctx.n, dx.sum(), None

        def rule(info, in_dims, x, w, n):
            assert in_dims[2] is None
            x = x.movedim(in_dims[0], 0) if in_dims[0] is not None else x.expand(info.batch_size, *x.shape)
            w = w.movedim(in_dims[1], 0) if in_dims[1] is not None else w.expand(info.batch_size, *w.shape)
            total = w.reshape(info.batch_size, -1).sum(1).reshape(-1, *[1] * (x.dim() - 1))
            return (x * total * n, x.reshape(info.batch_size, -1).sum(1), n), (0, 0, None)

        if kind == "own":
            Scale.vmap = staticmethod(rule)
        return lambda x, w: Scale.apply(x, w, 2)[:2]

    for kind in ("own", "generated"):
        f = made(kind)
        v = t.func.vmap
        a, b = m23(t), m23(t) + 1
        yield Outcome(lambda: v(f)(a, b))
        yield Outcome(lambda: v(f, in_dims=(1, None))(a, b[0]))
        yield Outcome(lambda: v(f, in_dims=(None, 1))(a[0], b))
        yield Outcome(lambda: v(v(f))(t.stack([a, b]), t.stack([b, a])))
        yield Outcome(lambda: v(v(f, in_dims=(0, None)), in_dims=(None, 0))(a, b))
        x, w = m23(t).requires_grad_(), (m23(t) + 1).requires_grad_()
        y, z = v(f)(x, w)
        yield y.requires_grad, t.autograd.grad((y * a).sum() + z.sum(), (x, w))
        y, z = v(f, in_dims=(0, None))(x, w)
        yield t.autograd.grad((y * a).sum() + z.sum(), (x, w))
        yield Outcome(lambda: v(t.func.grad(lambda p, q: f(p, q)[0].sin().sum() + f(p, q)[1], (0, 1)))(a, b))
        yield Outcome(lambda: v(t.func.grad(lambda p, q: f(p, q)[0].sin().sum(), (0, 1)), in_dims=(0, None))(a, b[0]))
        yield Outcome(lambda: t.func.grad(lambda p: v(f)(p, b)[0].sin().sum())(a))
        yield Outcome(lambda: t.func.jvp(v(f), (a, b), (b, a)))
        yield Outcome(lambda: v(lambda p, q: t.func.jvp(lambda r: f(r, q), (p,), (q,)))(a, b))
        yield Outcome(lambda: t.func.jacrev(lambda p: f(p, b)[0])(a[0]))
        yield Outcome(lambda: t.func.jacfwd(lambda p: f(p, b)[0])(a[0]))


def test_function():
    compare(functions, mindtorch_v2, torch)


def test_function_under_vmap():
    compare(function_vmaps, mindtorch_v2, torch)


# ---- hooks on saved tensors, graph, anomaly


def saved_hooks(t):
    graph = importlib.import_module(t.__name__ + ".autograd.graph")
    packed = []

    def pack(x):
        packed.append(list(x.shape))
        return x.clone()

    x = m23(t).requires_grad_()
    with graph.saved_tensors_hooks(pack, lambda p: p * 2):
        y = (x * x).sin().sum()
    y.backward()
    yield packed, x.grad
    with graph.save_on_cpu():
        yield t.autograd.grad((x**3).sum(), x)
    with graph.disable_saved_tensors_hooks("not here"):
        yield Outcome(lambda: graph.saved_tensors_hooks(pack, pack).__enter__())
    with graph.saved_tensors_hooks(lambda x: 3, lambda p: "no tensor"):
        y = x.exp() * x
    yield Outcome(lambda: y.sum().backward())
    with graph.saved_tensors_hooks(lambda x: x.mul_(2), lambda p: p):
        yield Outcome(lambda: (x * 1).exp())
    y = x.sin()
    raw = y.grad_fn._raw_saved_self
    yield Outcome(lambda: raw.register_hooks(lambda v: v + 1, lambda p: p - 1)), Outcome(lambda: raw.register_hooks(lambda v: v, lambda p: p))
    yield t.autograd.grad(y.sum(), x, retain_graph=True), Outcome(lambda: raw.register_hooks(3)).error is None
    y.sum().backward()
    yield Outcome(lambda: raw.register_hooks(lambda v: v, lambda p: p))
    with graph.allow_mutation_on_saved_tensors():
        b = x * 1
        y = (b * b).sum()
        b.zero_()
        yield t.autograd.grad(y, x)
    yield graph.get_gradient_edge(x * 2).output_nr, Outcome(lambda: graph.get_gradient_edge(t.ones(2)))
    order = []
    a, b = x * 2, x * 3
    with_hook = graph.register_multi_grad_hook((a, b), lambda gs: order.append([g is not None for g in gs]))
    (a + b).sum().backward()
    a2 = x * 2
    with_hook.remove()
    any_hook = graph.register_multi_grad_hook((a2, x), lambda g: order.append(list(g.shape)), mode="any")
    a2.sum().backward()
    any_hook.remove()
    yield order, Outcome(lambda: graph.register_multi_grad_hook((a,), len, mode="some"))
    node = (x * 2).grad_fn
    yield node.name(), isinstance(node, graph.Node), len(node.next_functions), node.metadata


def anomaly(t):
    x = t.tensor([-1.0, 4.0], requires_grad=True)
    with t.autograd.detect_anomaly(check_nan=True):
        y = x.sqrt()
        o = Outcome(lambda: y.sum().backward())
        yield o.error
    with t.autograd.set_detect_anomaly(True):
        y = (x * 0).div(x * 0)
        yield Outcome(lambda: y.sum().backward()).error
    yield t.is_anomaly_enabled(), t.is_anomaly_check_nan_enabled()


def test_saved_hooks():
    compare(saved_hooks, mindtorch_v2, torch)


def test_anomaly():
    compare(anomaly, mindtorch_v2, torch)


# ---- autocast


def autocast(t):
    a, b = t.ones(2, 2), t.ones(2, 2, requires_grad=True)
    cast = t.autocast
    with cast("cpu"):
        y = a @ b
        yield y.dtype, (a + b).dtype, t.is_autocast_enabled("cpu"), t.get_autocast_dtype("cpu"), t.nn.functional.linear(a, b).dtype, a.bfloat16().softmax(0).dtype
        with cast("cpu", enabled=False):
            yield (a @ b).dtype
        with t.no_grad():
            yield (a @ b).dtype
        yield t.cat([a, a.bfloat16()]).dtype, t.mm(a.double(), a.double()).dtype
        y.float().sum().backward()
    yield b.grad.dtype, t.is_autocast_enabled("cpu")
    with cast("cpu", dtype=t.float16):
        yield (a @ b).dtype
    yield Outcome(lambda: cast("cpu", dtype=t.float64).__enter__()), Outcome(lambda: cast("nowhere")), Outcome(lambda: cast(3)), Outcome(lambda: cast())
    amp = t.amp

    class F(t.autograd.Function):
        @staticmethod
        @amp.custom_fwd(device_type="cpu", cast_inputs=t.float32)
        def forward(ctx, x):
            ctx.inside = t.is_autocast_enabled("cpu")
            return x * 2

        @staticmethod
        @amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            return g * 2

    with cast("cpu"):
        y = F.apply(b)
        yield y.dtype, y.grad_fn.inside
    y.sum().backward()

    @cast("cpu")
    def f(u, v):
        return u @ v

    yield f(a, a).dtype, (a @ a).dtype
    yield Outcome(lambda: amp.custom_fwd(3, device_type="cpu")), Outcome(lambda: amp.custom_fwd(len, device_type=3)), amp.autocast_mode.is_autocast_available("cpu"), Outcome(lambda: amp.autocast_mode.is_autocast_available("x"))


def scaler(t):
    s = t.amp.GradScaler("cpu", init_scale=4.0, growth_interval=2)
    w = t.nn.Parameter(t.ones(3))
    o = t.optim.SGD([w], lr=0.5)
    yield s.is_enabled(), s.get_scale(), s.get_growth_factor(), s.get_backoff_factor(), s.get_growth_interval()
    for g in (1.0, float("inf"), 2.0, 3.0):
        o.zero_grad()
        s.scale((w * g).sum()).backward()
        s.step(o)
        s.update()
        yield s.get_scale(), w.detach().clone()
    yield s.state_dict()
    yield Outcome(lambda: s.update(t.ones(2)))
    o.zero_grad()
    s.scale((w * 2).sum()).backward()
    s.unscale_(o)
    yield w.grad, Outcome(lambda: s.unscale_(o))
    s.step(o)
    yield Outcome(lambda: s.step(o)), Outcome(lambda: s.unscale_(o))
    s.update(8.0)
    yield s.get_scale(), s.scale([t.ones(1), (t.ones(2),)]), Outcome(lambda: s.scale(3))
    off = t.amp.GradScaler("cpu", enabled=False)
    yield off.get_scale(), off.scale(t.ones(2)), off.state_dict()
    yield Outcome(lambda: t.amp.GradScaler("cpu", growth_factor=0.5)), Outcome(lambda: t.amp.GradScaler("cpu", backoff_factor=2.0)), Outcome(lambda: s.load_state_dict({}))


def test_autocast():
    compare(autocast, mindtorch_v2, torch)


def test_grad_scaler():
    compare(scaler, mindtorch_v2, torch)


CASES = {
    "dual": dual_basics, "dual modules": dual_modules, "gradcheck": checks, "function": functions, "function vmaps": function_vmaps, "saved hooks": saved_hooks, "anomaly": anomaly, "autocast": autocast, "scaler": scaler,
    **{"functional " + k: (lambda f: lambda t: Outcome(f, t, fn(t)))(v) for k, v in FUNCTIONAL.items()},
}  # fmt: skip
