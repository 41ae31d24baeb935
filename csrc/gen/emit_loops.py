"""Emits the inner loops of pointwise operators: one contiguous loop per operator and dtype, in
*.k.c files that the build compiles once per instruction set."""

from __future__ import annotations

import re
from typing import Any

from .emit_core import HEAD
from .table import ORDER, Entry

# dtype -> (C type, compute type, load, store, suffix of scalar functions)
_C = {
    "bool": ("uint8_t", "uint8_t", "{x}", "{x}", "b"),
    "uint8": ("uint8_t", "uint8_t", "{x}", "{x}", "u8"),
    "int8": ("int8_t", "int8_t", "{x}", "{x}", "i8"),
    "int16": ("int16_t", "int16_t", "{x}", "{x}", "i16"),
    "int32": ("int32_t", "int32_t", "{x}", "{x}", "i32"),
    "int64": ("int64_t", "int64_t", "{x}", "{x}", "i64"),
    "uint16": ("uint16_t", "uint16_t", "{x}", "{x}", "u16"),
    "uint32": ("uint32_t", "uint32_t", "{x}", "{x}", "u32"),
    "uint64": ("uint64_t", "uint64_t", "{x}", "{x}", "u64"),
    "float16": ("mt_half", "float", "mt_half_to_float({x})", "mt_float_to_half({x})", "f32"),
    "bfloat16": ("mt_bfloat16", "float", "mt_bfloat16_to_float({x})", "mt_float_to_bfloat16({x})", "f32"),
    "float32": ("float", "float", "{x}", "{x}", "f32"),
    "float64": ("double", "double", "{x}", "{x}", "f64"),
    "complex64": ("mt_complex64", "mt_complex64", "{x}", "{x}", "c64"),
    "complex128": ("mt_complex128", "mt_complex128", "{x}", "{x}", "c128"),
}
# Functions with an easy form that becomes vector code and holds unless its _hard form says no.
GUARDED = re.compile(r"mt_(sin|cos|tan|sinc)\(a\)")
HOT = frozenset("float32 float64 int64 bool float16 bfloat16 int32".split())
_REAL_OF = {"complex64": "float32", "complex128": "float64"}


def category(d: str) -> str:
    if d == "bool":
        return "bool"
    if d.startswith(("int", "uint")):
        return "int"
    return "complex" if d.startswith("complex") else "float"


def expression(kernel: dict[str, str], d: str) -> str | None:
    """The kernel's C expression for a dtype: the most specific one given."""
    for key in (d, category(d), "half" if d in ("float16", "bfloat16") else "", "all"):
        if key in kernel:
            return kernel[key]
    return None


def result_dtype(p: dict[str, Any], d: str) -> str:
    if p["result"]:
        return str(p["result"])
    if p["promotes"] == "bool":
        return "bool"
    if p["promotes"] == "complex_to_float":
        return _REAL_OF.get(d, d)
    return d


def specialise(expr: str, suffix: str, ctype: str) -> str:
    """mt_tanh(a) -> mt_tanh_f32(a); T -> the compute type; mt_foo_xx stays."""
    expr = re.sub(r"\bT\b", ctype, expr)
    return re.sub(r"\b(mt_[a-z0-9_]+?)\(", lambda m: f"{m[1]}_{suffix}(", expr)


def ternary(expr: str) -> tuple[str, str, str] | None:
    """The parts of `a ? b : c`, None for an expression of another form."""
    depth = nested = 0
    at = -1
    for i, c in enumerate(expr):
        depth += c in "([{"
        depth -= c in ")]}"
        if depth:
            continue
        if c == "?":
            if at < 0:
                at = i
            else:
                nested += 1
        elif c == ":" and at >= 0:
            if not nested:
                return expr[:at].strip(), expr[at + 1:i].strip(), expr[i + 1:].strip()
            nested -= 1
    return None


def cases(expr: str, uniform: set[str]) -> list[tuple[str, str]]:
    """Pairs of a condition that holds for all elements or none, and the kernel in that case; the
    last condition is empty."""
    parts = ternary(expr)
    if parts is None or not set(re.findall(r"\b[a-z]\w*", parts[0])) <= uniform:
        return [("", expr)]
    return [(parts[0], parts[1]), *cases(parts[2], uniform)]


def loop(e: Entry, d: str) -> str | None:
    p = e.pointwise
    assert p is not None
    expr = expression(p["kernel"], d)
    if expr is None:
        return None
    ty, cty, load, _, suf = _C[d]
    rd = result_dtype(p, d)
    rty, _, _, store, _ = _C[rd]
    n_in, n_out = len(p["inputs"]), p["outputs"]
    name = f"{e.ident}_{d}"
    lines = [f"static void\n{name}(void *const *ptrs, int64_t n, const mt_param *q)\n{{"]
    exprs = [x.strip() for x in expr.split(";;")] if n_out > 1 else [expr]
    for j in range(n_out):
        lines.append(f"    {rty} *o{j} = ptrs[{j}];")
    for j in range(n_in):
        lines.append(f"    const {ty} *x{j} = ptrs[{n_out + j}];")
    for k, pn in enumerate(p["params"]):
        fld = {"bool": "i", "int": "i", "float": "f"}.get(category(d))
        val = f"({cty})q[{k}].{fld}" if fld else f"({cty})(q[{k}].f + q[{k}].im * (double _Complex)1.0iF)"
        if f"{pn}_f" in expr:
            lines.append(f"    const double {pn}_f = q[{k}].f;")
        if f"{pn}_i" in expr:
            lines.append(f"    const int64_t {pn}_i = q[{k}].i;")
        if re.search(rf"\b{pn}\b", expr):
            lines.append(f"    const {cty} {pn} = {val};")
    lines.append("    (void)q;")
    if guarded := GUARDED.fullmatch(expr):
        # Vector code where all are easy; the general form, which branches, where one is not.
        hard, value = (specialise(f"mt_{guarded[1]}{form}(a)", suf, cty) for form in ("_hard", ""))
        head = f"for (int64_t i = 0; i < n; i++) {{\n        const {cty} a = {load.format(x='x0[i]')};"
        lines.append(f"    int hard = 0;\n    {head}\n        hard |= {hard};\n    }}")
        lines.append(f"    if (MT_UNLIKELY(hard)) {{\n    {head}\n        o0[i] = {store.format(x=value)};\n    }}"
                     "\n    return;\n    }")
        exprs = [f"mt_{guarded[1]}_easy(a)"]
    # A number among the inputs is the same for a whole run; what depends on it and on parameters
    # alone is decided before the loop.
    types = {a.name: a.type for a in e.schema.args}
    fixed = ["abcdef"[j] for j, i in enumerate(p["inputs"]) if types[i] == "Scalar"]
    uniform = {*fixed, *(f"{pn}{end}" for pn in p["params"] for end in ("", "_i", "_f"))}
    for j in range(n_in):
        if not re.search(rf"\b{'abcdef'[j]}\b", expr):
            lines.append(f"    (void)x{j};")
    split = cases(expr, uniform) if n_out == 1 and not guarded else [("", "")]
    for condition, body in split:
        if condition:
            condition = specialise(condition, suf, cty)
            for v in fixed:
                first = load.format(x=f"x{'abcdef'.index(v)}[0]")
                condition = re.sub(rf"\b{v}\b", first, condition)
            lines.append(f"    if ({condition}) {{")
        lines.append("    MT_VECTORIZE\n    for (int64_t i = 0; i < n; i++) {")
        for j in range(n_in):
            v = "abcdef"[j]
            if re.search(rf"\b{v}\b", body or expr):
                lines.append(f"        const {cty} {v} = {load.format(x=f'x{j}[i]')};")
        for j, x in enumerate([body] if body else exprs):
            x = specialise(x, suf, cty)
            if rd == "bool":
                x = f"({x}) != 0" if not re.search(r"[<>=!]=|[<>]|\|\||&&|^!", x) else f"({x})"
            lines.append(f"        o{j}[i] = {store.format(x=x)};")
        lines.append("    }")
        if condition:
            lines.append("    return;\n    }")
    lines.append("}")
    return "\n".join(lines) + "\n"


def emit_loops(entries: list[Entry], src: str) -> str:
    """One .k.c file for these functional pointwise entries."""
    out = [HEAD.format(src=src), "/* mt-flags: -fwrapv -fcx-limited-range -ffp-contract=off -Wno-type-limits -Wno-unused-but-set-variable */",
           '#include "kernels/isa.h"\n#include "kernels/scalar.h"\n#include "kernels/scalar_int.h"\n#include "kernels/scalar_slope.h"\n#include "kernels/scalar_special.h"\n#include <complex.h>\n#include "ops/pointwise.h"\n#undef I\n']
    hot_only = "#ifndef MT_HOT_ONLY\n"
    for e in entries:
        rows = []
        assert e.pointwise is not None
        for d in ORDER:
            if d not in e.pointwise["dtypes"]:
                continue
            text = loop(e, d)
            if text is None:
                raise ValueError(f"{e.where}: {e.schema.full_name} has no kernel for {d}")
            row = f"    [MT_{d.upper()}] = {e.ident}_{d},"
            if d not in HOT:
                text, row = f"{hot_only}{text}#endif\n", f"#ifndef MT_HOT_ONLY\n{row}\n#endif"
            out.append(text)
            rows.append(row)
        out.append(f"extern const mt_loop MT_K(loops_{e.ident})[MT_NUM_DTYPES];")
        out.append(f"const mt_loop MT_K(loops_{e.ident})[MT_NUM_DTYPES] = {{\n" + "\n".join(rows) + "\n};\n")
    return "\n".join(out)
