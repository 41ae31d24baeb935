"""Nothing leaks: backward, its errors, transforms, hooks, views, indexing.

A scenario runs again and again; what the process holds afterwards must be what it held before: bytes from
malloc and blocks of the interpreter.
"""

import ctypes
import gc
import sys
import warnings

import pytest

import mindtorch_v2 as torch

try:
    _libc = ctypes.CDLL(None)
    _libc.mallinfo2.restype = type(
        "mallinfo2", (ctypes.Structure,),
        {"_fields_": [(n, ctypes.c_size_t) for n in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]},
    )  # fmt: skip
    _libc.mallinfo2()
except (AttributeError, OSError):  # another C library: the interpreter's own counts are left
    _libc = None


def held():
    """(bytes from malloc, blocks of the interpreter)"""
    gc.collect()
    info = _libc.mallinfo2() if _libc else None
    return (info.uordblks + info.hblkhd if info else 0), sys.getallocatedblocks()


def leaks(run, rounds=100, slack=12):
    """What `rounds` further runs leave behind per run, (0, 0) for nothing. Counts drift a little by themselves
    (free lists, caches), so a leak is what grows in proportion, four times in a row."""
    for _ in range(20):
        run()
    grown = []
    for _ in range(4):
        before = held()
        for _ in range(rounds):
            run()
        after = held()
        grown.append(((after[0] - before[0]) / rounds, (after[1] - before[1]) / rounds))
        if grown[-1][0] < slack and grown[-1][1] < 0.5:
            return 0, 0
    return min(g[0] for g in grown), min(g[1] for g in grown)


def scenarios():
    x = torch.rand(3, 3, requires_grad=True)
    w = torch.rand(3, 3, requires_grad=True)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.GELU(), torch.nn.Linear(4, 2))
    forward_ad = torch.autograd.forward_ad

    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            ctx.save_for_backward(a)
            ctx.other = a
            return a * 2

        @staticmethod
        def backward(ctx, g):
            (a,) = ctx.saved_tensors
            return g * 2 + a * 0

    class Fails(Twice):
        @staticmethod
        def backward(ctx, g):
            raise ValueError("on purpose")

    def expect(error, f):
        try:
            f()
        except error:
            return
        raise AssertionError("nothing was raised")

    def dual():
        with forward_ad.dual_level():
            forward_ad.unpack_dual((forward_ad.make_dual(x, w) @ w).sin())

    def in_place():
        b = x * 1
        b[0].mul_(2)
        b.view(-1)[1:3].add_(1)
        b.t_()
        b.sum().backward(inputs=[x])
        x.grad = None

    def hooks():
        y = x * 2
        handle = y.register_hook(lambda g: g * 2)
        x.register_post_accumulate_grad_hook(lambda p: None).remove()
        y.retain_grad()
        y.sum().backward(inputs=[x])
        handle.remove()
        x.grad = None

    def saved():
        with torch.autograd.graph.saved_tensors_hooks(lambda t: (t.detach(), 1), lambda p: p[0]):
            y = (x * w).exp().tanh()
        torch.autograd.grad(y.sum(), x)
        with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda p: None):
            y = x.exp()
        expect(TypeError, lambda: y.sum().backward())

    def version():
        b = x * 1
        y = b.exp()
        y.add_(1)
        expect(RuntimeError, lambda: y.sum().backward())

    def anomaly():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with torch.autograd.set_detect_anomaly(True):
                expect(RuntimeError, lambda: (x * 0 / 0 * x).sum().backward())

    def cycle():
        y = x * 2
        y.itself = y
        y.grad_fn.metadata["y"] = y

    def vmap_error():
        expect(RuntimeError, lambda: torch.func.vmap(lambda v: v.sum().item())(x))
        expect(ValueError, lambda: torch.func.vmap(lambda v: v, in_dims=5)(x))

    ones = torch.ones(3, 3)
    return {
        "backward": lambda: torch.autograd.grad((x @ w).sin().sum(), (x, w)),
        "double backward": lambda: torch.autograd.grad(torch.autograd.grad((x**3).sum(), x, create_graph=True)[0].sum(), x),
        "dropped graph": lambda: (x @ w).exp().log(),
        "module": lambda: torch.autograd.grad(model(x).sum(), list(model.parameters())),
        "custom": lambda: torch.autograd.grad(Twice.apply(x).sum(), x),
        "custom fails": lambda: expect(ValueError, lambda: Fails.apply(x).sum().backward()),
        "dual": dual, "in place": in_place, "hooks": hooks, "saved hooks": saved, "version error": version, "anomaly": anomaly, "cycle": cycle,
        "vmap": lambda: torch.func.vmap(lambda v: (v * w).sin().sum(0))(x),
        "vmap of grad": lambda: torch.func.vmap(torch.func.grad(lambda v: (v @ w).sin().sum()))(x),
        "hessian": lambda: torch.func.hessian(lambda v: (v @ w).sin().sum())(x[0].detach()),
        "jvp": lambda: torch.func.jvp(lambda v: v @ w, (ones,), (ones,)),
        "vmap error": vmap_error,
        "functional": lambda: torch.autograd.functional.hessian(lambda v: (v**3).sum(), ones[0], vectorize=True),
        "indexing": lambda: (x[None, :, [0, 2]].sum() + x[x > 0.5].sum() + x[..., -1]).sum(),
        "iteration": lambda: [r.tolist() for r in x.detach()],
        "numpy-like": lambda: torch.tensor([[1.0, 2.0], [3.0, 4.0]]).tolist(),
        "attributes": lambda: (setattr(x.detach(), "name_of_mine", [x]), x.shape, x.dtype, x.device, x.grad, x.T),
        "bad call": lambda: expect(TypeError, lambda: torch.add(x, "text")),
        "bad shape": lambda: expect(RuntimeError, lambda: x + torch.ones(4)),
        "autocast": lambda: autocast(x, w),
        "printing": lambda: repr(x),
    }  # fmt: skip


def autocast(x, w):
    with torch.autocast("cpu"):
        torch.autograd.grad((x @ w).sum(), x)


SCENARIOS = list(scenarios())


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenarios(name):
    run = scenarios()[name]
    assert leaks(run) == (0, 0)


def test_the_check_itself_sees_a_leak():
    kept = []
    assert leaks(lambda: kept.append(bytearray(100)))[1] >= 1
    if _libc:
        assert leaks(lambda: _libc.malloc(200))[0] >= 100
