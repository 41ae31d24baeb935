"""Diagonals, scattered views, copies of views, combinations of tensors, sizes in place."""

_OPT = "ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None"
_LONG = _OPT.replace("dtype=None", "dtype=long")

# ---- diagonals -----------------------------------------------------------------------------------
composite("diag(Tensor self, int diagonal=0) -> Tensor", out=True, doc="A diagonal as a vector, or a matrix with a vector as its diagonal.")
func("diag_embed(Tensor self, int offset=0, int dim1=-2, int dim2=-1) -> Tensor", grad={"self": "grad.diagonal(offset, dim1, dim2)"}, jvp="linear",
     doc="Matrices with the last dimension as a diagonal.")
composite("diagflat(Tensor self, int offset=0) -> Tensor", body="diag_embed(self.reshape([-1]), offset)", doc="A matrix with all elements as a diagonal.")
func("trace(Tensor self) -> Tensor", jvp="linear", doc="Sum of the main diagonal.",
     grad={"self": "diagonal_backward(grad.expand([min(self.size(0), self.size(1))]), self.shape, 0, 0, 1)"})
composite("kron(Tensor self, Tensor other) -> Tensor", out=True, doc="Kronecker product.")

# ---- a copy with a view written ------------------------------------------------------------------
func("select_scatter(Tensor self, Tensor src, int dim, SymInt index) -> Tensor",
     grad={"self": "select_scatter(grad, zeros_like(grad.select(dim, index)), dim, index)", "src": "grad.select(dim, index)"}, jvp="linear", out=True,
     doc="A copy with one position of a dimension replaced.")
func("slice_scatter(Tensor self, Tensor src, int dim=0, SymInt? start=None, SymInt? end=None, SymInt step=1) -> Tensor",
     grad={"self": "slice_scatter(grad, zeros_like(grad.slice(dim, start, end, step)), dim, start, end, step)",
           "src": "grad.slice(dim, start, end, step)"}, jvp="linear", out=True, doc="A copy with a range of a dimension replaced.")
func("diagonal_scatter(Tensor self, Tensor src, int offset=0, int dim1=0, int dim2=1) -> Tensor",
     grad={"self": "diagonal_scatter(grad, zeros_like(grad.diagonal(offset, dim1, dim2)), offset, dim1, dim2)",
           "src": "grad.diagonal(offset, dim1, dim2)"}, jvp="linear", out=True, doc="A copy with a diagonal replaced.")
func("as_strided_scatter(Tensor self, Tensor src, SymInt[] size, SymInt[] stride, SymInt? storage_offset=None) -> Tensor",
     # as PyTorch: the gradient of self is the part that was replaced
     grad={"self": "as_strided_scatter(zeros_like(grad, memory_format=torch.contiguous_format), grad.contiguous().as_strided(size, stride, storage_offset), size, stride, storage_offset)",
           "src": "grad.contiguous().as_strided(size, stride, storage_offset)"}, jvp="linear", out=True, doc="A copy with a strided part replaced.")

# ---- bytes ---------------------------------------------------------------------------------------
view("view.dtype(Tensor(a) self, ScalarType dtype) -> Tensor(a)", py=("method",), node="ViewBackward1", grad={"self": "grad.view(self.dtype)"},
     doc="The same bytes as another dtype; the last dimension grows or shrinks with the size of elements.")

# ---- several tensors -----------------------------------------------------------------------------
for _n in (1, 2, 3):
    composite(f"atleast_{_n}d(Tensor self) -> Tensor", py=("function",), doc=f"At least {_n}-D.")
    composite(f"atleast_{_n}d.Sequence(Tensor[] tensors) -> Tensor[]", py=("function",), doc=f"Each at least {_n}-D.")
composite("broadcast_tensors(Tensor[] tensors) -> Tensor[]", py=("function",), doc="All expanded to one shape.")
composite("meshgrid(Tensor[] tensors) -> Tensor[]", py=("function",), body="meshgrid(tensors, indexing='ij')", doc="Coordinates of a grid.")
composite("meshgrid.indexing(Tensor[] tensors, *, str indexing) -> Tensor[]", py=("function",), doc="Coordinates of a grid.")
func("block_diag(Tensor[] tensors) -> Tensor", py=("function",), grad={"tensors": "block_diag_backward(grad, tensors)"}, jvp="linear",
     doc="A matrix of matrices along its diagonal.")
helper("block_diag_backward(Tensor grad, Tensor[] tensors) -> Tensor[]")
composite("cartesian_prod(Tensor[] tensors) -> Tensor", py=("function",), doc="All combinations of elements.")
composite("combinations(Tensor self, int r=2, bool with_replacement=False) -> Tensor", py=("function",), doc="Combinations of r elements.")
composite("column_stack(Tensor[] tensors) -> Tensor", py=("function",), out=True, doc="Vectors as columns, matrices joined.")
func("rot90(Tensor self, int k=1, int[] dims=[0, 1]) -> Tensor", grad={"self": "grad.rot90(-k, dims)"}, jvp="linear", doc="Rotated by 90 degrees in a plane, k times.")
func("repeat_interleave.Tensor(Tensor repeats, *, SymInt? output_size=None) -> Tensor", py=("function",), flags=("NO_META",),
     doc="Each index, as often as it is said.")
composite("repeat_interleave.self_Tensor(Tensor self, Tensor repeats, int? dim=None, *, SymInt? output_size=None) -> Tensor",
          doc="Each element repeated, as often as it is said.")
composite("repeat_interleave.self_int(Tensor self, SymInt repeats, int? dim=None, *, SymInt? output_size=None) -> Tensor", doc="Each element repeated.")
composite("sum_to_size(Tensor self, SymInt[] size) -> Tensor", py=("method",), doc="Summed to a shape that broadcasts to this one.")
composite("_is_all_true(Tensor self) -> Tensor", body="all(self)", doc="Whether all are true.")
composite("_is_any_true(Tensor self) -> Tensor", body="any(self)", doc="Whether any is true.")
composite("index_reduce(Tensor self, int dim, Tensor index, Tensor source, str reduce, *, bool include_self=True) -> Tensor", inplace=True, out=True,
          doc="Slices of source reduced into the indexed slices.")
func("nonzero_static(Tensor self, *, SymInt size, int fill_value=-1) -> Tensor", out=True, doc="The first places that are not zero, as many as said.")

# ---- making --------------------------------------------------------------------------------------
factory(f"scalar_tensor(Scalar s, *, {_OPT}) -> Tensor", out=False, doc="A 0-dim tensor.")
factory(f"empty_permuted(SymInt[] size, int[] physical_layout, *, {_OPT}) -> Tensor", out=False, doc="Uninitialised, packed in an order of dimensions.")
factory(f"range.step(Scalar start, Scalar end, Scalar step=1, *, {_OPT}) -> Tensor", out="out", doc="start, start + step, ... up to end.")
factory(f"tril_indices(int row, int col, int offset=0, *, {_LONG}) -> Tensor", out=False, doc="Places of a lower triangle.")
factory(f"triu_indices(int row, int col, int offset=0, *, {_LONG}) -> Tensor", out=False, doc="Places of an upper triangle.")

# ---- sizes and storages in place -----------------------------------------------------------------
func("resize_(Tensor(a!) self, SymInt[] size, *, MemoryFormat? memory_format=None) -> Tensor(a!)", py=("method",), flags=("CONJ_OK",),
     doc="Changes the size; storage grows, new elements are uninitialised.")
func("resize_as_(Tensor(a!) self, Tensor the_template, *, MemoryFormat? memory_format=None) -> Tensor(a!)", flags=("CONJ_OK",),
     doc="resize_ to the size of another tensor.")

# ---- dtypes --------------------------------------------------------------------------------------
composite("promote_types(ScalarType type1, ScalarType type2) -> ScalarType", py=("function",), doc="The dtype that two dtypes promote to.")
composite("can_cast(ScalarType from_, ScalarType to) -> bool", py=("function",), doc="Whether a dtype may be written as another.")
composite("result_type.Tensor(Tensor tensor, Tensor other) -> ScalarType", py=("function",), doc="The dtype of a result.")
composite("result_type.Scalar(Tensor tensor, Scalar other) -> ScalarType", py=("function",), doc="The dtype of a result.")
composite("result_type.Scalar_Tensor(Scalar scalar, Tensor tensor) -> ScalarType", py=("function",), doc="The dtype of a result.")
composite("result_type.Scalar_Scalar(Scalar scalar1, Scalar scalar2) -> ScalarType", py=("function",), doc="The dtype of a result.")

composite("einsum(str equation, Tensor[] tensors, *, int[]? path=None) -> Tensor", py=("function",), doc="Sums of products in Einstein's notation.")
