"""Distances of rows."""

_F = ("function",)
_PACKED = ("OUT_CONTIGUOUS",)

op("_cdist_forward(Tensor x1, Tensor x2, float p, int? compute_mode) -> Tensor", py=_F, node="CdistBackward0", flags=_PACKED,
   grad={"x1": "_cdist_backward(grad, x1, x2, p, result)", "x2": "_cdist_backward(grad.mT, x2, x1, p, result.mT)"}, doc="Distances of all pairs of rows.")
op("_cdist_backward(Tensor grad, Tensor x1, Tensor x2, float p, Tensor cdist) -> Tensor", py=_F, node="CdistBackwardBackward0", flags=_PACKED,
   grad={"grad, x1, x2, cdist": "@not_implemented"}, doc="Gradient of _cdist_forward.")
func("_euclidean_dist(Tensor x1, Tensor x2) -> Tensor", py=_F, node="EuclideanDistBackward0", doc="cdist with p = 2 through a product of matrices.",
     grad={"x1": "_euclidean_dist_backward(grad, x1, x2, result)", "x2": "_euclidean_dist_backward(grad.mT, x2, x1, result.mT)"})
composite("_euclidean_dist_backward(Tensor grad, Tensor x1, Tensor x2, Tensor res) -> Tensor", hidden=True, body="""
r = (grad / res).masked_fill(res == 0, 0)
x1 * r.sum([-1], True) - r @ x2
""", doc="Gradient of _euclidean_dist.")
composite("cdist(Tensor x1, Tensor x2, float p=2.0, int? compute_mode=None) -> Tensor", py=_F, doc="Distances of all pairs of rows.")
op("_pdist_forward(Tensor self, float p=2) -> Tensor", py=_F, node="PdistBackward0", flags=_PACKED,
   grad={"self": "_pdist_backward(grad, self, p, result)"}, doc="Distances of the pairs of rows.")
op("_pdist_backward(Tensor grad, Tensor self, float p, Tensor pdist) -> Tensor", py=_F, node="PdistBackwardBackward0", flags=_PACKED,
   grad={"grad, self, pdist": "@not_implemented"}, doc="Gradient of _pdist_forward.")
composite("pdist(Tensor self, float p=2) -> Tensor", py=_F, doc="Distances of the pairs of rows.")
