"""Graphs that are deep, wide, nested or shared between threads."""

import gc
import resource
import sys
import threading
import weakref

import pytest

import mindtorch_v2 as torch


def test_400_nested_backwards():
    """Each backward runs the next from inside a hook: no recursion limit, right gradients."""
    depth = 400
    seen = []

    class Nested(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, level):
            ctx.level = level
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            seen.append(ctx.level)
            if ctx.level < depth:
                with torch.enable_grad():
                    inner = torch.full((1,), float(ctx.level), requires_grad=True)
                    Nested.apply(inner, ctx.level + 1).sum().backward()
                assert inner.grad.tolist() == [1.0]
            return g, None

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10 * depth + limit)
    try:
        x = torch.ones(1, requires_grad=True)
        Nested.apply(x, 1).sum().backward()
    finally:
        sys.setrecursionlimit(limit)
    assert seen == list(range(1, depth + 1))
    assert x.grad.tolist() == [1.0]


def test_nested_backward_through_checkpoints():
    """Checkpoints within checkpoints: every level recomputes with a backward of its own."""
    checkpoint = pytest.importorskip("mindtorch_v2.utils.checkpoint").checkpoint

    def deep(x, n):
        return x * 1.01 if n == 0 else checkpoint(deep, x * 1.01, n - 1, use_reentrant=True)

    x = torch.ones(3, dtype=torch.float64, requires_grad=True)
    deep(x, 30).sum().backward()
    assert torch.allclose(x.grad, torch.full((3,), 1.01**31, dtype=torch.float64))


def chain(x, n):
    for _ in range(n):
        x = x + 1
    return x


def test_million_deep_chain_runs_and_is_freed():
    x = torch.ones(1, requires_grad=True)
    y = chain(x, 1_000_000)
    assert y.item() == 1_000_001
    y.backward()
    assert x.grad.tolist() == [1.0]
    del y


def test_million_deep_chain_is_freed_without_backward():
    x = torch.ones(1, requires_grad=True)
    y = chain(x, 1_000_000)
    del y
    gc.collect()


def test_deep_chains_of_other_kinds_are_freed():
    """Views, writes in place, saved results and saved inputs hold graphs in ways of their own."""
    n = 100_000
    x = torch.ones(2, requires_grad=True)
    y = x * 1
    for _ in range(n):
        y = y.view(2)
    del y
    y = x * 1
    for _ in range(n):
        y.mul_(1.0)
    y.sum().backward()
    del y
    y = x * 1
    for _ in range(n):
        y = y.sigmoid()
    del y
    y = x * 1
    for _ in range(n):
        y = y * y
    del y
    y = x * 1
    for _ in range(n // 10):
        y[0].add_(1)
    y.sum().backward()
    del y
    assert x.grad.tolist() == [2.0, 2.0]


def test_deep_chain_in_a_thread_with_a_small_stack():
    found = []

    def run():
        x = torch.ones(1, requires_grad=True)
        y = chain(x, 200_000)
        y.backward(retain_graph=True)
        found.append(x.grad.item())
        del y

    before = threading.stack_size(256 * 1024)
    try:
        t = threading.Thread(target=run)
        t.start()
    finally:
        threading.stack_size(before)
    t.join()
    assert found == [1.0]


def test_deep_chain_under_create_graph():
    x = torch.tensor([1.0], dtype=torch.float64, requires_grad=True)
    y = x
    for _ in range(3000):
        y = y * 1.0001
    (g,) = torch.autograd.grad((y * y).sum(), x, create_graph=True)
    (h,) = torch.autograd.grad(g, x)
    assert abs(h.item() / (2 * 1.0001**6000) - 1) < 1e-9


def test_wide_graph():
    xs = [torch.ones(1, requires_grad=True) for _ in range(20_000)]
    torch.cat([x * (i % 7) for i, x in enumerate(xs)]).sum().backward()
    assert all(x.grad.item() == i % 7 for i, x in enumerate(xs))


def test_diamonds_do_not_blow_up():
    """2**60 paths, 60 nodes."""
    x = torch.ones(1, dtype=torch.float64, requires_grad=True)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**60


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_over_shared_leaves(threads):
    """Every thread runs its own backwards; the shared leaf gets the sum of them all."""
    w = torch.zeros(64, dtype=torch.float64, requires_grad=True)
    v = torch.ones(64, dtype=torch.float64, requires_grad=True)
    rounds, errors = 200, []
    start = threading.Barrier(threads)

    def run(k):
        try:
            start.wait()
            for _ in range(rounds):
                ((w * v + w).sum() * (k + 1)).backward()
        except Exception as error:
            errors.append(error)

    workers = [threading.Thread(target=run, args=(k,)) for k in range(threads)]
    for t in workers:
        t.start()
    for t in workers:
        t.join()
    assert not errors
    total = rounds * threads * (threads + 1) / 2
    assert w.grad.tolist() == [2 * total] * 64
    assert v.grad.tolist() == [0.0] * 64


def test_threads_over_one_graph():
    """The same graph, retained, run backward by several threads at once."""
    x = torch.rand(2000, dtype=torch.float64, requires_grad=True)
    y = x
    for _ in range(20):
        y = (y * 1.1).sin()
    (expected,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
    found, errors = [], []

    def run():
        try:
            for _ in range(10):
                found.append(torch.autograd.grad(y.sum(), x, retain_graph=True)[0])
        except Exception as error:
            errors.append(error)

    workers = [threading.Thread(target=run) for _ in range(4)]
    for t in workers:
        t.start()
    for t in workers:
        t.join()
    assert not errors and len(found) == 40
    assert all(torch.equal(g, expected) for g in found)


def test_modes_are_of_the_thread():
    seen = {}

    def run():
        seen["grad"] = torch.is_grad_enabled()
        seen["inference"] = torch.is_inference_mode_enabled()

    with torch.no_grad(), torch.inference_mode():
        t = threading.Thread(target=run)
        t.start()
        t.join()
    assert seen == {"grad": True, "inference": False}


def test_a_hook_that_raises_leaves_the_engine_usable():
    x = torch.ones(2, requires_grad=True)
    y = x * 2

    def bad(g):
        raise KeyError("from the hook")

    handle = y.register_hook(bad)
    for _ in range(3):
        with pytest.raises(KeyError, match="from the hook"):
            (y * 3).sum().backward(retain_graph=True)
    handle.remove()
    (y * 3).sum().backward()
    assert x.grad.tolist() == [6.0, 6.0]
    assert torch._C._current_graph_task_id() == -1


def test_cycles_through_a_graph_are_collected():
    class Keep(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.held = ctx
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return g

    x = torch.ones(1, requires_grad=True)
    y = Keep.apply(x)
    y.grad_fn.metadata["y"] = y
    alive = weakref.ref(y)
    del y
    gc.collect()
    assert alive() is None


def test_memory_of_a_training_loop_does_not_grow():
    model = torch.nn.Sequential(torch.nn.Linear(20, 20), torch.nn.Tanh(), torch.nn.Linear(20, 1))
    data = torch.rand(8, 20)

    def step():
        model.zero_grad()
        model(data).square().mean().backward()

    for _ in range(200):
        step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3000):
        step()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2048  # KiB


def test_complex_gradients():
    """PyTorch's convention: the gradient of a real loss is the conjugate Wirtinger derivative."""
    z = torch.tensor([1 + 2j, -0.5 + 0.3j], dtype=torch.complex128, requires_grad=True)
    step = 1e-6
    for f in (
        lambda z: z.abs().square().sum(), lambda z: (z * z).real.sum(), lambda z: z.exp().imag.sum(),
        lambda z: (z / (z.conj() + 2)).abs().sum(), lambda z: z.sin().real.sum() + z.imag.exp().sum(),
        lambda z: torch.view_as_real(z * z).prod(), lambda z: (z**3).abs().sum(), lambda z: z.sqrt().imag.sum(),
    ):  # fmt: skip
        (g,) = torch.autograd.grad(f(z), z)
        for k in range(2):
            unit = torch.zeros(2, dtype=torch.complex128)
            unit[k] = 1
            with torch.no_grad():
                re = (f(z + step * unit) - f(z - step * unit)).item() / (2 * step)
                im = (f(z + 1j * step * unit) - f(z - 1j * step * unit)).item() / (2 * step)
            assert abs(g[k].item() - complex(re, im)) < 1e-7 * max(1, abs(complex(re, im)))
    x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    (g,) = torch.autograd.grad((x * (2 + 3j)).abs().sum(), x)
    assert g.dtype is torch.float64 and torch.allclose(g, torch.full((2,), 13**0.5, dtype=torch.float64))
