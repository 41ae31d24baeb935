"""Operators on lists of tensors, each made of its operator on one."""

_LIST, _MORE, _SCALARS = "Tensor[] other", "Tensor[] other, *, Scalar alpha=1", "Scalar[] scalars"


def _all(name, kinds, each, **kw):
    """One operator of several second operands, in the order in which they are tried."""
    for kind in kinds:
        if kind == "List":
            alpha = name in ("add", "sub")
            foreach(f"_foreach_{name}.List(Tensor[] self, {_MORE if alpha else _LIST}) -> Tensor[]",
                    each.format("other" + (", alpha=alpha" if alpha else "")), doc=f"{name} of each pair.", **kw)
        elif kind == "Tensor":
            alpha = name == "add"
            foreach(f"_foreach_{name}.Tensor(Tensor[] self, Tensor other{', *, Scalar alpha=1' if alpha else ''}) -> Tensor[]",
                    each.format("other" + (", alpha=alpha" if alpha else "")), doc=f"{name} of each and a number.", **kw)
        elif kind == "Scalar":
            foreach(f"_foreach_{name}.Scalar(Tensor[] self, Scalar scalar) -> Tensor[]", each.format("scalar"),
                    doc=f"{name} of each and a number.", **kw)
        else:
            foreach(f"_foreach_{name}.ScalarList(Tensor[] self, {_SCALARS}) -> Tensor[]", each.format("scalars"),
                    doc=f"{name} of each and its number.", **kw)


_all("add", ("Scalar", "ScalarList", "Tensor", "List"), "add(self, {})")
_all("sub", ("Scalar", "ScalarList", "List"), "sub(self, {})")
_all("mul", ("ScalarList", "Tensor", "List", "Scalar"), "mul(self, {})")
_all("div", ("ScalarList", "Tensor", "List", "Scalar"), "div(self, {})")
_all("clamp_max", ("Scalar", "ScalarList", "List"), "clamp_max(self, {})")
_all("clamp_min", ("Scalar", "ScalarList", "List"), "clamp_min(self, {})")
for _name, _bound in (("maximum", "clamp_min"), ("minimum", "clamp_max")):
    _all(_name, ("Scalar", "ScalarList"), _bound + "(self, {})")
    foreach(f"_foreach_{_name}.List(Tensor[] self, {_LIST}) -> Tensor[]", f"{_name}(self, other)",
            inplace=f"{_name}(self, other, out=self)", doc=f"{_name} of each pair.")

for _name in ("abs acos asin atan ceil cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p log2 neg reciprocal "
              "round rsqrt sigmoid sign sin sinh sqrt tan tanh trunc").split():
    foreach(f"_foreach_{_name}(Tensor[] self) -> Tensor[]", f"{_name}(self)", doc=f"{_name} of each tensor.")

foreach("_foreach_pow.ScalarAndTensor(Scalar self, Tensor[] exponent) -> Tensor[]", "pow(self, exponent)", inplace=False,
        doc="A number to the power of each tensor.")
for _kind, _type in (("Scalar", "Scalar"), ("ScalarList", "Scalar[]"), ("List", "Tensor[]")):
    foreach(f"_foreach_pow.{_kind}(Tensor[] self, {_type} exponent) -> Tensor[]", "pow(self, exponent)", doc="Power of each tensor.")
for _kind, _arg in (("Scalar", "Scalar weight"), ("ScalarList", "Scalar[] weight"), ("List", "Tensor[] weights")):
    foreach(f"_foreach_lerp.{_kind}(Tensor[] self, Tensor[] tensors1, {_arg}) -> Tensor[]",
            f"lerp(self, tensors1, {_arg.split()[1]})", doc="A step from each tensor to its end.")
for _name in ("addcdiv", "addcmul"):
    _two = f"_foreach_{_name}{{}}(Tensor{{}}[] self, Tensor[] tensor1, Tensor[] tensor2, {{}}) -> {{}}"
    foreach(_two.format(".ScalarList", "", _SCALARS, "Tensor[]"), f"{_name}(self, tensor1, tensor2, value=scalars)",
            doc=f"{_name} of each three, with its number.")
    composite(_two.format(".Tensor", "", "Tensor scalars", "Tensor[]"), py=("function",),
              doc=f"{_name} of each three, with its number, an element of a vector.")
    composite(_two.format("_.Tensor", "(a!)", "Tensor scalars", "()"), py=("function",),
              doc=f"{_name} of each three, with its number, an element of a vector.")
    foreach(_two.format(".Scalar", "", "Scalar value=1", "Tensor[]"), f"{_name}(self, tensor1, tensor2, value=value)",
            doc=f"{_name} of each three.")

foreach("_foreach_clone(Tensor[] self, *, MemoryFormat? memory_format=None) -> Tensor[]",
        "clone(self, memory_format=memory_format)", inplace=False, doc="A copy of each tensor.")
foreach("_foreach_copy_(Tensor(a!)[] self, Tensor[] src, bool non_blocking=False) -> ()", "copy_(self, src, non_blocking)",
        doc="Writes each of src into its tensor.")
foreach("_foreach_zero_(Tensor(a!)[] self) -> ()", "zero_(self)", doc="Sets every element to zero.")
foreach("_foreach_mm(Tensor[] self, Tensor[] mat2) -> Tensor[]", "mm(self, mat2)", inplace=False, doc="Matrix product of each pair.")
foreach("_foreach_max(Tensor[] self) -> Tensor[]", "max(self)", inplace=False, doc="Largest element of each tensor.")
foreach("_foreach_norm.Scalar(Tensor[] self, Scalar ord=2, ScalarType? dtype=None) -> Tensor[]",
        "linalg_vector_norm(self, ord, None, False, dtype=dtype)", inplace=False, doc="Norm of all elements of each tensor.")
