"""Sorting and what follows from order."""

_PLACED = "value_selecting_reduction_backward(grad, dim, indices, self.shape, True)"
_PICKED = "value_selecting_reduction_backward(grad, dim, indices, self.shape, keepdim)"
_ONE = "(Tensor values, Tensor indices)"
_PACKED = ("OUT_CONTIGUOUS",)

op(f"sort(Tensor self, int dim=-1, bool descending=False) -> {_ONE}", out="values", nondiff=("indices",),
   node="SortBackward0", grad={"self": _PLACED}, doc="Sorted along a dimension, and the places the elements came from.")
op(f"sort.stable(Tensor self, *, bool? stable, int dim=-1, bool descending=False) -> {_ONE}", out="values_stable",
   nondiff=("indices",), node="SortBackward1", grad={"self": _PLACED}, doc="Sorted along a dimension, equal elements in order.")
composite("argsort(Tensor self, int dim=-1, bool descending=False) -> Tensor", doc="The places that sort would take elements from.")
composite("argsort.stable(Tensor self, *, bool stable, int dim=-1, bool descending=False) -> Tensor", out="stable_out",
          doc="The places that sort would take elements from, equal elements in order.")
composite("msort(Tensor self) -> Tensor", out=True, doc="Sorted along the first dimension.")
op(f"topk(Tensor self, SymInt k, int dim=-1, bool largest=True, bool sorted=True) -> {_ONE}", out="values",
   nondiff=("indices",), grad={"self": _PLACED}, doc="The k largest or smallest along a dimension.")
for name in ("median", "nanmedian"):
    op(f"{name}(Tensor self) -> Tensor", flags=_PACKED, node=f"{name.title()}Backward0",
       grad={"self": "_extreme_dims_backward(grad, self, result, None, False)"}, doc="The lower median of all elements.")
    op(f"{name}.dim(Tensor self, int dim, bool keepdim=False) -> {_ONE}", out="dim_values", flags=_PACKED,
       nondiff=("indices",), node=f"{name.title()}Backward1", grad={"self": _PICKED}, doc="The lower median along a dimension and where it is.")
op(f"mode(Tensor self, int dim=-1, bool keepdim=False) -> {_ONE}", out="values", flags=_PACKED, nondiff=("indices",),
   grad={"self": _PICKED}, doc="The most frequent value along a dimension, the smallest of several.")
op(f"kthvalue(Tensor self, SymInt k, int dim=-1, bool keepdim=False) -> {_ONE}", out="values", flags=_PACKED,
   nondiff=("indices",), grad={"self": _PICKED}, doc="The k-th smallest along a dimension, counted from 1.")

# ---- searches ------------------------------------------------------------------------------------
_SEARCH = "*, bool out_int32=False, bool right=False, str? side=None, Tensor? sorter=None"
op(f"searchsorted.Tensor(Tensor sorted_sequence, Tensor self, {_SEARCH}) -> Tensor", out="Tensor_out", py=("function",),
   flags=_PACKED, doc="Where elements would be inserted into sorted rows.")
composite(f"searchsorted.Scalar(Tensor sorted_sequence, Scalar self, {_SEARCH}) -> Tensor", out="Scalar_out", py=("function",),
          doc="Where a number would be inserted into a sorted row.")
composite("bucketize.Tensor(Tensor self, Tensor boundaries, *, bool out_int32=False, bool right=False) -> Tensor", out="Tensor_out",
          py=("function",), doc="The bucket of each element between sorted boundaries.")
composite("bucketize.Scalar(Scalar self, Tensor boundaries, *, bool out_int32=False, bool right=False) -> Tensor", out="Scalar_out",
          py=("function",), doc="The bucket of a number between sorted boundaries.")
_ISIN = "*, bool assume_unique=False, bool invert=False"
func(f"isin.Tensor_Tensor(Tensor elements, Tensor test_elements, {_ISIN}) -> Tensor", py=("function",), out="Tensor_Tensor_out",
     doc="Whether each element is among the others.")
composite(f"isin.Tensor_Scalar(Tensor elements, Scalar test_element, {_ISIN}) -> Tensor", out="Tensor_Scalar_out", py=("function",),
          doc="Whether each element is the number.")
composite(f"isin.Scalar_Tensor(Scalar element, Tensor test_elements, {_ISIN}) -> Tensor", out="Scalar_Tensor_out", py=("function",),
          doc="Whether the number is among the elements.")

# ---- unique values, counts, differences ----------------------------------------------------------
_DATA = ("NO_META",)
func("_unique2(Tensor self, bool sorted=True, bool return_inverse=False, bool return_counts=False) -> (Tensor, Tensor, Tensor)",
     py=("function",), flags=_DATA, doc="Sorted unique elements, their places and their counts.")
func("_unique(Tensor self, bool sorted=True, bool return_inverse=False) -> (Tensor, Tensor)", py=("function",), flags=_DATA,
     doc="Sorted unique elements and their places.")
func("unique_consecutive(Tensor self, bool return_inverse=False, bool return_counts=False, int? dim=None) -> (Tensor, Tensor, Tensor)",
     py=("function",), flags=_DATA, doc="Unique elements of runs of equal ones.")
func("unique_dim(Tensor self, int dim, bool sorted=True, bool return_inverse=False, bool return_counts=False) -> (Tensor, Tensor, Tensor)",
     py=("function",), flags=_DATA, doc="Sorted unique slices along a dimension, their places and their counts.")
func("bincount(Tensor self, Tensor? weights=None, SymInt minlength=0) -> Tensor", flags=_DATA, doc="How often each non-negative integer occurs.")
op("histc(Tensor self, int bins=100, Scalar min=0, Scalar max=0) -> Tensor", doc="Counts in equal bins of a range.")
composite("diff(Tensor self, int n=1, int dim=-1, Tensor? prepend=None, Tensor? append=None) -> Tensor", out=True,
          doc="Differences of neighbours, n times.")
