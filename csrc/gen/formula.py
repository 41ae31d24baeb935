"""Formulas: Python expressions of the operator table, lowered to dull C.

A formula reads arguments, named results and gradients, and calls operators of the table or
declared helpers; every call goes through the dispatcher, so that it is recorded again under
create_graph. The lowering is typed: an expression is a tensor, an integer, a float, a bool, a
number (Scalar), a list of one of these, or None, and the overload of a call follows from that.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from . import ctypes_ as ct
from .schema import Arg, Schema


class FormulaError(ValueError):
    """A formula that cannot be lowered; the message shows the formula and the table line."""


@dataclass
class Val:
    """A lowered expression. `code` holds one C expression (two for lists: pointer, count)."""

    type: str  # Tensor, int, float, bool, Scalar, int[], float[], bool[], Tensor[], None, dtype …
    code: list[str]
    literal: Any = None
    parts: list[Val] | None = None  # of a tuple


_TENSOR_ATTRS = {
    "dtype": ("ScalarType", "(mt_dtype){x}->dtype"), "device": ("Device", "{x}->device"),
    "ndim": ("int", "(int64_t){x}->ndim"),
}
_TENSOR_CALLS = {
    "dim": ("int", "(int64_t){x}->ndim"), "numel": ("int", "{x}->numel"),
    "is_complex": ("bool", "mt_is_complex({x}->dtype)"),
    "is_floating_point": ("bool", "mt_is_floating({x}->dtype)"),
    "is_contiguous": ("bool", "mt_is_contiguous({x})"),
    "storage_offset": ("int", "{x}->offset"),
}
# what reads only geometry of a tensor
GEOMETRY = {"shape", "sizes", "dtype", "device", "ndim", "dim", "numel", "is_complex", "size",
            "is_floating_point", "strides", "storage_offset", "geometry"}
_BINOPS = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow",
           ast.MatMult: "matmul", ast.FloorDiv: "floor_divide", ast.Mod: "remainder",
           ast.BitAnd: "bitwise_and", ast.BitOr: "bitwise_or", ast.BitXor: "bitwise_xor"}
_CMPS = {ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge"}
_CMP_C = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_C_OPS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "/", ast.Mod: "%"}
_MATH = {"sqrt": "sqrt", "log": "log", "exp": "exp", "pow": "pow"}
_NUMBERS = ("int", "float", "bool")


class Lowering:
    """Lowers one formula function. `env` maps names to values."""

    def __init__(self, ops: dict[str, list[Schema]], helpers: dict[str, Schema], env: dict[str, Val],
                 where: str):
        self.ops, self.helpers, self.env, self.where = ops, helpers, dict(env), where
        self.lines: list[str] = []
        self.tensors: list[str] = []   # owned tensor temporaries
        self.lists: list[str] = []     # owned mt_list temporaries
        self.decls: list[str] = []
        self.depth = 1
        self.source = ""
        self.used: set[str] = set()

    # -- output -----------------------------------------------------------------------------
    def emit(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def fail(self, node: ast.AST | None, why: str) -> FormulaError:
        text = ast.unparse(node) if node is not None else self.source
        return FormulaError(f"{self.where}: {why} in {text!r} (formula {self.source!r})")

    def temp(self) -> str:
        name = f"t{len(self.tensors)}"
        self.tensors.append(name)
        return name

    def fresh(self, prefix: str, decl: str) -> str:
        name = f"{prefix}{len(self.decls)}"
        self.decls.append(decl.format(name))
        return name

    def check(self, call: str) -> None:
        self.emit(f"if ({call})")
        self.emit("    goto done;")

    # -- statements -------------------------------------------------------------------------
    def run(self, source: str) -> Val:
        """Lowers a body: statements with an expression at the end, whose value is returned."""
        self.source = source
        tree = ast.parse(source.strip("\n") if "\n" in source else source.strip())
        val = Val("None", ["NULL"])
        for i, st in enumerate(tree.body):
            last = i == len(tree.body) - 1
            if last and isinstance(st, (ast.Expr, ast.Return)) and st.value is not None:
                val = self.expr(st.value)
            else:
                self.statement(st)
        return val

    def statement(self, st: ast.stmt) -> None:
        if isinstance(st, ast.Assign) and len(st.targets) == 1:
            target, val = st.targets[0], self.expr(st.value)
            if isinstance(target, ast.Name):
                self.assign(target.id, val)
            elif isinstance(target, ast.Tuple) and val.parts is not None:
                for t, v in zip(target.elts, val.parts, strict=True):
                    assert isinstance(t, ast.Name)
                    self.env[t.id] = v
            else:
                raise self.fail(st, "cannot assign")
        elif isinstance(st, ast.If):
            cond = self.condition(st.test)
            before = dict(self.env)
            self.emit(f"if ({cond}) {{")
            self.depth += 1
            for s in st.body:
                self.statement(s)
            self.depth -= 1
            if st.orelse:
                self.emit("} else {")
                self.depth += 1
                for s in st.orelse:
                    self.statement(s)
                self.depth -= 1
            self.emit("}")
            self.env = {k: v for k, v in self.env.items() if k in before or k in self.vars}
        elif isinstance(st, ast.Expr):
            self.expr(st.value)
        else:
            raise self.fail(st, "statement is not understood")

    @property
    def vars(self) -> dict[str, str]:
        found: dict[str, str] = self.__dict__.setdefault("_vars", {})
        return found

    def assign(self, name: str, val: Val) -> None:
        """A Python variable: a C variable of its own for tensors, so that branches may set it."""
        if val.type in ("Tensor", "Tensor?") and val.parts is None:
            if name not in self.vars:
                self.vars[name] = self.temp()
            var = self.vars[name]
            self.emit(f"mt_assign(&{var}, {val.code[0]});")
            self.env[name] = Val(val.type, [var])
        else:
            self.env[name] = val

    # -- expressions ------------------------------------------------------------------------
    def condition(self, node: ast.expr) -> str:
        v = self.expr(node)
        if v.type in ("bool", "int", "float"):
            return v.code[0]
        if v.type == "Scalar":
            return f"!mt_scalar_is_zero({v.code[0]})"
        if v.type.endswith("[]"):
            return f"{v.code[1]} != 0"
        raise self.fail(node, f"{v.type} is no condition")

    def expr(self, node: ast.expr) -> Val:
        method = getattr(self, "x_" + type(node).__name__, None)
        if method is None:
            raise self.fail(node, f"{type(node).__name__} is not understood")
        found: Val = method(node)
        return found

    def x_Name(self, node: ast.Name) -> Val:
        if node.id == "None":
            return Val("None", ["NULL"])
        if node.id in ("inf", "nan"):
            return Val("float", [ct.c_float(node.id)])
        if node.id in self.env:
            self.used.add(node.id)
            return self.env[node.id]
        raise self.fail(node, f"unknown name {node.id!r}")

    def x_Constant(self, node: ast.Constant) -> Val:
        v = node.value
        if v is None:
            return Val("None", ["NULL"])
        if isinstance(v, bool):
            return Val("bool", [str(v).lower()], v)
        if isinstance(v, int):
            return Val("int", [str(v)], v)
        if isinstance(v, float):
            return Val("float", [repr(v)], v)
        if isinstance(v, str):
            return Val("str", ['"' + v + '"'], v)
        raise self.fail(node, "constant is not understood")

    def x_Attribute(self, node: ast.Attribute) -> Val:
        if isinstance(node.value, ast.Name) and node.value.id == "grads":
            key = "grads." + node.attr
            if key in self.env:
                self.used.add(key)
                return self.env[key]
        if isinstance(node.value, ast.Name) and node.value.id == "torch":
            d = {"float32": "FLOAT32", "float64": "FLOAT64", "int64": "INT64", "bool": "BOOL",
                 "int32": "INT32", "uint8": "UINT8"}.get(node.attr)
            if d:
                return Val("ScalarType", [f"MT_{d}"])
            fmt = {"contiguous_format": "MT_CONTIGUOUS", "preserve_format": "MT_PRESERVE",
                   "channels_last": "MT_CHANNELS_LAST"}.get(node.attr)
            if fmt:
                return Val("MemoryFormat", [fmt])
        v = self.expr(node.value)
        if node.attr == "geometry":  # tensors without their data
            return v
        if v.type in ("Tensor", "Tensor?"):
            x = v.code[0]
            if node.attr in ("shape",) and v.type == "Tensor?":
                return Val("int[]", [f"({x} ? {x}->sizes : NULL)", f"({x} ? (int64_t){x}->ndim : 0)"])
            if node.attr in ("shape",):
                return Val("int[]", [f"{x}->sizes", f"(int64_t){x}->ndim"])
            if node.attr == "strides":
                return Val("int[]", [f"{x}->strides", f"(int64_t){x}->ndim"])
            if node.attr in _TENSOR_ATTRS:
                t, code = _TENSOR_ATTRS[node.attr]
                return Val(t, [code.format(x=x)])
            if node.attr == "requires_grad":
                return Val("bool", [f"mt_requires_grad({x})"])
            prop = {"mT": "mT", "mH": "mH", "T": "t", "H": "adjoint"}.get(node.attr)
            if prop:
                return self.call_op(prop, [v], {}, node)
        raise self.fail(node, f"{v.type} has no attribute {node.attr!r}")

    def x_Tuple(self, node: ast.Tuple) -> Val:
        parts = [self.expr(e) for e in node.elts]
        return Val("tuple", [], parts=parts)

    def x_List(self, node: ast.List) -> Val:
        parts = [self.expr(e) for e in node.elts]
        if not parts:
            return Val("empty[]", ["(const int64_t[]){0}", "0"])
        kinds = {p.type for p in parts}
        if kinds <= {"int", "bool"}:
            t = "bool[]" if kinds == {"bool"} else "int[]"
            name = self.fresh("l", f"int64_t {{}}[{len(parts)}];")
            for i, p in enumerate(parts):
                self.emit(f"{name}[{i}] = {p.code[0]};")
            return Val(t, [name, str(len(parts))])
        if kinds <= {"int", "float"}:
            name = self.fresh("l", f"double {{}}[{len(parts)}];")
            for i, p in enumerate(parts):
                self.emit(f"{name}[{i}] = {p.code[0]};")
            return Val("float[]", [name, str(len(parts))])
        if kinds <= {"Tensor", "Tensor?", "None"}:
            name = self.fresh("l", f"mt_tensor *{{}}[{len(parts)}];")
            for i, p in enumerate(parts):
                self.emit(f"{name}[{i}] = {p.code[0]};")
            return Val("Tensor[]", [name, str(len(parts))])
        raise self.fail(node, "list of mixed types")

    def x_Subscript(self, node: ast.Subscript) -> Val:
        if isinstance(node.value, ast.Name) and node.value.id == "grads":
            key = f"grads[{ast.unparse(node.slice)}]"
            if key in self.env:
                self.used.add(key)
                return self.env[key]
        if isinstance(node.value, ast.Name) and node.value.id == "want":
            name = ast.unparse(node.slice).strip("'\"")
            key = f"want.{name}"
            if key in self.env:
                return self.env[key]
        v = self.expr(node.value)
        if v.parts is not None and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int):
            return v.parts[node.slice.value]
        if v.type.endswith("[]"):
            i = self.expr(node.slice)
            t = v.type[:-2]
            idx = i.code[0]
            if isinstance(node.slice, ast.UnaryOp):
                idx = f"{v.code[1]} + ({idx})"
            if t == "Tensor":
                return Val("Tensor", [f"{v.code[0]}[{idx}]"])
            return Val(t, [f"{v.code[0]}[{idx}]"])
        raise self.fail(node, f"cannot index {v.type}")

    def x_UnaryOp(self, node: ast.UnaryOp) -> Val:
        if isinstance(node.op, ast.Not):
            return Val("bool", [f"!({self.condition(node.operand)})"])
        v = self.expr(node.operand)
        if isinstance(node.op, ast.USub):
            if v.type in ("int", "float"):
                return Val(v.type, [f"(-({v.code[0]}))"], -v.literal if v.literal is not None else None)
            if v.type == "Scalar":
                c = self.fresh("c", "double {}[2];")
                return Val("Scalar", [f"mt_scalar_neg({v.code[0]}, {c})"])
            return self.call_op("neg", [v], {}, node)
        if isinstance(node.op, ast.Invert):
            return self.call_op("bitwise_not", [v], {}, node)
        raise self.fail(node, "operator is not understood")

    def x_BoolOp(self, node: ast.BoolOp) -> Val:
        op = " && " if isinstance(node.op, ast.And) else " || "
        return Val("bool", ["(" + op.join(self.condition(v) for v in node.values) + ")"])

    def x_Compare(self, node: ast.Compare) -> Val:
        if len(node.ops) != 1:
            raise self.fail(node, "chained comparison")
        op = node.ops[0]
        if isinstance(op, (ast.Is, ast.IsNot)):
            v = self.expr(node.left)
            none = "==" if isinstance(op, ast.Is) else "!="
            if v.type in ("Tensor", "Tensor?", "None") or v.type.endswith("[]") or v.type in ("str", "Generator"):
                return Val("bool", [f"({v.code[0]} {none} NULL)"])
            if v.type in ("Scalar", "int?", "float?", "bool?"):
                return Val("bool", [f"({v.code[0]}.tag {none} MT_V_NONE)"])
            if v.type == "ScalarType":
                return Val("bool", [f"({v.code[0]} {none} MT_DTYPE_NONE)"])
            raise self.fail(node, f"{v.type} is never None")
        a, b = self.expr(node.left), self.expr(node.comparators[0])
        if a.type in ("Tensor", "Tensor?") or b.type in ("Tensor", "Tensor?"):
            return self.call_op(_CMPS[type(op)], [a, b], {}, node)
        c = _CMP_C[type(op)]
        if a.type == "str" or b.type == "str":
            return Val("bool", [f"(strcmp({a.code[0]}, {b.code[0]}) {c} 0)"])
        if a.type == "Scalar" or b.type == "Scalar":
            if isinstance(op, (ast.Eq, ast.NotEq)) and b.type in _NUMBERS:
                neg = "!" if isinstance(op, ast.NotEq) else ""
                return Val("bool", [f"{neg}mt_scalar_equals({a.code[0]}, (double)({b.code[0]}))"])
            return Val("bool", [f"({self.as_double(a)} {c} {self.as_double(b)})"])
        return Val("bool", [f"({a.code[0]} {c} {b.code[0]})"])

    def as_double(self, v: Val) -> str:
        return f"mt_scalar_f64({v.code[0]})" if v.type == "Scalar" else f"(double)({v.code[0]})"

    def x_BinOp(self, node: ast.BinOp) -> Val:
        a, b = self.expr(node.left), self.expr(node.right)
        kind = type(node.op)
        if "None" in (a.type, b.type):  # a tangent that is zero
            if kind is ast.Add:
                return b if a.type == "None" else a
            if kind is ast.Sub:
                return a if b.type == "None" else self.call_op("neg", [b], {}, node)
            return Val("None", ["NULL"])
        if a.type in _NUMBERS and b.type in _NUMBERS:
            if kind is ast.Pow:
                return Val("float", [f"pow((double)({a.code[0]}), (double)({b.code[0]}))"])
            if kind is ast.Div:
                return Val("float", [f"((double)({a.code[0]}) / (double)({b.code[0]}))"])
            t = "float" if "float" in (a.type, b.type) else "int"
            return Val(t, [f"({a.code[0]} {_C_OPS[kind]} {b.code[0]})"])
        if {a.type, b.type} <= {"Scalar", *_NUMBERS}:
            c = self.fresh("c", "double {}[2];")
            name = {"add": "add", "sub": "sub", "mul": "mul", "div": "div", "pow": "pow"}[_BINOPS[kind]]
            return Val("Scalar", [f"mt_scalar_{name}({self.scalar(a)}, {self.scalar(b)}, {c})"])
        name = _BINOPS[kind]
        if a.type in ("Scalar", *_NUMBERS):
            # number op tensor: the reflected operator
            if name in ("add", "mul"):
                return self.call_op(name, [b, a], {}, node)
            if name == "sub":
                return self.call_op("rsub", [b, a], {}, node)
            if name == "div":
                r = self.call_op("reciprocal", [b], {}, node)
                return r if a.literal == 1 else self.call_op("mul", [r, a], {}, node)
        return self.call_op(name, [a, b], {}, node)

    def scalar(self, v: Val) -> str:
        if v.type == "Scalar":
            return v.code[0]
        return f"mt_v_{v.type}({v.code[0]})"

    def x_IfExp(self, node: ast.IfExp) -> Val:
        cond = self.condition(node.test)
        # numbers stay expressions
        mark = len(self.lines)
        a = self.expr(node.body)
        if a.type in (*_NUMBERS, "Scalar", "ScalarType", "bool") and len(self.lines) == mark:
            b = self.expr(node.orelse)
            if len(self.lines) == mark and (b.type == a.type or {a.type, b.type} <= set(_NUMBERS)):
                t = a.type if a.type == b.type else "float"
                return Val(t, [f"({cond} ? {a.code[0]} : {b.code[0]})"])
            if {a.type, b.type} <= {"Scalar", *_NUMBERS}:
                return Val("Scalar", [f"({cond} ? {self.scalar(a)} : {self.scalar(b)})"])
        if a.type.endswith("[]") and len(self.lines) == mark:
            b = self.expr(node.orelse)
            if len(self.lines) == mark and b.type == a.type:
                return Val(a.type, [f"({cond} ? {x} : {y})" for x, y in zip(a.code, b.code)])
        del self.lines[mark:]
        out = self.temp()
        self.emit(f"if ({cond}) {{")
        self.depth += 1
        a = self.expr(node.body)
        self.emit(f"mt_assign(&{out}, {a.code[0]});")
        self.depth -= 1
        self.emit("} else {")
        self.depth += 1
        b = self.expr(node.orelse)
        self.emit(f"mt_assign(&{out}, {b.code[0]});")
        self.depth -= 1
        self.emit("}")
        if not {a.type, b.type} <= {"Tensor", "Tensor?", "None"}:
            raise self.fail(node, f"branches are {a.type} and {b.type}")
        return Val("Tensor?" if "None" in (a.type, b.type) else "Tensor", [out])

    def x_Call(self, node: ast.Call) -> Val:
        kwargs = {k.arg: k.value for k in node.keywords if k.arg}
        if isinstance(node.func, ast.Name):
            name = node.func.id
            args = [self.expr(a) for a in node.args]
            if name in ("len",):
                return Val("int", [args[0].code[1]])
            if name in ("min", "max") and all(a.type == "int" for a in args):
                return Val("int", [f"MT_{name.upper()}({args[0].code[0]}, {args[1].code[0]})"])
            if name in _MATH and args and args[0].type in _NUMBERS:
                return Val("float", [f"{_MATH[name]}({', '.join('(double)(' + a.code[0] + ')' for a in args)})"])
            if name == "float":
                return Val("float", [self.as_double(args[0])])
            if name == "int":
                return Val("int", [f"(int64_t)({args[0].code[0]})"])
            kw = {k: self.expr(v) for k, v in kwargs.items()}
            return self.call_op(name, args, kw, node)
        assert isinstance(node.func, ast.Attribute)
        if isinstance(node.func.value, ast.Name) and node.func.value.id == "torch":
            return self.call_op(node.func.attr, [self.expr(a) for a in node.args],
                                {k: self.expr(v) for k, v in kwargs.items()}, node)
        recv, attr = self.expr(node.func.value), node.func.attr
        if recv.type in ("Tensor", "Tensor?"):
            x = recv.code[0]
            if attr in _TENSOR_CALLS and not node.args:
                t, code = _TENSOR_CALLS[attr]
                return Val(t, [code.format(x=x)])
            if attr == "sizes":
                return Val("int[]", [f"{x}->sizes", f"(int64_t){x}->ndim"])
            if attr == "size" and len(node.args) == 1:
                d = self.expr(node.args[0]).code[0]
                return Val("int", [f"mt_size_at({x}, {d})"])
            return self.call_op(attr, [recv] + [self.expr(a) for a in node.args],
                                {k: self.expr(v) for k, v in kwargs.items()}, node)
        if attr == "conj" and recv.type in ("Scalar", *_NUMBERS):
            if recv.type != "Scalar":
                return recv
            c = self.fresh("c", "double {}[2];")
            return Val("Scalar", [f"mt_scalar_conj({recv.code[0]}, {c})"])
        if attr == "log" and recv.type == "Scalar":
            c = self.fresh("c", "double {}[2];")
            return Val("Scalar", [f"mt_scalar_log({recv.code[0]}, {c})"])
        if attr == "is_complex" and recv.type == "Scalar":
            return Val("bool", [f"({recv.code[0]}.tag == MT_V_COMPLEX)"])
        raise self.fail(node, f"{recv.type} has no method {attr!r}")

    # -- calls ------------------------------------------------------------------------------
    def fits(self, a: Arg, v: Val) -> int | None:
        """How well a value fits a parameter: 0 exact, higher worse, None not at all."""
        t = v.type
        if t == "None":
            return 0 if a.optional or a.is_tensor and a.optional else None
        k = a.type
        if k == "Tensor":
            return 0 if t in ("Tensor", "Tensor?") else 9 if t in ("Scalar", "int", "float") else None
        if k == "Scalar":
            return 0 if t in ("Scalar",) else 1 if t in _NUMBERS else None
        if k == "float":
            return 0 if t == "float" else 1 if t == "int" else 2 if t == "Scalar" else \
                0 if t == "float?" and a.optional else None
        if k == "int":
            return 0 if t == "int" else 0 if t == "int?" and a.optional else 3 if t == "bool" else None
        if k == "bool":
            return 0 if t in ("bool",) else 0 if t == "bool?" and a.optional else 3 if t == "int" else None
        if k.endswith("[]"):
            if t == k or t == "empty[]":
                return 0
            if k == "int[]" and t == "int":
                return 1
            if k == "float[]" and t == "int[]":
                return None
            return None
        return 0 if t == k else None

    def bind(self, s: Schema, args: list[Val], kw: dict[str, Val]) -> tuple[int, list[Val | None]] | None:
        params = [a for a in s.args]
        bound: list[Val | None] = [None] * len(params)
        pos = [i for i, a in enumerate(params) if not a.kwonly]
        if len(args) > len(pos):
            return None
        score = 0
        for i, v in zip(pos, args):
            bound[i] = v
        for name, v in kw.items():
            i = s.index(name)
            if i < 0 or bound[i] is not None:
                return None
            bound[i] = v
        for a, b in zip(params, bound):
            if b is None:
                if a.default is None:
                    return None
                continue
            f = self.fits(a, b)
            if f is None:
                return None
            score += f
        return score, bound

    def call_op(self, name: str, args: list[Val], kw: dict[str, Val], node: ast.AST | None) -> Val:
        """A call of an operator or helper, overload chosen by types."""
        if any(a.parts is not None for a in args):
            args = [a if a.parts is None else a for a in args]
        cands = [self.helpers[name]] if name in self.helpers else self.ops.get(name, [])
        best: tuple[int, Schema, list[Val | None]] | None = None
        for s in cands:
            r = self.bind(s, args, kw)
            if r is not None and (best is None or r[0] < best[0]):
                best = (r[0], s, r[1])
        if best is None:
            got = ", ".join(a.type for a in args) + "".join(f", {k}={v.type}" for k, v in kw.items())
            known = "; ".join(s.text() for s in cands) or "no such operator in the table"
            raise self.fail(node, f"no overload of {name}({got}): {known}")
        _, s, bound = best
        helper = name in self.helpers
        code: list[str] = []
        for a, v in zip(s.args, bound):
            code += ct.default_code(a) if v is None else self.coerce(a, v)
        fn = f"mth_{s.name}" if helper else f"aten_{s.ident}"
        rets = s.returns
        if s.inplace or (s.outs and not helper):
            self.check(f"{fn}({', '.join(code)}) < 0")
            return args[0]
        if len(rets) == 1 and rets[0].type == "Tensor":
            t = self.temp()
            # a temporary may be assigned again inside a loop of branches: release first
            self.emit(f"if (!({t} = {fn}({', '.join(code)})))")
            self.emit("    goto done;")
            return Val("Tensor?" if rets[0].optional else "Tensor", [t])
        if len(rets) == 1 and rets[0].type == "Tensor[]":
            name_ = f"lst{len(self.lists)}"
            self.lists.append(name_)
            self.check(f"{fn}({', '.join([*code, '&' + name_])}) < 0")
            return Val("Tensor[]", [f"{name_}.items", f"{name_}.count"])
        outs, vals = [], []
        for ret in rets:
            if ret.type == "Tensor":
                t = self.temp()
                outs.append(f"&{t}")
                vals.append(Val("Tensor?" if ret.optional else "Tensor", [t]))
            else:
                c = {"int": "int64_t", "bool": "bool", "float": "double", "Scalar": "mt_scalar"}[ret.type]
                n = self.fresh("r", c + " {};")
                outs.append(f"&{n}")
                vals.append(Val(ret.type, [n]))
        self.check(f"{fn}({', '.join(code + outs)}) < 0")
        return vals[0] if len(vals) == 1 else Val("tuple", [], parts=vals)

    def coerce(self, a: Arg, v: Val) -> list[str]:
        k, t = a.type, v.type
        if t == "None":
            if a.kind in ("INT", "FLOAT", "BOOL", "SCALAR"):
                return ["mt_v_none()"]
            return ct.default_code(Arg(a.name, a.type, a.optional, default="None"))
        if k == "Tensor" and t in ("Scalar", "int", "float"):
            tmp = self.temp()
            self.emit(f"if (!({tmp} = mt_wrap_scalar({self.scalar(v)})))")
            self.emit("    goto done;")
            return [tmp]
        if k == "Scalar":
            return [self.scalar(v)]
        if k in ("int", "float", "bool"):
            if a.optional:
                return v.code if t.endswith("?") else [f"mt_v_{k}({v.code[0]})"]
            if k == "float" and t == "Scalar":
                return [f"mt_scalar_f64({v.code[0]})"]
            return v.code
        if k == "int[]" and t == "int":
            n = a.size if a.size > 0 else 1
            name = self.fresh("l", f"int64_t {{}}[{n}];")
            for i in range(n):
                self.emit(f"{name}[{i}] = {v.code[0]};")
            return [name, str(n)]
        return list(v.code)
