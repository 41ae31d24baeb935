"""Optimizers and schedules against PyTorch: trajectories, states, errors, warnings."""

import contextlib
import copy
import itertools
import pickle

import pytest

import mindtorch_v2
from tests.parity.side_by_side import Outcome, compare

torch = pytest.importorskip("torch")

STEPS = 7


def values(shape, seed, low=-1.0, high=1.0):
    """Numbers in [low, high) that are the same everywhere: nested lists of the given shape."""
    state = [seed * 2654435761 % 2**32]

    def draw():
        state[0] = (state[0] * 1664525 + 1013904223) % 2**32
        return low + (high - low) * state[0] / 2**32

    def fill(dims):
        return [fill(dims[1:]) for _ in range(dims[0])] if dims else draw()

    return fill(list(shape))


def make_params(lib, dtype, shapes=((4, 3), (3,), (2, 5)), **kwargs):
    dtype = getattr(lib, dtype)
    params = []
    for i, shape in enumerate(shapes):
        p = lib.tensor(values(shape, i + 1), dtype=dtype)
        if dtype.is_complex:
            p = p + 1j * lib.tensor(values(shape, i + 11), dtype=dtype)
        params.append(lib.nn.Parameter(p))
    if not dtype.is_complex and len(shapes) == 3:  # one parameter that is not contiguous
        params[2] = lib.nn.Parameter(params[2].detach().t())
    return params


def set_grads(lib, params, step, sparse=False):
    """Gradients of a bowl around other points; the second parameter lacks one every third step."""
    with lib.no_grad():
        for i, p in enumerate(params):
            target = lib.tensor(values(p.shape, i + 5), dtype=p.dtype)
            grad = (p.detach() - target) * (1 + i) + 0.1 * (step % 2)
            p.grad = grad.to_sparse() if sparse else grad
        if step % 3 == 2 and len(params) > 1:
            params[1].grad = None


def trajectory(lib, name, kwargs, dtype, **options):
    shapes = options.get("shapes", ((4, 3), (3,), (2, 5)))
    params = make_params(lib, dtype, shapes)
    make = getattr(lib.optim, name)
    of_rates = lib.float64 if dtype == "float64" else lib.float32
    kwargs = {
        k: lib.tensor(v[1], dtype=of_rates) if isinstance(v, tuple) and v[0] == "tensor" else v
        for k, v in kwargs.items()
    }
    if options.get("groups"):
        optimizer = make([{"params": params[:1], "lr": 0.03}, {"params": params[1:]}], **kwargs)
    else:
        optimizer = make(params, **kwargs)
    for step in range(STEPS):
        set_grads(lib, params, step, options.get("sparse", False))
        optimizer.step()
        yield [p.detach().clone() for p in params]
    yield optimizer.state_dict()
    yield repr(optimizer)


def product(**axes):
    return [dict(zip(axes, choice, strict=True)) for choice in itertools.product(*axes.values())]


CONFIGS = {
    "SGD": [
        *product(momentum=[0, 0.9], weight_decay=[0, 0.1], maximize=[False, True]),
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
        {"momentum": 0.8, "dampening": 0.3},
        {"lr": ("tensor", 0.05)},
    ],
    "Adam": [
        *product(weight_decay=[0, 0.1], amsgrad=[False, True], maximize=[False, True]),
        {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-4},
        {"decoupled_weight_decay": True, "weight_decay": 0.3},
        {"lr": ("tensor", 0.05), "weight_decay": 0.1},
    ],
    "AdamW": [
        *product(weight_decay=[0, 0.1], amsgrad=[False, True], maximize=[False, True]),
        {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-4},
    ],
    "Adagrad": [
        *product(weight_decay=[0, 0.1], lr_decay=[0, 0.2], maximize=[False, True]),
        {"initial_accumulator_value": 0.3, "eps": 1e-3},
    ],
    "RMSprop": product(
        momentum=[0, 0.9], centered=[False, True], weight_decay=[0, 0.1], maximize=[False, True]
    ),
    "Adadelta": [*product(rho=[0.9, 0.5], weight_decay=[0, 0.1], maximize=[False, True])],
    "Adamax": [*product(weight_decay=[0, 0.1], maximize=[False, True]), {"betas": (0.5, 0.6)}],
    "NAdam": [
        *product(
            weight_decay=[0, 0.1], decoupled_weight_decay=[False, True], maximize=[False, True]
        ),
        {"momentum_decay": 0.1},
    ],
    "RAdam": [
        *product(
            weight_decay=[0, 0.1],
            decoupled_weight_decay=[False, True],
            betas=[(0.9, 0.999), (0.5, 0.8)],
        ),
        {"maximize": True},
    ],
    "ASGD": [*product(t0=[1e6, 2], weight_decay=[0, 0.1], lambd=[1e-4, 0.1]), {"maximize": True}],
    "Rprop": [{}, {"etas": (0.3, 1.5)}, {"step_sizes": (1e-3, 0.02)}, {"maximize": True}],
}
HAS_FUSED = ("SGD", "Adam", "AdamW", "Adagrad")
CASES = [(name, kwargs) for name, configs in CONFIGS.items() for kwargs in configs]


def ident(case):
    return case[0] + "-" + ",".join(f"{k}={v}" for k, v in case[1].items())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=ident)
def test_trajectory(case, dtype):
    name, kwargs = case
    tol = {"rtol": 1e-5, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-7, "atol": 1e-9}
    compare(trajectory, mindtorch_v2, torch, name, kwargs, dtype, **tol)


@pytest.mark.parametrize("case", [c for c in CASES if c[0] in HAS_FUSED], ids=ident)
@pytest.mark.parametrize("flag", ["fused", "not fused", "foreach"])
def test_implementations(case, flag):
    name, kwargs = case
    if flag == "foreach" and "lr" in kwargs and name == "Adam":
        pytest.skip("torch refuses a tensor lr with foreach")
    flags = {"fused": flag == "fused"} if "fused" in flag else {"foreach": True}
    compare(trajectory, mindtorch_v2, torch, name, {**kwargs, **flags}, "float32")


@pytest.mark.parametrize("name", [n for n in CONFIGS if n not in HAS_FUSED])
def test_foreach(name):
    for kwargs in CONFIGS[name][::3]:
        compare(trajectory, mindtorch_v2, torch, name, {**kwargs, "foreach": True}, "float64")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", CONFIGS)
def test_narrow_types(name, dtype):
    tol = {"rtol": 2e-2, "atol": 2e-2} if dtype == "bfloat16" else {"rtol": 3e-3, "atol": 3e-3}
    compare(trajectory, mindtorch_v2, torch, name, CONFIGS[name][0], dtype, **tol)
    if name in HAS_FUSED:
        compare(
            trajectory, mindtorch_v2, torch, name, {**CONFIGS[name][0], "fused": True}, dtype, **tol
        )


@pytest.mark.parametrize("name", CONFIGS)
def test_complex(name):
    for kwargs in CONFIGS[name][:5]:
        compare(trajectory, mindtorch_v2, torch, name, kwargs, "complex64")


@pytest.mark.parametrize("name", CONFIGS)
def test_groups(name):
    def scenario(lib):
        return trajectory(lib, name, CONFIGS[name][0], "float32", groups=True)

    compare(scenario, mindtorch_v2, torch)


@pytest.mark.parametrize("flags", [{}, {"fused": True}, {"fused": False}])
@pytest.mark.parametrize("name", HAS_FUSED)
def test_mixed_dtypes_in_one_group(name, flags):
    def scenario(lib):
        params = make_params(lib, "float32") + make_params(lib, "float64")
        optimizer = getattr(lib.optim, name)(params, lr=0.05, **flags)
        for step in range(3):
            set_grads(lib, params, step)
            optimizer.step()
        return [p.detach() for p in params], optimizer.state_dict()

    compare(scenario, mindtorch_v2, torch)


@pytest.mark.parametrize(
    "name, kwargs",
    [
        ("SGD", {}),
        ("SGD", {"maximize": True}),
        ("Adagrad", {}),
        ("Adagrad", {"lr_decay": 0.1, "maximize": True}),
        ("SparseAdam", {}),
        ("SparseAdam", {"lr": 0.1, "betas": (0.5, 0.6), "maximize": True}),
    ],
)
def test_sparse_gradients(name, kwargs):
    def scenario(lib):
        p = lib.nn.Parameter(lib.tensor(values((6, 2), 3)))
        optimizer = getattr(lib.optim, name)([p], **kwargs)
        for step in range(5):
            rows = lib.tensor([[step % 6, 2, 2, 5 - step]])  # row 2 twice: to be summed
            p.grad = lib.sparse_coo_tensor(rows, lib.tensor(values((4, 2), step + 1)), (6, 2))
            optimizer.step()
            yield p.detach().clone()
        yield optimizer.state_dict()

    compare(scenario, mindtorch_v2, torch)


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"lr": 0.1, "weight_decay": 0.1},
        {"beta2_decay": -0.3, "d": 2.0, "maximize": True},
        {"eps": (1e-3, 1e-2), "foreach": True},
    ],
)
def test_adafactor(kwargs):
    for dtype in ("float32", "float64"):
        compare(trajectory, mindtorch_v2, torch, "Adafactor", kwargs, dtype)

    def scenario(lib):
        return trajectory(lib, "Adafactor", kwargs, "float32", shapes=((2, 3, 4), (), (1, 1)))

    compare(scenario, mindtorch_v2, torch)


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"nesterov": False, "weight_decay": 0},
        {"adjust_lr_fn": "match_rms_adamw", "lr": 0.02, "momentum": 0.5},
        {"ns_steps": 2, "ns_coefficients": (3.0, -4.0, 2.0), "lr": ("tensor", 0.01)},
    ],
)
def test_muon(kwargs):
    def scenario(lib):
        return trajectory(lib, "Muon", kwargs, "float32", shapes=((4, 7), (8, 3), (5, 5)))

    compare(scenario, mindtorch_v2, torch, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"line_search_fn": "strong_wolfe"},
        {"line_search_fn": "strong_wolfe", "lr": 0.3, "history_size": 3, "max_iter": 8},
        {"lr": 0.01, "max_iter": 7, "history_size": 2},
        {"max_iter": 10, "max_eval": 6, "line_search_fn": "strong_wolfe"},
        {"tolerance_grad": 1.0},
        {"tolerance_change": 0.1, "lr": 1e-3},
    ],
)
def test_lbfgs(kwargs, dtype):
    def scenario(lib):
        params = make_params(lib, dtype, ((3,), (2, 2)))
        optimizer = lib.optim.LBFGS(params, **kwargs)

        def closure():
            optimizer.zero_grad()
            loss = 0
            for p in params:
                x = lib.view_as_real(p).reshape(-1) if p.is_complex() else p.reshape(-1)
                loss = loss + ((1 - x[:-1]) ** 2 + 4 * (x[1:] - x[:-1] ** 2) ** 2).sum()
            loss.backward()
            return loss

        for _ in range(3):
            yield optimizer.step(closure)
            yield [p.detach().clone() for p in params]
            state = optimizer.state_dict()
            state["state"][0].pop("al", None)  # scratch space
            yield state

    tol = {"rtol": 1e-2, "atol": 1e-3} if dtype == "float32" else {"rtol": 1e-6, "atol": 1e-7}
    compare(scenario, mindtorch_v2, torch, **tol)


def backward_through_steps(lib, name, kwargs, steps, of_rate):
    """Gradients of a loss after some steps: of the start, the gradients' factors and the rate."""
    start, factors = (
        [lib.tensor(values((3, 2), i), dtype=lib.float64, requires_grad=True) for i in seeds]
        for seeds in ((1, 2), (3, 4))
    )
    lr = lib.tensor(0.05, dtype=lib.float64, requires_grad=True) if of_rate else 0.05
    params = [p.clone() for p in start]
    options = {k: v for k, v in kwargs.items() if k != "lr"}
    optimizer = getattr(lib.optim, name)(params, lr=lr, differentiable=True, **options)
    for step in range(steps):
        for p, f in zip(params, factors, strict=True):
            p.grad = f * (1 + step) + 0.5 * f * f
        optimizer.step()
    sum((p * p).sum() for p in params).backward()
    return [p.detach() for p in params], [t.grad for t in start + factors], of_rate and lr.grad


@contextlib.contextmanager
def float64_counters():
    """Counts steps in float64. In float32 the counters' rounding shows in the results, and the
    reference's float32 square roots are not all rounded correctly."""
    libs = (mindtorch_v2, torch)
    for lib in libs:
        lib.set_default_dtype(lib.float64)
    try:
        yield
    finally:
        for lib in libs:
            lib.set_default_dtype(lib.float32)


@pytest.mark.parametrize("of_rate", [False, True], ids=["rate fixed", "rate learned"])
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("name", CONFIGS)
def test_differentiable(name, steps, of_rate):
    compared = 0
    for kwargs in CONFIGS[name]:
        args = (name, kwargs, steps, of_rate)
        if Outcome(backward_through_steps, torch, *args).error is not None:
            continue  # torch takes no tensor there, or changes in place what it needs again
        with float64_counters():
            compare(backward_through_steps, mindtorch_v2, torch, *args, rtol=1e-7, atol=1e-9)
        compared += 1
    if not compared:
        pytest.skip("torch cannot differentiate this")


BAD_OPTIONS = [
    {"lr": -1},
    {"lr": "a"},
    {"lr": ("tensor", [1.0, 2.0])},
    {"eps": -1},
    {"betas": (-0.1, 0.9)},
    {"betas": (0.1, 1.0)},
    {"betas": (0, 0.9)},
    {"weight_decay": -1},
    {"rho": 2},
    {"alpha": -1},
    {"momentum": -1},
    {"nesterov": True},
    {"nesterov": True, "momentum": 0.9, "dampening": 0.1},
    {"etas": (0.5, 1.0)},
    {"lr_decay": -1},
    {"initial_accumulator_value": -1},
    {"momentum_decay": -1},
    {"fused": True, "foreach": True},
    {"fused": True, "differentiable": True},
    {"foreach": True, "lr": ("tensor", 0.1)},
    {"capturable": True},
    {"capturable": True, "foreach": True},
    {"beta2_decay": 0.1},
    {"d": 0.5},
    {"ns_steps": 100},
    {"ns_coefficients": (1, 2)},
    {"adjust_lr_fn": "x"},
    {"line_search_fn": "x"},
    {"nonsense": 1},
]
ALL = [*CONFIGS, "Adafactor", "Muon", "LBFGS", "SparseAdam"]


@pytest.mark.parametrize("name", ALL)
def test_refused_options(name):
    import inspect

    known = inspect.signature(getattr(torch.optim, name)).parameters

    def scenario(lib):
        for options in BAD_OPTIONS:
            if not set(options) <= set(known) | {"nonsense"}:
                continue
            kwargs = {
                k: lib.tensor(v[1]) if isinstance(v, tuple) and v[0] == "tensor" else v
                for k, v in options.items()
            }
            p = lib.nn.Parameter(lib.ones(2, 2))
            p.grad = lib.ones(2, 2)

            def go(p=p, kwargs=kwargs):
                optimizer = getattr(lib.optim, name)([p], **kwargs)
                optimizer.step(*([lambda: (p * p).sum()] if name == "LBFGS" else []))

            outcome = Outcome(go)
            if "nonsense" in options:
                outcome = type(outcome.error).__name__
            yield str(options), outcome

    compare(scenario, mindtorch_v2, torch)


@pytest.mark.parametrize("name", [n for n in ALL if n != "LBFGS"])
def test_refused_gradients(name):
    def scenario(lib):
        for dtype, kind, flags in itertools.product(
            ("float32", "complex64", "meta"), ("dense", "sparse"), ({}, {"fused": True})
        ):
            if flags and name not in HAS_FUSED or (dtype == "meta" and kind == "sparse"):
                continue
            if dtype == "meta":
                p = lib.nn.Parameter(lib.ones(2, 2, device="meta"))
            else:
                p = lib.nn.Parameter(lib.ones(2, 2, dtype=getattr(lib, dtype)))
            if dtype == "meta" and (name == "Adafactor" or name == "SparseAdam"):
                continue  # norms of meta tensors cannot be read
            p.grad = lib.ones_like(p)
            if kind == "sparse":
                p.grad = p.grad.to_sparse()
            if (dtype, kind) == ("complex64", "sparse") and name in ("SGD", "Adagrad"):
                continue

            def go(p=p, flags=flags):
                getattr(lib.optim, name)([p], **flags).step()

            yield dtype, kind, str(flags), Outcome(go).error

    compare(scenario, mindtorch_v2, torch)


def test_parameters_given():
    def scenario(lib):
        def param(*shape):
            return lib.nn.Parameter(lib.ones(*shape))

        p, q = param(2), param(3)
        make = lib.optim.SGD
        for params in (
            p,
            [],
            {},
            {p},
            [{"params": {p}}],
            [{"params": p}],
            [1],
            "abc",
            5,
            None,
            [p * 2],
            [p, p],
            [{"params": [p]}, {"params": [p]}],
            [{"parms": [p]}],
            [("a", p), q],
            [q, ("a", p)],
            [("a", 1)],
            [{"params": [("a", p)]}, {"params": [q]}],
            [{"params": [("a", p)], "lr": 3}],
            (x for x in [p, q]),
            (x for x in [("a", p), ("b", q)]),
            [lib.ones(2)],
        ):
            outcome = Outcome(make, params)
            if outcome.value is not None:
                outcome.value = (repr(outcome.value), outcome.value.state_dict())
            yield outcome
        optimizer = make([p])
        for group in (
            [q],
            5,
            {},
            {"params": [("b", q)]},
            {"params": ["a"]},
            {"params": [p]},
            {"params": q, "foo": 3, "lr": 7},
        ):
            yield Outcome(optimizer.add_param_group, group)
        yield repr(optimizer), optimizer.state_dict(), optimizer.defaults
        named = make([("a", p)])
        yield Outcome(named.add_param_group, {"params": [q]})
        yield Outcome(named.add_param_group, {"params": [("b", q)]}), named.state_dict()

        optimizer_module = __import__(lib.__name__ + ".optim.optimizer", fromlist=["required"])

        class Mine(lib.optim.Optimizer):
            def __init__(self, params, **options):
                super().__init__(params, {"lr": optimizer_module.required, **options})

        yield Outcome(Mine, [p]).error
        mine = Mine([{"params": [p], "lr": 1}])
        yield repr(mine), repr(optimizer_module.required), Outcome(mine.step).error

    compare(scenario, mindtorch_v2, torch)


def test_groups_are_kept_and_rates_shared():
    def scenario(lib):
        p, q = (lib.nn.Parameter(lib.ones(2)) for _ in range(2))
        group = {"params": p, "x": [1]}
        optimizer = lib.optim.SGD([group])
        yield optimizer.param_groups[0] is group, list(group)
        lr = lib.tensor(0.1)
        optimizer = lib.optim.SGD([{"params": p}, {"params": q}], lr=lr)
        yield [g["lr"] is lr for g in optimizer.param_groups], optimizer.defaults["lr"] is lr

    compare(scenario, mindtorch_v2, torch)


def test_hooks():
    def scenario(lib):
        module = __import__(lib.__name__ + ".optim.optimizer", fromlist=["x"])
        seen = []

        def note(name):
            return lambda *args: seen.append((name, len(args), [str(a)[:3] for a in args[1:]]))

        p = lib.nn.Parameter(lib.ones(2))
        p.grad = lib.ones(2)
        optimizer = lib.optim.SGD([p])
        handles = [
            module.register_optimizer_step_pre_hook(note("all before")),
            module.register_optimizer_step_post_hook(note("all after")),
            optimizer.register_step_pre_hook(note("before")),
            optimizer.register_step_post_hook(note("after")),
            optimizer.register_step_pre_hook(note("before 2")),
            optimizer.register_state_dict_pre_hook(note("state before")),
            optimizer.register_state_dict_pre_hook(note("state before first"), prepend=True),
            optimizer.register_state_dict_post_hook(note("state after")),
            optimizer.register_load_state_dict_pre_hook(note("load before")),
            optimizer.register_load_state_dict_post_hook(note("load after")),
        ]
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
        for handle in handles:
            handle.remove()
        optimizer.step()
        yield seen

        h = optimizer.register_step_pre_hook(lambda *_: 5)
        yield str(Outcome(optimizer.step).error).split(">")[-1]
        h.remove()
        with optimizer.register_step_pre_hook(lambda o, args, kwargs: ((o, lambda: 3), {})):
            yield optimizer.step()
        optimizer.register_state_dict_post_hook(lambda o, state: {"changed": state})
        optimizer.register_load_state_dict_pre_hook(lambda o, state: state["changed"])
        yield optimizer.state_dict()
        optimizer.load_state_dict(optimizer.state_dict())
        yield Outcome(optimizer.load_state_dict, {})

    compare(scenario, mindtorch_v2, torch)


def test_loading():
    def scenario(lib):
        def param(n, dtype=lib.float32):
            return lib.nn.Parameter(lib.ones(n, dtype=dtype))

        a = lib.optim.SGD([("a", param(2))])
        b = lib.optim.SGD([param(2)])
        c = lib.optim.SGD([("c", param(2))])
        a.load_state_dict(c.state_dict())
        yield a.state_dict()
        a.load_state_dict(b.state_dict())
        yield a.state_dict()
        b.load_state_dict(a.state_dict())
        yield b.state_dict()
        yield Outcome(b.load_state_dict, {"state": {}, "param_groups": []})
        state = b.state_dict()
        state["param_groups"][0]["params"] = [0, 1]
        yield Outcome(b.load_state_dict, state)

        p = param(2, lib.float64)
        p.grad = lib.ones_like(p)
        optimizer = lib.optim.Adam([p])
        optimizer.step()
        state = optimizer.state_dict()
        state["state"][0]["foo"] = {
            "a": lib.ones(2, dtype=lib.float64),
            "l": [lib.ones(1, dtype=lib.int64), 3],
            "t": (1, 2),
        }
        state["state"]["other"] = lib.ones(1)
        q = param(2)
        target = lib.optim.Adam([q])
        target.load_state_dict(state)
        yield target.state, target.state_dict(), state["state"][0]["exp_avg"].dtype
        for step in (5, lib.tensor(5, dtype=lib.int64), lib.tensor(3.0, dtype=lib.float64)):
            for flags in ({}, {"fused": True}, {"capturable": True}):
                state = copy.deepcopy(optimizer.state_dict())
                state["state"][0]["step"] = step
                state["param_groups"][0].update(flags)
                target.load_state_dict(state)
                yield target.state[q]["step"]

        old = optimizer.state_dict()  # as older releases wrote them
        for key in ("maximize", "foreach", "capturable", "differentiable", "fused", "amsgrad"):
            del old["param_groups"][0][key]
        target.load_state_dict(old)
        yield target.state_dict()

    compare(scenario, mindtorch_v2, torch)


def test_copies():
    def scenario(lib):
        params = make_params(lib, "float32")
        optimizer = lib.optim.Adam(params, lr=0.01)
        set_grads(lib, params, 0)
        optimizer.step()
        yield sorted(optimizer.__getstate__())
        for again in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
            yield again.state_dict(), repr(again)
            owned = again.param_groups[0]["params"]
            yield [p in again.state for p in owned], [any(p is q for q in params) for p in owned]
            set_grads(lib, owned, 1)
            again.step()
            yield [p.detach().clone() for p in owned]

    compare(scenario, mindtorch_v2, torch)


def test_zero_grad_and_closure():
    def scenario(lib):
        p = lib.nn.Parameter(lib.ones(2))
        optimizer = lib.optim.SGD([p], lr=0.1)
        (p * p).sum().backward()
        held = p.grad
        optimizer.zero_grad(set_to_none=False)
        yield p.grad, p.grad is held
        p.grad = (p * 3).clone()
        optimizer.zero_grad(False)
        yield p.grad, p.grad.requires_grad
        optimizer.zero_grad()
        yield p.grad
        with lib.no_grad():
            yield optimizer.step(lambda: lib.is_grad_enabled()), lib.is_grad_enabled()
        yield Outcome(optimizer.step, 1, 2, 3)

        class Quiet(lib.optim.SGD):
            def step(self, closure=None):
                return 7

        yield Quiet([p]).step(), Quiet.step.hooked, Quiet.step.__name__

    compare(scenario, mindtorch_v2, torch)


def test_grad_scaling_of_fused_steps():
    def scenario(lib):
        for name, (scale, inf) in itertools.product(
            HAS_FUSED, ((None, 0.0), (8.0, 0.0), (8.0, 1.0))
        ):
            params = make_params(lib, "float32")
            optimizer = getattr(lib.optim, name)(params, lr=0.1, fused=True)
            yield getattr(optimizer, "_step_supports_amp_scaling", False)
            for step in range(3):
                set_grads(lib, params, 0)
                optimizer.grad_scale = None if scale is None else lib.tensor(scale)
                optimizer.found_inf = lib.tensor(inf if step == 1 else 0.0)
                optimizer.step()
            yield [p.detach().clone() for p in params], optimizer.state_dict()

    compare(scenario, mindtorch_v2, torch)


def test_functional_forms():
    def scenario(lib):
        module = __import__(lib.__name__ + ".optim.adam", fromlist=["adam"])
        sgd = __import__(lib.__name__ + ".optim.sgd", fromlist=["sgd"])
        with lib.no_grad():
            params = [lib.tensor(values((3,), 1))]
            lists = [[lib.tensor(values((3,), i))] for i in (2, 3)]
            squares, steps = [lib.rand(3)], [lib.tensor(3.0)]
            options = {
                "amsgrad": False,
                "beta1": 0.9,
                "beta2": 0.99,
                "lr": 0.1,
                "weight_decay": 0.1,
            }
            options |= {"eps": 1e-8, "maximize": False}
            module.adam(params, *lists, squares, [], steps, **options)
            yield params, lists, squares, steps
            yield Outcome(module.adam, params, *lists, squares, [], [3], **options)
            buffers = [None]
            options = {"weight_decay": 0.1, "momentum": 0.9, "lr": 0.1, "dampening": 0.5}
            for _ in range(2):
                sgd.sgd(params, lists[0], buffers, nesterov=False, maximize=True, **options)
                yield params, buffers

    compare(scenario, mindtorch_v2, torch)


def test_swap_in():
    def scenario(lib):
        swap = lib.optim.swap_in_optimizer_params_and_state

        def use(*args):
            with swap(*args):
                return "fits"

        p, q = (lib.nn.Parameter(lib.ones(n)) for n in (2, 3))
        optimizer = lib.optim.Adam([{"params": [p]}, {"params": [q], "lr": 0.5}])
        new = {"a": lib.zeros(2, requires_grad=True), "b": lib.zeros(3, requires_grad=True)}
        yield Outcome(use, optimizer, new, optimizer.state_dict())
        for x in (p, q):
            x.grad = lib.ones_like(x)
        optimizer.step()
        state = copy.deepcopy(optimizer.state_dict())
        with swap(optimizer, new, state):
            for x in new.values():
                x.grad = lib.ones_like(x)
            optimizer.step()
            optimizer.param_groups[0]["lr"] = 99
            optimizer.state[new["a"]]["more"] = 1
            yield optimizer.state, optimizer.param_groups
        yield state, optimizer.state_dict(), new, p.detach()

        def changed(**parts):
            return {**copy.deepcopy(state), **parts}

        groups = state["param_groups"]
        for args in (
            ({"a": new["a"]}, state),
            ({**new, "c": new["a"]}, state),
            (new, 5),
            (new, {}),
            (new, changed(state=5)),
            (new, changed(param_groups=5)),
            (new, changed(param_groups=[])),
            (new, changed(param_groups=tuple(groups))),
            (new, changed(state={"x": {}})),
            (new, changed(state={0: 5})),
            (new, changed(state={0: {}, 9: {}})),
            (new, changed(state={0: {}})),
            (new, changed(param_groups=[5, 6])),
            (new, changed(param_groups=[{"params": [0]}, {"params": [1]}])),
            (new, changed(param_groups=[{"params": ["a"]}, {"params": [1]}])),
            (new, changed(param_groups=[{"params": [0, 1]}, {"params": [1]}])),
            (new, changed(param_groups=[{**groups[0], "foo": 1}, groups[1]])),
            (new, changed(extra=1)),
        ):
            yield Outcome(use, optimizer, *args)

    compare(scenario, mindtorch_v2, torch)


# ---------------------------------------------------------------- schedules

SCHEDULES = {
    "lambda": lambda s, o, **k: s.LambdaLR(o, lambda e: 1 / (1 + e), **k),
    "lambdas": lambda s, o, **k: s.LambdaLR(o, [lambda e: 0.9**e, lambda e: 1 + e], **k),
    "multiplicative": lambda s, o, **k: s.MultiplicativeLR(o, lambda e: 0.9, **k),
    "step": lambda s, o, **k: s.StepLR(o, 3, gamma=0.5, **k),
    "multistep": lambda s, o, **k: s.MultiStepLR(o, [2, 5, 5, 9], gamma=0.5, **k),
    "constant": lambda s, o, **k: s.ConstantLR(o, factor=0.25, total_iters=4, **k),
    "linear": lambda s, o, **k: s.LinearLR(o, 0.2, 0.9, total_iters=6, **k),
    "exponential": lambda s, o, **k: s.ExponentialLR(o, 0.8, **k),
    "polynomial": lambda s, o, **k: s.PolynomialLR(o, total_iters=7, power=1.5, **k),
    "cosine": lambda s, o, **k: s.CosineAnnealingLR(o, 5, eta_min=0.01, **k),
    "restarts": lambda s, o, **k: s.CosineAnnealingWarmRestarts(o, 3, T_mult=2, eta_min=0.01, **k),
    "restarts1": lambda s, o, **k: s.CosineAnnealingWarmRestarts(o, 4, **k),
    "cyclic": lambda s, o, **k: s.CyclicLR(o, 0.1, [0.5, 1.0], step_size_up=3, **k),
    "cyclic2": lambda s, o, **k: s.CyclicLR(
        o, [0.1, 0.2], 0.5, step_size_up=2, step_size_down=3, mode="triangular2", **k
    ),
    "cyclic exp": lambda s, o, **k: s.CyclicLR(
        o, 0.1, 0.5, step_size_up=3, mode="exp_range", gamma=0.9, cycle_momentum=False, **k
    ),
    "cyclic own": lambda s, o, **k: s.CyclicLR(
        o, 0.1, 0.5, 3, scale_fn=lambda x: 1 / x, scale_mode="cycle", **k
    ),
    "onecycle": lambda s, o, **k: s.OneCycleLR(o, 0.5, total_steps=20, **k),
    "onecycle3": lambda s, o, **k: s.OneCycleLR(
        o, [0.5, 0.3], epochs=4, steps_per_epoch=5, three_phase=True, anneal_strategy="linear", **k
    ),
    "swalr": lambda s, o, **k: swa(s).SWALR(o, [0.05, 0.07], anneal_epochs=4, **k),
    "swalr0": lambda s, o, **k: swa(s).SWALR(o, 0.05, 0, anneal_strategy="linear", **k),
}
COMPOSED = {
    "sequential": lambda s, o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.1, 2), s.ExponentialLR(o, 0.9), s.StepLR(o, 2)], [3, 8]
    ),
    "sequential restart": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=3), s.CosineAnnealingLR(o, 6)], [4]
    ),
    "sequential warm": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1), s.CosineAnnealingWarmRestarts(o, 3)], [4]
    ),
    "chained": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 4), s.ExponentialLR(o, 0.9)]),
    "nested": lambda s, o: s.SequentialLR(
        o,
        [
            s.SequentialLR(o, [s.LinearLR(o), s.ExponentialLR(o, 0.7)], [3]),
            s.StepLR(o, 2),
        ],
        [7],
    ),
    "plateau": lambda s, o: s.ReduceLROnPlateau(o, patience=1),
    "plateau max": lambda s, o: s.ReduceLROnPlateau(
        o, "max", 0.5, 0, threshold=0.05, cooldown=2, min_lr=[0.01, 0.2]
    ),
    "plateau abs": lambda s, o: s.ReduceLROnPlateau(
        o, patience=1, threshold_mode="abs", threshold=0.3, eps=0.01
    ),
    "plateau max abs": lambda s, o: s.ReduceLROnPlateau(
        o, "max", threshold_mode="abs", threshold=0.3, patience=0
    ),
}


def swa(schedules):
    return __import__(schedules.__name__.replace("lr_scheduler", "swa_utils"), fromlist=["SWALR"])


def two_groups(lib, name="SGD", **kwargs):
    params = [lib.nn.Parameter(lib.ones(n)) for n in (1, 2)]
    options = {"lr": 0.1, "momentum": 0.9} if name == "SGD" else {"lr": 0.1}
    make = getattr(lib.optim, name)
    return make([{"params": params[:1]}, {"params": params[1:], "lr": 0.5}], **options, **kwargs)


def groups_of(optimizer):
    return [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]


def walk(scheduler, optimizer, steps):
    for i in range(steps):
        optimizer.step()
        if type(scheduler).__name__ == "ReduceLROnPlateau":
            scheduler.step((3, 2, 2.5, 1.9, 1.9, 1.9, 1.5, 1.2, 1.19, 1.19, 1.19)[i % 11])
        else:
            scheduler.step()
        yield (
            groups_of(optimizer),
            scheduler.get_last_lr(),
            scheduler.last_epoch if hasattr(scheduler, "last_epoch") else None,
        )


def readable(state):
    """A scheduler's state without the objects that have no common form."""
    return {k: v for k, v in state.items() if not callable(v)}


@pytest.mark.parametrize("name", ["SGD", "Adam"])
@pytest.mark.parametrize("which", [*SCHEDULES, *COMPOSED])
def test_schedule(which, name):
    def scenario(lib):
        optimizer = two_groups(lib, name)
        make = SCHEDULES.get(which) or COMPOSED[which]
        scheduler = make(lib.optim.lr_scheduler, optimizer)
        yield groups_of(optimizer), readable(scheduler.state_dict())
        yield list(walk(scheduler, optimizer, 11))
        saved = copy.deepcopy(readable(scheduler.state_dict()))
        yield saved
        other = two_groups(lib, name)
        again = make(lib.optim.lr_scheduler, other)
        again.load_state_dict({**again.state_dict(), **saved})
        other.load_state_dict(optimizer.state_dict())
        yield list(walk(again, other, 8))
        if "own" not in which and "lambda" not in which and which != "multiplicative":
            clone = pickle.loads(pickle.dumps(scheduler))
            yield list(walk(clone, clone.optimizer, 3))

    compare(scenario, mindtorch_v2, torch, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("which", SCHEDULES)
def test_schedule_goes_on_from_an_epoch(which):
    def scenario(lib):
        optimizer = two_groups(lib)
        yield Outcome(SCHEDULES[which], lib.optim.lr_scheduler, optimizer, last_epoch=4).error
        first = SCHEDULES[which](lib.optim.lr_scheduler, optimizer)
        yield list(walk(first, optimizer, 4))
        second = SCHEDULES[which](lib.optim.lr_scheduler, optimizer, last_epoch=4)
        yield groups_of(optimizer)
        yield list(walk(second, optimizer, 5))

    compare(scenario, mindtorch_v2, torch, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("which", SCHEDULES)
def test_schedule_jumps_to_epochs(which):
    def scenario(lib):
        optimizer = two_groups(lib)
        scheduler = SCHEDULES[which](lib.optim.lr_scheduler, optimizer)
        optimizer.step()
        for epoch in (3, 1, 9, 5, 0):
            yield Outcome(scheduler.step, epoch), groups_of(optimizer), scheduler.last_epoch
        yield list(walk(scheduler, optimizer, 3))

    compare(scenario, mindtorch_v2, torch, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("which", [k for k in SCHEDULES if "swa" not in k])
def test_schedule_of_a_tensor_rate(which):
    def scenario(lib):
        lr = lib.tensor(0.25)
        p, q = (lib.nn.Parameter(lib.ones(2)) for _ in range(2))
        groups = [{"params": [p]}, {"params": [q], "lr": lib.tensor(0.5)}]
        optimizer = lib.optim.SGD(groups, lr=lr, momentum=0.9)
        scheduler = SCHEDULES[which](lib.optim.lr_scheduler, optimizer)
        yield groups_of(optimizer), optimizer.param_groups[0]["lr"] is lr, scheduler.base_lrs
        yield list(walk(scheduler, optimizer, 7))
        yield optimizer.param_groups[0]["lr"] is lr

    compare(scenario, mindtorch_v2, torch)


def test_schedule_warnings():
    def scenario(lib):
        schedules = lib.optim.lr_scheduler
        optimizer = two_groups(lib)
        scheduler = schedules.StepLR(optimizer, 2)
        yield Outcome(scheduler.step), Outcome(scheduler.step), Outcome(scheduler.get_lr)
        optimizer = two_groups(lib)
        scheduler = schedules.StepLR(optimizer, 2)
        optimizer.step = lambda: None
        yield Outcome(scheduler.step)
        optimizer = two_groups(lib)
        scheduler = schedules.StepLR(optimizer, 2)
        other = schedules.ExponentialLR(optimizer, 0.5)
        yield optimizer.step.__name__, hasattr(optimizer.step, "_wrapped_by_lr_sched")
        optimizer.step()
        yield Outcome(scheduler.step), Outcome(other.step), optimizer._opt_called
        for which in ("exponential", "cosine", "restarts", "onecycle", "lambda", "linear"):
            optimizer = two_groups(lib)
            yield Outcome(SCHEDULES[which](schedules, optimizer).get_lr)

    compare(scenario, mindtorch_v2, torch)


def test_schedule_errors():
    def scenario(lib):
        s = lib.optim.lr_scheduler
        adagrad = lib.optim.Adagrad([lib.nn.Parameter(lib.ones(1))])
        a, b = two_groups(lib), two_groups(lib)
        step_a, step_b = s.StepLR(a, 1), s.StepLR(b, 1)
        plateau = s.ReduceLROnPlateau(a)
        for name, *args in (
            ("StepLR", 5, 2),
            ("StepLR", a, 2, 0.1, 3),
            ("LambdaLR", a, [len]),
            ("LambdaLR", a, 5),
            ("MultiplicativeLR", a, [len]),
            ("MultiplicativeLR", a, 5),
            ("MultiplicativeLR", a, [len, 6]),
            ("ConstantLR", a, 2),
            ("ConstantLR", a, -1),
            ("LinearLR", a, 0),
            ("LinearLR", a, 2),
            ("LinearLR", a, 0.5, 2),
            ("LinearLR", a, 0.5, -2),
            ("CosineAnnealingWarmRestarts", a, 0),
            ("CosineAnnealingWarmRestarts", a, 1.5),
            ("CosineAnnealingWarmRestarts", a, 1, 0),
            ("CosineAnnealingWarmRestarts", a, 1, 1.5),
            ("CosineAnnealingWarmRestarts", a, 1, 1, "a"),
            ("CosineAnnealingWarmRestarts", 5, 3),
            ("CyclicLR", 5, 0.1, 0.2),
            ("CyclicLR", a, [0.1], 0.2),
            ("CyclicLR", a, 0.1, [0.2]),
            ("CyclicLR", a, 0.1, 0.2, 3, 4, "x"),
            ("CyclicLR", adagrad, 0.1, 0.2),
            ("CyclicLR", a, 0.1, 0.2, 3, 4, "triangular", 1.0, None, "cycle", True, [0.1]),
            ("OneCycleLR", 5, 0.1, 10),
            ("OneCycleLR", a, 0.1),
            ("OneCycleLR", a, 0.1, -1),
            ("OneCycleLR", a, 0.1, 1.5),
            ("OneCycleLR", a, 0.1, None, 3),
            ("OneCycleLR", a, 0.1, None, 3, 0),
            ("OneCycleLR", a, 0.1, None, 0, 3),
            ("OneCycleLR", a, 0.1, 10, None, None, 2),
            ("OneCycleLR", a, 0.1, 10, None, None, 1),
            ("OneCycleLR", a, 0.1, 10, None, None, 0.3, "x"),
            ("OneCycleLR", adagrad, 0.1, 10),
            ("OneCycleLR", a, [0.1], 10),
            ("ReduceLROnPlateau", 5),
            ("ReduceLROnPlateau", a, "min", 1.0),
            ("ReduceLROnPlateau", a, "x"),
            ("ReduceLROnPlateau", a, "min", 0.1, 10, 1e-4, "x"),
            ("ReduceLROnPlateau", a, "min", 0.1, 10, 1e-4, "rel", 0, [1]),
            ("SequentialLR", a, [], [1]),
            ("SequentialLR", a, [step_a, step_b], [1]),
            ("SequentialLR", a, [step_a, step_a], [1, 2]),
            ("SequentialLR", a, [step_a, plateau], [1]),
            ("SequentialLR", a, [step_a, 5], [1]),
            ("SequentialLR", b, [step_a], []),
            ("ChainedScheduler", []),
            ("ChainedScheduler", [step_a, step_b]),
            ("ChainedScheduler", [step_a, plateau]),
            ("ChainedScheduler", [5]),
            ("ChainedScheduler", [step_a], b),
            ("LRScheduler", a),
        ):
            yield name, Outcome(getattr(s, name), *args).error
        short = s.OneCycleLR(two_groups(lib), 0.1, 2)
        short.optimizer.step()
        yield [Outcome(short.step) for _ in range(3)], groups_of(short.optimizer)
        for rates in ([0.1, 0.2], 0):
            plateau = s.ReduceLROnPlateau(two_groups(lib), patience=0, min_lr=rates)
            plateau.optimizer.add_param_group({"params": [lib.nn.Parameter(lib.ones(1))]})
            plateau.step(1.0)
            yield Outcome(plateau.step, lib.tensor(1.0)), plateau.min_lrs
        for which in ("step", "lambda", "cosine"):
            optimizer = two_groups(lib)
            scheduler = SCHEDULES[which](s, optimizer)
            optimizer.add_param_group({"params": [lib.nn.Parameter(lib.ones(1))], "lr": 3.0})
            optimizer.step()
            yield Outcome(scheduler.step), scheduler.get_last_lr()

    compare(scenario, mindtorch_v2, torch)


class Halving:
    def __init__(self):
        self.base = 0.5

    def __call__(self, x):
        return self.base**x


def test_schedule_state_of_callables():
    def scenario(lib):
        s = lib.optim.lr_scheduler
        scheduler = s.LambdaLR(two_groups(lib), [Halving(), lambda e: 1])
        other = s.LambdaLR(two_groups(lib), [Halving(), lambda e: 1])
        state = scheduler.state_dict()
        state["lr_lambdas"][0]["base"] = 0.25
        other.load_state_dict(state)
        yield state, other.lr_lambdas[0].base, scheduler.lr_lambdas[0].base
        scheduler = s.CyclicLR(two_groups(lib), 0.1, 0.2, scale_fn=Halving())
        state = scheduler.state_dict()
        yield state
        state = copy.deepcopy(state)
        state["_scale_fn_custom"]["base"] = 0.1
        scheduler.load_state_dict(state)
        yield scheduler._scale_fn_custom.base, scheduler.scale_fn(2)

    compare(scenario, mindtorch_v2, torch)


# ---------------------------------------------------------------- averages


def small_net(lib):
    lib.manual_seed(3)
    net = lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.BatchNorm1d(4), lib.nn.Linear(4, 2))
    with lib.no_grad():
        for i, p in enumerate(net.parameters()):
            p.copy_(lib.tensor(values(p.shape, i + 1)))
    return net


def test_averaged_models():
    def scenario(lib):
        u = lib.optim.swa_utils
        for kwargs in (
            {},
            {"use_buffers": True},
            {"avg_fn": lambda avg, p, n: 0.3 * avg + 0.7 * p},
            {"avg_fn": u.get_ema_avg_fn(0.5)},
            {"avg_fn": u.get_swa_avg_fn(), "use_buffers": True},
            {"multi_avg_fn": u.get_ema_multi_avg_fn(0.9)},
            {"multi_avg_fn": u.get_ema_multi_avg_fn(0.9), "use_buffers": True},
            {"multi_avg_fn": u.get_swa_multi_avg_fn()},
        ):
            net = small_net(lib)
            average = u.AveragedModel(net, **kwargs)
            for i in range(4):
                net(lib.tensor(values((5, 3), i + 1)))
                with lib.no_grad():
                    for p in net.parameters():
                        p.mul_(0.9).add_(0.1)
                average.update_parameters(net)
            yield average.state_dict()
            yield average.eval()(lib.tensor(values((2, 3), 9)))
        yield Outcome(u.AveragedModel, net, avg_fn=len, multi_avg_fn=len)
        for make in (u.get_ema_avg_fn, u.get_ema_multi_avg_fn):
            yield [Outcome(make, decay).error for decay in (-0.1, 1.1)]
        for bad in ((0.1, -1), (0.1, 1.5), (0.1, 3, "x"), ([0.1], 3)):
            yield Outcome(u.SWALR, two_groups(lib), *bad).error

    compare(scenario, mindtorch_v2, torch)


def test_update_bn():
    def scenario(lib):
        u = lib.optim.swa_utils
        batches = [lib.tensor(values((6, 3), i)) for i in (1, 2, 3)]
        for loader in (batches, [(b, 0) for b in batches], [[b] for b in batches]):
            net = small_net(lib).eval()
            u.update_bn(loader, net)
            yield net.state_dict(), net.training, net[1].momentum
        u.update_bn(5, lib.nn.Linear(2, 2))

    compare(scenario, mindtorch_v2, torch)
