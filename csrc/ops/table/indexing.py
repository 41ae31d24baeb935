"""Reading and writing by index: advanced indexing, gather and scatter, masks."""

# ---- x[indices] ----------------------------------------------------------------------------------
func("index.Tensor(Tensor self, Tensor?[] indices) -> Tensor", out="Tensor_out", py=("function",), names=(),
     grad={"self": "index_backward(grad, self.shape, indices)"}, node="IndexBackward0",
     doc="Elements at broadcast index tensors; None takes a whole dimension, masks their true places.")
helper("index_backward(Tensor grad, int[] shape, Tensor?[] indices) -> Tensor")
func("_index_put_impl_(Tensor(a!) self, Tensor?[] indices, Tensor values, bool accumulate=False, bool unsafe=False) -> "
     "Tensor(a!)", py=("function",),
     grad={"self": "index_put_self_backward(grad, indices, accumulate)", "values": "grad.index(indices)"},
     node="IndexPutImplBackward0", doc="index_put_; `unsafe` is accepted and changes nothing.")
func("index_put_(Tensor(a!) self, Tensor?[] indices, Tensor values, bool accumulate=False) -> Tensor(a!)",
     py=("function", "method"),
     grad={"self": "index_put_self_backward(grad, indices, accumulate)", "values": "grad.index(indices)"},
     node="IndexPutBackward0", doc="Writes values at broadcast index tensors, or adds them.")
func("index_put(Tensor self, Tensor?[] indices, Tensor values, bool accumulate=False) -> Tensor", out=True,
     grad={"self": "index_put_self_backward(grad, indices, accumulate)", "values": "grad.index(indices)"},
     node="IndexPutBackward0", doc="A copy of self with values written at broadcast index tensors.")
helper("index_put_self_backward(Tensor grad, Tensor?[] indices, bool accumulate) -> Tensor")

# ---- along one dimension -------------------------------------------------------------------------
func("index_select(Tensor self, int dim, Tensor index) -> Tensor", out=True, flags=("OUT_APART",),
     grad={"self": "index_select_backward(grad, self.shape, dim, index)"}, jvp="linear",
     doc="Slices of a dimension in the order of index.")
func("index_select_backward(Tensor grad, int[] self_sizes, int dim, Tensor index) -> Tensor", py=(),
     grad={"grad": "grad.index_select(dim, index)"}, jvp="linear", doc="Gradient of index_select.")
func("index_add_(Tensor(a!) self, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor(a!)", py=("method",),
     grad={"self": "grad", "source": "index_add_source_backward(grad, source, dim, index, alpha)"},
     node="IndexAddBackward0", doc="Adds alpha * source to the slices of a dimension that index names.")
func("index_add(Tensor self, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor", out=True,
     grad={"self": "grad", "source": "index_add_source_backward(grad, source, dim, index, alpha)"},
     node="IndexAddBackward0", py_sigs=(),
     doc="A copy of self with alpha * source added to the slices that index names.")
helper("index_add_source_backward(Tensor grad, Tensor source, int dim, Tensor index, Scalar alpha) -> Tensor")
func("index_copy_(Tensor(a!) self, int dim, Tensor index, Tensor source) -> Tensor(a!)", py=("method",),
     grad={"self": "grad.index_fill(dim, index, 0)", "source": "index_add_source_backward(grad, source, dim, index, 1)"},
     node="IndexCopyBackward0", doc="Writes source to the slices of a dimension that index names.")
func("index_copy(Tensor self, int dim, Tensor index, Tensor source) -> Tensor", out=True,
     grad={"self": "grad.index_fill(dim, index, 0)", "source": "index_add_source_backward(grad, source, dim, index, 1)"},
     node="IndexCopyBackward0", doc="A copy of self with source written to the slices that index names.")
func("index_fill_.int_Scalar(Tensor(a!) self, int dim, Tensor index, Scalar value) -> Tensor(a!)", py=("method",),
     grad={"self": "grad.index_fill(dim, index, 0)"}, node="IndexFillBackward0",
     doc="Sets the slices of a dimension that index names.")
func("index_fill_.int_Tensor(Tensor(a!) self, int dim, Tensor index, Tensor value) -> Tensor(a!)", py=("method",),
     grad={"self": "grad.index_fill(dim, index, 0)", "value": "(grad - grad.index_fill(dim, index, 0)).sum()"},
     node="IndexFillBackward1", doc="Sets the slices of a dimension that index names.")
func("index_fill.int_Scalar(Tensor self, int dim, Tensor index, Scalar value) -> Tensor",
     grad={"self": "grad.index_fill(dim, index, 0)"}, node="IndexFillBackward0",
     doc="A copy of self with the slices set that index names.")
func("index_fill.int_Tensor(Tensor self, int dim, Tensor index, Tensor value) -> Tensor",
     grad={"self": "grad.index_fill(dim, index, 0)", "value": "(grad - grad.index_fill(dim, index, 0)).sum()"},
     node="IndexFillBackward1", doc="A copy of self with the slices set that index names.")

# ---- gather and scatter --------------------------------------------------------------------------
func("gather(Tensor self, int dim, Tensor index, *, bool sparse_grad=False) -> Tensor", out=True, flags=("OUT_APART", "SAME_DTYPE_OUT"),
     grad={"self": "scatter_add(zeros(self.shape, dtype=grad.dtype), dim, index, grad)"}, jvp="linear",
     doc="out[i][j] = self[index[i][j]][j] for dim 0 and likewise along other dimensions.")
_SELF_SCATTER = "grad.scatter(dim, index, 0)"
for _u, _t in (("", "Tensor"), ("_", "Tensor(a!)")):
    _a = "Tensor(a!) self" if _u else "Tensor self"
    _py = ("method",) if _u else ("function", "method")
    _out = {} if _u else {"out": True}
    func(f"scatter{_u}.src({_a}, int dim, Tensor index, Tensor src) -> {_t}", py=_py,
         **({"out": "src_out"} if not _u else {}),
         grad={"self": _SELF_SCATTER, "src": "grad.gather(dim, index)"}, node="ScatterBackward0",
         doc="self with src written at index along a dimension.")
    func(f"scatter{_u}.value({_a}, int dim, Tensor index, Scalar value) -> {_t}", py=_py,
         **({"out": "value_out"} if not _u else {}),
         grad={"self": _SELF_SCATTER}, node="ScatterBackward1",
         doc="self with a number written at index along a dimension.")
    func(f"scatter{_u}.reduce({_a}, int dim, Tensor index, Tensor src, *, str reduce) -> {_t}", py=_py,
         **({"out": "reduce_out"} if not _u else {}),
         doc="self with src added or multiplied at index along a dimension.")
    func(f"scatter{_u}.value_reduce({_a}, int dim, Tensor index, Scalar value, *, str reduce) -> {_t}", py=_py,
         **({"out": "value_reduce_out"} if not _u else {}),
         doc="self with a number added or multiplied at index along a dimension.")
    func(f"scatter_add{_u}({_a}, int dim, Tensor index, Tensor src) -> {_t}", py=_py, **_out,
         grad={"self": "grad", "src": "grad.gather(dim, index)"}, node="ScatterAddBackward0",
         doc="self with src added at index along a dimension.")
    func(f"scatter_reduce{_u}.two({_a}, int dim, Tensor index, Tensor src, str reduce, *, bool include_self=True) -> {_t}",
         py=_py, **({"out": "two_out"} if not _u else {}),
         grad={"self": "scatter_reduce_self_backward(grad, self, dim, index, src, reduce, include_self, result)",
               "src": "scatter_reduce_src_backward(grad, self, dim, index, src, reduce, include_self, result)"},
         node="ScatterReduceBackward0", doc="self with src combined at index: sum, prod, mean, amax or amin.")
helper("scatter_reduce_self_backward(Tensor grad, Tensor self, int dim, Tensor index, Tensor src, str reduce, "
       "bool include_self, Tensor result) -> Tensor")
helper("scatter_reduce_src_backward(Tensor grad, Tensor self, int dim, Tensor index, Tensor src, str reduce, "
       "bool include_self, Tensor result) -> Tensor")
composite("take_along_dim(Tensor self, Tensor indices, int? dim=None) -> Tensor", out=True,
          doc="gather with broadcasting; of the flattened tensor without dim.")

# ---- flat places ---------------------------------------------------------------------------------
func("take(Tensor self, Tensor index) -> Tensor", out=True, flags=("OUT_APART",),
     grad={"self": "zeros(self.shape, dtype=grad.dtype).put(index, grad, True)"}, jvp="linear",
     doc="Elements at places of the flattened tensor.")
func("put_(Tensor(a!) self, Tensor index, Tensor source, bool accumulate=False) -> Tensor(a!)", py=("method",),
     grad={"self": "put_self_backward(grad, index, accumulate)", "source": "grad.take(index).reshape(source.shape)"},
     node="PutBackward0", doc="Writes source to places of the flattened tensor, or adds it.")
func("put(Tensor self, Tensor index, Tensor source, bool accumulate=False) -> Tensor",
     grad={"self": "put_self_backward(grad, index, accumulate)", "source": "grad.take(index).reshape(source.shape)"},
     node="PutBackward0", doc="A copy of self with source written to flat places, or added.")
helper("put_self_backward(Tensor grad, Tensor index, bool accumulate) -> Tensor")

# ---- masks ---------------------------------------------------------------------------------------
func("masked_fill_.Scalar(Tensor(a!) self, Tensor mask, Scalar value) -> Tensor(a!)", py=("method",),
     grad={"self": "grad.masked_fill(mask, 0)"}, node="MaskedFillBackward0", doc="Sets the masked elements.")
func("masked_fill_.Tensor(Tensor(a!) self, Tensor mask, Tensor value) -> Tensor(a!)", py=("method",),
     grad={"self": "grad.masked_fill(mask, 0)", "value": "masked_fill_value_backward(grad, mask)"},
     node="MaskedFillBackward1", doc="Sets the masked elements to a 0-dim tensor.")
func("masked_fill.Scalar(Tensor self, Tensor mask, Scalar value) -> Tensor",
     grad={"self": "grad.masked_fill(mask, 0)"}, node="MaskedFillBackward0",
     doc="A copy of self with the masked elements set.")
func("masked_fill.Tensor(Tensor self, Tensor mask, Tensor value) -> Tensor",
     grad={"self": "grad.masked_fill(mask, 0)", "value": "masked_fill_value_backward(grad, mask)"},
     node="MaskedFillBackward1", doc="A copy of self with the masked elements set to a 0-dim tensor.")
helper("masked_fill_value_backward(Tensor grad, Tensor mask) -> Tensor")
func("masked_select(Tensor self, Tensor mask) -> Tensor", out=True, flags=("NO_META", "OUT_APART"),
     grad={"self": "masked_select_backward(grad, self.shape, mask)"}, doc="The masked elements, flat.")
helper("masked_select_backward(Tensor grad, int[] shape, Tensor mask) -> Tensor")
func("masked_scatter_(Tensor(a!) self, Tensor mask, Tensor source) -> Tensor(a!)", py=("method",),
     grad={"self": "grad.masked_fill(mask, 0)", "source": "masked_scatter_backward(grad, mask, source.shape)"},
     node="MaskedScatterBackward0", doc="Writes the first elements of source to the masked places.")
func("masked_scatter(Tensor self, Tensor mask, Tensor source) -> Tensor",
     grad={"self": "grad.masked_fill(mask, 0)", "source": "masked_scatter_backward(grad, mask, source.shape)"},
     node="MaskedScatterBackward0", doc="A copy of self with the first elements of source at the masked places.")
composite("masked_scatter_backward(Tensor grad_output, Tensor mask, int[] sizes) -> Tensor", py=(),
          doc="Gradient of masked_scatter with respect to its source.")
func("nonzero(Tensor self) -> Tensor", out=True, flags=("NO_META",), py=("function", "method"),
     doc="Places of the elements that are not zero, one row each.")
composite("nonzero_numpy(Tensor self) -> Tensor[]", py=("function", "method"),
          doc="Places of the elements that are not zero, one index tensor per dimension.")
composite("argwhere(Tensor self) -> Tensor", doc="Places of the elements that are not zero, one row each.")
composite("where(Tensor condition) -> Tensor[]", py=("function",), doc="nonzero as one index tensor per dimension.")
