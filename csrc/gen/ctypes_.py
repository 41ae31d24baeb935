"""How schema types look in C: parameters, boxing, unboxing, defaults."""

from __future__ import annotations

import re

from .schema import DTYPES, Arg, SchemaError

_SCALAR_C = {"INT": "int64_t", "FLOAT": "double", "BOOL": "bool"}
_LIST_C = {"INTS": "const int64_t *", "FLOATS": "const double *", "BOOLS": "const int64_t *",
           "TENSORS": "mt_tensor *const *", "SCALARS": "const mt_value *"}


def c_params(a: Arg) -> list[str]:
    """C parameters of an argument: one, or pointer and count for lists."""
    k = a.kind
    if k == "TENSOR":
        return [f"mt_tensor *{a.name}"]
    if k in _LIST_C:
        return [f"{_LIST_C[k]}{a.name}", f"int64_t {a.name}_n"]
    if k in _SCALAR_C and a.optional:
        return [f"mt_value {a.name}"]
    return [{**{k2: f"{v} {a.name}" for k2, v in _SCALAR_C.items()},
             "SCALAR": f"mt_scalar {a.name}", "STR": f"const char *{a.name}",
             "DTYPE": f"mt_dtype {a.name}", "DEVICE": f"mt_device {a.name}",
             "LAYOUT": f"int64_t {a.name}", "FORMAT": f"mt_memory_format {a.name}",
             "GENERATOR": f"struct mt_generator *{a.name}",
             "STORAGE": f"mt_storage *{a.name}"}[k]]


def box(a: Arg, code: list[str]) -> str:
    """mt_value expression from C expressions of c_params."""
    k, x = a.kind, code[0]
    if k == "TENSOR":
        return f"mt_v_tensor({x})"
    if k in _LIST_C:
        n = code[1]
        fn = {"INTS": "mt_v_ints", "FLOATS": "mt_v_floats", "TENSORS": "mt_v_tensors",
              "BOOLS": "mt_v_bools", "SCALARS": "mt_v_scalars"}[k]
        v = f"{fn}({x}, {n})"
        return f"({x} ? {v} : mt_v_none())" if a.optional else v
    if k in _SCALAR_C:
        return x if a.optional else f"mt_v_{k.lower()}({x})"
    return {"SCALAR": x, "STR": f"mt_v_str({x})", "DTYPE": f"mt_v_dtype({x})",
            "DEVICE": f"mt_v_device({x})", "LAYOUT": f"mt_v_layout({x})",
            "FORMAT": f"mt_v_format({x})", "GENERATOR": f"mt_v_pointer(MT_V_GENERATOR, {x})",
            "STORAGE": f"mt_v_pointer(MT_V_STORAGE, {x})"}[k]


def unbox(a: Arg, v: str) -> list[str]:
    """C expressions for c_params from an mt_value expression."""
    k = a.kind
    if k == "TENSOR":
        return [f"{v}.u.t" if not a.optional else f"mt_v_tensor_or_null({v})"]
    if k in _LIST_C:
        field = {"INTS": "is", "FLOATS": "fs", "BOOLS": "is", "TENSORS": "ts", "SCALARS": "vs"}[k]
        if a.optional:
            return [f"({v}.tag == MT_V_NONE ? NULL : {v}.u.{field})",
                    f"({v}.tag == MT_V_NONE ? 0 : (int64_t){v}.len)"]
        return [f"{v}.u.{field}", f"(int64_t){v}.len"]
    if k in _SCALAR_C:
        if a.optional:
            return [v]
        return [{"INT": f"{v}.u.i", "FLOAT": f"mt_scalar_f64({v})", "BOOL": f"({v}.u.i != 0)"}[k]]
    return [{"SCALAR": v, "STR": f"({v}.tag == MT_V_NONE ? NULL : {v}.u.s)",
             "DTYPE": f"({v}.tag == MT_V_NONE ? MT_DTYPE_NONE : (mt_dtype){v}.u.i)",
             "DEVICE": f"({v}.tag == MT_V_NONE ? MT_NO_DEVICE : {v}.u.d)",
             "LAYOUT": f"({v}.tag == MT_V_NONE ? -1 : {v}.u.i)",
             "FORMAT": f"({v}.tag == MT_V_NONE ? MT_FORMAT_NONE : (mt_memory_format){v}.u.i)",
             "GENERATOR": f"(struct mt_generator *)({v}.tag == MT_V_NONE ? NULL : {v}.u.p)",
             "STORAGE": f"(mt_storage *){v}.u.p"}[k]]


_FORMATS = {"contiguous_format": "MT_CONTIGUOUS", "preserve_format": "MT_PRESERVE",
            "channels_last": "MT_CHANNELS_LAST"}
_REDUCTION = {"Mean": "1", "Sum": "2", "None": "0"}


def _number(text: str) -> bool:
    return bool(re.fullmatch(r"[-+]?(\d+\.?\d*([eE][-+]?\d+)?|\.\d+|inf|nan)", text))


def default_value(a: Arg) -> str:
    """Static initialiser (an mt_value) of an argument's default."""
    d = a.default
    assert d is not None
    k = a.kind
    if d == "None":
        return "{.tag = MT_V_NONE}"
    if k in ("INT", "BOOL", "SCALAR", "FLOAT"):
        if d in ("True", "False"):
            return f"{{.tag = MT_V_BOOL, .u.i = {int(d == 'True')}}}"
        if k == "INT" and d in _REDUCTION:
            return f"{{.tag = MT_V_INT, .u.i = {_REDUCTION[d]}}}"
        if k == "INT" and d == "contiguous_format":
            return "{.tag = MT_V_INT, .u.i = 0}"
        if re.fullmatch(r"-?\d+", d) and k != "FLOAT":
            return f"{{.tag = MT_V_INT, .u.i = {d}}}"
        return f"{{.tag = MT_V_FLOAT, .u.f = {c_float(d)}}}"
    if k in ("INTS", "BOOLS", "FLOATS"):
        vals = list_default(a)
        tag, fld, ct = {"INTS": ("MT_V_INTS", "is", "int64_t"), "BOOLS": ("MT_V_BOOLS", "is", "int64_t"),
                        "FLOATS": ("MT_V_FLOATS", "fs", "double")}[k]
        if not vals:
            return f"{{.tag = {tag}, .len = 0, .u.{fld} = (const {ct}[]){{0}}}}"
        return f"{{.tag = {tag}, .len = {len(vals)}, .u.{fld} = (const {ct}[]){{{', '.join(vals)}}}}}"
    if k == "STR":
        text = d.strip("\"'")
        return f'{{.tag = MT_V_STR, .len = {len(text)}, .u.s = "{text}"}}'
    if k == "DTYPE":
        return f"{{.tag = MT_V_DTYPE, .u.i = MT_{DTYPES[d]}}}"
    if k == "FORMAT":
        return f"{{.tag = MT_V_FORMAT, .u.i = {_FORMATS[d]}}}"
    if k == "LAYOUT":
        return "{.tag = MT_V_LAYOUT, .u.i = 0}"
    raise SchemaError(f"default {d!r} of {a.text()!r} is not understood")


def c_float(d: str) -> str:
    if d in ("inf", "-inf"):
        return "__builtin_inf()" if d == "inf" else "-__builtin_inf()"
    if d == "nan":
        return "__builtin_nan(\"\")"
    return repr(float(d))


def list_default(a: Arg) -> list[str]:
    """Elements of a list default; a single number stands for `size` of them."""
    d = a.default or ""
    if d.startswith("["):
        inner = d[1:-1].strip()
        parts = [p.strip() for p in inner.split(",")] if inner else []
    else:
        parts = [d] * max(1, a.size)
    if a.kind == "BOOLS":
        return [str(int(p == "True")) for p in parts]
    if a.kind == "FLOATS":
        return [c_float(p) for p in parts]
    return parts


def default_code(a: Arg) -> list[str]:
    """C expressions for c_params with the default's value (for calls that leave it out)."""
    d = a.default
    if d is None:
        raise SchemaError(f"argument {a.text()!r} has no default")
    k = a.kind
    if k == "TENSOR":
        return ["NULL"]
    if k in _LIST_C:
        if d == "None":
            return ["NULL", "0"]
        vals = list_default(a)
        ct = "double" if k == "FLOATS" else "int64_t"
        return [f"(const {ct}[]){{{', '.join(vals) or '0'}}}", str(len(vals))]
    if k == "SCALAR" or (k in _SCALAR_C and a.optional):
        if d == "None":
            return ["mt_v_none()"]
        if d in ("True", "False"):
            return [f"mt_v_bool({d.lower()})"]
        if re.fullmatch(r"-?\d+", d) and k != "FLOAT":
            return [f"mt_v_int({d})"]
        return [f"mt_v_float({c_float(d)})"]
    if k == "INT":
        return [_REDUCTION.get(d, "0" if d == "contiguous_format" else d)]
    if k == "FLOAT":
        return [c_float(d)]
    if k == "BOOL":
        return [d.lower()]
    if k == "STR":
        return ["NULL" if d == "None" else '"' + d.strip("\"'") + '"']
    if d == "None":
        return [{"DTYPE": "MT_DTYPE_NONE", "DEVICE": "MT_NO_DEVICE", "LAYOUT": "-1",
                 "FORMAT": "MT_FORMAT_NONE", "GENERATOR": "NULL", "STORAGE": "NULL"}[k]]
    if k == "DTYPE":
        return [f"MT_{DTYPES[d]}"]
    if k == "FORMAT":
        return [_FORMATS[d]]
    if k == "LAYOUT":
        return ["0"]
    raise SchemaError(f"default {d!r} of {a.text()!r} is not understood")
