"""torch.func beside PyTorch: values, structures, what is refused and in which words."""

import mindtorch_v2
import pytest
import torch
from tests.parity.side_by_side import Outcome, compare


def x3(t):
    return t.tensor([0.5, 1.5, -2.0], dtype=t.float64)


def m23(t):
    return t.arange(6.0, dtype=t.float64).reshape(2, 3) / 3 + 0.25


def f1(x):
    return (x.sin() * x.sum()).sum()


def vec(x):
    return x.sin() * x.sum()


CALLS = {
    "grad": lambda t: t.func.grad(f1)(x3(t)),
    "grad argnums 1": lambda t: t.func.grad(lambda a, b: (a * b).sum(), argnums=1)(x3(t), x3(t) + 1),
    "grad argnums tuple": lambda t: t.func.grad(lambda a, b: (a * b * b).sum(), argnums=(0, -1))(x3(t), x3(t) + 1),
    "grad aux": lambda t: t.func.grad(lambda a: (f1(a), {"k": a * 2, "n": 3}), has_aux=True)(x3(t)),
    "grad dict": lambda t: t.func.grad(lambda d: (d["a"] * d["b"][0]).sum())({"a": x3(t), "b": [x3(t) + 2, x3(t)]}),
    "grad of grad": lambda t: t.func.grad(lambda y: t.func.grad(lambda z: z**4)(y))(t.tensor(2.0)),
    "grad integer input": lambda t: t.func.grad(lambda a: a.sum())(t.arange(3)),
    "grad number input": lambda t: t.func.grad(lambda a: a * 2)(1.5),
    "grad not scalar": lambda t: t.func.grad(lambda a: a * 2)(x3(t)),
    "grad no tensor out": lambda t: t.func.grad(lambda a: 3.0)(x3(t)),
    "grad aux missing": lambda t: t.func.grad(f1, has_aux=True)(x3(t)),
    "grad argnums far": lambda t: t.func.grad(f1, argnums=1)(x3(t)),
    "grad argnums empty": lambda t: t.func.grad(f1, argnums=())(x3(t)),
    "grad argnums twice": lambda t: t.func.grad(lambda a, b: a.sum(), argnums=(0, -2))(x3(t), x3(t)),
    "grad argnums float": lambda t: t.func.grad(f1, argnums=1.0)(x3(t)),
    "grad argnums inside": lambda t: t.func.grad(f1, argnums=("a",))(x3(t)),
    "grad unused": lambda t: t.func.grad(lambda a, b: a.sum(), argnums=(0, 1))(x3(t), x3(t)),
    "grad constant": lambda t: t.func.grad(lambda a: t.ones(()))(x3(t)),
    "grad complex out": lambda t: t.func.grad(lambda a: (a * 1j).sum())(x3(t)),
    "grad under no_grad": lambda t: no_grad(t),
    "grad no_grad inside": lambda t: t.func.grad(lambda a: (a * detached(t, a)).sum())(x3(t)),
    "grad writes": lambda t: t.func.grad(writes)(x3(t)),
    "grad captured": lambda t: captured(t),
    "grad and value": lambda t: t.func.grad_and_value(f1)(x3(t)),
    "grad and value aux": lambda t: t.func.grad_and_value(lambda a: (f1(a), a), has_aux=True)(x3(t)),
    "grad and value bad": lambda t: t.func.grad_and_value(vec)(x3(t)),
    "kwargs": lambda t: t.func.grad(lambda a, *, k: (a * k).sum())(x3(t), k=x3(t)),
    "item inside": lambda t: t.func.grad(lambda a: a.sum() * a[0].item())(x3(t)),
    "control flow": lambda t: t.func.grad(lambda a: a.sum() if a[0] > 0 else -a.sum())(x3(t)),
    "vjp": lambda t: pulled(t, vec, x3(t)),
    "vjp two": lambda t: t.func.vjp(lambda a, b: a * b, x3(t), x3(t) + 1)[1](x3(t)),
    "vjp tuple": lambda t: t.func.vjp(lambda a: (a * 2, a.sum()), x3(t))[1]((x3(t), t.tensor(2.0, dtype=t.float64))),
    "vjp dict": lambda t: t.func.vjp(lambda a: {"u": a * 2}, x3(t))[1]({"u": x3(t)}),
    "vjp aux": lambda t: t.func.vjp(lambda a: (a * 2, a + 1), x3(t), has_aux=True)[2],
    "vjp wrong structure": lambda t: t.func.vjp(lambda a: (a * 2, a), x3(t))[1](x3(t)),
    "vjp wrong shape": lambda t: t.func.vjp(vec, x3(t))[1](t.ones(2, dtype=t.float64)),
    "vjp aux missing": lambda t: t.func.vjp(vec, x3(t), has_aux=True),
    "vjp non-tensor out": lambda t: t.func.vjp(lambda a: 3, x3(t)),
    "vjp non-tensor in": lambda t: t.func.vjp(lambda a, b: a * b, x3(t), 3)[1](x3(t)),
    "vjp twice": lambda t: twice(t),
    "jvp": lambda t: t.func.jvp(vec, (x3(t),), (x3(t) + 1,)),
    "jvp aux": lambda t: t.func.jvp(lambda a: (a * 2, {"s": a.sum()}), (x3(t),), (x3(t),), has_aux=True),
    "jvp list": lambda t: t.func.jvp(vec, [x3(t)], [x3(t)]),
    "jvp structure": lambda t: t.func.jvp(lambda a, b: a * b, (x3(t), x3(t)), (x3(t),)),
    "jvp not tensor": lambda t: t.func.jvp(lambda a: a, (3.0,), (1.0,)),
    "jvp empty": lambda t: t.func.jvp(lambda: x3(t), (), ()),
    "jvp shape": lambda t: t.func.jvp(vec, (x3(t),), (t.ones(2, dtype=t.float64),)),
    "jvp dtype": lambda t: t.func.jvp(vec, (x3(t),), (t.ones(3),)),
    "jvp strict": lambda t: t.func.jvp(lambda a: t.ones(2), (x3(t),), (x3(t),), strict=True),
    "jvp independent": lambda t: t.func.jvp(lambda a: t.ones(2), (x3(t),), (x3(t),)),
    "jvp non-tensor out": lambda t: t.func.jvp(lambda a: 1, (x3(t),), (x3(t),)),
    "jvp integer": lambda t: t.func.jvp(lambda a: a, (t.arange(2),), (t.arange(2),)),
    "jvp of jvp": lambda t: t.func.jvp(lambda a: t.func.jvp(lambda b: b**3, (a,), (t.ones(3, dtype=t.float64),))[1], (x3(t),), (x3(t),)),
    "jvp view as real": lambda t: t.func.jvp(lambda z: t.view_as_real(z * z), (t.tensor([1 + 2j]),), (t.tensor([1j]),)),
    "jacrev": lambda t: t.func.jacrev(vec)(x3(t)),
    "jacfwd": lambda t: t.func.jacfwd(vec)(x3(t)),
    "jacrev many": lambda t: t.func.jacrev(lambda a, b: {"p": a @ b, "q": (a.sum(), b)}, argnums=(0, 1))(m23(t), x3(t)),
    "jacfwd many": lambda t: t.func.jacfwd(lambda a, b: {"p": a @ b, "q": (a.sum(), b)}, argnums=(0, 1))(m23(t), x3(t)),
    "jacrev chunks": lambda t: [t.func.jacrev(vec, chunk_size=n)(x3(t)) for n in (1, 2, 5)],
    "jacrev chunk 0": lambda t: t.func.jacrev(vec, chunk_size=0),
    "jacrev aux": lambda t: t.func.jacrev(lambda a: (a * 2, a), has_aux=True)(x3(t)),
    "jacfwd aux": lambda t: t.func.jacfwd(lambda a: (a * 2, a), has_aux=True)(x3(t)),
    "jacfwd randomness": lambda t: t.func.jacfwd(lambda a: a * t.rand(3, dtype=t.float64))(x3(t)),
    "jacfwd bad": lambda t: t.func.jacfwd(lambda a: 3)(x3(t)),
    "jacrev bad": lambda t: t.func.jacrev(lambda a: 3)(x3(t)),
    "jacrev argnums": lambda t: t.func.jacrev(vec, argnums=2)(x3(t)),
    "hessian": lambda t: t.func.hessian(f1)(x3(t)),
    "hessian two": lambda t: t.func.hessian(lambda a, b: (a**2 * b).sum(), argnums=(0, 1))(x3(t), x3(t) + 2),
    "linearize": lambda t: straight(t),
    "linearize tangents": lambda t: t.func.linearize(vec, x3(t))[1](t.ones(2, dtype=t.float64)),
    "linearize structure": lambda t: t.func.linearize(vec, x3(t))[1](x3(t), x3(t)),
    "linearize primals": lambda t: t.func.linearize(vec),
    "vmap": lambda t: t.func.vmap(t.dot)(m23(t), m23(t)),
    "vmap dims": lambda t: t.func.vmap(lambda a, b: a * b, in_dims=(1, None), out_dims=1)(m23(t), t.ones(2, dtype=t.float64)),
    "vmap nested dims": lambda t: t.func.vmap(lambda d, k: d["a"] + d["b"][0] * k, in_dims=({"a": 0, "b": [None]}, None))({"a": m23(t), "b": [x3(t)]}, 2),
    "vmap negative": lambda t: t.func.vmap(lambda a: a * 2, in_dims=-1, out_dims=-1)(m23(t)),
    "vmap out none": lambda t: t.func.vmap(lambda a: (a, x3(t)), out_dims=(0, None))(m23(t)),
    "vmap out none batched": lambda t: t.func.vmap(lambda a: a, out_dims=None)(m23(t)),
    "vmap out far": lambda t: t.func.vmap(lambda a: a, out_dims=2)(m23(t)),
    "vmap out structure": lambda t: t.func.vmap(lambda a: (a, a), out_dims=(0, 0, 0))(m23(t)),
    "vmap out type": lambda t: t.func.vmap(lambda a: a, out_dims="x")(m23(t)),
    "vmap constant result": lambda t: t.func.vmap(lambda a: x3(t))(m23(t)),
    "vmap number result": lambda t: t.func.vmap(lambda a: 3)(m23(t)),
    "vmap no tensors": lambda t: t.func.vmap(lambda a: a, in_dims=None)(m23(t)),
    "vmap in type": lambda t: t.func.vmap(lambda a: a, in_dims="x")(m23(t)),
    "vmap in list": lambda t: t.func.vmap(lambda a: a, in_dims=[0])(m23(t)),
    "vmap in structure": lambda t: t.func.vmap(lambda a: a, in_dims=(0, 0))(m23(t)),
    "vmap in float": lambda t: t.func.vmap(lambda a: a, in_dims=(0.5,))(m23(t)),
    "vmap in far": lambda t: t.func.vmap(lambda a: a, in_dims=2)(m23(t)),
    "vmap of number": lambda t: t.func.vmap(lambda a: a)(3),
    "vmap no inputs": lambda t: t.func.vmap(lambda: 3)(),
    "vmap sizes": lambda t: t.func.vmap(t.add)(m23(t), x3(t)),
    "vmap randomness": lambda t: t.func.vmap(lambda a: a, randomness="some")(m23(t)),
    "vmap random": lambda t: t.func.vmap(lambda a: a + t.rand(3))(m23(t)),
    "vmap random in place": lambda t: t.func.vmap(lambda a: t.zeros(3).uniform_())(m23(t)),
    "vmap dropout": lambda t: t.func.vmap(lambda a: t.nn.functional.dropout(a))(m23(t)),
    "vmap randperm": lambda t: t.func.vmap(lambda a: t.randperm(3))(m23(t)),
    "vmap chunk": lambda t: [t.func.vmap(lambda a: (a.sum(), {"k": a}), out_dims=(0, 1), chunk_size=n)(m23(t)) for n in (1, 2, 3)],
    "vmap chunk 0": lambda t: t.func.vmap(lambda a: a, chunk_size=0)(m23(t)),
    "vmap chunk none": lambda t: t.func.vmap(lambda a: (a, 2), out_dims=(0, None), chunk_size=1)(m23(t)),
    "vmap item": lambda t: t.func.vmap(lambda a: a.sum().item())(m23(t)),
    "vmap branch": lambda t: t.func.vmap(lambda a: a if a[0] > 0 else -a)(m23(t)),
    "vmap nonzero": lambda t: t.func.vmap(lambda a: a.nonzero())(m23(t)),
    "vmap mask": lambda t: t.func.vmap(lambda a: a[a > 0])(m23(t)),
    "vmap write into constant": lambda t: t.func.vmap(lambda a: x3(t).add_(a))(m23(t)),
    "vmap write": lambda t: t.func.vmap(lambda a: (a * 1).add_(a).mul_(2))(m23(t)),
    "vmap write view": lambda t: t.func.vmap(view_write)(m23(t)),
    "vmap setitem": lambda t: t.func.vmap(set_item)(m23(t)),
    "vmap shape": lambda t: t.func.vmap(lambda a: t.tensor(list(a.shape) + [a.dim(), a.numel(), a.stride(0)]))(m23(t)),
    "vmap numpy": lambda t: t.func.vmap(lambda a: a.numpy())(m23(t)),
    "vmap tolist": lambda t: t.func.vmap(lambda a: a.tolist())(m23(t)),
    "vmap data_ptr": lambda t: t.func.vmap(lambda a: a.data_ptr())(m23(t)),
    "vmap requires_grad_": lambda t: t.func.vmap(lambda a: a.requires_grad_())(m23(t)),
    "vmap out=": lambda t: t.func.vmap(lambda a: t.add(a, a, out=t.empty(3, dtype=t.float64)))(m23(t)),
    "vmap backward": lambda t: t.func.vmap(lambda a: a.sum().backward())(m23(t).requires_grad_()),
    "grad backward": lambda t: t.func.grad(lambda a: a.sum().backward())(x3(t)),
    "per sample grads": lambda t: t.func.vmap(t.func.grad(f1))(m23(t)),
    "per sample hessians": lambda t: t.func.vmap(t.func.hessian(f1))(m23(t)),
    "grad of vmap": lambda t: t.func.grad(lambda a: t.func.vmap(f1)(a).sum())(m23(t)),
    "jvp of vmap": lambda t: t.func.jvp(t.func.vmap(f1), (m23(t),), (m23(t),)),
    "vmap of jvp": lambda t: t.func.vmap(lambda a, b: t.func.jvp(f1, (a,), (b,)))(m23(t), m23(t)),
    "vmap of vjp": lambda t: t.func.vmap(lambda a, b: t.func.vjp(vec, a)[1](b)[0])(m23(t), m23(t)),
    "functionalize absent": lambda t: t.func.vmap(t.func.vmap(t.sin))(m23(t)),
    "vmap under backward": lambda t: under_backward(t),
    "functional_call": lambda t: module(t, {"weight": t.ones(2, 3), "bias": t.zeros(2)}, t.ones(3)),
    "functional_call some": lambda t: module(t, {"bias": t.ones(2)}, t.zeros(3)),
    "functional_call args": lambda t: module(t, {"bias": t.ones(2)}, (t.zeros(3),)),
    "functional_call kwargs": lambda t: module(t, {"bias": t.ones(2)}, None, {"input": t.zeros(3)}),
    "functional_call dicts": lambda t: module(t, ({"bias": t.ones(2)}, {"weight": t.ones(2, 3)}), t.zeros(3)),
    "functional_call twice": lambda t: module(t, ({"bias": t.ones(2)}, {"bias": t.ones(2)}), t.zeros(3)),
    "functional_call bad dict": lambda t: module(t, (3,), t.zeros(3)),
    "functional_call bad": lambda t: module(t, 3, t.zeros(3)),
    "functional_call unknown": lambda t: module(t, {"wat": t.ones(2)}, t.zeros(3)),
    "functional_call strict": lambda t: module(t, {"bias": t.ones(2)}, t.zeros(3), strict=True),
    "functional_call strict extra": lambda t: module(t, {"bias": t.ones(2), "weight": t.ones(2, 3), "more": t.ones(1)}, t.zeros(3), strict=True),
    "functional_call grad": lambda t: t.func.grad(lambda p: module(t, p, t.ones(3)).sum())({"weight": t.ones(2, 3), "bias": t.zeros(2)}),
    "vjp nothing": lambda t: t.func.vjp(lambda a: {}, x3(t)),
    "requires_grad_ in grad": lambda t: t.func.grad(lambda a: (t.ones(3).requires_grad_() * a).sum())(t.ones(3)),
    "retain_grad in grad": lambda t: t.func.grad(lambda a: (a.retain_grad(), a.sum())[1])(t.ones(3)),
    "autograd.grad in grad": lambda t: t.func.grad(lambda a: t.autograd.grad((a**3).sum(), a, create_graph=True)[0].sum())(x3(t)),
    "backward of another in grad": lambda t: t.func.grad(lambda a: (t.ones(2, requires_grad=True).sum().backward(), a.sum())[1])(t.ones(3)),
    "vmap copies into constant": lambda t: t.func.vmap(lambda a: t.zeros(3, dtype=t.float64).copy_(a))(m23(t)),
    "vmap multiplies constant": lambda t: t.func.vmap(lambda a: t.ones(3, dtype=t.float64).mul_(a))(m23(t)),
    "vmap unbatched mask": lambda t: t.func.vmap(lambda a: a[t.tensor([True, False, True])])(m23(t)),
    "stack none": lambda t: t.func.stack_module_state([]),
    "stack mixed": lambda t: t.func.stack_module_state([t.nn.Linear(2, 2), t.nn.ReLU()]),
    "stack modes": lambda t: t.func.stack_module_state([t.nn.Linear(2, 2), t.nn.Linear(2, 2).eval()]),
    "ensemble": lambda t: ensemble(t),
}  # fmt: skip


def no_grad(t):
    with t.no_grad():
        g = t.func.grad(f1)(x3(t).requires_grad_())
    return g, g.requires_grad


def detached(t, a):
    with t.no_grad():
        return a * 2


def writes(a):
    b = a * 1
    b.mul_(a)
    b[0] += 1
    return b.sum()


def captured(t):
    y = x3(t).requires_grad_()
    g = t.func.grad(lambda a: (a * a * y).sum())(x3(t))
    (h,) = t.autograd.grad(g.sum(), y)
    return g, g.requires_grad, h


def pulled(t, f, x):
    value, back = t.func.vjp(f, x)
    return value, back(x + 1), value.requires_grad


def twice(t):
    _, back = t.func.vjp(vec, x3(t))
    return back(x3(t)), back(x3(t) + 1)


def straight(t):
    value, along = t.func.linearize(vec, x3(t))
    return value, along(x3(t)), along(x3(t) * 2)


def view_write(a):
    b = a * 1
    b.view(3)[1:].mul_(5)
    return b


def set_item(a):
    b = a * 1
    b[0] = 7
    b[1:] = a[:2]
    return b


def under_backward(t):
    x = m23(t).requires_grad_()
    t.func.vmap(f1)(x).sum().backward()
    return x.grad


def module(t, given, *args, **kwargs):
    m = t.nn.Linear(3, 2)
    with t.no_grad():
        m.weight.fill_(0.5)
        m.bias.fill_(0.25)
    made = t.func.functional_call(m, given, *args, **kwargs)
    return made


def ensemble(t):
    models = [t.nn.Sequential(t.nn.Linear(2, 2), t.nn.BatchNorm1d(2)) for _ in range(3)]
    for k, m in enumerate(models):
        for p in m.parameters():
            p.data.fill_(k + 0.5)
        m.eval()
    params, buffers = t.func.stack_module_state(models)

    def call(p, b, x):
        return t.func.functional_call(models[0], (p, b), (x,))

    out = t.func.vmap(call, in_dims=(0, 0, None))(params, buffers, t.ones(4, 2))
    return out.detach(), {k: v.requires_grad for k, v in params.items()}, sorted(buffers)


@pytest.mark.parametrize("name", CALLS)
def test_func(name):
    def run(t):
        outcome = Outcome(CALLS[name], t)
        return outcome.value, outcome.error

    compare(run, mindtorch_v2, torch)
