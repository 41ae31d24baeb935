"""Operator schemas in PyTorch's syntax, parsed into plain records.

``add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor`` becomes a `Schema` with
its arguments and results. Only the syntax that operators use is understood; anything else
is an error that shows the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

# schema type -> enumerator of mt_type
TYPES = {
    "Tensor": "TENSOR",
    "Tensor[]": "TENSORS",
    "int": "INT",
    "SymInt": "INT",
    "float": "FLOAT",
    "bool": "BOOL",
    "Scalar": "SCALAR",
    "int[]": "INTS",
    "SymInt[]": "INTS",
    "float[]": "FLOATS",
    "bool[]": "BOOLS",
    "Scalar[]": "SCALARS",
    "str": "STR",
    "ScalarType": "DTYPE",
    "Device": "DEVICE",
    "Layout": "LAYOUT",
    "MemoryFormat": "FORMAT",
    "Generator": "GENERATOR",
    "Storage": "STORAGE",
}
DTYPES = {
    "bool": "BOOL", "byte": "UINT8", "char": "INT8", "short": "INT16", "int": "INT32",
    "long": "INT64", "half": "FLOAT16", "bfloat16": "BFLOAT16", "float": "FLOAT32",
    "double": "FLOAT64",
}


class SchemaError(ValueError):
    """A schema text that does not parse; the message shows the text."""


@dataclass(frozen=True)
class Arg:
    """One argument or result."""

    name: str
    type: str  # without alias mark, size and optional mark: "Tensor", "int[]"
    optional: bool = False
    elements_optional: bool = False
    size: int = -1  # of int[2]
    default: str | None = None
    kwonly: bool = False
    alias: str | None = None  # "a" or "a!"

    @property
    def kind(self) -> str:
        """Enumerator of mt_type."""
        return TYPES[self.type]

    @property
    def mutated(self) -> bool:
        return bool(self.alias and "!" in self.alias)

    @property
    def is_tensor(self) -> bool:
        return self.type == "Tensor"

    @property
    def is_list(self) -> bool:
        return self.type == "Tensor[]"

    def text(self) -> str:
        """The argument as the schema writes it."""
        base = self.type
        if base.endswith("[]"):
            inner = base[:-2] + ("?" if self.elements_optional else "")
            alias = f"({self.alias})" if self.alias else ""
            base = f"{inner}{alias}[{self.size if self.size > 0 else ''}]"
        elif self.alias:
            base += f"({self.alias})"
        base += "?" if self.optional else ""
        out = f"{base} {self.name}" if self.name else base
        return out + (f"={self.default}" if self.default is not None else "")


@dataclass(frozen=True)
class Schema:
    """A whole operator schema."""

    name: str  # "add"
    overload: str  # "Tensor" or ""
    args: tuple[Arg, ...]
    returns: tuple[Arg, ...]
    namespace: str = "aten"
    _index: dict[str, int] = field(default_factory=dict, compare=False)

    @property
    def ident(self) -> str:
        """A C identifier: add_Tensor, add__Tensor (in place), relu."""
        return self.name + (f"_{self.overload}" if self.overload else "")

    @property
    def full_name(self) -> str:
        return self.name + (f".{self.overload}" if self.overload else "")

    @property
    def outs(self) -> tuple[Arg, ...]:
        return tuple(a for a in self.args if a.kwonly and a.mutated)

    @property
    def inplace(self) -> bool:
        return (self.name.endswith("_") and not self.name.endswith("__")
                and bool(self.args) and self.args[0].mutated and self.args[0].is_tensor)

    def index(self, name: str) -> int:
        """Position of an argument by name; -1 if there is none."""
        return next((i for i, a in enumerate(self.args) if a.name == name), -1)

    def text(self) -> str:
        parts, star = [], False
        for a in self.args:
            if a.kwonly and not star:
                parts.append("*")
                star = True
            parts.append(a.text())
        rets = [r.text() for r in self.returns]
        ret = rets[0] if len(rets) == 1 and not self.returns[0].name else f"({', '.join(rets)})"
        return f"{self.namespace}::{self.full_name}({', '.join(parts)}) -> {ret}"


_ARG = re.compile(
    r"^(?P<base>\w+)(?P<eopt>\?)?(?:\((?P<alias>[^)]*)\))?(?P<list>\[(?P<size>\d*)\])?(?P<opt>\?)?"
    r"(?:\s+(?P<name>\w+))?(?:\s*=\s*(?P<default>.+))?$")


def _split(text: str) -> list[str]:
    """Splits at top-level commas."""
    out, depth, cur = [], 0, ""
    for ch in text:
        if ch in "([":
            depth += 1
        elif ch in ")]":
            depth -= 1
        if ch == "," and depth == 0:
            out.append(cur.strip())
            cur = ""
        else:
            cur += ch
    if cur.strip():
        out.append(cur.strip())
    return out


def parse_arg(text: str, kwonly: bool = False) -> Arg:
    """One argument; raises SchemaError with the text."""
    m = _ARG.match(text.strip())
    if not m:
        raise SchemaError(f"cannot parse argument {text!r}")
    base, eopt, is_list, opt = m["base"], bool(m["eopt"]), bool(m["list"]), bool(m["opt"])
    base = {"SymInt": "int"}.get(base, base)
    if not is_list and eopt:
        opt, eopt = True, False
    kind = base + "[]" if is_list else base
    if kind not in TYPES:
        raise SchemaError(f"unknown type {kind!r} in {text!r}")
    default = m["default"].strip() if m["default"] is not None else None
    return Arg(m["name"] or "", kind, opt, eopt, int(m["size"]) if m["size"] else -1, default,
               kwonly, (m["alias"] or None))


def parse(text: str) -> Schema:
    """A schema text, with or without namespace."""
    text = text.strip()
    namespace = "aten"
    if "::" in text.split("(")[0]:
        namespace, text = text.split("::", 1)
    head, sep, ret = text.rpartition(" -> ")
    m = re.match(r"^([\w]+)(?:\.(\w+))?\((.*)\)$", head.strip(), re.S)
    if not sep or not m:
        raise SchemaError(f"cannot parse schema {text!r}")
    args, kwonly = [], False
    for part in _split(m[3]):
        if part == "*":
            kwonly = True
        else:
            args.append(parse_arg(part, kwonly))
    ret = ret.strip()
    if ret.startswith("("):
        returns = tuple(parse_arg(p) for p in _split(ret[1:-1]))
    else:
        returns = (parse_arg(ret),)
    return Schema(m[1], m[2] or "", tuple(args), returns, namespace)


def make_inplace(s: Schema) -> Schema:
    """add.Tensor(Tensor self, …) -> Tensor  =>  add_.Tensor(Tensor(a!) self, …) -> Tensor(a!)"""
    self_ = replace(s.args[0], alias="a!")
    return Schema(s.name + "_", s.overload, (self_, *s.args[1:]), (Arg("", "Tensor", alias="a!"),), s.namespace)


def make_out(s: Schema, overload: str | None = None) -> Schema:
    """add.Tensor -> add.out: results become trailing keyword arguments that are written."""
    letters = "abcdefgh"
    outs = tuple(
        Arg(r.name if r.name and len(s.returns) > 1 else "out" if len(s.returns) == 1 else f"out{i}",
            "Tensor", kwonly=True, alias=letters[i] + "!")
        for i, r in enumerate(s.returns))
    returns = tuple(Arg(r.name if len(s.returns) > 1 else "", "Tensor", alias=letters[i] + "!")
                    for i, r in enumerate(s.returns))
    if overload is None:
        overload = "out" if s.overload in ("", "Tensor") else f"{s.overload}_out"
    options = ("dtype", "layout", "device", "pin_memory")  # a full set of them is what out says
    whole = set(options) <= {a.name for a in s.args}
    args = tuple(a for a in s.args if not (whole and a.name in options))
    return Schema(s.name, overload, args + outs, returns, s.namespace)
