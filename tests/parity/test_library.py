"""Dispatch keys, schemas and custom operators beside PyTorch."""

import random

import mindtorch_v2
import torch
from tests.parity.side_by_side import Outcome, compare


def key_tables(lib):
    D, C = lib._C.DispatchKey, lib._C
    yield {name: int(key.value if isinstance(key.value, int) else int(key)) for name, key in D.__members__.items()}
    yield repr(D.CPU), str(D.AutogradCPU), D.Meta.name
    names = [n for n in D.__members__ if not n.startswith(("StartOf", "EndOf"))]
    for name in names:
        key = D.__members__[name]
        yield name, C.DispatchKeySet(key).raw_repr(), C._dispatch_is_alias_key(key), C._dispatch_key_name(key)
        for alias in ("Autograd", "CompositeImplicitAutograd", "CompositeExplicitAutograd"):
            if key.name in ("CPU", "Meta", "CUDA", "AutogradCPU", "AutogradOther", "SparseCPU", "BackendSelect", "AutocastCPU"):
                yield name, alias, C._dispatch_is_included_in_alias(key, D.__members__[alias])
    yield C._dispatch_num_backends(), repr(C._dispatch_keys(lib.ones(1))), C._dispatch_keyset_full().raw_repr()
    yield repr(C._dispatch_tls_local_include_set()), repr(C._dispatch_tls_local_exclude_set())
    yield Outcome(lambda: C._dispatch_key_parse("x")), C._parse_dispatch_key("x")


def test_keys():
    compare(key_tables, mindtorch_v2, torch)


def random_sets(lib):
    D, Keys = lib._C.DispatchKey, lib._C.DispatchKeySet
    names = [n for n in D.__members__ if not n.startswith(("StartOf", "EndOf")) and n not in ("Dense", "Quantized", "Sparse", "SparseCsr", "NestedTensor", "AutogradFunctionality")]
    rng = random.Random(0)
    for _ in range(500):
        sets = []
        for _ in range(2):
            made = Keys(D.Undefined)
            for name in rng.sample(names, rng.randrange(5)):
                made = made.add(D.__members__[name])
            sets.append(made)
        a, b = sets
        key = D.__members__[rng.choice(names)]
        yield repr(a), a.raw_repr(), a.has(key), a.remove(key).raw_repr(), (a | b).raw_repr(), (a & b).raw_repr(), (a - b).raw_repr(), a == b
        yield a.highestPriorityTypeId().name


def test_key_sets():
    compare(random_sets, mindtorch_v2, torch)


OTHER_WORDS = frozenset(
    "aten::" + name
    for name in "triangular_solve.X huber_loss_backward.out _softmax_backward_data.out max.dim_max min.dim_min "
    "cumsum_ cumprod_ rsub.Scalar convolution_backward slice_backward grid_sampler_2d_backward grid_sampler_3d_backward "
    "_fused_adagrad_.tensor_lr".split()
)


def test_schemas():
    """The schemas of all operators that both have, as objects."""
    theirs = {n for n in torch._C._dispatch_get_all_op_names() if n.startswith("aten::")}
    ours = [n for n in mindtorch_v2._C._dispatch_get_all_op_names() if n in theirs]
    assert len(ours) > 500
    wrong = []
    for full in ours:
        name, _, overload = full.partition(".")
        schemas = [getattr(getattr(lib.ops.aten, name[6:]), overload or "default")._schema for lib in (mindtorch_v2, torch)]
        reports = [
            [(a.name, str(a.type), a.kwarg_only, a.is_out, a.alias_info is not None and a.alias_info.is_write) for a in s.arguments]
            + [str(r.type).replace("Optional[Tensor]", "Tensor") for r in s.returns]
            for s in schemas
        ]
        if reports[0] != reports[1]:
            wrong.append((full, *reports))
    # outputs of other names, arguments that are given by position, marks of results that may be None
    wrong = [w for w in wrong if w[0] not in OTHER_WORDS and not w[0].endswith((".grad_input", "hardshrink_backward"))]
    assert not wrong, f"{len(wrong)} of {len(ours)}: {wrong[:3]}"


def absent_devices(lib):
    x = lib.ones(1)
    for device in ("cuda", "cuda:1", "xpu", "mps", "xla", "ipu", "ve", "mtia", "maia", "vulkan", "hip", "lazy", "fpga"):
        for call in (
            lambda d: lib.ones(1, device=d), lambda d: lib.randn(1, device=d), lambda d: lib.arange(3, device=d), lambda d: lib.zeros_like(x, device=d),
            lambda d: x.to(d), lambda d: lib.tensor([1.0], device=d), lambda d: lib.nn.Linear(2, 2, device=d), lambda d: x.new_ones(1, device=d),
        ):  # fmt: skip
            error = Outcome(lambda: call(device)).error
            yield device, type(error).__name__, str(error).split(" This could be")[0].replace("mindtorch_v2", "torch")


def test_absent_devices():
    compare(absent_devices, mindtorch_v2, torch)


def library(lib):
    L = lib.library
    with_name = L.Library("parity_lib", "FRAGMENT")
    with_name.define("scale(Tensor x, int k=2, *, float? s=None) -> Tensor")
    with_name.impl("scale", lambda x, k=2, s=None: x * k, "CPU")
    op = lib.ops.parity_lib.scale
    x = lib.ones(2, requires_grad=True)
    yield op(lib.ones(2)), op(lib.ones(2), 3), repr(op), repr(op.default), str(op.default._schema), op.overloads()
    yield [Outcome(c) for c in (lambda: op(), lambda: op(1), lambda: op(x, q=1), lambda: op(x, 1, 2), lambda: op.nope, lambda: lib.ops.parity_lib.nope)]
    y = op(x)
    yield y.requires_grad, type(y.grad_fn).__name__
    yield [Outcome(c).error.__class__.__name__ for c in (lambda: L.Library("a", "BAD"), lambda: with_name.impl("scale", 3, "CPU"), lambda: with_name.impl("scale", print, "BAD"))]

    def sine(x: lib.Tensor, k: float = 1.0) -> lib.Tensor:
        return x.detach().sin() * k

    sine = L.custom_op("parity_lib::sine", sine, mutates_args=())
    yield repr(sine), str(sine._opoverload._schema), sine(lib.ones(2)), Outcome(lambda: sine(lib.ones(2, device="meta")))
    y = sine(x)
    yield y, type(y.grad_fn).__name__, Outcome(lambda: sine(x).sum().backward())
    sine.register_autograd(lambda ctx, g: (g * ctx.saved_tensors[0].cos(), None), setup_context=lambda ctx, inputs, output: ctx.save_for_backward(inputs[0]))
    sine.register_fake(lambda x, k=1.0: lib.empty_like(x))
    sine(x).sum().backward()
    yield x.grad, str(sine(lib.ones(2, device="meta")).device)


def test_library():
    compare(library, mindtorch_v2, torch)
