"""What a tensor object should be: three variants of spikes/tensor_object side by side.

    python benchmarks/tensor_object.py

Builds each variant with the machine's C compiler (CC) into a temporary folder, checks what a
tensor must be able to do, and measures what its lifetime costs.

one_block   interpreter head and core in one block, one reference count, nodes likewise
wrapper     core with an atomic count of its own, wrapper made when Python looks
preserved   the same, but the core keeps its wrapper while it has other owners
"""

import gc
import importlib.machinery
import importlib.util
import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
import time
import weakref
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import timing

VARIANTS = ("one_block", "wrapper", "preserved")
SOURCES = Path(__file__).resolve().parent / "spikes" / "tensor_object"


def build(name, folder):
    """Compiles and loads one variant; adds the Python class Tensor as the package would."""
    target = Path(folder) / (name + sysconfig.get_config_var("EXT_SUFFIX"))
    command = shlex.split(os.environ.get("CC", "gcc")) + [
        *"-O3 -fPIC -shared -std=gnu11 -fvisibility=hidden -ftls-model=initial-exec".split(),
        f"-isystem{sysconfig.get_path('include')}",
        str(SOURCES / f"{name}.c"),
        "-o",
        str(target),
    ]
    subprocess.run(command, check=True)
    spec = importlib.util.spec_from_file_location(name, target)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    class Tensor(module.TensorBase):
        pass

    module.Tensor = Tensor
    module.set_tensor_type(Tensor)
    return module


class Marker:
    """Something to watch die."""


def outlives_c_only(m):
    """Attributes, subclass, identity and weak references after Python let go and C did not."""

    class Sub(m.Tensor):
        pass

    t = m.make_subclass(Sub, m.make())
    t.note, reference, address = Marker(), weakref.ref(t), id(t)
    m.hold(t)
    del t
    t = m.take()
    same = type(t) is Sub and hasattr(t, "note") and reference() is t and id(t) == address
    del t
    gc.collect()
    return same and reference() is None


def is_found(m, arrange):
    """Whether the collector frees what `arrange(marker)` ties into a cycle and drops."""
    marker = Marker()
    watch = weakref.ref(marker)
    arrange(marker)
    del marker
    gc.collect()
    return watch() is None


def hook_cycle(m, marker):
    y = m.link(m.make())
    m.set_hook(y, lambda: (y, marker))


def ctx_cycle(m, marker):
    y = m.link(m.make())
    m.set_ctx(y, marker)
    marker.output = y


def grad_fn_cycle(m, marker):
    """A hook that remembers its own node."""
    y = m.link(m.make())
    node = y.grad_fn
    m.set_hook(y, lambda: (node, marker))


def two_node_cycle(m, marker):
    y = m.link(m.make())
    z = m.link(y)
    m.set_hook(y, lambda: (z, marker))


def live_input_cycle(m, marker):
    """As above, but the tensor between is itself remembered by the hook."""
    y = m.link(m.make())
    z = m.link(y)
    m.set_hook(y, lambda: (y, z, marker))


def two_output_cycle(m, marker):
    """Two outputs of one node, both remembered by its hook."""
    y = m.link(m.make())
    z = m.share(y)
    m.set_hook(y, lambda: (y, z, marker))


def dict_cycle(m, marker):
    t = m.make()
    t.self = t
    t.marker = marker


def check_classes(m):
    Tensor, t = m.Tensor, m.make()
    Tensor.shout = lambda self: "hey"
    m.TensorBase.whisper = lambda self: "psst"
    ok = t.shout() == "hey" and t.whisper() == "psst"
    del Tensor.shout, m.TensorBase.whisper
    return ok and type(Tensor) is m.TensorMeta and type(t) is Tensor


def check_slots(m):
    class Slotted(m.Tensor):
        __slots__ = ("extra",)

    t = Slotted()
    t.extra, t.other = marker, _ = Marker(), 1
    watch = weakref.ref(marker)
    ok = t.extra is marker and t.other == 1
    del t, marker
    return ok and watch() is None


def check_weakref(m):
    t, calls = m.make(), []
    reference = weakref.ref(t, calls.append)
    ok = reference() is t
    del t
    return ok and reference() is None and len(calls) == 1


def check_class_assignment(m):
    class Sub(m.Tensor):
        def name(self):
            return "sub"

    t = m.make()
    t.__class__ = Sub
    return type(t) is Sub and t.name() == "sub" and m.through(t) is t


def check_as_subclass(m):
    class Sub(m.Tensor):
        pass

    t = m.make()
    s = t.as_subclass(Sub)
    return type(s) is Sub and s is not t and type(m.make_subclass(Sub, t)) is Sub


def check_parameter(m):
    class ParameterMeta(m.TensorMeta):
        def __instancecheck__(cls, instance):
            return super().__instancecheck__(instance) or (
                isinstance(instance, m.Tensor) and getattr(instance, "_is_param", False)
            )

    class Parameter(m.Tensor, metaclass=ParameterMeta):
        pass

    t = m.make()
    before = isinstance(t, Parameter)
    t._is_param = True
    return not before and isinstance(t, Parameter) and isinstance(Parameter(), Parameter)


def check_attributes(m):
    t = m.make()
    t.anything = 3
    return t.__dict__ == {"anything": 3} and vars(t) is t.__dict__


def check_finalizer(m):
    calls = []

    class Sub(m.Tensor):
        def __del__(self):
            calls.append(type(self))

    Sub()
    return calls == [Sub]


def check_unlocked(m):
    return hasattr(m, "make_unlocked") and all(type(t) is m.Tensor for t in m.make_unlocked(1000))


def check_identity(m):
    t = m.make()
    return m.through(t) is t and m.through(m.through(t)) is t


def check_grad_fn_identity(m):
    y = m.link(m.make())
    node = y.grad_fn
    return y.grad_fn is node and m.share(y).grad_fn is node


CHECKS = {
    "x is x, through C and back": check_identity,
    "grad_fn is grad_fn": check_grad_fn_identity,
    "all of that while only C holds it": outlives_c_only,
    "mutable classes, base and metaclass": check_classes,
    "__dict__": check_attributes,
    "__slots__ subclass": check_slots,
    "weak references with callbacks": check_weakref,
    "__class__ assignment": check_class_assignment,
    "_make_subclass, as_subclass": check_as_subclass,
    "Parameter by __instancecheck__": check_parameter,
    "__del__ in a subclass": check_finalizer,
    "cycle: own attribute": lambda m: is_found(m, lambda k: dict_cycle(m, k)),
    "cycle: tensor, node, hook": lambda m: is_found(m, lambda k: hook_cycle(m, k)),
    "cycle: tensor, node, ctx": lambda m: is_found(m, lambda k: ctx_cycle(m, k)),
    "cycle: hook on its own grad_fn": lambda m: is_found(m, lambda k: grad_fn_cycle(m, k)),
    "cycle: across two nodes": lambda m: is_found(m, lambda k: two_node_cycle(m, k)),
    "cycle: across a tensor in use": lambda m: is_found(m, lambda k: live_input_cycle(m, k)),
    "cycle: two outputs of a node": lambda m: is_found(m, lambda k: two_output_cycle(m, k)),
    "creation without the interpreter lock": check_unlocked,
}

STATEMENTS = {
    "create and free": "make()",
    "through C and back": "through(t)",
    "view": "view(t)",
    "hold in C, drop in Python, take": "x = make(); hold(x); del x; take()",
    "link (tensor + node), free": "link(t)",
    "grad_fn": "y.grad_fn",
}

CHAIN = "x = t\nfor _ in range({}):\n    x = link(x)\ndel x"


def chain(m, length):
    """ns per node to build and to drop a chain that recursion could not free, and to collect it."""
    x = m.make()
    start = time.perf_counter_ns()
    for _ in range(length):
        x = m.link(x)
    built = time.perf_counter_ns()
    gc.collect()
    collected = time.perf_counter_ns()
    del x
    dropped = time.perf_counter_ns()
    gc.collect()
    empty = time.perf_counter_ns() - dropped
    return (
        (built - start) / length,
        max(0, collected - built - empty) / length,
        (dropped - collected) / length,
    )


def main():
    with tempfile.TemporaryDirectory() as folder:
        modules = {name: build(name, folder) for name in VARIANTS}
    rows = [[what, *(bool(check(m)) for m in modules.values())] for what, check in CHECKS.items()]
    timing.table(["it can", *modules], rows)
    print()
    spaces = {}
    for name, m in modules.items():
        t = m.make()
        spaces[name] = {**vars(m), "t": t, "y": m.link(t)}
    rows = []
    for what, statement in STATEMENTS.items():
        best = timing.nanoseconds(statement, spaces)
        rows.append([what, *(best[name] for name in modules)])
    for length in (100, 1000, 10_000):
        best = timing.nanoseconds(CHAIN.format(length), spaces)
        rows.append([f"chain of {length}, per node", *(best[name] / length for name in modules)])
    deep = {name: [chain(m, 1_000_000) for _ in range(3)] for name, m in modules.items()}
    for i, what in enumerate(("build", "one full collection", "drop")):
        rows.append(
            [f"chain of 1e6, {what}, per node", *(min(r[i] for r in deep[n]) for n in modules)]
        )
    timing.table(["ns", *modules], rows)


if __name__ == "__main__":
    main()
