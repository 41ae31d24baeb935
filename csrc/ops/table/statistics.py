"""Quantiles, covariance, distances, differences, windows."""

_F = ("function",)
_Q = "int? dim=None, bool keepdim=False, *, str interpolation=\"linear\""
for _name in ("quantile", "nanquantile"):
    composite(f"{_name}(Tensor self, Tensor q, {_Q}) -> Tensor", out="out", doc="Values below which given parts of the elements lie.")
    composite(f"{_name}.scalar(Tensor self, float q, {_Q}) -> Tensor", out="scalar_out", doc="The value below which a part of the elements lies.")
composite("cov(Tensor self, *, int correction=1, Tensor? fweights=None, Tensor? aweights=None) -> Tensor", doc="Covariance of variables (rows).")
composite("corrcoef(Tensor self) -> Tensor", doc="Pearson's correlation of variables (rows).")

# ---- distances -----------------------------------------------------------------------------------
op("_cdist_forward(Tensor x1, Tensor x2, float p, int? compute_mode) -> Tensor", py=_F, node="CdistBackward0", flags=("OUT_CONTIGUOUS",), dtypes=REAL,
   grad={"x1": "_cdist_backward(grad, x1, x2, p, result)", "x2": "_cdist_backward(grad.mT, x2, x1, p, result.mT)"}, doc="Distances of all pairs of rows.")
composite("_cdist_backward(Tensor grad, Tensor x1, Tensor x2, float p, Tensor cdist) -> Tensor", py=_F, body="""
d = x1.unsqueeze(-2) - x2.unsqueeze(-3)
g = grad.unsqueeze(-1)
c = cdist.unsqueeze(-1)
r = d
if p == 0.0:
    r = zeros_like(d) * g
if p == 1.0:
    r = d.sign() * g
if p == 2.0:
    r = (d / c).masked_fill(c == 0, 0) * g
if p == inf:
    r = d.sign() * (d.abs() == c) * g
if p != 0.0 and p != 1.0 and p != 2.0 and p != inf:
    r = (d.sign() * d.abs().pow(p - 1) / c.pow(p - 1)).masked_fill((c == 0).logical_or(d == 0), 0) * g
r.sum([-2], False)
""", doc="Gradient of _cdist_forward.")
composite("cdist(Tensor x1, Tensor x2, float p=2.0, int? compute_mode=None) -> Tensor", py=(), doc="Distances of all pairs of rows.")
composite("_euclidean_dist(Tensor x1, Tensor x2) -> Tensor", py=_F, body="_cdist_forward(x1, x2, 2.0, None)", doc="cdist with p = 2.")

# ---- differences along grids ---------------------------------------------------------------------
composite("gradient.scalarint(Tensor self, *, Scalar? spacing=None, int? dim=None, int edge_order=1) -> Tensor[]", py=_F, doc="Central differences.")
composite("gradient.scalararray(Tensor self, *, Scalar spacing, int[] dim, int edge_order=1) -> Tensor[]", py=_F, doc="Central differences.")
composite("gradient.array(Tensor self, *, int[] dim, int edge_order=1) -> Tensor[]", py=_F, doc="Central differences.")
composite("gradient.scalarrayint(Tensor self, *, Scalar[] spacing, int? dim=None, int edge_order=1) -> Tensor[]", py=_F, doc="Central differences.")
composite("gradient.scalarrayarray(Tensor self, *, Scalar[] spacing, int[] dim, int edge_order=1) -> Tensor[]", py=_F, doc="Central differences.")
composite("gradient.tensorarrayint(Tensor self, *, Tensor[] spacing, int? dim=None, int edge_order=1) -> Tensor[]", py=_F, doc="Central differences.")
composite("gradient.tensorarray(Tensor self, *, Tensor[] spacing, int[] dim, int edge_order=1) -> Tensor[]", py=_F, doc="Central differences.")

# ---- windows -------------------------------------------------------------------------------------
_OPTIONS = "ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None"
for _name in ("hann", "bartlett", "blackman", "hamming", "kaiser"):
    factory(f"{_name}_window(int window_length, *, {_OPTIONS}) -> Tensor", doc=f"{_name.title()} window, periodic.")
    factory(f"{_name}_window.periodic(int window_length, bool periodic, *, {_OPTIONS}) -> Tensor", doc=f"{_name.title()} window.")
factory(f"hamming_window.periodic_alpha(int window_length, bool periodic, float alpha, *, {_OPTIONS}) -> Tensor", doc="Hamming window.")
factory(f"hamming_window.periodic_alpha_beta(int window_length, bool periodic, float alpha, float beta, *, {_OPTIONS}) -> Tensor", doc="Hamming window.")
factory(f"kaiser_window.beta(int window_length, bool periodic, float beta, *, {_OPTIONS}) -> Tensor", doc="Kaiser window.")
