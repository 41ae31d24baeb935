"""Reductions, scans and softmax."""

helper("restore_dims(Tensor grad, int[] sizes, int[]? dim, bool keepdim) -> Tensor")
helper("spread_dims(Tensor grad, int[] sizes, int[]? dim, bool keepdim) -> Tensor")
helper("place_along(Tensor grad, int dim, Tensor indices, int[] sizes) -> Tensor")
helper("var_backward(Tensor grad, Tensor self, int[]? dim, Scalar? correction, bool keepdim) -> Tensor")
helper("prod_backward(Tensor grad, Tensor self, Tensor result, int dim) -> Tensor")
_PACKED = ("OUT_CONTIGUOUS",)
_SPREAD = "spread_dims(grad, self.shape, dim, keepdim)"

# ---- sums, means, products -----------------------------------------------------------------------
op("sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
   out="IntList_out", node="SumBackward1", flags=_PACKED, grad={"self": _SPREAD}, jvp="linear",
   doc="Sum over the dimensions.")
op("sum(Tensor self, *, ScalarType? dtype=None) -> Tensor", grad={"self": "grad.expand(self.shape)"}, jvp="linear",
   node="SumBackward0", flags=_PACKED, doc="Sum of all elements; integers and bool give int64.")
op("nansum(Tensor self, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor", flags=_PACKED,
   grad={"self": f"{_SPREAD} * self.isnan().logical_not()"}, jvp="(self_t * self.isnan().logical_not()).sum(dim, keepdim)",
   doc="Sum over the dimensions, NaN counted as zero.")
op("mean(Tensor self, *, ScalarType? dtype=None) -> Tensor", out="dtype_out", node="MeanBackward0", flags=_PACKED,
   grad={"self": "grad.expand(self.shape) / self.numel()"}, jvp="linear", doc="Mean of all elements.")
op("mean.dim(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor", out="out",
   node="MeanBackward1", flags=_PACKED, grad={"self": f"{_SPREAD} / (self.numel() / grad.numel())"}, jvp="linear",
   doc="Mean over the dimensions.")
composite("nanmean(Tensor self, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor", out=True,
          body="nansum(self, dim, keepdim, dtype=dtype) / self.isnan().logical_not().sum(dim, keepdim)",
          doc="Mean over the dimensions of the elements that are not NaN.")
op("prod(Tensor self, *, ScalarType? dtype=None) -> Tensor", node="ProdBackward0", flags=_PACKED,
   grad={"self": "_prod_all_backward(grad, self, result)"}, doc="Product of all elements.")
composite("_prod_all_backward(Tensor grad, Tensor self, Tensor result) -> Tensor", hidden=True,
          body="prod_backward(grad, self.reshape([-1]), result, 0).reshape(self.shape)", doc="Gradient of prod.")
op("prod.dim_int(Tensor self, int dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor", out="int_out",
   node="ProdBackward1", flags=_PACKED,
   grad={"self": "prod_backward(restore_dims(grad, self.shape, dim, keepdim), self, restore_dims(result, self.shape, dim, keepdim), dim)"},
   doc="Product over a dimension.")
func("_shift(Tensor self, int dim, int by, Scalar fill) -> Tensor", hidden=True, grad={"self": "_shift(grad, dim, -by, 0)"},
     jvp="_shift(self_t, dim, by, 0)", doc="Elements moved along a dimension, a number in the free places.")

# ---- truth ---------------------------------------------------------------------------------------
for name in ("any", "all"):
    op(f"{name}(Tensor self) -> Tensor", out="all_out", flags=_PACKED, doc=f"True where {name} element is not zero.")
    op(f"{name}.dim(Tensor self, int dim, bool keepdim=False) -> Tensor", out="out", flags=_PACKED,
       doc=f"Whether {name} along a dimension is not zero.")
    op(f"{name}.dims(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor", out="dims_out", flags=_PACKED,
       doc=f"Whether {name} along the dimensions is not zero.")
composite("count_nonzero(Tensor self, int? dim=None) -> Tensor", out=True, doc="How many elements are not zero.")
composite("count_nonzero.dim_IntList(Tensor self, int[] dim) -> Tensor", out="dim_IntList_out",
          body="self.ne(0).sum(dim, False)", doc="How many elements along the dimensions are not zero.")

# ---- extremes ------------------------------------------------------------------------------------
composite("_extreme_dims_backward(Tensor grad, Tensor self, Tensor result, int[]? dim, bool keepdim) -> Tensor", hidden=True, body="""
mask = self == restore_dims(result, self.shape, dim, keepdim)
restore_dims(grad, self.shape, dim, keepdim) * mask / mask.sum(dim, True)
""", doc="Gradient of an extreme: equal elements share it.")
for name in ("amax", "amin"):
    op(f"{name}(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor", flags=_PACKED,
       grad={"self": "_extreme_dims_backward(grad, self, result, dim, keepdim)"}, doc=f"{name[1:]} over the dimensions; NaN wins.")
for name in ("max", "min"):
    op(f"{name}(Tensor self) -> Tensor", meta=f"{name}_all_meta", impl=f"{name}_all_impl", out="unary_out", node=f"{name.title()}Backward1", flags=_PACKED,
       grad={"self": "_extreme_dims_backward(grad, self, result, None, False)"}, doc=f"{name} of all elements; NaN wins.")
    op(f"{name}.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)", out=f"dim_{name}",
       node=f"{name.title()}Backward0", flags=_PACKED, nondiff=("indices",),
       grad={"self": "value_selecting_reduction_backward(grad, dim, indices, self.shape, keepdim)"},
       doc=f"{name} along a dimension and where it is.")
    composite(f"{name}.other(Tensor self, Tensor other) -> Tensor", body=f"{name}imum(self, other)", out="out",
              doc=f"{name} of two tensors, elementwise.")
    op(f"arg{name}(Tensor self, int? dim=None, bool keepdim=False) -> Tensor", flags=_PACKED,
       doc=f"Index of the {name}imum: of the flattened tensor, or along a dimension.")
op("aminmax(Tensor self, *, int? dim=None, bool keepdim=False) -> (Tensor min, Tensor max)", flags=(*_PACKED, "UNDEFINED_OK"),
   grad={"self": "_aminmax_backward(grads.min, grads.max, self, min, max, dim, keepdim)"}, doc="Smallest and largest element.")
composite("_aminmax_backward(Tensor? grad_min, Tensor? grad_max, Tensor self, Tensor min, Tensor max, int? dim, bool keepdim) -> Tensor",
          hidden=True, doc="Gradient of aminmax.")
composite("value_selecting_reduction_backward(Tensor grad, int dim, Tensor indices, SymInt[] sizes, bool keepdim) -> Tensor",
          py=("function",), doc="Gradient of a selection along a dimension.")

# ---- variance ------------------------------------------------------------------------------------
_VAR = "int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False"
op(f"var.correction(Tensor self, {_VAR}) -> Tensor", out="correction_out", flags=_PACKED, node="VarBackward0",
   grad={"self": "var_backward(grad, self, dim, correction, keepdim)"}, doc="Variance over the dimensions.")
op(f"std.correction(Tensor self, {_VAR}) -> Tensor", out="correction_out", flags=_PACKED, node="StdBackward0",
   grad={"self": "var_backward(_std_slope(grad, result), self, dim, correction, keepdim)"}, doc="Standard deviation over the dimensions.")
composite("_std_slope(Tensor grad, Tensor result) -> Tensor", hidden=True,
          body="(grad / (result * 2)).masked_fill(result == 0, 0)", doc="Gradient of a square root, 0 at 0.")
op(f"var_mean.correction(Tensor self, {_VAR}) -> (Tensor, Tensor)", out="correction_out", flags=(*_PACKED, "UNDEFINED_OK"),
   node="VarMeanBackward0", py=("function",),
   grad={"self": "_var_mean_backward(grads[0], grads[1], self, dim, correction, keepdim)"}, doc="Variance and mean over the dimensions.")
op(f"std_mean.correction(Tensor self, {_VAR}) -> (Tensor, Tensor)", out="correction_out", flags=(*_PACKED, "UNDEFINED_OK"),
   node="StdMeanBackward0", py=("function",),
   grad={"self": "_var_mean_backward(_std_slope(grads[0], result0) if grads[0] is not None else None, grads[1], self, dim, correction, keepdim)"},
   doc="Standard deviation and mean over the dimensions.")
composite("_var_mean_backward(Tensor? spread, Tensor? mean, Tensor self, int[]? dim, Scalar? correction, bool keepdim) -> Tensor",
          hidden=True, doc="Gradient of var_mean.")
for name in ("var", "std", "var_mean", "std_mean"):
    _res = "(Tensor, Tensor)" if "mean" in name else "Tensor"
    _py = ("function",) if "mean" in name else ("function", "method")
    composite(f"{name}(Tensor self, bool unbiased=True) -> {_res}", py=_py,
              doc=f"{name} of all elements.")
    composite(f"{name}.dim(Tensor self, int[1]? dim, bool unbiased=True, bool keepdim=False) -> {_res}", py=_py,
              doc=f"{name} over the dimensions.", **({} if "mean" in name else {"out": "out"}))

# ---- norms ---------------------------------------------------------------------------------------
op("linalg_vector_norm(Tensor self, Scalar ord=2, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
   py=("linalg",), flags=_PACKED, grad={"self": "_norm_backward(grad, self, ord, result, dim, keepdim)"}, doc="Norm of vectors along the dimensions.")
composite("_norm_backward(Tensor grad, Tensor self, Scalar? p, Tensor result, int[]? dim, bool keepdim) -> Tensor", hidden=True,
          doc="Gradient of a vector norm.")
for _sig, _out, _node, _dim, _keep, _dt in (
        ("norm.Scalar(Tensor self, Scalar p=2) -> Tensor", "Scalar_out", 0, "None", "False", "None"),
        ("norm.ScalarOpt_dim(Tensor self, Scalar? p, int[1] dim, bool keepdim=False) -> Tensor", "out", 1, "dim", "keepdim", "None"),
        ("norm.ScalarOpt_dtype(Tensor self, Scalar? p, *, ScalarType dtype) -> Tensor", "ScalarOpt_dtype_out", 2, "None", "False", "dtype"),
        ("norm.ScalarOpt_dim_dtype(Tensor self, Scalar? p, int[1] dim, bool keepdim, *, ScalarType dtype) -> Tensor", "dtype_out", 3, "dim", "keepdim", "dtype")):
    op(_sig, out=_out, node=f"NormBackward{_node}", flags=_PACKED,
       grad={"self": f"_norm_backward(grad, self, p, result, {_dim}, {_keep})"}, doc="Norm of the elements.")
op("logsumexp(Tensor self, int[1] dim, bool keepdim=False) -> Tensor", flags=_PACKED, names=("special_logsumexp",),
   grad={"self": "restore_dims(grad, self.shape, dim, keepdim) * (self - restore_dims(result, self.shape, dim, keepdim)).exp().conj()"},
   doc="log of the sum of exponentials over the dimensions.")

# ---- scans ---------------------------------------------------------------------------------------
op("cumsum(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor", inplace=True, jvp="linear",
   grad={"self": "grad.flip([dim]).cumsum(dim).flip([dim]) if self.ndim > 0 else grad"}, doc="Sums of all elements up to each one.")
op("cumprod(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor", inplace=True,
   grad={"self": "cumprod_backward(grad, self, dim, result)"}, doc="Products of all elements up to each one.")
composite("cumprod_backward(Tensor grad, Tensor input, int dim, Tensor output) -> Tensor", py=("function",), doc="Gradient of cumprod.")
for name in ("cummax", "cummin"):
    op(f"{name}(Tensor self, int dim) -> (Tensor values, Tensor indices)", nondiff=("indices",),
       grad={"self": "place_along(grad, dim, indices, self.shape)"}, jvp=None, doc=f"Running {name[3:]} and where it is.")
op("_logcumsumexp(Tensor self, int dim) -> Tensor", hidden=True, node="LogcumsumexpBackward0",
   grad={"self": "_logcumsumexp_backward(grad, self, result, dim)"}, doc="log of the cumulated sums of exponentials.")
composite("_logcumsumexp_backward(Tensor grad, Tensor self, Tensor result, int dim) -> Tensor", hidden=True,
          body="_running_decay(grad, result, dim, True) * (self - result).exp() if self.ndim > 0 else grad", doc="Gradient of logcumsumexp.")
func("_running_decay(Tensor self, Tensor heights, int dim, bool reverse) -> Tensor", hidden=True,
     grad={"self": "_running_decay(grad, heights, dim, not reverse)",
           "heights": "grad * result - self * _running_decay(grad, heights, dim, False) if reverse else self * _running_decay(grad, heights, dim, True) - grad * result"},
     doc="Sums up to each element (reverse: from each on) that decay with exp of the difference of heights on the way.")
composite("logcumsumexp(Tensor self, int dim) -> Tensor", body="_logcumsumexp(self, dim)", out=True, doc="log of the cumulated sums of exponentials.")

# ---- softmax -------------------------------------------------------------------------------------
op("_softmax(Tensor self, int dim, bool half_to_float) -> Tensor", py=("function",), node="SoftmaxBackward0",
   grad={"self": "_softmax_backward_data(grad, result, dim, self.dtype)"}, jvp="_softmax_backward_data(self_t, result, dim, self.dtype)",
   doc="exp(x) over its sum along a dimension.")
op("_log_softmax(Tensor self, int dim, bool half_to_float) -> Tensor", py=("function",), node="LogSoftmaxBackward0",
   grad={"self": "_log_softmax_backward_data(grad, result, dim, self.dtype)"}, jvp="self_t - (result.exp() * self_t).sum(dim, True)",
   doc="Logarithm of softmax.")
op("_softmax_backward_data(Tensor grad_output, Tensor output, int dim, ScalarType input_dtype) -> Tensor", py=("function",),
   grad={"grad_output": "_softmax_backward_data(grad, output, dim, input_dtype)",
         "output": "grad * grad_output - (output * grad).sum(dim, True) * grad_output - grad * (output * grad_output).sum(dim, True)"},
   doc="Gradient of softmax.")
op("_log_softmax_backward_data(Tensor grad_output, Tensor output, int dim, ScalarType input_dtype) -> Tensor", py=("function",),
   grad={"grad_output": "grad - (grad * output.exp()).sum(dim, True)", "output": "-(grad_output.sum(dim, True) * output.exp() * grad)"},
   doc="Gradient of log_softmax.")
composite("softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor", out="int_out", doc="exp(x) over its sum along a dimension.")
composite("log_softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor", out="int_out", doc="Logarithm of softmax.")
composite("special_softmax(Tensor self, int dim, ScalarType? dtype=None) -> Tensor", py=("special",), body="softmax(self, dim, dtype)", doc="softmax.")
composite("special_log_softmax(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor", py=("special",), body="log_softmax(self, dim, dtype)", doc="log_softmax.")
