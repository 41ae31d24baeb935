"""Operators and kernels at run time, dispatch keys, schemas."""

import random
from typing import Optional

import mindtorch_v2 as torch
import pytest
from mindtorch_v2.library import Library, custom_op, infer_schema, opcheck

D = torch._C.DispatchKey
Keys = torch._C.DispatchKeySet


@pytest.fixture
def lib():
    with Library("tests_lib", "FRAGMENT") as library:
        yield library


# ---- torch.ops ------------------------------------------------------------------------------


def test_overloads_and_packets():
    add = torch.ops.aten.add
    x = torch.ones(2)
    assert add.Tensor(x, x, alpha=2).tolist() == [3.0, 3.0]
    assert add(x, 1).tolist() == [2.0, 2.0]
    assert add.out(x, x, out=torch.empty(2)).tolist() == [2.0, 2.0]
    assert repr(add) == "<OpOverloadPacket(op='aten.add')>" and str(add.Tensor) == "aten.add.Tensor"
    assert repr(torch.ops.aten.relu.default) == "<OpOverload(op='aten.relu', overload='default')>"
    assert {"Tensor", "out"} <= set(add.overloads())
    op = add.Tensor
    assert op.name() == "aten::add.Tensor" and op.__name__ == "add.Tensor" and op.namespace == "aten"
    assert op.overloadpacket is add and add.Tensor is op and torch.ops.aten.add is add
    assert op.has_kernel_for_dispatch_key("CPU") and not op.has_kernel_for_dispatch_key("CUDA")
    assert torch.ops.aten.max.dim(torch.ones(1, 2), 1)[1].tolist() == [0]
    assert isinstance(torch.ops.aten.split.Tensor(torch.ones(2), 1), list)
    assert torch.ops.aten.view.default.is_view and not op.is_view


def test_every_operator_can_be_named():
    names = torch._C._dispatch_get_all_op_names()
    assert len(names) == len(set(names)) > 500
    for full in names:
        name, _, overload = full.partition(".")
        namespace, op = name.split("::")
        found = getattr(getattr(getattr(torch.ops, namespace), op), overload or "default")
        assert found.name() == full
        assert str(torch._C.parse_schema(str(found._schema))) == str(found._schema)
        assert found._schema.name == name and found._schema.overload_name == overload


def test_calls_that_do_not_fit():
    op, x = torch.ops.aten.add.Tensor, torch.ones(2)
    schema = "aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor"
    for call, text in [
        (lambda: op(x), f"aten::add() is missing value for argument 'other'. Declaration: {schema}"),
        (lambda: op(x, x, x), f"aten::add() takes 2 positional argument(s) but 3 was/were given.  Declaration: {schema}"),
        (lambda: op(x, x, foo=1), f"Unknown keyword argument 'foo' for operator 'aten::add'. Schema: {schema}"),
    ]:
        with pytest.raises(RuntimeError) as error:
            call()
        assert str(error.value) == text
    with pytest.raises(RuntimeError, match="Expected a value of type 'Tensor' for argument 'other' but instead found type 'str'"):
        op(x, "a")
    with pytest.raises(RuntimeError, match="failed to match any schema"):
        torch.ops.aten.add()
    with pytest.raises(AttributeError, match="has no overload name 'foo'"):
        torch.ops.aten.add.foo
    with pytest.raises(AttributeError, match="'_OpNamespace' 'aten' object has no attribute 'no_such'"):
        torch.ops.aten.no_such


def test_schema_objects():
    s = torch.ops.aten.add.out._schema
    assert [a.name for a in s.arguments] == ["self", "other", "alpha", "out"]
    alpha, out = s.arguments[2:]
    assert alpha.kwarg_only and alpha.default_value == 1 and alpha.has_default_value() and str(alpha.type) == "number"
    assert out.is_out and out.alias_info.is_write and out.alias_info.before_set == {"a"}
    assert s.is_mutable and not torch.ops.aten.add.Tensor._schema.is_mutable
    parsed = torch._C.parse_schema(
        "foo::bar.x(Tensor(a!) self, int[2] k=[1,2], *, float? y=None, str s='a', Tensor?[] l) -> (Tensor(a!), Tensor b, int[])"
    )
    assert str(parsed) == (
        'foo::bar.x(Tensor(a!) self, int[2] k=[1, 2], *, float? y=None, str s="a", Tensor?[] l) -> (Tensor(a!), Tensor b, int[])'
    )
    assert parsed.arguments[1].default_value == [1, 2] and parsed.arguments[1].N == 2
    assert [str(a.type) for a in parsed.arguments] == ["Tensor", "List[int]", "Optional[float]", "str", "List[Optional[Tensor]]"]
    for bad in ("bad schema", "f(Foo x) -> Tensor", "f(Tensor x)", "f(Tensor -> x"):
        with pytest.raises(RuntimeError):
            torch._C.parse_schema(bad)


def test_torch_function_sees_operators():
    class T(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return func

    t = torch.ones(2).as_subclass(T)
    assert torch.ops.aten.add.Tensor(t, 1) is torch.ops.aten.add.Tensor
    assert torch.ops.aten.add(t, 1) is torch.ops.aten.add


# ---- Library --------------------------------------------------------------------------------


def test_define_and_impl(lib):
    assert lib.define("scale(Tensor x, int k=2, *, float? s=None) -> Tensor") == "scale"
    lib.impl("scale", lambda x, k=2, s=None: x * k * (s or 1), "CPU")
    scale = torch.ops.tests_lib.scale
    assert scale(torch.ones(2)).tolist() == [2.0, 2.0]
    assert scale(torch.ones(2), 3, s=0.5).tolist() == [1.5, 1.5]
    x = torch.ones(2, requires_grad=True)
    scale(x).sum().backward()  # no autograd kernel: what the kernel calls is recorded
    assert x.grad.tolist() == [2.0, 2.0]
    with pytest.raises(NotImplementedError, match="no fake impl or Meta kernel registered"):
        scale(torch.ones(2, device="meta"))
    lib.impl("scale", lambda x, k=2, s=None: torch.empty_like(x), "Meta")
    assert scale(torch.ones(2, device="meta")).shape == (2,)
    with pytest.raises(RuntimeError, match="Expected a value of type 'Tensor'"):
        scale(1)


def test_results_of_every_kind(lib):
    lib.define("kinds(Tensor x, Tensor[] ts, str s, ScalarType d, Device v, float[] f, bool[] b) -> (Tensor, int, Tensor[], float, bool)")
    seen = []

    def kernel(x, ts, s, d, v, f, b):
        seen.append((s, d, v, f, b))
        return x + 1, 3, [t * 2 for t in ts], 0.5, True

    lib.impl("kinds", kernel, "CPU")
    x = torch.ones(1)
    a, i, ts, f, b = torch.ops.tests_lib.kinds(x, [x, x], "q", torch.int64, torch.device("cpu"), [1.5], [True])
    assert (a.tolist(), i, [t.tolist() for t in ts], f, b) == ([2.0], 3, [[2.0], [2.0]], 0.5, True)
    assert seen == [("q", torch.int64, torch.device("cpu"), [1.5], [True])]
    lib.define("nothing(Tensor x) -> ()")
    lib.impl("nothing", lambda x: None, "CPU")
    assert torch.ops.tests_lib.nothing(x) is None


def test_kernels_answer_in_order(lib):
    lib.define("order(Tensor x) -> str" if False else "order(Tensor x) -> int")
    order = torch.ops.tests_lib.order
    x, m = torch.ones(1), torch.ones(1, device="meta")
    lib.impl("order", lambda x: 1, "CompositeImplicitAutograd")
    assert order(x) == order(m) == 1
    lib.impl("order", lambda x: 2, "CompositeExplicitAutograd")
    assert order(x) == order(m) == 2
    lib.impl("order", lambda x: 3, "CPU")
    assert (order(x), order(m)) == (3, 2)
    lib.impl("order", lambda x: 4, "Autograd")
    assert order(x) == 4
    lib.impl("order", lambda x: 5, "AutogradCPU")
    assert (order(x), order(m)) == (5, 4)
    with torch.inference_mode():
        assert order(torch.ones(1)) == 3
    lib.impl("order", torch.library.fallthrough_kernel, "AutogradCPU")
    assert order(x) == 3
    has = torch.ops.tests_lib.order.default.has_kernel_for_dispatch_key
    assert has("CPU") and has("Autograd") and not has("AutogradMeta")


def test_with_keyset(lib):
    lib.define("keys(Tensor x) -> Tensor")
    seen = []

    def kernel(keys, x):
        seen.append(keys)
        with torch._C._AutoDispatchBelowAutograd():
            return torch.ops.tests_lib.keys.default.redispatch(keys & torch._C._dispatch_keyset_full_after(D.AutogradOther), x)

    lib.impl("keys", kernel, "Autograd", with_keyset=True)
    lib.impl("keys", lambda x: x.clone(), "CPU")
    assert torch.ops.tests_lib.keys(torch.ones(1)).tolist() == [1.0]
    assert seen[0].has(D.AutogradCPU) and seen[0].has(D.CPU)


def test_overriding_an_operator_of_the_table():
    with Library("aten", "IMPL") as library:
        library.impl("neg", lambda x: x * 0 + 7, "CPU")
        assert (-torch.ones(2)).tolist() == [7.0, 7.0]
        x = torch.ones(2, requires_grad=True)
        (-x).sum().backward()
        assert x.grad.tolist() == [7.0, 7.0]  # the formula calls neg too
    assert (-torch.ones(2)).tolist() == [-1.0, -1.0]


def test_modes_and_subclasses_see_new_operators(lib):
    from mindtorch_v2.utils._python_dispatch import TorchDispatchMode

    class Note(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append(func)
            return func(*args, **(kwargs or {}))

    seen = []
    lib.define("seen(Tensor x) -> Tensor")
    lib.impl("seen", lambda x: x + 1, "CPU")
    with Note():
        torch.ops.tests_lib.seen(torch.ones(1))
    assert torch.ops.tests_lib.seen.default in seen


def test_errors(lib):
    for make, kind, text in [
        (lambda: Library("x", "BAD"), ValueError, "Unsupported kind: BAD"),
        (lambda: Library("prim", "DEF"), ValueError, "prim is a reserved namespace. Please try creating a library with another name."),
        (lambda: lib.impl("x", 3, "CPU"), TypeError, "Input function is required to be a callable but found type <class 'int'>"),
        (lambda: lib.impl("x", print, "BADKEY"), RuntimeError, "could not parse dispatch key: BADKEY"),
    ]:
        with pytest.raises(kind) as error:
            make()
        assert str(error.value) == text
    with pytest.raises(RuntimeError, match="Only a single TORCH_LIBRARY can be used to register the namespace aten"):
        Library("aten", "DEF")
    lib.define("twice(Tensor x) -> Tensor")
    with pytest.raises(RuntimeError, match="with the same name and overload name multiple times"):
        lib.define("twice(Tensor x) -> Tensor")
    for bad in ("nonsense", "f(Foo x) -> Tensor", "f(Tensor x) -> str[]", "f(int x='a') -> Tensor"):
        with pytest.raises((RuntimeError, NotImplementedError, ValueError)):
            lib.define(bad)
    lib.impl("twice", lambda x: "text", "CPU")
    with pytest.raises(RuntimeError, match="Unable to cast text to Tensor"):
        torch.ops.tests_lib.twice(torch.ones(1))

    def failing(x):
        raise KeyError("kernel")

    lib.impl("twice", failing, "CPU")
    with pytest.raises(KeyError, match="kernel"):
        torch.ops.tests_lib.twice(torch.ones(1))
    lib.define("missing(Tensor x) -> Tensor")
    lib.impl("missing", lambda x: x, "Meta")
    with pytest.raises(NotImplementedError, match=r"Could not run 'tests_lib::missing' with arguments from the 'CPU' backend.*\[Meta\]"):
        torch.ops.tests_lib.missing(torch.ones(1))


def test_kernel_before_definition_and_after_the_end():
    with Library("tests_late", "DEF") as library:
        library.impl("f", lambda x: x + 1, "CPU")
        library.define("f(Tensor x) -> Tensor")
        assert torch.ops.tests_late.f(torch.ones(1)).tolist() == [2.0]
    with pytest.raises(AttributeError):
        torch.ops.tests_late.f
    with Library("tests_late", "DEF") as library:
        library.define("f(Tensor x, int k) -> Tensor")
        library.impl("f", lambda x, k: x * k, "CPU")
        assert torch.ops.tests_late.f(torch.ones(1), 5).tolist() == [5.0]


# ---- the functions --------------------------------------------------------------------------


def test_define_impl_register_functions(lib):
    torch.library.define("tests_lib::func", "(Tensor x, float k) -> Tensor", lib=lib)

    @torch.library.impl("tests_lib::func", "cpu", lib=lib)
    def func(x, k):
        return x * k

    @torch.library.register_fake("tests_lib::func", lib=lib)
    def fake(x, k):
        return torch.empty_like(x)

    def setup(ctx, inputs, output):
        ctx.k = inputs[1]

    torch.library.register_autograd("tests_lib::func", lambda ctx, g: (g * ctx.k * 10, None), setup_context=setup, lib=lib)
    op = torch.ops.tests_lib.func
    assert op(torch.ones(2), 3.0).tolist() == [3.0, 3.0]
    assert op(torch.ones(2, device="meta"), 3.0).shape == (2,)
    x = torch.ones(2, requires_grad=True)
    y = op(x, 3.0)
    assert type(y.grad_fn).__name__ == "GeneratedBackwardFor_tests_lib_func_defaultBackward"
    y.sum().backward()
    assert x.grad.tolist() == [30.0, 30.0]


def make_sine():
    @custom_op("tests_custom::sine", mutates_args=())
    def sine(x: torch.Tensor) -> torch.Tensor:
        """Sine."""
        return torch.from_numpy(__import__("numpy").sin(x.detach().numpy()))

    return sine


def test_custom_op():
    sine = make_sine()
    x = torch.tensor([0.5], requires_grad=True)
    assert sine.__doc__ == "Sine." and repr(sine) == "<CustomOpDef(tests_custom::sine)>"
    y = sine(x)
    assert y.item() == pytest.approx(0.4794255)
    with pytest.raises(RuntimeError, match="Trying to backward through tests_custom.sine.default but no autograd formula"):
        y.sum().backward()
    with pytest.raises(RuntimeError, match="Please use `sine.register_fake` to add an fake impl"):
        sine(torch.ones(1, device="meta"))
    sine.register_fake(lambda x: torch.empty_like(x))
    assert sine(torch.ones(3, device="meta")).shape == (3,)
    sine.register_autograd(
        lambda ctx, g: g * ctx.saved_tensors[0].cos(), setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs)
    )
    sine(x).sum().backward()
    assert x.grad.item() == pytest.approx(0.8775826)
    assert opcheck(sine, (torch.ones(2, requires_grad=True),)) == {
        "test_schema": "SUCCESS", "test_autograd_registration": "SUCCESS", "test_faketensor": "SUCCESS",
    }  # fmt: skip

    @sine.register_kernel("cpu")
    def other(x):
        return x * 0

    assert sine(torch.ones(1)).tolist() == [0.0]
    assert torch.ops.tests_custom.sine is not None


def test_custom_op_that_writes_and_takes_lists():
    @custom_op("tests_custom::write", mutates_args={"x"})
    def write(x: torch.Tensor, y: float = 1.0, z: Optional[int] = None) -> None:
        x.add_(y)

    assert str(write._opoverload._schema) == "tests_custom::write(Tensor(a0!) x, float y=1., SymInt? z=None) -> ()"
    t = torch.zeros(1)
    before = t._version
    write(t)
    assert t.tolist() == [1.0] and t._version > before

    @custom_op("tests_custom::total", mutates_args=())
    def total(xs: list[torch.Tensor], k: int) -> torch.Tensor:
        return sum(x.detach() for x in xs) * k

    total.register_autograd(
        lambda ctx, g: ([g * ctx.k] * ctx.n, None),
        setup_context=lambda ctx, inputs, output: ctx.__dict__.update(n=len(inputs[0]), k=inputs[1]),
    )
    xs = [torch.ones(2, requires_grad=True) for _ in range(3)]
    out = total(xs, 4)
    assert out.tolist() == [12.0, 12.0]
    out.sum().backward()
    assert [x.grad.tolist() for x in xs] == [[4.0, 4.0]] * 3

    @custom_op("tests_custom::same", mutates_args=())
    def same(x: torch.Tensor) -> torch.Tensor:
        return x

    with pytest.raises(RuntimeError, match="must not also be an input to this custom operator"):
        same(torch.ones(1))


def test_infer_schema():
    def f(x: torch.Tensor, *, k: int = 3, y: Optional[float] = None) -> tuple[torch.Tensor, int]: ...

    assert infer_schema(f, mutates_args=()) == "(Tensor x, *, SymInt k=3, float? y=None) -> (Tensor, SymInt)"
    assert infer_schema(f, mutates_args={"x"}, op_name="f").startswith("f(Tensor(a0!) x, *")
    for bad, text in [
        (lambda x: x, "Parameter x must have a type annotation"),
        (eval("lambda: 0"), "No return type annotation was provided"),
    ]:
        with pytest.raises(ValueError, match=text):
            infer_schema(bad, mutates_args=())
    with pytest.raises(ValueError, match="in mutates_args were not found"):
        infer_schema(f, mutates_args={"q"})


def test_opcheck_finds_faults():
    @custom_op("tests_custom::liar", mutates_args=())
    def liar(x: torch.Tensor) -> torch.Tensor:
        x.add_(1)
        return x.sum()

    with pytest.raises(torch.library.OpCheckError, match="not defined as mutable but was mutated"):
        opcheck(liar, (torch.ones(2),), test_utils="test_schema")
    liar.register_fake(lambda x: torch.empty_like(x))
    found = opcheck(liar, (torch.ones(2),), raise_exception=False)
    assert isinstance(found["test_faketensor"], AssertionError)


# ---- keys -----------------------------------------------------------------------------------


def test_keys_of_tensors_and_threads():
    x = torch.ones(1)
    assert repr(torch._C._dispatch_keys(x)) == "DispatchKeySet(CPU, ADInplaceOrView, AutogradCPU, AutocastCPU)"
    assert torch._C._dispatch_keys(x).raw_repr() == 635655225345
    with torch.inference_mode():
        assert repr(torch._C._dispatch_keys(torch.ones(1))) == "DispatchKeySet(CPU, AutocastCPU)"
    assert repr(torch._C._dispatch_tls_local_include_set()) == "DispatchKeySet(BackendSelect, ADInplaceOrView)"
    with torch._C._ExcludeDispatchKeyGuard(Keys(D.AutogradCPU)):
        assert torch._C._dispatch_tls_is_dispatch_key_excluded(D.AutogradCPU)
        y = torch.ones(1, requires_grad=True) * 2
        assert y.grad_fn is None
    assert not torch._C._dispatch_tls_is_dispatch_key_excluded(D.AutogradCPU)
    torch._C._dispatch_tls_set_dispatch_key_excluded("AutogradCPU", True)
    try:
        assert (torch.ones(1, requires_grad=True) * 2).grad_fn is None
    finally:
        torch._C._dispatch_tls_set_dispatch_key_excluded("AutogradCPU", False)
    assert (torch.ones(1, requires_grad=True) * 2).grad_fn is not None


def test_key_sets():
    random.seed(1)
    names = [k for k in D.__members__ if not k.startswith(("StartOf", "EndOf"))]
    for _ in range(200):
        a, b = (Keys.from_raw_repr(0) for _ in range(2))
        for key in random.sample(names, 4):
            a = a.add(D.__members__[key])
        for key in random.sample(names, 4):
            b = b.add(D.__members__[key])
        assert (a | b).raw_repr() == a.raw_repr() | b.raw_repr()
        assert (a & b).raw_repr() == a.raw_repr() & b.raw_repr()
        assert all((a | b).has(k) for k in a)
        assert Keys.from_raw_repr(a.raw_repr()) == a
    with pytest.raises(ValueError):
        Keys.from_raw_repr_checked(1 << 63)
    with pytest.raises(RuntimeError, match="could not parse dispatch key: cpu"):
        torch._C._dispatch_key_parse("cpu")
    assert torch._C._parse_dispatch_key("x") is None
    with pytest.raises(RuntimeError, match="operator aten::no_such does not exist"):
        torch._C._dispatch_has_kernel_for_dispatch_key("aten::no_such", "CPU")


def test_names_of_the_core_are_found_late():
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        torch._C.no_such_name
    assert torch._C._dispatch_num_backends() == 16


def test_other_backends_fail_closed():
    x = torch.ones(1)
    for call in (lambda: x.cuda(), lambda: x.to("cuda"), lambda: torch.ones(1, device="cuda"), lambda: torch.empty(1, device="cuda"),
                 lambda: torch.tensor([1.0], device="cuda")):  # fmt: skip
        with pytest.raises(AssertionError, match="Torch not compiled with CUDA enabled"):
            call()
    with pytest.raises(AssertionError, match="Torch not compiled with XPU enabled"):
        torch.empty(1, device="xpu")
    for make, op in ((torch.ones, "empty.memory_format"), (lambda n, device: torch.ones_like(torch.ones(n), device=device), "empty_strided")):
        with pytest.raises(NotImplementedError, match=f"Could not run 'aten::{op}' with arguments from the 'MPS' backend.*CPU, Meta"):
            make(1, device="mps")
    with pytest.raises(RuntimeError, match="PyTorch is not linked with support for xla devices"):
        x.to("xla")
