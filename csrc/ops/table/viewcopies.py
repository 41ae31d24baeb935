"""Views as copies: the geometry of a view, elements of its own. Each takes the derivative of its view."""

func("_unsafe_view(Tensor self, SymInt[] size) -> Tensor", py=("function",), grad={"self": "grad.reshape(self.shape)"}, jvp="linear",
     doc="view of a result that nobody else sees: not tracked as a view.")
for _sig, _call in (
    ("alias_copy(Tensor self)", "alias(self)"),
    ("as_strided_copy(Tensor self, SymInt[] size, SymInt[] stride, SymInt? storage_offset=None)", "as_strided(self, size, stride, storage_offset)"),
    ("detach_copy(Tensor self)", "detach(self)"),
    ("diagonal_copy(Tensor self, int offset=0, int dim1=0, int dim2=1)", "diagonal(self, offset, dim1, dim2)"),
    ("expand_copy(Tensor self, SymInt[] size, *, bool implicit=False)", "expand(self, size, implicit=implicit)"),
    ("permute_copy(Tensor self, int[] dims)", "permute(self, dims)"),
    ("select_copy.int(Tensor self, int dim, SymInt index)", "select(self, dim, index)"),
    ("slice_copy.Tensor(Tensor self, int dim=0, SymInt? start=None, SymInt? end=None, SymInt step=1)", "slice(self, dim, start, end, step)"),
    ("squeeze_copy(Tensor self)", "squeeze(self)"),
    ("squeeze_copy.dim(Tensor self, int dim)", "squeeze(self, dim)"),
    ("squeeze_copy.dims(Tensor self, int[] dim)", "squeeze(self, dim)"),
    ("t_copy(Tensor self)", "t(self)"),
    ("transpose_copy.int(Tensor self, int dim0, int dim1)", "transpose(self, dim0, dim1)"),
    ("unfold_copy(Tensor self, int dimension, int size, int step)", "unfold(self, dimension, size, step)"),
    ("unsqueeze_copy(Tensor self, int dim)", "unsqueeze(self, dim)"),
    ("view_copy(Tensor self, SymInt[] size)", "view(self, size)"),
    ("view_copy.dtype(Tensor self, ScalarType dtype)", "view(self, dtype)"),
    ("view_as_real_copy(Tensor self)", "view_as_real(self)"),
    ("view_as_complex_copy(Tensor self)", "view_as_complex(self)"),
):
    _name, _, _over = _sig.split("(")[0].partition(".")
    _view = next((e for e in ENTRIES if e.family == "view" and e.schema.name == _name.removesuffix("_copy") and e.schema.overload == _over), None)
    _node = _view and (_view.node or "".join(p.title() for p in _view.schema.name.split("_")) + "Backward0") + "_copy"
    (func if _view else composite)(f"{_sig} -> Tensor", py=("function",), body=f"{_call}.clone()", out=f"{_over}_out" if _over else True,
                                   **({"grad": _view.grad, "jvp": _view.jvp, "node": _node} if _view else {}), doc=f"{_call.split('(')[0]} as a copy.")
for _sig, _call in (("split_copy.Tensor(Tensor self, SymInt split_size, int dim=0)", "split(self, split_size, dim)"),
                    ("split_with_sizes_copy(Tensor self, SymInt[] split_sizes, int dim=0)", "split_with_sizes(self, split_sizes, dim)"),
                    ("unbind_copy.int(Tensor self, int dim=0)", "unbind(self, dim)")):
    composite(f"{_sig} -> Tensor[]", py=("function",), body=f"_foreach_clone({_call})", doc=f"{_call.split('(')[0]} as copies.")
func("narrow_copy(Tensor self, int dim, SymInt start, SymInt length) -> Tensor", body="narrow(self, dim, start, length).clone()", out=True,
     grad={"self": "slice_backward(grad, self.shape, dim, start, start + length, 1)"}, jvp="linear", doc="narrow as a copy.")
composite("unsafe_split.Tensor(Tensor self, SymInt split_size, int dim=0) -> Tensor[]", body="split(self, split_size, dim)", doc="split.")
composite("unsafe_split_with_sizes(Tensor self, SymInt[] split_sizes, int dim=0) -> Tensor[]", body="split_with_sizes(self, split_sizes, dim)",
          doc="split_with_sizes.")
