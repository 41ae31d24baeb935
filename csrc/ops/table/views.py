"""Views: results that alias their input."""

view("as_strided(Tensor(a) self, int[] size, int[] stride, int? storage_offset=None) -> Tensor(a)", inplace=True,
     grad={"self": "as_strided_backward(grad, self.shape, self.strides, self.storage_offset(), size, stride, storage_offset)"}, jvp="linear",
     doc="A view of the storage with the given sizes, strides and offset (in elements).")
helper("as_strided_backward(Tensor grad, int[] self_size, int[] self_stride, int self_offset, int[] size, int[] stride, int? storage_offset) -> Tensor")
view("view(Tensor(a) self, int[] size) -> Tensor(a)", py=("method",),
     grad={"self": "grad.reshape(self.shape)"}, jvp="linear",
     doc="The same elements with another shape, without a copy; one size may be -1.")
composite("reshape(Tensor(a) self, int[] shape) -> Tensor(a)",
          doc="A view with the given shape where strides allow it, else a copy.")
view("_reshape_alias(Tensor(a) self, int[] size, int[] stride) -> Tensor(a)", py=(),
     grad={"self": "grad.reshape(self.shape)"}, jvp="linear", doc="view with given strides.")
view("expand(Tensor(a) self, int[] size, *, bool implicit=False) -> Tensor(a)", py=("method",),
     grad={"self": "grad"}, jvp="linear",
     doc="Dimensions of size 1 repeated without a copy; -1 keeps a size.")
view("transpose.int(Tensor(a) self, int dim0, int dim1) -> Tensor(a)", inplace=True,
     grad={"self": "grad.transpose(dim0, dim1)"}, jvp="linear", doc="Swaps two dimensions.")
for _name, _x, _y in (("swapaxes", "axis0", "axis1"), ("swapdims", "dim0", "dim1")):
    composite(f"{_name}(Tensor(a) self, int {_x}, int {_y}) -> Tensor(a)", body=f"self.transpose({_x}, {_y})", doc="Swaps two dimensions.")
    composite(f"{_name}_(Tensor(a!) self, int {_x}, int {_y}) -> Tensor(a!)", py=("method",), impl="swap_", doc="Swaps two dimensions in place.")
view("t(Tensor(a) self) -> Tensor(a)", inplace=True, grad={"self": "grad.t()"}, jvp="linear",
     doc="Transposes a matrix; 0-D and 1-D tensors are returned as they are.")
view("permute(Tensor(a) self, int[] dims) -> Tensor(a)", grad={"self": "permute_backward(grad, dims)"},
     jvp="linear", doc="Dimensions in the given order.")
helper("permute_backward(Tensor grad, int[] dims) -> Tensor")
func("detach(Tensor(a) self) -> Tensor(a)", py=("function", "method"), flags=("CONJ_OK",),
     doc="The same storage without history; in-place writes are seen by version checks.")
view("_conj(Tensor(a) self) -> Tensor(a)", py=("function", "method"), grad={"self": "grad.conj()"}, jvp="linear",
     doc="A view with the conjugate bit flipped.")
view("_neg_view(Tensor(a) self) -> Tensor(a)", py=("function", "method"), grad={"self": "grad.neg()"}, jvp="linear",
     doc="A view with the negative bit flipped.")
composite("conj(Tensor(a) self) -> Tensor(a)", flags=("SILENT",), doc="Lazy conjugate; real tensors are returned as they are.")
view("view_as_real(Tensor(a) self) -> Tensor(a)", py=("function",), grad={"self": "view_as_complex(grad.contiguous())"},
     jvp="linear", doc="Complex as real with a last dimension of two.")
view("view_as_complex(Tensor(a) self) -> Tensor(a)", py=("function",), grad={"self": "view_as_real(grad.contiguous().resolve_conj())"},
     jvp="linear", doc="Real with a last dimension of two as complex.")
view("select.int(Tensor(a) self, int dim, int index) -> Tensor(a)",
     grad={"self": "select_backward(grad, self.shape, dim, index)"}, jvp="linear",
     doc="One position of a dimension, which goes away.")
func("select_backward(Tensor grad_output, int[] input_sizes, int dim, int index) -> Tensor", py=("function",),
     grad={"grad_output": "grad.select(dim, index)"}, jvp="linear", doc="Gradient of select: zeros with one slice set.")
view("slice.Tensor(Tensor(a) self, int dim=0, int? start=None, int? end=None, int step=1) -> Tensor(a)", py=(),
     grad={"self": "slice_backward(grad, self.shape, dim, start, end, step)"}, jvp="linear",
     doc="A range of a dimension.")
func("slice_backward(Tensor grad_output, int[] input_sizes, int dim, int? start, int? end, int step) -> Tensor",
     py=("function",), grad={"grad_output": "grad.slice(dim, start, end, step)"}, jvp="linear",
     doc="Gradient of slice: zeros with one range set.")
func("_as_strided_backward(Tensor grad, int[] self_size, int[] self_stride, int self_offset, int[] size, "
     "int[] stride, int offset) -> Tensor", py=(),
     grad={"grad": "_as_strided_again(grad, self_size, self_stride, self_offset, size, stride, offset)"}, jvp="linear",
     doc="Gradient of as_strided with respect to an input of the given geometry.")
helper("_as_strided_again(Tensor grad, int[] self_size, int[] self_stride, int self_offset, int[] size, "
       "int[] stride, int offset) -> Tensor")
composite("real(Tensor(a) self) -> Tensor(a)", py=("function",), doc="The real part as a view; a real tensor is returned as it is.")
