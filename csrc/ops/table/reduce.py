"""Reductions."""

op("sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
   out="IntList_out", node="SumBackward1",
   grad={"self": "sum_backward(grad, self, dim, keepdim)"}, jvp="linear", doc="Sum over the dimensions.")
op("sum(Tensor self, *, ScalarType? dtype=None) -> Tensor", grad={"self": "grad.expand(self.shape)"}, jvp="linear",
   node="SumBackward0", doc="Sum of all elements; integers and bool give int64.")
helper("sum_backward(Tensor grad, Tensor self, int[]? dim, bool keepdim) -> Tensor")
op("any(Tensor self) -> Tensor", out="all_out", doc="True where any element is not zero.")
