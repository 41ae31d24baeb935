"""Making, copying and converting tensors; sums."""

factory("empty.memory_format(int[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, "
        "bool? pin_memory=None, MemoryFormat? memory_format=None) -> Tensor", impl="empty", out="out",
        doc="Uninitialised tensor.")
factory("empty_strided(int[] size, int[] stride, *, ScalarType? dtype=None, Layout? layout=None, "
        "Device? device=None, bool? pin_memory=None) -> Tensor", out=False, doc="Uninitialised tensor with given strides.")
factory("zeros(int[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, "
        "bool? pin_memory=None) -> Tensor", doc="Tensor of zeros.")
factory("ones(int[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, "
        "bool? pin_memory=None) -> Tensor", doc="Tensor of ones.")
func("empty_like(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, "
     "bool? pin_memory=None, MemoryFormat? memory_format=None) -> Tensor", py=("function",),
     doc="Uninitialised tensor like self.")
func("zeros_like(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, "
     "bool? pin_memory=None, MemoryFormat? memory_format=None) -> Tensor", py=("function",),
     doc="Zeros like self.")
func("new_empty_strided(Tensor self, int[] size, int[] stride, *, ScalarType? dtype=None, Layout? layout=None, "
     "Device? device=None, bool? pin_memory=None) -> Tensor", py=("method",), doc="Uninitialised tensor of self's dtype.")
func("copy_(Tensor(a!) self, Tensor src, bool non_blocking=False) -> Tensor(a!)", py=("method",), node="CopyBackwards",
     grad={"src": "copy_backward(grad, src.dtype, src.device)", "self": "zeros_like(grad)"},
     doc="Writes src into self, broadcast and converted.")
helper("copy_backward(Tensor grad, ScalarType dtype, Device device) -> Tensor")
func("fill_.Scalar(Tensor(a!) self, Scalar value) -> Tensor(a!)", grad={"self": "zeros_like(grad)"}, node="FillBackward0",
     doc="Sets every element.")
func("zero_(Tensor(a!) self) -> Tensor(a!)", grad={"self": "zeros_like(grad)"}, node="ZeroBackward0", doc="Sets every element to zero.")
func("clone(Tensor self, *, MemoryFormat? memory_format=None) -> Tensor", grad={"self": "grad"}, jvp="linear",
     doc="A copy with history.")
composite("contiguous(Tensor(a) self, *, MemoryFormat memory_format=contiguous_format) -> Tensor(a)", flags=("SILENT_SELF",), py=("method",),
          doc="self where it is packed in the format, else a copy.")
func("_to_copy(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, "
     "bool? pin_memory=None, bool non_blocking=False, MemoryFormat? memory_format=None) -> Tensor", py=("function",),
     grad={"self": "to_copy_backward(grad, self.dtype, self.device)"}, node="ToCopyBackward0", jvp="linear", doc="A copy with another dtype or device.")
helper("to_copy_backward(Tensor grad, ScalarType dtype, Device device) -> Tensor")
composite("to.dtype(Tensor(a) self, ScalarType dtype, bool non_blocking=False, bool copy=False, "
          "MemoryFormat? memory_format=None) -> Tensor(a)", py=(), doc="self converted, or self where nothing changes.")
composite("resolve_conj(Tensor(a) self) -> Tensor(a)", doc="Without the conjugate bit.")
composite("resolve_neg(Tensor(a) self) -> Tensor(a)", doc="Without the negative bit.")
func("_conj_materialize(Tensor self) -> Tensor", py=(), flags=("CONJ_OK",), doc="A plain copy of a lazily conjugated tensor.")
func("_neg_materialize(Tensor self) -> Tensor", py=(), flags=("CONJ_OK",), doc="A plain copy of a lazily negated tensor.")
func("ones_like(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, "
     "bool? pin_memory=None, MemoryFormat? memory_format=None) -> Tensor", py=("function",), doc="Ones like self.")
