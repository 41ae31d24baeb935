"""The vocabulary of the operator table: families and what they imply.

A table file (csrc/ops/table/*.py) is a list of calls to the constructors below, one per
operator. A constructor records an `Entry`; its variants (in-place, out=, method, scalar
overloads) are made here, so that the rest of the generator sees plain operators.
"""

from __future__ import annotations

import ast
import importlib
import pathlib
from dataclasses import dataclass, field, replace
from typing import Any

from . import schema as sc

# ---- dtype sets --------------------------------------------------------------------------------
ORDER = ("bool uint8 int8 int16 int32 int64 uint16 uint32 uint64 float16 bfloat16 float32 float64 "
         "complex64 complex128").split()
BOOL = frozenset({"bool"})
INT = frozenset("uint8 int8 int16 int32 int64".split())
UINT = frozenset("uint16 uint32 uint64".split())
HALF = frozenset("float16 bfloat16".split())
REAL = frozenset("float32 float64".split())
FLOAT = HALF | REAL
COMPLEX = frozenset("complex64 complex128".split())
NUMERIC = INT | FLOAT | COMPLEX
ORDERED = BOOL | INT | FLOAT
ALL = BOOL | NUMERIC
EVERY = ALL | UINT


@dataclass
class Entry:
    """One operator (one overload, one variant) and everything that the table says of it."""

    schema: sc.Schema
    family: str  # pointwise, op, view, func, composite, factory
    where: str  # "csrc/ops/table/pointwise.py:41"
    group: str  # "pointwise"
    variant: str = "functional"  # functional, inplace, out
    functional: Entry | None = None  # of a variant: the entry it was made from
    meta: str | None = None
    impl: str | None = None
    grad: dict[str, str] = field(default_factory=dict)
    jvp: Any = None
    nondiff: tuple[str, ...] = ()
    dtypes: frozenset[str] = frozenset()
    flags: tuple[str, ...] = ()
    doc: str = ""
    py: tuple[str, ...] = ("function", "method")  # where Python shows it: function, method, nn, …
    names: tuple[str, ...] = ()  # alias names of the same operator in Python
    py_sigs: tuple[str, ...] = ()  # further Python signatures (deprecated ones)
    node: str | None = None  # "AddBackward0" unless derived
    pointwise: dict[str, Any] | None = None
    body: str | None = None  # composite given as a formula
    samples: Any = None
    cast: str = ""  # autocast policy: "", lower, float32, promote
    batch: str = ""  # vmap rule
    flops: str = ""
    hidden: bool = False
    alias_of: Entry | None = None  # of family "alias": the operator that does the work

    @property
    def ident(self) -> str:
        return self.schema.ident


ENTRIES: list[Entry] = []
_current_group = ""
_current_file = ""


def _where() -> str:
    import sys
    f = sys._getframe(1)
    while f.f_code.co_filename != _current_file and f.f_back:
        f = f.f_back
    return f"csrc/ops/table/{pathlib.Path(_current_file).name}:{f.f_lineno}"


def _add(entry: Entry) -> Entry:
    if any(e.ident == entry.ident for e in ENTRIES):
        raise ValueError(f"{entry.where}: operator {entry.schema.full_name} is declared twice")
    ENTRIES.append(entry)
    return entry


def _variants(entry: Entry, inplace: bool, out: Any, inplace_py: bool = True) -> None:
    s = entry.schema
    if inplace:
        method: tuple[str, ...] = ("method",)
        fn: tuple[str, ...] = ("function",) if "function" in entry.py and entry.pointwise is not None \
            and (entry.pointwise.get("unary") or s.name in ("gcd", "lcm", "xlogy", "ldexp", "nan_to_num")) else ()
        if "nn" in entry.py:
            method, fn = (), tuple(p for p in entry.py if p in ("nn", "function"))
        _add(replace(entry, schema=sc.make_inplace(s), variant="inplace", functional=entry,
                     py=(method + fn) if inplace_py else (),
                     names=tuple(n + "_" for n in entry.names if not n.startswith("special_")), py_sigs=()))
    if out:
        overload = out if isinstance(out, str) else None
        _add(replace(entry, schema=sc.make_out(s, overload), variant="out", functional=entry,
                     py=tuple(p for p in entry.py if p != "method"), py_sigs=(), grad={}))


def _grad(schema: sc.Schema, grad: Any) -> dict[str, str]:
    if grad is None:
        return {}
    if isinstance(grad, str):
        return {schema.args[0].name: grad}
    return dict(grad)


def _pointwise(schema: str, kernel: Any, dtypes: frozenset[str], *, promotes: str = "", result: str = "",
               kernel_name: str = "", inputs: tuple[str, ...] = (), grad: Any = None, inplace: bool = True,
               out: Any = True, unary: bool = False, scalar: bool = False, scalar_out: bool = True,
               outputs: int = 1, promote_with: tuple[str, ...] = (), check: str = "", scalar_node: str | None = None,
               **more: Any) -> Entry:
    s = sc.parse(schema)
    if isinstance(kernel, str):
        kernel = {"all": kernel}
    kernel = dict(kernel)
    for cat in ("bool", "int", "float", "complex"):
        if (k := more.pop(f"{cat}_kernel", None)) is not None:
            kernel[cat] = k
    names = tuple(inputs) or tuple(a.name for a in s.args if a.is_tensor)
    spec = {"kernel": kernel, "dtypes": dtypes, "promotes": promotes, "result": result,
            "kernel_name": kernel_name or f"{s.name}_cpu", "inputs": names, "unary": unary,
            "outputs": outputs, "promote_with": tuple(promote_with), "check": check,
            "params": tuple(a.name for a in s.args if a.name not in names and not a.is_tensor
                            and a.type in ("Scalar", "float", "int", "bool", "str"))}
    e = _add(Entry(s, "pointwise", _where(), _current_group, grad=_grad(s, grad), dtypes=dtypes,
                   pointwise=spec, **more))
    _variants(e, inplace, out)
    if scalar:
        # the same operator with a number in place of `other`
        args = tuple(replace(a, type="Scalar") if a.name == "other" else a for a in s.args)
        overload = scalar if isinstance(scalar, str) else "Scalar"
        so = replace(s, overload=overload, args=args)
        g = {k: v for k, v in e.grad.items() if k != "other"}
        e2 = _add(replace(e, schema=so, grad=g, pointwise={**spec}, where=e.where, py_sigs=(), node=scalar_node or e.node))
        _variants(e2, inplace, scalar_out and out and f"{overload}_out")
    return e


def unary(schema: str, kernel: Any, dtypes: frozenset[str] = NUMERIC, **kw: Any) -> Entry:
    """Elementwise operator of one tensor. `kernel` is a C expression on `a`."""
    return _pointwise(schema, kernel, dtypes, unary=True, **kw)


def binary(schema: str, kernel: Any, dtypes: frozenset[str] = ALL, **kw: Any) -> Entry:
    """Elementwise operator of two tensors with broadcasting. `kernel` is a C expression on
    `a`, `b` and the operator's number arguments by name."""
    return _pointwise(schema, kernel, dtypes, **kw)


def libm(name: str) -> dict[str, str]:
    """Complex kernels by the C library's function of this name."""
    return {"complex64": f"c{name}f(a)", "complex128": f"c{name}(a)"}


def ternary(schema: str, kernel: Any, dtypes: frozenset[str] = ALL, **kw: Any) -> Entry:
    """Elementwise operator of three tensors: `a`, `b`, `c`."""
    return _pointwise(schema, kernel, dtypes, **kw)


def op(schema: str, *, meta: str | None = None, impl: str | None = None, grad: Any = None,
       inplace: bool = False, out: Any = True, dtypes: frozenset[str] = frozenset(), **kw: Any) -> Entry:
    """Structured operator: C functions `<ident>_meta` and `<ident>_impl` (or as named)."""
    s = sc.parse(schema)
    e = _add(Entry(s, "op", _where(), _current_group, meta=meta or f"{s.ident}_meta",
                   impl=impl or f"{s.ident}_impl", grad=_grad(s, grad), dtypes=dtypes, **kw))
    _variants(e, inplace, out)
    return e


def func(schema: str, *, impl: str | None = None, grad: Any = None, dtypes: frozenset[str] = frozenset(),
         **kw: Any) -> Entry:
    """Operator whose one C function `<ident>` makes its own results (CompositeExplicit): for
    data-dependent shapes, in-place and out= forms written by hand, factories."""
    s = sc.parse(schema)
    out, inplace = kw.pop("out", None), kw.pop("inplace", False)
    e = _add(Entry(s, kw.pop("family", "func"), _where(), _current_group, impl=impl or s.ident,
                   grad=_grad(s, grad), dtypes=dtypes,
                   variant="inplace" if s.inplace else "out" if s.outs else "functional", **kw))
    if inplace:  # computes the result and copies it
        _add(replace(e, schema=sc.make_inplace(s), impl=None, family="composite", body="@inplace", variant="inplace",
                     functional=e, grad={}, flags=(), node=None, nondiff=(), jvp=None, py=("method",), py_sigs=(),
                     names=tuple(n + "_" for n in e.names)))
    if out:  # the form with out=: computes the result and copies it
        _add(replace(e, schema=sc.make_out(s, out if isinstance(out, str) else None), impl=None,
                     family="composite", body="@out", variant="out", functional=e, grad={},
                     flags=(), node=None, nondiff=(), jvp=None,
                     py=tuple(p for p in e.py if p != "method"), py_sigs=()))
    return e


def factory(schema: str, **kw: Any) -> Entry:
    """Makes a tensor from no tensor. The form with out= is implied; it computes in out's dtype."""
    kw.setdefault("py", ("function",))
    if sc.parse(schema).index("layout") >= 0:
        kw.setdefault("out", True)
    return func(schema, family="factory", **kw)


def view(schema: str, *, inplace: bool = False, **kw: Any) -> Entry:
    """Result aliases self. The C function returns an alias; views and versions are tracked for it.
    With inplace=True there is also the form that changes self's geometry (transpose_)."""
    e = func(schema, family="view", **kw)
    if inplace:
        si = sc.make_inplace(e.schema)
        _add(replace(e, schema=si, family="func", impl=f"{si.ident}", variant="inplace",
                     functional=e, py=("method",), names=tuple(n + "_" for n in e.names), flags=("VIEW_INPLACE",)))
    return e


def composite(schema: str, *, body: str | None = None, impl: str | None = None, inplace: bool = False,
              out: Any = False, **kw: Any) -> Entry:
    """Made of other operators: recorded through them, no derivative of its own. A C function
    `<ident>`, or `body`: an expression (or statements ending in one) lowered like a formula.
    The in-place and out= forms compute the result and copy it."""
    s = sc.parse(schema)
    return _add(Entry(s, "composite", _where(), _current_group, impl=impl or s.ident, body=body,
                      variant="inplace" if s.inplace else "out" if s.outs else "functional", **kw)
                ) if not (inplace or out) else _composite_variants(s, body, impl, inplace, out, kw)


def _composite_variants(s: sc.Schema, body: str | None, impl: str | None, inplace: bool, out: Any,
                        kw: dict[str, Any]) -> Entry:
    inplace_py = kw.pop("inplace_py", ())  # where Python shows the in-place form
    e = _add(Entry(s, "composite", _where(), _current_group, impl=impl or s.ident, body=body, **kw))
    if inplace:
        si = sc.make_inplace(s)
        _add(replace(e, schema=si, impl=None, body="@inplace", variant="inplace", functional=e,
                     py=inplace_py or ((("method", "function") if "function" in e.py and sum(a.is_tensor for a in s.args) == 1
                                        else ("method",)) if "method" in e.py else tuple(e.py)), py_sigs=(),
                     names=tuple(n + "_" for n in e.names)))
    if out:
        so = sc.make_out(s, out if isinstance(out, str) else None)
        _add(replace(e, schema=so, impl=None, body="@out", variant="out", functional=e,
                     py=tuple(p for p in e.py if p != "method"), py_sigs=()))
    return e


def foreach(schema: str, each: str, *, inplace: str | bool = True, **kw: Any) -> Entry:
    """Operator on lists of tensors, made of `each`: an expression of one call per entry, in which a
    list argument stands for its entry. `inplace`: the expression of the form with an underscore
    (True: the same call with an underscore); False: there is none."""
    s = sc.parse(schema)
    kw.setdefault("py", ("function",))
    e = _add(Entry(s, "composite", _where(), _current_group, body=f"@each {each}", variant="inplace"
                   if not s.returns else "functional", **kw))
    if inplace and s.returns:
        if inplace is True:
            head, rest = each.split("(", 1)
            inplace = f"{head}_({rest}"
        si = replace(s, name=s.name + "_", args=(replace(s.args[0], alias="a!"), *s.args[1:]), returns=())
        _add(replace(e, schema=si, body=f"@each {inplace}", variant="inplace", functional=e))
    return e


# ---- helpers that formulas may call: C functions of autograd/formulas.h and ops/helpers ---------
HELPERS: dict[str, sc.Schema] = {}


def helper(schema: str) -> None:
    """Declares a C function that formulas may call, with the signature of an operator wrapper:
    Tensor arguments are borrowed (NULL where optional), the result is a new reference."""
    s = sc.parse(schema)
    HELPERS[s.name] = s


def load(tables: pathlib.Path) -> list[Entry]:
    """Runs every table file and returns the entries in a fixed order."""
    global _current_group, _current_file
    ENTRIES.clear()
    HELPERS.clear()
    names = globals()
    for path in sorted(tables.glob("*.py")):
        if path.name.startswith("_"):
            continue
        _current_group, _current_file = path.stem, str(path)
        code = compile(path.read_text(), str(path), "exec")
        exec(code, {k: v for k, v in names.items() if not k.startswith("_")} | {"__name__": path.stem})
    ENTRIES.extend(_aliases())
    return ENTRIES


def _aliases() -> list[Entry]:
    """Other names of an operator become operators that call it, as in PyTorch: `arccos` is seen by
    the profiler, and calls `acos`. Names with two underscores stay names of the Python method."""
    known = {e.ident for e in ENTRIES}
    made: dict[tuple[int, str], Entry] = {}
    for e in ENTRIES:
        for name in e.names:
            if name.startswith("__"):
                continue
            s = replace(e.schema, name=name)
            if s.ident in known:
                raise ValueError(f"{e.where}: {s.full_name} is an operator and a name of {e.schema.full_name}")
            made[id(e), name] = Entry(
                s, "alias", e.where, e.group, variant=e.variant, doc=e.doc, py=e.py, py_sigs=e.py_sigs,
                hidden=e.hidden, alias_of=e, functional=made.get((id(e.functional), name.removesuffix("_")))
                or made.get((id(e.functional), name)))
        e.names = tuple(name for name in e.names if name.startswith("__"))
    return list(made.values())


__all__ = ["ALL", "BOOL", "COMPLEX", "EVERY", "FLOAT", "HALF", "INT", "NUMERIC", "ORDERED", "REAL", "UINT",
           "Entry", "binary", "composite", "factory", "foreach", "func", "helper", "libm", "load", "op", "ternary", "unary", "view"]
_ = ast, importlib
