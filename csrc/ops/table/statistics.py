"""Quantiles, covariance, histograms, differences along grids."""

_F = ("function",)
_Q = "int? dim=None, bool keepdim=False, *, str interpolation=\"linear\""
for _name in ("quantile", "nanquantile"):
    composite(f"{_name}(Tensor self, Tensor q, {_Q}) -> Tensor", out="out", doc="Values below which given parts of the elements lie.")
    composite(f"{_name}.scalar(Tensor self, float q, {_Q}) -> Tensor", out="scalar_out", doc="The value below which a part of the elements lies.")
composite("cov(Tensor self, *, int correction=1, Tensor? fweights=None, Tensor? aweights=None) -> Tensor", doc="Covariance of variables (rows).")
composite("corrcoef(Tensor self) -> Tensor", doc="Pearson's correlation of variables (rows).")

# ---- differences along grids ---------------------------------------------------------------------
composite("gradient.scalarint(Tensor self, *, Scalar? spacing=None, int? dim=None, int edge_order=1) -> Tensor[]", py=_F, doc="Central differences.")
composite("gradient.scalararray(Tensor self, *, Scalar spacing, int[] dim, int edge_order=1) -> Tensor[]", py=_F, doc="Central differences.")
composite("gradient.array(Tensor self, *, int[] dim, int edge_order=1) -> Tensor[]", py=_F, doc="Central differences.")
composite("gradient.scalarrayint(Tensor self, *, Scalar[] spacing, int? dim=None, int edge_order=1) -> Tensor[]", py=_F, doc="Central differences.")
composite("gradient.scalarrayarray(Tensor self, *, Scalar[] spacing, int[] dim, int edge_order=1) -> Tensor[]", py=_F, doc="Central differences.")
composite("gradient.tensorarrayint(Tensor self, *, Tensor[] spacing, int? dim=None, int edge_order=1) -> Tensor[]", py=_F, doc="Central differences.")
composite("gradient.tensorarray(Tensor self, *, Tensor[] spacing, int[] dim, int edge_order=1) -> Tensor[]", py=_F, doc="Central differences.")

# ---- histograms ----------------------------------------------------------------------------------
_H = "Tensor? weight=None, bool density=False"
_HIST = "(Tensor hist, Tensor bin_edges)"
_NONE = {"self, weight": "@not_implemented"}
_NONE_BINS = {"self, bins, weight": "@not_implemented"}
_DATA = ("NO_META",)
func(f"histogram.bins_tensor(Tensor self, Tensor bins, *, {_H}) -> {_HIST}", out="bins_tensor_out", node="NotImplemented", grad=_NONE_BINS, flags=_DATA, doc="Counts between given edges.")
func(f"histogram.bin_ct(Tensor self, int bins=100, *, float[]? range=None, {_H}) -> {_HIST}", out="bin_ct_out", node="NotImplemented", grad=_NONE, flags=_DATA, doc="Counts in equal bins.")
func(f"_histogramdd_bin_edges(Tensor self, int[] bins, *, float[]? range=None, {_H}) -> Tensor[]", py=_F, node="NotImplemented", grad=_NONE, flags=_DATA, doc="Edges of equal bins per coordinate.")
func(f"_histogramdd_from_bin_cts(Tensor self, int[] bins, *, float[]? range=None, {_H}) -> Tensor", py=_F, node="NotImplemented", grad=_NONE, flags=_DATA, doc="Counts in equal bins.")
func(f"_histogramdd_from_bin_tensors(Tensor self, Tensor[] bins, *, {_H}) -> Tensor", py=_F, node="NotImplemented", grad=_NONE_BINS, flags=_DATA, doc="Counts between given edges.")
_DD = "(Tensor hist, Tensor[] bin_edges)"
composite(f"histogramdd(Tensor self, int[] bins, float[]? range=None, {_H}) -> {_DD}", py=_F, doc="Counts of points in equal bins per coordinate.")
composite(f"histogramdd.int_bins(Tensor self, int bins, float[]? range=None, {_H}) -> {_DD}", py=_F, doc="Counts of points in equal bins.")
composite(f"histogramdd.TensorList_bins(Tensor self, Tensor[] bins, float[]? range=None, {_H}) -> {_DD}", py=_F, doc="Counts of points between given edges.")
