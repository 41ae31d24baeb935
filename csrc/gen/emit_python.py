"""Emits what Python sees: the signatures that the argument matcher reads, and one entry point per
function and method."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from . import ctypes_ as ct
from .emit_core import HEAD, c_str
from .schema import Arg, Schema, parse
from .table import Entry

# where Python keeps functions of an entry's `py` namespace
NAMESPACES = {"function": "torch", "method": "Tensor", "nn": "_nn", "linalg": "_linalg", "fft": "_fft",
              "special": "_special"}
_OPTIONS = ("dtype", "layout", "device", "pin_memory")
_TYPE_TEXT = {"TENSOR": "Tensor", "TENSORS": "tuple of Tensors", "INT": "int", "FLOAT": "float", "BOOL": "bool",
              "SCALAR": "Number", "INTS": "tuple of ints", "FLOATS": "tuple of floats", "BOOLS": "tuple of bools",
              "SCALARS": "tuple of Scalars", "STR": "str", "DTYPE": "torch.dtype", "DEVICE": "torch.device",
              "LAYOUT": "torch.layout", "FORMAT": "torch.memory_format", "GENERATOR": "torch.Generator",
              "STORAGE": "Storage"}
# operators whose Tensor argument also takes a Python number (it becomes a wrapped tensor)
NUMBERS_AS_TENSORS = frozenset(
    "add add_ sub sub_ mul mul_ div div_ divide divide_ true_divide true_divide_ floor_divide floor_divide_ "
    "multiply multiply_ subtract subtract_ _conj fmod remainder xlogy special_xlogy special_xlog1py "
    "special_zeta copy_ float_power bitwise_and bitwise_or bitwise_xor where _foreach_add_ _foreach_add "
    "_foreach_mul _foreach_mul_ _foreach_div _foreach_div_".split())


@dataclass
class Param:
    """A parameter of a Python signature and the schema arguments it feeds."""

    name: str
    arg: Arg
    index: int  # schema argument, or -2: out, -3: requires_grad
    default: str | None
    kwonly: bool
    out_count: int = 0

    def text(self) -> str:
        t = "Tensor" if self.index == -2 and self.out_count == 1 else \
            "tuple of Tensors" if self.index == -2 else _TYPE_TEXT[self.arg.kind]
        return f"{t} {self.name}" + (f" = {self.default_text}" if self.default is not None else "")

    @property
    def default_text(self) -> str:
        d = self.default or ""
        if self.index == -2 or d == "None":
            return "None"
        return {"contiguous_format": "torch.contiguous_format", "Mean": "at::Reduction::Mean"}.get(d, d.strip("\"'"))


@dataclass
class Signature:
    """One Python signature: a functional overload with its out= form, or a variant."""

    entry: Entry
    out: Entry | None
    params: list[Param] = field(default_factory=list)
    deprecated: bool = False

    def text(self) -> str:
        parts, star = [], False
        for p in self.params:
            if p.kwonly and not star:
                parts.append("*")
                star = True
            parts.append(p.text())
        return "(" + ", ".join(parts) + ")"


def _default_of(a: Arg) -> str | None:
    if a.default is not None:
        return a.default
    return None


def signature(e: Entry, out: Entry | None, method: bool) -> Signature:
    """The Python signature of an entry, PyTorch's way of ordering: positional arguments,
    keyword-only ones, out, then tensor options and requires_grad."""
    s = e.schema
    sig = Signature(e, out)
    opts = [a for a in s.args if a.name in _OPTIONS and a.kwonly]
    is_options = {"dtype", "layout", "device", "pin_memory"} <= {a.name for a in opts}
    late: list[Param] = []
    for i, a in enumerate(s.args):
        if method and a.name == "self":
            continue
        if a in s.outs and e.variant == "out":
            continue
        name = "input" if a.name == "self" and a.is_tensor and not method else a.name
        p = Param(name, a, i, _default_of(a), a.kwonly)
        if is_options and a in opts:
            if a.name == "pin_memory":
                p.default = "False"
            late.append(p)
        else:
            sig.params.append(p)
    target = out or (e if e.variant == "out" else None)
    if target is not None:
        outs = target.schema.outs
        if all(o.type == "Tensor" for o in outs):
            sig.params.append(Param("out", outs[0], -2, "None" if out is not None else None, True, len(outs)))
    sig.params += late
    if is_options or (e.family == "factory" and opts):
        sig.params.append(Param("requires_grad", Arg("requires_grad", "bool"), -3, "False", True))
    return sig


def packets(entries: list[Entry]) -> dict[str, dict[str, list[Signature]]]:
    """namespace -> Python name -> signatures in matching order."""
    out: dict[str, dict[str, list[Signature]]] = {k: {} for k in NAMESPACES}
    outs: dict[tuple[Any, ...], Entry] = {}
    for e in entries:
        if e.variant == "out":
            key = (e.schema.name, tuple(a.name for a in e.schema.args if a not in e.schema.outs))
            outs.setdefault((id(e.functional),), e)
            outs.setdefault(key, e)
    taken: set[int] = set()
    for e in entries:
        if e.variant == "out" or e.hidden:
            continue
        o = outs.get((id(e),)) or outs.get((e.schema.name, tuple(a.name for a in e.schema.args if a.name not in _OPTIONS)))\
            or outs.get((e.schema.name, tuple(a.name for a in e.schema.args)))
        if o is not None and not e.schema.inplace:
            taken.add(id(o))
        else:
            o = None
        for ns in e.py:
            for name in (e.schema.name, *e.names):
                sig = signature(e, o if ns != "method" else None, ns == "method")
                out[ns].setdefault(name, []).append(sig)
                for extra in e.py_sigs:
                    out[ns][name].append(_deprecated(e, o, extra, ns == "method"))
    for e in entries:
        if e.variant == "out" and id(e) not in taken and not e.hidden:
            for ns in e.py:
                if ns != "method":
                    out[ns].setdefault(e.schema.name, []).append(signature(e, None, False))
    for packet in out.values():
        for name, sigs in packet.items():
            packet[name] = sort_overloads(sigs)
    return out


def _deprecated(e: Entry, out: Entry | None, text: str, method: bool) -> Signature:
    """A further Python signature "(Tensor self, Scalar alpha, Tensor other)" for the same operator."""
    s: Schema = parse(f"x{text} -> Tensor")
    sig = Signature(e, out if not method else None, deprecated=True)
    for a in s.args:
        if method and a.name == "self":
            continue
        i = e.schema.index(a.name)
        name = "input" if a.name == "self" and not method else a.name
        sig.params.append(Param(name, a, i, a.default, a.kwonly))
    if sig.out is not None:
        outs = sig.out.schema.outs
        sig.params.append(Param("out", outs[0], -2, "None", True, len(outs)))
    return sig


def _before(a: Signature, b: Signature) -> bool:
    """Whether a must be tried before b: it is the more special of two that take the same call."""
    for p, q in zip(a.params, b.params):
        x, y = p.arg.kind, q.arg.kind
        if (x, y) in (("TENSOR", "SCALAR"), ("INT", "INTS"), ("TENSOR", "INT"), ("TENSOR", "FLOAT")):
            return True
        if x != y:
            return False
    return False


def sort_overloads(sigs: list[Signature]) -> list[Signature]:
    out: list[Signature] = []
    for s in sigs:
        listed = s.entry.schema.args and s.entry.schema.args[0].is_list  # keeps the table's order
        at = next((i for i, t in enumerate(out) if not listed and _before(s, t)), len(out))
        out.insert(at, s)
    return [s for s in out if not s.deprecated] + [s for s in out if s.deprecated]


def _op_ref(e: Entry | None, index: dict[int, int]) -> str:
    return "NULL" if e is None else f"&mt_ops_{e.group}[{index[id(e)]}]"


def emit_signatures(entries: list[Entry]) -> str:
    """py_signatures.c: packets, their signatures, and the C entry point of each."""
    index: dict[int, int] = {}
    count: dict[str, int] = {}
    for e in entries:
        index[id(e)] = count.get(e.group, 0)
        count[e.group] = index[id(e)] + 1
    out = [HEAD.format(src="csrc/ops/table"), '#include "python/signature.h"\n#include "ops_gen.h"\n']
    tables = {}
    for ns, table in packets(entries).items():
        rows, defs = [], []
        for k, (name, sigs) in enumerate(sorted(table.items())):
            base = f"{ns}_{name}"
            srows = []
            for j, s in enumerate(sigs):
                prows = []
                for p in s.params:
                    flags = ["0"]
                    if p.kwonly:
                        flags.append("MTPY_KWONLY")
                    if p.arg.optional or p.index == -2 or (p.default == "None"):
                        flags.append("MTPY_NONE_OK")
                    if p.arg.elements_optional:
                        flags.append("MTPY_ELEMENTS_OPTIONAL")
                    if p.arg.is_tensor and name in NUMBERS_AS_TENSORS and s.params[0].arg.type != "Scalar" \
                            and p.name not in ("input", "out"):
                        flags.append("MTPY_NUMBER_OK")
                    dflt = ""
                    if p.default is not None:
                        flags.append("MTPY_HAS_DEFAULT")
                        if p.index >= 0 and p.arg.default is not None:
                            dflt = f", .fallback = {ct.default_value(p.arg)}"
                    kind = "TENSOR" if p.index == -2 and p.out_count == 1 else "TENSORS" if p.index == -2 else p.arg.kind
                    prows.append(f'    {{"{p.name}", MT_A_{kind}, {" | ".join(flags)}, {p.arg.size}, {p.index}{dflt or ", {0}"}}},')
                if prows:
                    defs.append(f"static const mtpy_param p_{base}_{j}[] = {{\n" + "\n".join(prows) + "\n};")
                npos = sum(not p.kwonly for p in s.params)
                sflags = " | ".join(["0"] + (["MTPY_DEPRECATED"] if s.deprecated else []))
                srows.append(f'    {{"{c_str(s.text())}", {f"p_{base}_{j}" if prows else "NULL"}, {len(s.params)}, {npos}, {sflags}, '
                             f"{_op_ref(s.entry, index)}, {_op_ref(s.out, index)}}},")
            defs.append(f"static const mtpy_signature s_{base}[] = {{\n" + "\n".join(srows) + "\n};")
            rows.append(f'    {{"{name}", s_{base}, {len(sigs)}, MTPY_NS_{ns.upper()}}},')
            arg0 = "PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *kwnames"
            first = "self" if ns == "method" else "NULL"
            defs.append(f"static PyObject *\nf_{base}({arg0})\n{{\n" + ("    (void)self;\n" if ns != "method" else "") +
                        f"    return mtpy_call(&mtpy_packets_{ns}[{k}], {first}, args, n, kwnames);\n}}")
        tables[ns] = (rows, sorted(table))
        out.append(f"extern const mtpy_packet mtpy_packets_{ns}[];")
        out += defs
        out.append(f"const mtpy_packet mtpy_packets_{ns}[] = {{\n" + "\n".join(rows) + "\n    {0},\n};")
        out.append(f"const int mtpy_packets_{ns}_count = {len(rows)};")
        docs = {n: sigs[0].entry.doc for n, sigs in table.items()}
        meth = "\n".join(f'    {{"{n}", (PyCFunction)(void (*)(void))f_{ns}_{n}, METH_FASTCALL | METH_KEYWORDS, '
                         f'"{c_str(_doc(n, table[n], docs[n]))}"}},' for n in sorted(table))
        out.append(f"PyMethodDef mtpy_methods_{ns}[] = {{\n{meth}\n    {{0}},\n}};")
    return "\n".join(out) + "\n"


def _doc(name: str, sigs: list[Signature], doc: str) -> str:
    text = "\\n".join(c_str(name + s.text()) for s in sigs if not s.deprecated)
    return (text + "\\n\\n" + c_str(doc).replace("\n", "\\n")).replace('\\"', '"').replace('"', "'")
