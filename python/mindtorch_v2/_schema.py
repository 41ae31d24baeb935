"""Operator schemas as Python objects: ``add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor``.

The syntax is that of PyTorch's operator declarations; `FunctionSchema` and `Argument` have the
attributes of the classes of the same name there.
"""

import re

# name in a schema -> (name as a type, number of the core's mt_type). ORDER: mt_type in dispatch/op.h
_BASE = {
    "Tensor": ("Tensor", 0), "int": ("int", 2), "SymInt": ("int", 2), "float": ("float", 3),
    "bool": ("bool", 4), "SymBool": ("bool", 4), "Scalar": ("number", 5), "str": ("str", 10),
    "ScalarType": ("int", 11), "Device": ("Device", 12), "Layout": ("int", 13), "MemoryFormat": ("int", 14),
    "Generator": ("Generator", 15), "Storage": ("Storage", 16), "SymFloat": ("float", 3),
}  # fmt: skip
_LISTS = {"Tensor": 1, "int": 6, "SymInt": 6, "float": 7, "bool": 8, "Scalar": 9}
_ARGUMENT = re.compile(
    r"^(?P<base>\w+)(?P<alias>\([^)]*\))?(?P<inner>\?)?(?P<list>\[(?P<size>\d*)\])?"
    r"(?P<list_alias>\([^)]*\))?(?P<outer>\?)?(?:\s+(?P<name>\w+))?(?:\s*=\s*(?P<default>.+))?$",
    re.S,
)


class Type:
    """The type of an argument; its text is PyTorch's: 'Optional[List[int]]'."""

    def __init__(self, text, kind):
        self._text, self._kind = text, kind

    def kind(self):
        return self._kind

    def __str__(self):
        return self._text

    __repr__ = __str__

    def __eq__(self, other):
        return isinstance(other, Type) and str(self) == str(other)

    def __hash__(self):
        return hash(self._text)

    def isSubtypeOf(self, other):
        return self == other


class AliasInfo:
    """(a) or (a!): what an argument shares memory with, and whether it is written."""

    def __init__(self, text):
        inside = text.strip("()")
        before, _, after = inside.partition("->")
        self.is_write = "!" in before
        self.before_set = {s.strip(" !") for s in before.split("|") if s.strip(" !")}
        self.after_set = {s.strip(" !") for s in after.split("|") if s.strip(" !")} if after else set(self.before_set)
        self._text = inside.replace(" ", "")


class Argument:
    """One argument or result of a schema.

    name, type, default_value, kwarg_only, is_out, alias_info; N is the length of ``int[2]``.
    """

    def __init__(self, text, kwarg_only=False, returned=False):
        match = _ARGUMENT.match(text.strip())
        base = match["base"] if match else None
        if match is None or base not in _BASE or (match["list"] and base not in _LISTS):
            raise RuntimeError(f"{text.strip()!r} is not an argument of an operator schema that is understood")
        self.name = match["name"] or ""
        self.kwarg_only = kwarg_only
        alias = match["alias"] or match["list_alias"]
        self.alias_info = AliasInfo(alias) if alias else None
        self.is_write = bool(alias and self.alias_info.is_write)
        self.is_out = kwarg_only and self.is_write
        self.N = int(match["size"]) if match["size"] else None
        self._base, self._list = base, bool(match["list"])
        self._optional_elements = bool(match["list"] and match["inner"])
        self._optional = bool(match["outer"] or (match["inner"] and not match["list"]))
        word = _BASE[base][0]
        kind = {"Tensor": "TensorType", "int": "IntType", "float": "FloatType", "bool": "BoolType",
                "number": "NumberType", "str": "StringType", "Device": "DeviceObjType",
                "Generator": "GeneratorType", "Storage": "StorageType"}[word]  # fmt: skip
        if self._optional_elements:
            word = f"Optional[{word}]"
        if self._list:
            word, kind = f"List[{word}]", "ListType"
        if self._optional:
            word, kind = f"Optional[{word}]", "OptionalType"
        self.type = self.real_type = Type(word, kind)
        self._default = match["default"]
        self.default_value = None if self._default is None else self._read(self._default.strip())

    def has_default_value(self):
        return self._default is not None

    def _read(self, text):
        """The default as a Python value."""
        if text == "None":
            return None
        if self._list:
            if text.startswith("["):
                return [self._read_one(t.strip()) for t in text.strip("[]").split(",") if t.strip()]
            return [self._read_one(text)] * (self.N or 1)
        return self._read_one(text)

    def _read_one(self, text):
        from . import _C

        base = self._base
        if text in ("True", "False"):
            return text == "True"
        if base == "str":
            return text[1:-1]
        if base == "MemoryFormat":
            return getattr(_C, text)
        if base == "ScalarType":
            return getattr(_C, text)
        if base == "Device":
            return _C.device(text.strip("\"'"))
        if base in ("int", "SymInt") and text in ("Mean", "Sum"):
            return {"Mean": 1, "Sum": 2}[text]
        if base == "float":
            return float(text)
        return int(text) if re.fullmatch(r"-?\d+", text) else float(text)

    def _number(self):
        """(mt_type, flags) as the core wants them."""
        kind = _LISTS[self._base] if self._list else _BASE[self._base][1]
        optional = self._optional or (self._default is not None and self.default_value is None)
        flags = 1 * optional | 2 * self.kwarg_only | 32 * self._optional_elements
        if self.alias_info:
            flags |= 8 | 4 * self.is_write
        return kind, flags | 16 * self.is_out

    def __str__(self):
        alias = f"({self.alias_info._text})" if self.alias_info else ""
        text = self._base
        if self._list:
            text += alias + "?" * self._optional_elements + f"[{self.N or ''}]"
        else:
            text += alias
        text += "?" * self._optional
        if self.name:
            text += f" {self.name}"
        if self._default is not None:
            value = self._default.strip()
            if self._base == "str" and value[:1] in "'\"":
                value = f'"{value[1:-1]}"'
            elif self._base == "float" and not self._list and value != "None":
                value = f"{float(value):.17g}"
                value += "." * value.lstrip("-").isdigit()
            elif self._list and value.startswith("["):
                value = "[" + ", ".join(v.strip() for v in value.strip("[]").split(",") if v.strip()) + "]"
            text += f"={value}"
        return text


class FunctionSchema:
    """A whole schema: name ('aten::add'), overload_name, arguments, returns."""

    def __init__(self, text):
        self._text = text = text.strip()
        head, arrow, tail = text.rpartition("->")
        match = re.match(r"^\s*([\w:]+)(?:\.(\w+))?\s*\((.*)\)\s*$", head, re.S)
        if not arrow or not match:
            raise RuntimeError(f"{text!r} is not an operator schema: name(arguments) -> results is expected")
        self.name, self.overload_name = match[1], match[2] or ""
        self.arguments, kwonly = [], False
        for part in _split(match[3]):
            if part == "*":
                kwonly = True
            else:
                self.arguments.append(Argument(part, kwonly))
        tail = tail.strip()
        inner = tail[1:-1] if tail.startswith("(") else tail
        self.returns = [Argument(part, returned=True) for part in _split(inner)]
        self._tuple = tail.startswith("(") and (len(self.returns) != 1 or bool(self.returns[0].name))

    @property
    def is_mutable(self):
        return any(a.is_write for a in self.arguments)

    def _is_view_op(self):
        return any(a.alias_info and not a.is_write for a in self.arguments)

    def __str__(self):
        parts, star = [], False
        for a in self.arguments:
            if a.kwarg_only and not star:
                parts.append("*")
                star = True
            parts.append(str(a))
        results = ", ".join(map(str, self.returns))
        if self._tuple or not self.returns:
            results = f"({results})"
        dot = f".{self.overload_name}" if self.overload_name else ""
        return f"{self.name}{dot}({', '.join(parts)}) -> {results}"

    __repr__ = __str__

    def __eq__(self, other):
        return isinstance(other, FunctionSchema) and str(self) == str(other)

    def __hash__(self):
        return hash(str(self))


def _split(text):
    """Parts between commas that stand outside brackets and quotes."""
    parts, depth, quote, current = [], 0, "", ""
    for ch in text:
        if quote:
            quote = "" if ch == quote else quote
        elif ch in "\"'":
            quote = ch
        elif ch in "([":
            depth += 1
        elif ch in ")]":
            depth -= 1
        elif ch == "," and not depth:
            parts.append(current.strip())
            current = ""
            continue
        current += ch
    if current.strip():
        parts.append(current.strip())
    return parts


def parse_schema(text):
    """The schema of a text; RuntimeError where it is none or a type is not understood."""
    return FunctionSchema(text)
